"""Switching the hook on for every start of an interpreter: where, whether it works, and what stands in the way.

The hook's place is the ``sitecustomize.py`` of the environment. A distribution's own, in the standard library's
folder, comes before it on ``sys.path``: then nobody ever runs ours, and a file that `site` reads takes its place: a
``.pth`` file, or from Python 3.18 on, which ignores the code in those, a ``.start`` file (PEP 829; until 3.17 it would
load 31 modules more). Which of them works is not guessed but tried, in a new interpreter.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
from importlib.util import cache_from_source
from typing import Any, NamedTuple

from . import _native
from .errors import ProjectError, ToolchainError

#: Says whether a new interpreter has run the hook, and which files were run at its start.
_PROBE = """
import json, sys
path = lambda name: getattr(sys.modules.get(name), "__file__", None)
# Until it is needed, the hook itself is not loaded.
is_active = "rustimport" in sys.modules or any(hasattr(finder, "is_rustimport_gate") for finder in sys.meta_path)
print(json.dumps([is_active, path("sitecustomize"), path("usercustomize")]))
"""


#: Whether Python has ceased to run code in ``.pth`` files.
_HAS_START_FILES = sys.version_info >= (3, 18)


class Place(NamedTuple):
    """Where the hook is written."""

    folder: str
    file: str

    @property
    def others(self) -> dict[str, str]:
        """The files that take the place of `file` where that is not run: of each version of Python, with what they need
        besides. Name -> path."""
        names = ("rustimport_hook.pth", "rustimport_hook.start", "rustimport_hook.py")
        return {name.rpartition(".")[2]: os.path.join(self.folder, name) for name in names}

    @property
    def other(self) -> str:
        """That of this Python."""
        return self.others["start" if _HAS_START_FILES else "pth"]

    def save_others(self) -> dict[str, bytes]:
        """What is in those that are there."""
        found = {path: _read(path) for path in self.others.values()}
        return {path: content for path, content in found.items() if content is not None}

    def remove_others(self) -> list[str]:
        """Removes them. Returns which were there."""
        return [path for path in self.others.values() if _remove(path)]

    @classmethod
    def of(cls, user: bool) -> Place:
        """This environment's place, or the user's.

        Raises:
            ProjectError: this Python does not look into the user's folder.
        """
        if not user:
            folder = sysconfig.get_path("purelib")
        elif site.ENABLE_USER_SITE:
            folder = site.getusersitepackages()
        else:
            raise ProjectError(
                "this Python does not use the user's site-packages (a virtual environment never does)",
                hint="leave `--user` out",
            )
        name = "usercustomize.py" if user else "sitecustomize.py"
        return cls(folder, os.path.join(folder, name))


class Probe(NamedTuple):
    """What a new interpreter has."""

    active: bool
    sitecustomize: str | None
    usercustomize: str | None


def probe() -> Probe:
    """Starts an interpreter as this environment starts, and asks it.

    Raises:
        ToolchainError: it does not start.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RUSTIMPORT_ENABLED")}
    result = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, env=environ, cwd=os.sep, check=False
    )
    try:
        active, sitecustomize, usercustomize = json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ToolchainError(
            f"{sys.executable} does not start: {result.stderr.strip()}", hint="fix what it complains about first"
        ) from None
    return Probe(active, sitecustomize, usercustomize)


def install(user: bool, force: bool, arguments: dict[str, Any]) -> str:
    """Writes the hook where it works. Returns what was done, in one or more lines.

    Raises:
        ProjectError: nothing can be written, or what stands there is broken.
    """
    core = _native.core
    place = Place.of(user)
    written = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    present, has_predecessor = core.site_look(place.file)
    if has_predecessor and not force:
        raise ProjectError(
            f"{place.file} switches maturin_import_hook on as well: both would build the same",
            hint="`site install --force` puts this hook in its place",
            path=place.file,
        )
    if not force and (present == written or _arguments(place) == written) and probe().active:
        return f"the hook is installed already, in {place.file if present == written else place.other}"
    _check_source(place.file)
    before = _read(place.file)
    os.makedirs(place.folder, exist_ok=True)
    # As long as it is there, nobody can tell whether the first works.
    others = place.save_others()
    try:
        place.remove_others()
        core.site_install(place.file, written)
        # Python would take a compiled file of the same second and size for fresh.
        _remove(cache_from_source(place.file))
        seen = probe()
    except BaseException:
        for path, content in {place.file: before, **others}.items():
            core.site_restore(path, content)
        raise
    if seen.active:
        return f"the hook is installed in {place.file}, and active in every interpreter of this environment"
    # Somebody else's file is run in place of ours: as if nothing had been written.
    core.site_restore(place.file, before)
    try:
        if _HAS_START_FILES:
            core.site_install_start(place.others["start"], place.others["py"], written)
        else:
            core.site_install_pth(place.others["pth"], place.others["py"], written)
        is_active = probe().active
    except BaseException:
        place.remove_others()
        raise
    if is_active:
        other = seen.usercustomize if user else seen.sitecustomize
        why = f"{other} is run in place of {place.file}" if other else f"{place.file} is not run at the start"
        return f"{why}\nthe hook is installed in {place.other}, and active in every interpreter of this environment"
    place.remove_others()
    raise ProjectError(
        f"this Python runs neither {place.file} nor {place.other} at its start: nothing was installed",
        hint="call rustimport.install() in your program, or `import rustimport.import_hook`",
    )


def _arguments(place: Place) -> str | None:
    """Those that the file gives to `install` that takes the place of ``sitecustomize.py``, if there is one."""
    content = _read(place.others["py"])
    call = (content or b"").decode("utf-8", "replace").partition("rustimport.install(")[2]
    return call.partition("\n")[0].rpartition(")")[0] if call else None


def uninstall(user: bool) -> str:
    """Takes the hook out of wherever `install` put it. Returns what was done."""
    place = Place.of(user)
    done = [place.file] if _native.core.site_uninstall(place.file) else []
    done += place.remove_others()
    return f"the hook is removed from {' and '.join(done)}" if done else "the hook was not installed"


def info() -> dict[str, Any]:
    """Where the hook is installed, how, whether a new interpreter has it, and what stands in the way."""
    core = _native.core
    places = [(False, Place.of(False))]
    if site.ENABLE_USER_SITE:
        places.append((True, Place.of(True)))
    installed: list[dict[str, Any]] = []
    predecessor: list[str] = []
    for user, place in places:
        present, has_predecessor = core.site_look(place.file)
        if present is not None:
            installed.append({"file": place.file, "user": user, "arguments": present})
        if has_predecessor:
            predecessor.append(place.file)
        if os.path.exists(place.other):
            installed.append({"file": place.other, "user": user, "arguments": _arguments(place)})
    seen = probe()
    own = Place.of(False).file
    shadow = seen.sitecustomize if seen.sitecustomize and not _same(seen.sitecustomize, own) else None
    return {
        "active": seen.active,
        "installed": installed,
        "predecessor": predecessor,
        "sitecustomize": own,
        "shadowed_by": shadow,
    }


def _check_source(path: str) -> None:
    """Refuses to add to a file that Python cannot run."""
    content = _read(path)
    if content is None:
        return
    try:
        compile(content, path, "exec")
    except (SyntaxError, ValueError) as error:
        raise ProjectError(
            f"{path} is no valid Python ({error}): nothing was written",
            hint="fix it or move it away, then install again",
            path=path,
        ) from None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _same(first: str, second: str) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
