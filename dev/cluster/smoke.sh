#!/bin/bash
# smoke.sh: proves a cluster: an image goes through the registry; a TrainJob of two nodes exchanges bytes and shares a ReadWriteMany
# claim; a pod writes to a claim of the default class. All as uid 65532 under the restricted Pod Security Standard.
. "$(dirname "$0")/lib.sh"
options=()
if [ "$(cat "$STATE/provider")" = packages ]; then options=(--build-arg "$("$HERE/packages/base-images.sh" | grep ^BASE_IMAGE=)"); fi
image=$REGISTRY/smoke:$(digest "$HERE"/smoke/*)
quietly "build $image" docker build -t "$image" "${options[@]}" "$HERE/smoke"
quietly "push $image" docker push "$image"
clean() { kubectl delete --ignore-not-found namespace/smoke clustertrainingruntime/smoke; }
trap 'quietly "clean up" clean' EXIT
quietly apply kubectl apply -f - < <(sed "s#SMOKE_IMAGE#$image#" "$HERE/smoke/smoke.yaml")
quietly 'TrainJob ended' kubectl -n smoke wait --for=jsonpath='{.status.conditions[0].status}'=True trainjob/exchange --timeout=120s
quietly 'claim of the default class written' kubectl -n smoke wait --for=jsonpath='{.status.phase}'=Succeeded pod/writer --timeout=60s
kubectl -n smoke logs -l jobset.sigs.k8s.io/jobset-name=exchange
kubectl -n smoke logs writer
kubectl -n smoke get persistentvolumeclaims
kubectl -n smoke wait --for=condition=Complete trainjob/exchange --timeout=1s
