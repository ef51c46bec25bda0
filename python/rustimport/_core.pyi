"""The core, in Rust. Used through the rest of the package."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Final, Literal

from ._request import Interpreter, Observer, Outcome, Remote, Request

__all__ = [
    "__version__",
    "cache_clear",
    "cache_create",
    "cache_export",
    "cache_import",
    "cache_info",
    "cache_prune",
    "cache_share",
    "check_in_place",
    "check_lock",
    "copy_installed",
    "discover",
    "ensure",
    "ensure_in_place",
    "explain",
    "files_are_unchanged",
    "find_maturin",
    "index_all_projects",
    "index_projects",
    "inherited_files",
    "is_module",
    "list_installed",
    "local_packages",
    "passed_over",
    "project_settings",
    "pyproject_table",
    "remote_claim",
    "remote_describe",
    "remote_keygen",
    "remote_prune",
    "remote_push",
    "remote_trust",
    "scaffold",
    "site_has",
    "site_install",
    "site_install_pth",
    "site_install_start",
    "site_look",
    "site_restore",
    "site_uninstall",
    "stubs",
    "template",
    "tools",
    "typed_names",
    "update_versions",
    "watch",
    "write_cell",
    "write_file",
    "write_for_rust_tools",
    "write_header",
    "write_lock",
]

__version__: Final[str]

# Every function raises an error of `rustimport.errors` for what it cannot do.

def ensure(request: Request, on_event: Observer) -> Outcome:
    """Returns the artifact of a source, built if it was stale."""

def ensure_in_place(request: Request, on_event: Observer) -> Outcome:
    """The same, and puts it beside the source."""

def write_cell(root: str | PathLike[str], text: str, manifest: str) -> tuple[PathLike[str], str | None]:
    """Writes a cell's text into the cache. Returns its file, and the module that it declares itself."""

def stubs(library: str | PathLike[str], module: str, described: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The type stubs of a module from pyo3's information in its library, with relative paths. `described` is what the
    module says of itself (see `_description.py`)."""

def typed_names(library: str | PathLike[str]) -> list[str]:
    """The names of functions and classes that a library has type information about."""

def write_file(path: str | PathLike[str], content: str) -> None:
    """Writes a file of the user's in one step, with the folders that it needs."""

def list_installed(root: str | PathLike[str], dist_info: str | PathLike[str], path: str | PathLike[str]) -> None:
    """Lists a file that was added to a project's installation, so that it is uninstalled with it."""

def write_for_rust_tools(
    request: Request, python: str | PathLike[str], starts_python: bool, on_event: Observer
) -> tuple[PathLike[str], bool, PathLike[str]]:
    """Writes the package of a script for rust-analyzer and cargo. Returns its manifest, whether the user's file is the
    root of the library, and cargo. `python`: the interpreter that tests are linked to; `starts_python`: whether they
    start it when they need it."""

def check_in_place(request: Request, on_event: Observer) -> str | None:
    """Why the artifact beside a source is stale, or `None`."""

def update_versions(request: Request, on_event: Observer) -> list[str]:
    """Updates the versions of a source's dependencies. Returns what moved, one line for each package."""

def copy_installed(request: Request, artifact: str | PathLike[str], on_event: Observer) -> PathLike[str]:
    """A copy of what is installed of a project, at a path that was never loaded."""

def files_are_unchanged(stamp: bytes) -> bool:
    """Whether all files of a stamp have the stats that stand there."""

def find_maturin(request: Request) -> PathLike[str]:
    """The maturin that a build would use."""

def local_packages(request: Request, on_event: Observer) -> list[PathLike[str]]:
    """The folders of the packages on this machine that a project is made of."""

def index_projects(
    folders: Sequence[str | PathLike[str]], file: str | PathLike[str], interpreter: Interpreter
) -> bytes:
    """The index of the editable projects in some site folders, written to a file if that can be written."""

def index_all_projects(folders: Sequence[str | PathLike[str]], entries: Sequence[str | PathLike[str]]) -> bytes:
    """The same, with all projects that could be installed: those of some folders, and those that stand above others."""

def is_module(path: str | PathLike[str]) -> bool:
    """Whether a script without a marker is a module named like its file, and no part of a crate."""

def discover(paths: Sequence[str | PathLike[str]], opt_in: bool, are_named: bool) -> list[PathLike[str]]:
    """Sources in folders, and among them."""

def passed_over(paths: Sequence[str | PathLike[str]]) -> list[PathLike[str]]:
    """The ``.rs`` files without a marker in folders."""

def write_lock(request: Request, newest: bool, on_event: Observer) -> bool:
    """Writes the lock file of a script, or completes it; returns whether it had to be changed."""

def check_lock(request: Request, on_event: Observer) -> None:
    """Raises an error if a script has no lock file, or one that does not match its dependencies."""

def template(source: str | PathLike[str]) -> str | None:
    """The template that a source asks for, by its name."""

def write_header(source: str | PathLike[str], header: str | PathLike[str], force: bool) -> bool:
    """Writes the C header of a source; returns whether it was not there already."""

def scaffold(path: str | PathLike[str], kind: str, script: str | PathLike[str] | None) -> list[PathLike[str]]:
    """Writes a new source of a kind, made of a script if there is one, and returns what was written."""

def explain(request: Request, on_event: Observer) -> str:
    """What is known of a source's last build, and what an import would do, as JSON."""

def tools(request: Request, on_event: Observer) -> list[tuple[str, str | None]]:
    """Where the tools are, and their versions."""

def inherited_files() -> list[tuple[int, int]]:
    """Device and inode of the open files that a forked child has to close: they are its parent's alone."""

def watch(find: Callable[[], Sequence[str | PathLike[str]]]) -> None:
    """Calls `find` now, and whenever something changes in the folders that it returns; until it raises."""

def project_settings(folder: str | PathLike[str]) -> tuple[PathLike[str], list[tuple[str, str]]] | None:
    """What the nearest `pyproject.toml` sets: its path, and the values by their names."""

def pyproject_table(path: str | PathLike[str], keys: Sequence[str]) -> str:
    """The table `[project]` of a `pyproject.toml`, as JSON."""

def site_has(path: str | PathLike[str], arguments: str) -> bool: ...
def site_look(path: str | PathLike[str]) -> tuple[str | None, bool]:
    """What stands in a `sitecustomize.py`: our block's arguments, and whether the predecessor's is there."""

def site_install(path: str | PathLike[str], arguments: str) -> None:
    """Writes our block into a `sitecustomize.py`."""

def site_uninstall(path: str | PathLike[str]) -> bool:
    """Takes our block out again."""

def site_restore(path: str | PathLike[str], content: bytes | None) -> None:
    """Puts back what stood in a `sitecustomize.py`."""

def site_install_pth(path: str | PathLike[str], module: str | PathLike[str], arguments: str) -> None:
    """Writes the `.pth` file, and the module that it imports."""

def site_install_start(path: str | PathLike[str], module: str | PathLike[str], arguments: str) -> None:
    """Writes the `.start` file, and the module that it names."""

def cache_info(root: str | PathLike[str]) -> dict[str, Any]:
    """What is in the cache."""

def cache_create(root: str | PathLike[str], interpreter: Interpreter) -> PathLike[str]:
    """Creates what is missing of an interpreter's part of the cache, and returns where it is."""

def cache_clear(root: str | PathLike[str], key: str | None, on_event: Observer) -> int:
    """Removes what is in the cache, of one interpreter or of all; returns the bytes that are free now."""

def cache_prune(root: str | PathLike[str], unused_for: float | None, size: int | None, on_event: Observer) -> int:
    """Removes what is of no use any more, was not used for so many seconds, or is more than so many bytes; returns the
    bytes that are free now."""

def cache_share(root: str | PathLike[str]) -> None:
    """Lets every user read the cache."""

def cache_export(
    root: str | PathLike[str], interpreter: Interpreter, file: str | PathLike[str], on_event: Observer
) -> tuple[int, int]:
    """Writes what one interpreter's store holds into a file; returns how many artifacts and bytes."""

def cache_import(
    root: str | PathLike[str],
    interpreter: Interpreter,
    file: str | PathLike[str],
    on_event: Observer,
) -> tuple[int, int]:
    """Takes over what such a file holds, all of it verified; returns how many artifacts and bytes."""

def remote_keygen(configuration: str | PathLike[str]) -> tuple[str, PathLike[str]]:
    """Makes a key that signs for a remote store; returns the public key, and the file of the secret one."""

def remote_claim(folder: str | PathLike[str]) -> tuple[PathLike[str], str | None, list[str]]:
    """What a folder's ``pyproject.toml`` says of a remote store: the folder of that file, the store's URL, the keys."""

def remote_trust(
    configuration: str | PathLike[str],
    folder: str | PathLike[str],
    remote: str | None,
    trust: list[str],
    is_trusted: bool,
) -> None:
    """Trusts exactly such values, or no longer."""

def remote_describe(
    settings: Remote, interpreter: Interpreter, folder: str | PathLike[str], is_tried: bool, on_event: Observer
) -> dict[str, Any]:
    """Describes the remote store for sources in a folder; if `is_tried`, it is also accessed."""

def remote_prune(settings: Remote, interpreter: Interpreter, folder: str | PathLike[str], age: float) -> int:
    """Removes what is older than `age` seconds from the remote store; returns the number of freed bytes."""

def remote_push(request: Request, on_event: Observer) -> tuple[Literal["written", "present", "stays"], str | None]:
    """Writes an artifact to its remote store, built if it is stale; returns why it stays here if it does."""
