#!/bin/bash
# rootfs.sh NAME PACKAGE,...: a minimal Debian with these packages, as a tar file in the cache. Prints its path.
# bookworm on every machine: its Python is the 3.11 that the locks are for, and systemd newer than its 252 no longer starts on cgroup v1.
. "$(dirname "$0")/../lib.sh"
name=$1 packages=usr-is-merged,$2 # usr-is-merged with the hook below: otherwise usrmerge drags perl in
tar=$CACHE/rootfs/$name-$(digest <(echo "$packages")).tar
if [ ! -e "$tar" ]; then
  apt_install mmdebstrap
  drop=(doc locale man); drop=("${drop[@]/#/--dpkgopt=path-exclude=/usr/share/}")
  mkdir -p "$CACHE/rootfs"
  quietly "$name from Debian packages" mmdebstrap --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    "${drop[@]/%//*}" --include="$packages" bookworm "$tar.part.tar"
  mv "$tar.part.tar" "$tar"
fi
echo "$tar"
