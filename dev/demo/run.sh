#!/bin/bash
# run.sh: the quickstart from nothing to a trained model, `make demo`. Options: see `python -m demo quickstart --help`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. dev/cluster/env.sh
export PYTHONPATH=operator:dev
exec "${VENV:-.venv}/bin/python" -m demo quickstart "$@"
