"""The pytest plugin: builds sources before tests and workers start, and applies settings to single tests.

pytest loads it in every run in the environment. Unless its options or its marker are used, it does nothing. It supports
pytest 6.2 and later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any

import pytest

import rustimport

from . import _finder, _settings

_MARK = "rustimport(**settings): use these attributes of rustimport.settings while the test runs"

_SETTINGS = {*_settings.VARIABLES, "rtld_flags"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rustimport")
    group.addoption(
        "--rustimport-build",
        action="store_true",
        help="build the Rust sources in rustimport_paths before the run, and enable the import hook",
    )
    parser.addini(
        "rustimport_paths",
        "sources, and folders to search for them, for --rustimport-build (default: pytest's root folder)",
        type="args",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # A conftest.py may import Rust.
    is_on = _finder.installed("scripts", "release") is not None
    if early_config.known_args_namespace.rustimport_build and not is_on:
        rustimport.install()
        early_config.add_cleanup(rustimport.uninstall)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARK)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    # The workers of pytest-xdist find the builds of the main process in the cache.
    if not config.getoption("--rustimport-build") or hasattr(config, "workerinput"):
        return
    from . import _sources
    from .errors import RustImportError

    start = time.monotonic()
    # Relative to the configuration file, like options of the type `paths`, which require pytest 7.
    folder = config.inipath.parent if config.inipath else config.invocation_params.dir
    paths = [folder / path for path in config.getini("rustimport_paths")]
    try:
        sources = _sources.find(paths or [config.rootpath], are_named=bool(paths))
    except RustImportError as error:
        raise pytest.UsageError(f"rustimport_paths: {error}") from None
    results = _sources.ensure(sources)
    failed = [result for result in results if result.error is not None]
    if failed:
        texts = [f"{os.path.relpath(result.path)}: {result.error}" for result in failed]
        raise pytest.UsageError("\n\n".join(texts))
    built = sum(result.built for result in results)
    seconds = time.monotonic() - start
    summary = f"rustimport: {built} built, {len(results) - built} fresh, in {seconds:.1f} s"
    config._rustimport_summary = summary  # type: ignore[attr-defined]


def pytest_report_header(config: pytest.Config) -> str | None:
    return getattr(config, "_rustimport_summary", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("rustimport"):
            unknown = sorted(mark.kwargs.keys() - _SETTINGS)
            if mark.args or unknown:
                what = f"there is no setting `{unknown[0]}`" if unknown else "settings are keyword arguments"
                known = ", ".join(sorted(_SETTINGS))
                raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.rustimport: {what}; available: {known}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, None]:
    wanted: dict[str, Any] = {}
    # The nearest mark comes first in the iteration, and takes precedence.
    for mark in reversed(list(item.iter_markers("rustimport"))):
        wanted |= mark.kwargs
    if not wanted:
        yield
        return
    from . import settings

    before = {name: settings.__dict__[name] for name in wanted if name in settings.__dict__}
    settings.__dict__.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            settings.__dict__.pop(name, None)
        settings.__dict__.update(before)
