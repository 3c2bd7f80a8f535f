#!/usr/bin/env bash
# Builds the gRPC peers and prints the folder that holds them: Go Micro v1, v2 and v4 over gRPC; plain, which is gRPC
# without Go Micro; and as tools the programs of others: grpcurl, h2spec, interop-client and interop-server.
#
#   build.sh [NAME...]         all of them unless some are named
#
# Needs Go 1.25 or newer and, the first time, the Go module proxy. Programs are kept under $XDG_CACHE_HOME by a hash of
# their sources and of the Go release, so that an unchanged peer is not built again.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/grpc-peers"

die() { printf 'grpc peers: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || die "needs Go 1.25 or newer on PATH: https://go.dev/dl"
[ $# -gt 0 ] || set -- v1 v2 v4 plain tools
for name in "$@"; do
  [ -f "$here/$name/go.mod" ] || die "no such peer: $name"
done

# All sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && cat build.sh main.go ./*/*.go ./*/go.mod ./*/go.sum) | sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
# One program: the folder of its module, the package, its name.
build() {
  (cd "$1" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$out/.$3" "$2") >&2
  mv "$out/.$3" "$out/$3"
}

for name in "$@"; do
  if [ "$name" = tools ]; then
    for package in github.com/fullstorydev/grpcurl/cmd/grpcurl github.com/summerwind/h2spec/cmd/h2spec \
      google.golang.org/grpc/interop/client google.golang.org/grpc/interop/server; do
      program="$(basename "$package")"
      case "$package" in */interop/*) program="interop-$program" ;; esac
      [ ! -x "$out/$program" ] || continue
      printf 'grpc peers: building %s\n' "$program" >&2
      build "$here/tools" "$package" "$program"
    done
    continue
  fi
  [ ! -x "$out/$name" ] || continue
  printf 'grpc peers: building %s\n' "$name" >&2
  work="$(mktemp -d)"
  cp "$here/$name"/{*.go,go.mod,go.sum} "$work/"
  # The Go Micro programs share their main; what differs between versions is in version.go.
  [ ! -f "$here/$name/version.go" ] || cp "$here/main.go" "$work/"
  build "$work" . "$name"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
