"""Import Rust from Python. ``rustimport.install()``, or ``import rustimport.import_hook``, and from then on
``import somecode`` builds ``somecode.rs`` whenever it changed.

Importing this package installs nothing; everything is loaded when it is first used.

(PYTEST_DONT_REWRITE: the package is a plugin of pytest too, and may have been imported before that starts.)
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

    from . import (
        _build,
        _maturin_settings,
        error,
        error_handling,
        errors,
        project_importer,
        rust_file_importer,
        settings,
    )
    from ._maturin_settings import MaturinSettings
    from .errors import BuildError

__all__ = [
    "BuildError",
    "MaturinSettings",
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
    "install",
    "project_importer",
    "reload_changed",
    "reset_logger",
    "rust_file_importer",
    "settings",
    "unembed",
    "uninstall",
]


def install(
    *,
    enable_project_importer: bool = True,
    enable_rs_file_importer: bool = True,
    enable_reloading: bool = True,
    settings: "_maturin_settings.MaturinSettings | str | None" = None,
    build_dir: "str | os.PathLike[str] | None" = None,
    force_rebuild: "bool | None" = None,
    lock_timeout_seconds: "float | None" = 120,
    show_warnings: bool = True,
    file_searcher: "project_importer.ProjectFileSearcher | None" = None,
    enable_automatic_installation: bool = False,
) -> None:
    """Switches the import hook on. A second call replaces the arguments of the first.

    Args:
        enable_project_importer: Rebuild projects that are installed in editable mode.
        enable_rs_file_importer: Import standalone ``.rs`` files and crates.
        enable_reloading: ``importlib.reload`` loads code that was rebuilt.
        settings: Arguments for maturin; also as they stand on its command line.
        build_dir: The cache folder, before ``settings.cache_dir``.
        force_rebuild: Build past every check, once a source and process; before ``settings.force_rebuild``.
        lock_timeout_seconds: How long to wait while another process builds the same source, or its dependencies;
            ``None`` waits for ever. By default 120 seconds since that process's last sign of life, so that a long
            build is waited for; any other number is what each process that is waited for may take.
        show_warnings: Show the compiler's warnings, once a build.
        file_searcher: Says which files are a project's inputs, in place of the compiler.
        enable_automatic_installation: Also rebuild projects that were installed from a folder once and for all, and
            install those that stand above an entry of ``sys.path``.
    """
    import os
    import sys

    from . import _hook

    _hook.uninstall()
    if "rustimport._ipython" in sys.modules:
        from . import _ipython

        _ipython.follow_autoreload()
    common: dict[str, Any] = {
        "cache_dir": None if build_dir is None else os.fsdecode(build_dir),
        "force_rebuild": force_rebuild,
        "lock_timeout": lock_timeout_seconds,
        "show_warnings": show_warnings,
        "settings": settings,
        "enable_reloading": enable_reloading,
    }
    if _hook.is_true(_hook.setting("release_mode")):
        if enable_rs_file_importer:
            from . import _release

            _hook.install(_release.ReleaseFinder(**common))
        return
    if enable_rs_file_importer:
        _hook.install(_hook.ScriptFinder(**common))
    if enable_project_importer:
        _hook.install(
            _hook.ProjectFinder(**common, file_searcher=file_searcher, automatic=enable_automatic_installation)
        )


def uninstall() -> None:
    """Switches the import hook off, and that of `project_importer` and `rust_file_importer`. Modules that were imported
    stay, and finders that somebody put on ``sys.meta_path`` by hand."""
    import sys

    from . import _hook

    _hook.uninstall()
    if "rustimport._ipython" in sys.modules:
        from . import _ipython

        _ipython.leave_autoreload()


def embed(venv: "str | os.PathLike[str] | None" = None, cargo_home: "str | os.PathLike[str] | None" = None) -> None:
    """Makes everything ready in an application that embeds Python: what a virtual environment has is importable, cargo
    is found, and the import hook is on. No process is started. Called again with the same arguments, it does nothing;
    with others, they replace the first.

    Args:
        venv: The folder of a virtual environment for this version of Python. If not given: ``.venv`` in the working
            folder, else the environment that this package is installed in.
        cargo_home: The folder with ``bin/cargo``, if it is neither ``$CARGO_HOME`` nor ``~/.cargo``.

    Raises:
        rustimport.errors.ProjectError: there is no such environment, or it is made for another version of Python.
        rustimport.errors.ToolchainError: there is no cargo in `cargo_home`.
    """
    from . import _embed

    _embed.embed(None if venv is None else str(venv), None if cargo_home is None else str(cargo_home))


def unembed() -> None:
    """Undoes `embed`. Modules that were imported stay."""
    from . import _embed

    _embed.unembed()


def reset_logger() -> None:
    """Leaves the logger ``rustimport`` to the application's logging configuration; without one, nothing below WARNING
    is shown. Without this call, INFO goes to standard error and DEBUG nowhere."""
    from . import _hook

    _hook.log_propagates = _hook.log_is_reset = True


def imp(fullname: str, opt_in: bool = False, force_rebuild: bool = False) -> "ModuleType":
    """Imports a Rust source by the name of its module, as ``import`` would with the hook on.

    Args:
        fullname: ``package.module``.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build past every check.

    Raises:
        ModuleNotFoundError: no source of this name on ``sys.path``.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    from . import _explicit

    return _explicit.imp(fullname, opt_in, force_rebuild)


def imp_from_path(
    path: str, fullname: "str | None" = None, opt_in: bool = False, force_rebuild: bool = False
) -> "ModuleType":
    """Imports a Rust source by its path.

    Args:
        path: A ``.rs`` file.
        fullname: The module's full name; the file's name if not given.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build past every check.

    Raises:
        FileNotFoundError: there is no such file.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    from . import _explicit

    return _explicit.imp_from_path(path, fullname, opt_in, force_rebuild)


def inline(
    source: str,
    name: "str | None" = None,
    *,
    dependencies: "Mapping[str, str | Mapping[str, Any]] | None" = None,
    release: bool = False,
) -> "ModuleType":
    """Makes a module of Rust in a string. It has the pyo3 template, and may begin with ``//:`` lines, as a script does;
    relative paths in it are relative to the working folder. The same string is built once.

    Args:
        source: Rust, with ``#[pyfunction]`` and ``#[pyclass]`` on what Python shall see.
        name: The module's, under which it can be imported from then on; made of the content if not given.
        dependencies: As in Cargo.toml: ``{"rand": "0.8", "serde": {"version": "1", "features": ["derive"]}}``.
        release: With the profile ``release``.

    Raises:
        rustimport.errors.RustImportError: it cannot be built, or holds nothing for Python.
    """
    from . import _cell

    profile = "release" if release else None
    return _cell.load(source, "<inline>", name=name, dependencies=dependencies, profile=profile)


def reload_changed() -> "list[ModuleType]":
    """Reloads every script, crate and project that was imported and is stale, as `importlib.reload` would; of a project
    also the package that was imported. Where nothing changed, it costs a few stats for each.

    Returns:
        The modules that were reloaded.

    Raises:
        rustimport.errors.RustImportError: the first that cannot be built. It stays as it was; the others are reloaded.
    """
    from . import _reload

    return _reload.reload_changed()


def load_ipython_extension(shell: "Any") -> None:
    """``%load_ext rustimport``: the magics ``%%rustimport`` and ``%rustimport``."""
    from . import _ipython

    _ipython.load(shell)


def unload_ipython_extension(shell: "Any") -> None:
    """``%unload_ext rustimport``."""
    from . import _ipython

    _ipython.unload(shell)


def build(
    fullname: str, opt_in: bool = False, force_rebuild: "bool | None" = None, release: "bool | None" = None
) -> "_build.Result":
    """Builds a source by the name of its module, without importing it; the library is put beside the source.

    Args:
        fullname: ``package.module``, to be found on ``sys.path``.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build past every check; ``settings.force_rebuild`` if not given.
        release: With the profile ``release``; as the settings say if not given.

    Returns:
        What became of it: ``path``, ``artifact``, and whether it was ``built``.

    Raises:
        ModuleNotFoundError: no source of this name on ``sys.path``.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    from . import _explicit

    return _explicit.build(fullname, opt_in, force_rebuild, release)


def build_filepath(
    path: "str | os.PathLike[str]",
    opt_in: bool = False,
    force_rebuild: "bool | None" = None,
    release: "bool | None" = None,
) -> "_build.Result":
    """Builds a source by its path, otherwise as `build`.

    Raises:
        FileNotFoundError: there is no such file.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    from . import _explicit

    return _explicit.build_filepath(path, opt_in, force_rebuild, release)


def build_all(
    root_directory: "str | os.PathLike[str]",
    opt_in: bool = True,
    force_rebuild: "bool | None" = None,
    release: "bool | None" = None,
) -> "tuple[list[_build.Result], list[_build.Result]]":
    """Builds every source below a folder, and goes on where one fails.

    Returns:
        What is built now, and what is not; the latter with their ``error``.
    """
    from . import _explicit

    return _explicit.build_all(root_directory, opt_in, force_rebuild, release)


def __getattr__(name: str) -> "Any":
    if name in ("error", "error_handling", "errors", "project_importer", "rust_file_importer", "settings"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    if name == "BuildError":
        from .errors import BuildError

        return BuildError
    if name == "MaturinSettings":
        from ._maturin_settings import MaturinSettings

        return MaturinSettings
    if name == "__version__":
        from importlib.metadata import version

        return version("rustimport")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
