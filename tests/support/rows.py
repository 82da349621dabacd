"""Tables of cases: each row becomes a test method of its own, so that one bad row hides no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Case = TypeVar("_Case", bound=type)


def rows(**cases: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a test method its rows: a row's name ends the name of its method, its tuple is the arguments."""

    def attach(method: Callable[..., Any]) -> Callable[..., Any]:
        method.rows = cases  # type: ignore[attr-defined]
        return method

    return attach


def tabular(case: _Case) -> _Case:
    """Replace each method that has rows by one method a row."""
    for name, method in list(vars(case).items()):
        cases = getattr(method, "rows", None)
        if cases is None:
            continue
        delattr(case, name)
        for row, arguments in cases.items():
            setattr(case, f"{name}_{row}", _bound(method, f"{name}_{row}", arguments))
    return case


def _bound(method: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    def run(self: Any) -> Any:
        return method(self, *arguments)

    run.__name__ = name
    run.__doc__ = method.__doc__
    return run
