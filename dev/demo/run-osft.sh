#!/bin/bash
# run-osft.sh: what OSFT keeps and SFT forgets, `make demo-osft`. Options: see `python -m demo osft --help`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. dev/cluster/env.sh
export PYTHONPATH=operator:dev
exec "${VENV:-.venv}/bin/python" -m demo osft "$@"
