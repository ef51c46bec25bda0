# Two commands do all the set-up: `make demo` and `make test`. They need Python 3.10 or later and Rust.

PYTHON ?= $(shell for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Also if the shell does not have it in its PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find src -name "*.rs") $(wildcard site/*)

# Tests run in two processes. To run them in one: `make test PARALLEL=`.
PARALLEL ?= -n 2 --dist loadfile

.PHONY: help demo test test-all test-toolchains test-pythons test-windows test-faults test-pyo3 test-network test-remote test-browser test-editors check-targets docs wheels wheel try-wheel check-release lint format bench clean

help:
	@echo 'make demo      install into $(VENV) and import a Rust file, edit it, import it again'
	@echo 'make test      install into $(VENV) and run every test'
	@echo 'make test-all  run every test with each Python that is found (3.10 to 3.15)'
	@echo 'make test-toolchains  run the build tests with nightly, the newest cargo, the oldest Rust; an hour'
	@echo 'make test-pythons  run every test with Python 3.14, 3.15 and without the GIL, and inside Blender, in a Debian sid chroot'
	@echo 'make test-windows  run the core, the hook and wheels for Windows, with Wine, in a Debian sid chroot'
	@echo 'make test-faults  test many more kills, damaged files, full disks and arbitrary input; 15 minutes'
	@echo 'make test-pyo3  follow the hints for old code with every version of pyo3 since 0.18'
	@echo 'make test-network  install, edit and import projects from PyPI'
	@echo 'make test-browser  test notebooks in JupyterLab and marimo, in a browser'
	@echo 'make test-remote  test remote stores on Redis, S3 and WebDAV servers'
	@echo 'make test-editors  test type stubs and Rust projects in the language servers of editors'
	@echo 'make check-targets  compile for Windows, macOS, musl and aarch64, without linking'
	@echo 'make docs      build the documentation site in target/docs, and check its links'
	@echo 'make wheels    build and check the wheels and the source distribution of a release; ten minutes'
	@echo 'make lint      check formatting, lints and types'
	@echo 'make format    format everything'
	@echo 'make bench     measure against CPython, cargo and the predecessors'
	@echo 'make clean     remove what these commands made here'

demo: $(VENV)/.installed
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev
	cargo test --no-default-features
	$(BIN)/python -m pytest $(PARALLEL) --deselect tests/build/test_costs.py
	# By itself: other tests change folders whose times it counts on.
	$(BIN)/python -m pytest tests/build/test_costs.py

# All versions share the cache of the tests. Each has its own environment.
test-all:
	@set -e; for version in 3.10 3.11 3.12 3.13 3.14 3.15; do \
		found=; for python in python$$version $(HOME)/.pyenv/versions/$$version.*/bin/python; do \
			if [ -z "$$found" ] && $$python -c 'import venv, ensurepip' 2>/dev/null; then found=$$python; fi; done; \
		if [ -z "$$found" ]; then echo "Python $$version was not found"; continue; fi; \
		echo "Python $$version: $$found"; $(MAKE) VENV=.venv-$$version PYTHON=$$found test; \
	done

# One of them: `make test-toolchains TOOLCHAINS=nightly`.
test-toolchains: $(VENV)/.dev
	$(BIN)/python -m tests.toolchains $(TOOLCHAINS)

# One of them: `make test-pythons PYTHONS=3.15`.
test-pythons:
	$(PYTHON) -m tests.pythons $(PYTHONS)

# One of them: `make test-windows WINDOWS=core`.
test-windows: $(VENV)/.dev
	$(BIN)/python -m tests.windows $(WINDOWS)

# `make test` runs a small part of these tests.
test-faults: $(VENV)/.dev
	PROPTEST_CASES=20000 cargo test --no-default-features fuzz
	FAULTS=all $(BIN)/python -m pytest tests/faults

# The standard libraries come from rustup. Nothing is linked or run.
TARGETS ?= x86_64-pc-windows-msvc x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-unknown-linux-musl \
	aarch64-unknown-linux-gnu
check-targets:
	rustup target add $(TARGETS)
	for target in $(TARGETS); do PYO3_CROSS_PYTHON_VERSION=3.10 RUSTFLAGS='-D warnings -C target-feature=-crt-static' \
		cargo check --all-targets --target $$target --target-dir target/check || exit 1; done

# `make test` tries two of these versions.
test-pyo3: $(VENV)/.dev
	PYO3=all $(BIN)/python -m pytest tests/build/test_pyo3_versions.py

# Third-party projects from PyPI.
test-network: $(VENV)/.dev
	$(BIN)/python -m pytest -m network tests/network

# JupyterLab and marimo, in an installed browser (Debian: apt-get install chromium). Once installed, `make test` runs it too.
test-browser: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group browser
	$(BIN)/python -m pytest tests/clients/test_browser.py tests/clients/test_marimo.py

# Servers on loopback (Debian: apt-get install redis-server sccache). Once installed, `make test` runs it too.
test-remote: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group remote
	$(BIN)/python -m pytest tests/build/test_remote_servers.py

# Once installed, `make test` builds it too. To look at it: `.venv/bin/zensical serve`.
docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	$(BIN)/python -m pytest tests/tidy/test_documentation_site.py

# One of them: `make wheels WHEELS=sdist`. Others than Linux on x86_64 build their own: `make wheel try-wheel`.
wheels: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group wheels
	$(BIN)/python -m tests.wheels $(WHEELS)

wheel:
	$(PYTHON) -m maturin build --release --out target/wheels $(MATURIN_ARGS)

try-wheel:
	$(PYTHON) -m tests.wheels try target/wheels/*.whl

# Before a tag is pushed: `make check-release TAG=v2.0.0`.
check-release:
	$(PYTHON) -m tests.wheels version $(TAG)

# Language servers. Once installed, `make test` runs it too.
test-editors: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group editors
	$(BIN)/python -m pytest tests/clients/test_editors.py

lint: $(VENV)/.dev
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest rustimport._core

format: $(VENV)/.dev
	cargo fmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed
	$(BIN)/python benches/bench.py

clean:
	rm -rf $(VENV) .venv-3.* target benches/.venvs python/rustimport/*.so

$(VENV)/bin/python:
	@command -v cargo >/dev/null || { echo 'Rust is missing: install it from https://rustup.rs, then run make again.' >&2; exit 1; }
	@test -n '$(PYTHON)' || { echo 'Python 3.10 or later with venv is missing (Debian: apt install python3-venv). Another one: make PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	@command -v cargo >/dev/null || { echo 'Rust is missing: install it from https://rustup.rs, then run make again.' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'maturin>=1.9.6,<2' 'pip>=25.1'
	@echo 'Compiling the package: some minutes the first time.'
	PIP_QUIET=1 VIRTUAL_ENV='$(abspath $(VENV))' $(BIN)/maturin develop --release --quiet
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@
