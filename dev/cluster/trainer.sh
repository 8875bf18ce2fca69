#!/bin/bash
# trainer.sh: JobSet and Kubeflow Trainer by their own Helm charts; returns when both webhooks answer.
. "$(dirname "$0")/lib.sh"
charts=$("$HERE/charts.sh")
crds() { # before the managers: a Trainer that starts without them exits once
  kubectl apply --server-side --force-conflicts -f "$charts/crds.yaml"
  kubectl wait --for=condition=Established --timeout=60s -f "$charts/crds.yaml"
}
quietly 'CRDs of JobSet and Trainer' crds
install() { helm upgrade --install "$1" "$2" --namespace kubeflow-system --create-namespace --skip-crds --disable-openapi-validation -f -; }
# No leader election: a restarted manager would wait 17 s for its own old lease.
quietly "JobSet $JOBSET_VERSION" install jobset "$charts/jobset" <<Y
image: {repository: ${JOBSET_IMAGE%:*}, tag: ${JOBSET_IMAGE##*:}, pullPolicy: IfNotPresent}
controller: {leaderElection: {enable: false}, resources: {requests: {cpu: 50m, memory: 64Mi}}}
Y
quietly "Trainer $TRAINER_VERSION" install trainer "$charts/kubeflow-trainer" <<Y
crds: {enabled: false}
jobset: {install: false}
image: {tag: ${TRAINER_IMAGE##*:}, pullPolicy: IfNotPresent}
manager: {config: {leaderElection: {leaderElect: false}, featureGates: {TrainJobStatus: true}}}
Y
quietly 'JobSet and Trainer available' kubectl -n kubeflow-system wait --for=condition=Available deployment --all --timeout=300s
webhooks() { kubectl apply --dry-run=server -f "$HERE/webhooks.yaml"; }
until_true 60 webhooks || { webhooks || true; die 'a webhook of JobSet or Trainer does not answer (kubectl -n kubeflow-system get pods)'; }
say 'webhooks answer'
