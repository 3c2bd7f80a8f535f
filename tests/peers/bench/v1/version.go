package main

// Go Micro v1.18.0.

import (
	"context"
	"fmt"

	"github.com/micro/go-micro/broker/memory"
	"github.com/micro/go-micro/client"
	registry "github.com/micro/go-micro/registry/memory"
	"github.com/micro/go-micro/server"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func startServer(o options, handler interface{}) (string, error) {
	if o.protocol != "mucp" {
		return "", fmt.Errorf("this version is measured with mucp, not %s", o.protocol)
	}
	s := server.NewServer(
		server.Name(service),
		server.Address(o.address),
		server.Registry(registry.NewRegistry()),
		server.Broker(memory.NewBroker()),
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
func newCaller(o options) (func(context.Context, *wrapperspb.StringValue, *wrapperspb.StringValue) error, error) {
	if o.protocol != "mucp" {
		return nil, fmt.Errorf("this version is measured with mucp, not %s", o.protocol)
	}
	c := client.NewClient(
		client.Registry(registry.NewRegistry()),
		client.Broker(memory.NewBroker()),
		client.ContentType("application/protobuf"),
		client.PoolSize(2*o.callers),
	)
	address := client.WithAddress(o.address)
	return func(ctx context.Context, req, rsp *wrapperspb.StringValue) error {
		return c.Call(ctx, c.NewRequest(service, endpoint, req), rsp, address)
	}, nil
}
