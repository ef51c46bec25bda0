"""The types of the data exchanged with the core. `src/py/convert.rs` reads and writes them; nothing imports this file
at run time."""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol, TypedDict


class Arguments(TypedDict):
    """Arguments for the tools, as on their command lines."""

    cargo_arguments: list[str]
    """For cargo, through maturin."""
    run_arguments: list[str]
    """The same, but of no influence on what is built: ``--jobs``, ``--verbose``, …"""
    build_arguments: list[str]
    """For ``maturin build``."""
    develop_arguments: list[str]
    """For ``maturin develop``."""
    rustc_arguments: list[str]
    """For rustc, of the package alone."""
    target: str | None
    """The triple to compile for."""


class Remote(TypedDict):
    """The settings of the remote store."""

    url: str | None
    mode: str | None
    """``read`` or ``read-write``."""
    trust: list[str] | None
    """Public keys."""
    revoked: list[str] | None
    variables: list[str] | None
    """Variables whose values may leave this machine."""
    configuration: str
    """The user's configuration folder."""
    path: list[str]
    """``sys.path``, for the process that uses the client library."""
    script: str
    """What that process runs."""
    cache: str


class Settings(Arguments):
    """How a source is to be built."""

    profile: str | None
    """A Cargo profile."""
    pyo3: str | None
    """The version of pyo3 for sources that name none."""
    cargo: str | None
    maturin: str | None
    stubs: bool
    """Whether pyo3 is to describe the module for type stubs, even if no ``pyproject.toml`` asks for them."""
    remote: Remote


class Interpreter(TypedDict):
    """This interpreter, described without starting it."""

    key: str
    """The name of its part of the cache."""
    implementation: str
    """``CPython``, …"""
    version: tuple[int, int]
    extension_suffix: str
    base_prefix: str
    pointer_width: int
    """32 or 64."""
    build_flags: list[str]
    """``Py_DEBUG``, ``Py_GIL_DISABLED``, …"""
    script_folders: list[str]
    """Folders that may contain this environment's executables, the likeliest first."""
    prefix: str
    c_library: str | None
    """``glibc 2.36``, if the system reports it."""
    pre_release: str | None
    """Of a version before the final one, whose ABI may differ from that of others: its number."""
    siphash13: bool
    """Whether `_imp.source_hash` is SipHash-1-3 (since 3.11), not SipHash-2-4."""


class Cell(TypedDict):
    """Details of a script that is a string."""

    folder: str
    """The folder that relative paths are relative to."""
    manifest: str
    """More lines of its manifest, as TOML."""


class Request(TypedDict):
    """A request to the core about a source."""

    kind: Literal["script", "crate", "project"]
    root: str
    module: str
    """Full name."""
    installed: str | None
    """Of a project: its dist-info folder."""
    files: list[str] | None
    """Inputs that were declared."""
    cell: Cell | None
    automatic: bool
    """Install a project if it is not."""
    cache: str
    shared_cache: str | None
    entry: str
    """The name of its folder in the cache."""
    context: str
    """A hash of everything besides its inputs that its stamp depends on."""
    settings: Settings
    interpreter: Interpreter
    marked: bool
    """Whether the source opted in."""
    in_place: bool
    """Whether the artifact may be the one next to the source, or in the shared cache."""
    wheels: str | None
    """The folder in which a forced build leaves the wheel."""
    newest: bool
    """Without a lock file, choose the newest versions of a script's dependencies."""
    force: bool
    """Build without any check."""
    may_build: bool
    """Whether a stale script or crate may be built, or only come from a store."""
    lock_timeout: float | None
    """Seconds; ``None`` waits for ever."""
    lock_timeout_from_life: bool
    """Whether these count from the last sign of life of the process that is waited for."""


class Outcome(TypedDict):
    """The answer of the core."""

    artifact: str | os.PathLike[str]
    """The library to load."""
    reason: str | None
    """Why it was stale; ``None`` if it was fresh."""
    built: bool
    """Whether this call ran maturin."""
    origin: Literal["fresh", "built", "restored", "fetched"]
    """Where the artifact came from: it was there, from maturin, from the cache, from a remote store."""
    seconds: float
    """Wall time of the call."""
    roots: list[str]
    """Of a project: the folders that belong on ``sys.path`` since it is installed."""
    stubs: str | None
    """Where type stubs have to be written since it was stale: a folder, ``beside`` the source, or where a project is
    ``installed``."""


class Observer(Protocol):
    """Called with the name of an event, and its details as keywords. If it has a true attribute `is_cancelled`, the
    call ends with a ``KeyboardInterrupt``."""

    def __call__(self, event: str, **details: Any) -> None: ...
