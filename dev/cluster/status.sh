#!/bin/bash
# status.sh: what is there, part by part. Exit status 0 when all of it is healthy.
. "$(dirname "$0")/lib.sh"
healthy=true
part() { # NAME COMMAND...: its first line of output, or that it does not answer
  local name=$1 out; shift
  if out=$("$@" 2>/dev/null); then printf '%-14s %s\n' "$name" "${out%%$'\n'*}"; else printf '%-14s NOT READY\n' "$name"; healthy=false; fi
}
kube() { kubectl --request-timeout=5s "$@"; }
nodes() { kube wait --for=condition=Ready node --all --timeout=5s >/dev/null && kube get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion}  {end}'; }
available() { kube -n "$1" wait --for=condition=Available deployment --all --timeout=1s >/dev/null && kube -n "$1" get deployments -o 'jsonpath={.items[*].metadata.name}'; }
printf '%-14s %s\n' provider "$(cat "$STATE/provider" 2>/dev/null || echo none)" kubeconfig "$KUBECONFIG"
part engine docker version --format 'docker {{.Server.Version}}'
part nodes nodes
if $healthy; then # what follows would only wait for the API server
  part registry curl -sf -m 3 -o /dev/null -w "$REGISTRY" "http://$REGISTRY/v2/"
  part storage kube get storageclass standard shared -o 'jsonpath={.items[*].metadata.name}'
  part dns available kube-system
  part provisioners available local-path-storage
  part kubeflow available kubeflow-system
  part webhooks kube apply --dry-run=server -o name -f "$HERE/webhooks.yaml"
fi
$healthy
