"""A format of the site's own: a template with the names of fields in braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from corpproxy.audit.formats.texts import spelled, url_of
from corpproxy.audit.record import Record

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

# The proof, and what one would have to be a program to read.
_LEFT_OUT = frozenset({"salts", "erased"})

FIELDS: dict[str, Callable[[Record], object]] = {
    name: (lambda record, name=name: getattr(record, name))
    for name in Record.__struct_fields__
    if name not in _LEFT_OUT
} | {"url": url_of}


class BadTemplate(ValueError):
    """A template that cannot be written by; ``unknown`` is the field that there is none of."""

    def __init__(self, said: str, unknown: str = "") -> None:
        super().__init__(said)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Template:
    """
    A template taken apart: text and fields by turns, beginning and ending with text.

    ``special`` are the characters of the text that no value may bring in.
    """

    texts: tuple[str, ...]
    fields: tuple[str, ...]
    special: str

    @classmethod
    def parse(cls, written: str) -> Template:
        """
        Take a template apart.

        :raises BadTemplate: with what is wrong.
        """
        texts, fields, at = [""], [], 0
        for piece in _PIECE.finditer(written):
            texts[-1] += written[at : piece.start()]
            at = piece.end()
            if piece[0] in ("{{", "}}"):
                texts[-1] += piece[0][0]
            elif piece[1] is None:
                raise BadTemplate(f"'{piece[0]}' stands alone; write a field as {{host}}, and a brace twice")
            else:
                fields.append(_known(piece[1]))
                texts.append("")
        texts[-1] += written[at:]
        return cls(tuple(texts), tuple(fields), _special(texts, fields))

    def line(self, record: Record) -> str:
        """Write a record; a field that says nothing is a hyphen."""
        parts = [self.texts[0]]
        for field, text in zip(self.fields, self.texts[1:], strict=True):
            parts += [self._value(FIELDS[field](record)), text]
        return "".join(parts)

    def _value(self, value: object) -> str:
        if isinstance(value, tuple):
            written = ",".join(spelled(one, f",{self.special}") for one in value)
        else:
            written = spelled("" if value is None else str(value), self.special)
        if written == "-":
            return "\\x2d"
        return written or "-"


def _known(name: str) -> str:
    if name not in FIELDS:
        raise BadTemplate(f"there is no field '{name}' in a record", name)
    return name


def _special(texts: Iterable[str], fields: list[str]) -> str:
    """What separates the fields, if something does."""
    texts = list(texts)
    if not fields:
        raise BadTemplate("it has no field; write one in braces, as {host}")
    if any(not one.isprintable() and one != "\t" for text in texts for one in text):
        raise BadTemplate("it has a character that does not print; one record is one line")
    for number, text in enumerate(texts[1:-1]):
        if all(one.isalnum() for one in text):
            first, second = fields[number : number + 2]
            raise BadTemplate(
                f"nothing separates '{first}' from '{second}', so that one could be taken for the other; "
                "write a space or a sign between them"
            )
    return "".join(sorted({one for text in texts for one in text if not one.isalnum()}))
