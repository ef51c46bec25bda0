"""Runs all tests with CPython 3.14 and 3.15, and inside Blender: `make test-pythons`. Interpreters and tests can be
selected: `make test-pythons PYTHONS="3.15 tests/build"`.

The interpreters come from Debian sid, in a chroot below `target/pythons`. One that is not available on this machine is
skipped, with the reason.
"""

from __future__ import annotations

import sys
from functools import partial

from tests.chroot import PACKAGES, ROOT, Chroot, run_each

HOME = ROOT / "target" / "pythons"

#: What each needs in addition to the usual packages.
PYTHONS = {
    "3.14": ("python3.14", "python3.14-venv", "python3.14-dev", "rust-analyzer", "rust-src"),
    "3.15": ("python3.15", "python3.15-venv", "python3.15-dev"),
    "blender": ("blender",),
}


#: A copy without the distribution's `sitecustomize.py`, which would take precedence over that of any environment.
COPY = """
    if [ ! -x {home}/bin/{python} ]; then
        mkdir -p {home}/bin {home}/lib {home}/include
        cp /usr/bin/{python} {home}/bin/
        cp -r /usr/lib/{python} {home}/lib/
        cp -r /usr/include/{python} {home}/include/
        rm -f {home}/lib/{python}/sitecustomize.py
    fi
"""


def test(name: str, *more: str) -> None:
    chroot = Chroot(HOME / "sid", "sid", (*PACKAGES, *PYTHONS[name]))
    chroot.copy_project()
    python, venv = "/usr/bin/python3", f".venv-{name}"
    if name != "blender":
        home = f"/opt/python{name}"
        chroot.run(COPY.format(home=home, python=f"python{name}"))
        python = f"{home}/bin/python{name}"
    setup = f"cd /project\n{python} --version\nmake VENV={venv} PYTHON={python}"
    if name == "blender":
        more = ("tests/clients/test_blender.py", *more)
    if more:
        chroot.run(f"{setup} {venv}/.dev\n{venv}/bin/python -m pytest {' '.join(more)}")
    else:
        chroot.run(f"{setup} test")


if __name__ == "__main__":
    sys.exit(run_each({name: partial(test, name) for name in PYTHONS}, sys.argv[1:]))
