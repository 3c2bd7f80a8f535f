#!/usr/bin/env bash
# A real consul for the tests: one dev agent that is its own server, and keeps everything in memory.
#
#   consul.sh available           exit code 0 if `start` would find a server
#   consul.sh install             builds one with Go; nothing if there is one already
#   consul.sh start [DIR] [PORT]  waits until it answers and prints CONSUL_ADDR and CONSUL_DIR as export lines
#   consul.sh stop DIR            ends it; `start DIR` gives the same address, and an empty catalog
#
# DIR/pid is the agent itself, fit for kill -STOP, -CONT and -KILL; DIR/log is what it said. CONSUL_TOKEN turns ACLs on
# (default deny) with that management token. CONSUL_ARGS adds flags: of the agent, or -config-file for everything else.
NAME=consul
# shellcheck source=tests/servers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Of the newest releases the one whose own sub-modules (api, sdk, proto-public ...) are all published. A peer of tests
# only: its licence since 1.17 is not an open one.
GO_VERSION=v1.20.1
GO_PACKAGE=github.com/hashicorp/consul

find_server() {
  command -v consul || { [ -x "$CACHE/consul-$GO_VERSION/consul" ] && printf '%s\n' "$CACHE/consul-$GO_VERSION/consul"; }
}

available() { find_server >/dev/null; }

install() {
  if command -v go >/dev/null; then
    go_install "$GO_VERSION" "$GO_PACKAGE"
  else
    die "put a consul on PATH, or install Go"
  fi
}

answers() { curl -fsS --noproxy '*' -m 3 "http://127.0.0.1:$1/v1/status/leader" | grep -q ':'; }

start() {
  local dir="$1" server variable clean=() acl=()
  server="$(find_server)" || die "not installed; run: $0 install"
  take_ports "$dir" 6 "${2:-}"
  if [ -n "${CONSUL_TOKEN:-}" ]; then
    acl=(-hcl "acl { enabled = true, default_policy = \"deny\",
      tokens { initial_management = \"$CONSUL_TOKEN\", agent = \"$CONSUL_TOKEN\" } }")
  fi
  # The program's own commands read CONSUL_HTTP_* and others.
  for variable in $(compgen -e CONSUL_); do clean+=(-u "$variable"); done
  # shellcheck disable=SC2086 # CONSUL_ARGS is a list of words
  spawn "$dir" env "${clean[@]}" "$server" agent -dev -node "${CONSUL_NODE:-test}" -bind 127.0.0.1 -client 127.0.0.1 \
    -http-port "${PORTS[0]}" -dns-port "${PORTS[1]}" -server-port "${PORTS[2]}" -serf-lan-port "${PORTS[3]}" \
    -serf-wan-port "${PORTS[4]}" -grpc-port "${PORTS[5]}" -grpc-tls-port -1 -log-level warn \
    -hcl 'disable_update_check = true' "${acl[@]}" ${CONSUL_ARGS:-}
  wait_ready "$dir" answers "${PORTS[0]}"
  emit "$dir" "CONSUL_ADDR=127.0.0.1:${PORTS[0]}" "CONSUL_DIR=$dir"
}

main "$@"
