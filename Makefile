# The one entry point: people and CI run the same targets. `make help` lists them.
#
# PYTHON=/path/to/python  use this interpreter, with its packages, and make no virtual environment
# JOBS=2                  processes that run the tests
# KEEP=1                  `make demo` leaves its network up, `make e2e` its cluster
# ZEROTIER_ONE=/path      the reference node: runs the tests against it, too
# CLUSTER=kind, or own    what `make e2e` runs on: kind where docker answers, else namespaces
# BASE=IMAGE              the base of `make image`; debootstrap makes one where there is no registry
#
# deploy, authorize-nodes and mesh-status work on the cluster of kubectl's current context:
# ZEROTIER_NETWORK_ID=ID  a network whose controller is elsewhere
# ZEROTIER_API_TOKEN_FILE=FILE, or ZEROTIER_API_TOKEN in the environment: for that controller
# ZEROTIER_API_URL=URL    that controller, where it is not ZeroTier Central
# DRY_RUN=1               authorize-nodes looks, and changes nothing
# CONTROLLER_NODE=NAME    a node of the cluster for a root and a controller of one's own
# IMAGE=, VALUES=         another image, a file of further values
# NAMESPACE=, RELEASE=    both zerotier-k8s-link

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
JOBS ?= $(shell nproc)
CONFIG := agent/pyproject.toml
STAMP :=

ifneq ($(origin PYTHON),command line)
PYTHON := $(CURDIR)/$(VENV)/bin/python
STAMP := $(VENV)/.installed
endif

# Tests import their helpers, and scripts of ci/ theirs, from the top.
export PYTHONPATH := $(CURDIR)

export ZEROTIER_ONE CLUSTER
export ZEROTIER_NETWORK_ID CONTROLLER_NODE IMAGE VALUES NAMESPACE RELEASE DRY_RUN

PYTEST := $(PYTHON) -m pytest -c $(CONFIG)
ON_MACHINE := netadmin or interop or browser or prometheus or resolvconf or resolved
ELSEWHERE := $(ON_MACHINE) or chart or image

help: ## say what the targets do
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	    || sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

demo: $(STAMP) ## a root, a controller and three nodes on this machine (KEEP=1: leave them up)
	@ci/packages demo
	@$(PYTHON) ci/demo.py $(if $(KEEP),--keep)

test: lint types test-core test-machine test-image test-chart ## all that CI runs; long counts shortened to a tenth

soak: $(STAMP) ## the tests with their full counts
	@ci/packages test || true
	ZTLINK_SOAK=1 $(PYTEST) -n $(JOBS) -m "not ($(ELSEWHERE))" tests
	ZTLINK_SOAK=1 ci/as-root $(PYTEST) -rs -m "($(ON_MACHINE)) and not image" tests

check: lint types test-core ## what passes without root and without a network

lint: $(STAMP) ## format, style, import contracts
	$(PYTHON) -m ruff format --config $(CONFIG) --check agent/src tests ci
	$(PYTHON) -m ruff check --config $(CONFIG) agent/src tests ci
	cd agent && $(PYTHON) -c "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())" pyproject.toml

types: $(STAMP) ## mypy, strict, on the package and the tests
	cd agent && $(PYTHON) -m mypy

# Counts, bytes and virtual time, and nodes in user space on the loopback: no rights, any number of processes.
test-core: $(STAMP)
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not ($(ELSEWHERE))" tests

# Real interfaces and real time: one after the other.
test-machine: $(STAMP)
	@ci/packages test || true
	@ci/unpacked openresolv prometheus resolvconf systemd-resolved >/dev/null || true
	ci/as-root $(PYTEST) -rs -m "($(ON_MACHINE)) and not image" tests

test-pythons: ## the tests of the face for programs on every Python, 3.11 to 3.14, that is here
	ci/test-pythons -n $(JOBS)

image: $(STAMP) ## build the container image (BASE=: another base image, or debootstrap)
	@ci/packages image
	@BASE=$(BASE) $(PYTHON) ci/image.py

test-image: $(STAMP) ## build the image and run it as a node's runtime would; needs root
	@ci/packages test-image || true
	$(PYTEST) -rs -m image tests/image

e2e: tools image ## the chart on a Kubernetes cluster of this machine (KEEP=1: leave it up); needs root and Go
	@ci/packages e2e
	@$(PYTHON) ci/e2e.py $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(KEEP),--keep)

chart: test-chart ## lint and tests of the chart and the Dockerfile, with pinned tools

test-chart: tools
	$(PYTEST) -rs -m chart tests/chart

tools: $(STAMP) ## build the tools of the chart, where they are not built yet (5 minutes; needs Go)
	@$(PYTHON) ci/toolchain.py

chart-readme: tools ## write the chart's README from its values
	$$($(PYTHON) ci/toolchain.py --path helm-docs) --chart-search-root=charts --sort-values-order=file --log-level=warning

deploy: $(STAMP) ## put the chart on a cluster: ZEROTIER_NETWORK_ID= or CONTROLLER_NODE=
	@$(PYTHON) ci/deploy.py install

authorize-nodes: $(STAMP) ## let the cluster's nodes into their network, at whichever controller
	@$(PYTHON) ci/deploy.py authorize

mesh-status: $(STAMP) ## who sees whom, how, and what is wrong
	@$(PYTHON) -m ztlink mesh-status --namespace $(or $(NAMESPACE),zerotier-k8s-link) \
	    --release $(or $(RELEASE),zerotier-k8s-link)

untested: $(STAMP) ## name the modules that no test imports
	$(PYTHON) ci/check_tests.py

mutants: $(STAMP) ## change TCP's arithmetic here and there, name what no test notices (a quarter of an hour)
	$(PYTHON) ci/mutants.py

bench: $(STAMP) ## packets per second of each stage; compared, not asserted
	@set -e; for script in tests/bench/bench_*.py; do \
	    [ -e "$$script" ] || { echo "no benchmark in tests/bench" >&2; exit 1; }; \
	    echo "== $$script"; $(PYTHON) "$$script"; \
	done

format: $(STAMP) ## format the code, sort the imports
	$(PYTHON) -m ruff check --config $(CONFIG) --select I --fix agent/src tests ci
	$(PYTHON) -m ruff format --config $(CONFIG) agent/src tests ci

venv: $(VENV)/.installed ## the virtual environment: packages of the lock file, and ztlink itself

$(VENV)/.installed: agent/requirements-dev.lock agent/pyproject.toml
	@ci/packages python
	"$$(ci/find-python)" -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r agent/requirements-dev.lock
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e agent
	@touch $@

lock: ## write the lock files anew, from pyproject.toml
	ci/lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .cache agent/dist agent/build
	rm -rf .hypothesis .pytest_cache .ruff_cache agent/.mypy_cache agent/.pytest_cache
	rm -rf agent/.ruff_cache agent/.import_linter_cache .mypy_cache .import_linter_cache
	find agent/src tests ci -name __pycache__ -type d -exec rm -rf {} +

.PHONY: help demo test soak check lint types test-core test-machine test-pythons test-chart test-image image chart chart-readme
.PHONY: e2e tools deploy authorize-nodes mesh-status untested mutants bench format venv lock clean
