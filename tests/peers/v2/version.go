package main

// Go Micro v2.9.1.

import (
	"strings"

	"github.com/micro/go-micro/v2/broker/memory"
	"github.com/micro/go-micro/v2/client"
	grpcclient "github.com/micro/go-micro/v2/client/grpc"
	"github.com/micro/go-micro/v2/client/selector"
	"github.com/micro/go-micro/v2/codec/json"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	memoryregistry "github.com/micro/go-micro/v2/registry/memory"
	"github.com/micro/go-micro/v2/server"
	grpcserver "github.com/micro/go-micro/v2/server/grpc"
	"github.com/micro/go-micro/v2/transport"
	"github.com/micro/go-plugins/registry/consul/v2"
)

var (
	newHTTPTransport  = transport.NewTransport
	newMemoryRegistry = memoryregistry.NewRegistry
	newMemoryBroker   = memory.NewBroker
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
