# Everything runs in its own .venv, made from the pins in constraints.txt: Python >= 3.10, make and git are enough.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test check test-train screenshots clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/core  ## convert the digits network, verify it, show its spikes
	@$(BIN)/python examples/demo.py

test: $(VENV)/dev  ## run the tests
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/dev  ## lint, types and tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -n $(JOBS)

test-train: $(VENV)/train  ## the tests that need torch
	$(BIN)/python -m pytest -m train

screenshots: $(VENV)/dev  ## pictures of the report for the documentation (needs chromium)
	PYTHONPATH=tests $(BIN)/python tests/screenshots.py docs/images

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist site demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One stamp a set of extras; each is made again when the pins or the project's metadata change.
$(VENV)/core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/dev: $(VENV)/core
	$(PIP) -e '.[dev,images,report]'
	@touch $@

$(VENV)/train: $(VENV)/dev
	$(PIP) torch==2.13.0
	$(PIP) -e '.[dev,images,report,train]'
	@touch $@
