# Everything runs in its own .venv, made from the pins in constraints.txt: Python >= 3.11, make and git are enough.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
# What depends most on the libraries: reading, passes, activations, executions, files of earlier versions.
CORE := $(addprefix tests/,test_golden.py test_conversion.py test_model_file.py test_reference.py calibration \
	passes/test_importer.py passes/normalise/test_fold_constants.py passes/normalise/test_decompose_quantisers.py passes/test_synaptic_operators.py \
	runtime/test_brute_force.py activations cli/test_commands.py)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo browser docs docs-serve test check test-oldest test-train test-cluster test-wheel test-export test-everywhere test-neurobench screenshots clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/core  ## convert the digits network, verify it, show its spikes
	@$(BIN)/python examples/demo.py

browser: $(VENV)/core examples/browser/node_modules  ## draw a digit in the browser, watch its spikes (needs npm)
	$(BIN)/python examples/browser/serve.py

docs: $(VENV)/docs  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the documentation is in $(CURDIR)/site/index.html; make docs-serve shows it at http://127.0.0.1:8000"

docs-serve: $(VENV)/docs  ## show the documentation in a browser, and build it again when a page changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

test: $(VENV)/dev  ## run the tests
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/dev  ## lint, types and tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -n $(JOBS)

# A sum of 4-bit codes by channel crashes older onnxruntimes themselves, when they run the source.
CRASHES := tests/activations/test_rounding_by_channel.py::test_channels_round_ties_to_their_own_side[uint4 behind int8-a sum]

test-oldest: $(VENV)-oldest/installed-all  ## the tests of the core on the oldest supported libraries
	$(VENV)-oldest/bin/python -m pytest -n $(JOBS) $(CORE) --deselect '$(CRASHES)'

test-train: $(VENV)/train  ## the tests that need torch
	$(BIN)/python -m pytest -m train

test-cluster: $(VENV)/cluster  ## the tests that start a Ray cluster here
	$(BIN)/python -m pytest -m cluster

test-wheel: $(VENV)/dev  ## build the wheel, install it into an empty environment, run every command there
	$(BIN)/python -m pytest -m wheel tests/packaging

# Frameworks do not agree on the versions of what they share, so each has an environment of its own; CI runs the scripts that
# need none but torch.
EXPORT_brevitas := torch==2.13.0 brevitas onnxoptimizer onnxscript
EXPORT_jax := jax jax2onnx
EXPORT_keras := tensorflow-cpu tf2onnx
EXPORT_sklearn := scikit-learn skl2onnx
FRAMEWORKS := brevitas jax keras sklearn

test-export: $(FRAMEWORKS:%=test-export-%)  ## the export examples of frameworks that CI does not install (some GB)

# Runtimes and generators of C that have packages; onnxruntime 1.16 has one for Python 3.11 and earlier.
EXPORT_everywhere := openvino opencv-python-headless tract emx-onnx-cgen
OLDEST_RUNTIME := $(VENV)-onnxruntime-1.16

# A package of npm holds the headers of onnxruntime's C API; its library lies in the Python package.
HEADERS := $(VENV)-everywhere/headers

test-everywhere: $(VENV)-everywhere/installed $(OLDEST_RUNTIME)/installed $(HEADERS)/onnxruntime_c_api.h  ## compiled files in other runtimes, and in C (some 500 MB)
	ONNXRUNTIME_OLDEST=$(abspath $(OLDEST_RUNTIME))/bin/python ONNXRUNTIME_HEADERS=$(abspath $(HEADERS)) \
		$(VENV)-everywhere/bin/python -m pytest tests/compile/test_everywhere.py tests/examples/test_c_example.py

$(HEADERS)/onnxruntime_c_api.h: | $(VENV)-everywhere/installed
	mkdir -p $(HEADERS)
	npm pack --silent --pack-destination $(HEADERS) com.github.asus4.onnxruntime@0.4.9
	tar -xzf $(HEADERS)/*.tgz -C $(HEADERS) --strip-components=7 --wildcards '*/ios-arm64/onnxruntime.framework/Headers/*.h'
	rm $(HEADERS)/*.tgz

# The package alone: what it needs for its data sets (tonic, torchaudio, numba) is not asked for here.
EXPORT_neurobench := torch==2.13.0 snntorch

test-neurobench: $(VENV)-neurobench/installed  ## NeuroBench's own package beside our counts of its metrics (some GB)
	$(VENV)-neurobench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps neurobench==2.3.0
	$(VENV)-neurobench/bin/python -m pytest tests/evaluation/test_neurobench.py

$(OLDEST_RUNTIME)/installed:
	$(PYTHON) -m venv $(OLDEST_RUNTIME)
	$(OLDEST_RUNTIME)/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime==1.16.0 'numpy<2'
	@touch $@

.PRECIOUS: $(VENV)-%/installed
test-export-%: $(VENV)-%/installed
	$(VENV)-$*/bin/python -m pytest tests/examples/test_export_scripts.py tests/test_tensorflow_files.py -m 'train or not train' -k '$*'

$(VENV)-%/installed:
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check $(EXPORT_$*) pytest hypothesis websocket-client -e .
	@touch $@

screenshots: $(VENV)/dev  ## pictures of the report for the documentation (needs chromium)
	PYTHONPATH=tests $(BIN)/python tests/screenshots.py docs/images

clean:  ## remove the environment and everything built
	rm -rf $(VENV) $(VENV)-* build dist site demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One stamp a set of extras; each is made again when the pins or the project's metadata change.
$(VENV)/core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/dev: $(VENV)/core
	$(PIP) -e '.[dev,images,report,events]'
	@touch $@

$(VENV)/docs: $(VENV)/core
	$(PIP) -e '.[docs,report]'
	@touch $@

examples/browser/node_modules: examples/browser/package-lock.json
	npm ci --prefix examples/browser --no-audit --no-fund --loglevel=error
	@touch $@

$(VENV)/train: $(VENV)/dev
	$(PIP) torch==2.13.0
	$(PIP) -e '.[dev,images,report,events,train]'
	@touch $@

$(VENV)/cluster: $(VENV)/dev
	$(PIP) -e '.[dev,images,report,events,cluster]'
	@touch $@

$(VENV)-oldest/installed-all: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[dev,images,report]'
	@touch $@
