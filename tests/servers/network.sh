#!/usr/bin/env bash
# A network for one test: nobody else is on it, and this machine has a private address there.
#
#   network.sh available           exit code 0 if `run` would work
#   network.sh install             gets `ip` and `unshare` on Debian and its kin; nothing if they are there
#   network.sh run ADDRESS ARG...  runs a command where loopback and ADDRESS are all there is
set -euo pipefail
NAME=network
# shellcheck source=tests/servers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A cable with both ends here: an address wants a device that is up.
SETUP='ip link set lo up
ip link add cable0 type veth peer name cable1
ip address add "$1/24" dev cable0
ip link set cable0 up
ip link set cable1 up
shift
exec "$@"'

run() { exec unshare --user --map-root-user --net -- sh -euc "$SETUP" sh "$@"; }

available() { (run 10.93.0.1 true) >/dev/null 2>&1; }

case "${1:-}" in
  available) available ;;
  install)
    available || { can_apt && apt_install iproute2 util-linux; } || true
    available || die "needs ip (iproute2), unshare (util-linux) and a kernel that gives network namespaces to this user"
    ;;
  run) shift; run "$@" ;;
  *)
    log "usage: $0 available | install | run ADDRESS COMMAND..."
    exit 2
    ;;
esac
