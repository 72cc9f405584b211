# Everything runs in a virtual environment in the user's cache; nothing is written into the checkout.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CACHE := $(or $(filter /%,$(XDG_CACHE_HOME)),$(HOME)/.cache)/domaintraining
LOCK := $(shell { cat requirements-dev.lock; $(PYTHON) -VV; } | sha256sum | cut -c1-16)
VENV := $(CACHE)/venv-$(LOCK)
READY := $(VENV)/ready
RUN := $(VENV)/bin/python

export PYTHONPATH := operator:.
# Not PYTHONPYCACHEPREFIX: with it the bytecode that pip has put beside the libraries would not be used.
export PYTHONDONTWRITEBYTECODE := 1
export RUFF_CACHE_DIR := $(CACHE)/ruff
export MYPY_CACHE_DIR := $(CACHE)/mypy

PYTEST := $(RUN) -m pytest -o cache_dir=$(CACHE)/pytest

.PHONY: help demo story test unit integration e2e bench-trainer bench-operator soak sandbox sandbox-down lint format generate programs

help: ## list these targets
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: $(READY) ## train the sample from nothing, show status and prompt, clean up (GRAPH=1: and Neo4j)
	@$(RUN) -m tests.sandbox demo $(if $(GRAPH),--graph)

story: $(READY) ## the life of a prompt as a release, step by step, each with its calls and seconds (OUTPUT=json)
	@$(RUN) -m tests.sandbox story $(if $(OUTPUT),--output=$(OUTPUT))

test: lint unit integration ## all checks: lint, unit tests, integration tests on a real control plane

unit: $(READY) ## the unit tests alone
	$(PYTEST) tests/unit --timeout=60

integration: programs ## the integration tests alone
	$(PYTEST) tests/integration --timeout=600

e2e: $(READY) ## the product on a real node of this machine: kubelet, containerd, images, helm (Linux, root)
	@$(RUN) -m tests.e2e $(if $(WHERE_POSSIBLE),--where-possible)

bench-trainer: $(READY) ## the trainer beside plain MIPROv2 (QUICK=1: few rows)
	@$(RUN) -m tests.bench $(if $(QUICK),--quick)

bench-operator: $(READY) ## the controller's memory, requests and delays with 200 resources (QUICK=1: 40)
	@$(RUN) -m tests.bench_operator $(if $(QUICK),--quick)

soak: $(READY) ## resources come and go beside an API server that dies now and then (MINUTES=30)
	@$(RUN) -m tests.bench_operator.soak --minutes=$(or $(MINUTES),30)

sandbox: $(READY) ## keep a control plane, the operator and a simulated model server running (GRAPH=1: and Neo4j)
	@$(RUN) -m tests.sandbox up $(if $(GRAPH),--graph)

sandbox-down: $(READY) ## stop what `make sandbox` has started
	@$(RUN) -m tests.sandbox down

lint: $(READY) ## ruff, mypy --strict, import contracts
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy --strict operator tests images
	$(VENV)/bin/lint-imports --cache-dir $(CACHE)/import-linter

format: $(READY) ## put the sources into their form
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix

generate: $(READY) ## write the CRD, the manifest of the chart and the tables of the README (builds helm, once)
	$(RUN) -m domaintraining crd -o crds/domaintrainings.yaml
	cp crds/domaintrainings.yaml charts/domaintraining/files/crd.yaml
	$(RUN) -m tests.sandbox.chart charts/kustomize/base/operator.yaml
	if [[ -e README.md ]]; then $(RUN) -m domaintraining docs README.md; fi

programs: $(READY)
	@$(RUN) -u -c 'from tests.sandbox.build import controlplane_binary as kube, helm_binary as helm, s3_binary as s3; kube(print); helm(print); s3(print); from tests.sandbox.kueue.controller import binary; binary(print); from tests.sandbox.neo4j import artifacts; artifacts.obstacle() or artifacts.jars(print)'

# One at a time: two checkouts with the same lock file share the environment.
$(READY):
	@mkdir -p $(CACHE); exec 9>$(VENV).lock; flock 9; [[ ! -e $@ ]] || exit 0; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "set PYTHON to a Python 3.11 or newer")'; \
	echo "setting up $(VENV) (about 1 minute, once)"; \
	rm -rf $(VENV); $(PYTHON) -m venv $(VENV); \
	$(RUN) -u -m pip --disable-pip-version-check install --require-hashes -r requirements-dev.lock \
	    | sed -unE 's/^((Collecting|Installing).{0,80}).*/  \1/p'; \
	touch $@
