//go:build tools

// Package tools names the programs of others that build.sh builds: gRPC's own conformance client and server, a
// conformance test of HTTP/2, and the command line for gRPC servers.
package tools

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
