// Package quic has the few names by which Go Micro v2 links quic-go: the version that it asks for ends every program
// that is built with Go 1.15 or newer before main begins. Nothing that is measured speaks QUIC; whoever tries gets an
// error.
package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

var errMissing = errors.New("this build has no QUIC")

// Config has the settings that Go Micro sets.
type Config struct {
	KeepAlive                     bool
	IdleTimeout, HandshakeTimeout time.Duration
}

// Stream is one direction pair of a session.
type Stream interface{ net.Conn }

// Session is a connection.
type Session interface {
	OpenStreamSync(context.Context) (Stream, error)
	AcceptStream(context.Context) (Stream, error)
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Close() error
}

// Listener accepts sessions.
type Listener interface {
	Accept(context.Context) (Session, error)
	Addr() net.Addr
	Close() error
}

// DialAddr always fails.
func DialAddr(string, *tls.Config, *Config) (Session, error) { return nil, errMissing }

// ListenAddr always fails.
func ListenAddr(string, *tls.Config, *Config) (Listener, error) { return nil, errMissing }
