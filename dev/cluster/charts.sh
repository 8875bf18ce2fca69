#!/bin/bash
# charts.sh: the charts of JobSet and Trainer, and their CRDs apart. Prints a directory with jobset/, kubeflow-trainer/ and crds.yaml.
. "$(dirname "$0")/lib.sh"
dir=$CACHE/charts/$PROVIDER-jobset-$JOBSET_VERSION-trainer-$TRAINER_VERSION
if [ ! -e "$dir/crds.yaml" ]; then
  mkdir -p "$CACHE/charts"; new=$(mktemp -d "$CACHE/charts/XXXX"); trap 'rm -rf "$new"' EXIT
  quietly "charts of JobSet $JOBSET_VERSION and Trainer $TRAINER_VERSION" "$HERE/$PROVIDER/charts.sh" "$new"
  { helm show crds "$new/jobset"
    helm template trainer "$new/kubeflow-trainer" --set jobset.install=false --show-only 'templates/crd/*.yaml'
  } >"$new/crds.yaml"
  rm -rf "$dir"; mv "$new" "$dir"
fi
echo "$dir"
