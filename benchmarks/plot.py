"""The picture of a run: how many times better than Squid each proxy is, workload by workload, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from benchmarks.figures import AGAINST, Row

# Pixels.
WIDTH = 860
NAMES_END = 290
BAR = 12
BETWEEN = 3
GROUP_GAP = 12
TOP = 54
RIGHT = 60

# The range of the axis, in doublings; what lies outside is cut off and its number says how much.
LEAST, MOST = -2, 5

# Told apart by people who see few colours, too.
COLOURS = ("#1f77b4", "#ff7f0e", "#7f7f7f", "#bcbd22", "#17becf", "#9467bd", "#8c564b")

_STYLE = """
text { font: 12px sans-serif; fill: #222 }
.axis { stroke: #bbb } .squid { stroke: #d62728; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #555 } }
"""


def ratio_of(row: Row) -> float | None:
    """How many times better than Squid: a rate by its processor time, anything else by the figure itself."""
    return row.cpu_ratio if row.workload.more_is_better and row.cpu_ratio is not None else row.ratio


def picture(rows: Sequence[Row]) -> str:
    """
    Draw the rows of a run that have a ratio; Squid is the line at 1.

    Bars grow from that line, to the right where a proxy is better; the axis is logarithmic.
    """
    drawn = [row for row in rows if row.peer != AGAINST and ratio_of(row) is not None]
    colours = dict(zip(dict.fromkeys(row.peer for row in drawn), COLOURS, strict=False))
    body: list[str] = []
    top = TOP
    for title, group in groupby(drawn, key=lambda row: row.workload.title):
        bars = list(group)
        middle = top + (len(bars) * (BAR + BETWEEN) - BETWEEN) / 2 + 4
        body.append(f'<text x="{NAMES_END}" y="{middle:.0f}" text-anchor="end">{escape(title)}</text>')
        for row in bars:
            body.append(_bar(row, top, colours[row.peer]))
            top += BAR + BETWEEN
        top += GROUP_GAP
    lines = [*_legend(colours), *_axis(top), *body]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 8}" role="img">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *lines, "</svg>", ""])


def _at(ratio: float) -> float:
    """Where a ratio lies on the axis."""
    doublings = min(max(math.log2(ratio), LEAST), MOST)
    return NAMES_END + 12 + (doublings - LEAST) / (MOST - LEAST) * (WIDTH - RIGHT - NAMES_END - 12)


def _bar(row: Row, top: int, colour: str) -> str:
    ratio = ratio_of(row)
    assert ratio is not None
    one, end = _at(1), _at(ratio)
    left, width = min(one, end), max(abs(end - one), 1)
    said = f"{row.peer}, {row.workload.title}: {ratio:.2f} times Squid"
    # Beside the longer end, so that no number lies on a bar.
    number = f'<text x="{max(one, end) + 4:.0f}" y="{top + BAR - 2}">{ratio:.1f}</text>'
    return (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}">'
        f"<title>{escape(said)}</title></rect>{number}"
    )


def _axis(bottom: int) -> Iterable[str]:
    for doublings in range(LEAST, MOST + 1):
        ratio = 2.0**doublings
        kind = "squid" if ratio == 1 else "axis"
        x = _at(ratio)
        yield f'<line class="{kind}" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{ratio:g}</text>'


def _legend(colours: dict[str, str]) -> Iterable[str]:
    yield f'<text x="8" y="16">times better than Squid ({AGAINST} is the red line)</text>'
    for place, (peer, colour) in enumerate(colours.items()):
        x = NAMES_END + 12 + place * 110
        yield f'<rect x="{x}" y="6" width="{BAR}" height="{BAR}" fill="{colour}"/>'
        yield f'<text x="{x + BAR + 4}" y="16">{escape(peer)}</text>'
