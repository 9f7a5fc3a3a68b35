# Every command is also written as plain Python in CONTRIBUTING.md, for systems without make.

# The first Python that is new enough; `make PYTHON=/path/to/python run` chooses another.
PYTHON ?= $(shell for p in python3 python python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; \
	done)
VENV_PYTHON := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python.exe,.venv/bin/python)
STAMP := .venv/installed

export PYTHONHASHSEED = 0

.DEFAULT_GOAL := help
.PHONY: help run course test quick lab lint format notebooks data docs bench clean install

help:
	@echo "make run        run notebooks 00 to 06 for real and show the superhero"
	@echo "                MODEL=superhero-mini fine-tunes that one: the fast lane"
	@echo "make course     run all notebooks for real"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make test       all tests, and every notebook against its stored outputs"
	@echo "make quick      the tests that need no trained model"
	@echo "make lint       check the code's style         make format   fix it"
	@echo "make notebooks  run the notebooks and store their outputs anew"
	@echo "make data       make the shipped files in data/ anew"
	@echo "make docs       the book: build/docs/index.html"
	@echo "make bench      the measurements              make clean    start from nothing"

$(STAMP): requirements.txt constraints.txt pyproject.toml tools/install.py
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Get one from python.org,"; \
		echo "or say where it is: make PYTHON=/path/to/python run"; exit 1; }
	@$(PYTHON) tools/install.py
	@touch $@

install: $(STAMP)

run: $(STAMP)
	@$(VENV_PYTHON) tools/run_course.py $(if $(MODEL),--model $(MODEL))

course: $(STAMP)
	@$(VENV_PYTHON) tools/run_course.py --all $(if $(MODEL),--model $(MODEL))

# Two processes share the tests; all tests of a file, or cells of a notebook, stay together.
test: $(STAMP)
	$(VENV_PYTHON) -m pytest -n 2 --dist loadfile

quick: $(STAMP)
	$(VENV_PYTHON) -m pytest -n 2 --dist loadfile -m "not slow" tests

# With .venv first in the PATH, JupyterLab's terminals find `heroes`.
lab: $(STAMP)
	PATH="$(CURDIR)/$(dir $(VENV_PYTHON)):$$PATH" $(VENV_PYTHON) -m jupyter lab --ServerApp.root_dir=. notebooks/00_start_here.ipynb

lint: $(STAMP)
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .

format: $(STAMP)
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

data: $(STAMP)
	@$(VENV_PYTHON) tools/refresh_data.py

notebooks: $(STAMP)
	@$(VENV_PYTHON) tools/refresh_notebooks.py

docs: $(STAMP)
	@$(VENV_PYTHON) tools/build_docs.py

bench: $(STAMP)
	@$(VENV_PYTHON) -m bench

# What you made yourself (data/my and .env) stays, and so do fetched models (in your cache folder).
clean:
	@if test -x $(VENV_PYTHON); then $(VENV_PYTHON) -m heroes sandbox stop; fi || true
	rm -rf .venv .sandbox build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
