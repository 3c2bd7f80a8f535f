package main

import (
	"context"
	"errors"

	broker "github.com/micro/go-micro/broker/mock"
	"github.com/micro/go-micro/client"
	"github.com/micro/go-micro/codec/jsonrpc"
	"github.com/micro/go-micro/metadata"
	registry "github.com/micro/go-micro/registry/mock"
	"github.com/micro/go-micro/server"
)

// Matrix is the handler; its methods become the endpoints Matrix.Echo and so on.
type Matrix struct{ unary }

func (*Matrix) Chat(_ context.Context, stream server.Streamer) error  { return chat(stream) }
func (*Matrix) Count(_ context.Context, stream server.Streamer) error { return count(stream) }
func (*Matrix) Break(_ context.Context, stream server.Streamer) error { return breakOff(stream) }

// startMatrix serves without a registry or broker that others can reach.
func startMatrix(o options) (string, func() error, error) {
	s := server.NewServer(
		server.Name(matrixName),
		server.Address(o.address),
		server.Registry(registry.NewRegistry()),
		server.Broker(broker.NewBroker()),
	)
	if err := s.Handle(s.NewHandler(new(Matrix))); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	return s.Options().Address, s.Stop, nil
}

type versionCaller struct {
	address string
	options []client.Option
	// By content type, which this version sets for a client as a whole.
	clients map[string]client.Client
}

func newCaller(o options) (caller, error) {
	options := []client.Option{
		client.Registry(registry.NewRegistry()),
		client.Broker(broker.NewBroker()),
		// Without a pool it would connect for every call.
		client.PoolSize(1),
		// It is JSON-RPC by another name.
		client.Codec(strangeType, jsonrpc.NewCodec),
	}
	return &versionCaller{o.address, options, map[string]client.Client{}}, nil
}

func (c *versionCaller) of(contentType string) client.Client {
	if c.clients[contentType] == nil {
		options := append([]client.Option{client.ContentType(contentType)}, c.options...)
		c.clients[contentType] = client.NewClient(options...)
	}
	return c.clients[contentType]
}

func (c *versionCaller) call(ctx context.Context, contentType, endpoint string, req, rsp interface{}) error {
	ctx = metadata.NewContext(ctx, metadata.Metadata(matrixMetadata))
	client := c.of(contentType)
	return client.CallRemote(ctx, c.address, client.NewRequest(matrixName, endpoint, req), rsp)
}

func (c *versionCaller) stream(ctx context.Context, contentType, endpoint string, first interface{}) (clientStream, error) {
	of := c.of(contentType)
	return of.StreamRemote(ctx, c.address, of.NewRequest(matrixName, endpoint, first, client.StreamingRequest()))
}

func (*versionCaller) event(string, string, interface{}) error {
	return errors.New("this version sends no events over the transport")
}
