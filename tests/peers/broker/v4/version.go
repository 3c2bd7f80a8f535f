package main

// Go Micro v4.11.0.

import (
	"strings"

	"github.com/go-micro/plugins/v4/registry/consul"
	"github.com/go-micro/plugins/v4/registry/etcd"
	"go-micro.dev/v4/registry"
)

func newRegistry(address string) registry.Registry {
	if address, found := strings.CutPrefix(address, "consul:"); found {
		return consul.NewRegistry(registry.Addrs(address))
	}
	return etcd.NewRegistry(registry.Addrs(address))
}
