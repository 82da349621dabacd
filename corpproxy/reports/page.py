"""
A report as a page: one file with its own style and its plots, which asks for nothing from elsewhere.

Beside each plot stand its numbers.  The page says by itself (Content-Security-Policy) that nothing in it may
run or be fetched, so that a name somebody chose cannot do either.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from collections.abc import Callable, Sequence
from datetime import datetime

from jinja2 import Environment, FunctionLoader, StrictUndefined

from corpproxy.pages.plot import Bar, Plot, Scale, counted, in_octets, plot
from corpproxy.policy.amounts import octets_text
from corpproxy.reports import words
from corpproxy.reports.figures import NO_REST, Counts, Figures, Row, Slot

# The same plot for a wide page and for a telephone, where its numbers must stay legible.
_WIDE, _NARROW = (900, 250), (360, 230)

_SLOT_WORDS = {
    "day": ("hour", "the day before"),
    "week": ("day", "the week before"),
    "month": ("day", "the month before"),
}
# Tables of which the first rows are shown, and the others together.
_TOPS = ("people", "groups", "hosts", "categories")
# How high the small bars of a trend are at most.
SPARK_HEIGHT = 12


def as_page(figures: Figures) -> str:
    """Write a report as HTML."""
    style = _packaged("style/report.css").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    environment = Environment(
        loader=FunctionLoader(_packaged),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number, octets=octets_text, person=_named(words.NOBODY), group=_named(words.NO_GROUP),
        category=_named(words.NO_CATEGORY), host=_named(words.NO_HOST), rule=_named(words.NO_RULE),
        text=_named("-"),
    )  # fmt: skip
    slot, earlier = _SLOT_WORDS[figures.period.every.value]
    made = datetime.fromtimestamp(figures.made_at, figures.period.zone)
    return environment.get_template("templates/report.html").render(
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        figures=figures,
        rests={name: figures.rests.get(name, NO_REST) for name in _TOPS},
        every=figures.period.every.value,
        slot=slot,
        earlier=earlier,
        made=f"{made:%Y-%m-%d %H:%M}",
        plots=_plots(figures.slots),
        change=words.change,
        trend=_both(figures.trend, lambda counts: counts.exchanges, lambda counts: counts.refused),
        sparks=sparks,
        share=words.share,
        width=_width,
        most=_most,
    )


def _plots(slots: Sequence[Slot]) -> list[tuple[str, str, tuple[Plot, Plot]]]:
    """What is plotted: a title, a class for its style, and the plot for wide and narrow pages."""
    return [
        (
            "Exchanges",
            "exchanges",
            _both(slots, lambda counts: counts.exchanges, lambda counts: counts.refused),
        ),
        ("Octets", "octets", _both(slots, lambda counts: counts.octets, lambda counts: 0, in_octets)),
    ]


def _both(
    slots: Sequence[Slot],
    value: Callable[[Counts], int],
    part: Callable[[Counts], int],
    scale: Scale = counted,
) -> tuple[Plot, Plot]:
    bars = [Bar(slot.name, value(slot.now), part(slot.now), value(slot.before)) for slot in slots]
    return plot(bars, *_WIDE, scale), plot(bars, *_NARROW, scale)


def sparks(trend: Sequence[int]) -> list[tuple[int, float]]:
    """The small bars of a trend: where each stands, and how high it is."""
    most = max(trend, default=0)
    return [(5 * place, SPARK_HEIGHT * value / most if most else 0.0) for place, value in enumerate(trend)]


def _width(value: int, most: int) -> str:
    """How long the bar of a row is, of a hundred."""
    return f"{100 * value / most:.1f}" if most else "0"


def _most(rows: Sequence[Row]) -> int:
    return max((row.now.exchanges for row in rows), default=0)


def _named(nameless: str) -> Callable[[str], str]:
    return lambda name: words.shown(name, nameless)


def _packaged(name: str) -> str:
    octets = pkgutil.get_data("corpproxy.reports", name)
    if octets is None:
        raise LookupError(f"{name} is missing in the installed package corpproxy.reports; install it again")
    return octets.decode("utf-8")
