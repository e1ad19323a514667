# `make run` and `make test` need Python 3.10 or newer, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONFIG ?= configs/online.yaml
PACKAGES ?= data measures statistics engine

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow test-slurm attack mutate lint types architectures theory smoke bench bench-gpu build clean screenshots docs house

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "parity-lightning needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $@

install: $(VENV)/.installed ## make the environment .venv and install into it

run: install ## train a ReLU MLP on the (50,3)-parity to 100 % (CONFIG=FILE for another run)
	$(BIN)/parity-lightning fit --config $(CONFIG)

test: $(VENV)/.installed-dev ## install what tests need and run them
	$(BIN)/python -m pytest -n 2 -m "not slow and not slurm"

test-slow: $(VENV)/.installed-dev ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-slurm: $(VENV)/.installed-dev ## run the tests on a SLURM cluster of this machine's own (docs/scale.md says what it needs)
	$(BIN)/python -m pytest -m slurm

attack: $(VENV)/.installed-dev ## attack what is kept on disk, by the thousand: the table of docs/attacks.md
	$(BIN)/python -m pytest -m slow -s -q tests/test_attack.py

mutate: $(VENV)/.installed-dev ## put small mistakes into packages and count those that the tests notice (PACKAGE=engine SAMPLE=120 SEED=1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	$(BIN)/python benchmarks/mutants.py $(or $(PACKAGE),$(PACKAGES)) $(addprefix --sample=,$(SAMPLE)) $(addprefix --seed=,$(SEED))

lint: $(VENV)/.installed-dev ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## check types
	$(BIN)/mypy

architectures: $(VENV)/.installed-dev ## run every setting of the paper 25 times: the tables of docs/architectures.md
	$(BIN)/python benchmarks/architectures.py

theory: install ## run every experiment on the theory: the pages of docs/theory.md
	for name in $$($(BIN)/parity-lightning theory --list | cut -d' ' -f3); do $(BIN)/parity-lightning theory $$name || exit; done

smoke: install ## run every figure of the paper at its smallest scale, and make a page of them: runs/smoke/paper.md
	$(BIN)/parity-lightning paper --scale smoke --output runs/smoke

screenshots: $(VENV)/.installed-dev ## draw reports, TensorBoard and this site in Chromium: docs/pictures/{report,site}-*.png, tensorboard.png
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	PYTHONPATH=tests $(BIN)/python docs/screenshots.py

bench: $(VENV)/.installed-dev ## measure speed as ratios against peers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/fit_seconds.py
	$(BIN)/python benchmarks/fit_overhead.py
	$(BIN)/python benchmarks/stacked_trials.py speed
	$(BIN)/python benchmarks/stacked_trials.py cold
	$(BIN)/python benchmarks/stacked_trials.py solve
	$(BIN)/python benchmarks/stacked_trials.py compilers

bench-gpu: $(VENV)/.installed-dev ## measure stacked trials on an NVIDIA GPU, beside JAX on the same card
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gpu]' 'jax[cuda13]'
	$(BIN)/python benchmarks/gpu_trials.py

docs: $(VENV)/.installed-dev ## build the documentation into site/; a broken link fails
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

house: ## draw docs/pictures/house.svg from the imports
	$(PYTHON) docs/draw_house.py

build: $(VENV)/.installed-dev ## build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist

clean: ## remove what was built and installed, never runs
	rm -rf build dist site *.egg-info .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
