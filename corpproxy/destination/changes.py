"""What one version of a list says and another does not."""

from __future__ import annotations

from collections.abc import Iterator

from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.keys import key_text


def new_entries(index: CategoryIndex | None, other: CategoryIndex | None) -> Iterator[tuple[str, str]]:
    """
    Yield category and text of each entry that an index has and the other has not; None is an empty list.

    Other names of a category are left out.  Expressions stand between slashes.
    """
    if index is None:
        return
    aliases = index.aliases
    for key, categories in index.keys_below():
        listed = other.categories_of_key(key) if other is not None else ()
        for category in categories:
            if category not in listed and category not in aliases:
                yield category, key_text(key)
    known = set(_expressions(other)) if other is not None else set()
    yield from (
        (category, f"/{text}/")
        for category, text in _expressions(index)
        if (category, text) not in known and category not in aliases
    )


def _expressions(index: CategoryIndex) -> Iterator[tuple[str, str]]:
    for report in index.meta.lists:
        yield from index.expressions_of(report.name)
