"""
How objects are born that are made for each exchange: as copies of one that their class made before.

An exchange has forty members, of which six differ from one to the next when it begins.  To write them all
takes the interpreter a microsecond; ``native/born.c`` copies those of another one in a tenth of it.  What
is right says the class, which makes the one that is copied; where nothing is compiled it makes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from corpproxy import twins

T = TypeVar("T")


def born(made_by: Callable[..., T], *given: str, fresh: tuple[str, ...] = ()) -> Callable[..., T]:
    """
    Give what makes the objects of a class with nothing but ``__slots__``.

    The class takes as many words as members are ``given``, and does nothing with them but set these; what
    is given back is called as the class is.  Of ``fresh`` members each object has one of its own, which is a
    copy too.  All others are shared, so that they must be such as never change.
    """
    if twins.born is None:
        return made_by
    return birth(made_by(*given), given, fresh)


def birth(like: T, given: tuple[str, ...], fresh: tuple[str, ...] = ()) -> Callable[..., T]:
    """Give what makes objects like one that nobody uses; only for where the compiled part is there."""
    assert twins.born is not None
    made: Callable[..., T] = twins.born.Birth(like, given, fresh)
    return made
