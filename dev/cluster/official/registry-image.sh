#!/bin/bash
# registry-image.sh: prints the published registry image.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/versions.sh"
docker image inspect "$REGISTRY_IMAGE" >/dev/null 2>&1 || quietly "pull ${REGISTRY_IMAGE%@*}" docker pull "$REGISTRY_IMAGE"
echo "$REGISTRY_IMAGE"
