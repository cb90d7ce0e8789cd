# Each target works alone on a fresh clone: it makes .venv and installs from the lock when needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Tests write and sync many small files: in memory that takes a third of the time.
TESTS_IN := $(shell df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000 {print "PYTEST_DEBUG_TEMPROOT=/dev/shm"}')

.PHONY: help setup demo dev test docs golden format lint types soak lock clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(INSTALLED)  ## Make .venv from requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing from requirements.lock (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation -e .
	@touch $@

demo: setup  ## Run the whole pipeline against a sandbox, ending with answers
	@$(BIN)/ecw demo

dev: setup  ## Open the Dagster UI on http://127.0.0.1:3000 (with the sandbox, if nothing is configured)
	@$(BIN)/ecw dev

test: setup lint types  ## Everything that CI checks
	@$(TESTS_IN) $(BIN)/python -m pytest --numprocesses auto --dist loadfile

soak: setup  ## The proofs by many tries, with many more tries (about an hour)
	@ECW_SOAK=1 $(BIN)/python -m pytest -m soak
	@$(BIN)/python -m pytest --hypothesis-profile=soak -m hypothesis

lint: setup
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .

types: setup
	@$(BIN)/mypy

docs: setup  ## Rewrite what docs/ has from the code: tables, marts, errors
	@$(BIN)/python -m ecw_pipeline.dictionary docs

golden: setup  ## Rewrite the golden SQL after a wanted change of the compiler
	@$(BIN)/python -m ecw_pipeline_tests.sql_on_fhir.golden_sql

format: setup  ## Format and fix what can be fixed
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

lock: setup  ## Pin the newest versions that pyproject.toml allows (needs uv)
	@uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:  ## Throw .venv away; data stays
	@rm -rf $(VENV)
