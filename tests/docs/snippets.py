"""A policy around a snippet: what it refers to and does not define itself is supplied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from corpproxy.config.load import Loaded, load_policy

FOLDER = Path("/site")
MAIN, SNIPPET, REST = FOLDER / "policy.yaml", FOLDER / "snippet.yaml", FOLDER / "rest.yaml"

_PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


_PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAlkeWgTkd2yEfL/92voYtp2/sPecQU0OyrLMJ1CDmwE8=
-----END PUBLIC KEY-----
"""


class AllThere:
    """A disk on which every file that a policy may name exists, and only texts that are given can be read."""

    def __init__(self, texts: dict[Path, str]) -> None:
        self._texts = texts

    def read(self, path: Path) -> bytes:
        if path.suffix == ".svg":
            return _PICTURE
        if path.suffix == ".pub":
            return _PUBLIC_KEY
        if path not in self._texts:
            raise FileNotFoundError(2, "No such file", str(path))
        return self._texts[path].encode()

    def exists(self, path: Path) -> bool:
        return True

    def glob(self, folder: Path, pattern: str) -> Sequence[Path]:
        return []

    def is_open_to_all(self, path: Path) -> bool:
        return False


def is_whole(text: str) -> bool:
    """Whether a snippet is a policy by itself."""
    tables = yaml.load(text, yaml.BaseLoader)
    return isinstance(tables, dict) and {"rules", "listen"} <= tables.keys()


def load_whole(text: str) -> Loaded:
    """Load a snippet that is a policy."""
    return load_policy(MAIN, AllThere({MAIN: text}))


def load_fragment(text: str) -> Loaded:
    """Load a snippet inside the smallest policy that has all it refers to."""
    tables = yaml.load(text, yaml.BaseLoader)
    if isinstance(tables, list):
        text = f"{_table_of(tables)}:\n{indent(text, '  ')}"
        tables = yaml.load(text, yaml.BaseLoader)
    main = _missing_values(tables) | {"include": [SNIPPET.name, REST.name]}
    if "include" in tables:
        main["include"], text = [*tables["include"], *main["include"]], _without_include(text)
    rest = _missing_names(tables)
    texts = {MAIN: json.dumps(main), SNIPPET: text, REST: json.dumps(rest)}
    return load_policy(MAIN, AllThere(texts))


def _table_of(items: list[dict[str, Any]]) -> str:
    """The table that a bare list belongs to."""
    keys = set().union(*items)
    return "rules" if "do" in keys else "tests" if "expect" in keys else "listen"


def _without_include(text: str) -> str:
    return re.sub(r"^include:.*$", "", text, flags=re.MULTILINE)


def _missing_values(tables: dict[str, Any]) -> dict[str, Any]:
    supplied: dict[str, Any] = {"site": "Hillside", "time_zone": "Europe/London"}
    return {key: value for key, value in supplied.items() if key not in tables}


def _missing_names(tables: dict[str, Any]) -> dict[str, Any]:
    identity = tables.get("identity") or {}
    rest: dict[str, Any] = {
        "identity": {
            "groups": {name: [] for name in set(_named(tables, "who", "group")) - _keys(identity, "groups")},
            "networks": {
                name: {"addresses": ["192.0.2.0/24"], "user": name}
                for name in set(_named(tables, "who", "network")) - _keys(identity, "networks")
                if not _is_range(name)
            },
        },
        "categories": {"own": _categories(tables)},
        "calendars": {
            name: {"days": "mon-fri", "hours": "08:30-15:30"}
            for name in set(_calendars(tables)) - _keys(tables, "calendars")
        },
        "listen": [*_listeners(tables)],
    }
    if "methods" not in identity:
        rest["identity"]["methods"] = [{"basic": {"htpasswd": "users.htpasswd"}}]
    rules = tables.get("rules") or [{"who": "somebody"}]
    if rules[-1].keys() & {"who", "what", "when"}:
        rest["rules"] = [{"name": "the last rule of the test", "do": "allow"}]
    return rest


def _keys(table: dict[str, Any], name: str) -> set[str]:
    return set(table.get(name) or ())


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _conditions(tables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from tables.get("rules") or ()
    yield from tables.get("safe_search") or ()
    yield from tables.get("limits") or ()
    yield from (tables.get("identity") or {}).get("exempt") or ()


def _named(tables: dict[str, Any], part: str, key: str) -> Iterator[str]:
    for condition in _conditions(tables):
        for inner in _with_inner(condition.get(part)):
            yield from _many(inner.get(key))


def _with_inner(part: Any) -> Iterator[dict[str, Any]]:
    """A part of conditions, and those inside it."""
    if isinstance(part, dict):
        yield part
        for key in ("all", "any", "not", "except"):
            for inner in _many(part.get(key)):
                yield from _with_inner(inner)


def _categories(tables: dict[str, Any]) -> dict[str, list[str]]:
    table = tables.get("categories") or {}
    names = {*_named(tables, "what", "category"), *_keys(table, "exceptions")}
    return {name: [f"{name.replace('_', '-')}.example"] for name in names - _keys(table, "own")}


def _calendars(tables: dict[str, Any]) -> Iterator[str]:
    for rule in (*(tables.get("rules") or ()), *(tables.get("limits") or ())):
        yield from _calendars_in(rule.get("when"))
    for calendar in (tables.get("calendars") or {}).values():
        yield from _calendars_in(calendar)


def _calendars_in(time: Any) -> Iterator[str]:
    for one in _many(time):
        if isinstance(one, str):
            yield one
        else:
            for key in ("calendar", "all", "any", "not", "except"):
                yield from _calendars_in(one.get(key))


def _listeners(tables: dict[str, Any]) -> Iterator[dict[str, str]]:
    present = {one["name"] for one in tables.get("listen") or ()}
    cases = (case.get("listener") for case in tables.get("tests") or ())
    wanted = {*_named(tables, "who", "listener"), *filter(None, cases)}
    if not any("forward" in one for one in tables.get("listen") or ()):
        wanted.add("the listener of the test")
    for number, name in enumerate(sorted(wanted - present)):
        yield {"name": name, "forward": f"127.0.0.1:{5000 + number}"}


def _is_range(name: str) -> bool:
    try:
        ip_network(name)
    except ValueError:
        return False
    return True
