# Every habit of the project. `make` alone lists them.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
# The oldest Python that will do comes first, because the locked versions were chosen on it.
SYSTEM_PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
PYTEST_WORKERS ?= 2
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
PIP := $(PYTHON) -m pip --disable-pip-version-check install --quiet

export PYTHONUNBUFFERED = 1
# Compiled modules are kept: compiling what the tests consist of takes longer than importing it. Where the checkout
# should stay clean, PYTHONPYCACHEPREFIX names another place for them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast coverage check fmt lint types contracts django-check bench bench-tenant \
	bench-growth races fuzz docs docs-check messages messages-check locks-check lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- setting up ---------------------------------------------------------------------------------------------------

$(PYTHON):
	@test -n "$(SYSTEM_PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(SYSTEM_PYTHON) -m venv $(VENV)

# A stamp remembers the lock file that was installed, so a second run installs nothing.
$(VENV)/base.stamp: requirements/base.txt | $(PYTHON)
	@echo "Installing the locked packages."
	@$(PIP) --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt | $(PYTHON)
	@echo "Installing the locked packages for development."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/base.stamp

setup: $(VENV)/dev.stamp ## Make .venv with everything for development
	@if [ -d .git ]; then $(BIN)/pre-commit install >/dev/null; fi
	@# For one browser test, which is skipped without it. Nothing that runs here is JavaScript from elsewhere.
	@if command -v npm >/dev/null; then npm ci --silent --ignore-scripts --prefix tests/clients/node; fi

# --- using --------------------------------------------------------------------------------------------------------

run: $(VENV)/base.stamp ## Serve on HOST:PORT (127.0.0.1:8000) with a demo tenant
	@exec $(PYTHON) manage.py serve

test: $(VENV)/dev.stamp ## Run every test: on SQLite, or on the PostgreSQL of DATABASE_URL
	$(PYTHON) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

test-fast: $(VENV)/dev.stamp ## Run, on SQLite, the first case of each test that needs no browser or other server
	@env -u DATABASE_URL $(PYTHON) -m pytest -n $(PYTEST_WORKERS) --dist worksteal --first-cases \
		-m 'not browser and not client' --ignore tests/tenant_api/test_fuzz.py $(PYTEST_ARGS)

coverage: $(VENV)/dev.stamp ## Run the tests with branch coverage
	$(PYTHON) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup --cov --cov-report=term-missing $(PYTEST_ARGS)

bench: $(VENV)/dev.stamp ## Measure the protocol endpoints under gunicorn
	$(PYTHON) -m bench $(BENCH_ARGS)

bench-tenant: $(VENV)/dev.stamp ## Measure the tenant API over a million users on PostgreSQL
	$(PYTHON) -m bench.tenant $(BENCH_ARGS)

bench-growth: $(VENV)/dev.stamp ## Measure whether operations cost the same over a million rows as over few
	$(PYTHON) -m bench.growth --svg docs/growth.svg $(BENCH_ARGS)

races: $(VENV)/dev.stamp ## Race revocation against use on two nodes over PostgreSQL, 100 tries each
	$(PYTHON) -m tests.races $(RACES_ARGS)

fuzz: $(VENV)/dev.stamp ## Send the tenant API many generated requests
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(PYTHON) -m pytest -q tests/tenant_api/test_fuzz.py

# --- checking: no test runs here ----------------------------------------------------------------------------------

check: lint types contracts django-check messages-check docs-check locks-check ## Everything that needs no test run

fmt: $(VENV)/dev.stamp ## Format the code and sort its imports
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

lint: $(VENV)/dev.stamp ## Check style and banned imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## Check types
	$(BIN)/mypy

contracts: $(VENV)/dev.stamp ## Check who imports whom
	$(BIN)/lint-imports

django-check: $(VENV)/dev.stamp ## Check production settings and migrations
	$(PYTHON) scripts/check_deploy.py

messages-check: $(VENV)/dev.stamp ## Check that every text is translated
	$(PYTHON) scripts/messages.py check

docs-check: $(VENV)/dev.stamp ## Check that generated documents are up to date
	$(PYTHON) scripts/error_docs.py check
	$(PYTHON) scripts/house_docs.py check
	$(PYTHON) -m pytest --collect-only -qqq --matrix=check

locks-check: $(VENV)/dev.stamp ## Check that the lock files install with any pip, tomorrow too
	$(PYTHON) scripts/check_locks.py

# --- making -------------------------------------------------------------------------------------------------------

docs: $(VENV)/dev.stamp ## Write the generated documents
	$(PYTHON) scripts/error_docs.py write
	$(PYTHON) scripts/house_docs.py write
	$(PYTHON) -m pytest --collect-only -qqq --matrix=write
	$(PYTHON) -m pytest -q --walks=write tests/architecture/test_walks.py

messages: $(VENV)/dev.stamp ## Collect texts into the catalogues and compile them
	$(PYTHON) scripts/messages.py update
	$(PYTHON) scripts/messages.py compile

lock: $(VENV)/dev.stamp ## Lock the newest allowed versions of all packages
	$(LOCK) --upgrade --output-file requirements/base.txt pyproject.toml
	$(LOCK) --upgrade --extra dev --constraint requirements/base.txt --output-file requirements/dev.txt pyproject.toml

clean: ## Remove caches and test databases; .venv and var/monban.sqlite3 stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov var/test var/static var/static-test
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
