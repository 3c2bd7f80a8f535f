package main

// The service and the callers of cases.go for v1 and later, whose interfaces are the same. build.sh says which module
// go-micro is; what does differ is in the version's own folder.

import (
	"context"

	"go-micro/client"
	"go-micro/codec/json"
	"go-micro/codec/proto"
	"go-micro/errors"
	"go-micro/metadata"
	"go-micro/server"
	"go-micro/transport"
)

// Matrix is the handler; its methods become the endpoints Matrix.Echo and so on.
type Matrix struct{ unary }

func (*Matrix) Chat(_ context.Context, stream server.Stream) error  { return chat(stream) }
func (*Matrix) Count(_ context.Context, stream server.Stream) error { return count(stream) }
func (*Matrix) Break(_ context.Context, stream server.Stream) error { return breakOff(stream) }

// startMatrix serves without a registry or broker that others can reach.
func startMatrix(o options) (string, func() error, error) {
	s := newServer(o.protocol,
		server.Name(matrixName),
		server.Address(o.address),
		server.Registry(newMemoryRegistry()),
		server.Broker(newMemoryBroker()),
	)
	if err := s.Handle(s.NewHandler(new(Matrix))); err != nil {
		return "", nil, err
	}
	if err := s.Subscribe(s.NewSubscriber(matrixTopic, hear)); err != nil {
		return "", nil, err
	}
	if err := s.Start(); err != nil {
		return "", nil, err
	}
	return s.Options().Address, s.Stop, nil
}

type versionCaller struct {
	address string
	client  client.Client
}

func newCaller(o options) (caller, error) {
	options := []client.Option{
		client.Registry(newMemoryRegistry()),
		client.Broker(newMemoryBroker()),
		client.Retries(0),
	}
	return &versionCaller{o.address, newClient(o.protocol, options...)}, nil
}

func (c *versionCaller) request(contentType, endpoint string, body interface{}, opts ...client.RequestOption) client.Request {
	return c.client.NewRequest(matrixName, endpoint, body, append(opts, client.WithContentType(contentType))...)
}

func (c *versionCaller) call(ctx context.Context, contentType, endpoint string, req, rsp interface{}) error {
	ctx = metadata.NewContext(ctx, metadata.Metadata(matrixMetadata))
	return c.client.Call(ctx, c.request(contentType, endpoint, req), rsp, client.WithAddress(c.address))
}

func (c *versionCaller) stream(ctx context.Context, contentType, endpoint string, first interface{}) (clientStream, error) {
	request := c.request(contentType, endpoint, first, client.StreamingRequest())
	return c.client.Stream(ctx, request, client.WithAddress(c.address))
}

func (c *versionCaller) event(contentType, topic string, event interface{}) error {
	encode := json.Marshaler{}.Marshal
	if contentType == "application/protobuf" {
		encode = proto.Marshaler{}.Marshal
	}
	body, err := encode(event)
	if err != nil {
		return err
	}
	connection, err := transport.DefaultTransport.Dial(c.address)
	if err != nil {
		return err
	}
	defer connection.Close()
	header := map[string]string{"Content-Type": contentType, "Micro-Topic": topic}
	if err := connection.Send(&transport.Message{Header: header, Body: body}); err != nil {
		return err
	}
	var answer transport.Message
	if err := connection.Recv(&answer); err != nil {
		return err
	}
	if text := answer.Header["Micro-Error"]; text != "" {
		return errors.Parse(text)
	}
	return nil
}
