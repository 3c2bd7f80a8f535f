package main

// Go Micro v1.18.0.

import (
	"strings"

	"github.com/micro/go-micro/broker/memory"
	"github.com/micro/go-micro/client"
	grpcclient "github.com/micro/go-micro/client/grpc"
	"github.com/micro/go-micro/client/selector"
	"github.com/micro/go-micro/codec/json"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/etcd"
	memoryregistry "github.com/micro/go-micro/registry/memory"
	"github.com/micro/go-micro/server"
	grpcserver "github.com/micro/go-micro/server/grpc"
	"github.com/micro/go-micro/transport"
	"github.com/micro/go-plugins/registry/consul"
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
