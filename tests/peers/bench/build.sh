#!/usr/bin/env bash
# Builds the Go Micro programs that the benchmarks compare with, and prints the folder that holds them: v1, v4, toolkit.
#
#   build.sh [PROGRAM...]      all unless some are named
#
# Needs Go 1.22 or newer and, the first time, the Go module proxy (about two minutes on two cores). Programs are kept
# under $XDG_CACHE_HOME by a hash of their sources and of the Go release.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/bench-peers"

die() { printf 'bench peers: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || die "no Go on PATH; 1.22 or newer is needed: https://go.dev/dl"
[ $# -gt 0 ] || set -- v1 v4 toolkit
for program in "$@"; do
  [ -f "$here/$program/go.mod" ] || die "no such program: $program"
done

# All sources decide the folder, whichever are built now: its name must not depend on the arguments.
key="$( (go version; cd "$here" && find . -name '*.go' -o -name 'go.*' -o -name build.sh | LC_ALL=C sort | xargs cat) |
  sha256sum | cut -c1-16)"
out="$cache/$key"
mkdir -p "$out"

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for program in "$@"; do
  [ ! -x "$out/$program" ] || continue
  printf 'bench peers: building %s\n' "$program" >&2
  work="$(mktemp -d)"
  cp -r "$here/$program/." "$work/"
  # The toolkit brings its own main.
  [ -f "$work/main.go" ] || cp "$here/main.go" "$work/"
  # An explicit GOFLAGS keeps the caller's from changing the module mode; readonly, so that go.sum is what decides.
  (cd "$work" && GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off GOTOOLCHAIN=local \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$work/program" .) >&2
  mv "$work/program" "$out/$program"
  rm -rf "$work"
  work=
done
printf '%s\n' "$out"
