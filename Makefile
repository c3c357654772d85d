# Two commands on a fresh machine with Python 3.11+: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := schemas registry providers accounts bus database outbound operations ingest streams sinks console trackly

.PHONY: help install demo test unit check format bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     the whole pipeline on this machine, with real callbacks and a ledger at the end"
	@echo "make test     everything: check, unit tests, tests against a real Apache Kafka"
	@echo "make unit     unit tests alone (seconds)"
	@echo "make check    formatting, lint, types, import contracts, compatible schemas"
	@echo "make bench    how fast it is, process by process"
	@echo "make install  a .venv with everything, .venv/bin/trackly included"

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
	@$(BIN)/python -m pytest

unit: install
	@$(BIN)/python -m pytest tests/unit

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.compatibility

format: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install
	@$(BIN)/python -m bench

# Needs uv. Hashes only: where packages come from is the machine's own setting.
lock:
	@for group in "requirements.lock" "requirements-dev.lock --group dev"; do \
		uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet \
			--output-file $$group; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
