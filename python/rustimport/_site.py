"""Enables the hook in every Python process of an environment, and reports where it is installed and whether it works.
The core edits the files.

By default the hook is written to the environment's ``sitecustomize.py``. If the distribution has one in the standard
library's folder, which comes first on ``sys.path``, Python does not run ours. Then a file that `site` reads is used
instead: a ``.pth`` file, or from Python 3.18 on, which ignores code in ``.pth`` files, a ``.start`` file (PEP 829;
until 3.17 it would load 31 more modules). A new interpreter is started to check which of them works.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
from importlib.util import cache_from_source
from itertools import pairwise
from typing import Any, NamedTuple

from . import _native
from .errors import ProjectError, ToolchainError

#: Prints whether a new interpreter has run the hook, and which files it ran at its start.
_PROBE = """
import json, sys
path = lambda name: getattr(sys.modules.get(name), "__file__", None)
# The hook itself is loaded later, at the first import that may need it.
is_active = "rustimport" in sys.modules or any(hasattr(finder, "is_rustimport_gate") for finder in sys.meta_path)
print("\\nrustimport:" + json.dumps([is_active, path("sitecustomize"), path("usercustomize")]))
"""

_ANSWER = b"rustimport:"

#: Whether this Python no longer runs code in ``.pth`` files.
_HAS_START_FILES = sys.version_info >= (3, 18)


class Place(NamedTuple):
    """The files to which the hook is written."""

    folder: str
    file: str

    @property
    def others(self) -> dict[str, str]:
        """The files that are used if Python does not run `file`, for all versions of Python, with the module that they
        import. Extension -> path."""
        names = ("rustimport_hook.pth", "rustimport_hook.start", "rustimport_hook.py")
        return {name.rpartition(".")[2]: os.path.join(self.folder, name) for name in names}

    @property
    def other(self) -> str:
        """The one of these files that this Python reads."""
        return self.others["start" if _HAS_START_FILES else "pth"]

    def save_others(self) -> dict[str, bytes]:
        """The content of those that exist, by path."""
        found = {path: _read(path) for path in self.others.values()}
        return {path: content for path, content in found.items() if content is not None}

    def remove_others(self) -> list[str]:
        """Removes them. Returns those that existed."""
        return [path for path in self.others.values() if _remove(path)]

    @classmethod
    def of(cls, user: bool) -> Place:
        """This environment's place, or the user's.

        Raises:
            ProjectError: this Python does not use the user's folder.
        """
        if not user:
            folder = sysconfig.get_path("purelib")
        elif site.ENABLE_USER_SITE:
            folder = site.getusersitepackages()
        else:
            raise ProjectError(
                "this Python does not use the user's site-packages (a virtual environment never does)",
                hint="run `python -m rustimport site install` without `--user`",
            )
        name = "usercustomize.py" if user else "sitecustomize.py"
        return cls(folder, os.path.join(folder, name))


class Probe(NamedTuple):
    """The hook's state in a new interpreter.

    `failed`: Python's message about a file that raised an error, by the name of its module.
    """

    active: bool
    sitecustomize: str | None
    usercustomize: str | None
    failed: dict[str, str]


def probe() -> Probe:
    """Starts a new interpreter of this environment, and checks whether the hook is active.

    Raises:
        ToolchainError: it does not start.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RUSTIMPORT_ENABLED")}
    result = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, env=environ, cwd=os.sep, check=False)
    # What runs at the start or at the end may print, too.
    answers = [line for line in result.stdout.splitlines() if line.startswith(_ANSWER)]
    if not answers:
        reason = result.stderr.decode(errors="replace").strip()
        raise ToolchainError(f"{sys.executable} does not start: {reason}", hint="fix this error first")
    active, sitecustomize, usercustomize = json.loads(answers[-1][len(_ANSWER) :])
    return Probe(active, sitecustomize, usercustomize, _failures(result.stderr.decode(errors="replace").splitlines()))


def _failures(lines: list[str]) -> dict[str, str]:
    """The errors that `site` reports: a line that names the module, and one with the exception."""
    found = {}
    for line, error in pairwise(lines):
        for name in ("sitecustomize", "usercustomize"):
            if line.startswith(f"Error in {name};"):
                found[name] = error.strip()
    return found


def install(user: bool, force: bool, arguments: dict[str, Any]) -> str:
    """Writes the hook to a file that Python runs. Returns a description of what was done, in one or more lines.

    Raises:
        ProjectError: no file can be written, or an existing file is broken.
    """
    core = _native.core
    place = Place.of(user)
    written = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    _, has_predecessor = core.site_look(place.file)
    if has_predecessor and not force:
        raise ProjectError(
            f"{place.file} also enables maturin_import_hook: both hooks would build the same sources",
            hint="run `python -m rustimport site install --force` to replace it",
            path=place.file,
        )
    # An older version may have written another hook.
    present = [file for file in (place.file, place.others["py"]) if core.site_has(file, written)]
    if not force and present and probe().active:
        return f"the hook is already installed in {place.file if place.file in present else place.other}"
    _check_source(place.file)
    before = _read(place.file)
    os.makedirs(place.folder, exist_ok=True)
    # These have to be removed to check whether `file` works without them.
    others = place.save_others()
    try:
        place.remove_others()
        core.site_install(place.file, written)
        # Python would use a stale compiled file if size and time, in seconds, are the same.
        _remove(cache_from_source(place.file))
        seen = probe()
    except BaseException:
        for path, content in {place.file: before, **others}.items():
            core.site_restore(path, content)
        raise
    if seen.active:
        return f"the hook is installed in {place.file}, and active in every interpreter of this environment"
    # Python runs another file instead of ours: undo the change.
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
        module = "usercustomize" if user else "sitecustomize"
        other = seen.usercustomize if user else seen.sitecustomize
        why = f"Python runs {other} instead of {place.file}" if other else f"Python does not run {place.file}"
        if module in seen.failed:
            file = f"{module}.py" if before is None else place.file
            why = f"{file} ends with an error, so Python would not reach the hook in it: {seen.failed[module]}"
        return f"{why}\nthe hook is installed in {place.other}, and active in every interpreter of this environment"
    place.remove_others()
    raise ProjectError(
        f"this Python runs neither {place.file} nor {place.other} at its start: nothing was installed",
        hint="add `import rustimport.import_hook` to your program",
    )


def _arguments(place: Place) -> str | None:
    """The arguments of `install` in the file that is used instead of ``sitecustomize.py``, if it exists."""
    content = _read(place.others["py"])
    call = (content or b"").decode("utf-8", "replace").partition("rustimport.install(")[2]
    return call.partition("\n")[0].rpartition(")")[0] if call else None


def uninstall(user: bool) -> str:
    """Removes the hook from all files to which `install` writes. Returns a description of what was done."""
    place = Place.of(user)
    done = [place.file] if _native.core.site_uninstall(place.file) else []
    done += place.remove_others()
    return f"the hook is removed from {' and '.join(done)}" if done else "the hook was not installed"


def info() -> dict[str, Any]:
    """Where the hook is installed, with which arguments, whether it is active in a new interpreter, and if not, why."""
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
    """Raises an error if Python cannot run the file to which the hook would be added."""
    content = _read(path)
    if content is None:
        return
    try:
        compile(content, path, "exec")
    except (SyntaxError, ValueError) as error:
        raise ProjectError(
            f"{path} is not valid Python ({error}): nothing was written",
            hint="fix or move the file, then run `python -m rustimport site install` again",
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
