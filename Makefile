# One command grammar: `lint` and `test` only check, `fmt` changes files. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
TRITON  = build/tritonserver
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help system setup models run cpu-base image image-run image-test push test lint fmt lock docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

# Debian's venv module, the libpython that Triton's Python backend links to, and HAProxy. Without the right to install
# HAProxy everything still runs: `serve` then says that its own, slower, front door is used.
PYLIB = libpython$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
system:
	@missing=""; \
	command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import sys; sys.argv = ["assemble.py"]; sys.path.insert(0, "docker/cpu-base"); import assemble; assemble.libpython()' \
	  2>/dev/null || missing="$$missing $(PYLIB)"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; \
	else echo "Please install:$$missing (apt-get install$$missing)"; exit 0; fi; \
	echo "Installing Debian packages:$$missing"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null

setup: system $(TRITON)/bin/tritonserver ## create the virtual environment and lay out the real tritonserver

$(BIN)/serve: requirements/dev.lock requirements/tritonserver.lock pyproject.toml
	@echo "Creating $(VENV) (about 700 MB of wheels the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/tritonserver.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(BIN)/serve

$(TRITON)/bin/tritonserver: $(BIN)/serve docker/cpu-base/assemble.py $(shell find python_backend_models/backends -name '*.py' 2>/dev/null)
	$(BIN)/python docker/cpu-base/assemble.py $(TRITON)

models: setup ## build the models of model_repository/
	@for build in model_repository/*/build.py; do echo "Building $$(dirname $$build)"; $(BIN)/python $$build || exit 1; done

run: models ## serve the image classifier and ask it about a photograph (ARGS=--once: then stop)
	@$(BIN)/python examples/quickstart.py $(ARGS)

# BASE_IMAGE=…/sagemaker-tritonserver:26.05-py3 builds on NVIDIA's image, otherwise on a CPU base that is made here.
IMAGE ?= triton-byoc:latest
cpu-base: setup ## build the base image for machines without a GPU or AWS
	@$(BIN)/python -c 'from pathlib import Path; from byoc.image import build_cpu_base; build_cpu_base(Path())'

image: models ## build the container image (IMAGE=, BASE_IMAGE=)
	@$(BIN)/byoc build --tag $(IMAGE) $(if $(BASE_IMAGE),--base $(BASE_IMAGE),--cpu)

image-run: ## serve its sample models, or MODEL=directory|model.tar.gz, from the image on port 8080 (PORT=)
	@docker/run $(IMAGE) $(MODEL)

image-test: models ## build the image and test it with a real engine
	@$(BIN)/pytest -m docker tests/docker

push: ## push the image to Amazon ECR, or to REGISTRY=host:port
	@$(BIN)/byoc push $(IMAGE) $(if $(REGISTRY),--registry $(REGISTRY))

lint: setup ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy serve byoc tests bench

fmt: setup ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove everything that was built, the virtual environment too
	rm -rf $(VENV) build dist *.egg-info
	git clean -fdXq model_repository
