# Everything happens in .venv; constraints.txt pins the versions that were tested.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2
# What the small model of the package was trained on.
TOKENS ?= 672825344
# If this is set, each process compiles again what others have compiled.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: run help test tests test-fast test-ray lint types browser web-tools wheel web fuzz zoo names bench picture \
        golden examples small-model clean

run: $(VENV)/.run            ## install, and trace a first word
	$(BIN)/gptrace run "Hello"
	@echo 'To run it yourself as "gptrace": source $(BIN)/activate'

help:                        ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

# What waits for the network, or for one core, runs beside something else.
test:                        ## lint, types and all tests
	$(MAKE) --no-print-directory --jobs=3 lint browser web-tools
	$(MAKE) --no-print-directory --jobs=2 types tests

tests: $(VENV)/.test         ## all tests, but for those of Ray
	$(PYTEST)

test-fast: $(VENV)/.test     ## the tests that take less than a minute: no 124M model, no processes, no server
	$(PYTEST) -m "not slow and not processes"

test-ray: $(VENV)/.test      ## the tests that need Ray, in an environment of their own (half a GB)
	test -x build/ray/bin/python || $(PYTHON) -m venv build/ray
	build/ray/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt -e '.[test,ray]'
	build/ray/bin/python -m pytest -m ray tests/parallel

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

browser:                     ## install the headless browser of some tests, where there is none (Debian, root)
	@sh tests/browser/install.sh

web-tools:                   ## get what builds the page, where npm is at hand; a test builds it anew
	@if command -v npm >/dev/null; then \
		timeout 120 npm --prefix web ci --silent --no-audit --no-fund || \
			{ rm -rf web/node_modules; echo "npm failed: the page is not built anew"; }; \
	else echo "No npm: the page is not built anew"; fi

wheel: $(VENV)/.run          ## build the wheel, and try it in an empty environment
	sh tests/try_wheel.sh "$(PYTHON)"

web: $(VENV)/.run            ## build the page of a trace from web/ (needs Node 20 or newer)
	npm --prefix web ci --no-audit --no-fund
	$(BIN)/gptrace schema page | npm --prefix web run --silent types
	npm --prefix web run --silent check
	npm --prefix web run --silent build

fuzz: $(VENV)/.test          ## 10,000 random command lines with hostile values, files and models
	$(BIN)/python -m tests.fuzz 0 10000

zoo: $(VENV)/.test           ## every causal architecture of transformers, built small and asked everything
	$(BIN)/python -m tests.zoo

names: $(VENV)/.test         ## axis names of 5,000 configurations whose sizes collide, against rebuilt models
	$(BIN)/python -m tests.colliding 0 5000

bench: $(VENV)/.bench        ## ratios against peers, side by side
	$(BIN)/python -m tests.benchmarks

picture: $(VENV)/.test       ## draw the pictures in the README; those of the page need a browser
	$(BIN)/python docs/draw_picture.py docs
	$(BIN)/python docs/draw_page.py docs

golden: $(VENV)/.test        ## rewrite the golden files, to be read before they are committed
	$(BIN)/python -m pytest tests/test_golden.py --overwrite

examples: $(VENV)/.run       ## run the examples of the READMEs again, to be read before they are committed
	$(BIN)/python docs/refresh_examples.py

small-model: $(VENV)/.test   ## make the small trained model again from TEXT=FOLDER (minutes on a GPU; see docs/small-model.md)
	@test -n "$(TEXT)" || { echo 'Say where the books are: make small-model TEXT=FOLDER'; exit 2; }
	$(BIN)/python -m training.prepare --text "$(TEXT)" --output build/small-model/ids \
		$(if $(HOLD_OUT),--hold-out "$(HOLD_OUT)")
	$(BIN)/python -m training.train --ids build/small-model/ids --output build/small-model/run \
		--tokens $(TOKENS) --resume $(OPTIONS)
	$(BIN)/python -m training.export --weights build/small-model/run/weights.safetensors \
		--output build/small-model/small.safetensors
	$(BIN)/python -m training.evaluate --ids build/small-model/ids --weights build/small-model/small.safetensors

clean:
	rm -rf $(VENV) build dist

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gptrace needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch and the rest into $(VENV); this takes a minute or two."
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.run
	# Few modules of these packages are imported, so the others need not be compiled.
	$(PIP) install --no-compile -c constraints.txt -e '.[test]'
	# The course's published code, to compare with; what it asks for beside torch is not needed.
	$(PIP) install -c constraints.txt --no-deps llms-from-scratch
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) install -c constraints.txt -e '.[bench]'
	touch $@
