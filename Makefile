# `make demo` and `make test` need python3 (3.11 or later) with venv, and make; nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lint types format bench race bigger race-quick race-exact fuzz memory clean

demo: .venv/demo
	$(BIN)/onelayer demo

test: .venv/test
	$(BIN)/python -m pytest -n 2

check: .venv/dev lint types test race-exact

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# make bench DATA=folder: onelayer beside scikit-learn on real tables (see benchmarks/).
bench: .venv/test
	$(BIN)/python -m benchmarks tables --data $(DATA)

# make race DATA=folder: time to the optimum beside every other library; the page is drawn anew.
race: .venv/bench
	$(BIN)/python -m benchmarks race $(if $(DATA),--data "$(DATA)") $(if $(ONLY),--only "$(ONLY)")
	$(BIN)/python -m benchmarks draw

# make bigger FOLDER=folder ROWS=20000000: a table larger than memory, beside what else can train on it.
bigger: .venv/bigger
	$(BIN)/python -m benchmarks bigger --folder "$(FOLDER)" $(if $(ROWS),--rows $(ROWS))
	$(BIN)/python -m benchmarks draw

# The short form, in under a minute: fails where a fit is not exact, or far behind scikit-learn's.
race-quick: .venv/test
	$(BIN)/python -m benchmarks race --quick

# The same on a machine whose other work makes times mean little: judges the answers alone.
race-exact: .venv/test
	$(BIN)/python -m benchmarks race --quick --exact-alone

# Every certificate against 60 digits on 1,200 problems; the short form is in the suite. A failure is
# an exit status above 0.
fuzz: .venv/test
	$(BIN)/python tests/fuzz.py

# What fits of tall tables take of memory; docs/performance.md says which cases are over the limit.
memory: .venv/test
	$(BIN)/python -m pytest -m slow tests

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache

# Each extra leaves a mark, so that it is installed once and again when pyproject.toml changes.
.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/%: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
