# shellcheck shell=bash disable=SC2034
# Sourced by every script here: places, progress lines, packages.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=$FINETUNE_CACHE
STATE=$CACHE/$CLUSTER         # of this cluster: kubeconfig, provider
LOG=$CACHE/log/$CLUSTER       # the noise of what runs below

export STARTED=${STARTED:-$(date +%s%N)} # one clock for a script and all it calls
say() { printf '%7.1fs  %s\n' "$((($(date +%s%N) - STARTED) / 100000000))e-1" "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }
digest() { cat "$@" | sha256sum | cut -c1-12; }

# quietly WHAT COMMAND...: says what it does, keeps the output in a log, shows its end only on failure, and a sign of life meanwhile.
quietly() {
  local what=$1 log pid from=$SECONDS; shift
  mkdir -p "$LOG"; log=$LOG/${what//[^a-zA-Z0-9]/-}.log
  "$@" <&0 >"$log" 2>&1 & pid=$! # <&0: bash gives a background command /dev/null otherwise
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM # a background command does not hear Ctrl-C
  while kill -0 "$pid" 2>/dev/null; do
    sleep .2
    if ((SECONDS - from >= 15)); then from=$((SECONDS)); say "  ... $what: $(tail -n 1 "$log" | tr -d "\r" | cut -c1-100)"; fi
  done
  trap - INT TERM
  wait "$pid" || { tail -n 20 "$log" >&2; die "$what (log: $log)"; }
  say "$what"
}

# until_true SECONDS COMMAND...: polls; false when the time is over.
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || return 1; sleep .3; done
}

apt_install() { # what is missing of these Debian packages
  local p missing=()
  for p; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "needs ${missing[*]}, and this is no Debian: install Docker instead"
  [ "$(id -u)" = 0 ] || die "needs root to install ${missing[*]}: install them, or Docker"
  quietly "apt-get update" apt-get -q -o DPkg::Lock::Timeout=300 update
  DEBIAN_FRONTEND=noninteractive quietly "apt-get install ${missing[*]}" \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
}

module_dir() { (cd "$HERE/tools/$1" && go mod download "$2" && go list -m -f '{{.Dir}}' "$2"); } # SET MODULE: where its source is
module_version() { sed -n "s#^.*$2 v\([^ ]*\).*#\1#p" "$HERE/tools/$1/go.mod" | head -1; }       # SET MODULE

# JobSet and Trainer: one place for their versions, whatever the provider.
JOBSET_VERSION=$(module_version kubeflow sigs.k8s.io/jobset) TRAINER_VERSION=$(module_version kubeflow github.com/kubeflow/trainer/v2)
export JOBSET_IMAGE=registry.k8s.io/jobset/jobset:v$JOBSET_VERSION
export TRAINER_IMAGE=ghcr.io/kubeflow/trainer/trainer-controller-manager:v$TRAINER_VERSION
