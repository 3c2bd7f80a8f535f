package main

// Go Micro v0.1.0 of 2017, whose subscribers are one service for each topic.

import (
	"context"
	"strings"

	"github.com/micro/go-micro/broker"
	"github.com/micro/go-micro/client"
	"github.com/micro/go-micro/metadata"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/consul"
	"github.com/micro/go-micro/selector"
	"github.com/micro/go-micro/server"
)

func newRegistry(address string) registry.Registry {
	return consul.NewRegistry(registry.Addrs(strings.TrimPrefix(address, "consul:")))
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
	if err := s.Register(); err != nil {
		return nil, err
	}
	stop := func() error {
		if err := s.Deregister(); err != nil {
			return err
		}
		return s.Stop()
	}
	return stop, nil
}

// startPublisher returns what publishes an event.
func startPublisher(o options) func(topic string, event *Event) error {
	r := newRegistry(o.registry)
	c := client.NewClient(
		client.Registry(r),
		client.Selector(selector.NewSelector(selector.Registry(r))),
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
		return c.Publish(ctx, c.NewPublication(topic, event))
	}
}

func metadataOf(ctx context.Context) map[string]string {
	md, _ := metadata.FromContext(ctx)
	return md
}
