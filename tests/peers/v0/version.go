package main

// Go Micro v0.1.0 of 2017: the protocol of the first versions, in which the body is an envelope and no header says who
// is called. It has no registry for etcd: its records stay in the process unless consul is named, and a test writes the
// server's address into a registry of its own.

import (
	"context"
	"errors"
	"strings"

	broker "github.com/micro/go-micro/broker/mock"
	"github.com/micro/go-micro/client"
	microerrors "github.com/micro/go-micro/errors"
	"github.com/micro/go-micro/metadata"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/consul"
	"github.com/micro/go-micro/registry/mock"
	"github.com/micro/go-micro/selector"
	"github.com/micro/go-micro/server"
)

var errNoRegistry = errors.New("this version has no registry that others can read")

// newRegistry returns one that others can read, if there is one.
func newRegistry(address string) (registry.Registry, bool) {
	if address, found := strings.CutPrefix(address, "consul:"); found {
		return consul.NewRegistry(registry.Addrs(address)), true
	}
	return mock.NewRegistry(), false
}

func lookup(address, service string) ([]*registry.Service, error) {
	r, shared := newRegistry(address)
	if !shared {
		return nil, errNoRegistry
	}
	return r.GetService(service)
}

func list(address string) ([]string, error) {
	r, shared := newRegistry(address)
	if !shared {
		return nil, errNoRegistry
	}
	records, err := r.ListServices()
	names := []string{}
	for _, record := range records {
		names = append(names, record.Name)
	}
	return names, err
}

// watch calls back with every event about a service, for as long as that works.
func watch(address, service string, event func(action string, service interface{})) error {
	r, shared := newRegistry(address)
	if !shared {
		return errNoRegistry
	}
	watcher, err := r.Watch()
	if err != nil {
		return err
	}
	for {
		result, err := watcher.Next()
		if err != nil {
			return err
		}
		if result.Service.Name == service {
			event(result.Action, result.Service)
		}
	}
}

// startServer serves on the default transport, http, and registers, without a TTL: of this version only whole services
// send heartbeats. It returns the address and what stops it.
func startServer(o options, handler interface{}) (string, func() error, error) {
	r, _ := newRegistry(o.registry)
	s := server.NewServer(
		server.Name(o.name),
		server.Version(o.version),
		server.Address(o.address),
		server.Registry(r),
		// The default broker listens on a port of its own, which no test needs.
		server.Broker(broker.NewBroker()),
	)
	if err := s.Handle(s.NewHandler(handler)); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	if err := s.Register(); err != nil {
		return "", nil, err
	}
	stop := func() error {
		if err := s.Deregister(); err != nil {
			return err
		}
		return s.Stop()
	}
	return s.Options().Address, stop, nil
}

func call(ctx context.Context, o options, service, method string, req, answer interface{}) error {
	r, shared := newRegistry(o.registry)
	if o.address == "" && !shared {
		return errNoRegistry
	}
	c := client.NewClient(
		client.Registry(r),
		// The client's default selector has a registry of its own.
		client.Selector(selector.NewSelector(selector.Registry(r))),
		client.Broker(broker.NewBroker()),
		client.ContentType(o.contentType),
	)
	ctx = metadata.NewContext(ctx, metadata.Metadata(o.headers))
	request := c.NewRequest(service, method, req)
	if o.address == "" {
		return c.Call(ctx, request, answer)
	}
	return c.CallRemote(ctx, o.address, request, answer)
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}

func conflict(id, detail string) error {
	return microerrors.New(id, detail, 409)
}
