#!/bin/bash
# node-contents.sh: makes the images a node holds from the start, one static binary each, under their upstream names, so that kubeadm,
# kind and the charts find them as if they had been pulled. Writes the names to $LIST.
. "$(dirname "$0")/../lib.sh"
BASE=localhost/node-base:1
docker import "$("$HERE/packages/rootfs.sh" node-base systemd,conntrack,iptables,nftables,iproute2,ethtool,mount,kmod,pigz,e2fsprogs,ca-certificates,curl,jq,procps,runc,containernetworking-plugins)" $BASE
echo $BASE >"$LIST"

static() { # NAME BINARY [PROGRAM [USER]]
  local program=${3:-$2}
  tar -C "$BIN" -ch --transform "s/^$2\$/$program/" "$2" |
    docker import -c "ENTRYPOINT [\"/$program\"]" -c 'ENV PATH=/' -c "USER ${4:-0}" - "$1"
  echo "$1" >>"$LIST"
}
for name in $(kubeadm config images list --kubernetes-version "v$(module_version k8s k8s.io/kubernetes)"); do
  binary=${name##*/}; binary=${binary%:*}
  if [ "$binary" = kube-proxy ]; then # the one that needs programs beside it
    context=$(mktemp -d); cp -L "$BIN/kube-proxy" "$context/"
    printf 'FROM %s\nCOPY kube-proxy /usr/local/bin/\n' $BASE >"$context/Dockerfile"
    docker build -t "$name" "$context"; rm -r "$context"; echo "$name" >>"$LIST"
  else
    static "$name" "$binary"
  fi
done
static localhost/local-path-provisioner:1 local-path-provisioner
# the charts run /manager
static "$JOBSET_IMAGE" jobset-controller-manager manager 65532:65532
static "$TRAINER_IMAGE" trainer-controller-manager manager 65532:65532
