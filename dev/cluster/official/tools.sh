#!/bin/bash
# tools.sh kind|control-plane: downloads that tier's binaries from where upstream releases them, verified by checksum.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/versions.sh"
case $(uname -m) in x86_64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) die "no binaries for $(uname -m)" ;; esac
[ "$(uname -s)" = Linux ] || die "the tools are downloaded for Linux; on $(uname -s) work in a Linux VM"
new=$(mktemp -d "$CACHE/download.XXXX"); trap 'rm -rf "$new"' EXIT

get() { curl -fsSL --retry 3 --proto '=https' -o "$new/$1" "$2"; } # FILE URL
verify() { (cd "$new" && sha256sum --quiet -c - <<<"$2  $1"); }    # FILE SHA256
published() { # FILE URL CHECKSUM-URL [NAME]: the checksum that upstream publishes, on the line of NAME where there are several
  get "$1" "$2"; get "$1.sum" "$3"
  verify "$1" "$(awk -v name="${4:-}" 'name == "" || $2 == name { print $1; exit }' "$new/$1.sum")"
}
install_tool() { chmod +x "$new/$1"; mv "$new/$1" "$BIN/$1"; }
tool() { # NAME URL CHECKSUM-URL
  [ -x "$BIN/$1" ] || { quietly "download $1" published "$@"; install_tool "$1"; }
}
kubernetes() {
  local url; url=https://dl.k8s.io/release/v$(module_version k8s k8s.io/kubernetes)/bin/linux/$arch/$1
  tool "$1" "$url" "$url.sha256"
}
pinned() { # NAME URL SHA256
  get "$1" "$2"; verify "$1" "$3"
}
from_archive() { # NAME ARCHIVE-URL CHECKSUM-URL ARCHIVE MEMBER
  published "$4" "$2" "$3" "$4"
  tar -C "$new" -xzf "$new/$4" --strip-components=1 "$5"
}
from_image() { # NAME IMAGE
  local id; id=$(docker create "$2")
  docker cp "$id:/manager" "$new/$1"; docker rm "$id"
}

kubernetes kubectl
if [ ! -x "$BIN/helm" ]; then
  archive=helm-v$(module_version helm helm.sh/helm/v3)-linux-$arch.tar.gz
  quietly 'download helm' from_archive helm "https://get.helm.sh/$archive" "https://get.helm.sh/$archive.sha256sum" "$archive" "linux-$arch/helm"
  install_tool helm
fi
if [ "$1" = kind ]; then
  url=https://kind.sigs.k8s.io/dl/v$(module_version kind sigs.k8s.io/kind)/kind-linux-$arch
  tool kind "$url" "$url.sha256sum"
  exit
fi
for name in kube-apiserver kube-controller-manager kube-scheduler; do kubernetes $name; done
if [ ! -x "$BIN/etcd" ]; then
  v=v$(module_version k8s go.etcd.io/etcd/server/v3); archive=etcd-$v-linux-$arch.tar.gz url=https://github.com/etcd-io/etcd/releases/download/$v
  quietly 'download etcd' from_archive etcd "$url/$archive" "$url/SHA256SUMS" "$archive" "${archive%.tar.gz}/etcd"
  install_tool etcd
fi
url=https://github.com/kubernetes-sigs/kwok/releases/download/v$(module_version kwok sigs.k8s.io/kwok)
for name in kwok kwokctl; do
  sum=${name^^}_SHA256_$arch
  [ -x "$BIN/$name" ] || { quietly "download $name" pinned $name "$url/$name-linux-$arch" "${!sum}"; install_tool $name; }
done
[ -x "$BIN/jobset-controller-manager" ] || { quietly 'JobSet from its image' from_image jobset-controller-manager "$JOBSET_IMAGE"; install_tool jobset-controller-manager; }
[ -x "$BIN/trainer-controller-manager" ] || { quietly 'Trainer from its image' from_image trainer-controller-manager "$TRAINER_IMAGE"; install_tool trainer-controller-manager; }
