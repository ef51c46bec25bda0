"""Writes the chart of `docs/concepts/performance.md` and the table of `docs/index.md` from the last `make bench`.

python benches/bench.py others && python benches/figures.py
"""

from __future__ import annotations

import json
import math
import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "target" / "bench.json"
CHART = ROOT / "docs" / "concepts" / "performance.svg"
PAGE = ROOT / "docs" / "index.md"

TOOLS = {
    "ours": "rustimport 2",
    "ri": "rustimport 1.7 (mityax)",
    "mih": "maturin-import-hook 0.3",
    "pyx": "Cython 3.2, pyximport",
    "skb": "scikit-build-core 0.11, C",
}
ROWS = {
    "a fresh import": "A fresh import",
    "an import after an edit": "An import after an edit",
    "an import after an undo": "An import after an undo",
}

LEFT, WIDTH, RIGHT, LINE = 210, 560, 70, 22
STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #d8dee9; }
.title { font-weight: bold; font-size: 14px; } .note { fill: #93a1b5; font-size: 12px; }
rect.bar { fill: #5b6b85; } rect.ours { fill: #7fd1b9; }
"""


def shown(seconds: float) -> str:
    """Two digits."""
    unit, factor = ("ms", 1000) if seconds < 1 else ("s", 1)
    value = seconds * factor
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:.{digits}f} {unit}"


def chart(results: dict[str, dict[str, float]]) -> str:
    """Bars for each row, on a logarithmic scale from 0.1 ms to a minute."""
    first, last = math.log10(1e-4), math.log10(60)
    y, parts = 30, []
    for row, title in ROWS.items():
        parts.append(f'<text class="title" x="20" y="{y}">{title}</text>')
        for who, name in TOOLS.items():
            y += LINE
            seconds = results[row][who]
            length = (WIDTH - LEFT - RIGHT) * (math.log10(seconds) - first) / (last - first)
            kind = "bar ours" if who == "ours" else "bar"
            parts.append(f'<text x="20" y="{y}">{escape(name)}</text>')
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y - 12}" width="{length:.1f}" height="14" rx="2"/>')
            parts.append(f'<text x="{LEFT + length + 8:.1f}" y="{y}">{shown(seconds)}</text>')
        y += 2 * LINE
    parts.append(f'<text class="note" x="20" y="{y - 12}">The scale is logarithmic. Shorter is better.</text>')
    height = y + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f"<title>How long imports take</title>\n<style>\n{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#1f2530"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def table(results: dict[str, dict[str, float]]) -> str:
    """The same figures, in Markdown."""
    lines = [f"| | {' | '.join(title.lower() for title in ROWS.values())} |", f"| --- |{' ---: |' * len(ROWS)}"]
    for who, name in TOOLS.items():
        cells = [shown(results[row][who]) for row in ROWS]
        if who == "ours":
            name, cells = f"**{name}**", [f"**{cell}**" for cell in cells]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    results = json.loads(RESULTS.read_text())
    CHART.write_text(chart(results))
    begin, end = "<!-- comparison: written by `python benches/figures.py` -->\n", "<!-- end -->"
    page = PAGE.read_text()
    PAGE.write_text(re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table(results)}\n{end}", page, flags=re.S))


if __name__ == "__main__":
    main()
