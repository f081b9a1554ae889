# make setup, make demo, make test; `make help` says more.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH # of a full ROS in the caller's shell
unexport PYTHONDONTWRITEBYTECODE # without byte code each of the many processes of a station compiles everything again

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SESSION ?= sessions/$(shell date -u +%Y%m%dT%H%M%SZ)

# A step is done when its stamp is there; the stamp's name holds a hash of all that the step depends on,
# so that it is the content that counts (a changed or deleted file, another branch), not the time of the files.
hash = $(shell { $(1); } 2>/dev/null | sha256sum | cut -c1-16)
pins := $(filter-out requirements/docs.txt requirements/noble.txt,$(sort $(wildcard requirements/*.txt))) # for `make docs`, `make test-noble`
built_from := package.xml CMakeLists.txt setup.py requirements/runtime.in requirements/drivers.in \
	$(sort $(wildcard cmake/* msg/*.msg srv/*.srv action/*.action interfaces/*/*.* interfaces/*/msg/*.msg))
nodes := $(sort $(wildcard qkd_gs/nodes/*_node.py)) # the names alone: their code runs from the checkout

venv_key := $(call hash,pwd)
packages_key := $(call hash,echo $(venv_key); tail -n +1 $(pins))
build_key := $(call hash,echo $(packages_key) $(nodes); tail -n +1 $(built_from))
venv_done := $(VENV)/done-venv-$(venv_key)
packages_done := $(VENV)/done-packages-$(packages_key)
build_done := $(VENV)/done-build-$(build_key)
ifeq ($(wildcard $(VENV)/lib/python*/site-packages/__editable__.qkd_gs-*.pth),)
.PHONY: $(build_done) # somebody has uninstalled it, or put a copy of the code in its place
endif

.PHONY: help setup demo demo-relay hil test test-long test-noble docs pictures pins clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(build_done) ## build .venv with everything in it; again: only what changed
	@echo "ready: $(BIN)/qkd-gs --help"

# Cleared where there is the stamp of another place: the folder was moved, and every script in it names the old one.
$(venv_done):
	@command -v $(PYTHON) >/dev/null || { echo 'make setup: there is no $(PYTHON): run `sudo apt install build-essential python3-dev python3-venv git`.' >&2; exit 1; }
	@$(PYTHON) tools/check_machine.py
	$(PYTHON) -m venv $(if $(wildcard $(VENV)/done-venv-*),--clear) $(VENV)
	$(PIP) install -q -r requirements/build.txt
	@touch $@

$(packages_done): $(venv_done)
	@echo 'installing the pinned packages; the first time this takes a minute or two'
	$(PIP) install -q --no-build-isolation --no-compile $(addprefix -r ,$(pins))
	@rm -f $(VENV)/done-packages-* && touch $@

# Editable: the Python code, config/ and launch/ are used where they are; only what is generated gets installed.
$(build_done): $(packages_done)
	@echo 'building the interfaces'
	$(PIP) install -q --no-build-isolation --no-deps --editable .
	@echo 'compiling the numerical kernels; half a minute'
	@$(BIN)/python tools/warm_up.py
	@rm -f $(VENV)/done-build-* && touch $@

demo: setup ## the station's ROS graph tracks a pass over Shanghai and makes a key; SESSION=DIR puts the session there
	$(BIN)/qkd-gs demo --session '$(SESSION)'

demo-relay: setup ## two cities joined by one satellite: a file is encrypted in Shanghai and decrypted in Beijing
	$(BIN)/qkd-gs demo-relay

hil: setup ## a shortened pass with the real drivers before the twin, beside the simulated one; INSTALL=1 installs what it needs
	tools/hil.sh '$(SESSION)'

test: setup ## all checks and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/vulture
	@mkdir -p build
	@echo 'mypy, beside the tests; what it says comes after them'
	@$(BIN)/mypy > build/types.txt 2>&1 & types=$$!; \
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$types; types=$$?; cat build/types.txt; \
	exit $$((types || tests))

test-long: setup ## the longer campaigns, which `make test` leaves out
	$(BIN)/pytest -m long

docs_done := $(VENV)/done-docs-$(call hash,echo $(packages_key); cat requirements/docs.txt)
$(docs_done): $(packages_done)
	$(PIP) install -q --no-build-isolation -r requirements/docs.txt
	@rm -f $(VENV)/done-docs-* && touch $@

docs: setup $(docs_done) ## the pages of doc/ and the Python interface as HTML in build/docs/html, its examples checked
	$(BIN)/sphinx-build -b html -q -W --keep-going doc build/docs/html
	$(BIN)/sphinx-build -b doctest -q -W doc build/docs/doctest
	@echo 'ready: build/docs/html/index.html'

pictures: setup ## draw the picture of the README from a session: make pictures SESSION=DIR
	$(BIN)/python tools/draw_pictures.py '$(SESSION)'

NOBLE := .venv-noble
NOBLE_PIP := $(NOBLE)/bin/python -m pip --disable-pip-version-check --no-input
test-noble: ## the tests with the library versions of Ubuntu 24.04, in .venv-noble
	$(PYTHON) -m venv $(NOBLE)
	$(NOBLE_PIP) install -q -r requirements/build.txt
	@mkdir -p build
	awk -F== '/^[a-z]/ && !seen[$$1]++' requirements/noble.txt $(pins) > build/noble.txt
	$(NOBLE_PIP) install -q --no-build-isolation --no-deps -r build/noble.txt
	$(NOBLE_PIP) install -q --no-build-isolation --no-deps --editable .
	NUMBA_CACHE_DIR='$(CURDIR)/build/noble-kernels' $(NOBLE)/bin/pytest -n auto --maxprocesses 4 --dist loadfile

pins: ## work out requirements/*.txt again after a change of requirements/*.in; versions already pinned stay
	$(PYTHON) -m venv --clear build/pins
	build/pins/bin/python -m pip install -q pip-tools==7.6.2
	cd requirements && for set in ros runtime drivers test docs; do ../build/pins/bin/pip-compile -q --strip-extras --allow-unsafe --no-header \
		--annotation-style line --no-emit-index-url --no-emit-find-links --no-emit-options -o $$set.txt $$set.in; done

clean: ## remove everything that was built; sessions stay
	rm -rf $(VENV) $(NOBLE) build install log dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find qkd_gs test tools -name __pycache__ -type d -prune -exec rm -rf {} +
