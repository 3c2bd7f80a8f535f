package main

// Go Micro v5.3.0. Of its registries none can be read by others where there is no multicast: it is called and calls by
// address.

import (
	"context"
	"errors"

	"go-micro.dev/v5/broker"
	"go-micro.dev/v5/client"
	"go-micro.dev/v5/codec/json"
	microerrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/server"
	"go-micro.dev/v5/transport"
)

var errNoRegistry = errors.New("this version has no registry that others can read")

var (
	newMemoryRegistry = registry.NewMemoryRegistry
	newMemoryBroker   = broker.NewMemoryBroker
)

func newServer(_ string, options ...server.Option) server.Server {
	return server.NewServer(options...)
}

// newClient knows strangeType, which is JSON by another name.
func newClient(_ string, options ...client.Option) client.Client {
	return client.NewClient(append(options, client.Codec(strangeType, json.NewCodec))...)
}

func lookup(string, string) ([]*registry.Service, error) {
	return nil, errNoRegistry
}

func list(string) ([]string, error) {
	return nil, errNoRegistry
}

func watch(string, string, func(action string, service interface{})) error {
	return errNoRegistry
}

// newTransport speaks TLS where the options ask for it.
func newTransport(o options) transport.Transport {
	var opts []transport.Option
	if o.secure {
		opts = append(opts, transport.Secure(true))
	}
	if config := tlsConfig(o); config != nil {
		opts = append(opts, transport.TLSConfig(config))
	}
	return transport.NewHTTPTransport(opts...)
}

// startServer serves on the default transport, http. It returns the address and what stops it.
func startServer(o options, handler interface{}) (string, func() error, error) {
	s := server.NewServer(
		server.Name(o.name),
		server.Version(o.version),
		server.Address(o.address),
		server.Registry(newMemoryRegistry()),
		server.Transport(newTransport(o)),
		// The default broker listens on a port of its own, which no test needs.
		server.Broker(newMemoryBroker()),
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
		client.Registry(newMemoryRegistry()),
		client.Transport(newTransport(o)),
		client.Broker(newMemoryBroker()),
		client.ContentType(o.contentType),
	)
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	request := c.NewRequest(service, method, req, client.WithContentType(o.contentType))
	return c.Call(ctx, request, answer, client.WithAddress(o.address))
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}

func conflict(id, detail string) error {
	return microerrors.Conflict(id, "%s", detail)
}
