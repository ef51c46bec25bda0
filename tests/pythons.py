"""Runs all tests with CPython 3.14 and 3.15, most of them without the GIL, and one file inside Blender:
`make test-pythons`. Interpreters and tests can be selected: `make test-pythons PYTHONS="3.15 tests/build"`.

The interpreters come from Debian sid, in a chroot below `target/pythons`. One that is not available on this machine is
skipped, with the reason.
"""

from __future__ import annotations

import sys
from functools import partial

from tests.chroot import PACKAGES, PYTHON_SOURCES, ROOT, Chroot, run_each

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


#: There is no package of a Python without the GIL: 3.13, from Debian's sources, stands in for 3.14.
FREE_THREADED = """
    if [ ! -x /opt/python3.13t/bin/python3.13t ]; then
        cd /opt/sources
        tar -xf python3.13_*.orig.tar.xz
        cd Python-3.13.*
        ./configure -q --disable-gil --prefix=/opt/python3.13t
        make -s -j2 > /dev/null
        make -s install > /dev/null
    fi
    cd /project
    # pyo3 supports 3.14 and later.
    export UNSAFE_PYO3_SKIP_VERSION_CHECK=1
    venv=.venv-3.13t
    [ -d $venv ] || /opt/python3.13t/bin/python3.13t -m venv $venv
    $venv/bin/pip install -q --only-binary :all: 'maturin>=1.9.6,<2' \
        pytest pytest-timeout pytest-xdist 'hypothesis<6.130' numpy uv
    rm -rf target/free-threaded
    $venv/bin/maturin build --release -i $venv/bin/python --features python --auditwheel skip --out target/free-threaded
    $venv/bin/python -m zipfile -e target/free-threaded/*.whl target/free-threaded
    cp target/free-threaded/rustimport/_core.*.so python/rustimport/
    echo /project/python > $venv/lib/python3.13t/site-packages/tree.pth
    $venv/bin/python -m pytest {tests}
"""

#: Type checkers, cffi and Jupyter have no packages for it. Left out are also the names of wheels, and sources that
#: switch the GIL on (those of plain pyo3-ffi, and of a pyo3 before 0.28), which CPython reports.
WITHOUT_GIL = (
    "tests/unit tests/build tests/faults -n 2 --dist loadfile --ignore tests/build/test_stubs.py "
    "--ignore tests/build/test_costs.py --ignore tests/build/test_wheels.py --ignore tests/build/test_backends.py "
    "-k 'not (ffi or sums or two_copies_with_one_target or keeps_the_module_object)'"
)


def test_without_gil(*more: str) -> None:
    sources = ("libssl-dev", "zlib1g-dev", "libffi-dev", "xz-utils", "dpkg-dev")
    chroot = Chroot(HOME / "sid", "sid", (*PACKAGES, *sources))
    chroot.copy_project()
    chroot.run(PYTHON_SOURCES)
    chroot.run(FREE_THREADED.format(tests=" ".join(more) or WITHOUT_GIL))


if __name__ == "__main__":
    choices = {name: partial(test, name) for name in PYTHONS} | {"3.13t": test_without_gil}
    sys.exit(run_each(choices, sys.argv[1:]))
