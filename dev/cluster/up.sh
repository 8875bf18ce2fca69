#!/bin/bash
# up.sh: the local cluster: kind, a registry beside it, storage classes, JobSet and Trainer. Does nothing to a healthy cluster, repairs
# or replaces any other. Knobs: PROVIDER, and those of env.sh.
. "$(dirname "$0")/lib.sh"
mkdir -p "$STATE"
[ -n "${LOCKED:-}" ] || LOCKED=1 exec flock -o "$STATE/lock" "$0" "$@" # a second up.sh waits for the first

PROVIDER=$("$HERE/provider.sh"); export PROVIDER
[ "$PROVIDER" != packages ] || { "$HERE/packages/engine.sh" up; . "$HERE/env.sh"; }
echo "$PROVIDER" >"$STATE/provider"
"$HERE/tools/ensure.sh" kind
version=$(digest "$HERE"/*.sh "$HERE"/*.yaml "$HERE/$PROVIDER"/*.* "$HERE"/tools/*/go.*)
if "$HERE/status.sh" >/dev/null 2>&1; then
  say "cluster $CLUSTER is up and healthy"
  [ "$(cat "$STATE/version" 2>/dev/null)" = "$version" ] || say 'it was made by another version of these scripts: down.sh and up.sh renew it'
  exit
fi

node_image=$("$HERE/$PROVIDER/node-image.sh")
answers() { kubectl get --raw /readyz --request-timeout=3s; }
nodes=$(docker ps -q --filter "label=io.x-k8s.kind.cluster=$CLUSTER" | wc -l) # running
if [ "$nodes" = 0 ] || ! until_true 30 answers; then
  if [ -n "$(docker ps -aq --filter "label=io.x-k8s.kind.cluster=$CLUSTER")" ]; then
    quietly 'remove the remains of a former cluster' kind delete cluster --name "$CLUSTER" --kubeconfig "$KUBECONFIG"
  fi
  rm -f "$KUBECONFIG" "$KUBECONFIG.lock"
  # new Secrets and ConfigMaps reach pods in seconds, instead of a minute and more
  cat >"$STATE/kind.yaml" <<Y
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}]
kubeadmConfigPatches: ["{kind: KubeletConfiguration, syncFrequency: 5s, serializeImagePulls: false}"]
Y
  echo "$version" >"$STATE/version"
  quietly "kind cluster $CLUSTER" kind create cluster --name "$CLUSTER" --image "$node_image" --config "$STATE/kind.yaml" --kubeconfig "$KUBECONFIG" --wait 120s
fi
"$HERE/registry.sh"
"$HERE/storage.sh"
"$HERE/trainer.sh"
say "cluster $CLUSTER is up. For your shell:  . ${HERE#"$PWD"/}/env.sh"
