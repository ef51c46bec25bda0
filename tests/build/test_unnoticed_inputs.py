"""Inputs that cargo does not look at: it compiles a package of a registry again only if its version changes, and knows
the names of programs and files, not their content."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile

from tests import projects
from tests.build.test_freshness import IMPORT, check, reason, script
from tests.build.test_projects import Environment, edit
from tests.conftest import Place, Run


def test_vendored_packages(environment: Environment) -> None:
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    edit(root / "Cargo.toml", "[dependencies]\n", '[dependencies]\nitoa = "1"\n')
    edit(root / "src/lib.rs", projects.EDITED, "itoa::PATCHED")
    vendored = subprocess.run(["cargo", "vendor"], cwd=root, env=environment.place.env, capture_output=True, text=True)
    assert vendored.returncode == 0, vendored.stderr
    environment.place.write("project/.cargo/config.toml", vendored.stdout)
    source, checksums = root / "vendor/itoa/src/lib.rs", root / "vendor/itoa/.cargo-checksum.json"
    original, listed = source.read_text(), json.loads(checksums.read_text())

    def patch(value: int, *, is_listed: bool) -> None:
        source.write_text(f"{original}\npub const PATCHED: i64 = {value};\n")
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        files = listed["files"] | {"src/lib.rs": digest} if is_listed else {}
        checksums.write_text(json.dumps({**listed, "files": files}))

    patch(1, is_listed=False)
    environment.develop(root)
    first = environment.run(layout.code)
    assert (first.out, first.builds) == ("1", 0), first.stderr
    for value, is_listed in ((2, False), (3, True), (4, True), (5, False)):
        patch(value, is_listed=is_listed)
        run = environment.run(layout.code)
        assert (run.out, run.builds >= 1) == (str(value), True), run.stderr
        assert environment.run(layout.code).builds == 0
    # An edit of the user's own code compiles none of them.
    edit(root / "src/lib.rs", "itoa::PATCHED", "itoa::PATCHED + 1")
    assert environment.run(layout.code).out == "6"


def registry(place: Place, name: str, code: str) -> None:
    """Configures a registry `mine` that has one package. Cargo unpacks it to its own home, as from any registry."""
    package = place.folder / f"{name}-0.1.0"
    place.write(f"{package.name}/Cargo.toml", f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write(f"{package.name}/src/lib.rs", code)
    (place.folder / "registry/index" / name[:2] / name[2:4]).mkdir(parents=True)
    crate = place.folder / f"registry/{package.name}.crate"
    with tarfile.open(crate, "w:gz") as archive:
        archive.add(package, package.name)
    shutil.rmtree(package)
    digest = hashlib.sha256(crate.read_bytes()).hexdigest()
    entry = {"name": name, "vers": "0.1.0", "deps": [], "cksum": digest, "features": {}, "yanked": False}
    place.write(f"registry/index/{name[:2]}/{name[2:4]}/{name}", json.dumps(entry) + "\n")
    place.write(
        ".cargo/config.toml",
        f"""\
        [registries.mine]
        index = "https://registry.invalid/{hashlib.sha256(str(place.folder).encode()).hexdigest()[:8]}"
        [source.mine]
        registry = "https://registry.invalid/{hashlib.sha256(str(place.folder).encode()).hexdigest()[:8]}"
        replace-with = "local"
        [source.local]
        local-registry = "registry"
        """,
    )


def test_variables_that_a_package_of_a_registry_reads(place: Place) -> None:
    registry(
        place, "t-reader", 'pub const READ: &str = match option_env!("T_READ") { Some(x) => x, None => "unset" };\n'
    )
    header = '// rustimport:pyo3\n//: [dependencies]\n//: t-reader = { version = "0.1", registry = "mine" }\n'
    text = script("t_reader::READ", "&'static str").replace("// rustimport:pyo3\n", header)
    place.write("m.rs", text)
    check(place, "unset", 1)
    check(place, "unset")
    run = place.python("import m; print(m.value())", T_READ="one")
    assert run.out == "one", run.stderr
    assert "`T_READ` changed" in run.stderr
    check(place, "one", T_READ="one")
    check(place, "unset")
    # Another script uses what the first one compiled, unless that had another value.
    place.write("n.rs", text)
    assert place.python("import n; print(n.value())", T_READ="two").out == "two"
    assert place.python("import n; print(n.value())").out == "unset"


def test_content_of_programs_and_of_files_of_arguments(place: Place) -> None:
    place.write("m.rs", script("if cfg!(by_wrapper) { 2 } else if cfg!(by_file) { 3 } else { 1 }"))
    wrapper = place.write("tools/wrap.sh", '#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    config = place.write(".cargo/config.toml", '[build]\nrustc-workspace-wrapper = "tools/wrap.sh"\n')
    check(place, 1, 1)
    wrapper.write_text('#!/bin/sh\nexec "$@" --cfg by_wrapper\n')
    check(place, 2, 1, "`tools/wrap.sh` changed")
    check(place, 2)
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    check(place, 1)
    config.unlink()
    # Arguments for this crate alone.
    flags = place.write("flags.txt", "-Cdebuginfo=0\n")
    settings = f"rustimport.install(settings=rustimport.settings.MaturinSettings(rustc_flags=['@{flags}']))\n"

    def value() -> Run:
        return place.python(settings + IMPORT)

    assert value().out == "1"
    flags.write_text("--cfg\nby_file\n")
    run = value()
    assert (run.out, reason(run)) == ("3", "`flags.txt` changed")
    assert (value().out, value().builds) == ("3", 0)
