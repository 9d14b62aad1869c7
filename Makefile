# One environment (.venv) for the demo, the tests and the checks. It is built once and rebuilt when
# pyproject.toml or constraints.txt change. `make help` explains the targets.

PYTHON  ?= python3
VENV    ?= .venv
TRIALS  ?= 240
WORKERS ?= 2
NEW     ?=
JOBS    ?= logical

BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
TESTED  := $(VENV)/.installed-examples
PYTEST  := $(BIN)/python -m pytest -n $(JOBS) --maxprocesses=4 --dist=loadfile
PIP     := $(BIN)/python -m pip --disable-pip-version-check
STUDY   := studies/stdp_digits.py
STORAGE := runs/stdp_digits.db
SITE    := build/docs

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-quick check docs notebooks format clean

help:
	@echo "make demo         tune a spiking network on digits: $(TRIALS) trials, $(WORKERS) workers, in $(STORAGE)"
	@echo "                  a second 'make demo' continues the same study: it adds nothing once the"
	@echo "                  study has its trials, and says so"
	@echo "  TRIALS=300      continue until the study has 300 finished trials"
	@echo "  WORKERS=4       worker processes"
	@echo "  NEW=1           start anew; the old database is kept under a dated name"
	@echo "make test         all tests, a process for each CPU, at most four"
	@echo "  JOBS=1          test processes"
	@echo "  PYTEST_ARGS=-x  more arguments of pytest"
	@echo "make test-quick   the tests that take less than two minutes together"
	@echo "make check        ruff format, ruff, mypy --strict: what a commit must pass"
	@echo "make docs         build the documentation into $(SITE); warnings are errors"
	@echo "make notebooks    run the notebooks and store what they show, under two minutes"
	@echo "make format       let ruff rewrite the files"
	@echo "make environment  only build $(VENV)   (PYTHON=python3.12 names another interpreter)"
	@echo "make clean        remove $(VENV) and caches; studies under runs/ stay"

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "error: '$(PYTHON)' is not installed; optuna_snn needs Python 3.11 or newer (make PYTHON=... names one)"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: optuna_snn needs Python 3.11 or newer, '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1); name another: make PYTHON=python3.12 ..."; exit 1; }
	@"$(BIN)/python" -c 'import pip' 2>/dev/null || "$(PYTHON)" -m venv --clear "$(VENV)" || { \
	  rm -rf "$(VENV)"; \
	  echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu install the package python3-venv"; exit 1; }
	@echo "Installing into $(VENV), once: some minutes, 2.2 GB (with a CUDA build of torch more) ..."
	@$(PIP) install -qq -c constraints.txt -e ".[all,dev]"
	@PIP_QUIET=2 PIP_CONSTRAINT=constraints.txt $(BIN)/optuna-snn backends install bindsnet
	@touch $@

# The frameworks of studies/examples and Ray, which the tests use and the demo does not: 410 MB.
$(TESTED): $(STAMP)
	@$(PIP) install -qq -c constraints.txt -e ".[examples,ray]"
	@PIP_QUIET=2 PIP_CONSTRAINT=constraints.txt $(BIN)/optuna-snn backends install lava-dl
	@$(PIP) install -qq -c constraints.txt --no-deps spikingjelly
	@touch $@

demo: $(STAMP)
	@mkdir -p $(dir $(STORAGE))
	@$(BIN)/optuna-snn run $(STUDY) --n-trials $(TRIALS) --workers $(WORKERS) --storage $(STORAGE) $(if $(NEW),--new)
	@echo "continue: make demo TRIALS=<more>    begin anew: make demo NEW=1"

test: $(TESTED)
	@$(PYTEST) $(PYTEST_ARGS)

test-quick: $(TESTED)
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html -d $(SITE)/.doctrees docs $(SITE)
	@echo "open $(SITE)/index.html"

notebooks: $(TESTED)
	$(BIN)/python notebooks/execute.py

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis
