#!/bin/bash
# registry.sh: an image registry beside the cluster, kind's documented pattern. Push to localhost:5001/NAME:TAG, use the same name in pods.
# Its blobs are in a docker volume that outlives down.sh, so a new cluster needs no push of what has not changed.
. "$(dirname "$0")/lib.sh"
name=$CLUSTER-registry
if [ "$(docker inspect -f '{{.State.Running}}' "$name" 2>/dev/null)" != true ]; then
  docker rm -fv "$name" >/dev/null 2>&1 || true
  image=$("$HERE/$PROVIDER/registry-image.sh")
  docker run -d --name "$name" --restart on-failure:1 --network kind -p "127.0.0.1:${REGISTRY#*:}:5000" -v "$name:/var/lib/registry" "$image" 2>&1 >/dev/null |
    grep -v 'IPv4 forwarding is disabled' >&2 || true # packages/engine.sh: forwarding is not needed between containers of one network
fi
for node in $(kind get nodes --name "$CLUSTER"); do
  docker exec -i "$node" sh -c "mkdir -p '/etc/containerd/certs.d/$REGISTRY' && cat >'/etc/containerd/certs.d/$REGISTRY/hosts.toml'" <<<"[host.\"http://$name:5000\"]"
done
kubectl apply -f - >/dev/null <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data: {localRegistryHosting.v1: "host: \"$REGISTRY\""}
Y
until_true 20 curl -sf "http://$REGISTRY/v2/" || die "no registry at $REGISTRY (docker logs $name)"
say "registry at $REGISTRY"
