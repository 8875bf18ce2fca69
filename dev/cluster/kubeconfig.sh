#!/bin/bash
# kubeconfig.sh: prints where the cluster's kubeconfig is (there once up.sh has run).
. "$(dirname "$0")/lib.sh"
echo "$KUBECONFIG"
