// A gRPC program without Go Micro, for the interoperability tests: the service helloworld.Greeter, with reflection and
// health or without, and a client of any method that takes and gives a greeter's messages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const usage = `usage:
  plain server [--address HOST:PORT] [--bare]
      serve helloworld.Greeter; print a line "ready ADDRESS". --bare: without reflection and health
  plain call ADDRESS /PKG.SERVICE/METHOD JSON [--header KEY=VALUE]... [--timeout DURATION]
      print the answer as JSON; the status goes to standard error, as "CODE: MESSAGE", and ends with exit code 1
  plain health ADDRESS [SERVICE]
      print the status that grpc.health.v1 gives`

// proto is the definition that a program without generated code needs: greeter.Request and Response of the examples,
// under names of their own.
const proto = `
name: "helloworld.proto" package: "helloworld" syntax: "proto3"
message_type { name: "HelloRequest"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name" } }
message_type { name: "HelloReply"
  field { name: "msg" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "msg" }
  field { name: "big_number" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "bigNumber" } }
service { name: "Greeter"
  method { name: "SayHello" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" }
  method { name: "SayFail" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" }
  method { name: "SayNothing" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" }
  method { name: "Watch" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" server_streaming: true } }`

func file() (protoreflect.FileDescriptor, error) {
	described := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(proto), described); err != nil {
		return nil, err
	}
	built, err := protodesc.NewFile(described, protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	return built, protoregistry.GlobalFiles.RegisterFile(built)
}

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

func main() {
	var address string
	var bare bool
	var timeout time.Duration
	header := headers{}
	flags := flag.NewFlagSet("plain", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flags.StringVar(&address, "address", "127.0.0.1:0", "where to listen")
	flags.BoolVar(&bare, "bare", false, "without reflection and health")
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "of a call")
	flags.Var(header, "header", "metadata of a call, KEY=VALUE")
	var args []string
	for rest := os.Args[1:]; len(rest) > 0; {
		if err := flags.Parse(rest); err != nil {
			fail(err)
		}
		if rest = flags.Args(); len(rest) > 0 {
			args, rest = append(args, rest[0]), rest[1:]
		}
	}
	greeter, err := file()
	if err != nil {
		fail(err)
	}
	switch {
	case len(args) == 1 && args[0] == "server":
		serve(greeter, address, bare)
	case len(args) == 4 && args[0] == "call":
		call(greeter, args[1], args[2], args[3], header, timeout)
	case (len(args) == 2 || len(args) == 3) && args[0] == "health":
		check(args[1], append(args, "")[2])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func serve(greeter protoreflect.FileDescriptor, address string, bare bool) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	request := greeter.Messages().ByName("HelloRequest")
	reply := greeter.Messages().ByName("HelloReply")
	unary := func(name string, answer func(context.Context, string, *dynamicpb.Message) error) grpc.MethodDesc {
		run := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in, out := dynamicpb.NewMessage(request), dynamicpb.NewMessage(reply)
			if err := decode(in); err != nil {
				return nil, err
			}
			return out, answer(ctx, in.Get(request.Fields().ByName("name")).String(), out)
		}
		return grpc.MethodDesc{MethodName: name, Handler: run}
	}
	set := func(out *dynamicpb.Message, msg string) {
		out.Set(reply.Fields().ByName("msg"), protoreflect.ValueOfString(msg))
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "helloworld.Greeter",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unary("SayHello", func(ctx context.Context, name string, out *dynamicpb.Message) error {
				word := "Hello"
				if values := metadata.ValueFromIncomingContext(ctx, "greeting"); len(values) > 0 {
					word = values[0]
				}
				set(out, word+" "+name)
				out.Set(reply.Fields().ByName("big_number"), protoreflect.ValueOfInt64(1<<53+1))
				return nil
			}),
			unary("SayFail", func(_ context.Context, name string, _ *dynamicpb.Message) error {
				return status.Error(codes.AlreadyExists, "no "+name+" 100%\n")
			}),
			unary("SayNothing", func(ctx context.Context, _ string, _ *dynamicpb.Message) error {
				<-ctx.Done()
				fmt.Println("cancelled", ctx.Err())
				return ctx.Err()
			}),
		},
		Streams: []grpc.StreamDesc{{
			StreamName:    "Watch",
			ServerStreams: true,
			Handler:       func(any, grpc.ServerStream) error { return nil },
		}},
		Metadata: "helloworld.proto",
	}, struct{}{})
	if !bare {
		reflection.Register(s)
		healthy := health.NewServer()
		healthy.SetServingStatus("helloworld.Greeter", healthpb.HealthCheckResponse_SERVING)
		healthpb.RegisterHealthServer(s, healthy)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	go func() {
		<-stop
		s.GracefulStop()
	}()
	fmt.Println("ready", listener.Addr())
	if err := s.Serve(listener); err != nil {
		fail(err)
	}
}

func connect(address string) *grpc.ClientConn {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail(err)
	}
	return connection
}

func call(greeter protoreflect.FileDescriptor, address, method, body string, header headers, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(header))
	in := dynamicpb.NewMessage(greeter.Messages().ByName("HelloRequest"))
	out := dynamicpb.NewMessage(greeter.Messages().ByName("HelloReply"))
	if err := protojson.Unmarshal([]byte(body), in); err != nil {
		fail(err)
	}
	if err := connect(address).Invoke(ctx, method, in, out); err != nil {
		failed := status.Convert(err)
		fail(fmt.Errorf("%s: %s", failed.Code(), failed.Message()))
	}
	answer, err := protojson.Marshal(out)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(answer))
}

func check(address, service string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := &healthpb.HealthCheckRequest{Service: service}
	answer, err := healthpb.NewHealthClient(connect(address)).Check(ctx, request)
	if err != nil {
		failed := status.Convert(err)
		fail(fmt.Errorf("%s: %s", failed.Code(), failed.Message()))
	}
	fmt.Println(answer.Status)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
