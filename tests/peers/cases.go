package main

// The service of the matrix of versions, and a client that goes through its cases. What is the same in every version is
// here; each version's matrix.go has the rest.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"
)

// Ask is matrix.Ask: string name = 1, int64 count = 2.
type Ask struct {
	Name  string `protobuf:"bytes,1,opt,name=name,proto3" json:"name,omitempty"`
	Count int64  `protobuf:"varint,2,opt,name=count,proto3" json:"count,omitempty"`
}

func (m *Ask) Reset()         { *m = Ask{} }
func (m *Ask) String() string { return fmt.Sprint(m.Name, " ", m.Count) }
func (*Ask) ProtoMessage()    {}

// Answer is matrix.Answer: string msg = 1, int64 number = 2.
type Answer struct {
	Msg    string `protobuf:"bytes,1,opt,name=msg,proto3" json:"msg,omitempty"`
	Number int64  `protobuf:"varint,2,opt,name=number,proto3" json:"number,omitempty"`
}

func (m *Answer) Reset()         { *m = Answer{} }
func (m *Answer) String() string { return fmt.Sprint(m.Msg, " ", m.Number) }
func (*Answer) ProtoMessage()    {}

const (
	matrixName = "go.micro.srv.matrix"
	// No endpoint of any other service has this content type.
	strangeType = "application/x-strange"
	matrixTopic = "matrix.heard"
	// Servers of v2, v4 and v5 lose messages of a stream that are sent without a pause (they share a buffer).
	pace = 20 * time.Millisecond
	// Longer than a caller's deadline, shorter than a test's patience.
	slowness = 1500 * time.Millisecond
	// For what has to happen on the other side of a connection.
	patience = 5 * time.Second
	// For one case, all its calls together, on a machine that does other things as well.
	caseLimit = 60 * time.Second
	// A call that nobody answers in time: what a stall costs in a load.
	stallLimit = 2 * time.Second
)

// unary has the handler's methods that look the same in every version.
type unary struct{}

// Echo says what it was told.
func (*unary) Echo(_ context.Context, req *Ask, rsp *Answer) error {
	rsp.Msg, rsp.Number = req.Name, req.Count
	return nil
}

// Refuse fails with a structured error, in words that need care on their way.
func (*unary) Refuse(_ context.Context, req *Ask, _ *Answer) error {
	return conflict(matrixName, `no "`+req.Name+`": 100%`)
}

// Boom fails with a text.
func (*unary) Boom(context.Context, *Ask, *Answer) error {
	return errors.New("boom")
}

// Slow answers too late, whatever its context says: it is the caller who has to give up.
func (*unary) Slow(_ context.Context, req *Ask, rsp *Answer) error {
	time.Sleep(slowness)
	rsp.Msg = req.Name
	return nil
}

// Metadata says what it was told besides the request, by name: "a,b" gives "value of a|value of b".
func (*unary) Metadata(ctx context.Context, req *Ask, rsp *Answer) error {
	var values []string
	for _, name := range strings.Split(req.Name, ",") {
		found := ""
		for key, value := range metadataOf(ctx) {
			if strings.EqualFold(key, name) {
				found = value
			}
		}
		values = append(values, found)
	}
	rsp.Msg = strings.Join(values, "|")
	return nil
}

// noted is what happened to whom, for those who ask later.
type noted struct {
	sync.Mutex
	events map[string]chan string
}

func (n *noted) channel(name string) chan string {
	n.Lock()
	defer n.Unlock()
	if n.events[name] == nil {
		n.events[name] = make(chan string, 16)
	}
	return n.events[name]
}

func (n *noted) note(name, what string) {
	select {
	case n.channel(name) <- what:
	default:
	}
}

var ended, heard = noted{events: map[string]chan string{}}, noted{events: map[string]chan string{}}

// Ended says how the stream of that name ended, once it has.
func (*unary) Ended(_ context.Context, req *Ask, rsp *Answer) error {
	return ended.await(req.Name, rsp)
}

// Heard says what the event of that name brought, once it has come.
func (*unary) Heard(_ context.Context, req *Ask, rsp *Answer) error {
	return heard.await(req.Name, rsp)
}

func (n *noted) await(name string, rsp *Answer) error {
	select {
	case rsp.Msg = <-n.channel(name):
		return nil
	case <-time.After(patience):
		return errors.New("nothing happened")
	}
}

// hear is the subscriber.
func hear(_ context.Context, event *Ask) error {
	heard.note(event.Name, fmt.Sprint("heard ", event.Count))
	return nil
}

// sendReceiver is a stream, on either side.
type sendReceiver interface {
	Send(interface{}) error
	Recv(interface{}) error
}

// chat answers every message, up to the one that says the last number.
func chat(stream sendReceiver) error {
	name := ""
	for number := int64(1); ; number++ {
		ask := new(Ask)
		if err := stream.Recv(ask); err != nil {
			how := "with " + err.Error()
			if errors.Is(err, io.EOF) {
				how = "with the end"
			}
			ended.note(name, how)
			return nil
		}
		name = ask.Name
		if err := stream.Send(&Answer{Msg: ask.Name, Number: number}); err != nil {
			return err
		}
		if number == ask.Count {
			return nil
		}
	}
}

// count answers one message with as many as it asks for.
func count(stream sendReceiver) error {
	ask := new(Ask)
	if err := stream.Recv(ask); err != nil {
		return err
	}
	for number := int64(1); number <= ask.Count; number++ {
		if err := stream.Send(&Answer{Msg: ask.Name, Number: number}); err != nil {
			return err
		}
		time.Sleep(pace)
	}
	return nil
}

// breakOff answers one message, and then fails.
func breakOff(stream sendReceiver) error {
	ask := new(Ask)
	if err := stream.Recv(ask); err != nil {
		return err
	}
	if err := stream.Send(&Answer{Msg: ask.Name, Number: 1}); err != nil {
		return err
	}
	time.Sleep(pace)
	return conflict(matrixName, "no more of "+ask.Name)
}

// clientStream is a stream as its caller has it.
type clientStream interface {
	sendReceiver
	Close() error
}

// caller is a client of one version that calls one address in one content type.
type caller interface {
	call(ctx context.Context, contentType, endpoint string, req, rsp interface{}) error
	stream(ctx context.Context, contentType, endpoint string, first interface{}) (clientStream, error)
	// event sends one over the transport, and gives the error of the answer.
	event(contentType, topic string, event interface{}) error
}

// outcome of a case: every answer, and the error, if any, as text.
type outcome struct {
	Case    string    `json:"case"`
	Answers []*Answer `json:"answers"`
	Error   string    `json:"error"`
}

type matrixCase func(ctx context.Context, c caller, contentType string) ([]*Answer, error)

// one calls an endpoint once.
func one(endpoint string, ask Ask) matrixCase {
	return func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		answer := new(Answer)
		if err := c.call(ctx, contentType, endpoint, &ask, answer); err != nil {
			return nil, err
		}
		return []*Answer{answer}, nil
	}
}

// streamed opens a stream, sends each message once the one before was answered, and reads to the end.
func streamed(endpoint string, asks ...Ask) matrixCase {
	return func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		stream, err := c.stream(ctx, contentType, endpoint, &Ask{})
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		answers, err := exchanged(stream, asks)
		if err != nil {
			return answers, err
		}
		for {
			answer := new(Answer)
			if err := stream.Recv(answer); errors.Is(err, io.EOF) {
				return answers, nil
			} else if err != nil {
				return answers, err
			}
			answers = append(answers, answer)
		}
	}
}

func exchanged(stream sendReceiver, asks []Ask) ([]*Answer, error) {
	var answers []*Answer
	for _, ask := range asks {
		if err := stream.Send(&ask); err != nil {
			return answers, err
		}
		answer := new(Answer)
		if err := stream.Recv(answer); err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// Names of streams and events differ, so that processes can share a server.
var unique = fmt.Sprint("from ", time.Now().UnixNano())

var cases = map[string]matrixCase{
	"echo":            one("Matrix.Echo", Ask{Name: "Jörg \"😀\"\n", Count: 1<<53 + 1}),
	"empty":           one("Matrix.Echo", Ask{}),
	"refuse":          one("Matrix.Refuse", Ask{Name: "naïve"}),
	"boom":            one("Matrix.Boom", Ask{Name: "x"}),
	"unknown-method":  one("Matrix.Nope", Ask{Name: "x"}),
	"unknown-handler": one("Nobody.Echo", Ask{Name: "x"}),
	"strange-type": func(ctx context.Context, c caller, _ string) ([]*Answer, error) {
		return one("Matrix.Echo", Ask{Name: "x"})(ctx, c, strangeType)
	},
	"deadline": func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		return one("Matrix.Slow", Ask{Name: "x"})(ctx, c, contentType)
	},
	"metadata": one("Matrix.Metadata", Ask{Name: "tenant,x-request-id,Foo"}),
	"keep-alive": func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		right := new(Answer)
		for number := int64(1); number <= 1000; number++ {
			answer := new(Answer)
			if err := c.call(ctx, contentType, "Matrix.Echo", &Ask{Name: "again", Count: number}, answer); err != nil {
				return []*Answer{right}, err
			}
			if answer.Msg == "again" && answer.Number == number {
				right.Number++
			}
		}
		return []*Answer{right}, nil
	},
	"server-ends": streamed("Matrix.Chat", Ask{Name: "a", Count: 3}, Ask{Name: "b", Count: 3}, Ask{Name: "c", Count: 3}),
	"client-ends": func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		stream, err := c.stream(ctx, contentType, "Matrix.Chat", &Ask{})
		if err != nil {
			return nil, err
		}
		answers, err := exchanged(stream, []Ask{{Name: unique + contentType}, {Name: unique + contentType}})
		for _, answer := range answers {
			answer.Msg = strings.TrimPrefix(answer.Msg, unique+contentType)
		}
		if err != nil {
			stream.Close()
			return answers, err
		}
		if err := stream.Close(); err != nil {
			return answers, err
		}
		last, err := one("Matrix.Ended", Ask{Name: unique + contentType})(ctx, c, contentType)
		return append(answers, last...), err
	},
	"server-stream": func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		return streamed("Matrix.Count", Ask{Name: "n", Count: 5})(ctx, c, contentType)
	},
	"stream-error": streamed("Matrix.Break", Ask{Name: "x"}),
	"event": func(ctx context.Context, c caller, contentType string) ([]*Answer, error) {
		if err := c.event(contentType, matrixTopic, &Ask{Name: unique + contentType, Count: 7}); err != nil {
			return nil, err
		}
		return one("Matrix.Heard", Ask{Name: unique + contentType})(ctx, c, contentType)
	},
}

// matrixMetadata goes with every call.
var matrixMetadata = map[string]string{"Tenant": "blue team", "X-Request-Id": "9", "foo": `a "b", c;d=1`}

// runCases goes through the named cases, or all of them, and prints an outcome for each.
func runCases(o options, names []string) {
	c, err := newCaller(o)
	if err != nil {
		fail(err)
	}
	if len(names) == 0 {
		for name := range cases {
			names = append(names, name)
		}
		sort.Strings(names)
	}
	for _, name := range names {
		run, found := cases[name]
		if !found {
			fail(fmt.Errorf("no case %q", name))
		}
		ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
		result := outcome{Case: name}
		answers, err := run(ctx, c, o.contentType)
		result.Answers = answers
		if err != nil {
			result.Error = err.Error()
		}
		cancel()
		print(result)
	}
}

// tally is what became of a load of calls.
type tally struct {
	Right    int64    `json:"right"`
	Wrong    int64    `json:"wrong"`
	Stalled  int64    `json:"stalled"`
	Failed   int64    `json:"failed"`
	Failures []string `json:"failures"`
	Millis   int64    `json:"millis"`
}

// runLoad makes calls one after the other. One that is not answered in time is made again, and counted.
func runLoad(o options, calls int64) {
	c, err := newCaller(o)
	if err != nil {
		fail(err)
	}
	var result tally
	started := time.Now()
	for number := int64(1); number <= calls; number++ {
		answer := new(Answer)
		ctx, cancel := context.WithTimeout(context.Background(), stallLimit)
		err := c.call(ctx, o.contentType, "Matrix.Echo", &Ask{Name: "again", Count: number}, answer)
		if err != nil && ctx.Err() != nil {
			result.Stalled++
			err = c.call(context.Background(), o.contentType, "Matrix.Echo", &Ask{Name: "again", Count: number}, answer)
		}
		cancel()
		switch {
		case err != nil:
			if result.Failed++; result.Failed < 10 {
				result.Failures = append(result.Failures, err.Error())
			}
		case answer.Msg == "again" && answer.Number == number:
			result.Right++
		default:
			result.Wrong++
		}
	}
	result.Millis = time.Since(started).Milliseconds()
	print(result)
}

// serveMatrix serves until it is told to stop.
func serveMatrix(o options) {
	stop := untilStopped()
	if o.address == "" {
		o.address = "127.0.0.1:0"
	}
	address, shutdown, err := startMatrix(o)
	if err != nil {
		fail(err)
	}
	fmt.Println("ready", address)
	stop(shutdown)
}
