#!/bin/bash
# node-image.sh: kind's node image with every image the cluster starts with inside: what `kind build node-image` does, from packages.
# Prints its name.
. "$(dirname "$0")/../lib.sh"
image=localhost/kind-node:$(digest <(echo "$BIN") "$HERE"/packages/node-*.sh "$HERE"/packages/rootfs.sh "$HERE"/packages/node/*)
echo "$image"
docker image inspect "$image" >/dev/null 2>&1 && exit

build=$(mktemp -d); builder=node-image-$$
trap 'docker rm -fv $builder >/dev/null 2>&1 || true; rm -rf "$build"' EXIT
LIST=$build/images quietly 'images for the node' "$HERE/packages/node-contents.sh"
mapfile -t images <"$build/images"

files=$build/files; mkdir -p "$files"/usr/{bin,local/bin}
cp -r "$(module_dir kind sigs.k8s.io/kind)"/images/base/files/{etc,kind,usr} "$files"
chmod -R u+w "$files"; chmod +x "$files"/usr/local/bin/* "$files"/kind/bin/*
apt_install patch
patch -s -p1 -d "$files" <"$HERE/packages/node/kind.patch"
pause=$(grep /pause: "$build/images")
sed -i "s#sandbox_image = .*#sandbox_image = \"$pause\"#" "$files/etc/containerd/config.toml"
mkdir "$files/kind/manifests"; cp "$HERE"/packages/node/default-*.yaml "$files/kind/manifests/"
(cd "$BIN"; cp -L kubeadm kubelet kubectl "$files/usr/bin/"; cp -L containerd containerd-shim-runc-v2 ctr crictl "$files/usr/local/bin/")
kubeadm version -o short >"$files/kind/version"
quietly 'node files' docker build --network=none -f "$HERE/packages/node/Dockerfile" --build-arg BASE_IMAGE=localhost/node-base:1 -t "$image-base" "$build"

import() {
  docker run -d --name "$builder" --privileged --network=none --entrypoint sleep "$image-base" infinity
  docker exec --privileged -d "$builder" containerd
  until_true 30 docker exec --privileged "$builder" ctr version
  docker save "${images[@]}" | docker exec --privileged -i "$builder" ctr -n k8s.io images import --no-unpack --all-platforms -
  docker exec --privileged "$builder" sh -c 'kill $(pidof containerd); while pidof containerd; do sleep .1; done'
  docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' "$builder" "$image"
}
quietly "node image $image" import
