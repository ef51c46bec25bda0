"""Import Rust from Python. ``rustimport.install()``, or ``import rustimport.import_hook``, and from then on
``import somecode`` builds ``somecode.rs`` whenever it changed.

Importing this package installs nothing; everything is loaded when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from types import ModuleType
    from typing import Any

    from . import _build, errors, settings
    from .errors import BuildError

__all__ = [
    "BuildError",
    "__version__",
    "build",
    "build_all",
    "build_filepath",
    "errors",
    "imp",
    "imp_from_path",
    "install",
    "reset_logger",
    "settings",
    "uninstall",
]


def install(
    *,
    enable_rs_file_importer: bool = True,
    build_dir: "str | None" = None,
    force_rebuild: "bool | None" = None,
    lock_timeout_seconds: "float | None" = 120,
    show_warnings: bool = True,
) -> None:
    """Switches the import hook on. A second call replaces the arguments of the first.

    Args:
        enable_rs_file_importer: Import standalone ``.rs`` files.
        build_dir: The cache folder, before ``settings.cache_dir``.
        force_rebuild: Build past every check, once a source and process; before ``settings.force_rebuild``.
        lock_timeout_seconds: How long to wait while another process builds the same source; ``None``
            waits for ever.
        show_warnings: Show the compiler's warnings, once a build.
    """
    from . import _hook

    uninstall()
    if not enable_rs_file_importer:
        return
    if _hook.is_true(_hook.setting("release_mode")):
        _hook.install(_hook.ReleaseFinder(cache_dir=build_dir))
        return
    _hook.install(
        _hook.ScriptFinder(
            cache_dir=build_dir,
            force_rebuild=force_rebuild,
            lock_timeout=lock_timeout_seconds,
            show_warnings=show_warnings,
        )
    )


def uninstall() -> None:
    """Switches the import hook off. Modules that were imported stay."""
    from . import _hook

    _hook.uninstall(_hook.ScriptFinder)
    _hook.uninstall(_hook.ReleaseFinder)


def reset_logger() -> None:
    """Lets the logger ``rustimport`` propagate, so that the application's logging configuration decides
    what is shown. Without this, INFO goes to standard error and DEBUG nowhere."""
    from . import _hook

    _hook.log_propagates = True


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
    if name in ("errors", "settings"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    if name == "BuildError":
        from .errors import BuildError

        return BuildError
    if name == "__version__":
        from importlib.metadata import version

        return version("rustimport")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
