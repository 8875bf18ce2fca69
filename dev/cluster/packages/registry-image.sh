#!/bin/bash
# registry-image.sh: distribution's registry as an image of its own binary. Prints its name.
. "$(dirname "$0")/../lib.sh"
image=localhost/registry:$(module_version registry github.com/distribution/distribution/v3)
echo "$image"
docker image inspect "$image" >/dev/null 2>&1 && exit
context=$(mktemp -d); trap 'rm -rf "$context"' EXIT
cat >"$context/config.yml" <<C
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000"}
C
cp -L "$BIN/registry" "$context/"
tar -C "$context" -c . | docker import -c 'ENTRYPOINT ["/registry", "serve", "/config.yml"]' -c 'ENV OTEL_TRACES_EXPORTER=none' - "$image" >/dev/null
