#!/bin/bash
# locks-current.sh UV: fails where a lock is not what its pyproject.toml asks for. Versions in the lock are kept, so a new release
# upstream does not fail it.
set -euo pipefail
uv=$1
copy=$(mktemp -d); trap 'rm -rf "$copy"' EXIT
lock() { # LOCK ARGUMENT...
  local file=$1; shift
  cp "$file" "$copy/lock"
  "$uv" pip compile -q --universal --generate-hashes --no-annotate --no-emit-index-url --no-header "$@" -o "$copy/lock" >/dev/null
  diff -q <(grep -v '^#' "$file") "$copy/lock" >/dev/null || { echo "$file is out of date: run make lock" >&2; exit 1; }
}
lock requirements.lock pyproject.toml
lock requirements-dev.lock --group dev pyproject.toml
lock trainer-image/requirements.lock --override trainer-image/overrides.txt trainer-image/pyproject.toml
lock trainer-image/requirements-test.lock -c trainer-image/requirements.lock trainer-image/requirements-test.in
