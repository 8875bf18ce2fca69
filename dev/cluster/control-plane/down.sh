#!/bin/bash
# down.sh DIR: ends every process of the control plane in DIR, whoever started it and however it ended; only its logs stay.
. "$(dirname "$0")/../lib.sh"
dir=${1:?down.sh DIR}
[ -d "$dir" ] || exit 0
dir=$(cd "$dir" && pwd)
processes() { # all of them name a file in DIR on their command line
  local p
  for p in $(pgrep -f -- "$dir/"); do
    case $(readlink "/proc/$p/exe") in */etcd* | */kube-* | */kwok* | */*-controller-manager*) echo "$p" ;; esac
  done
}
none_left() { [ -z "$(processes)" ]; }
processes | xargs -r kill -KILL 2>/dev/null || true # nothing of it is kept
until_true 10 none_left || die "processes of $dir do not end: $(processes | xargs)"
find "$dir" -mindepth 1 ! -type d ! -name '*.log' -delete
find "$dir" -mindepth 1 -type d -empty -delete
