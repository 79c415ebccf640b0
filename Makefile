# The whole developer interface. `make demo` and `make test` need nothing but Python 3.11 or newer.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 6
BASE ?= python:3.11-slim-bookworm
IMAGE ?= driftline:latest

unexport PYTHONDONTWRITEBYTECODE # or every process of the tests compiles our modules anew

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format bench bench-smoke proof chaos night image lock schema configs deploy-tools clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.base ## Watch real prediction logs drift, in under two minutes
	$(BIN)/driftline demo $(ARGS)

test: $(VENV)/.dev ## All tests that need no more than five minutes
	$(BIN)/python -m kernels.warm
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not night" $(ARGS)

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Write the format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict on monitor/
	$(BIN)/mypy

bench: $(VENV)/.dev ## The figures of bench/README.md, beside other products
	$(BIN)/python -m bench.run $(ARGS)

bench-smoke: $(VENV)/.dev ## The same, small, in under two minutes, without a judgement
	$(BIN)/python -m bench.run --smoke

proof: $(VENV)/.dev ## What the judge promises, by simulation, in bench/PROOF.md; ARGS=--quick for less of it
	$(BIN)/python -m bench.proof $(ARGS)

chaos: $(VENV)/.dev ## Three replicas on a real Kafka, disturbed 200 times under load; a dated report
	$(BIN)/python -m bench.chaos --report $(ARGS)

night: $(VENV)/.dev ## Everything, in full; a dated report under bench/reports/
	$(BIN)/python -m bench.night $(ARGS)

image: ## The container image, with Docker or buildah
	configs/image/build.sh $(IMAGE) $(BASE)

lock: ## Resolve the lock files anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" --extra demo pyproject.toml configs/image/build.in -o requirements.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" --extra test --extra demo --extra parquet pyproject.toml configs/image/build.in \
	  -o requirements-dev.lock

schema: $(VENV)/.dev ## Write the JSON Schema of the configuration, and what is made of it
	$(BIN)/driftline config schema > configs/schema/driftline.schema.json
	$(BIN)/python configs/generate.py

configs: $(VENV)/.dev ## Write what chart and overlays take from rules, dashboards, schema and environments
	$(BIN)/python configs/generate.py

deploy-tools: $(VENV)/.dev ## Build Helm, Kustomize, kubeconform and actionlint for the tests (needs Go)
	$(BIN)/python -m tests.deploy.tools.build

clean: ## Remove what the targets above made
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python requirements.lock pyproject.toml
	@test -e $(VENV)/.dev || (echo "installing from requirements.lock …" && \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	@echo "installing from requirements-dev.lock …"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
