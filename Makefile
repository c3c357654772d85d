# Two commands on a fresh machine with Python 3.11+: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Tests start hundreds of processes; each would compile every module again if it could not write bytecode.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install demo test unit quick check format bench site sdk release-check lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     the whole pipeline on this machine, with real callbacks and a ledger at the end"
	@echo "make test     everything: check, unit tests, tests against a real Apache Kafka (minutes)"
	@echo "make quick    check and unit tests: before each commit (two minutes)"
	@echo "make unit     unit tests alone"
	@echo "make check    formatting, lint, types, import contracts, schema compatibility, links in the docs"
	@echo "make bench    what an event costs, process by process; AGAINST=COMMIT compares another build"
	@echo "make site     the pages of docs/ as a searchable site"
	@echo "make sdk      API clients in Python, TypeScript, Go, and Java, generated from the OpenAPI document"
	@echo "make release-check  wheel, chart, bill of materials, image, signatures; reports what is missing"
	@echo "make install  a .venv with everything, including .venv/bin/trackly"

install: $(VENV)/.installed

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit("trackly needs Python 3.11 or newer: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install
	@$(BIN)/trackly demo

test: check
	@started=$$(date +%s); \
	$(BIN)/python -m pytest --durations=10 $(if $(CI),-p tests.coverage_floors); \
	result=$$?; echo "the tests took $$(( $$(date +%s) - started )) s"; exit $$result

unit: install
	@$(BIN)/python -m pytest tests/unit

quick: check unit

CHECKS := check-format check-lint check-types check-imports check-schemas check-site
.PHONY: $(CHECKS)

check: install
	@$(MAKE) --no-print-directory --jobs --output-sync $(CHECKS)

check-format:
	@$(BIN)/ruff format --check .

check-lint:
	@$(BIN)/ruff check .

check-types:
	@$(BIN)/mypy

check-imports:
	@$(BIN)/lint-imports

check-schemas:
	@$(BIN)/python -m schemas.compatibility

check-site:
	@$(BIN)/python -m deploy.site

site: install check-site
	@echo "the pages are in build/site/site; to read them: $(BIN)/python -m http.server --directory build/site/site"

sdk: install
	@$(BIN)/python -m deploy.sdk

release-check: install
	@$(BIN)/python -m deploy.release

format: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install
	@$(BIN)/python -m bench $(if $(AGAINST),--against $(AGAINST))

# Needs uv. Hashes only: the package index is a setting of the machine.
lock:
	@for group in "requirements.lock --extra otel" "requirements-dev.lock --group dev --extra dev-broker --extra otel"; do \
		uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet \
			--output-file $$group; done
	@uv pip compile --group pyproject.toml:build --universal --generate-hashes --no-emit-index-url --no-header --quiet \
		--output-file requirements-build.lock

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
