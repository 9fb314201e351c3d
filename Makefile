# Everything starts from nothing: each target makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two threads at most: the tests are small, and more only fight.
export OMP_NUM_THREADS ?= 2

.PHONY: help install demo test test-all lint types wheel-test other-pythons docs nano qgis-plugin clean

help:
	@echo "make demo      segment a sample tile with the embedded model, from nothing"
	@echo "make test      the default tests, from nothing"
	@echo "make test-all  the long tests too"
	@echo "make lint      ruff; make types: mypy; make wheel-test: a wheel in an empty environment"
	@echo "make other-pythons  the same with Python 3.12 to 3.14, where they are installed"
	@echo "make docs      the pages as a site, in build/site"
	@echo "make nano      train the embedded model anew"
	@echo "make qgis-plugin  a zip for QGIS's plugin manager"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/rsclip segment sample_tiles/town_river.tif --classes sample_tiles/classes.yaml \
		--model nano --output-dir demo-output --overwrite
	@echo "The outputs are in $(CURDIR)/demo-output: open town_river_mask.tif in QGIS."

# Two files at a time, each with one thread: half the time of one after another.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The long tests train a little, which needs the teacher of nano's text tower.
test-all: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,train]"
	$(BIN)/python -m pytest -m "long or not long"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

wheel-test: $(STAMP)
	bash tests/wheel.sh $(PYTHON)

# Not in .ci/run: PyTorch's default build takes some ten minutes and 8 GB of disk for each Python
# (2 GB where PIP_EXTRA_INDEX_URL names the index of its CPU build).
other-pythons:
	bash tests/other_pythons.sh

# The generated pages, then all as a site; a link that leads nowhere is an error.
docs: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/licences.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

nano: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,train]"
	$(BIN)/python -m rsclip.nano.make --output rsclip/data/nano --work build/nano

qgis-plugin: $(STAMP)
	$(BIN)/rsclip qgis zip -o dist/rsclip_qgis.zip

clean:
	rm -rf $(VENV) build dist *.egg-info demo-output
