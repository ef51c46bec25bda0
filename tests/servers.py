"""Servers on loopback for tests of remote stores, and connections that fail in every way."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Server:
    """A store on the network."""

    url: str
    """With `{name}` for the part of the store that a test has for itself."""
    port: int
    env: dict[str, str] = field(default_factory=dict)
    options: str = ""
    """Lines for the table `[options]` of `remote.toml`."""
    folder: Path | None = None
    """Where it keeps its objects, if they are files."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str) -> str:
    """The path of a program of this environment, or on `PATH`."""
    found = shutil.which(name, path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"no {name}: make test-remote")
    return found


@contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def redis(folder: Path) -> Iterator[Server]:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--save", "", "--dir", str(folder)]
    with started(command, port, folder / "redis.log"):
        yield Server(f"redis://127.0.0.1:{port}/0/{{name}}", port)


@contextmanager
def s3(folder: Path) -> Iterator[Server]:
    port, (key, secret) = free_port(), ("AKIDEXAMPLEEXAMPLE00", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
    (folder / "s3" / "bucket").mkdir(parents=True)
    command = [program("rclone"), "serve", "s3", "--auth-key", f"{key},{secret}", "--addr", f"127.0.0.1:{port}"]
    with started([*command, str(folder / "s3")], port, folder / "s3.log"):
        env = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
        env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        yield Server("s3://bucket/{name}", port, env, folder=folder / "s3")


@contextmanager
def webdav(folder: Path) -> Iterator[Server]:
    port = free_port()
    (folder / "webdav").mkdir()
    command = [program("rclone"), "serve", "webdav", "--user", "u", "--pass", "p4ssw0rd"]
    with started([*command, "--addr", f"127.0.0.1:{port}", str(folder / "webdav")], port, folder / "webdav.log"):
        options = 'username = "u"\npassword = "p4ssw0rd"\n'
        url = f"webdav+http://127.0.0.1:{port}/{{name}}"
        yield Server(url, port, options=options, folder=folder / "webdav")


SERVERS = {"redis": redis, "s3": s3, "webdav": webdav}


class Line:
    """A port that passes connections to a server, as long as it is told to."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        #: Bytes from the server until every connection is cut.
        self.limit: int | None = None
        self.passed = 0
        #: Called with each connection instead of passing it on.
        self.answer: Callable[[socket.socket], None] | None = None
        self.connections = 0
        self._kept: list[Any] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._kept.append(client)
            if self.answer is not None:
                threading.Thread(target=self.answer, args=(client,), daemon=True).start()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self._kept.append(server)
            for source, target, is_counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._copy, args=(source, target, is_counted), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_counted:
                    if self.limit is not None and self.passed + len(data) > self.limit:
                        target.sendall(data[: self.limit - self.passed])
                        self.passed = self.limit
                        break
                    self.passed += len(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self._listening.close()
        for connection in self._kept:
            connection.close()
