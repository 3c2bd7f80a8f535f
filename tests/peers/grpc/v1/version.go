package main

// Go Micro v1.18.0 over gRPC.

import (
	"context"
	"time"

	"github.com/micro/go-micro/broker/memory"
	"github.com/micro/go-micro/client"
	grpcclient "github.com/micro/go-micro/client/grpc"
	"github.com/micro/go-micro/client/selector"
	"github.com/micro/go-micro/errors"
	"github.com/micro/go-micro/metadata"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/etcd"
	memregistry "github.com/micro/go-micro/registry/memory"
	"github.com/micro/go-micro/server"
	grpcserver "github.com/micro/go-micro/server/grpc"
	"github.com/micro/go-micro/transport"
	grpctransport "github.com/micro/go-micro/transport/grpc"
)

// newRegistry is etcd's, or one of the process alone where no address says otherwise.
func newRegistry(address string) registry.Registry {
	if address == "" {
		return memregistry.NewRegistry()
	}
	return etcd.NewRegistry(registry.Addrs(address))
}

// lookup returns what the registry knows of a service; an unknown one is an empty list.
func lookup(address, service string) ([]*registry.Service, error) {
	records, err := newRegistry(address).GetService(service)
	if err == registry.ErrNotFound {
		return []*registry.Service{}, nil
	}
	return records, err
}

func list(address string) ([]string, error) {
	records, err := newRegistry(address).ListServices()
	names := []string{}
	for _, record := range records {
		names = append(names, record.Name)
	}
	return names, err
}

// startServer serves over gRPC, and registers. It returns the address and what stops it.
func startServer(o options, handler interface{}) (string, func() error, error) {
	newServer, transport := grpcserver.NewServer, transport.DefaultTransport
	if o.transport == "grpc" {
		newServer, transport = server.NewServer, grpctransport.NewTransport()
	}
	s := newServer(
		server.Transport(transport),
		server.Name(o.name),
		server.Version(o.version),
		server.Address(o.address),
		server.Registry(newRegistry(o.registry)),
		// The default broker listens on a port of its own, which no test needs.
		server.Broker(memory.NewBroker()),
		server.RegisterTTL(6*time.Second),
		server.RegisterInterval(2*time.Second),
	)
	if err := s.Handle(s.NewHandler(handler)); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	return s.Options().Address, s.Stop, nil
}

func clientOf(o options) (client.Client, []client.CallOption, error) {
	newClient, transport := grpcclient.NewClient, transport.DefaultTransport
	if o.transport == "grpc" {
		newClient, transport = client.NewClient, grpctransport.NewTransport()
	}
	c := newClient(
		client.Transport(transport),
		client.Registry(newRegistry(o.registry)),
		client.Broker(memory.NewBroker()),
		client.ContentType(o.contentType),
	)
	// The client's default selector has a registry of its own.
	if err := c.Options().Selector.Init(selector.Registry(c.Options().Registry)); err != nil {
		return nil, nil, err
	}
	var opts []client.CallOption
	if o.address != "" {
		opts = append(opts, client.WithAddress(o.address))
	}
	return c, opts, nil
}

func call(ctx context.Context, o options, service, method string, req, answer interface{}) error {
	c, opts, err := clientOf(o)
	if err != nil {
		return err
	}
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	return c.Call(ctx, c.NewRequest(service, method, req, client.WithContentType(o.contentType)), answer, opts...)
}

// Stream is what a handler of a stream takes.
type Stream = server.Stream

// halfCloses says whether a caller can end its direction of a stream alone.
const halfCloses = true

func open(ctx context.Context, o options, service, method string) (client.Stream, error) {
	c, opts, err := clientOf(o)
	if err != nil {
		return nil, err
	}
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	req := c.NewRequest(service, method, new(Request), client.WithContentType(o.contentType), client.StreamingRequest())
	return c.Stream(ctx, req, opts...)
}

// closeSend says that no more messages will come.
func closeSend(s client.Stream) error {
	return s.Close()
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}

func conflict(id, detail string) error {
	return errors.Conflict(id, "%s", detail)
}
