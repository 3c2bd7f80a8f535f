#!/usr/bin/env bash
# Builds the Go Micro peers and prints the folder that holds them: one program per version, named v0, v1, v2, v4, v5.
#
#   build.sh [VERSION...]      all versions unless some are named
#
# A program is the files here, those of its version's folder, and those of modern/ that its version can do with: there the
# module is called go-micro, which becomes the one that the version's go.mod requires.
#
# Needs Go 1.22 or newer and, the first time, the Go module proxy (about two minutes on two cores). Programs are kept
# under $XDG_CACHE_HOME by a hash of their sources and of the Go release, so that an unchanged peer is not built again.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/peers"

die() { printf 'peers: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || die "needs Go 1.22 or newer on PATH: https://go.dev/dl"
[ $# -gt 0 ] || set -- v0 v1 v2 v4 v5
for version in "$@"; do
  [ -f "$here/$version/version.go" ] || die "no such peer: $version"
done

# Every version's sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && cat build.sh ./*.go modern/* v*/*.go v*/go.mod v*/go.sum \
  bench/toolkit/noquic/*) | sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for version in "$@"; do
  [ ! -x "$out/$version" ] || continue
  printf 'peers: building Go Micro %s\n' "$version" >&2
  work="$(mktemp -d)"
  cp "$here"/*.go "$here/$version"/{*.go,go.mod,go.sum} "$work/"
  case "$version" in
    v0) modern=() ;;
    v5) modern=(matrix.go) ;;
    *) modern=(matrix.go registered.go) ;;
  esac
  for file in ${modern[@]+"${modern[@]}"}; do
    "$here/modern/rename.sh" "$work/go.mod" "$here/modern/$file" > "$work/$file"
  done
  # The plugins of v1 link QUIC, and the library of that time does not start with a current Go.
  cp -r "$here/bench/toolkit/noquic" "$work/"
  # An explicit GOFLAGS keeps the caller's from changing the module mode; readonly, so that go.sum is what decides.
  (cd "$work" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$work/peer" .) >&2
  mv "$work/peer" "$out/$version"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
