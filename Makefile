# One virtual environment for everything, made on first use and again when the requirements change.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
# Two files of tests at a time: nine tenths of their time is one thread that builds graphs. More would want more memory.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile
SLOW_TOO = -m "not weekly and not browser"
REQUIREMENTS = requirements.txt requirements-dev.txt pyproject.toml
# The tests that hold on every backend of Keras.
ON_BACKENDS = backends devices training fit freezing equality backup evaluation explain prediction saving command_line plots text \
	sources splitting resizing image_check comparing

# And with every version of Keras.
ON_VERSIONS = private vocabulary untrusted saving extras training prediction

.PHONY: demo test test-all test-weekly backends matrix browser runtimes lessons try-lessons recap questions slides nbgrader pictures lab lint wheel clean help

demo: $(READY)  ## train on the bundled flowers; the run folder is runs/demo
	$(BIN)/python -m kerastl train drawn_flowers --weights garden --out runs/demo --overwrite

test: $(READY)  ## run the fast tests: less than ten minutes on two cores
	$(PYTEST)

test-all: $(READY)  ## run the slow tests, too, as CI does
	$(PYTEST) $(SLOW_TOO)

test-weekly: $(READY)  ## run what takes too long for CI: every base at every depth
	$(PYTEST) -m weekly

# (A program of JAX is compiled anew by each test, unless it is kept.)
backends: .venv-jax/ready .venv-torch/ready  ## the tests of the workflow, with Keras on JAX and on torch
	KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR=.venv-jax/compiled JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
		.venv-jax/bin/python -m pytest $(SLOW_TOO) $(ON_BACKENDS:%=tests/test_%.py)
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest $(SLOW_TOO) $(ON_BACKENDS:%=tests/test_%.py)

matrix: $(READY)  ## the wheel beside several versions of TensorFlow and Keras; needs python3.10 to python3.13 on the PATH
	$(BIN)/python tests/matrix.py $(ON_VERSIONS:%=tests/test_%.py)

browser: $(READY)  ## look at the reports in a real browser; needs Chromium (Debian: apt install chromium)
	$(BIN)/python -m pip install --quiet -r requirements-browser.txt
	$(PYTEST) -m browser

runtimes: $(READY)  ## ask exported models in their real runtimes; installs those, some 350 MB
	$(BIN)/python -m pip install --quiet --editable '.[export]'
	$(BIN)/python -m pytest $(SLOW_TOO) tests/test_exporting.py

lessons: $(READY)  ## make all lessons from notebooks/src again, and execute them
	$(BIN)/python notebooks/build.py

try-lessons: $(READY)  ## execute all lessons with their exercises solved, and write nothing
	$(BIN)/python notebooks/build.py --try drawn

recap: $(READY)  ## printable pages of each lesson, in notebooks/recap: for students, and with answers
	$(BIN)/python notebooks/recap.py

questions: $(READY)  ## multiple-choice questions in notebooks/quiz: for Moodle, and to print, with keys
	$(BIN)/python notebooks/quiz.py

slides: $(READY)  ## slides of each lesson, in notebooks/slides; they open without a network
	$(BIN)/python notebooks/slides.py

nbgrader: $(READY)  ## the lessons as a course for nbgrader, in notebooks/nbgrader; installs nbgrader
	$(BIN)/python -m pip install --quiet -r requirements-nbgrader.txt
	$(BIN)/python notebooks/for_nbgrader.py

pictures: $(READY)  ## draw the pictures of the glossary again
	$(BIN)/python notebooks/pictures.py

lab: $(READY)  ## open the lessons in JupyterLab
	$(BIN)/jupyter lab notebooks

lint: $(READY)  ## check the style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

wheel: $(READY)  ## build dist/kerastl-*.whl, with the bundled data inside
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove the environment and all runs
	rm -rf $(VENV) .venv-jax .venv-torch runs build dist

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

define environment  # a folder, and what to install there beside the rest
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "kerastl needs Python 3.10 to 3.13; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --upgrade pip
	$(1)/bin/python -m pip install --quiet -r requirements.txt -r requirements-dev.txt --editable . $(2)
	@touch $(1)/ready
endef

$(READY): $(REQUIREMENTS)
	$(call environment,$(VENV))

# On Linux pip takes torch with all that graphics cards need, several GB. PIP_EXTRA_INDEX_URL can name the index of
# builds for the CPU that pytorch.org gives.
.venv-%/ready: $(REQUIREMENTS)
	$(call environment,.venv-$*,$*)
