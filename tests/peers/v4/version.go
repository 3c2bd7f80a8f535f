package main

// Go Micro v4.11.0.

import (
	"context"
	"strings"
	"time"

	"github.com/go-micro/plugins/v4/registry/consul"
	etcd "github.com/go-micro/plugins/v4/registry/etcd"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"
)

func newRegistry(address string) registry.Registry {
	if address, found := strings.CutPrefix(address, "consul:"); found {
		return consul.NewRegistry(registry.Addrs(address))
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
	return transport.NewHTTPTransport(opts...)
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
		server.Broker(broker.NewMemoryBroker()),
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
		client.Broker(broker.NewMemoryBroker()),
		client.ContentType(o.contentType),
	)
	// The client's default selector has a registry of its own.
	if err := c.Options().Selector.Init(selector.Registry(c.Options().Registry)); err != nil {
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
