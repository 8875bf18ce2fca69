#!/bin/bash
# engine.sh up|down: Debian's docker engine by hand, for a machine where none answers. Own mount namespace, data and socket below
# the cache; no bridge, no firewall rules, no forwarding: the only networks are those made later (kind's).
. "$(dirname "$0")/../lib.sh"
mkdir -p "$CACHE"
[ -n "${ENGINE_LOCKED:-}" ] || ENGINE_LOCKED=1 exec flock -o "$CACHE/engine.lock" "$0" "$@" # one at a time
root=$CACHE/docker run=$CACHE/docker/run
cgroup=finetune-dev-$(digest <(echo "$root")) # other caches have other engines
own() { DOCKER_HOST=unix://$run/docker.sock docker "$@"; }
alive() { [ "$(cat "/proc/$(cat "$run/dockerd.pid" 2>/dev/null)/comm" 2>/dev/null)" = dockerd ]; }
answers() { [ -S "$run/docker.sock" ] && own info >/dev/null 2>&1; }

# Every process of an engine of ours, dead or alive: its daemons and shims name our run directory, and what runs in containers is in
# our cgroup. (Proxies and containerd end with dockerd.)
processes() {
  local p
  for p in $(pgrep -f -- "$run/"); do
    case $(readlink "/proc/$p/exe") in */dockerd* | */containerd*) echo "$p" ;; esac
  done
  find /sys/fs/cgroup -path "*/$cgroup/*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}
none_left() { [ -z "$(processes)" ]; }
sweep() { # what a killed shell or a reboot left
  for _ in {1..20}; do
    none_left && break
    processes | sort -u | xargs -r kill -KILL 2>/dev/null || true
    sleep .2
  done
  none_left || die "processes of a former engine do not end: $(processes | sort -u | xargs)"
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
  rm -rf "$run"
  rmdir /run/containerd/s /run/containerd /run/docker/plugins /run/docker 2>/dev/null || true # made by docker; not empty: another engine's
}

up() {
  if answers || { alive && until_true 60 answers; }; then return; fi
  if [ -e "$run" ]; then say 'the former docker engine is dead: sweeping up'; sweep; fi
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then die 'no docker engine answers, and starting one needs Linux and root'; fi
  apt_install docker.io procps curl
  mkdir -p "$root/data" "$run"
  options=(--cgroup-parent "/$cgroup")
  if ! ((0x$(awk '/^CapBnd/ {print $2}' /proc/self/status) >> 24 & 1)); then # CAP_SYS_RESOURCE
    options+=(--add-runtime "limited=$HERE/packages/runc-without-sys-resource" --default-runtime limited)
  fi
  # dockerd finds containerd by PATH: it must be Debian's, not the one built for the node
  PATH=${PATH//"$BIN":/} setsid unshare -m --propagation private dockerd --data-root "$root/data" --exec-root "$run/exec" \
    --pidfile "$run/dockerd.pid" --host "unix://$run/docker.sock" --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs \
    --iptables=false --ip6tables=false --ip-forward=false --bridge=none "${options[@]}" >"$root/dockerd.log" 2>&1 </dev/null &
  until_true 60 answers || { tail "$root/dockerd.log" >&2; die "docker engine does not answer (log: $root/dockerd.log)"; }
  # Containers of a dead engine restart half-way by themselves: a cluster that lost its machine is made anew.
  local id; for id in $(own ps -aq); do own rm -fv "$id" >/dev/null; done
  say 'docker engine started'
}

down() {
  [ -e "$run" ] || return 0
  if alive; then
    local pid; pid=$(<"$run/dockerd.pid")
    kill "$pid"; until_true 30 test ! -e "/proc/$pid" || true
  fi
  sweep
  say 'docker engine stopped'
}

"${1:?up or down}"
