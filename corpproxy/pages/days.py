"""The last days of a person on their own page: how much moved on each, as a plot and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from corpproxy.accounting.last_days import DayUse
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.plot import Bar, in_octets, plot
from corpproxy.pages.sheet import Chart, Row, Section
from corpproxy.policy.amounts import amount_text

# The same plot for a wide page and for a telephone, in units of one point of a screen.
_WIDE, _NARROW = (620, 200), (330, 200)


def days_section(words: Catalogue, days: Sequence[DayUse] | None) -> Section:
    """The part of the start page; without days it says that they cannot be read now."""
    if days is None:
        return Section(words.say("days.title"), (words.say("days.unknown"),))
    title = words.say("days.title")
    bars = [Bar(_short(words, one), one.octets, one.received, 0) for one in days]
    total = sum(one.octets for one in days)
    return Section(
        title,
        (words.say("days.lead", count=len(days), total=amount_text(total)),),
        chart=Chart(
            name="days",
            label=words.say("days.label"),
            key=(words.say("limits.download"), words.say("limits.upload")),
            wide=plot(bars, *_WIDE, in_octets),
            narrow=plot(bars, *_NARROW, in_octets),
            summary=words.say("days.numbers"),
            columns=tuple(words.say(f"days.{one}") for one in ("day", "to_you", "from_you", "together")),
            names=("day", "to_you", "from_you"),
            rows=tuple(_row(words, one) for one in reversed(days)),
        ),
    )


def _row(words: Catalogue, one: DayUse) -> Row:
    cells = (one.sent, one.received, one.octets)
    return Row(
        one.name,
        words.day(_date(one)),
        tuple(amount_text(octets) for octets in cells),
        (one.sent, one.received),
    )


def _short(words: Catalogue, one: DayUse) -> str:
    day = _date(one)
    return words.say("days.short", weekday=words.say(f"weekday.{day.isoweekday()}"), day=day.day)


def _date(one: DayUse) -> date:
    return date.fromisoformat(one.name)
