// A Go Micro program for the interoperability tests: a greeter service over gRPC, and a client that looks services up
// and calls them over gRPC. It finds services in etcd, or calls by address.
//
// The same source is built against each Go Micro version; what differs between them is in that version's
// version.go. build.sh puts the two files together.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  peer server [--registry HOST:PORT] [--name NAME] [--version V] [--address HOST:PORT]
      serve Say.Hello, Say.Fail, and the streams Say.Count, Say.Join and Say.Chat; print a line "ready ADDRESS" once registered (Go Micro logs to the same place);
      deregister on SIGTERM
  peer get SERVICE [--registry HOST:PORT]
      print the records of a service as JSON, [] if nobody serves it
  peer list [--registry HOST:PORT]
      print the names of all services as JSON
  peer call SERVICE METHOD JSON [--registry HOST:PORT] [--address HOST:PORT]
       [--content-type application/json|application/protobuf] [--header KEY=VALUE]...
      print the answer as JSON; an error goes to standard error and ends with exit code 1
  peer stream SERVICE METHOD [JSON...] [flags as of call]
      open a stream, send the messages, say that there are no more where this version can, and print each answer as
      JSON; an error goes to standard error and ends with exit code 1`

// Request is greeter.Request of the examples: string name = 1.
type Request struct {
	Name string `protobuf:"bytes,1,opt,name=name,proto3" json:"name,omitempty"`
}

func (m *Request) Reset()         { *m = Request{} }
func (m *Request) String() string { return m.Name }
func (*Request) ProtoMessage()    {}

// Response is greeter.Response of the examples: string msg = 1.
type Response struct {
	Msg string `protobuf:"bytes,1,opt,name=msg,proto3" json:"msg,omitempty"`
}

func (m *Response) Reset()         { *m = Response{} }
func (m *Response) String() string { return m.Msg }
func (*Response) ProtoMessage()    {}

// Say is the handler; its methods become the endpoints Say.Hello and Say.Fail.
type Say struct{}

// Hello greets. A caller's "Greeting" metadata replaces the word, so that a test sees whether metadata arrives.
func (*Say) Hello(ctx context.Context, req *Request, rsp *Response) error {
	rsp.Msg = greeting(ctx) + " " + req.Name
	return nil
}

// Fail answers with a structured error, code 409.
func (*Say) Fail(_ context.Context, req *Request, _ *Response) error {
	return conflict("go.micro.srv.gogreeter", "no "+req.Name)
}

// Count answers one request with as many messages as its name says.
func (*Say) Count(_ context.Context, stream Stream) error {
	req := new(Request)
	if err := stream.Recv(req); err != nil {
		return err
	}
	until, err := strconv.Atoi(req.Name)
	if err != nil {
		return conflict("go.micro.srv.gogreeter", "no "+req.Name)
	}
	for n := 1; n <= until; n++ {
		if err := stream.Send(&Response{Msg: strconv.Itoa(n)}); err != nil {
			return err
		}
	}
	return nil
}

// Join answers all requests with one message.
func (*Say) Join(_ context.Context, stream Stream) error {
	var names []string
	for {
		req := new(Request)
		switch err := stream.Recv(req); err {
		case nil:
			names = append(names, req.Name)
		case io.EOF:
			return stream.Send(&Response{Msg: strings.Join(names, " ")})
		default:
			return err
		}
	}
}

// Chat answers each request; "fail" ends it with an error, code 409.
func (*Say) Chat(ctx context.Context, stream Stream) error {
	for {
		req := new(Request)
		switch err := stream.Recv(req); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case req.Name == "fail":
			return conflict("go.micro.srv.gogreeter", "no "+req.Name)
		}
		if err := stream.Send(&Response{Msg: greeting(ctx) + " " + req.Name}); err != nil {
			return err
		}
	}
}

func greeting(ctx context.Context) string {
	for key, value := range metadataOf(ctx) {
		if strings.EqualFold(key, "Greeting") {
			return value
		}
	}
	return "Hello"
}

// headers collects repeated --header KEY=VALUE.
type headers map[string]string

func (h headers) String() string { return "" }

func (h headers) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return errors.New("want KEY=VALUE")
	}
	h[key] = value
	return nil
}

// options are the flags of all subcommands together; each uses those that mean something to it.
type options struct {
	registry    string
	name        string
	version     string
	address     string
	contentType string
	headers     headers
	answers     int
	transport   string
}

// halfCloses says whether a caller can end its direction of a stream alone: no mucp client can.
func (o options) halfCloses() bool { return halfCloses && o.transport == "" }

// parse reads flags wherever they stand and returns what is left.
func parse(args []string) (options, []string) {
	o := options{headers: headers{}}
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flags.StringVar(&o.registry, "registry", "127.0.0.1:2379", "address of etcd; empty: a registry of this process alone")
	flags.StringVar(&o.name, "name", "go.micro.srv.gogreeter", "name of the service")
	flags.StringVar(&o.version, "version", "latest", "version of the service")
	flags.StringVar(&o.address, "address", "", "where to listen, or whom to call instead of asking the registry")
	flags.StringVar(&o.contentType, "content-type", "application/json", "codec of a call")
	flags.IntVar(&o.answers, "answers", 0, "how many answers of a stream are waited for, where its version cannot end one direction")
	flags.StringVar(&o.transport, "transport", "", "grpc: mucp through the gRPC transport, with v1 and v2")
	flags.Var(o.headers, "header", "metadata of a call, KEY=VALUE")
	var rest []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			fail(err)
		}
		args = flags.Args()
		if len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return o, rest
}

func main() {
	o, args := parse(os.Args[1:])
	switch {
	case len(args) == 1 && args[0] == "server":
		serve(o)
	case len(args) == 2 && args[0] == "get":
		records, err := lookup(o.registry, args[1])
		if err != nil {
			fail(err)
		}
		print(records)
	case len(args) == 1 && args[0] == "list":
		names, err := list(o.registry)
		if err != nil {
			fail(err)
		}
		print(names)
	case len(args) == 4 && args[0] == "call":
		request(o, args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "stream":
		talk(o, args[1], args[2], args[3:])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func serve(o options) {
	// Before the start: a test may send SIGTERM as soon as it sees the service.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if o.address == "" {
		o.address = "127.0.0.1:0"
	}
	address, shutdown, err := startServer(o, new(Say))
	if err != nil {
		fail(err)
	}
	fmt.Println("ready", address)
	<-stop
	if err := shutdown(); err != nil {
		fail(err)
	}
}

func request(o options, service, method, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if o.contentType == "application/json" {
		var answer json.RawMessage
		if err := call(ctx, o, service, method, json.RawMessage(body), &answer); err != nil {
			fail(err)
		}
		fmt.Println(string(answer))
		return
	}
	// Binary codecs need a type: the greeter's.
	req, answer := new(Request), new(Response)
	if err := json.Unmarshal([]byte(body), req); err != nil {
		fail(fmt.Errorf("body: %w", err))
	}
	if err := call(ctx, o, service, method, req, answer); err != nil {
		fail(err)
	}
	print(answer)
}

// talk sends all messages, and prints what comes meanwhile and afterwards.
func talk(o options, service, method string, messages []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := open(ctx, o, service, method)
	if err != nil {
		fail(err)
	}
	sent := make(chan error, 1)
	go func() {
		for _, message := range messages {
			req := new(Request)
			if err := json.Unmarshal([]byte(message), req); err != nil {
				sent <- fmt.Errorf("body: %w", err)
				return
			}
			// When the other side has ended the stream, receiving says why.
			if stream.Send(req) != nil {
				break
			}
		}
		if o.halfCloses() {
			sent <- closeSend(stream)
		} else {
			sent <- nil
		}
	}()
	if o.transport != "" {
		// In v1 no mucp client can send while it waits for an answer.
		if err := <-sent; err != nil {
			fail(err)
		}
		sent <- nil
	}
	for n := 0; ; n++ {
		answer := new(Response)
		switch err := stream.Recv(answer); {
		case err == io.EOF:
			if err := <-sent; err != nil {
				fail(err)
			}
			return
		case err != nil:
			fail(err)
		}
		print(answer)
		// A version that cannot end one direction alone ends both when it has as many answers as it sent messages.
		if !o.halfCloses() && n+1 == o.answers {
			return
		}
	}
}

func print(value interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
