package main

// What main.go does with Go Micro, of v1 and v2: build.sh says which of them go-micro is.

import (
	"context"
	"fmt"
	"time"

	"go-micro"
	"go-micro/client"
	"go-micro/errors"
	"go-micro/registry"
	"go-micro/server"
)

func service(name string) micro.Service {
	s := micro.NewService(
		micro.Name(name),
		micro.Address("127.0.0.1:0"),
	)
	s.Init()
	return s
}

func serve(name string, handler interface{}) error {
	s := service(name)
	if err := s.Server().Handle(s.Server().NewHandler(handler)); err != nil {
		return err
	}
	s.Init(micro.AfterStart(func() error {
		fmt.Println("ready", s.Server().Options().Address)
		return nil
	}))
	return s.Run()
}

// Count sends as many answers as the request's name is long. The pause keeps them apart: see the streams of v2.9.1.
func (*Say) Count(_ context.Context, stream server.Stream) error {
	req := new(Request)
	if err := stream.Recv(req); err != nil {
		return err
	}
	for at := range req.Name {
		if err := stream.Send(&Response{Msg: fmt.Sprint(at)}); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func call(name, method string, req, answer interface{}) error {
	c := service("stock.client").Client()
	request := c.NewRequest(name, method, req, client.WithContentType("application/json"))
	return c.Call(context.Background(), request, answer)
}

// lookup returns what the registry knows of a service; an unknown one is an empty list.
func lookup(name string) ([]*registry.Service, error) {
	records, err := service("stock.client").Options().Registry.GetService(name)
	if err == registry.ErrNotFound {
		return []*registry.Service{}, nil
	}
	return records, err
}

func list() ([]string, error) {
	records, err := service("stock.client").Options().Registry.ListServices()
	names := []string{}
	for _, record := range records {
		names = append(names, record.Name)
	}
	return names, err
}

func watch(name string) error {
	var options []registry.WatchOption
	if name != "" {
		options = append(options, registry.WatchService(name))
	}
	watcher, err := service("stock.client").Options().Registry.Watch(options...)
	if err != nil {
		return err
	}
	fmt.Println("watching")
	for {
		result, err := watcher.Next()
		if err != nil {
			return err
		}
		print(result)
	}
}

func conflict(id, detail string) error {
	return errors.Conflict(id, "%s", detail)
}
