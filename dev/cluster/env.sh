# shellcheck shell=bash
# Source this for kubectl, helm, kind and docker against the local cluster:  . dev/cluster/env.sh
# Knobs (environment): CLUSTER, REGISTRY_PORT, XDG_CACHE_HOME. Everything made lives below $FINETUNE_CACHE, outside the checkout.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)
export FINETUNE_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/finetune-dev
export CLUSTER=${CLUSTER:-finetune}
export REGISTRY=localhost:${REGISTRY_PORT:-5001}
export KUBECONFIG=$FINETUNE_CACHE/$CLUSTER/kubeconfig
# What names the tools also versions them: another checkout with other versions has its own directory.
BIN=$FINETUNE_CACHE/bin/$(cat "$HERE"/tools/*/go.* "$HERE"/tools/*/*.go "$HERE"/tools/build.sh "$HERE"/official/versions.sh | sha256sum | cut -c1-12)
case $PATH: in "$BIN":*) ;; *) export PATH=$BIN:$PATH ;; esac
# The engine that packages/engine.sh starts; otherwise docker's own choice of engine holds.
if [ -S "$FINETUNE_CACHE/docker/run/docker.sock" ]; then export DOCKER_HOST=unix://$FINETUNE_CACHE/docker/run/docker.sock; fi
