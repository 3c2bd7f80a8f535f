// The Micro toolkit v2.9.3 for the benchmarks: `bench api ...` is its `micro api`, and `bench serve ETCD` a greeter of
// the Go Micro version that it is made of, v2.9.1, with that version's default protocol, gRPC.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/micro/go-micro/v2/broker/memory"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	"github.com/micro/go-micro/v2/server"
	"github.com/micro/go-micro/v2/server/grpc"
	"github.com/micro/micro/v2/cmd"
)

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

func main() {
	if len(os.Args) != 3 || os.Args[1] != "serve" {
		cmd.Init()
		return
	}
	if err := serve(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	s := grpc.NewServer(
		// Not the name of the other greeter in the same registry.
		server.Name("go.micro.srv.gogreeter"),
		server.Address("127.0.0.1:0"),
		server.Registry(etcd.NewRegistry(registry.Addrs(address))),
		// The default broker listens on a port of its own, which nothing here needs.
		server.Broker(memory.NewBroker()),
	)
	if err := s.Handle(s.NewHandler(new(Say))); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	fmt.Println("ready", s.Options().Address)
	<-stop
	return s.Stop()
}
