#!/bin/bash
# base-images.sh: what the project's Dockerfiles build FROM, made of Debian packages. Prints BASE_IMAGE=... and BUILD_IMAGE=...
# The build image adds how this machine reaches its package registries (CA bundle, pip.conf); only build stages use it, so nothing
# of the machine is in the final images.
. "$(dirname "$0")/../lib.sh"
PACKAGES=python3,python3-venv,ca-certificates
base=localhost/python-base:3.11-$(digest <(echo "$PACKAGES") "$HERE/packages/rootfs.sh")
if ! docker image inspect "$base" >/dev/null 2>&1; then
  tar=$("$HERE/packages/rootfs.sh" python-base "$PACKAGES")
  quietly "import $base" docker import -c 'CMD ["python3"]' "$tar" "$base"
fi

context=$(mktemp -d); trap 'rm -rf "$context"' EXIT
cp /etc/ssl/certs/ca-certificates.crt "$context"
if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$context"; else touch "$context/pip.conf"; fi
cat >"$context/Dockerfile" <<D
FROM $base
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
D
build=localhost/python-build:3.11-$(digest "$context"/*)
docker image inspect "$build" >/dev/null 2>&1 || quietly "build $build" docker build -t "$build" "$context"
echo "BASE_IMAGE=$base"
echo "BUILD_IMAGE=$build"
