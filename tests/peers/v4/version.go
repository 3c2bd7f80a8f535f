package main

// Go Micro v4.11.0.

import (
	"strings"

	grpcclient "github.com/go-micro/plugins/v4/client/grpc"
	"github.com/go-micro/plugins/v4/registry/consul"
	etcd "github.com/go-micro/plugins/v4/registry/etcd"
	grpcserver "github.com/go-micro/plugins/v4/server/grpc"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/codec/json"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"
)

var (
	newHTTPTransport  = transport.NewHTTPTransport
	newMemoryRegistry = registry.NewMemoryRegistry
	newMemoryBroker   = broker.NewMemoryBroker
	selectFrom        = selector.Registry
)

func newRegistry(address string) registry.Registry {
	if address, found := strings.CutPrefix(address, "consul:"); found {
		return consul.NewRegistry(registry.Addrs(address))
	}
	return etcd.NewRegistry(registry.Addrs(address))
}

func newServer(protocol string, options ...server.Option) server.Server {
	if protocol == "grpc" {
		return grpcserver.NewServer(options...)
	}
	return server.NewServer(options...)
}

// newClient knows strangeType, which is JSON by another name.
func newClient(protocol string, options ...client.Option) client.Client {
	if protocol == "grpc" {
		return grpcclient.NewClient(append(options, grpcclient.Codec(strangeType, strangeCodec{}))...)
	}
	return client.NewClient(append(options, client.Codec(strangeType, json.NewCodec))...)
}

type strangeCodec struct{ json.Marshaler }

func (strangeCodec) Name() string { return "x-strange" }
