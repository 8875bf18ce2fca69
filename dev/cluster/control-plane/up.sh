#!/bin/bash
# up.sh DIR [KWOKCTL-ARGUMENT...]: a control plane for integration tests, in about 15 seconds, without root and containers:
# etcd, kube-apiserver, controller manager and scheduler by kwokctl, KWOK as the nodes, JobSet and Trainer as processes beside them.
# DIR holds its state and logs; DIR/kubeconfig is the result. Several run side by side, each with its own DIR.
. "$(dirname "$0")/../lib.sh"
dir=${1:?up.sh DIR}; shift
type -P openssl python3 pgrep >/dev/null || apt_install openssl python3 procps
PROVIDER=${PROVIDER:-$("$HERE/provider.sh")}; export PROVIDER
"$HERE/tools/ensure.sh" control-plane
charts=$("$HERE/charts.sh")
"$HERE/control-plane/down.sh" "$dir" # what a killed test run left
mkdir -p "$dir/tmp/k8s-webhook-server/serving-certs" "$dir/logs"; cd "$dir"; dir=$PWD LOG=$PWD/logs
trap '"$HERE/control-plane/down.sh" "$dir"' EXIT # unless it comes to its end
# Go's temporary directory is where the managers look for their webhook certificate: each control plane has its own.
export KWOK_WORKDIR=$dir/kwok KUBECONFIG=$dir/kubeconfig TMPDIR=$dir/tmp

binaries=(--kwok-controller-binary "$BIN/kwok")
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do binaries+=("--$name-binary" "$BIN/$name"); done
cat >kwokctl.yaml <<Y
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options: {bindAddress: 127.0.0.1}
Y
# one at a time: kwokctl looks for free ports, and another one would find the same
quietly 'etcd and Kubernetes' flock -o "$CACHE/kwokctl.lock" kwokctl create cluster --config kwokctl.yaml --name it --runtime binary "${binaries[@]}" \
  --kubeconfig "$KUBECONFIG" --enable-crds Stage --disable-qps-limits --wait 60s "$@"

certificate() {
  cd tmp/k8s-webhook-server/serving-certs
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.crt -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1
}
quietly 'webhook certificate' certificate
crds() { # a manager that starts before its CRDs are served exits once
  kubectl apply --server-side -f "$charts/crds.yaml" -f "$HERE/control-plane/nodes.yaml" -f "$HERE/control-plane/stages.yaml" -f "$HERE/control-plane/storage.yaml"
  kubectl wait --for=condition=Established --timeout=60s -f "$charts/crds.yaml"
  kubectl create namespace kubeflow-system
}
quietly 'CRDs, nodes and stages' crds

read -r jobset_port trainer_port < <(python3 - <<'P'
import socket
free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in free))
P
)
cat >jobset.yaml <<Y
apiVersion: config.jobset.x-k8s.io/v1alpha1
kind: Configuration
leaderElection: {leaderElect: false}
health: {healthProbeBindAddress: "0"}
metrics: {bindAddress: "0"}
webhook: {port: $jobset_port, host: 127.0.0.1}
internalCertManagement: {enable: false}
Y
cat >trainer.yaml <<Y
apiVersion: config.trainer.kubeflow.org/v1alpha1
kind: Configuration
leaderElection: {leaderElect: false}
health: {healthProbeBindAddress: "0"}
metrics: {bindAddress: "0"}
webhook: {port: $trainer_port, host: 127.0.0.1}
certManagement: {enable: false}
clientConnection: {qps: 500, burst: 1000}
Y
manager() { # NAME: with its state directory as argument, by which down.sh finds it
  POD_NAMESPACE=kubeflow-system setsid "$1-controller-manager" --config "$dir/$1.yaml" --kubeconfig "$KUBECONFIG" >"$LOG/$1.log" 2>&1 </dev/null &
}
manager jobset; manager trainer

# The charts' webhooks, with the local processes in place of their Services.
helm template jobset "$charts/jobset" -n kubeflow-system >charts.yaml
helm template trainer "$charts/kubeflow-trainer" -n kubeflow-system --set crds.enabled=false --set jobset.install=false >>charts.yaml
webhooks() { kubectl create --dry-run=client -o json -f charts.yaml | python3 "$HERE/control-plane/webhooks.py" "$@" | kubectl apply --server-side -f -; }
quietly webhooks webhooks tmp/k8s-webhook-server/serving-certs/tls.crt "jobset=$jobset_port" "trainer=$trainer_port"
answer() { kubectl apply --dry-run=server -f "$HERE/webhooks.yaml"; }
until_true 60 answer || { answer || true; die "a webhook of JobSet or Trainer does not answer (logs: $LOG)"; }
trap - EXIT
say "control plane is up: KUBECONFIG=$KUBECONFIG"
