#!/bin/bash
# storage.sh: beside kind's default class (local-path, ReadWriteOnce, writable by any user) the class `shared`, ReadWriteMany:
# a directory of the cluster's one node.
. "$(dirname "$0")/lib.sh"
deployment() { kubectl -n local-path-storage get deployment local-path-provisioner -o "jsonpath=$1"; }
# The provisioner's and its helper's image are those of kind's own: present in every node image.
image=$(deployment '{.spec.template.spec.containers[0].image}')
helper=$(kubectl -n local-path-storage get configmap local-path-config -o 'jsonpath={.data.helperPod\.yaml}' | sed -n 's/.*image: *"\{0,1\}\([^",}]*\).*/\1/p')
sed -e "s#PROVISIONER_IMAGE#$image#" -e "s#HELPER_IMAGE#$helper#" "$HERE/shared-storage.yaml" | kubectl apply -f - >/dev/null
say 'storage classes standard (default) and shared (ReadWriteMany)'
