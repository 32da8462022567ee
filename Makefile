# Two commands set up everything: `make demo` trains and shows the main job, `make test` runs the tests.
PYTHON ?= python3
BIN := .venv/bin

# pdoc takes what a package exports for all there is: `train`, and so everything else is named.
MODULES = es_randomized $(subst /,.,$(patsubst %/__init__.py,%,$(wildcard es_randomized/*/__init__.py)) \
    $(basename $(filter-out es_randomized/__% es_randomized/train.py,$(wildcard es_randomized/*.py))))

.PHONY: demo test test-cluster pages lab test-accelerators accelerator lint files reference lock clean

demo: .venv/installed
	$(BIN)/es-randomized train configs/demo.yaml

test: .venv/installed
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

# What takes long; then runs on several Ray workers, on clusters of nodes on this machine, and among processes that are killed,
# and benchmarks in their smallest form: some twenty-five minutes.
test-cluster: .venv/installed
	$(BIN)/python -m pytest -m long --numprocesses logical --maxprocesses 8 --dist worksteal
	$(BIN)/python -m pytest -m cluster

# The tutorials, the notebook, `bench` and small benchmarks, as their readers would run them: some five minutes.
pages: .venv/installed
	$(BIN)/python -m pytest -m pages

# Slurm, and machines behind ssh, as network namespaces of this machine: some fifteen minutes, as root, on Debian or Ubuntu.
# Installs its packages, whose services may start: use a machine that you can throw away.
LAB = slurm-wlm munge openssh-server openssh-client rsync iproute2 procps
lab: .venv/installed
	@if [ "$$(id -u)" != 0 ]; then echo "make lab makes network namespaces: it needs root"; exit 1; fi
	@dpkg --status $(LAB) > /dev/null 2>&1 || apt-get install --yes --no-install-recommends $(LAB) || \
	    { echo "make lab needs Debian or Ubuntu with $(LAB)"; exit 1; }
	$(BIN)/python -m pytest -m lab

# All shipped experiments lowered for GPUs and TPUs, and one of every task compiled for them by their compilers, which are
# installed beside everything else in an environment of their own: some ten minutes.
test-accelerators: .compilers/installed
	JAX_PLATFORMS=cpu .compilers/bin/python -m pytest -m accelerators --numprocesses logical --maxprocesses 8 --dist worksteal

# Everything to be known of the accelerator here, in eight minutes: benchmarks/results/accelerator_run.json and .md.
accelerator: .venv/installed
	$(BIN)/python -m benchmarks.accelerator_run

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The reference of all modules from their docstrings; open docs/reference/index.html. What is ignored are annotations that
# pydantic knows while it is type-checked only.
reference: .venv/installed
	$(BIN)/python -W error -W 'ignore:Failed to run TYPE_CHECKING code' \
	    -W 'ignore:Error parsing type annotation PydanticDataclass' \
	    -m pdoc --docformat google --math --output-directory docs/reference $(MODULES)

.venv/installed: requirements.lock pyproject.toml
.compilers/installed: requirements-compilers.lock pyproject.toml
.venv/installed .compilers/installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] + "; use make PYTHON=python3.12")'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# Where PYTHONDONTWRITEBYTECODE is set nothing else would: every start of Python would take seven seconds longer.
	$(@D)/bin/python -m compileall -q -j 0 $(@D)/lib
	@touch $@

# The table of files in docs/files.md.
files: .venv/installed
	$(BIN)/python -m tests.tools.file_table

# Exact versions for Python 3.11 to 3.13, without index addresses and without the trackers of others; needs uv. The second
# has the same ones and the compilers.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --extra ray --extra sweep --extra dev --generate-hashes \
    --no-emit-index-url --no-annotate --no-header pyproject.toml
lock:
	$(COMPILE) --output-file requirements.lock
	cp requirements.lock requirements-compilers.lock
	$(COMPILE) --extra tpu-check --extra gpu-check --output-file requirements-compilers.lock

clean:
	rm -rf .venv .compilers
