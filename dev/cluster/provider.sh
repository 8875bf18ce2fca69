#!/bin/bash
# provider.sh: prints where this machine's parts come from, and says why on stderr.
#   official: Docker answers, and the upstream hosts do: the published node image, charts, images and binaries
#   packages: neither is needed: an engine, node image and images made of Debian packages and Go modules (Linux, root)
# PROVIDER=official|packages decides otherwise; a cluster that is up keeps the one it was made with.
. "$(dirname "$0")/lib.sh"

foreign_engine_answers() { # an engine that packages/engine.sh started does not count
  case ${DOCKER_HOST:-} in "unix://$CACHE/"*) return 1 ;; esac
  docker info >/dev/null 2>&1
}

unreachable() { # prints the first upstream host that does not let us in; a registry's 401 asks for a token, which is an answer
  local url code
  for url in https://dl.k8s.io/release/stable.txt https://github.com/kubernetes-sigs/kind https://registry-1.docker.io/v2/ \
    https://registry.k8s.io/v2/ https://ghcr.io/v2/; do
    code=$(curl -s -o /dev/null -m 4 -w '%{http_code}' "$url" || true)
    case $code in 2?? | 3?? | 401) ;; *) echo "${url#https://}"; return ;; esac
  done
}

case ${PROVIDER:-} in
  official | packages) provider=$PROVIDER why='PROVIDER is set' ;;
  '')
    if [ -e "$STATE/provider" ]; then provider=$(<"$STATE/provider") why="cluster $CLUSTER was made with it"
    elif ! foreign_engine_answers; then provider=packages why='no docker engine answers'
    else
      host=$(unreachable)
      if [ -n "$host" ]; then provider=packages why="$host is not reachable"; else provider=official why='Docker and the upstream hosts answer'; fi
    fi ;;
  *) die "PROVIDER=$PROVIDER: official or packages" ;;
esac
say "provider: $provider ($why)"
echo "$provider"
