package main

// Go Micro v0.1.0 of 2017: the protocol of the first versions, in which the body is an envelope and no header says who
// is called. It has no registry for etcd: its records stay in the process, and a test writes the server's address into
// a registry of its own.

import (
	"context"
	"errors"

	broker "github.com/micro/go-micro/broker/mock"
	"github.com/micro/go-micro/client"
	microerrors "github.com/micro/go-micro/errors"
	"github.com/micro/go-micro/metadata"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/mock"
	"github.com/micro/go-micro/server"
)

var errNoRegistry = errors.New("this version has no registry that others can read")

func lookup(string, string) ([]*registry.Service, error) {
	return nil, errNoRegistry
}

func list(string) ([]string, error) {
	return nil, errNoRegistry
}

func watch(string, string, func(string, interface{})) error {
	return errNoRegistry
}

// startServer serves on the default transport, http. It returns the address and what stops it.
func startServer(o options, handler interface{}) (string, func() error, error) {
	s := server.NewServer(
		server.Name(o.name),
		server.Version(o.version),
		server.Address(o.address),
		server.Registry(mock.NewRegistry()),
		// The default broker listens on a port of its own, which no test needs.
		server.Broker(broker.NewBroker()),
	)
	if err := s.Handle(s.NewHandler(handler)); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	return s.Options().Address, s.Stop, nil
}

func call(ctx context.Context, o options, service, method string, req, answer interface{}) error {
	if o.address == "" {
		return errNoRegistry
	}
	c := client.NewClient(
		client.Registry(mock.NewRegistry()),
		client.Broker(broker.NewBroker()),
		client.ContentType(o.contentType),
	)
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	return c.CallRemote(ctx, o.address, c.NewRequest(service, method, req), answer)
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}

func conflict(id, detail string) error {
	return microerrors.New(id, detail, 409)
}
