# What the server scripts share. Sourced by each of them, which sets NAME first and then calls `main "$@"` with the
# functions available, install and start defined. Everything listens on 127.0.0.1 only.

set -euo pipefail

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/micro-test/servers"

log() { printf '%s: %s\n' "$NAME" "$*" >&2; }
die() { log "$*"; exit 1; }

# --- installing ------------------------------------------------------------------------------------------------------

# can_apt: whether this machine installs Debian packages without asking anybody.
can_apt() { command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; }

# apt_install PACKAGE...: a service that a package brings is not started; a test starts its own.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made='' rc=0
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
  fi
  # The package lists of a fresh image are empty or stale: refresh them only when the first try fails.
  "${apt[@]}" install --no-install-recommends "$@" >&2 ||
    { "${apt[@]}" update >&2 && "${apt[@]}" install --no-install-recommends "$@" >&2; } || rc=$?
  [ -z "$made" ] || rm -f "$policy"
  return "$rc"
}

# go_install VERSION PACKAGE: builds one main package through the Go module proxy into $CACHE/$NAME-VERSION/$NAME.
go_install() {
  local version="$1" package="$2" work
  work="$(mktemp -d)"
  printf 'module server\n\ngo 1.22\n\nrequire %s %s\n' "$package" "$version" >"$work/go.mod"
  mkdir -p "$CACHE/$NAME-$version"
  (cd "$work" && GOFLAGS='-mod=mod -trimpath -buildvcs=false' GOWORK=off \
    go build -p "${MICRO_JOBS:-2}" -ldflags '-s -w' -o "$CACHE/$NAME-$version/$NAME" "$package") >&2 ||
    { rm -rf "$work"; die "building $package $version failed"; }
  rm -rf "$work"
}

# --- running ---------------------------------------------------------------------------------------------------------

# take_ports DIR COUNT [FIRST]: sets PORTS. A folder keeps its ports, so that a server started in it again has the same
# addresses. They come from below the range that the kernel gives to port 0 and to outgoing connections.
take_ports() {
  local dir="$1" count="$2" port
  PORTS=()
  if [ -s "$dir/ports" ]; then
    mapfile -t PORTS <"$dir/ports"
  else
    while [ "${#PORTS[@]}" -lt "$count" ]; do
      port=$((10000 + (RANDOM * 32768 + RANDOM) % 22000))
      tcp_open "$port" || PORTS+=("$port")
    done
  fi
  [ -z "${3:-}" ] || PORTS[0]="$3"
  printf '%s\n' "${PORTS[@]}" >"$dir/ports"
}

tcp_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

http_ok() { curl -fsS --noproxy '*' -m 3 -o /dev/null "$@"; }

# started_at PID: the start time of a process, in ticks since boot; nothing if there is none. With it a reused pid is
# told from the process that was started.
started_at() {
  local stat
  stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 0
  stat="${stat##*) }"
  # shellcheck disable=SC2086 # split into fields on purpose
  set -- $stat
  printf '%s\n' "${20}"
}

# running DIR: whether the process that DIR/pid names is alive and still the one that was started.
running() {
  [ -s "$1/pid" ] && [ -s "$1/pid.start" ] || return 1
  local pid
  pid="$(cat "$1/pid")"
  [ "$(started_at "$pid")" = "$(cat "$1/pid.start")" ] &&
    ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

# spawn DIR COMMAND...: detached; output to DIR/log, process id to DIR/pid.
spawn() {
  local dir="$1"
  shift
  ! running "$dir" || die "already runs as $(cat "$dir/pid") in $dir"
  (cd "$dir" && exec setsid "$@" </dev/null >>"$dir/log" 2>&1) &
  printf '%s\n' "$!" >"$dir/pid"
  started_at "$!" >"$dir/pid.start"
}

# wait_ready DIR COMMAND...: until COMMAND succeeds, at most READY_S (60) seconds; otherwise shows the server's log.
wait_ready() {
  local dir="$1" end=$(($(date +%s) + ${READY_S:-60})) why=''
  shift
  until "$@" >/dev/null 2>&1; do
    running "$dir" || why="ended while starting"
    [ "$(date +%s)" -lt "$end" ] || why="not ready after ${READY_S:-60} s"
    if [ -n "$why" ]; then
      tail -n 30 "$dir/log" >&2
      stop "$dir"
      die "$why"
    fi
    sleep 0.1
  done
  # Somebody else's server on the same port would answer as well.
  running "$dir" || die "ended while starting: $(tail -n 1 "$dir/log")"
}

# emit DIR NAME=VALUE...: prints export lines, and keeps them in DIR/env.
emit() {
  local dir="$1" pair
  shift
  for pair in "$@"; do printf 'export %s=%q\n' "${pair%%=*}" "${pair#*=}"; done | tee "$dir/env"
}

# stop DIR: TERM, after 15 s KILL.
stop() {
  local dir="$1" pid i
  if running "$dir"; then
    pid="$(cat "$dir/pid")"
    # A test may have stopped it with SIGSTOP.
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < 150; i++)); do
      running "$dir" || break
      sleep 0.1
    done
    ! running "$dir" || kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$dir/pid" "$dir/pid.start"
}

main() {
  local verb="${1:-}" dir
  shift || true
  case "$verb" in
    available) available ;;
    install) available || install ;;
    start)
      dir="${1:-$(mktemp -d "${TMPDIR:-/tmp}/micro-$NAME.XXXXXX")}"
      mkdir -p "$dir"
      start "$(cd "$dir" && pwd)" "${2:-}"
      ;;
    stop)
      [ -d "${1:-}" ] || die "stop: no such folder: ${1:-}"
      stop "$(cd "$1" && pwd)"
      ;;
    *)
      printf 'usage: %s available | install | start [DIR] [PORT] | stop DIR\n' "$0" >&2
      exit 2
      ;;
  esac
}
