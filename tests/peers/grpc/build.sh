#!/usr/bin/env bash
# Builds the gRPC peers and prints the folder that holds them: Go Micro v1, v2 and v4 over gRPC, and plain, which is
# gRPC without Go Micro.
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
[ $# -gt 0 ] || set -- v1 v2 v4 plain
for name in "$@"; do
  [ -f "$here/$name/go.mod" ] || die "no such peer: $name"
done

# All sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && cat build.sh main.go ./*/*.go ./*/go.mod ./*/go.sum) | sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for name in "$@"; do
  [ ! -x "$out/$name" ] || continue
  printf 'grpc peers: building %s\n' "$name" >&2
  work="$(mktemp -d)"
  cp "$here/$name"/{*.go,go.mod,go.sum} "$work/"
  # The Go Micro programs share their main; what differs between versions is in version.go.
  [ ! -f "$here/$name/version.go" ] || cp "$here/main.go" "$work/"
  (cd "$work" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$work/peer" .) >&2
  mv "$work/peer" "$out/$name"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
