"""Arbitrary bytes and names cause no crash and no unexpected error."""

from __future__ import annotations

import _imp
import contextlib
import keyword
import os
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rustimport import _cache, _finder, _marker, _projects

from tests.faults.conftest import Faults

CONTEXT = "0123456789abcdef"

#: Each example recreates its state. Examples have no deadline, so that a slow machine does not fail them.
many = settings(
    deadline=None,
    derandomize="FAULTS" not in os.environ,
    max_examples=3000 if "FAULTS" in os.environ else 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

lines = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"F ", b"D ", b"L ", b"V\t", b"U\t", b"P\t", b"M\t"]).flatmap(
            lambda tag: st.binary(max_size=20).map(lambda rest: tag + rest)
        ),
        st.sampled_from(
            [b"F 1 2 3\t/etc", b"F -\t/x", b"D 1 1\t/\tetc", b"L 1 1\t/", b"V\tPATH=x", b"%", b"%0", b"\t\t"]
        ),
    ),
    max_size=8,
)


def sealed(body: bytes) -> bytes:
    return body + _imp.source_hash(0, body).hex().encode() + b"\n"


@many
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_a_damaged_stamp_is_ignored(faults: Faults, tmp_path: Path, data: bytes, cut: int) -> None:
    faults.count("inputs")
    stamp = tmp_path / "stamp"
    body = f"rustimport-stamp 2 {tmp_path.name}\n{CONTEXT} 1\n/m.rs\nF 1 1 1\t/etc/passwd\n".encode()
    for content in (data, sealed(body)[:cut], sealed(body)[cut:] + data):
        stamp.write_bytes(content)
        assert _cache.fresh_artifact(str(stamp), "/m.rs", CONTEXT) is None


@many
@given(body=lines)
def test_a_sealed_stamp_names_its_artifact_or_nothing(faults: Faults, tmp_path: Path, body: list[bytes]) -> None:
    """A forged stamp is valid only if its stats match the files."""
    faults.count("inputs")
    artifact = tmp_path / "m.so"
    artifact.write_bytes(b"")
    stat = artifact.stat()
    head = f"rustimport-stamp 2 {tmp_path.name}\n{CONTEXT} 1\n/m.rs\n"
    head += f"F {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\t{artifact}\n"
    stamp = tmp_path / "stamp"
    stamp.write_bytes(sealed(head.encode() + b"\n".join(body) + b"\n"))
    # Content that the core never writes may raise.
    with contextlib.suppress(ValueError):
        assert _cache.fresh_artifact(str(stamp), "/m.rs", CONTEXT) in (None, str(artifact))


@many
@given(data=st.binary(max_size=300), body=lines)
def test_an_index_is_projects_or_nothing(faults: Faults, data: bytes, body: list[bytes]) -> None:
    faults.count("inputs")
    assert _projects.fresh_index(data, "/index") is None
    try:
        found = _projects.fresh_index(sealed(b"rustimport-projects 3 index\n" + b"\n".join(body) + b"\n"), "/index")
    except (OSError, ValueError):
        return
    assert found is None or all(isinstance(project, _projects.Project) for named in found.values() for project in named)


@many
@given(data=st.binary(max_size=300))
@example(b"\xef\xbb\xbf// rustimport")
@example(b"#!/bin/sh\n// rustimport")
@example(b"\n" * 70_000 + b"// rustimport")
def test_a_marker_is_in_the_first_lines(faults: Faults, data: bytes) -> None:
    faults.count("inputs")
    assert _marker.has_marker(data) in (True, False)
    if b"rustimport" not in data:
        assert not _marker.has_marker(data)


@many
@given(source=st.text(min_size=1, max_size=300), stem=st.one_of(st.none(), st.text(max_size=10)))
def test_an_entry_name_is_one_path_component(faults: Faults, source: str, stem: str | None) -> None:
    faults.count("inputs")
    name = _cache.entry_name("/" + source.encode("utf-8", "replace").decode(), stem)
    assert os.sep not in name
    assert name not in (".", "..")
    assert len(os.fsencode(name)) <= 255 + 17


class Recorder(_finder.ScriptFinder):
    def artifact(self, fullname: str, source: str, **_: Any) -> str | None:
        return source if os.path.isfile(source) else None


names = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        [*keyword.kwlist, "core", "std", "test", "alloc", "proc_macro", "CON", "aux", "nul", "a b", "a'b", 'a"b']
    ),
    st.text("aé.\n \"'\\\udcff\x00", min_size=1, max_size=20),
    st.integers(240, 300).map(lambda length: "x" * length),
)


@many
@given(name=names)
def test_a_name_is_found_as_its_file_or_not_at_all(faults: Faults, tmp_path: Path, name: str) -> None:
    faults.count("inputs")
    finder = Recorder()
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    # A name that leads elsewhere is only looked for: nothing is written outside the folder.
    path = str(folder) if os.sep in name else os.path.join(str(folder), name + ".rs")
    try:
        with open(path, "w") as file:
            file.write("// rustimport")
    except (OSError, ValueError):
        path = ""
    try:
        for importer in [importer for importer in sys.path_importer_cache if importer.startswith(str(folder))]:
            del sys.path_importer_cache[importer]
        spec = finder.find_spec(f"package.{name}", [str(folder)])
        if spec is not None and spec.origin is not None:
            assert os.path.dirname(spec.origin) == str(folder)
    finally:
        if path:
            os.unlink(path)
