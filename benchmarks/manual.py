"""The table and the picture in the manual: the table stands between two marks of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot, table
from benchmarks.figures import Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "performance.rst"
PICTURE = PAGE.with_suffix(".svg")
BEGINS, ENDS = ".. the table begins", ".. the table ends"


FIGURE = (
    f".. figure:: {PICTURE.name}",
    "   :alt: How many times better than Squid each proxy is; the table below has the numbers.",
    "",
    "   How many times better than Squid: a rate by its processor time, anything else by the figure itself.",
)


def put(page: str, section: str) -> str:
    """A page with what stands between its marks replaced.  Raises ValueError when a mark is missing."""
    before, begins, rest = page.partition(BEGINS)
    _old, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"the marks '{BEGINS}' and '{ENDS}' are not on the page")
    return f"{before}{BEGINS}\n\n{section.strip()}\n\n{ENDS}{after}"


def section(kept: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """What a run says of itself: where and when it was, and its table."""
    machine, options = kept["machine"], kept["options"]
    told = (
        f"Measured {kept['at'][:10]} on {machine['cpu']}, {machine['memory']}, Linux {machine['kernel']}.",
        f"Runs of {options['secs']} s, the median of {options['runs']}.",
        f"Latencies were taken at {kept['pace']:,.0f} requests a second.",
        # Names are theirs: some hold words that are not ours.
        *(f"``{version}``." for version in kept["versions"].values()),
        *kept["notes"],
    )
    return "\n".join([*told, "", *FIGURE, "", table.manual(rows)])


def write(kept: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Put a run into the manual."""
    PICTURE.write_text(plot.picture(rows))
    PAGE.write_text(put(PAGE.read_text(), section(kept, rows)))
    print(PAGE)
