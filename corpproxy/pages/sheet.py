"""
What a page says, before it has a form: the same sheet becomes HTML, plain text or JSON.

All strings are plain text; escaping belongs to the form.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from corpproxy.pages.plot import Plot


class Tone(enum.StrEnum):
    """How a page speaks: it chooses colour and sign."""

    STOP = "stop"
    WARN = "warn"
    FAULT = "fault"
    KEY = "key"
    GOOD = "good"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of facts: ``name`` is its member in JSON, ``label`` what a person reads."""

    name: str
    label: str
    value: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A way on; ``name`` is its member in JSON."""

    name: str
    uri: str
    text: str


@dataclass(frozen=True, slots=True)
class Input:
    """One line that a person fills in."""

    name: str
    label: str
    kind: str = "password"
    autocomplete: str = "off"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values that a person chooses; each comes with its text, the first is chosen already."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A form that is posted to ``action``."""

    action: str
    button: str
    hidden: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Input, ...] = ()
    choices: tuple[Choice, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """
    One entry of a list, such as a past refusal; ``percent`` is drawn as a bar, where there is one.

    ``text`` says in a sentence or two what the lead says in a word.
    """

    title: str
    lead: str = ""
    text: tuple[str, ...] = ()
    quote: str = ""
    facts: tuple[Fact, ...] = ()
    links: tuple[Link, ...] = ()
    form: Form | None = None
    tone: Tone = Tone.PLAIN
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: ``name`` for programs, ``title`` for people, a cell for each column behind it."""

    name: str
    title: str
    cells: tuple[str, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A plot, drawn for a wide page and for a telephone, and the same as a table.

    ``label`` says what it shows to whoever does not see it; ``key`` names its two kinds of bars.  The
    first of the ``columns`` is that of the titles of the rows; ``names`` are what programs call them.
    """

    name: str
    label: str
    key: tuple[str, str]
    wide: Plot
    narrow: Plot
    summary: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under a heading of its own; a folded one opens at a touch."""

    title: str
    text: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    cards: tuple[Card, ...] = ()
    links: tuple[Link, ...] = ()
    form: Form | None = None
    folded: bool = False
    chart: Chart | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    What one page says.

    ``kind`` names the page in JSON, ``code`` is the symbolic name of a failure.  ``quote`` is the rule's
    own sentence.  ``small`` is for the administrator who is shown the page.  ``ask`` is the
    heading above whom to ask, empty where nobody is named, and ``subject`` that of the mail.
    """

    status: int
    kind: str
    tone: Tone
    title: str
    code: str = ""
    lead: tuple[str, ...] = ()
    quote: str = ""
    facts: tuple[Fact, ...] = ()
    form: Form | None = None
    links: tuple[Link, ...] = ()
    sections: tuple[Section, ...] = ()
    small: tuple[Fact, ...] = ()
    subject: str = ""
    ask: str = ""

    @property
    def forms(self) -> tuple[Form, ...]:
        """All forms of the page."""
        cards = (card.form for section in self.sections for card in section.cards)
        found = (self.form, *(section.form for section in self.sections), *cards)
        return tuple(form for form in found if form is not None)
