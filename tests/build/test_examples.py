"""Every example imports, and does what it says."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT, Place

EXAMPLES = {
    "somecode": "somecode.square(9) == 81",
    "dice": "all(1 <= n <= 6 for n in dice.throw(100))",
    "counter": "[n for n, _ in zip(counter.Counter(counter.Direction.Down, step=2), range(3))] == [-2, -4, -6]",
    "words": "words.count('A rose is a rose') == {'a': 2, 'rose': 2, 'is': 1}",
    "primes": "primes.primes_below(20) == [2, 3, 5, 7, 11, 13, 17, 19] and primes.largest_prime_below(100) == 97",
}


def test_all_are_here() -> None:
    sources = {path.stem for path in (ROOT / "examples").glob("*.rs")}
    packages = {path.parent.name for path in (ROOT / "examples").glob("*/__init__.py")}
    assert sources | packages == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(place: Place, name: str) -> None:
    shutil.copytree(ROOT / "examples", place.folder, dirs_exist_ok=True)
    run = place.python(f"import {name}; print({EXAMPLES[name]})")
    assert run.out == "True"
    assert "warning" not in run.stderr
