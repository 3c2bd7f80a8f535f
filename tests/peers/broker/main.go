// A Go Micro program for the interoperability tests of events: it subscribes to a topic, or publishes under one, with the
// http broker and consul or etcd.
//
// The same source is built against each Go Micro version; what differs between them is in that version's
// version.go. build.sh puts the two files together.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const usage = `usage:
  peer subscribe TOPIC [--registry consul:HOST:PORT] [--queue NAME] [--address HOST:PORT] [--quiet]
      print a line "ready" once subscribed, then a line "event NAME HEADERS" for each event; on SIGTERM a line "got COUNT"
  peer publish TOPIC [--registry consul:HOST:PORT] [--count N] [--pace DURATION] [--prefix TEXT]
       [--content-type application/json|application/protobuf] [--header KEY=VALUE]...
      publish events whose names are the prefix and a number, one after the other
  peer flood TOPIC [--registry consul:HOST:PORT] [--time DURATION] [--writers N]
      publish as fast as it goes; at the end a line "published COUNT"`

// Event is greeter.Request of the examples: string name = 1.
type Event struct {
	Name string `protobuf:"bytes,1,opt,name=name,proto3" json:"name,omitempty"`
}

func (m *Event) Reset()         { *m = Event{} }
func (m *Event) String() string { return m.Name }
func (*Event) ProtoMessage()    {}

// headers collects repeated --header KEY=VALUE.
type headers map[string]string

func (h headers) String() string { return "" }

func (h headers) Set(text string) error {
	at := strings.Index(text, "=")
	if at < 0 {
		return errors.New("want KEY=VALUE")
	}
	h[text[:at]] = text[at+1:]
	return nil
}

// options are the flags of all subcommands together; each uses those that mean something to it.
type options struct {
	registry    string
	address     string
	queue       string
	quiet       bool
	count       int
	pace        time.Duration
	prefix      string
	contentType string
	headers     headers
	time        time.Duration
	writers     int
}

// parse reads flags wherever they stand and returns what is left.
func parse(args []string) (options, []string) {
	o := options{headers: headers{}}
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flags.StringVar(&o.registry, "registry", "127.0.0.1:2379", "etcd, or consul:HOST:PORT")
	flags.StringVar(&o.address, "address", "127.0.0.1:0", "where broker and server listen")
	flags.StringVar(&o.queue, "queue", "", "share the events with others of this name")
	flags.BoolVar(&o.quiet, "quiet", false, "only count events")
	flags.IntVar(&o.count, "count", 1, "how many events")
	flags.DurationVar(&o.pace, "pace", 20*time.Millisecond, "time between two events")
	flags.StringVar(&o.prefix, "prefix", "", "what the names of events begin with")
	flags.StringVar(&o.contentType, "content-type", "application/json", "codec of events")
	flags.DurationVar(&o.time, "time", 5*time.Second, "how long to publish")
	flags.IntVar(&o.writers, "writers", 8, "how many publish at the same time")
	flags.Var(o.headers, "header", "metadata of events, KEY=VALUE")
	var rest []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			fail(err)
		}
		args = flags.Args()
		if len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return o, rest
}

func main() {
	o, args := parse(os.Args[1:])
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	switch args[0] {
	case "subscribe":
		subscribe(o, args[1])
	case "publish":
		publish(o, args[1])
	case "flood":
		flood(o, args[1])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func subscribe(o options, topic string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	var got int64
	stop, err := startSubscriber(o, topic, func(ctx context.Context, event *Event) error {
		atomic.AddInt64(&got, 1)
		if !o.quiet {
			fmt.Println("event", event.Name, shown(metadataOf(ctx)))
		}
		return nil
	})
	if err != nil {
		fail(err)
	}
	fmt.Println("ready")
	<-signals
	if err := stop(); err != nil {
		fail(err)
	}
	fmt.Println("got", atomic.LoadInt64(&got))
}

// shown is headers in one line: KEY=VALUE, sorted, keys in lower case.
func shown(headers map[string]string) string {
	var fields []string
	for key, value := range headers {
		fields = append(fields, strings.ToLower(key)+"="+value)
	}
	sort.Strings(fields)
	return strings.Join(fields, " ")
}

func publish(o options, topic string) {
	send := startPublisher(o)
	for i := 0; i < o.count; i++ {
		name := fmt.Sprintf("%s%d", o.prefix, i)
		if err := send(topic, &Event{Name: name}); err != nil {
			fail(err)
		}
		time.Sleep(o.pace)
	}
	// Publishing only queues; what is in the queue ends with the process.
	time.Sleep(500 * time.Millisecond)
}

func flood(o options, topic string) {
	send := startPublisher(o)
	var published int64
	done := make(chan struct{})
	end := time.Now().Add(o.time)
	for i := 0; i < o.writers; i++ {
		go func() {
			for time.Now().Before(end) {
				if err := send(topic, &Event{Name: "flood"}); err != nil {
					fail(err)
				}
				atomic.AddInt64(&published, 1)
			}
			done <- struct{}{}
		}()
	}
	for i := 0; i < o.writers; i++ {
		<-done
	}
	fmt.Println("published", published)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
