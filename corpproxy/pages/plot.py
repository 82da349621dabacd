"""Plots as SVG: bars over time, drawn with classes alone, so that the style of a page colours them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

# Room for the numbers at the left, the names below, and the highest number above.
_LEFT, _BELOW, _ABOVE = 64, 26, 14
_LINES = 4
# How wide a letter of a name is, about.
_LETTER = 7


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: ``value`` of which ``part`` is drawn apart, and a mark where it was in the period before."""

    name: str
    value: int
    part: int
    before: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle or a line of a plot, placed."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Text:
    """A number or a name in a plot; ``anchor`` says which end of it stands at ``x``."""

    text: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn plot, in units of its own ``width`` and ``height``."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    texts: tuple[Text, ...]


# Gives for the highest number how high the plot is, and how the numbers at its side are written.
Scale = Callable[[int], tuple[int, Callable[[int], str]]]


def counted(highest: int) -> tuple[int, Callable[[int], str]]:
    """The scale of numbers of things."""
    return _nice(highest), short


def in_octets(highest: int) -> tuple[int, Callable[[int], str]]:
    """The scale of octets: all numbers at the side are in one unit."""
    name, unit = next(((name, unit) for name, unit in _UNITS if highest >= unit), ("B", 1))
    top = ceil(_nice_steps(highest / unit) * unit) if highest > _LINES else _LINES

    def written(octets: int) -> str:
        amount = octets / unit
        return f"{amount:.0f} {name}" if amount >= 100 else f"{amount:.3g} {name}" if octets else "0"

    return top, written


def plot(bars: Sequence[Bar], width: int, height: int, scale: Scale = counted) -> Plot:
    """Draw bars; of the names below them as many are written as there is room for."""
    top, written = scale(max((max(bar.value, bar.before) for bar in bars), default=0))
    room = height - _ABOVE - _BELOW
    ground = height - _BELOW
    shapes, texts = [], []
    for line in range(_LINES + 1):
        y = ground - room * line / _LINES
        shapes.append(Shape("line", _LEFT, y, width - _LEFT, 0))
        texts.append(Text(written(top * line // _LINES), _LEFT - 6, y + 4, "end"))
    step = (width - _LEFT) / max(1, len(bars))
    gap = min(step * 0.25, 8)
    longest = max((len(bar.name) for bar in bars), default=0)
    every = ceil((longest * _LETTER + 8) / step)
    for place, bar in enumerate(bars):
        x = _LEFT + place * step + gap / 2
        whole = room * bar.value / top
        part = room * min(bar.part, bar.value) / top
        shapes.append(Shape("bar", x, ground - whole, step - gap, whole - part))
        shapes.append(Shape("part", x, ground - part, step - gap, part))
        if bar.before:
            y = ground - room * bar.before / top
            shapes.append(Shape("before", x - gap / 4, y, step - gap / 2, 0))
        if place % every == 0:
            texts.append(Text(bar.name, x + (step - gap) / 2, height - 8, "middle"))
    return Plot(width, height, tuple(shapes), tuple(texts))


def short(number: int) -> str:
    """A number for the side of a plot: 1500 is 1.5k."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def _nice(highest: int) -> int:
    """The next number that divides well into the lines of a plot."""
    if highest <= _LINES:
        return _LINES
    size = 10 ** floor(log10(highest))
    for steps in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10):
        if highest <= steps * size and steps * size % _LINES == 0:
            return int(steps * size)
    return ceil(highest / _LINES) * _LINES


def _nice_steps(highest: float) -> float:
    """The next number that is written shortly, and its quarters, too."""
    size = 10.0 ** floor(log10(highest))
    return float(next(steps * size for steps in (1, 1.2, 1.6, 2, 4, 6, 8, 10) if highest <= steps * size))


_UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
