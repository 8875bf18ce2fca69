#!/bin/bash
# images.sh [--print] [operator|trainer|quickstart]...: builds the project's images (all three when none is named) and prints
# OPERATOR_IMAGE=..., TRAINER_IMAGE=..., QUICKSTART_IMAGE=.... With --print it only prints.
# The tag is a digest of what goes in, so an unchanged image is neither built nor pushed again, and a changed one is a new name
# that every kubelet pulls.
. "$(dirname "$0")/lib.sh"
print=false; [ "${1:-}" != --print ] || { print=true; shift; }
[ $# -gt 0 ] || set -- operator trainer quickstart
cd "$ROOT"
provider=${PROVIDER:=$("$HERE/provider.sh")}; export PROVIDER

# The files of the build context that a Dockerfile copies: tracked or new, not ignored.
inputs() {
  local file=$1 sources
  sources=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ba}' "$file" | awk '$1 == "COPY" && !/--from=/ { for (i = 2; i < NF; i++) if ($i !~ /^--/) print $i }')
  xargs -r git ls-files -co --exclude-standard -- <<<"$sources"
  printf '%s\n' "$file" .dockerignore
}
tag() { # DOCKERFILE TEXT...: what is in the image also depends on TEXT
  local file=$1; shift
  { printf '%s\n' "$provider" "$@"
    inputs "$file" | sort -u | while read -r f; do [ ! -e "$f" ] || { stat -c '%A %n' "$f"; cat "$f"; }; done
    cat "$HERE/packages/base-images.sh" "$HERE/packages/rootfs.sh"
  } | sha256sum | cut -c1-12
}

builder() { # docker with BuildKit, for RUN --mount: with the buildx plugin, or old enough to have it inside
  local docker
  for docker in docker /usr/bin/docker; do
    if $docker buildx version >/dev/null 2>&1 || [[ $($docker --version 2>/dev/null) =~ version\ (19|20)\. ]]; then echo "$docker"; return; fi
  done
  die 'no docker command with BuildKit: install the buildx plugin (Debian: docker-buildx)'
}

build() { # IMAGE DOCKERFILE OPTION...
  local image=$1 file=$2; shift 2
  docker image inspect "$image" >/dev/null 2>&1 && { say "$image is built"; return; }
  if [ "$provider" = packages ]; then
    local line; while read -r line; do set -- "$@" --build-arg "$line"; done < <("$HERE/packages/base-images.sh")
    set -- "$@" --network=host # this engine has no bridge
  fi
  DOCKER_BUILDKIT=1 quietly "build $image" "$docker" build --progress=plain -t "$image" -f "$file" "$@" .
}

forget_older() { # IMAGE: earlier builds of it are gigabytes that nobody asks for again
  docker images --format '{{.Repository}}:{{.Tag}}' "${1%:*}" | grep -vxF "$1" | xargs -r docker rmi >/dev/null 2>&1 || true
}

if ! $print; then
  [ "$provider" != packages ] || { "$HERE/packages/engine.sh" up; . "$HERE/env.sh"; }
  docker=$(builder)
fi
trainer=$REGISTRY/finetune-trainer:$(tag trainer-image/Dockerfile)
for name; do
  case $name in
    operator) image=$REGISTRY/finetune-operator:$(tag Dockerfile)
      $print || build "$image" Dockerfile --target operator ;;
    trainer) image=$trainer
      $print || build "$image" trainer-image/Dockerfile ;;
    quickstart) image=$REGISTRY/finetune-quickstart:$(tag examples/quickstart/Dockerfile "$trainer")
      $print || { build "$trainer" trainer-image/Dockerfile; build "$image" examples/quickstart/Dockerfile --build-arg "TRAINER_IMAGE=$trainer"; } ;;
    *) die "no image $name: operator, trainer or quickstart" ;;
  esac
  echo "${name^^}_IMAGE=$image"
  $print || forget_older "$image"
done
# the build cache of an engine of ours; somebody else's is his own affair
if ! $print && [ "$provider" = packages ]; then $docker builder prune -f --keep-storage 16GB >/dev/null; fi
