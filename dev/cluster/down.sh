#!/bin/bash
# down.sh [--purge]: removes cluster, registry and network, and ends the engine that up.sh started; any other engine goes on.
# Built images, the registry's blobs and the caches stay for the next up.sh; --purge also forgets images and blobs.
. "$(dirname "$0")/lib.sh"
purge=false
case ${1:-} in --purge) purge=true ;; '') ;; *) die 'down.sh [--purge]' ;; esac
# An engine of ours that was killed has to come back once, to forget the cluster's network.
[ ! -e "$CACHE/docker/run" ] || { "$HERE/packages/engine.sh" up; . "$HERE/env.sh"; }
if docker info >/dev/null 2>&1; then
  remove() { # FILTER: an engine that is busy deleting gigabytes may give up on the next container ("did not receive an exit event")
    docker ps -aq --filter "$1" | xargs -r docker rm -fv >/dev/null
    [ -z "$(docker ps -aq --filter "$1")" ]
  }
  for filter in "label=io.x-k8s.kind.cluster=$CLUSTER" "name=^$CLUSTER-registry\$"; do # the first as `kind delete cluster`
    until_true 120 remove "$filter" || die "containers of $filter are not to be removed"
  done
  if [ -z "$(docker ps -aq --filter label=io.x-k8s.kind.cluster)" ]; then docker network rm kind >/dev/null 2>&1 || true; fi # else it is other clusters' too
  say 'cluster, registry and network removed'
  if $purge; then
    docker volume rm "$CLUSTER-registry" >/dev/null 2>&1 || true
    docker images --format '{{.Repository}}:{{.Tag}}' "$REGISTRY/*" | xargs -r docker rmi -f >/dev/null
    say 'project images and registry blobs removed'
  fi
fi
rm -rf "$STATE"
if [ -e "$CACHE/docker/run" ]; then
  if [ -n "$(docker ps -aq)" ]; then say 'the docker engine goes on: it runs other containers'; exit; fi
  "$HERE/packages/engine.sh" down
fi
if $purge; then rm -rf "$CACHE/docker"; fi
say down
