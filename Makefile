# `make run` and `make test` need nothing done before them: Python 3.11 to 3.13 with venv, and make.

PYTHON ?= python3
CORES ?= $(shell nproc)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What the caller wants of Snakemake or pytest besides: make run ARGS="--configfile my.yaml"
ARGS ?=

.PHONY: help setup run test test-long lint report config-docs
.DEFAULT_GOAL := help

help:
	@echo "make setup   the environment in $(VENV); the other targets do this by themselves"
	@echo "make run     the study of the embedded data set (ARGS='--configfile my.yaml': your own)"
	@echo "make report  report.html of the study that was run (same ARGS)"
	@echo "make test    the tests"
	@echo "make test-long   those that take minutes and rarely break (LONG='long and ci': those of CI)"
	@echo "make lint    ruff, snakefmt, snakemake --lint, mypy"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "degu needs Python 3.11, 3.12 or 3.13, not %d.%d: make PYTHON=python3.11 ..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The logger comes first, since its option takes all words up to the next one.
run: $(STAMP)
	$(BIN)/snakemake --logger degu --cores $(CORES) $(ARGS)

report: $(STAMP)
	$(BIN)/snakemake --cores $(CORES) --report report.html $(ARGS)

# Two files at a time.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
LONG ?= long

test: $(STAMP)
	$(PYTEST) $(ARGS)

test-long: $(STAMP)
	$(PYTEST) -m '$(LONG)' $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# The table of keys in config/README.md is generated from the schema.
config-docs: $(STAMP)
	$(BIN)/python -m degu.study.config config/README.md
