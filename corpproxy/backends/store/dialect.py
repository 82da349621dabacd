"""The statements of the store, as PostgreSQL wants them."""

from __future__ import annotations

import re
from functools import lru_cache

# Texts, and the words that mean something else to PostgreSQL.
_WORDS = re.compile(
    r"('[^']*')|(\?)|(?<!:):([a-z_][a-z_0-9]*)|(%)|(?<![\w\".])(user)(?![\w\"(])|\b([a-z_]+)\.(user)\b"
)


@lru_cache(maxsize=512)
def translated(statement: str) -> str:
    """
    Give a statement of the store in the dialect of PostgreSQL and its driver.

    ``user`` is a word of the language there, and values are marked by ``%s`` and ``%(name)s``.
    """
    return _WORDS.sub(_word, statement)


def _word(found: re.Match[str]) -> str:
    text, mark, name, percent, user, table, column = found.groups()
    if text is not None:
        return str(text).replace("%", "%%")
    if mark:
        return "%s"
    if name:
        return f"%({name})s"
    if percent:
        return "%%"
    return '"user"' if user else f'{table}."{column}"'
