#!/usr/bin/env bash
# A source that is the same for several versions calls their module go-micro.
#
#   rename.sh GO_MOD FILE      prints the file with the module that GO_MOD requires
set -euo pipefail
module="$(grep -m1 -oE '(github\.com/micro/go-micro|go-micro\.dev)(/v[0-9]+)? v' "$1")"
sed -E "s#\"go-micro([/\"])#\"${module% v}\1#" "$2"
