# Commands for developers; each target installs what it uses.
PYTHON ?= python3
# Index for PyTorch alone, instead of pip's default: https://download.pytorch.org/whl/cpu has it without CUDA.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Passed to the command that a target runs, as in `make demo ARGUMENTS="--prompt 'pan left'"`.
ARGUMENTS :=
READY := $(VENV)/.ready
RECIPE := cinemo_core/tiny/recipe

.DEFAULT_GOAL := help
.PHONY: help demo up test readme-test docs-test dialect-test compose-test page-test page-pictures lint types-of-all types-of-oldest types-of-newest generate audit sbom observability-test faults fuzz bench ablation quality watermark train-turbo train-tiny clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock requirements-tools.lock pyproject.toml cinemo_spec/pyproject.toml cinemo_core/pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) deploy/local/interpreter.py \
		|| { echo "[setup] $(PYTHON) cannot be used; choose another Python: make PYTHON=python3.13 …"; exit 1; }
	@echo "[setup] creating a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "[setup] installing the locked packages, PyTorch among them: a few minutes the first time"
	@$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url "$(TORCH_INDEX)" "$$(grep ^torch== requirements.lock)")
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --requirement requirements-tools.lock
	@$(PIP) --no-deps --editable cinemo_spec --editable cinemo_core --editable . --editable clients/python
	@touch $@
	@echo "[setup] done"

demo: $(READY) ## Animate a real photo through the whole service; writes demo-output/
	@$(BIN)/python -m deploy.local.demo $(ARGUMENTS)

up: $(READY) ## Run the whole stack in the foreground; Ctrl-C stops all of it
	@$(BIN)/python -m deploy.local.up $(ARGUMENTS)

test: $(READY) ## Run the tests
	@# Two processes for each of two cores, as tests wait for much of their time.
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGUMENTS)

readme-test: $(READY) ## Follow the README literally, with its own `make up`; needs curl
	$(BIN)/python -m pytest tests/docs/test_readme.py --timeout 900 $(ARGUMENTS)

docs-test: $(READY) ## Follow every page of the documentation literally, with a real stack; needs curl and Node
	$(BIN)/python -m pytest tests/docs --timeout 900 $(ARGUMENTS)

dialect-test: $(READY) ## Have OpenAI's SDKs and LiteLLM call /v1, each in its own environment; needs Node, uses PyPI and npm
	$(BIN)/python -m pytest tests/dialect --timeout 600 -p no:cacheprovider $(ARGUMENTS)

compose-test: $(READY) ## Build the images and test docker-compose.yml with them; needs a Docker engine
	$(BIN)/python -m pytest tests/compose --timeout 1800 -p no:cacheprovider $(ARGUMENTS)

page-test: $(READY) ## Test the playground in Chromium or Chrome; needs one installed: apt install chromium
	$(BIN)/python -m pytest tests/page -p no:cacheprovider $(ARGUMENTS)

page-pictures: $(READY) ## Take the screenshots of the playground in docs/, with the same browser
	$(BIN)/python -m tests.page $(ARGUMENTS)

lint: $(READY) ## Check style, types, imports between packages, the Helm chart, images and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Two at a time, as each takes one core.
	@$(MAKE) --no-print-directory --jobs 2 types-of-all types-of-oldest types-of-newest
	$(BIN)/lint-imports
	$(BIN)/python -m tests.chart
	$(BIN)/hadolint deploy/docker/*.Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --quiet --offline .github

types-of-all: $(READY)
	$(BIN)/mypy

types-of-oldest: $(READY)
	$(BIN)/mypy --python-version 3.10 --package cinemo_client --package cinemo_spec --package cinemo_core

types-of-newest: $(READY)
	$(BIN)/mypy --python-version 3.14 --package service --package worker --package deploy

generate: $(READY) ## Regenerate docs/openapi.json, docs/api.md, and the client's models and synchronous half
	$(BIN)/python -m service.openapi
	$(BIN)/python clients/python/scripts/generate_models.py
	$(BIN)/python clients/python/scripts/unasync.py

audit: $(READY) ## Look for known vulnerabilities in the locked packages; uses PyPI
	@# Strict: fail for a package that PyPI has no data on, as that says nothing about its vulnerabilities.
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock $(ARGUMENTS)

sbom: $(READY) ## Write the images' bills of materials, as CycloneDX, into var/sbom
	$(BIN)/python -m deploy.supply.sbom

observability-test: ## Check the dashboard and the alert rules, with a test for each rule; needs promtool
	@command -v promtool >/dev/null || { echo "promtool is missing: it comes with Prometheus, in Debian 'apt-get install prometheus'"; exit 1; }
	promtool check config deploy/observability/prometheus.yml
	promtool test rules deploy/observability/alerts_test.yml
	$(PYTHON) -m tests.dashboard | promtool check rules /dev/stdin

faults: $(READY) ## Kill each process in turn and check that no job is lost; writes docs/reliability.md
	$(BIN)/python -m tests.faults $(ARGUMENTS)

fuzz: $(READY) ## Fuzz the reading of pictures: each must be accepted or rejected; takes a minute by default
	$(BIN)/python -m tests.fuzz $(ARGUMENTS)

bench: $(READY) ## Measure speed; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench $(ARGUMENTS)

ablation: $(READY) ## Reproduce the paper's claims at small scale; writes docs/ablation.md
	$(BIN)/python -m tests.ablation $(ARGUMENTS)

quality: $(READY) ## Measure the built-in model and the photo's detail on unseen photos and clips; writes docs/
	$(BIN)/python -m cinemo_core.training.quality
	$(BIN)/python -m cinemo_core.training.quality --model tiny-turbo --no-pictures
	$(BIN)/python -m tests.quality

watermark: $(READY) ## Measure what the watermark survives and its false positives; writes docs/watermark.md
	$(BIN)/python -m tests.watermark $(ARGUMENTS)

train-turbo: $(READY) ## Distil the built-in model into its student of 4 steps; writes var/turbo/tiny-turbo
	$(BIN)/python -m cinemo_core.training.sources var/turbo/photos
	$(BIN)/python -m cinemo_core train cinemo_core/tiny_turbo/recipe.yaml -o var/turbo/tiny-turbo

train-tiny: $(READY) ## Train the built-in model from scratch; downloads photos from Debian; writes var/tiny/tiny
	$(BIN)/python -m cinemo_core.training.photos var/tiny/photos
	$(BIN)/python -m cinemo_core new-model $(RECIPE)/model.yaml -o var/tiny/untrained
	$(BIN)/python -m cinemo_core train $(RECIPE)/1-moves.yaml -o var/tiny/1-moves
	$(BIN)/python -m cinemo_core train $(RECIPE)/2-smooth.yaml -o var/tiny/tiny

clean: ## Remove generated files, but not the virtual environment
	rm -rf var demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
