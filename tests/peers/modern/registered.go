package main

// What main.go does with a registry that others can read, for v1 to v4. build.sh says which module go-micro is; what does
// differ is in the version's own folder.

import (
	"context"
	"time"

	"go-micro/client"
	"go-micro/errors"
	"go-micro/metadata"
	"go-micro/registry"
	"go-micro/server"
	"go-micro/transport"
)

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

// watch calls back with every event about a service, for as long as that works.
func watch(address, service string, event func(action string, service interface{})) error {
	watcher, err := newRegistry(address).Watch(registry.WatchService(service))
	if err != nil {
		return err
	}
	for {
		result, err := watcher.Next()
		if err != nil {
			return err
		}
		event(result.Action, result.Service)
	}
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
	return newHTTPTransport(opts...)
}

// startServer serves on the default transport, http, and registers. It returns the address and what stops it.
func startServer(o options, handler interface{}) (string, func() error, error) {
	s := server.NewServer(
		server.Name(o.name),
		server.Version(o.version),
		server.Address(o.address),
		server.Registry(newRegistry(o.registry)),
		server.Transport(newTransport(o)),
		// The default broker listens on a port of its own, which no test needs.
		server.Broker(newMemoryBroker()),
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

func call(ctx context.Context, o options, service, method string, req, answer interface{}) error {
	c := client.NewClient(
		client.Registry(newRegistry(o.registry)),
		client.Transport(newTransport(o)),
		client.Broker(newMemoryBroker()),
		client.ContentType(o.contentType),
	)
	// The client's default selector has a registry of its own.
	if err := c.Options().Selector.Init(selectFrom(c.Options().Registry)); err != nil {
		return err
	}
	var opts []client.CallOption
	if o.address != "" {
		opts = append(opts, client.WithAddress(o.address))
	}
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	return c.Call(ctx, c.NewRequest(service, method, req, client.WithContentType(o.contentType)), answer, opts...)
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}

func conflict(id, detail string) error {
	return errors.Conflict(id, "%s", detail)
}
