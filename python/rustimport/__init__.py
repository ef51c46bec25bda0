"""Import Rust from Python. After ``rustimport.install()``, or ``import rustimport.import_hook``,
``import somecode`` builds ``somecode.rs`` whenever it has changed.

Importing this package installs nothing, and loads nothing else: every name below is loaded when it is first used.

(PYTEST_DONT_REWRITE: the package is a plugin of pytest too, and may have been imported before that starts.)
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from . import error, error_handling, errors, project_importer, rust_file_importer, settings
    from ._api import (
        build,
        build_all,
        build_filepath,
        embed,
        imp,
        imp_from_path,
        inline,
        inputs,
        reload_changed,
        reset_logger,
        unembed,
    )
    from ._build import Result
    from ._compat.maturin_settings import MaturinSettings
    from .errors import BuildError

    __version__: str

__all__ = [
    "BuildError",
    "MaturinSettings",
    "Result",
    "__version__",
    "build",
    "build_all",
    "build_filepath",
    "embed",
    "error",
    "error_handling",
    "errors",
    "imp",
    "imp_from_path",
    "inline",
    "inputs",
    "install",
    "load_ipython_extension",
    "project_importer",
    "reload_changed",
    "reset_logger",
    "rust_file_importer",
    "settings",
    "unembed",
    "uninstall",
    "unload_ipython_extension",
]


def install(
    *,
    enable_project_importer: bool = True,
    enable_rs_file_importer: bool = True,
    enable_reloading: bool = True,
    settings: "MaturinSettings | str | None" = None,
    build_dir: "str | os.PathLike[str] | None" = None,
    force_rebuild: "bool | None" = None,
    lock_timeout_seconds: "float | None" = 120,
    show_warnings: bool = True,
    file_searcher: "project_importer.ProjectFileSearcher | None" = None,
    enable_automatic_installation: bool = False,
) -> None:
    """Turns the import hook on. A second call replaces the arguments of the first.

    Args:
        enable_project_importer: Rebuild projects that are installed in editable mode.
        enable_rs_file_importer: Import standalone ``.rs`` files and crates.
        enable_reloading: ``importlib.reload`` loads code that was rebuilt.
        settings: Arguments for maturin, also as text from its command line.
        build_dir: The cache folder; takes precedence over ``settings.cache_dir``.
        force_rebuild: Build without any check, once for each source and process; takes precedence over
            ``settings.force_rebuild``.
        lock_timeout_seconds: How long to wait while another process builds the same source or its dependencies;
            ``None`` waits for ever. The default counts from that process's last sign of life, so a long build is
            waited for; any other number limits the whole wait for each process.
        show_warnings: Show the compiler's warnings, once for each build.
        file_searcher: Declares which files are a project's inputs, in place of the compiler.
        enable_automatic_installation: Also rebuild projects that were installed from a folder without ``-e``, and
            install those found above an entry of ``sys.path``.
    """
    import os

    from . import _finder, _settings

    _finder.open_gates()
    _finder.on_import = follow_notebooks
    follow_notebooks()
    common: dict[str, Any] = {
        "cache_dir": None if build_dir is None else os.fsdecode(build_dir),
        "force_rebuild": force_rebuild,
        "lock_timeout": lock_timeout_seconds,
        "show_warnings": show_warnings,
        "settings": settings,
        "enable_reloading": enable_reloading,
    }
    finders: list[Any] = []
    if _settings.is_release_mode():
        if enable_rs_file_importer:
            from ._release_finder import ReleaseFinder

            finders.append(ReleaseFinder(**common))
    else:
        if enable_rs_file_importer:
            finders.append(_finder.ScriptFinder(**common))
        if enable_project_importer:
            from ._projects import ProjectFinder

            finders.append(
                ProjectFinder(**common, file_searcher=file_searcher, automatic=enable_automatic_installation)
            )
    # The new ones first, so that imports in other threads always find the hook.
    for finder in finders:
        _finder.put(finder)
    _finder.take_off(spared=finders)


def uninstall() -> None:
    """Turns the import hook off, including that of `project_importer` and `rust_file_importer`. Imported modules stay,
    and so do finders that you put on ``sys.meta_path`` yourself."""
    import sys

    from . import _finder

    _finder.take_off()
    if "rustimport._ipython" in sys.modules:
        from . import _ipython

        _ipython.leave_autoreload()
    if "rustimport._marimo" in sys.modules:
        from . import _marimo

        _marimo.leave()


def load_ipython_extension(shell: "Any") -> None:
    """``%load_ext rustimport``: the magics ``%%rustimport`` and ``%rustimport``."""
    from . import _ipython

    _ipython.load(shell)


def unload_ipython_extension(shell: "Any") -> None:
    """``%unload_ext rustimport``."""
    from . import _ipython

    _ipython.unload(shell)


def follow_notebooks() -> None:
    """Lets an IPython or marimo that runs reload Rust modules too, if it reloads modules by itself."""
    import sys

    if "IPython.core.interactiveshell" in sys.modules:
        from . import _ipython

        _ipython.follow_autoreload()
    if "marimo._runtime.reload.autoreload" in sys.modules:
        from . import _marimo

        _marimo.follow()


if not TYPE_CHECKING:
    # Type checkers see the names above, and report those that do not exist.
    def __getattr__(name):
        if name not in __all__:
            import sys

            # With these arguments, Python suggests similar names.
            module = sys.modules.get(__name__)
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=module)
        from importlib import import_module

        if name == "__version__":
            return import_module("importlib.metadata").version("rustimport")
        if name in ("error", "error_handling", "errors", "project_importer", "rust_file_importer", "settings"):
            return import_module(f"{__name__}.{name}")
        places = {"BuildError": "errors", "MaturinSettings": "_compat.maturin_settings", "Result": "_build"}
        return getattr(import_module(f"{__name__}.{places.get(name, '_api')}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
