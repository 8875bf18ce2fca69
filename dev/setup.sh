#!/bin/bash
# setup.sh VENV LOCK...: a Python environment with exactly what the locks name, every package of them checked by its hash. A second call
# does nothing.
set -euo pipefail
venv=$1; shift
UV_VERSION=0.13.8
cache=${XDG_CACHE_HOME:-$HOME/.cache}/finetune-dev
stamp=$venv/.locked-$(cat "$@" | sha256sum | cut -c1-12)
[ -e "$stamp" ] && exit

uv=$cache/uv-$UV_VERSION/bin/uv
if [ ! -x "$uv" ]; then
  python=$(command -v python3) || { echo 'setup: needs python3 (3.11 or later)' >&2; exit 1; }
  if ! "$python" -m venv "$cache/uv-$UV_VERSION" 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
      echo 'setup: needs the venv module of python3' >&2; exit 1
    fi
    apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3-venv >/dev/null
    "$python" -m venv "$cache/uv-$UV_VERSION"
  fi
  "$cache/uv-$UV_VERSION/bin/python" -m pip install -q "uv==$UV_VERSION"
fi
# pip knows a machine's own authorities by its configuration; uv only by this variable
[ -n "${SSL_CERT_FILE:-}" ] || [ ! -e /etc/ssl/certs/ca-certificates.crt ] || export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
echo "setup: $venv from $*" >&2
[ -x "$venv/bin/python" ] || "$uv" venv -q --python '>=3.11,<3.13' "$venv"
UV_HTTP_TIMEOUT=300 "$uv" pip sync -q --python "$venv/bin/python" --require-hashes "$@"
ln -sf "$uv" "$venv/bin/uv"
rm -f "$venv"/.locked-*
touch "$stamp"
