"""Where a run of the bench leaves its figures, and the table that README has of them.

`python -m tests.bench.results` writes that of all runs in bench-results/peers.jsonl into README.md, between its marks.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "bench-results"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
HEAD = "Real work takes that much more CPU time, least of all rounds, each tracer in every round:"
ALONE = "alone"


def keep(name: str, text: str, *, more: bool = False) -> None:
    """A file of this run, or `more` of a file that all runs have."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / name).open("a" if more else "w", encoding="utf-8") as file:
        file.write(text)


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: the CPU time that each tracer adds to each work; of several runs the median, and the least and most."""
    first = runs[-1]
    heads = [name for name in next(iter(first["taken"].values())) if name != ALONE]
    lines = [f"| CPU time of | alone | {' | '.join(heads)} |", f"| --- |{' --- |' * (len(heads) + 1)}"]
    for work, taken in first["taken"].items():
        cells = [_added([each["taken"].get(work, {}) for each in runs], head) for head in heads]
        lines.append(f"| {work} | {taken[ALONE][1]:.2f} s | {' | '.join(cells)} |")
    missing = f" Not measured: {'; '.join(first['missing'])}." if first["missing"] else ""
    return "\n".join([*lines, "", f"{first['machine']}; {len(runs)} run{'s' * (len(runs) > 1)}.{missing}", ""])


def _added(taken: list[dict[str, Any]], tracer: str) -> str:
    found = [100 * (each[tracer][1] / each[ALONE][1] - 1) for each in taken if tracer in each]
    if not found:
        return "?"
    spread = f" ({min(found):+,.0f} to {max(found):+,.0f})" if len(found) > 1 else ""
    return f"{statistics.median(found):+,.0f} %{spread}"


def main() -> None:
    """Put the table into README.md."""
    runs = [json.loads(line) for line in (FOLDER / "peers.jsonl").read_text(encoding="utf-8").splitlines()]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = f"{BEGIN}\n{HEAD}\n\n{table(runs)}{END}"
    readme.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: new, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
