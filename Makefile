# Everything here works on a machine with Python 3.11+, make and git. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Packages are pinned with hashes and the pins are complete, so nothing is left to resolve. (ib_async, in the tests,
# would cap tzdata: see requirements/overrides.txt.)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

SEEDS ?= 200
SOAK_MINUTES ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test faults soak bench bench-executions bench-pages lint format types check requirements audit licences sbom clean reset

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/base.stamp ## create the environment in .venv (done by run and test as well)

run: $(VENV)/base.stamp ## start everything in the foreground: database, paper gateway, worker, web. Ctrl-C stops it
	@exec $(BIN)/python -m ibkr_site.stack

test: $(VENV)/test.stamp $(VENV)/dev.stamp ## run the tests; options in ARGS, e.g. make test ARGS="-k bracket"
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/faults $(ARGS)

faults: $(VENV)/test.stamp ## break a running house in every named way, and at random a few times: about five minutes
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests/faults $(ARGS)

soak: $(VENV)/test.stamp ## faults at every byte and with many seeds: SEEDS=200, or SOAK_MINUTES=60 (hours with both)
	@SWEEP_SAMPLE=0 LOAD_FILLS=2000 LOAD_SECONDS=600 FAULT_SEEDS=$(SEEDS) SOAK_MINUTES=$(SOAK_MINUTES) \
		$(BIN)/python -m pytest tests/faults -s $(ARGS)

bench: $(VENV)/base.stamp $(VENV)/bench.stamp ## orders and reads against the guide's own design; ARGS="--sustained 10", --help says more
	@$(BIN)/python -m benchmarks.placing $(ARGS)

bench-executions: $(VENV)/base.stamp ## measure the sync of 1,000, 10,000 and 100,000 executions; SIZES="500 5000" for others
	@$(BIN)/python -m benchmarks.executions $(SIZES) $(ARGS)

bench-pages: $(VENV)/base.stamp ## measure pages at ten thousand to ten million events; SIZES="10000 1000000" for others
	@$(BIN)/python -m benchmarks.pages $(SIZES) $(ARGS)

lint: $(VENV)/dev.stamp ## look for mistakes and wrong layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/dev.stamp ## lay the code out as lint wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/dev.stamp ## check the types
	$(BIN)/python -m mypy

check: $(VENV)/dev.stamp ## import contracts, licences, migrations, deployment settings, API schema
	$(BIN)/lint-imports
	$(BIN)/python -m supply.licences --check
	$(BIN)/python -m tests.servers $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

requirements: $(VENV)/dev.stamp ## compile requirements/*.txt from *.in
	@set -e; cd requirements; for name in base test bench dev; do \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command "make requirements" --override overrides.txt $$name.in -o $$name.txt $(ARGS); \
	done

audit: $(VENV)/dev.stamp ## look the pinned packages up among known vulnerabilities (needs the network; requirements/waivers.toml)
	@$(BIN)/python -m supply.vulnerabilities $(ARGS)

licences: $(VENV)/base.stamp ## write the licences of what runs to docs/licences.md; refuses those not allowed (works offline)
	@$(BIN)/python -m supply.licences

sbom: $(VENV)/dev.stamp ## list what the running system is made of, with hashes, in sbom.json (CycloneDX; works offline)
	$(BIN)/cyclonedx-py requirements --output-reproducible --no-validate --output-file sbom.json requirements/base.txt

clean: ## remove caches and the environment; the data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

reset: $(VENV)/base.stamp ## delete the embedded servers' data: every order and the whole trail
	@$(BIN)/python -m ibkr_site.reset

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed and '$(PYTHON)' is not: try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Creating the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# One stamp per set of requirements: later runs compare two dates and are done.
$(VENV)/%.stamp: requirements/%.txt | $(BIN)/python
	@echo "Installing requirements/$*.txt ..."
	@$(INSTALL) -r $<
	@# The project is importable wherever its environment is, before a `tests` package that eventkit leaves there.
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "project.pth").write_text(f"import sys; sys.path.insert(0, {str(pathlib.Path.cwd())!r})\n")'
	@touch $@
