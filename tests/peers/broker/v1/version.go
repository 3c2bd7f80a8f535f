package main

// Go Micro v1.18.0.

import (
	"context"
	"strings"
	"time"

	"github.com/micro/go-micro/broker"
	"github.com/micro/go-micro/client"
	"github.com/micro/go-micro/metadata"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/etcd"
	"github.com/micro/go-micro/server"
	"github.com/micro/go-plugins/registry/consul"
)

func newRegistry(address string) registry.Registry {
	if address, found := strings.CutPrefix(address, "consul:"); found {
		return consul.NewRegistry(registry.Addrs(address))
	}
	return etcd.NewRegistry(registry.Addrs(address))
}

func newBroker(o options) broker.Broker {
	return broker.NewBroker(broker.Registry(newRegistry(o.registry)), broker.Addrs(o.address))
}

// startSubscriber subscribes as a service does, and returns what ends that.
func startSubscriber(o options, topic string, run func(context.Context, *Event) error) (func() error, error) {
	s := server.NewServer(
		server.Name("go.micro.srv.gosubscriber"),
		server.Address(o.address),
		server.Registry(newRegistry(o.registry)),
		server.Broker(newBroker(o)),
		server.RegisterTTL(6*time.Second),
		server.RegisterInterval(2*time.Second),
	)
	var opts []server.SubscriberOption
	if o.queue != "" {
		opts = append(opts, server.SubscriberQueue(o.queue))
	}
	if err := s.Subscribe(s.NewSubscriber(topic, run, opts...)); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s.Stop, nil
}

// startPublisher returns what publishes an event.
func startPublisher(o options) func(topic string, event *Event) error {
	c := client.NewClient(
		client.Registry(newRegistry(o.registry)),
		client.Broker(newBroker(o)),
		client.ContentType(o.contentType),
	)
	return func(topic string, event *Event) error {
		// The client writes into the map.
		md := metadata.Metadata{}
		for key, value := range o.headers {
			md[key] = value
		}
		ctx := metadata.NewContext(context.Background(), md)
		return c.Publish(ctx, c.NewMessage(topic, event))
	}
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}
