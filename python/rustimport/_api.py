"""What users call besides `rustimport.install`: explicit imports and builds, strings of Rust, reloading, hosts.

Names and positional arguments are the predecessors', where they exist there. Modules that only one of these
functions needs are loaded when it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from . import _finder, _marker, _settings
from .errors import ProjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._build import Result


# ---------------------------------------------------------------------------------------------------
# Imports.


def imp(fullname: str, opt_in: bool = False, force_rebuild: bool = False) -> ModuleType:
    """Imports a Rust source by the name of its module, as ``import`` would with the hook on.

    Args:
        fullname: ``package.module``.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build without any check.

    Raises:
        ModuleNotFoundError: no source of this name on ``sys.path``.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    if fullname in sys.modules and not force_rebuild:
        return sys.modules[fullname]
    return _load(_find(fullname), fullname, opt_in, force_rebuild)


def imp_from_path(
    path: str | os.PathLike[str], fullname: str | None = None, opt_in: bool = False, force_rebuild: bool = False
) -> ModuleType:
    """Imports a Rust source by its path.

    Args:
        path: A ``.rs`` file, or the folder of a crate.
        fullname: The module's full name; by default the file's name.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build without any check.

    Raises:
        FileNotFoundError: there is no such file.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    source = _existing(path)
    name = fullname or os.path.splitext(os.path.basename(source))[0]
    known = sys.modules.get(name)
    if known is not None and getattr(known.__spec__, "loader_state", None) == source and not force_rebuild:
        return known
    return _load(source, name, opt_in, force_rebuild)


def inline(
    source: str,
    name: str | None = None,
    *,
    dependencies: Mapping[str, str | Mapping[str, Any]] | None = None,
    release: bool = False,
) -> ModuleType:
    """Builds a module from a string of Rust. Like a script, it gets the pyo3 template and can begin with ``//:`` lines.
    Relative paths in it are relative to the working folder. The same string is built once.

    Args:
        source: Rust, with ``#[pyfunction]`` and ``#[pyclass]`` on what Python is to see.
        name: The module's name, under which it can be imported from then on; by default derived from the content.
        dependencies: As in Cargo.toml: ``{"rand": "0.8", "serde": {"version": "1", "features": ["derive"]}}``.
        release: Build with the profile ``release``.

    Raises:
        rustimport.errors.RustImportError: it cannot be built, or contains nothing for Python.
    """
    from . import _cell

    profile = "release" if release else None
    return _cell.load(source, "<inline>", name=name, dependencies=dependencies, profile=profile)


def reload_changed() -> list[ModuleType]:
    """Reloads every script, crate and project that was imported and is stale, as `importlib.reload` would; of a project
    also the package that was imported. Without changes it costs a few stats for each.

    Returns:
        The modules that were reloaded.

    Raises:
        rustimport.errors.RustImportError: the first that cannot be built. It stays as it was; the others are reloaded.
    """
    from . import _reload

    return _reload.reload_changed()


def inputs(module: ModuleType | str) -> list[str]:
    """The files from which a Rust module was built, for programs that restart when a file changes. Nothing is built:
    what was never built has its source alone. In release mode, there are none.

    Args:
        module: The module of a script, crate or project, or its full name.

    Raises:
        rustimport.errors.ProjectError: rustimport does not build this module.
    """
    from . import _explain

    return _explain.inputs(module)


# ---------------------------------------------------------------------------------------------------
# Builds.


def build(
    fullname: str, opt_in: bool = False, force_rebuild: bool | None = None, release: bool | None = None
) -> Result:
    """Builds a source by the name of its module, without importing it. The library is put next to the source.

    Args:
        fullname: ``package.module``, to be found on ``sys.path``.
        opt_in: Require the marker that the import hook requires.
        force_rebuild: Build without any check; by default ``settings.force_rebuild``.
        release: Build with the profile ``release``; by default as the settings say.

    Raises:
        ModuleNotFoundError: no source of this name on ``sys.path``.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    return _build_one(_find(fullname), fullname, opt_in, force_rebuild, release)


def build_filepath(
    path: str | os.PathLike[str],
    opt_in: bool = False,
    force_rebuild: bool | None = None,
    release: bool | None = None,
) -> Result:
    """Builds a source by its path, otherwise like `build`.

    Raises:
        FileNotFoundError: there is no such file.
        rustimport.errors.RustImportError: the source cannot be built.
    """
    return _build_one(_existing(path), None, opt_in, force_rebuild, release)


def build_all(
    root_directory: str | os.PathLike[str],
    opt_in: bool = True,
    force_rebuild: bool | None = None,
    release: bool | None = None,
) -> tuple[list[Result], list[Result]]:
    """Builds every source below a folder, and continues if one fails.

    Returns:
        The sources that are built now, and those that are not; the latter with their ``error``.
    """
    from . import _build

    sources = _build.discover([root_directory], opt_in, are_named=False)
    results = _build.build(sources, force=_is_forced(force_rebuild), profile=_profile(release))
    return [result for result in results if result.error is None], [result for result in results if result.error]


# ---------------------------------------------------------------------------------------------------
# Hosts and logging.


def embed(venv: str | os.PathLike[str] | None = None, cargo_home: str | os.PathLike[str] | None = None) -> None:
    """Prepares an application that embeds Python: the packages of a virtual environment become importable, cargo is
    found, and the import hook is turned on. No process is started. A second call with the same arguments does nothing;
    other arguments replace the first.

    Args:
        venv: The folder of a virtual environment for this version of Python. If not given: ``.venv`` in the working
            folder, else the environment that this package is installed in.
        cargo_home: The folder that contains ``bin/cargo``, if it is neither ``$CARGO_HOME`` nor ``~/.cargo``.

    Raises:
        rustimport.errors.ProjectError: there is no such environment, or it was made for another version of Python.
        rustimport.errors.ToolchainError: there is no cargo in `cargo_home`.
    """
    from . import _embed

    _embed.embed(None if venv is None else str(venv), None if cargo_home is None else str(cargo_home))


def unembed() -> None:
    """Undoes `embed`. Imported modules stay."""
    from . import _embed

    _embed.unembed()


def reset_logger() -> None:
    """Leaves the logger ``rustimport`` to the application's logging configuration; if there is none, only WARNING and
    above are shown. Without this call, INFO is written to standard error."""
    _settings.log_propagates = _settings.log_is_reset = True


# ---------------------------------------------------------------------------------------------------
# What these have in common.


def _build_one(
    source: str, fullname: str | None, opt_in: bool, force_rebuild: bool | None, release: bool | None
) -> Result:
    from . import _build

    if opt_in and not _marker.has_opted_in(source, os.stat(source)):
        raise _not_ours(source, fullname)
    result = _build.build_one(source, fullname, force=_is_forced(force_rebuild), profile=_profile(release))
    if result.error is not None:
        raise result.error
    return result


def _is_forced(force_rebuild: bool | None) -> bool:
    return _settings.is_true(_settings.setting("force_rebuild")) if force_rebuild is None else force_rebuild


def _profile(release: bool | None) -> str | None:
    """The profile that an argument asks for; ``None`` leaves it to the settings."""
    return None if release is None else "release" if release else "dev"


def _existing(path: str | os.PathLike[str]) -> str:
    source = os.path.abspath(path)
    if not os.path.isfile(source) and not _is_crate(source):
        raise FileNotFoundError(f"there is no Rust source at {source}")
    if os.path.isfile(source) and not source.endswith(".rs"):
        raise ProjectError(f"{source} is no Rust source", hint="give a .rs file, or the folder of a crate", path=source)
    return source


def _is_crate(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "Cargo.toml"))


def _find(fullname: str) -> str:
    """The source of a module by its name."""
    parent, _, name = fullname.rpartition(".")
    if parent:
        entries = list(getattr(importlib.import_module(parent), "__path__", ()))
    else:
        entries = [*sys.path, *_settings.included_folders()]
    for entry in entries:
        place = os.path.abspath(entry or os.getcwd())
        if os.path.isfile(source := os.path.join(place, f"{name}.rs")) or _is_crate(
            source := os.path.join(place, name)
        ):
            return source
    where = f"the package {parent}" if parent else "sys.path"
    raise ModuleNotFoundError(f"there is no {name}.rs and no crate {name} in {where}", name=fullname)


def _load(source: str, fullname: str, opt_in: bool, force_rebuild: bool) -> ModuleType:
    if fullname in sys.stdlib_module_names:
        from . import _build

        _build.check_name(source, fullname)
    finder = _finder.installed("scripts") or _finder.ScriptFinder()
    # An explicit call is forced every time, not once in each process.
    artifact = finder.artifact(fullname, source, opt_in=opt_in, force=force_rebuild)
    if artifact is None:
        raise _not_ours(source, fullname)
    loader = _finder.ScriptLoader(fullname, artifact, finder, source)
    spec = importlib.util.spec_from_file_location(fullname, artifact, loader=loader)
    assert spec is not None
    spec.loader_state = source
    module = importlib.util.module_from_spec(spec)
    sys.modules[fullname] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(fullname, None)
        raise
    parent, _, name = fullname.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], name, module)
    return module


def _not_ours(source: str, fullname: str | None) -> ProjectError:
    enabled = _settings.is_enabled()
    return ProjectError(
        f"{source} did not opt in to being imported" if enabled else "rustimport is switched off",
        hint="write `// rustimport` on its first line, or call with opt_in=False"
        if enabled
        else "unset RUSTIMPORT_ENABLED, or call with opt_in=False",
        name=fullname,
        path=source,
    )
