"""Copies objects between a folder and a store on the network. This is a program of its own, which the core starts
(``src/remote/network.rs``) and kills when it is late: client libraries hang, break in a fork, and ignore Ctrl-C. It
decides nothing: what arrives is verified by the core.

It says on standard error what it has reached: ``started`` when the client library is loaded, ``connected`` after an
answer, then ``done``, or ``failed:`` and the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Nothing refers to an object that is not there yet.
_ORDER = ["artifacts", "sets", "index", "check"]


class Copier:
    """Copies the objects of one task (``Task`` in ``network.rs``)."""

    def __init__(self, opendal: Any, task: dict[str, Any]) -> None:
        self._missing = opendal.exceptions.NotFound
        self._task = task
        self._limits = task["limits"]
        self._store = _open(opendal, task["url"], task["options"])
        _say("started")
        if task["put"]:
            self._store = self._store.layer(opendal.layers.RetryLayer(max_times=3))

    def run(self) -> None:
        for name in self._task["get"]:
            self._get(name)
            if _kind(name) == "index":
                for known in self._names(name):
                    self._get(f"v1/sets/{known}")
        for name in sorted(self._task["put"], key=lambda name: _ORDER.index(_kind(name))):
            self._put(name)
        for name in self._task["delete"]:
            self._store.delete(name)

    def _get(self, name: str) -> None:
        """Copies an object to the folder, unless it is missing or too large."""
        content = self._read(name, self._limits[_kind(name)])
        if content is not None:
            path = self._path(name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            size = self._store.stat(name).content_length
        except self._missing:
            return None
        finally:
            _say("connected")
        if not 0 < size <= limit:
            return None
        content = b""
        # A server may send more than it has announced, without an end: what is not read stays there.
        with self._store.open(name, "rb") as file:
            while len(content) <= size and (piece := bytes(file.read(min(1 << 20, size + 1 - len(content))))):
                content += piece
        return content if len(content) == size else None

    def _names(self, index: str) -> list[str]:
        """The names in an index that is in the folder."""
        try:
            with open(self._path(index), encoding="ascii", errors="replace") as file:
                return _names(file.read())[: self._limits["names"]]
        except FileNotFoundError:
            return []

    def _put(self, name: str) -> None:
        if _kind(name) == "index":
            # Whoever writes last wins. What is lost by that is a hint.
            own = self._names(name)
            known = _names((self._read(name, self._limits["index"]) or b"").decode("ascii", "replace"))
            names = list(dict.fromkeys([*own, *known]))[: self._limits["names"]]
            content = "".join(f"{name}\n" for name in names).encode()
        else:
            with open(self._path(name), "rb") as file:
                content = file.read()
        if self._task["only_old"] and self._is_young(name):
            return
        # Who waits has looked at what is there, and found it missing or damaged.
        if not (self._task["own"] and _kind(name) == "artifacts" and self._has(name, len(content))):
            self._store.write(name, content)
        _say("connected")

    def _has(self, name: str, size: int) -> bool:
        """Whether an object of this size was written before; an artifact's name is the hash of its content."""
        try:
            return bool(self._store.stat(name).content_length == size)
        except self._missing:
            return False

    def _is_young(self, name: str) -> bool:
        """Whether an object was written within a day, or does not say when."""
        try:
            written = self._store.stat(name).last_modified
        except self._missing:
            return False
        return written is None or time.time() - written.timestamp() < 86400

    def _path(self, name: str) -> str:
        return os.path.join(self._task["folder"], *name.split("/"))


def _open(opendal: Any, url: str, options: dict[str, str]) -> Any:
    scheme, _, rest = url.partition("://")
    # The library's own form of these URLs is for https only.
    if scheme in ("webdav+http", "webdav+https"):
        host, _, root = rest.partition("/")
        return opendal.Operator("webdav", endpoint=f"{scheme[7:]}://{host}", root=f"/{root}", **options)
    return opendal.Operator.from_uri(url, **options)


def _kind(name: str) -> str:
    return name.split("/")[1]


def _names(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) == 64 and set(line) <= set("0123456789abcdef")]


def _reason(error: Exception) -> str:
    """The first line of an error, and the library's words about its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = lines[lines.index("Source:") + 1 :] if "Source:" in lines else []
    return ": ".join([*lines[:1], *cause[:1]])[:500] or type(error).__name__


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _limit_memory(task: dict[str, Any]) -> None:
    """Ends this process before an endless answer fills the memory: a client library may keep all of it."""
    try:
        import resource
    except ImportError:
        return
    paths = [os.path.join(task["folder"], *name.split("/")) for name in task["put"]]
    sizes = [os.path.getsize(path) for path in paths if os.path.exists(path)]
    largest = max([*task["limits"].values(), *sizes])
    room = (256 << 20) + (os.cpu_count() or 1) * (4 << 20) + 4 * largest
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or hard > room:
        resource.setrlimit(resource.RLIMIT_DATA, (room, hard))


def main(task: dict[str, Any]) -> str | None:
    """Runs a task. Returns why it failed, if it did."""
    sys.path[:] = task["path"]
    _limit_memory(task)
    try:
        import opendal
    except ImportError as error:
        return f"its client library is missing: `pip install 'rustimport[remote]>=2'` ({error})"
    try:
        Copier(opendal, task).run()
    except Exception as error:
        return _reason(error)
    return None


def _end(folder: str, status: int) -> None:
    """Ends this process, and removes the folder: its parent may have ended."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(status)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    # The URL may have a password.
    os.unlink(sys.argv[1])
    if task["own"]:
        # Nobody else ends it if the store is silent.
        late = threading.Timer(120, _end, (task["folder"], 1))
        late.daemon = True
        late.start()
        signal.signal(signal.SIGTERM, lambda *_: _end(task["folder"], 1))
    failure = main(task)
    _say(f"failed: {failure}" if failure else "done")
    if task["own"]:
        _end(task["folder"], 0)
    sys.exit(1 if failure else 0)
