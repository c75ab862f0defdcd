# Every target sets up what it needs in $(VENV); a stamp file per extra makes the second call quick.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EMULATOR := tests/emulator/requirements.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-emulated lint types lit pytest emulated bench bench-native mca clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## compile the bundled int8 network, run it, check its accuracy, profile it
	@$(BIN)/lpc demo

test: lint types lit pytest emulated  ## everything that must pass: ruff, mypy, lit, pytest, emulated

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev  ## mypy, strict
	$(BIN)/mypy

lit: $(VENV)/.installed-dev  ## dialects and passes on textual IR
	$(BIN)/lit -j$(JOBS) -sv lit_tests

# Kernels of other CPUs are what `emulated` is for: here they would be emulated a second time.
pytest: $(VENV)/.installed-dev  ## everything else, kernels on the targets that this CPU runs
	LPC_TEST_NATIVE=1 $(BIN)/pytest -n $(JOBS) --dist=worksteal --quiet tests/codegen
	$(BIN)/pytest -n $(JOBS) --dist=worksteal --quiet tests --ignore=tests/codegen

emulated: $(VENV)/.installed-dev  ## kernels of every target on the oldest CPU that has it, emulated
	$(BIN)/python tests/emulated.py --jobs $(JOBS)

CASES ?= 20000
test-emulated: $(VENV)/.installed-dev  ## the same with CASES=20000 generated cases, and whole networks
	$(BIN)/python tests/emulated.py --jobs $(JOBS) --cases $(CASES) --networks

bench: $(VENV)/.installed-bench  ## speed, compile time and memory beside onnxruntime and openvino
	$(BIN)/python -m benchmarks.run

bench-native: $(VENV)/.installed-dev  ## the property tests and small networks on each instruction set of this CPU
	$(BIN)/python -m benchmarks.native --jobs $(JOBS)

mca: $(VENV)/.installed-dev  ## every hot loop in llvm-mca's models of CPUs, beside its bound
	$(BIN)/python -m benchmarks.mca

clean:  ## remove the environment, caches and build products
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf benchmarks/.cache benchmarks/results tests/emulator/*.so lit_tests/.lit_test_times.txt
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A broken environment (no ensurepip) must not look like a finished one, hence built aside.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("lpc needs Python 3.11 or newer" \
	    if sys.version_info < (3, 11) else 0)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv"; \
	    exit 1; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing lpc into $(VENV)"
	@$(PIP) -e .
	@touch $@

# Where there is no wheel of the emulator, tests of other CPUs' code are skipped, or, with
# REQUIRE_EMULATOR=1, fail.
$(VENV)/.installed-dev: pyproject.toml $(EMULATOR) | $(BIN)/python
	@echo "installing lpc and its development tools into $(VENV)"
	@$(PIP) -e '.[dev]'
	@$(PIP) --no-deps --require-hashes -r $(EMULATOR) || [ -z "$$REQUIRE_EMULATOR" ]
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	@echo "installing lpc and the peers it is compared with into $(VENV)"
	@$(PIP) -e '.[bench]'
	@touch $@ $(VENV)/.installed
