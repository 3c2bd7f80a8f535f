package main

// Events through the http broker of Go Micro v4.11.0.

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
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

func init() { verbs["flood"] = flood }

// subscribe starts a server whose subscriber calls handle, and returns what publishes a text.
func subscribe(handle func(text string)) (func(context.Context, string) error, error) {
	known := registry.NewMemoryRegistry()
	b := broker.NewBroker(broker.Registry(known), broker.Addrs("127.0.0.1:0"))
	s := server.NewServer(
		server.Name(service),
		server.Address("127.0.0.1:0"),
		server.Registry(known),
		server.Broker(b),
		server.WithLogger(logger.NewLogger(logger.WithOutput(os.Stderr), logger.WithLevel(logger.ErrorLevel))),
	)
	subscriber := func(_ context.Context, event *wrapperspb.StringValue) error {
		handle(event.Value)
		return nil
	}
	if err := s.Subscribe(s.NewSubscriber(topic, subscriber)); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	c := client.NewClient(client.Registry(known), client.Broker(b), client.ContentType("application/protobuf"))
	return func(ctx context.Context, text string) error {
		return c.Publish(ctx, c.NewMessage(topic, wrapperspb.String(text)))
	}, nil
}

// newPublisher starts a subscriber and returns what publishes an event and waits until it was handled.
func newPublisher() (func(context.Context, *wrapperspb.StringValue, *wrapperspb.StringValue) error, error) {
	var waiting sync.Map
	publish, err := subscribe(func(text string) {
		if handled, found := waiting.LoadAndDelete(text); found {
			close(handled.(chan struct{}))
		}
	})
	if err != nil {
		return nil, err
	}
	var last uint64
	return func(ctx context.Context, req, rsp *wrapperspb.StringValue) error {
		text := padded(int64(atomic.AddUint64(&last, 1)))
		handled := make(chan struct{})
		waiting.Store(text, handled)
		if err := publish(ctx, text); err != nil {
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

// flood publishes without waiting for the handler, as programs do. Publishing itself waits for nothing, and what is
// published faster than it is delivered is lost, so what was handled is counted.
func flood(o options) {
	start := time.Now()
	from := start.Add(duration(o.warmUp))
	until := from.Add(duration(o.seconds))
	var all loop
	var lock sync.Mutex
	publish, err := subscribe(func(text string) {
		now := time.Now()
		published, err := strconv.ParseInt(strings.TrimLeft(text, "0"), 10, 64)
		lock.Lock()
		defer lock.Unlock()
		switch {
		case err != nil:
			all.errors, all.last = all.errors+1, err
		case !now.Before(from) && now.Before(until):
			all.latencies = append(all.latencies, now.Sub(start)-time.Duration(published))
		}
	})
	if err != nil {
		fail(err)
	}
	var count int64
	for i := 0; i < o.callers; i++ {
		go func() {
			for {
				now := time.Now()
				if !now.Before(until) {
					return
				}
				if err := publish(context.Background(), padded(int64(now.Sub(start)))); err != nil {
					fail(err)
				}
				if !now.Before(from) {
					atomic.AddInt64(&count, 1)
				}
			}
		}()
	}
	time.Sleep(time.Until(from))
	before := cpu(0)
	time.Sleep(time.Until(until))
	used := cpu(0) - before
	lock.Lock()
	defer lock.Unlock()
	report(o, all, used, map[string]interface{}{"published": atomic.LoadInt64(&count)})
}

// padded is a text that is as long as the payload.
func padded(number int64) string {
	return fmt.Sprintf("%0*d", len(payload), number)
}
