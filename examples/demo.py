"""Imports a Rust file, edits it and imports it again, and shows what is built and how long each import takes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT = """
import time
import rustimport.import_hook

start = time.perf_counter()
import somecode

seconds = time.perf_counter() - start
took = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
print(f"    somecode.square(9) == {somecode.square(9)}    (import: {took})")
"""


def show(title: str, folder: Path) -> None:
    print(f"\n{title}", flush=True)
    subprocess.run([sys.executable, "-c", IMPORT], cwd=folder, check=True)


def main() -> None:
    example = Path(__file__).with_name("somecode.rs")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Path(shutil.copy(example, folder))
        print(f"--- {example.name}\n{source.read_text()}---")
        show("The first import compiles it, and pyo3 if this is the first script ever:", folder)
        show("A new interpreter imports what was built:", folder)
        source.write_text(source.read_text().replace("x * x", "x * x + 1"))
        show("`x * x` is now `x * x + 1`, and the next interpreter builds what changed:", folder)
        source.touch()
        show("Touching the file builds nothing, since its content decides:", folder)
    from rustimport import settings

    # The Python that has the package, whether or not its environment is activated.
    print(f"\nWhat was built is in {settings.cache_dir}. Try it:\n")
    print(f"    $ cd {shlex.quote(str(example.parent))}\n    $ {shlex.quote(sys.executable)}")
    print("    >>> import rustimport.import_hook\n    >>> import somecode\n    >>> somecode.square(9)")


if __name__ == "__main__":
    main()
