"""Records `docs/recording.svg`: what a user types into a terminal, and what a real Python answers.

    python examples/recording.py

Output appears when it really appeared; typing and pauses are added. Dependencies are compiled before the recording.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SVG = HERE.parent / "docs" / "recording.svg"
SCRIPT = "// rustimport:pyo3\n\n#[pyfunction]\nfn square(x: i64) -> i64 {\n    x * x\n}\n"

SHELL, PROMPT = "$ ", ">>> "
SESSION = (
    "import rustimport.import_hook",
    "import somecode",
    "somecode.square(9)",
    "# edit the file: x * x * x",
    "from importlib import reload",
    "reload(somecode).square(9)",
    "# undo",
    "reload(somecode).square(9)",
)
EDITS = {"# edit the file: x * x * x": SCRIPT.replace("x * x", "x * x * x"), "# undo": SCRIPT}


class Line(NamedTuple):
    prompt: str
    """Empty for output."""
    text: str
    after: float
    """Seconds between the end of the typed line before it, and this output."""


def record(folder: Path, env: dict[str, str]) -> list[Line]:
    """Runs the session in a folder."""
    source = folder / "somecode.rs"
    source.write_text(SCRIPT)
    lines = [Line(SHELL, "cat somecode.rs", 0)]
    lines += [Line("", line, 0) for line in SCRIPT.splitlines()]
    lines.append(Line(SHELL, "python", 0))
    python = subprocess.Popen(
        [sys.executable, "-i", "-q", "-u"],
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert python.stdin is not None
    answer(python)
    for typed in SESSION:
        if typed in EDITS:
            source.write_text(EDITS[typed])
        lines.append(Line(PROMPT, typed, 0))
        start = time.monotonic()
        python.stdin.write(f"{typed}\n".encode())
        lines += [Line("", line, moment - start) for line, moment in answer(python)]
    python.stdin.close()
    python.wait()
    return lines


def answer(python: subprocess.Popen[bytes]) -> list[tuple[str, float]]:
    """The lines up to the next prompt, and when each of them was complete."""
    assert python.stdout is not None
    found, rest = [], ""
    while rest != PROMPT:
        character = python.stdout.read(1).decode()
        assert character, "Python has ended"
        if character == "\n":
            found.append((rest, time.monotonic()))
            rest = ""
        else:
            rest += character
    return found


WIDTH, HEIGHT, CHARACTER, MARGIN = 560, 22, 9.0, 24
#: Seconds.
TYPING, PAUSE, END = 0.03, 0.35, 5.0

STYLE = """\
text { font: 15px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee9;
  white-space: pre; animation-duration: %.2fs; animation-iteration-count: infinite; }
.prompt { fill: #7fd1b9; } .message { fill: #f2c572; } .comment { fill: #93a1b5; }
@media (prefers-reduced-motion: reduce) { text { animation: none !important; } }
"""


def draw(lines: list[Line]) -> str:
    """An SVG that shows the lines one after the other, for ever."""
    now, shown = 0.5, []
    for line in lines:
        if line.prompt:
            now += PAUSE
            shown.append((line, now, now + TYPING * len(line.text)))
            now += TYPING * len(line.text)
            typed = now
        else:
            now = max(now, typed + line.after)
            shown.append((line, now, now))
    total = now + END
    style, texts = [STYLE % total], []
    for index, (line, start, end) in enumerate(shown):
        first, last = (100 * moment / total for moment in (start, end))
        y = 40 + HEIGHT * (index + 1)
        appear = f"from {{ visibility: hidden; }} {first:.2f}% {{ visibility: visible; }}"
        style.append(f"@keyframes s{index} {{ {appear} }} .s{index} {{ animation: s{index} step-end; }}")
        if line.prompt:
            texts.append(text(MARGIN, y, line.prompt.strip(), f"prompt s{index}"))
            hidden = "clip-path: inset(-9px 100% -9px 0);"
            steps = f"animation-timing-function: steps({len(line.text)});"
            style.append(
                f"@keyframes t{index} {{ from {{ {hidden} }} {first:.2f}% {{ {hidden} {steps} }} "
                f"{last:.2f}%, to {{ clip-path: inset(-9px -9px -9px 0); }} }} "
                f".t{index} {{ animation-name: t{index}; }}"
            )
            kind = "comment " if line.text.startswith("#") else ""
            texts.append(text(MARGIN + CHARACTER * len(line.prompt), y, line.text, f"{kind}t{index}"))
        else:
            kind = "message " if line.text.startswith("rustimport: ") else ""
            texts.append(text(MARGIN, y, line.text, f"{kind}s{index}"))
    height = 40 + HEIGHT * (len(shown) + 1) + 8
    css = "\n".join(style).replace("step-end;", f"{total:.2f}s step-end infinite;")
    dots = "".join(f'<circle cx="{24 + 20 * n}" cy="22" r="6" fill="#4c566a"/>' for n in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        "<title>A Rust file is imported, compiled, edited and imported again</title>\n"
        f"<style>\n{css}\n</style>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#1f2530"/>{dots}\n' + "\n".join(texts) + "\n</svg>\n"
    )


def text(x: float, y: float, content: str, classes: str) -> str:
    # Without a length, characters would be as wide as those of the reader's font.
    length = f' textLength="{CHARACTER * len(content):g}"' if content else ""
    return f'<text x="{x:g}" y="{y}"{length} class="{classes}" xml:space="preserve">{escape(content)}</text>'


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        env = {**os.environ, "RUSTIMPORT_CACHE_DIR": f"{name}/cache"}
        for title in ("rehearsal", "recording"):
            folder = Path(name, title)
            folder.mkdir()
            lines = record(folder, env)
            # The next one is a first build again.
            for kept in Path(name, "cache").glob("v1/*/entries"):
                shutil.rmtree(kept)
            for kept in Path(name, "cache").glob("v1/*/store"):
                shutil.rmtree(kept)
    SVG.write_text(draw(lines))
    print(f"wrote {SVG}")


if __name__ == "__main__":
    main()
