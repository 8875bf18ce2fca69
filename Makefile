# Every target does its own set-up: `make demo` and `make test` are all that a fresh machine needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash -euo pipefail
VENV := .venv
TRAINER_VENV := .venv-trainer
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
LOCK := uv pip compile -q --universal --generate-hashes --no-annotate --no-emit-index-url --no-header
export PYTHONPATH := operator:trainer-image:dev

.PHONY: help
help: ## Show what there is to make
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' Makefile

##@ Try it
.PHONY: demo demo-osft
demo: setup ## Cluster, images, chart, and a FineTuneJob that trains for real
	@dev/demo/run.sh
demo-osft: setup ## Teach the demo's model a second task with SFT and with OSFT, and compare what each keeps
	@dev/demo/run-osft.sh

##@ Test
.PHONY: test unit contract contract-trainer integration chart e2e verify
test: setup setup-trainer ## All tests that need no node: unit, contract, chart, integration
	@dev/cluster/tools/ensure.sh control-plane
	$(PYTEST) tests/unit tests/chart
	OMP_NUM_THREADS=1 $(TRAINER_VENV)/bin/python -m pytest tests/contract/trainer
	$(PYTEST) tests/contract tests/integration --ignore tests/contract/trainer
unit: setup ## Pure functions, in seconds
	$(PYTEST) tests/unit
contract: setup ## Schemas and models against what others accept
	$(PYTEST) tests/contract --ignore tests/contract/trainer
contract-trainer: setup-trainer ## The engines, trained on the CPU
	OMP_NUM_THREADS=1 $(TRAINER_VENV)/bin/python -m pytest tests/contract/trainer
chart: setup ## The Helm chart, rendered
	@dev/cluster/tools/ensure.sh control-plane
	$(PYTEST) tests/chart
integration: setup ## Real API server, Job controller, JobSet and Trainer; KWOK plays the nodes
	@dev/cluster/tools/ensure.sh control-plane
	$(PYTEST) tests/integration
e2e: setup ## The demo's path on kind, with the built images
	$(PYTEST) tests/e2e
verify: setup generated-current ## Style, types, layers, and that generated files and locks are current
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	git ls-files -z '*.sh' .ci/run | xargs -0 $(VENV)/bin/shellcheck -x -P SCRIPTDIR
	$(MAKE) --no-print-directory locks-current

##@ Cluster
.PHONY: cluster-up cluster-down cluster-status kubeconfig images images-load
cluster-up: ## kind with a registry, JobSet and Kubeflow Trainer
	@dev/cluster/up.sh
cluster-down: ## Remove it, and the Docker engine if we started one
	@dev/cluster/down.sh
cluster-status: ## What runs
	@dev/cluster/status.sh
kubeconfig: ## Print the path of its kubeconfig
	@dev/cluster/kubeconfig.sh
images: ## Build operator, trainer and quickstart images
	@dev/cluster/images.sh
images-load: ## Push them to the cluster's registry, changed layers only
	@dev/cluster/images-load.sh

##@ Develop
.PHONY: setup setup-trainer generate generated-current format lock locks-current clean
setup: ## Python environment of operator, tools and tests (.venv)
	@dev/setup.sh $(VENV) requirements-dev.lock
setup-trainer: ## Python environment of the trainer (.venv-trainer, about 6 GB)
	@dev/setup.sh $(TRAINER_VENV) trainer-image/requirements.lock trainer-image/requirements-test.lock
generate: setup ## Definition and API reference from the models
	$(PY) -m finetune_operator.api.crd --write
	$(PY) -m finetune_operator.reference --write
generated-current: setup
	$(PY) -m finetune_operator.api.crd --check
	$(PY) -m finetune_operator.reference --check
format: setup ## Format and mend what can be mended
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix
lock: setup ## Lock dependencies anew, within the bounds of pyproject.toml
	$(VENV)/bin/$(LOCK) --upgrade pyproject.toml -o requirements.lock
	$(VENV)/bin/$(LOCK) --upgrade --group dev pyproject.toml -o requirements-dev.lock
	$(VENV)/bin/$(LOCK) --upgrade --override trainer-image/overrides.txt trainer-image/pyproject.toml -o trainer-image/requirements.lock
	$(VENV)/bin/$(LOCK) --upgrade -c trainer-image/requirements.lock trainer-image/requirements-test.in -o trainer-image/requirements-test.lock
locks-current: setup
	dev/locks-current.sh $(VENV)/bin/uv
clean: ## Remove environments and build products of this checkout
	rm -rf $(VENV) $(TRAINER_VENV) build .mypy_cache .ruff_cache .pytest_cache
