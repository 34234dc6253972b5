# Every target works from a fresh clone with Python 3.11 and make: the first one builds .venv from the lock file.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Tests look for data sets here; without the folder the tests that need them are skipped.
export NEKO_DATA ?= $(wildcard $(abspath ../shared/data))
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: browser demo docs kills test lint bench peers proofs lock format
.DEFAULT_GOAL := test

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# As fast with one thread as with two, and many times faster where other work keeps the second core busy.
demo: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/neko demo

# Two workers with one thread each use two cores better than one worker with two.
test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Debian's Chromium, in which the page of a report is tested; without one, or the right to install it, that test is
# skipped and says why.
browser:
	@{ command -v chromium && command -v chromedriver; } > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
	  && { apt-get update -qq; DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq -y --no-install-recommends chromium chromium-driver > /dev/null; }; } \
	  || echo "No Chromium, and no right to install it here: the test of the report's page will be skipped."

# The packages of the site are apart from the lock file, so that the tests do not wait for them.
.venv/docs: .venv/ready docs/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement docs/requirements.txt
	touch $@

# Writes the documentation site to site/, to be opened from there; a warning is an error.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

proofs: .venv/docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 -m slow

# 200 runs killed at random moments on each backend.
kills: .venv/ready
	OMP_NUM_THREADS=1 NEKO_KILLS=200 $(BIN)/python -m pytest -m slow tests/test_resume.py -k many_kills

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# With the other libraries where `make peers` has installed them; writes docs/speed.md.
bench: .venv/ready
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.report

peers: .venv/ready
	$(BIN)/python -m benchmarks.peers --install-only

# Pins what is installed now; a local build's suffix would not exist on another machine.
lock: .venv/ready
	$(BIN)/python -m pip freeze --exclude-editable --exclude neko-learning | sed 's/+cpu$$//' | grep --invert-match --line-regexp --fixed-strings --file docs/requirements.txt > requirements.lock
