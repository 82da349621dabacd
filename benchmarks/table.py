"""The table of a run, as text and for the manual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.figures import Row
from benchmarks.peers.peer import Peer
from benchmarks.workloads import Kind

HEAD = ("workload", "proxy", "figure", "unit", "spread", "x Squid", "CPU each", "CPU x Squid", "seen")

UNITS = {
    Kind.RATE: "/s",
    Kind.BULK: "MB/s",
    Kind.IDLE: "octets",
    Kind.PACED: "ms",
    Kind.START: "s",
    Kind.RELOAD: "ms",
}


def number(value: float | None) -> str:
    """A figure with the digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cpu(row: Row) -> str:
    if row.cpu_each is None:
        return "-"
    return f"{row.cpu_each:.2f} s/GB" if row.workload.kind is Kind.BULK else f"{row.cpu_each:.1f} us"


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The texts of the table, its head aside."""
    made: list[tuple[str, ...]] = []
    title = ""
    for row in rows:
        shown = "" if row.workload.title == title else row.workload.title
        title = row.workload.title
        if row.figure is None:
            made.append((shown, row.peer, "-", row.fault.strip().partition("\n")[0][:60], "", "", "", "", ""))
            continue
        spread = f"{number(row.least)} .. {number(row.most)}" if row.runs > 1 else ""
        figures = (number(row.figure), UNITS[row.workload.kind], spread, _ratio(row.ratio))
        made.append((shown, row.peer, *figures, _cpu(row), _ratio(row.cpu_ratio), row.remark))
    return made


def lacking(peers: Iterable[type[Peer]]) -> list[str]:
    """For each proxy that has not all duties, a sentence that says so."""
    notes = []
    for peer in peers:
        duties = {"sign-in": peer.can_login, "a list": peer.can_list, "rules": peer.can_rule}
        missing = [duty for duty, has in duties.items() if not has]
        if missing:
            notes.append(f"{peer.name} is measured without {', '.join(missing)}.")
    return notes


def manual(rows: Sequence[Row]) -> str:
    """The table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for line in (HEAD, *cells(rows)):
        lines += [f"   {'*' if not at else ' '} - {cell}".rstrip() for at, cell in enumerate(line)]
    return "\n".join(lines)


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEAD, *cells(rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    widths[3] = min(widths[3], 8)

    def shown(line: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) if at in (0, 1, 3, 8) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()

    head, *body = map(shown, lines)
    return "\n".join([head, "-" * max(map(len, (head, *body))), *body])
