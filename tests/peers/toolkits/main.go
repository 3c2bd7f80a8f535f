// A Go Micro program as its makers had it in mind: micro.NewService, and everything else from the flags and variables
// that every such program has, MICRO_REGISTRY=service among them. The tests of `micro registry` and of the toolkits run
// it; nobody has adapted it to what it meets there.
//
// The same source is built against Go Micro v1.18 (mucp) and v2.9.1 (gRPC).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

const usage = `usage:
  stock serve NAME             serve Say.Hello, Say.Fail and the stream Say.Count; print "ready ADDRESS"
  stock call NAME METHOD JSON  print the answer as JSON
  stock get NAME               print the records of a service as JSON
  stock list                   print the names of all services as JSON
  stock watch [NAME]           print "watching", then each event as a line of JSON
MICRO_REGISTRY, MICRO_REGISTRY_ADDRESS and so on say the rest.`

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

// Say is the handler.
type Say struct{}

// Hello greets.
func (*Say) Hello(_ context.Context, req *Request, rsp *Response) error {
	rsp.Msg = "Hello " + req.Name
	return nil
}

// Fail answers with a structured error, code 409.
func (*Say) Fail(_ context.Context, req *Request, _ *Response) error {
	return conflict("go.micro.srv.stock", "no "+req.Name)
}

func main() {
	args := os.Args[1:]
	// What is left is for Go Micro, which takes the rest from variables.
	os.Args = os.Args[:1]
	switch {
	case len(args) == 2 && args[0] == "serve":
		check(serve(args[1], new(Say)))
	case len(args) == 4 && args[0] == "call":
		var answer json.RawMessage
		check(call(args[1], args[2], json.RawMessage(args[3]), &answer))
		fmt.Println(string(answer))
	case len(args) == 2 && args[0] == "get":
		records, err := lookup(args[1])
		check(err)
		print(records)
	case len(args) == 1 && args[0] == "list":
		names, err := list()
		check(err)
		print(names)
	case len(args) >= 1 && args[0] == "watch":
		name := ""
		if len(args) > 1 {
			name = args[1]
		}
		check(watch(name))
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func print(value interface{}) {
	check(json.NewEncoder(os.Stdout).Encode(value))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
