// A Go Micro program for the benchmarks: a greeter that gives back what it got, and closed loops that call it.
//
// The same source is built against each Go Micro version; what differs between them is in that version's
// version.go. build.sh puts the two files together.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

const usage = `usage:
  bench [--protocol mucp|grpc] serve
      serve Say.Hello; print a line "ready ADDRESS"
  bench [--protocol mucp|grpc] load --address HOST:PORT --server-pid PID [-c CALLERS] [-d SECONDS] [--warm-up SECONDS]
      call it with CALLERS closed loops and print one JSON object: calls, errors, seconds, p50_us, p99_us and cpu_us
      (microseconds of CPU that both processes used for one call)
  bench --protocol events load [-c CALLERS] [-d SECONDS] [--warm-up SECONDS]
      publish events to a subscriber in this process in the same way, each when the one before was handled
  bench --protocol events flood [-c PUBLISHERS] [-d SECONDS] [--warm-up SECONDS]
      publish them in PUBLISHERS loops that do not wait for the handler; calls are the events that were handled, and
      published is how many there were`

const (
	service  = "go.micro.srv.greeter"
	endpoint = "Say.Hello"
	// payload is 64 bytes of protobuf: tag, length and this text. The Rust rows send the same bytes.
	payload = "**************************************************************"
	// ticks per second in /proc/PID/stat; the kernel's interface has 100 on every architecture that Go supports.
	ticks = 100
)

// Say is the handler.
type Say struct{}

// Hello gives back the name. Its types are generated code that every Go Micro version can encode; on the wire they are
// the example greeter's messages, a string in field 1.
func (*Say) Hello(_ context.Context, req *wrapperspb.StringValue, rsp *wrapperspb.StringValue) error {
	rsp.Value = req.Value
	return nil
}

// verbs are those that only some versions have.
var verbs = map[string]func(options){}

type options struct {
	protocol  string
	address   string
	serverPid int
	callers   int
	seconds   float64
	warmUp    float64
}

func main() {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flags.StringVar(&o.protocol, "protocol", "mucp", "mucp, grpc or events")
	flags.StringVar(&o.address, "address", "127.0.0.1:0", "where to listen, or whom to call")
	flags.IntVar(&o.serverPid, "server-pid", 0, "whose CPU counts besides our own; 0: nobody's")
	flags.IntVar(&o.callers, "c", 1, "closed loops")
	flags.Float64Var(&o.seconds, "d", 1, "seconds that count")
	flags.Float64Var(&o.warmUp, "warm-up", 0.5, "seconds before them")
	args, verb := os.Args[1:], ""
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			fail(err)
		}
		if args = flags.Args(); len(args) > 0 {
			verb, args = args[0], args[1:]
		}
	}
	switch verb {
	case "serve":
		serve(o)
	case "load":
		load(o)
	default:
		run, known := verbs[verb]
		if !known {
			flags.Usage()
			os.Exit(2)
		}
		run(o)
	}
}

func serve(o options) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	address, err := startServer(o, new(Say))
	if err != nil {
		fail(err)
	}
	fmt.Println("ready", address)
	<-stop
}

// loop is what one caller saw.
type loop struct {
	latencies []time.Duration
	errors    int
	last      error
}

func load(o options) {
	call, err := newCaller(o)
	if err != nil {
		fail(err)
	}
	from := time.Now().Add(duration(o.warmUp))
	until := from.Add(duration(o.seconds))
	loops := make([]loop, o.callers)
	var group sync.WaitGroup
	for i := range loops {
		group.Add(1)
		go func(l *loop) {
			defer group.Done()
			l.run(call, from, until)
		}(&loops[i])
	}
	time.Sleep(time.Until(from))
	before := cpu(o.serverPid)
	time.Sleep(time.Until(until))
	used := cpu(o.serverPid) - before
	group.Wait()

	var all loop
	for _, l := range loops {
		all.latencies = append(all.latencies, l.latencies...)
		all.errors += l.errors
		if l.last != nil {
			all.last = l.last
		}
	}
	report(o, all, used, nil)
}

// report prints what was seen, and more.
func report(o options, all loop, used time.Duration, more map[string]interface{}) {
	if len(all.latencies) == 0 {
		fail(fmt.Errorf("no call succeeded: %v", all.last))
	}
	if all.errors > 0 {
		fmt.Fprintln(os.Stderr, "last error:", all.last)
	}
	sort.Slice(all.latencies, func(a, b int) bool { return all.latencies[a] < all.latencies[b] })
	at := func(share float64) float64 {
		return float64(all.latencies[int(float64(len(all.latencies)-1)*share)].Nanoseconds()) / 1e3
	}
	said := map[string]interface{}{
		"calls":   len(all.latencies),
		"errors":  all.errors,
		"seconds": o.seconds,
		"p50_us":  at(0.50),
		"p99_us":  at(0.99),
		"cpu_us":  float64(used.Nanoseconds()) / 1e3 / float64(len(all.latencies)),
	}
	for name, value := range more {
		said[name] = value
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		fail(err)
	}
}

// run calls one after the other. Calls that began before from do not count.
func (l *loop) run(call func(context.Context, *wrapperspb.StringValue, *wrapperspb.StringValue) error, from, until time.Time) {
	l.latencies = make([]time.Duration, 0, 1<<16)
	req := wrapperspb.String(payload)
	for {
		started := time.Now()
		if !started.Before(until) {
			return
		}
		var rsp wrapperspb.StringValue
		err := call(context.Background(), req, &rsp)
		if err == nil && rsp.Value != payload {
			err = fmt.Errorf("the echo is %q", rsp.Value)
		}
		switch {
		case started.Before(from):
		case err != nil:
			l.errors, l.last = l.errors+1, err
		default:
			l.latencies = append(l.latencies, time.Since(started))
		}
	}
}

// cpu is what this process and the server have used.
func cpu(serverPid int) time.Duration {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		fail(err)
	}
	used := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if serverPid != 0 {
		used += cpuOf(serverPid)
	}
	return used
}

func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		fail(err)
	}
	// The name, in brackets, may hold anything; utime and stime are fields 14 and 15 of proc(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		fail(fmt.Errorf("/proc/%d/stat is short", pid))
	}
	var used time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			fail(err)
		}
		used += time.Duration(n) * time.Second / ticks
	}
	return used
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
