#!/usr/bin/env bash
# A real etcd for the tests.
#
#   etcd.sh available           exit code 0 if `start` would find a server
#   etcd.sh install             Debian's package as root, otherwise built with Go; nothing if there is one already
#   etcd.sh start [DIR] [PORT]  waits until it answers and prints ETCD_ADDR and ETCD_DIR as export lines
#   etcd.sh stop DIR            ends it; the folder stays, and `start DIR` gives the same address and data again
#
# DIR/pid is the server itself, fit for kill -STOP, -CONT and -KILL; DIR/log is what it said. ETCD_ARGS adds flags.
NAME=etcd
# shellcheck source=tests/servers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GO_VERSION=v3.6.16
GO_PACKAGE=go.etcd.io/etcd/server/v3

find_server() {
  command -v etcd || { [ -x "$CACHE/etcd-$GO_VERSION/etcd" ] && printf '%s\n' "$CACHE/etcd-$GO_VERSION/etcd"; }
}

available() { find_server >/dev/null; }

install() {
  if can_apt; then
    apt_install etcd-server
  elif command -v go >/dev/null; then
    go_install "$GO_VERSION" "$GO_PACKAGE"
  else
    die "put an etcd 3.4 or newer on PATH, or run this as root on Debian or Ubuntu, or install Go"
  fi
}

start() {
  local dir="$1" client peer server variable clean=()
  server="$(find_server)" || die "not installed; run: $0 install"
  take_ports "$dir" 2 "${2:-}"
  client="http://127.0.0.1:${PORTS[0]}"
  peer="http://127.0.0.1:${PORTS[1]}"
  # The server reads every ETCD_* variable as a flag.
  for variable in $(compgen -e ETCD_); do clean+=(-u "$variable"); done
  # shellcheck disable=SC2086 # ETCD_ARGS is a list of words
  spawn "$dir" env "${clean[@]}" "$server" --name test --data-dir "$dir/data" \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "test=$peer" \
    --logger zap --log-level warn ${ETCD_ARGS:-}
  wait_ready "$dir" http_ok "$client/health"
  emit "$dir" "ETCD_ADDR=127.0.0.1:${PORTS[0]}" "ETCD_DIR=$dir"
}

main "$@"
