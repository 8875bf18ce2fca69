#!/bin/bash
# charts.sh DIR: JobSet's and Trainer's own charts out of the Go module cache.
. "$(dirname "$0")/../lib.sh"
cp -r "$(module_dir kubeflow sigs.k8s.io/jobset)/charts/jobset" "$(module_dir kubeflow github.com/kubeflow/trainer/v2)/charts/kubeflow-trainer" "$1"
chmod -R u+w "$1"
# Helm refuses a chart that names dependencies it has not got, wanted or not.
sed -i '/^dependencies:/,/^keywords:/{/^keywords:/!d}' "$1/kubeflow-trainer/Chart.yaml"
