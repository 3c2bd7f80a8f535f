package main

// Events through the http broker of Go Micro v4.11.0.

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const topic = "bench"

// late is when an event counts as lost.
const late = 10 * time.Second

// newPublisher starts a subscriber and returns what publishes an event and waits until it was handled. Publishing alone
// waits for nothing, and what is published faster than it is delivered is lost.
func newPublisher() (func(context.Context, *wrapperspb.StringValue, *wrapperspb.StringValue) error, error) {
	known := registry.NewMemoryRegistry()
	b := broker.NewBroker(broker.Registry(known), broker.Addrs("127.0.0.1:0"))
	s := server.NewServer(
		server.Name(service),
		server.Address("127.0.0.1:0"),
		server.Registry(known),
		server.Broker(b),
		server.WithLogger(logger.NewLogger(logger.WithOutput(os.Stderr), logger.WithLevel(logger.ErrorLevel))),
	)
	var waiting sync.Map
	handle := func(_ context.Context, event *wrapperspb.StringValue) error {
		if handled, found := waiting.LoadAndDelete(event.Value); found {
			close(handled.(chan struct{}))
		}
		return nil
	}
	if err := s.Subscribe(s.NewSubscriber(topic, handle)); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	c := client.NewClient(client.Registry(known), client.Broker(b), client.ContentType("application/protobuf"))
	var last uint64
	return func(ctx context.Context, req, rsp *wrapperspb.StringValue) error {
		// As long as the payload, and told from all others.
		text := fmt.Sprintf("%0*d", len(payload), atomic.AddUint64(&last, 1))
		handled := make(chan struct{})
		waiting.Store(text, handled)
		if err := c.Publish(ctx, c.NewMessage(topic, wrapperspb.String(text))); err != nil {
			return err
		}
		select {
		case <-handled:
			rsp.Value = req.Value
			return nil
		case <-time.After(late):
			return fmt.Errorf("an event was not handled within %v", late)
		}
	}, nil
}
