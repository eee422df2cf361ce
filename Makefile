PYTHON ?= python3
BIN := .venv/bin
SPEED ?= 1

.PHONY: install demo test test-radio lint bench soak lock
install: .venv/installed

.venv/installed: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Doseloop needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements.lock
	touch $@

demo: install  ## Forty virtual patients, every process, until Ctrl-C
	$(BIN)/python -m backend demo --speed $(SPEED)

test: install lint  ## All checks and tests, at most eight minutes on two cores
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

lint: install
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

test-radio: install  ## The bridge on the real BlueZ, in a virtual machine (QEMU): minutes
	$(BIN)/python -m tests.radio

bench: install  ## The headline numbers
	$(BIN)/python -m tests.benchmarks

soak: install  ## Full matrices, fuzzing, seeds: hours
	$(BIN)/python -m pytest -m soak

lock: install  ## Resolve again; names no index
	$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --extra dev pyproject.toml -o requirements.lock
