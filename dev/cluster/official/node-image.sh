#!/bin/bash
# node-image.sh: prints the published node image of this kind version.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/versions.sh"
docker image inspect "$NODE_IMAGE" >/dev/null 2>&1 || quietly "pull ${NODE_IMAGE%@*}" docker pull "$NODE_IMAGE"
echo "$NODE_IMAGE"
