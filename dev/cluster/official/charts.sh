#!/bin/bash
# charts.sh DIR: JobSet's and Trainer's charts from the registries they are released to.
. "$(dirname "$0")/../lib.sh"
helm pull oci://registry.k8s.io/jobset/charts/jobset --version "$JOBSET_VERSION" --untar --untardir "$1"
helm pull oci://ghcr.io/kubeflow/charts/kubeflow-trainer --version "$TRAINER_VERSION" --untar --untardir "$1"
