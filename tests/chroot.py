"""A Debian chroot with a copy of this project, for testing other versions of Python, Rust and the C library.

It is created by debootstrap below `target/`, and kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: The packages that the build tests need.
PACKAGES = (
    "python3",
    "python3-venv",
    "python3-dev",
    "rustc",
    "cargo",
    "gcc",
    "make",
    "ca-certificates",
    "strace",
    "procps",
)

#: Downloads the sources of Python 3.13, in a chroot of sid that has dpkg-dev.
PYTHON_SOURCES = """
    mkdir -p /opt/sources/lists/partial
    cd /opt/sources
    if [ ! -e python3.13_*.orig.tar.xz ]; then
        echo 'deb-src http://deb.debian.org/debian trixie main' > sources.list
        only="-o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists"
        apt-get -q $only update
        apt-get -q $only source --download-only python3.13
    fi
"""

#: Not copied into the chroot.
LEFT_OUT = shutil.ignore_patterns("target", ".venv*", ".git", "__pycache__", ".*_cache", "*.so")


class SkippedError(Exception):
    """Why something is not available on this machine."""


def run(*command: str | Path, **env: str) -> None:
    subprocess.run([str(word) for word in command], env={**os.environ, **env}, check=True)


def run_each(choices: Mapping[str, Callable[..., None]], words: Sequence[str]) -> int:
    """Calls the choices that the words name, or all, with the other words. Prints what became of each, and returns the
    exit status."""
    more = [word for word in words if word not in choices]
    results = {}
    for name in [word for word in words if word in choices] or choices:
        print(f"== {name}", flush=True)
        try:
            choices[name](*more)
            results[name] = "passed"
        except SkippedError as reason:
            results[name] = f"skipped: {reason}"
        except subprocess.CalledProcessError as error:
            results[name] = f"failed: {' '.join(map(str, error.cmd[:6]))} …"
    for name, result in results.items():
        print(f"{name:8} {result}")
    return any(result.startswith("failed") for result in results.values())


class Chroot:
    def __init__(self, folder: Path, suite: str, packages: Sequence[str] = PACKAGES) -> None:
        """Creates the chroot, or installs the packages that it lacks.

        Raises:
            SkippedError: this user is not root, or debootstrap is missing.
        """
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise SkippedError("needs root and debootstrap")
        self.folder = folder
        if not (folder / "usr" / "bin" / "apt-get").exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            run("debootstrap", "--variant=minbase", "--include=ca-certificates", suite, folder)
        for file in ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):
            if Path(file).exists():
                shutil.copy(file, folder / file.lstrip("/"))
        installed = (folder / "var/lib/dpkg/status").read_text(encoding="utf-8")
        missing = [package for package in packages if f"Package: {package}\n" not in installed]
        if missing:
            self.run("apt-get -q -o Acquire::Check-Valid-Until=false update")
            self.run(f"apt-get -qy install --no-install-recommends {' '.join(missing)}")

    def copy_project(self) -> None:
        """Copies this project to `/project`, and keeps what was compiled there."""
        inside = self.folder / "project"
        inside.mkdir(exist_ok=True)
        for item in ROOT.iterdir():
            if LEFT_OUT(str(ROOT), [item.name]):
                continue
            if item.is_dir():
                shutil.copytree(item, inside / item.name, ignore=LEFT_OUT, dirs_exist_ok=True)
                for copy in (inside / item.name).rglob("*"):
                    is_kept = copy.suffix in (".so", ".pyc") or (ROOT / copy.relative_to(inside)).exists()
                    if copy.is_file() and not is_kept:
                        copy.unlink()
            else:
                shutil.copy2(item, inside)

    def run(self, script: str) -> None:
        """Runs a shell script as root in the chroot, with no variables from this environment.

        Raises:
            subprocess.CalledProcessError: the script failed.
        """
        env = ["HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        with self._mounted():
            run("chroot", self.folder, "/usr/bin/env", "-i", *env, "/bin/sh", "-ec", script)

    @contextmanager
    def _mounted(self) -> Iterator[None]:
        places = [(source, self.folder / source.lstrip("/")) for source in ("/proc", "/dev", "/dev/pts")]
        places = [(source, place) for source, place in places if not os.path.ismount(place)]
        for source, place in places:
            run("mount", "--bind", source, place)
        try:
            yield
        finally:
            for _, place in reversed(places):
                run("umount", "--lazy", place)
