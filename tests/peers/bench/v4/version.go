package main

// Go Micro v4.11.0, and its gRPC plugins v1.2.0.

import (
	"context"
	"fmt"

	grpcclient "github.com/go-micro/plugins/v4/client/grpc"
	grpcserver "github.com/go-micro/plugins/v4/server/grpc"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func startServer(o options, handler interface{}) (string, error) {
	newServer := server.NewServer
	switch o.protocol {
	case "mucp":
	case "grpc":
		newServer = grpcserver.NewServer
	default:
		return "", fmt.Errorf("no such protocol: %s", o.protocol)
	}
	s := newServer(
		server.Name(service),
		server.Address(o.address),
		server.Registry(registry.NewMemoryRegistry()),
		server.Broker(broker.NewMemoryBroker()),
	)
	if err := s.Handle(s.NewHandler(handler)); err != nil {
		return "", err
	}
	if err := s.Start(); err != nil {
		return "", err
	}
	return s.Options().Address, nil
}

// newCaller calls the server by its address, which leaves registry and selector out, with a connection for each caller.
// The gRPC client shares connections between callers, as it does for everybody.
func newCaller(o options) (func(context.Context, *wrapperspb.StringValue, *wrapperspb.StringValue) error, error) {
	newClient, contentType := client.NewClient, "application/protobuf"
	switch o.protocol {
	case "mucp":
	case "grpc":
		newClient, contentType = grpcclient.NewClient, "application/grpc+proto"
	case "events":
		return newPublisher()
	default:
		return nil, fmt.Errorf("no such protocol: %s", o.protocol)
	}
	c := newClient(
		client.Registry(registry.NewMemoryRegistry()),
		client.Broker(broker.NewMemoryBroker()),
		client.ContentType(contentType),
		client.PoolSize(2*o.callers),
	)
	address := client.WithAddress(o.address)
	return func(ctx context.Context, req, rsp *wrapperspb.StringValue) error {
		return c.Call(ctx, c.NewRequest(service, endpoint, req), rsp, address)
	}, nil
}
