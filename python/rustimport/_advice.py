"""What the user is told about a Rust file that an import or `build` has passed over. It is loaded only when there is
such a file; it raises nothing, starts nothing, and speaks once in each process."""

import os
import sys
from _frozen_importlib_external import PathFinder

from . import _cache, _marker, _report, _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WRITE = "write `// rustimport:pyo3` on its first line"

_SIGNS = (b"#[pyfunction", b"#[pyclass", b"#[pymodule", b"#[pyo3::py")

#: The names of modules that were reported; of those that were not found, only one.
_standard: "set[str]" = set()
#: Files that are not for Python -> their stat.
_dismissed: "dict[str, tuple[int, int, int]]" = {}
_has_told_of_release_mode = False
_has_told_of_variables = False


def why_not(source: str) -> "str | None":
    """What is missing from a file that did not opt in. ``None`` if it does not look as if it were for Python."""
    try:
        with open(source, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if not data.strip():
        return f"it is empty: {WRITE}, and functions with #[pyfunction] below it"
    for number, line in enumerate(data[:65536].removeprefix(b"\xef\xbb\xbf").splitlines()[:50], 1):
        line = line.strip()
        if not line.startswith((b"//", b"/*", b"#")) or line.startswith(b"#["):
            continue
        if b"rustimport" in line.lower().replace(b"-", b"").replace(b"_", b"").replace(b" ", b""):
            if b"rustimport" in line and not line.startswith(b"#"):
                return f"its marker is on line {number}: move it to the first line"
            return f"`{line.decode('utf-8', 'replace')}` is not a marker: {WRITE}"
    return f"it has no marker: {WRITE}" if any(sign in data for sign in _SIGNS) else None


def _has_opted_in(source: str) -> bool:
    return _marker.has_opted_in(source, os.stat(source))


def tell_of_standard(name: str, source: str) -> None:
    """Says that a script has the name of a module of the standard library."""
    try:
        if name not in _standard and _has_opted_in(source):
            _standard.add(name)
            _report.warn(
                f"{source} is not imported: `{name}` is a module of the standard library, which comes first; "
                "rename the file"
            )
    except Exception:
        return


def tell_of_missing(finder: "Any", fullname: str, source: str, importing: str) -> bool:
    """Says why a file is not imported as the module that nobody has found, if the file looks as if it were for Python.
    Returns whether it did. `importing`: the folder of the code that imports it."""
    try:
        why = _is_users(source, importing) and _why_missing(fullname, source, importing)
        if not why or not _settings.is_enabled() or _settings.is_release_mode() or _is_found(finder, fullname):
            return False
        _report.warn(f"{source} is not imported as `{fullname}`: {why}")
        return True
    except Exception:
        return False


def tell_of_release_mode(source: str, artifact: str) -> None:
    """Says that release mode imports a library from the cache that is not optimised, or not of the current source."""
    global _has_told_of_release_mode
    try:
        if _has_told_of_release_mode:
            return
        entry = os.path.dirname(os.path.dirname(artifact))
        profile = _profile_of(os.path.join(entry, "record.toml"))
        parts = [f"with the profile {profile}, which is not optimised"] if profile == "dev" else []
        if _has_changed(source, os.path.join(entry, "stamp")):
            parts.append("before the source was changed")
        if parts:
            _has_told_of_release_mode = True
            _report.warn(
                f"release mode, which checks and builds nothing, imports {os.path.basename(source)} as it was built "
                f"{', and '.join(parts)}; to build optimised code, set RUSTIMPORT_PROFILE=release instead"
            )
    except Exception:
        return


def _profile_of(record: str) -> "str | None":
    """The profile in the record of a build."""
    for line in _cache.read(record).decode("utf-8", "replace").splitlines():
        if line.startswith("profile = "):
            return line.partition(" = ")[2].strip('"')
    return None


def _has_changed(source: str, stamp: str) -> bool:
    """Whether a script has another size or time than when it was built."""
    path = os.fsencode(source)
    for line in _cache.read(stamp).split(b"\n"):
        stats, _, rest = line.partition(b"\t")
        if stats[:2] == b"F " and _cache.unescape(rest) == path:
            now = os.stat(source)
            return stats != b"F -" and stats.split()[1:3] != [b"%d" % now.st_size, b"%d" % now.st_mtime_ns]
    return False


def tell_of_variables(known: "set[str]") -> None:
    """Says which variables of this package's prefix do not exist. Called before a source is checked in the core."""
    global _has_told_of_variables
    if _has_told_of_variables:
        return
    _has_told_of_variables = True
    try:
        for name in sorted(os.environ):
            if name.startswith("RUSTIMPORT_") and name not in known:
                from difflib import get_close_matches

                similar = get_close_matches(name, known, 1)
                if similar == [_settings.VARIABLES["release_mode"]] and not name.endswith("MODE"):
                    # It was probably meant to optimise, which release mode does not.
                    similar = [f"{_settings.VARIABLES['profile']}=release"]
                meant = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(sorted(known))}"
                _report.warn(f"{name} is not a variable of rustimport, and has no effect; {meant}")
    except Exception:
        return


def _why_missing(fullname: str, source: str, importing: str) -> "str | None":
    folder, file = os.path.split(source)
    name = fullname.rpartition(".")[2]
    missing = None
    if not _has_opted_in(source):
        found = os.stat(source)
        stat = found.st_size, found.st_mtime_ns, found.st_ctime_ns
        missing = why_not(source) if _dismissed.get(source) != stat else None
        if missing is None:
            _dismissed[source] = stat
            return None
    reasons = []
    if file != f"{name}.rs":
        reasons.append(f"the name of a module has no `-`: rename the file to {name}.rs")
    elif folder not in [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]:
        if folder == importing:
            reasons.append(f"it is in the package of the importing file: write `from . import {name}`")
        elif "." not in fullname:
            reasons.append(
                f"{folder} is not on sys.path: move the file, or add its folder to sys.path or RUSTIMPORT_INCLUDE_PATHS"
            )
    if missing is not None:
        reasons.append(missing)
    return "; ".join(reasons) or None


def _is_users(source: str, importing: str) -> bool:
    """Whether a file is the user's own: below the working folder, next to the code that runs or that imports it, and
    not of a distribution."""
    folder = os.path.dirname(source)
    parts = folder.split(os.sep)
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    here = os.getcwd()
    first = os.path.abspath(sys.path[0]) if sys.path and isinstance(sys.path[0], str) else here
    return folder in (first, importing) or folder == here or folder.startswith(here.rstrip(os.sep) + os.sep)


def _is_found(finder: "Any", fullname: str) -> bool:
    """Whether another finder has the module."""
    for other in list(sys.meta_path):
        if other is finder or other is PathFinder:
            continue
        projects: Any = other
        if getattr(other, "role", None) == "projects":
            # It may not have read its index yet.
            projects.read_index()
            if fullname in projects.projects:
                return True
        elif not getattr(other, "is_ours", False) and other.find_spec(fullname, None) is not None:
            return True
    return False
