"""The rows as text and as docs/speed-proof.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .exceptions import reason_for
from .proof import ENOUGH, Row

DOCS = Path(__file__).resolve().parents[2] / "docs" / "speed-proof.md"
#: Where the generated part of the page begins.
MARK = "<!-- below: python -m benchmarks.mca --write-docs -->"
HEADER = (
    "case", "loop", "cycles", "bound", "of bound", "MAC/cycle", "spills", "busiest port", "note",
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One line of a table, in the order of `HEADER`."""
    compiled, (port, busy) = row.compiled, row.simulated.busiest
    return (
        compiled.case,
        compiled.form,
        f"{row.simulated.cycles:.1f}",
        f"{row.bound:.1f}",
        f"{row.efficiency:.0%}",
        f"{row.macs_per_cycle:.1f}" if compiled.macs else "–",
        str(compiled.loop.spills),
        f"{port} {busy / row.simulated.cycles:.0%}",
        reason_for(row) if falls_short(row) else "",
    )


def falls_short(row: Row) -> bool:
    return row.efficiency < ENOUGH or row.compiled.loop.spills > 0


def sections(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """By target and CPU model, in the order of the rows."""
    titles = dict.fromkeys((row.compiled.target.name, row.cpu) for row in rows)
    for target, cpu in titles:
        own = [r for r in rows if (r.compiled.target.name, r.cpu) == (target, cpu)]
        yield f"{target} on {cpu}", own


def markdown(rows: Sequence[Row]) -> str:
    """The generated part of the page."""
    lines = [MARK, ""]
    for title, own in sections(rows):
        reached = sum(not falls_short(row) for row in own)
        words = f"{reached} of {len(own)} loops reach {ENOUGH:.0%} of the bound without spills."
        lines += [f"## {title}", "", words, ""]
        lines.append("| " + " | ".join(HEADER) + " |")
        lines.append("| --- | --- |" + " ---: |" * 5 + " --- | --- |")
        lines += ["| " + " | ".join(cells(row)) + " |" for row in own]
        lines.append("")
    return "\n".join(lines)
