"""Every example can be imported, and returns the expected values."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Place

EXAMPLES = {
    "somecode": "somecode.square(9) == 81",
    "dice": "all(1 <= n <= 6 for n in dice.throw(100))",
    "counter": "[n for n, _ in zip(counter.Counter(counter.Direction.Down, step=2), range(3))] == [-2, -4, -6]",
    "words": "words.count('A rose is a rose') == {'a': 2, 'rose': 2, 'is': 1}",
    "primes": "primes.primes_below(20) == [2, 3, 5, 7, 11, 13, 17, 19] and primes.largest_prime_below(100) == 97",
    "shapes": (
        "shapes.Shape.Triangle(3.0).area() == 1.5 and shapes.Point(1, 2) + shapes.Point(2, 2) == shapes.Point(3, 4)"
    ),
    "geometry": "round(geometry.between((52.5, 13.4), (48.9, 2.35))) == 874",
    "colors": "colors.names() == ['teal', 'orange', 'orchid'] and colors.rgb('teal') == (0, 128, 128)",
    "bare": "bare.twice(21) == 42",
    "legacy": "legacy.square(9) == 81",
    "orders": """orders.totals('[{"customer": "a", "cents": 3}, {"customer": "a", "cents": 4}]') == {'a': 7}""",
    "mandelbrot": "[row[5] for row in mandelbrot.escapes(8, 8, 50)] == [3, 5, 50, 50, 50, 50, 50, 5]",
    "sums": ("[n := sums.ffi.new('double[]', [1.5, 2.5]), sums.total(n, 2), sums.range(n, 2).high][1:] == [4.0, 2.5]"),
    "arrays": (
        "[numpy := __import__('numpy'), a := numpy.arange(4.0), arrays.scale(a, 2.0), list(a), list(arrays.smooth(a))]"
        "[3:] == [[0.0, 2.0, 4.0, 6.0], [1.0, 2.0, 4.0, 5.0]]"
    ),
}


def test_all_examples_are_tested() -> None:
    sources = {path.stem for path in (ROOT / "examples").glob("*.rs")}
    packages = {path.parent.name for path in (ROOT / "examples").glob("*/__init__.py")}
    assert sources | packages == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(place: Place, name: str) -> None:
    if name == "legacy" and sys.version_info >= (3, 12):
        pytest.skip("rust-cpython ends with Python 3.11")
    shutil.copytree(ROOT / "examples", place.folder, dirs_exist_ok=True)
    run = place.python(f"import {name}; print({EXAMPLES[name]})")
    assert run.out == "True"
    assert "warning" not in run.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="rust-cpython supports it")
def test_rust_cpython_is_refused_after_3_11(place: Place) -> None:
    shutil.copy(ROOT / "examples" / "legacy.rs", place.folder)
    run = place.python("import legacy")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"uses rust-cpython (the crate `cpython`), which supports Python up to 3.11; this is {version}" in run.stderr
    assert "port the script to pyo3" in run.stderr


def test_build_scripts_are_rerun(place: Place) -> None:
    shutil.copytree(ROOT / "examples" / "colors", place.folder / "colors")
    check = "import colors; print(colors.names())"
    assert place.python(check).out == "['teal', 'orange', 'orchid']"
    assert place.python(check).builds == 0
    place.write("colors/colors.txt", "black #000000\n")
    run = place.python(check)
    assert (run.out, run.builds) == ("['black']", 1)
    place.write("colors/build.rs", (place.folder / "colors" / "build.rs").read_text().replace("{name:?}", '"x{name}"'))
    assert "BuildError" in place.python(check).stderr


def test_what_the_demo_says_in_the_end_works(place: Place) -> None:
    """Its last lines are typed into a shell that has no environment activated."""
    demo = [sys.executable, str(ROOT / "examples" / "demo.py")]
    run = subprocess.run(demo, cwd=place.folder, env=place.env, capture_output=True, text=True, check=True)
    assert run.stdout.count("somecode.square(9) == 8") == 4
    assert re.search(r"\(import: \d{4,}\.\d ms\)", run.stdout) is None
    shell = re.findall(r"^    \$ (.*)", run.stdout, re.M)
    typed = "".join(f"{line}\n" for line in re.findall(r"^    >>> (.*)", run.stdout, re.M))
    command = ["sh", "-c", f"{' && '.join(shell)} -i"]
    shown = subprocess.run(
        command, input=typed, cwd=place.folder, env=place.env, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "81\n"
    assert "Error" not in shown.stderr
