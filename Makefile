# Every target sets itself up: a fresh checkout needs Python 3.11 or later and make.
VENV ?= .venv
PYTHON ?= python3
# Test processes; "auto" is one for each core.
JOBS ?= auto
# Many tests start a Python: it should not have to compile the package again.
export PYTHONDONTWRITEBYTECODE =
# Neighbours share what a file's tests derive, so each process has a part in one piece, and
# takes some of another's when it is done.
PYTEST := -m pytest -n $(JOBS) --dist worksteal
# Where the demonstration leaves its files.
DEMO_DIR ?= build/demo
# What makes torch take the kernels of lesser processors; + joins what is set together.
KERNELS ?= ONEDNN_MAX_CPU_ISA=AVX2 \
    ATEN_CPU_CAPABILITY=avx2 ATEN_CPU_CAPABILITY=default \
    ONEDNN_MAX_CPU_ISA=AVX2+ATEN_CPU_CAPABILITY=default

BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
NODE_INSTALLED := tests/node/node_modules/.package-lock.json
SPHINX := $(BIN)/python -m sphinx -W -n --keep-going -q

.DEFAULT_GOAL := help
.PHONY: help demo test test-kernels slow check docs bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: $(INSTALLED) ## run the demonstration (files go to DEMO_DIR)
	mkdir -p $(DEMO_DIR)
	cd $(DEMO_DIR) && $(BIN)/symrnn demo

test: $(INSTALLED) $(NODE_INSTALLED) ## run the tests (JOBS=2, ARGS='-k gru' as needed)
	$(BIN)/python $(PYTEST) $(ARGS)

# A file stays in one process: what its tests share is made once.
test-kernels: $(INSTALLED) ## test torch's numbers again, by its kernels for other processors
	$(foreach setting,$(KERNELS),\
	    echo "$(setting)" && env $(subst +, ,$(setting)) $(BIN)/python -m pytest tests -q \
	    -n $(JOBS) --dist loadfile -m 'torch_bits and not slow' $(ARGS) &&) true

slow: $(INSTALLED) $(NODE_INSTALLED) ## run the exhaustive tests too (minutes)
	$(BIN)/python $(PYTEST) -m 'slow or not slow' $(ARGS)

check: $(INSTALLED) ## lint, formatting, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(DOCS_INSTALLED) ## build docs/_build/html and run the examples in the pages
	$(SPHINX) -b html docs docs/_build/html
	$(SPHINX) -b doctest docs docs/_build/doctest

bench: $(INSTALLED) ## time what the README states
	$(BIN)/python benchmarks/forward.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/long.py --steps 1000
	$(BIN)/python benchmarks/documents.py

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[torch,files,dev]'
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(PIP) -e '.[docs]'
	touch $@

# What the tests run in a browser and in Node.js; without npm these tests are skipped, and
# fail where SYMRNN_REQUIRE_ALL is set.
$(NODE_INSTALLED): tests/node/package-lock.json
	if command -v npm >/dev/null; then \
	    npm ci --prefix tests/node --no-audit --no-fund --loglevel=error && touch $@; fi
