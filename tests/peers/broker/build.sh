#!/usr/bin/env bash
# Builds the Go Micro peers of events and prints the folder that holds them: one program per version, named v0, v1, v2,
# v4.
#
#   build.sh [VERSION...]      all versions unless some are named
#
# Needs what ../build.sh needs, and takes each version's modules from beside it: the same libraries do for both. Programs
# are kept under $XDG_CACHE_HOME by a hash of their sources and of the Go release.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
peers="$(dirname "$here")"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/broker-peers"

die() { printf 'broker peers: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || die "needs Go 1.22 or newer on PATH: https://go.dev/dl"
[ $# -gt 0 ] || set -- v0 v1 v2 v4
for version in "$@"; do
  [ -f "$here/$version/version.go" ] || die "no such peer: $version"
done

# Every version's sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && cat build.sh ./*.go v*/version.go; cd "$peers" && cat modern/rename.sh v*/go.mod v*/go.sum \
  bench/toolkit/noquic/*) | sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for version in "$@"; do
  [ ! -x "$out/$version" ] || continue
  printf 'broker peers: building Go Micro %s\n' "$version" >&2
  work="$(mktemp -d)"
  cp "$here/main.go" "$here/$version/version.go" "$peers/$version"/{go.mod,go.sum} "$work/"
  # Later versions share it.
  [ "$version" = v0 ] || "$peers/modern/rename.sh" "$work/go.mod" "$here/modern.go" > "$work/modern.go"
  # The plugins of v1 link QUIC, and the library of that time does not start with a current Go.
  cp -r "$peers/bench/toolkit/noquic" "$work/"
  # An explicit GOFLAGS keeps the caller's from changing the module mode; readonly, so that go.sum is what decides.
  (cd "$work" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$work/peer" .) >&2
  mv "$work/peer" "$out/$version"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
