#!/usr/bin/env bash
# Builds the programs for the tests of `micro registry` and of Go's toolkits, and prints the folder that holds them:
# stock1 and stock2 are programs of Go Micro v1.18 and v2.9.1 as they come, micro1 and micro2 the toolkits of those times.
#
#   build.sh [NAME...]         all of them unless some are named
#
# Needs Go 1.22 or newer and, the first time, the Go module proxy (about three minutes on two cores). Programs are kept
# under $XDG_CACHE_HOME by a hash of their sources and of the Go release, so that an unchanged one is not built again.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
noquic="$here/../bench/toolkit/noquic"
rename="$here/../modern/rename.sh"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/toolkits"

die() { printf 'toolkits: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || die "needs Go 1.22 or newer on PATH: https://go.dev/dl"
[ $# -gt 0 ] || set -- stock1 stock2 micro1 micro2
for name in "$@"; do
  [ -f "$here/$name/go.mod" ] || die "no such program: $name"
done

# All sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && cat build.sh ./*.go ./*/*.go ./*/go.mod ./*/go.sum "$noquic"/* "$rename") |
  sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for name in "$@"; do
  [ ! -x "$out/$name" ] || continue
  printf 'toolkits: building %s\n' "$name" >&2
  work="$(mktemp -d)"
  cp "$here/$name"/* "$work/"
  # The stock programs differ in nothing but their module.
  case "$name" in
    stock*) cp "$here/main.go" "$work/" && "$rename" "$work/go.mod" "$here/stock.go" > "$work/stock.go" ;;
  esac
  # What they link of QUIC does not start with a current Go.
  cp -r "$noquic" "$work/"
  (cd "$work" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$work/program" .) >&2
  mv "$work/program" "$out/$name"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
