"""
What a client can read: the language (RFC 9110, section 12.5.4) and the media type (section 12.5.1).

Both fields are hints from strangers: they are read up to a bound, what is no member of a list is
passed over, and without anything usable there is English, and plain text.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_LANGUAGE = "en"
# The catalogues there are, in the order that settles a tie.
LANGUAGES = ("en", "fr", "de")

# A browser set to ten languages sends some 80 octets.
MAX_FIELD_OCTETS = 1024
MAX_MEMBERS = 32
# Browsers of one site send a few dozen different pairs of fields.
MAX_REMEMBERED = 1024

_MEMBER = re.compile(
    rb"\s*(?P<token>[!#$%&'*+.^_`|~0-9A-Za-z/-]+)(?P<parameters>(?:\s*;[^;,]*)*)\s*\Z"
)  # fmt: skip
_WEIGHT = re.compile(rb";\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?=;|\Z)", re.IGNORECASE)


class Media(enum.StrEnum):
    """The forms a page has; the values are media types."""

    HTML = "text/html"
    JSON = "application/json"
    TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a page is for: a language that there is a catalogue of, and a form."""

    language: str = DEFAULT_LANGUAGE
    media: Media = Media.TEXT


NOBODY = Audience()


@lru_cache(maxsize=MAX_REMEMBERED)
def audience(accept: bytes | None, accept_language: bytes | None) -> Audience:
    """Give the audience behind the two fields, each None when it was not sent."""
    return Audience(chosen_language(accept_language), chosen_media(accept))


def chosen_language(accept_language: bytes | None) -> str:
    """
    Choose a catalogue: the language with the highest weight of those there are.

    ``de-AT`` is served by ``de`` (RFC 4647, section 3.4).  A ``*`` brings the default, unless that was
    ruled out with a weight of 0.
    """
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for token, weight in weighted(accept_language or b""):
        language = DEFAULT_LANGUAGE if token == "*" else token.partition("-")[0]
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def chosen_media(accept: bytes | None) -> Media:
    """
    Choose a form: HTML and JSON only for who names them, plain text for everybody else.

    A program that takes anything (``*/*``, or no field at all) is no browser window: curl, an updater,
    an image that was blocked.  A short text serves it better than a page.
    """
    weights = {token: weight for token, weight in reversed(weighted(accept or b"")) if weight > 0}
    # Browsers name XHTML and HTML with the same weight; the order here settles other ties.
    named = [media for media in Media if media.value in weights]
    return max(named, key=lambda media: weights[media.value], default=Media.TEXT)


def weighted(value: bytes) -> list[tuple[str, float]]:
    """Give the members of such a field, in lower case and in their order, with their weights."""
    members = (_MEMBER.match(member) for member in value[:MAX_FIELD_OCTETS].split(b",")[:MAX_MEMBERS])
    return [
        (found["token"].decode("ascii").lower(), _weight(found["parameters"])) for found in members if found
    ]


def _weight(parameters: bytes) -> float:
    """Read a weight (section 12.4.2): 1 when there is none, 0 when there is one that cannot be read."""
    if b"q" not in parameters.lower():
        return 1.0
    found = _WEIGHT.search(parameters)
    if found is not None:
        return float(found[1])
    return 0.0 if re.search(rb";\s*q\s*=", parameters, re.IGNORECASE) else 1.0
