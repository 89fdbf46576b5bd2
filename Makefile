# semlink: every target sets up its own virtual environment first. `make help` lists them.
PYTHON ?= python3.11
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.semlink-installed

# The tests start hundreds of processes; where none may keep what it compiled, each compiles all of torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo live quick test lint types check full coverage bench bench-keep soak evaluate clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp is written last and holds the folder: an interrupted install is done again, and so is one whose Python or
# pip does not work or that was made elsewhere and moved. --no-compile: Python compiles what is imported, and most of
# what torch and transformers bring never is, which saves a third of the time. The pip that comes with Python 3.11 takes
# half as much again of the processor as a new one; where there is no newer one, it does. What the build warns of is that
# an editable installation is editable.
install:  ## make .venv and install everything into it; mends a half-made one
	@$(PY) -m pip --version >/dev/null 2>&1 && [ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ] || rm -f $(STAMP)
	@$(MAKE) --silent --no-print-directory $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PY) -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV); }
	@$(PY) -m pip install --quiet --disable-pip-version-check 'pip>=26' || true
	PYTHONWARNINGS=ignore $(PY) -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@echo "$(CURDIR)" >$@

demo: install  ## the main job: three processes, real images, one table and one figure
	@$(PY) -m training.demo

live: install  ## the three processes for as long as you like, and the address of a page that shows them
	@$(PY) -m training.lab.live

# Some files at a time on few cores, and networks and products this small: threads that wait for each other in one file
# take the processor from the others. Tests about threads set their own number.
quick test: export OMP_NUM_THREADS ?= 1

quick: install  ## the tests of a minute: those that start no process and train nothing
	@$(PY) -m pytest -q --quick

# Three, also on two cores: a file that waits for a process leaves its core to another (332 s with two, 295 with three).
test: install  ## unit, statistical, integration, packaging and import tests, three files at a time
	@$(PY) -m pytest -q -n 3 --dist loadfile

lint: install  ## ruff: rules and form
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: install  ## mypy, strict on all four packages
	@$(VENV)/bin/mypy

check: lint types test  ## all that continuous integration runs

full: install  ## all tests that are too slow for `make test`: the channel's full statistics, a million mutated messages
	@$(PY) -m pytest -q -m full tests
	@for backend in onnx torch; do $(PY) -m pytest -q --backend $$backend tests/integration || exit 1; done

coverage: install  ## lines that `make test` runs, by room, child processes included; each file: build/coverage/html
	@$(PY) -m pytest -q --cov --cov-report=
	@$(PY) -m coverage html --quiet
	@$(PY) -m coverage json --quiet && $(PY) -m tests.coverage_by_room build/coverage/lines.json

bench: install  ## measured tables: channel speed, link latency; as JSON in build/bench
	@$(PY) -m pytest -q -s -m bench tests/bench

bench-keep: install  ## put the newest of them into tests/bench/history, to be committed
	@$(PY) -m tests.bench.keep

soak: install  ## the three commands under random faults: make soak SECONDS=600 SEED=1
	@$(PY) -m training.soak --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

evaluate: install  ## accuracy against SNR for the shipped digits pair
	@$(PY) -m training.evaluate --pair digits --dataset digits --json build/evaluate/digits.json

clean:  ## remove what was built, not the virtual environment
	rm -rf build dist *.egg-info
