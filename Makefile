# Everything a developer needs; each target sets up what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Passed on to what a target runs, as in `make demo ARGUMENTS="--prompt 'pan left'"`.
ARGUMENTS :=
READY := $(VENV)/.ready
RECIPE := cinemo_core/tiny/recipe

.DEFAULT_GOAL := help
page-test: $(READY) ## Try the playground in a real Chromium, which must be there: apt install chromium
	$(BIN)/python -m pytest tests/page -p no:cacheprovider $(ARGUMENTS)

page-pictures: $(READY) ## Take the pictures of the playground in docs/, by the same Chromium
	$(BIN)/python -m tests.page $(ARGUMENTS)

