"""`rustimport.embed`: sets up the hook for Python inside an application, such as TouchDesigner, Blender or Houdini.
There is no shell's `PATH`, no activated environment, and ``sys.executable`` is the application itself."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import site
import sys
from typing import Any

import rustimport

from . import _cache, _finder
from .errors import ProjectError, ToolchainError

#: Undoes `embed`.
_embedded = contextlib.ExitStack()

#: The current arguments of `embed`.
_arguments: tuple[str | None, str | None] | None = None


def embed(venv: str | None, cargo_home: str | None) -> None:
    global _arguments
    folder = _find(venv)
    home = None if cargo_home is None else _check_cargo(os.path.abspath(os.path.expanduser(cargo_home)))
    if _arguments == (folder, home) and _is_on():
        return
    unembed()
    with contextlib.ExitStack() as undo:
        if home is not None:
            _set_variable(undo, "CARGO_HOME", home)
            rustup = _rustup_beside(home)
            if rustup is not None and "RUSTUP_HOME" not in os.environ:
                _set_variable(undo, "RUSTUP_HOME", rustup)
        was_on = _is_on()
        if folder is not None:
            _add_packages(undo, folder)
        if not was_on:
            # The environment may have enabled the hook, with arguments of its own.
            if not _is_on():
                rustimport.install()
            undo.callback(rustimport.uninstall)
        importlib.invalidate_caches()
        _embedded.push(undo.pop_all())
    _arguments = folder, home


def unembed() -> None:
    global _arguments
    _arguments = None
    _embedded.close()


def _find(venv: str | None) -> str | None:
    """The environment's folder; ``None`` if Python already runs in it.

    Raises:
        ProjectError: there is none, or it is for another version of Python.
    """
    if venv is not None:
        folder = os.path.abspath(os.path.expanduser(venv))
        if not _is_environment(folder):
            what = "has no pyvenv.cfg" if os.path.isdir(folder) else "does not exist"
            raise ProjectError(
                f"{folder} is not a virtual environment: it {what}",
                hint=f"create one with Python {_version()}: `{_command(folder)}`",
                path=folder,
            )
    else:
        # The project's environment, or that in which this package is installed.
        package = os.path.dirname(os.path.abspath(__file__))
        above = _above(os.path.dirname(package))
        places = [os.path.abspath(".venv"), above]
        folder = next((place for place in places if _is_environment(place)), "")
        if not folder:
            raise ProjectError(
                f"there is no virtual environment at {places[0]}",
                hint=f"pass its path to rustimport.embed(venv=…), or create one: `{_command(places[0])}`",
                path=places[0],
            )
    if os.path.realpath(folder) == os.path.realpath(sys.prefix):
        return None
    _check_version(folder)
    return folder


def _is_environment(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "pyvenv.cfg"))


def _above(site_packages: str) -> str:
    """The environment to which these site-packages belong."""
    levels = 2 if sys.platform == "win32" else 3
    return os.path.abspath(os.path.join(site_packages, *[os.pardir] * levels))


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _command(folder: str) -> str:
    return f"python{_version()} -m venv {folder}"


def _check_version(folder: str) -> None:
    """Raises an error if this Python cannot load the environment's packages."""
    with open(os.path.join(folder, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
        # venv writes `version`; virtualenv and uv write `version_info`.
        named = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", file.read(), re.M)
    if named is not None and named[1] != _version():
        what = f"is for Python {named[1]}"
    elif not os.path.isdir(_site_packages(folder)):
        what = f"has no packages for it: there is no {_site_packages(folder)}"
    else:
        return
    raise ProjectError(
        f"this is Python {_version()}, and the environment {folder} {what}",
        hint=f"create one for Python {_version()}: `{_command(folder)}`, in another folder or with `--clear`",
        path=folder,
    )


def _site_packages(folder: str) -> str:
    if sys.platform == "win32":
        return os.path.join(folder, "Lib", "site-packages")
    threads = "t" if _cache.is_free_threaded() else ""
    return os.path.join(folder, "lib", f"python{_version()}{threads}", "site-packages")


def _check_cargo(home: str) -> str:
    cargo = os.path.join(home, "bin", "cargo.exe" if sys.platform == "win32" else "cargo")
    if not os.path.isfile(cargo):
        raise ToolchainError(
            f"there is no {cargo}",
            hint="cargo_home is the parent folder of `bin`, usually ~/.cargo; omit it to search the usual places",
        )
    return home


def _rustup_beside(cargo_home: str) -> str | None:
    """rustup's folder next to `cargo_home`, if any. By default, rustup searches only the user's home for it."""
    parent, name = os.path.split(cargo_home)
    folder = os.path.join(parent, name.replace("cargo", "rustup"))
    return folder if folder != cargo_home and os.path.isfile(os.path.join(folder, "settings.toml")) else None


def _set_variable(undo: contextlib.ExitStack, name: str, value: str) -> None:
    before = os.environ.get(name)
    os.environ[name] = value
    undo.callback(os.environ.pop, name, None) if before is None else undo.callback(os.environ.__setitem__, name, before)


def _add_packages(undo: contextlib.ExitStack, folder: str) -> None:
    """Adds the environment's packages, like its own Python at the start, including `.pth` files with their entries and
    finders."""
    lists: list[list[Any]] = [sys.path, sys.meta_path, sys.path_hooks]
    before = [list(items) for items in lists]
    site.addsitedir(_site_packages(folder))
    for items, known in zip(lists, before, strict=True):
        for added in [item for item in items if item not in known]:
            undo.callback(_remove, items, added)


def _remove(items: list[Any], item: Any) -> None:
    if item in items:
        items.remove(item)


def _is_on() -> bool:
    return _finder.installed() is not None
