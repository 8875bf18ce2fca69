#!/bin/bash
# ensure.sh kind|control-plane: has the binaries of that tier in $BIN, downloaded or built, and says nothing when they are there.
. "$(dirname "$0")/../lib.sh"
case ${1:-} in
  control-plane) sets=(k8s kubeflow kwok helm) ;;
  kind) sets=(k8s containerd cri-tools coredns pause local-path kubeflow kind helm registry) ;;
  *) die 'ensure.sh kind|control-plane' ;;
esac
if [ -e "$BIN/.$1" ] && [ -z "$(find -L "$BIN" -type l)" ]; then exit; fi # and no link is dangling
mkdir -p "$BIN"
provider=${PROVIDER:-$("$HERE/provider.sh")}
exec 9>"$CACHE/tools.lock"
flock -n 9 || { say 'waiting: another build of the tools is running'; flock 9; }
if [ "$provider" = official ]; then "$HERE/official/tools.sh" "$1"; else "$HERE/tools/build.sh" "${sets[@]}"; fi
touch "$BIN/.$1"
