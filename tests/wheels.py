"""Builds and checks what a release consists of: `make wheels`. Parts can be selected, as in
`make wheels WHEELS="x86_64 sdist"`.

Wheels for another architecture or a newer Python are built in a Debian sid chroot below `target/pythons`, which has the
standard library and the interpreter. A part that is not available on this machine is skipped, with the reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests.chroot import PACKAGES, PYTHON_SOURCES, ROOT, Chroot, SkippedError, run, run_each

OUT = ROOT / "target" / "wheels"
SCRIPTS = Path(sys.executable).parent

#: What an installed wheel must be able to do.
TRIAL = """\
import rustimport.import_hook
import tried
assert tried.value() == 42
"""
SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"

#: Runs the core of another architecture in an emulator. There is no Rust for it here, so nothing is built.
EMULATED = """
    cd /opt/arm64
    apt-get -qy -o Acquire::Check-Valid-Until=false install --no-install-recommends qemu-user \
        libexpat1:arm64 zlib1g:arm64 libffi8:arm64 libgcc-s1:arm64
    apt-get -q download libpython3.14-minimal:arm64 libpython3.14-stdlib:arm64 python3.14-minimal:arm64
    for package in *.deb; do dpkg -x $package .; done
    python3 -m zipfile -e /project/target/wheels/rustimport-*aarch64.whl wheel
    PYTHONHOME=/opt/arm64/usr PYTHONPATH=/opt/arm64/wheel qemu-aarch64 -L / usr/bin/python3.14 -c '
import platform, rustimport._core
print(platform.machine(), rustimport._core.__version__)
assert platform.machine() == "aarch64"'
"""

#: What pyo3 has to know of an interpreter that is not there.
CP314T = """\
implementation=CPython
version=3.14
shared=true
abi3=false
lib_name=python3.14t
pointer_width=64
build_flags=Py_GIL_DISABLED
suppress_build_script_link_lines=false
"""

#: Debian's Python is too old there, and so is its Rust: sources of a newer Python, and this machine's Rust.
OLDEST = """
    if [ ! -x /opt/python/bin/python3 ]; then
        mkdir -p /opt/python-source
        tar -xf /opt/python.tar.xz -C /opt/python-source --strip-components 1
        cd /opt/python-source
        ./configure -q --prefix=/opt/python
        make -s -j2 > /dev/null
        make -s install > /dev/null
    fi
    rm -rf /tmp/tried
    /opt/python/bin/python3 -m venv /tmp/tried
    cd /tmp/tried
    bin/pip install -q --disable-pip-version-check /opt/{wheel}
    export PATH=/opt/rust/bin:$PATH RUSTIMPORT_CACHE_DIR=/tmp/tried/cache
    printf '%b' {script} > tried.rs
    bin/python -c '{trial}'
    ldd --version | head -1
"""


#: Exchanges libraries between that system and this one, which has a newer C library.
EXCHANGE = """
    cd /tmp/tried
    mkdir -p src
    printf '%b' {script} > src/old.rs
    printf '%b' {script} > src/new.rs
    export RUSTIMPORT_CONFIG_DIR=/tmp/tried/config RUSTIMPORT_REMOTE=file:///opt/store
    RUSTIMPORT_REMOTE_TRUST="$(bin/python -m rustimport -q remote keygen) {key}"
    export RUSTIMPORT_REMOTE_TRUST
    echo "$RUSTIMPORT_REMOTE_TRUST" > /opt/keys
    export RUSTIMPORT_CACHE_DIR=/tmp/tried/no-rust
    if PYTHONPATH=src bin/python -c 'import rustimport.import_hook, new' 2> refused; then exit 1; fi
    cat refused
    grep -q 'cannot be used here: it needs glibc 2[.]3[0-9], and this system has 2[.]31' refused
    export PATH=/opt/rust/bin:$PATH RUSTIMPORT_CACHE_DIR=/tmp/tried/cache
    PYTHONPATH=src bin/python -c 'import rustimport.import_hook, new; assert new.value() == 42'
    RUSTIMPORT_REMOTE_MODE=read-write bin/python -m rustimport remote push src/old.rs
"""


def environment() -> dict[str, str]:
    """maturin and zig of this environment."""
    return {"PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])}


def check(wheel: Path) -> None:
    """Checks a wheel's metadata, its platform tag and its use of the stable ABI."""
    run(SCRIPTS / "twine", "check", "--strict", wheel)
    run(SCRIPTS / "abi3audit", "--strict", wheel)
    run(SCRIPTS / "auditwheel", "show", wheel)
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not re.search(r"\.dist-info/|_core\.[^/]*\.so$", name)}
    sources = (path for path in (ROOT / "python").rglob("*") if path.suffix in (".py", ".pyi", ".typed"))
    expected = {path.relative_to(ROOT / "python").as_posix() for path in sources}
    assert inside == expected, f"{wheel}: {inside ^ expected}"


def check_version(tag: str) -> None:
    """Compares a tag with the version, which is in Cargo.toml only, and with the change log.

    Raises:
        SystemExit: they differ.
    """
    found = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert found is not None
    version = found[1]
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    if tag != f"v{version}":
        raise SystemExit(f"the tag is {tag}, but Cargo.toml has the version {version}")
    if not re.fullmatch(rf"## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
        raise SystemExit(f"CHANGELOG.md begins with `{heading}`: write `## {version} (YYYY-MM-DD)`")


def built(pattern: str) -> Path:
    (wheel,) = OUT.glob(pattern)
    return wheel


def try_in_new_environment(distribution: Path) -> None:
    """Installs a distribution with pip, and imports a script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "venv", folder / "venv")
        python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", distribution)
        (folder / "tried.rs").write_text(SCRIPT)
        environ = {**os.environ, "RUSTIMPORT_CACHE_DIR": str(folder / "cache")}
        subprocess.run([python, "-c", TRIAL], cwd=folder, env=environ, check=True)


def x86_64() -> None:
    """The stable ABI from 3.10, for manylinux2014: zig links to the symbols of its C library."""
    clean("*-abi3-*x86_64.whl")
    words = ("build", "--release", "--zig", "--target", "x86_64-unknown-linux-gnu", "--compatibility", "manylinux2014")
    run(SCRIPTS / "maturin", *words, "--out", OUT, **environment())
    wheel = built("*-abi3-*x86_64.whl")
    check(wheel)
    try_in_new_environment(wheel)


def sdist() -> None:
    """The sources, from which pip builds a wheel."""
    clean("*.tar.gz")
    run(SCRIPTS / "maturin", "sdist", "--out", OUT, **environment())
    archive = built("*.tar.gz")
    run(SCRIPTS / "twine", "check", "--strict", archive)
    try_in_new_environment(archive)


def aarch64() -> None:
    """The same as `x86_64`. It is imported in an emulator."""
    clean("*aarch64.whl")
    chroot = sid()
    chroot.run(
        "dpkg --add-architecture arm64\n"
        "apt-get -q -o Acquire::Check-Valid-Until=false update\n"
        "apt-get -qy -o Acquire::Check-Valid-Until=false install --no-install-recommends libstd-rust-dev:arm64"
    )
    words = "--zig --target aarch64-unknown-linux-gnu --compatibility manylinux2014"
    check(in_chroot(chroot, words, "*aarch64.whl"))
    shutil.rmtree(chroot.folder / "opt" / "arm64", ignore_errors=True)
    (chroot.folder / "opt" / "arm64").mkdir(parents=True)
    chroot.run(EMULATED)


def abi3t() -> None:
    """The stable ABI of interpreters without the GIL, from 3.15 (PEP 803). Those with the GIL load it, too."""
    clean("*abi3t*.whl")
    chroot = sid("python3.15", "python3.15-venv", "python3.15-dev")
    wheel = in_chroot(chroot, "-i python3.15 --features python,pyo3/abi3t-py315 --auditwheel skip", "*abi3t*.whl")
    run(SCRIPTS / "twine", "check", "--strict", wheel)
    chroot.run(
        "rm -rf /tmp/tried\npython3.15 -m venv /tmp/tried\ncd /tmp/tried\n"
        f"bin/pip install -q /project/target/wheels/{wheel.name}\n"
        f"printf '%b' {json.dumps(SCRIPT)} > tried.rs\n"
        f"RUSTIMPORT_CACHE_DIR=/tmp/tried/cache bin/python -c '{TRIAL}'"
    )


def cp314t() -> None:
    """CPython 3.14 without the GIL, which has no stable ABI. It is not imported: there is no such interpreter here."""
    clean("*-cp314t-*.whl")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pyo3.txt")
        config.write_text(CP314T)
        words = ("--zig", "--target", "x86_64-unknown-linux-gnu", "--compatibility", "manylinux2014")
        build = (SCRIPTS / "maturin", "build", "--release", *words, "-i", "python3.14t", "--features", "python")
        run(*build, "--out", OUT, PYO3_CONFIG_FILE=str(config), **environment())
    wheel = built("*-cp314t-*.whl")
    run(SCRIPTS / "twine", "check", "--strict", wheel)
    run(SCRIPTS / "auditwheel", "show", wheel)


def oldest() -> None:
    """The wheel of `x86_64` in Debian 11 (glibc 2.31), where it builds a script."""
    wheel = built("*-abi3-*x86_64.whl")
    sources = sid("dpkg-dev")
    sources.run(PYTHON_SOURCES)
    packages = ("gcc", "make", "libc6-dev", "libssl-dev", "zlib1g-dev", "libffi-dev", "xz-utils", "ca-certificates")
    chroot = Chroot(ROOT / "target" / "pythons" / "bullseye", "bullseye", packages)
    (archive,) = (sources.folder / "opt" / "sources").glob("python3.13_*.orig.tar.xz")
    shutil.copy(archive, chroot.folder / "opt" / "python.tar.xz")
    shutil.copy(wheel, chroot.folder / "opt")
    sysroot = Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())
    shutil.rmtree(chroot.folder / "opt" / "rust", ignore_errors=True)
    for name in ("bin", "lib"):
        leave_out = shutil.ignore_patterns("src", "etc")
        shutil.copytree(sysroot / name, chroot.folder / "opt" / "rust" / name, ignore=leave_out, symlinks=True)
    chroot.run(OLDEST.format(wheel=wheel.name, script=json.dumps(SCRIPT), trial=TRIAL))
    exchange(chroot, wheel)


def exchange(chroot: Chroot, wheel: Path) -> None:
    """A remote store of two systems: what was built on the older one serves both, also without Rust; what was built on
    the newer one is refused by the older one.

    Raises:
        SkippedError: there is no Python 3.13 here.
    """
    # pyenv's own `python3.13` may refuse to run.
    pythons = [*sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python")), shutil.which("python3.13")]
    python = next((python for python in pythons if python), None)
    if python is None:
        raise SkippedError("the older system has passed; to exchange libraries with it, Python 3.13 is needed here")
    store = chroot.folder / "opt" / "store"
    shutil.rmtree(store, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        folder, empty = Path(name), Path(name, "empty")
        run(python, "-m", "venv", folder / "venv")
        run(folder / "venv/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
        for module in ("old", "new"):
            (folder / f"{module}.rs").write_text(SCRIPT)
        empty.mkdir()
        env = {**os.environ, "RUSTIMPORT_CONFIG_DIR": str(folder / "config"), "RUSTIMPORT_REMOTE": store.as_uri()}
        env["RUSTIMPORT_CACHE_DIR"] = str(folder / "cache")

        both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}

        def here(*words: str, **more: str) -> str:
            command = [str(folder / "venv/bin/python"), *words]
            done = subprocess.run(command, cwd=folder, env={**env, **more}, text=True, check=True, **both)
            sys.stdout.write(done.stdout)
            return str(done.stdout)

        key = here("-m", "rustimport", "-q", "remote", "keygen").strip()
        here("-m", "rustimport", "remote", "push", "new.rs", RUSTIMPORT_REMOTE_MODE="read-write")
        chroot.run(EXCHANGE.format(script=json.dumps(SCRIPT), key=key))
        keys = (chroot.folder / "opt" / "keys").read_text()
        nothing = dict.fromkeys(("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME"), str(empty))
        code = "import rustimport.import_hook, old; assert old.value() == 42"
        assert "fetched old" in here("-c", code, RUSTIMPORT_REMOTE_TRUST=keys, **nothing)


def sid(*more: str) -> Chroot:
    chroot = Chroot(ROOT / "target" / "pythons" / "sid", "sid", (*PACKAGES, *more))
    chroot.copy_project()
    chroot.run(
        "[ -d /opt/wheels ] || python3 -m venv /opt/wheels\n/opt/wheels/bin/pip install -q 'maturin>=1.9.6,<2' ziglang"
    )
    return chroot


def in_chroot(chroot: Chroot, words: str, pattern: str) -> Path:
    """Builds a wheel in the chroot, and returns a copy."""
    inside = chroot.folder / "project" / "target" / "wheels"
    shutil.rmtree(inside, ignore_errors=True)
    build = f"/opt/wheels/bin/maturin build --release {words} --out target/wheels"
    chroot.run(f"cd /project\nexport PATH=/opt/wheels/bin:$PATH\n{build}")
    (wheel,) = inside.glob(pattern)
    OUT.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(wheel, OUT))


def clean(pattern: str) -> None:
    """Removes what an earlier run has built."""
    OUT.mkdir(parents=True, exist_ok=True)
    for path in OUT.glob(pattern):
        path.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["try"]:
        for path in sys.argv[2:]:
            try_in_new_environment(Path(path).resolve())
        sys.exit()
    if sys.argv[1:2] == ["version"]:
        check_version(sys.argv[2])
        sys.exit()
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise SystemExit(str(SkippedError("only Linux on x86_64 builds all parts; elsewhere, run `maturin build`")))
    parts = (x86_64, oldest, sdist, aarch64, abi3t, cp314t)
    sys.exit(run_each({part.__name__: part for part in parts}, sys.argv[1:]))
