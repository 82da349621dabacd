"""Counted: so many of something, in words that are right for one of it, too."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something, "1 row" or "1,200 rows"; ``many`` is for what does not end with an s then."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
