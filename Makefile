# `make demo` and `make test` are each enough alone on a machine with make and Python 3.11 (venv module).
# The environment is .venv; it is made from the lock, with hashes, and remade when the lock changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# What the tests use when it is there: FHIR servers and clients, a log checker, HL7's definitions. `make upstreams`
# fetches all; the browser is the system's own Chromium.
HAPI    := tests/hapi/target/classpath.txt
MEDPLUM := tests/medplum/node_modules/.package-lock.json
CLIENTS := tests/clients/node_modules/.package-lock.json
FSCK    := $(VENV)/bin/fsck
DEFINITIONS := tests/definitions/target/.ready
FSCK_VERSION := v1.0.4
ifneq ($(wildcard $(FSCK)),)
export CONSENTRY_FSCK ?= $(abspath $(FSCK))
endif

# No index and no host in the locks: what they hold is the same wherever the packages come from.
LOCK := --quiet --universal --python-version 3.11 --generate-hashes \
	--no-config --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint types imports check docs format lock upstreams clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: $(READY) ## start everything with synthetic patients and print what to try
	@$(BIN)/consentry demo

test: $(READY) ## run the tests; those whose tools are missing say so and skip
	$(BIN)/python -m pytest

lint: $(READY) ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

imports: $(READY) ## who may import whom
	$(BIN)/lint-imports

check: lint types imports test ## all of the above

format: $(READY) ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## rewrite the generated part of docs/configuration.md
	$(BIN)/python -m gateway.config.reference docs/configuration.md

upstreams: $(HAPI) $(MEDPLUM) $(CLIENTS) $(FSCK) $(DEFINITIONS) ## fetch what the tests use: servers, clients, checker, definitions

lock: $(VENV)/lock/bin/uv ## choose new versions of all packages
	$< pip compile $(LOCK) --upgrade -o requirements.lock pyproject.toml
	$< pip compile $(LOCK) --upgrade --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what was made here
	rm -rf $(VENV) tests/hapi/target tests/definitions/target tests/medplum/node_modules tests/clients/node_modules

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv), or PYTHON=...'; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(READY): requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --no-input --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-input --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/lock/bin/uv: | $(VENV)/bin/python
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --no-input 'uv>=0.9'

$(HAPI): tests/hapi/pom.xml
	@mkdir -p $(@D)
	mvn -q -B -f $< dependency:build-classpath -Dmdep.outputFile=$(abspath $@) </dev/null
	@touch $@ && rm -f $(@D)/classes.jsa

$(MEDPLUM) $(CLIENTS): tests/%/node_modules/.package-lock.json: tests/%/package-lock.json tests/%/package.json
	cd tests/$* && npm ci --no-fund --no-audit --loglevel=error </dev/null
	@touch $@

$(FSCK): | $(VENV)/bin/python
	GOBIN=$(abspath $(VENV)/bin) go install github.com/transparency-dev/tessera/cmd/fsck@$(FSCK_VERSION) </dev/null

$(DEFINITIONS): tests/definitions/pom.xml
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=target -DexcludeTransitive=true </dev/null
	@touch $@
