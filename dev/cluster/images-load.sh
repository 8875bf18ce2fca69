#!/bin/bash
# images-load.sh [NAME...]: pushes the images of images.sh to the registry beside the cluster; only layers it lacks travel.
. "$(dirname "$0")/lib.sh"
in_registry() { # IMAGE
  local name=${1#"$REGISTRY/"}
  curl -sf -o /dev/null -I -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$REGISTRY/v2/${name%:*}/manifests/${name##*:}"
}
curl -sf -o /dev/null "http://$REGISTRY/v2/" || die "no registry at $REGISTRY: run up.sh first"
for line in $("$HERE/images.sh" --print "$@"); do
  image=${line#*=}
  if in_registry "$image"; then say "$image is in the registry"; continue; fi
  docker image inspect "$image" >/dev/null 2>&1 || die "$image is not built: run images.sh first"
  quietly "push $image" docker push "$image"
done
