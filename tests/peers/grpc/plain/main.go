// A gRPC program without Go Micro, for the interoperability tests: the service helloworld.Greeter, with reflection and
// health or without, and a client of any method that takes and gives a greeter's messages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
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
  plain stream ADDRESS /PKG.SERVICE/METHOD [JSON...] [flags as of call]
      send the messages, say that there are no more, and print each answer as JSON; the status as with call
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
  method { name: "Watch" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" server_streaming: true }
  method { name: "Count" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" server_streaming: true }
  method { name: "Join" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" client_streaming: true }
  method { name: "Chat" input_type: ".helloworld.HelloRequest" output_type: ".helloworld.HelloReply" client_streaming: true server_streaming: true } }`

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
	case len(args) >= 3 && args[0] == "stream":
		talk(greeter, args[1], args[2], args[3:], header, timeout)
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
	receive := func(stream grpc.ServerStream) (string, error) {
		in := dynamicpb.NewMessage(request)
		err := stream.RecvMsg(in)
		return in.Get(request.Fields().ByName("name")).String(), err
	}
	send := func(stream grpc.ServerStream, msg string) error {
		out := dynamicpb.NewMessage(reply)
		set(out, msg)
		return stream.SendMsg(out)
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
		}, {
			StreamName:    "Count",
			ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				name, err := receive(stream)
				if err != nil {
					return err
				}
				until, err := strconv.Atoi(name)
				if err != nil {
					return status.Error(codes.InvalidArgument, "no number: "+name)
				}
				for n := 1; n <= until; n++ {
					if err := send(stream, strconv.Itoa(n)); err != nil {
						return err
					}
				}
				return nil
			},
		}, {
			StreamName:    "Join",
			ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				var names []string
				for {
					switch name, err := receive(stream); err {
					case nil:
						names = append(names, name)
					case io.EOF:
						return send(stream, strings.Join(names, " "))
					default:
						return err
					}
				}
			},
		}, {
			StreamName:    "Chat",
			ServerStreams: true,
			ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				for {
					switch name, err := receive(stream); {
					case err == io.EOF:
						return nil
					case err != nil:
						return err
					case name == "fail":
						return status.Error(codes.AlreadyExists, "no "+name)
					default:
						if err := send(stream, "Hello "+name); err != nil {
							return err
						}
					}
				}
			},
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

// talk sends all messages, and prints what comes meanwhile and afterwards.
func talk(greeter protoreflect.FileDescriptor, address, method string, bodies []string, header headers, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(header))
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connect(address).NewStream(ctx, both, method)
	if err != nil {
		fail(err)
	}
	go func() {
		for _, body := range bodies {
			in := dynamicpb.NewMessage(greeter.Messages().ByName("HelloRequest"))
			if err := protojson.Unmarshal([]byte(body), in); err != nil {
				fail(err)
			}
			// When the other side has ended the stream, receiving says why.
			if stream.SendMsg(in) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	for {
		out := dynamicpb.NewMessage(greeter.Messages().ByName("HelloReply"))
		switch err := stream.RecvMsg(out); {
		case err == io.EOF:
			return
		case err != nil:
			failed := status.Convert(err)
			fail(fmt.Errorf("%s: %s", failed.Code(), failed.Message()))
		}
		answer, err := protojson.Marshal(out)
		if err != nil {
			fail(err)
		}
		fmt.Println(string(answer))
	}
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
