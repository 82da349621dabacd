"""
Credentials that were checked before, known again: what is asked for nearly every exchange.

What was decided about an exchange holds for the next one like it only while the same person stands behind
the same credentials (`corpproxy.exchange.known`).  So that is asked each time, of whoever knows it now: a
password that was changed, a person who is gone, other groups, another policy count from that moment on.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.identity.model import Identity

if TYPE_CHECKING:
    from corpproxy.backends.people.reception import Reception

# The source of identities that were proven by a password.
BASIC = "basic"


def again_in_python(reception: Reception, digest: bytes, now: float) -> Identity | None:
    """Give who stands behind credentials that were checked before; ``native/recognition.c`` is its twin."""
    sign_in = reception._sign_in
    return sign_in.again(digest, now) if sign_in is not None else None


class RecognitionInPython:
    """Says later who sent credentials: it holds a digest of them, and not their value."""

    __slots__ = ("_digest", "_reception")

    def __init__(self, reception: Reception, digest: bytes) -> None:
        self._reception = reception
        self._digest = digest

    def __call__(self, now: float) -> Identity | None:
        return again_in_python(self._reception, self._digest, now)


Recognition: Callable[[Reception, bytes], Callable[[float], Identity | None]] = (
    RecognitionInPython if twins.ahead is None else twins.ahead.Recognition
)


def set_twins(classes: dict[str, type]) -> None:
    """Tell the compiled twin which classes there are."""
    if twins.ahead is not None:
        tell_twin(twins.ahead, classes)


def tell_twin(twin: ModuleType, classes: dict[str, type]) -> None:
    """Tell a compiled twin which classes there are, and what recalls in Python."""
    twin.set_recognition(classes, again_in_python, BASIC)
