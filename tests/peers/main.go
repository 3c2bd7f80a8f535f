// A Go Micro program for the interoperability tests: a greeter service, and a client that looks services up and
// calls them. It speaks mucp over the http transport and finds services in etcd or consul; v0 speaks what there was before mucp,
// and v5 has no registry that others can read: these are called and call by address. So does the service of cases.go,
// which also speaks gRPC where the version does.
//
// The same source is built against each Go Micro version; what differs between them is in that version's
// folder. build.sh puts the files together.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  peer server [--registry HOST:PORT] [--name NAME] [--version V] [--address HOST:PORT]
      serve Say.Hello and Say.Fail; print a line "ready ADDRESS" once registered (Go Micro logs to the same place);
      deregister on SIGTERM
  peer get SERVICE [--registry HOST:PORT]
      print the records of a service as JSON, [] if nobody serves it
  peer list [--registry HOST:PORT]
      print the names of all services as JSON
  peer watch SERVICE [--registry HOST:PORT]
      print each event about a service as a line of JSON, until it is ended
  peer call SERVICE METHOD JSON [--registry HOST:PORT] [--address HOST:PORT]
       [--content-type application/json|application/protobuf] [--header KEY=VALUE]...
      print the answer as JSON; an error goes to standard error and ends with exit code 1
  peer matrix-server [--protocol mucp|grpc] [--address HOST:PORT]
      serve Matrix, of cases.go, without a registry; print a line "ready ADDRESS"; end on SIGTERM
  peer cases [CASE...] --address HOST:PORT [--protocol mucp|grpc] [--content-type TYPE]
      go through cases of cases.go, all of them unless some are named, and print an outcome for each, as lines of JSON
  peer load CALLS --address HOST:PORT [--protocol mucp|grpc] [--content-type TYPE]
      make that many calls one after the other, and print what became of them as JSON

HOST:PORT of a registry is an etcd, consul:HOST:PORT a consul.

server and call take, from v1 on, [--secure] for the version's own idea of a secure transport, and [--ca FILE]
[--cert FILE --key FILE] for an authority to trust and a certificate to show.`

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
	protocol    string
	secure      bool
	ca          string
	cert        string
	key         string
	headers     headers
}

// parse reads flags wherever they stand and returns what is left.
func parse(args []string) (options, []string) {
	o := options{headers: headers{}}
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flags.StringVar(&o.registry, "registry", "127.0.0.1:2379", "etcd, or consul:HOST:PORT")
	flags.StringVar(&o.name, "name", "go.micro.srv.gogreeter", "name of the service")
	flags.StringVar(&o.version, "version", "latest", "version of the service")
	flags.StringVar(&o.address, "address", "", "where to listen, or whom to call instead of asking the registry")
	flags.StringVar(&o.contentType, "content-type", "application/json", "codec of a call")
	flags.StringVar(&o.protocol, "protocol", "mucp", "mucp or grpc, of the matrix")
	flags.BoolVar(&o.secure, "secure", false, "speak TLS")
	flags.StringVar(&o.ca, "ca", "", "PEM file with the authority to trust")
	flags.StringVar(&o.cert, "cert", "", "PEM file with the certificate to show")
	flags.StringVar(&o.key, "key", "", "PEM file with its key")
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
	case len(args) == 2 && args[0] == "watch":
		fail(watch(o.registry, args[1], func(action string, service interface{}) {
			print(map[string]interface{}{"action": action, "service": service})
		}))
	case len(args) == 4 && args[0] == "call":
		request(o, args[1], args[2], args[3])
	case len(args) == 1 && args[0] == "matrix-server":
		serveMatrix(o)
	case len(args) >= 1 && args[0] == "cases":
		runCases(o, args[1:])
	case len(args) == 2 && args[0] == "load":
		calls, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			fail(err)
		}
		runLoad(o, calls)
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func serve(o options) {
	stop := untilStopped()
	if o.address == "" {
		o.address = "127.0.0.1:0"
	}
	address, shutdown, err := startServer(o, new(Say))
	if err != nil {
		fail(err)
	}
	fmt.Println("ready", address)
	stop(shutdown)
}

// untilStopped listens for signals from now on, because a test may send SIGTERM as soon as it sees the service. What it
// returns waits for one, and then shuts down.
func untilStopped() func(shutdown func() error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	return func(shutdown func() error) {
		<-signals
		if err := shutdown(); err != nil {
			fail(err)
		}
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

func print(value interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
