#!/usr/bin/env bash
# wrk, the HTTP load generator.
#
#   wrk.sh available   exit code 0 if it is on PATH
#   wrk.sh install     Debian's package as root; nothing if there is one already
NAME=wrk
# shellcheck source=tests/servers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../servers/lib.sh"

available() { command -v wrk >/dev/null; }

install() {
  can_apt || die "put wrk on PATH, or run this as root on Debian or Ubuntu"
  apt_install wrk
}

case "${1:-}" in
  available) available ;;
  install) available || install ;;
  *)
    printf 'usage: %s available | install\n' "$0" >&2
    exit 2
    ;;
esac
