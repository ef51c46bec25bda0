"""Remote stores on the network: real servers on loopback, and connections that fail in every way."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.build.test_command import SCRIPT, command
from tests.build.test_projects import Environment, edit
from tests.build.test_remote import Team
from tests.build.test_remote_projects import Machines
from tests.conftest import Place
from tests.servers import SERVERS, Line, Server, free_port, program, redis

opendal = pytest.importorskip("opendal", reason="no opendal: make test-remote")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server


def team_at(place: Place, server: Server) -> Team:
    """Two machines that use a part of a server's store for this test alone."""
    team = Team(place)
    url = server.url.format(name=place.folder.parent.name)
    for name, machine in (("one", team.first), ("two", team.second)):
        machine |= {"RUSTIMPORT_REMOTE": url, **server.env}
        configuration = team.root / name / "remote.toml"
        configuration.parent.mkdir(exist_ok=True)
        configuration.write_text(f"[options]\n{server.options}")
    return team


def test_the_life_of_an_artifact(place: Place, server: Server) -> None:
    """Checked, pushed, there already, fetched without Rust, pulled; written in the background by an import."""
    team = team_at(place, server)
    url = team.first["RUSTIMPORT_REMOTE"]
    assert team.on_first("remote", "check") == f"{url} can be read and written\n"
    team.write("m.rs", SCRIPT.format(7))
    assert team.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    assert team.push() == "0 written, 1 already there, 0 stay, 0 failed\n"
    if server.folder:
        # What is pushed again is written again if it is old, so that it is not removed as such.
        objects = [path for path in server.folder.rglob("*") if path.is_file() and len(path.name) == 64]
        for path in objects:
            os.utime(path, (1_600_000_000, 1_600_000_000))
        assert team.push() == "0 written, 1 already there, 0 stay, 0 failed\n"
        assert all(path.stat().st_mtime > 1_700_000_000 for path in objects)
    run = team.on_second(**team.without_rust())
    assert (run.out, f"fetched m from {url} in" in run.stderr) == ("7", True), run.stderr
    again = place.python("import sys; sys.path.insert(0, 'two'); import m; print(m.value())", **team.second)
    assert (again.out, again.builds) == ("7", 1 if "building" in again.stderr else 0)

    team.write("m.rs", SCRIPT.format(8))
    built = place.python("import sys; sys.path.insert(0, 'one'); import m; print(m.value())", **team.first)
    assert (built.out, built.builds) == ("8", 1)
    for _ in range(100):
        place.forget()
        pull = command(place, "remote", "pull", "two", **team.second)
        if pull.returncode == 0:
            break
        time.sleep(0.1)
    assert pull.stdout == "1 fetched, 0 already there, 0 not in the store\n", pull.stderr
    assert "p4ssw0rd" not in pull.stderr + built.stderr + run.stderr


def test_a_build_ends_when_its_artifact_arrives(place: Place, server: Server) -> None:
    """While maturin is running, the store is asked; maturin and its children are killed."""
    team = team_at(place, server)
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    slow = team.root / "slow" / "maturin"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > {team.root}/pid\nsleep 600\n")
    slow.chmod(0o755)
    run = team.on_second(RUSTIMPORT_MATURIN_EXECUTABLE=str(slow))
    assert run.out == "7"
    lines = [line.partition(" from ")[0] for line in run.stderr.splitlines()]
    assert lines == ["rustimport: building m (first build)", "rustimport: fetched m"]
    # A killed process that nobody has waited for has no command line.
    if (team.root / "pid").exists():
        process = Path("/proc", (team.root / "pid").read_text().strip(), "cmdline")
        assert not process.exists() or process.read_bytes() == b""


def test_a_project_from_a_server(environment: Environment, server: Server) -> None:
    """Installed without compiling; after an edit fetched while maturin is running."""
    (environment.site / "opendal").symlink_to(Path(opendal.__file__).parent)
    machines = Machines(environment, projects.LAYOUTS["python-source"], team_at(environment.place, server))
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.push()
    edit(machines.first / "src/lib.rs", projects.EDITED, "2")
    machines.push()
    machines.leave_first()
    assert machines.pull().stdout == "1 fetched, 0 already there, 0 not in the store\n"
    edit(machines.second / "src/lib.rs", projects.EDITED, "2")
    slow = machines.place.write("slow/maturin", "#!/bin/sh\nsleep 600\n")
    slow.chmod(0o755)
    run = machines.run(RUSTIMPORT_MATURIN_EXECUTABLE=str(slow))
    assert run.out == "2"
    lines = [line.partition(" from ")[0] for line in run.stderr.splitlines()]
    assert lines == ["rustimport: building t_source: `src/lib.rs` changed", "rustimport: fetched t_source"]
    assert (machines.run().out, machines.run().stderr) == ("2", "")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with redis(tmp_path_factory.mktemp("line")) as server:
        line = Line(server.port)
        yield line
        line.close()


@pytest.fixture
def team(place: Place, line: Line) -> Team:
    line.limit, line.passed, line.answer = None, 0, None
    return team_at(place, Server(f"redis://127.0.0.1:{line.port}/0/{{name}}", line.port))


def silence(client: socket.socket) -> None:
    """Accepts, and never answers."""


def nonsense(client: socket.socket) -> None:
    client.sendall(os.urandom(1000))
    client.close()


def endless(client: socket.socket) -> None:
    """An answer that announces a huge text."""
    try:
        client.sendall(b"$1000000000000\r\n")
        while True:
            client.sendall(b"x" * (1 << 16))
            time.sleep(0.01)
    except OSError:
        return


@pytest.mark.parametrize("answer", [silence, nonsense, endless])
def test_an_import_goes_on_without_the_store(team: Team, line: Line, answer: Any) -> None:
    """With Rust it builds; without, one line and the error. The next processes do not wait for it again."""
    team.write("m.rs", SCRIPT.format(7))
    line.answer = answer
    run = team.on_second()
    assert (run.out, run.builds) == ("7", 1)
    shutil.rmtree(team.entry("two"))
    for path in team.place.cache.glob("unreachable-*"):
        path.unlink()
    run = team.on_second(**team.without_rust())
    assert run.returncode == 1
    assert "ToolchainError: cargo was found neither on PATH" in run.stderr
    said = [line for line in run.stderr.splitlines() if "the remote store" in line and "is not used: " in line]
    assert len(said) == 1, run.stderr
    before = line.connections
    run = team.on_second(**team.without_rust())
    assert (line.connections, "is not used" in run.stderr) == (before, False)


class Flood(http.server.BaseHTTPRequestHandler):
    """A WebDAV server that announces 65 bytes and sends gigabytes, with words for the terminal."""

    protocol_version = "HTTP/1.1"
    sent = 0
    status = 200

    def log_message(self, *_: object) -> None:
        pass

    def do_PROPFIND(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        properties = "<D:getlastmodified>Tue, 01 Dec 2020 00:00:00 GMT</D:getlastmodified><D:resourcetype/>"
        found = f"<D:prop>{properties}<D:getcontentlength>65</D:getcontentlength></D:prop>"
        status = "<D:status>HTTP/1.1 200 OK</D:status>"
        response = f"<D:href>{self.path}</D:href><D:propstat>{found}{status}</D:propstat>"
        body = f'<D:multistatus xmlns:D="DAV:"><D:response>{response}</D:response></D:multistatus>'.encode()
        self.send_response(207)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(4 << 30) if self.status == 200 else "9")
        self.end_headers()
        if self.status != 200:
            self.wfile.write(b"\x1b[2Kwords")
            return
        try:
            for _ in range(4 << 10):
                self.wfile.write(b"a" * (1 << 20))
                type(self).sent += 1 << 20
        except OSError:
            self.close_connection = True


def test_a_server_that_sends_more_than_it_announced(place: Place) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flood)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        team = team_at(place, Server(f"webdav+http://127.0.0.1:{server.server_port}/{{name}}", server.server_port))
        team.write("m.rs", SCRIPT.format(7))
        run = team.on_second(**team.without_rust())
        assert run.returncode == 1
        assert 0 < Flood.sent < 64 << 20
        Flood.status = 500
        for path in place.cache.glob("unreachable-*"):
            path.unlink()
        run = team.on_second(**team.without_rust())
        assert "words" in run.stderr
        assert "\x1b" not in run.stderr
    finally:
        server.shutdown()
        server.server_close()


def test_a_push_fails_loudly(team: Team, line: Line) -> None:
    team.write("m.rs", SCRIPT.format(7))
    for answer in (nonsense, silence):
        line.answer = answer
        run = command(team.place, "remote", "push", "one/m.rs", **team.first)
        assert (run.returncode, run.stdout) == (1, "0 written, 0 already there, 0 stay, 1 failed\n")
        assert "was not written to a remote store" in run.stderr
        check = command(team.place, "remote", "check", **team.first)
        assert (check.returncode, "it cannot be read: " in check.stderr) == (1, True)


def test_connections_cut_anywhere(team: Team, line: Line) -> None:
    """After any number of bytes from the server, in a fetch: the import is right or says that there is nothing."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    line.passed = 0
    assert team.on_second(**team.without_rust()).out == "7"
    total = line.passed
    assert total > 100_000
    results = set()
    for limit in [0, 5, 40, 100, 200, 500, 1000, 2000, 3000, total // 2, total - 100, total - 1]:
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        for path in team.place.cache.glob("unreachable-*"):
            path.unlink()
        line.limit, line.passed = limit, 0
        run = team.on_second(**team.without_rust())
        assert run.returncode == 1 or run.out == "7", limit
        results.add(run.returncode)
    assert 1 in results


def test_ctrl_c_while_the_store_is_silent(team: Team, line: Line) -> None:
    """The interpreter ends at once, and leaves no child."""
    team.write("m.rs", SCRIPT.format(7))
    line.answer = silence
    before = line.connections
    code = "import sys; sys.path.insert(0, 'two'); print('ready', flush=True); import m"
    process = team.place.start(code, **{**team.second, **team.without_rust()})
    while line.connections == before:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in stderr
    children = subprocess.run(["pgrep", "-f", "_remote_child.py"], capture_output=True, text=True, check=False).stdout
    mine = [
        pid for pid in children.split() if str(team.root) in Path(f"/proc/{pid}/environ").read_text(errors="replace")
    ]
    assert mine == []


def test_threads_and_forks(team: Team) -> None:
    for number in range(4):
        team.write(f"m{number}.rs", SCRIPT.format(number))
    team.on_first("remote", "push", "one")
    code = """
        import importlib, os, sys, threading
        sys.path.insert(0, "two")
        values = []
        def load(number):
            values.append(importlib.import_module(f"m{number}").value())
        threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        child = os.fork()
        if child == 0:
            load(3)
            os._exit(values.pop())
        print(sorted(values), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    team.place.forget()
    run = team.place.python(code, **{**team.second, **team.without_rust()})
    assert run.out == "[0, 1, 2] 3", run.stderr
    assert run.stderr.count("fetched m") == 4


def test_compiled_dependencies_in_sccache(place: Place, tmp_path: Path) -> None:
    """On an empty machine, sccache returns the dependencies; and machines with and without it share artifacts."""
    team = Team(place)
    # With a server of its own.
    env: dict[str, Any] = {
        "RUSTC_WRAPPER": program("sccache"),
        "SCCACHE_DIR": str(tmp_path / "sccache"),
        "CARGO_INCREMENTAL": "0",
    }
    env |= {"SCCACHE_SERVER_PORT": str(free_port()), "RUSTIMPORT_CACHE_DIR": str(tmp_path / "cache")}
    team.write("m.rs", SCRIPT.format(7))
    try:
        assert team.push(**env).startswith("1 written")
        shutil.rmtree(tmp_path / "cache")
        code = "import sys; sys.path.insert(0, 'one'); import m; print(m.value())"
        assert place.python(code, **env).out == "7"
        stats = subprocess.run(
            [env["RUSTC_WRAPPER"], "--show-stats"], env={**place.env, **env}, capture_output=True, text=True
        )
        hits = re.search(r"Cache hits +(\d+)", stats.stdout)
        assert hits, stats.stdout
        assert int(hits[1]) >= 10
        assert team.on_second().builds == 0
    finally:
        subprocess.run(
            [env["RUSTC_WRAPPER"], "--stop-server"], env={**place.env, **env}, capture_output=True, check=False
        )


def test_without_the_client_library(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.place.write("missing/opendal.py", "raise ImportError('none')")
    run = team.on_second(**team.without_rust(), PYTHONPATH=str(team.place.folder / "missing"))
    assert "its client library is missing: `pip install 'rustimport[remote]>=2'`" in run.stderr


def test_a_hostile_checkout_reaches_nobody(place: Place, line: Line) -> None:
    """A checkout names a store of its own, and a key: no connection is made, and no credential leaves."""
    team = Team(place)
    for name in ("RUSTIMPORT_REMOTE", "RUSTIMPORT_REMOTE_TRUST"):
        del team.second[name]
    line.answer = silence
    before = line.connections
    team.write("m.rs", SCRIPT.format(7))
    for url in (f"redis://127.0.0.1:{line.port}/0", "s3://bucket", f"webdav+http://127.0.0.1:{line.port}/x"):
        table = f'[tool.rustimport]\nremote = "{url}"\nremote-trust = ["{team.key}"]\n'
        place.write("two/pyproject.toml", table)
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        env = {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}",
        }
        run = team.on_second(**env)
        assert (run.out, run.builds) == ("7", 1)
        assert "to use it, run `python -m rustimport remote trust` in its folder" in run.stderr
    assert line.connections == before
