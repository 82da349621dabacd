"""What an edit of the policy changed, in words: for the record of who changed what."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from corpproxy.masked import masked

# Half as fast again as the rest of a reload, where the C library is there.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

# Beyond so many changes it is another policy; `corpproxy policy diff` has it all.
MAX_CHANGES = 40
MAX_VALUE = 120

_Value = Any
_NOTHING = object()
_ORDER_MATTERS = frozenset({"rules"})
# What the entries of lists are called.
_ENTRIES = {
    "rules": "rule",
    "exceptions": "exception",
    "limits": "limit",
    "listen": "listener",
    "reports": "report",
    "tests": "test",
    "approve": "approval",
    "lists": "list",
}


def changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """
    Say what differs between two versions of a policy; ``before`` and ``after`` are the texts of its files.

    What is in several files counts as if it stood in one.  Only what is written counts, not how.  A secret
    that is part of an address is masked, so that a new one may look as the old.
    """
    found = list(_tables(_whole(before), _whole(after), ""))
    if len(found) > MAX_CHANGES:
        more = len(found) - MAX_CHANGES
        found = [*found[:MAX_CHANGES], f"and {more} more"]
    if not found and before != after:
        found = ["nothing but how it is written"]
    return found


def _whole(texts: Mapping[str, bytes]) -> dict[str, _Value]:
    whole: dict[str, _Value] = {}
    for octets in texts.values():
        try:
            read = yaml.load(octets.decode("utf-8", "replace"), _LOADER)
        except yaml.YAMLError:
            continue
        for key, value in read.items() if isinstance(read, dict) else ():
            known = whole.get(key)
            if isinstance(known, list) and isinstance(value, list):
                whole[key] = known + value
            elif isinstance(known, dict) and isinstance(value, dict):
                whole[key] = {**known, **value}
            else:
                whole[key] = value
    return whole


def _tables(before: Mapping[str, _Value], after: Mapping[str, _Value], where: str) -> Iterator[str]:
    for key in {**before, **after}:
        old, new = before.get(key, _NOTHING), after.get(key, _NOTHING)
        if old != new:
            yield from _differing(old, new, f"{where}.{key}" if where else str(key))


def _differing(old: _Value, new: _Value, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _tables(old, new, where)
    elif _has_names(old) or _has_names(new):
        yield from _entries(_named(old), _named(new), where)
    elif isinstance(old, list) and isinstance(new, list) and _is_plain(old) and _is_plain(new):
        yield f"{where}: {_listed(old, new)}"
    elif old is _NOTHING:
        yield f"{where} added: {_shown(new)}"
    elif new is _NOTHING:
        yield f"{where} removed: {_shown(old)}"
    else:
        yield f"{where}: {_shown(old)} -> {_shown(new)}"


def _entries(old: dict[str, _Value], new: dict[str, _Value], where: str) -> Iterator[str]:
    kind = _ENTRIES.get(where.rpartition(".")[2], where)
    for name in (one for one in old if one not in new):
        yield f"{kind} '{name}' removed"
    for name, entry in new.items():
        if name not in old:
            yield f"{kind} '{name}' added: {_shown(_without_name(entry))}"
        elif entry != old[name]:
            said = "; ".join(_tables(old[name], entry, ""))
            yield f"{kind} '{name}' changed: {said}"
    if where in _ORDER_MATTERS:
        yield from _moved([name for name in old if name in new], [name for name in new if name in old], kind)


def _moved(old: list[str], new: list[str], kind: str) -> Iterator[str]:
    """Which entries stand elsewhere among those that stayed: the fewest that explain the new order."""
    places = {name: place for place, name in enumerate(old)}
    stayed = _longest_in_order([places[name] for name in new])
    for place, name in enumerate(new):
        if places[name] not in stayed:
            before = f"before '{new[place + 1]}'" if place + 1 < len(new) else "to the end"
            yield f"{kind} '{name}' moved {before}"


def _longest_in_order(numbers: list[int]) -> set[int]:
    """The longest part of some numbers that grows, by patience sorting."""
    piles: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        pile = bisect_left(piles, number)
        before[number] = piles[pile - 1] if pile else None
        piles[pile : pile + 1] = [number]
    found: set[int] = set()
    last = piles[-1] if piles else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _has_names(value: _Value) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and "name" in one for one in value)
    )


def _named(value: _Value) -> dict[str, _Value]:
    if not _has_names(value):
        return {}
    found: dict[str, _Value] = {}
    for entry in value:
        name, number = str(entry["name"]), 2
        while name in found:
            name, number = f"{entry['name']} ({number})", number + 1
        found[name] = entry
    return found


def _without_name(entry: Mapping[str, _Value]) -> dict[str, _Value]:
    return {key: value for key, value in entry.items() if key != "name"}


def _is_plain(value: list[_Value]) -> bool:
    return all(isinstance(one, str) for one in value)


def _listed(old: list[str], new: list[str]) -> str:
    added = [f"+{one}" for one in new if one not in old]
    removed = [f"-{one}" for one in old if one not in new]
    return _cut(masked(" ".join(added + removed))) or "in another order"


def _shown(value: _Value) -> str:
    return _cut(masked(_written(value)))


def _written(value: _Value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inside(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_inside(one) for one in value) + "]"
    return str(value) or "nothing"


def _inside(value: _Value) -> str:
    return f"({_written(value)})" if isinstance(value, dict) else _written(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
