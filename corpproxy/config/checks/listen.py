"""Listeners: there is one, each has its port to itself, and none lets strangers in."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import combinations

from corpproxy.config.checks import strangers
from corpproxy.config.checks.examined import Examined
from corpproxy.config.schema.listen import ListenTable

# An address for each room of a large site; each takes a socket and is held against every other one.
MAX_LISTENERS = 200


def check(examined: Examined) -> None:
    """Say what is wrong with the listeners."""
    if len(examined.model.listen) > MAX_LISTENERS:
        said = f"{len(examined.model.listen)} listeners are too many ({MAX_LISTENERS} at most)"
        examined.say(("listen", MAX_LISTENERS), "too-many-listeners", said)
        return
    _present(examined)
    _names(examined)
    _ports(examined)
    strangers.check(examined)
    for number, one in enumerate(examined.model.listen):
        if one.admin and not strangers.is_loopback(one.admin[0]) and one.token is None:
            said = f"listener '{one.name}' can be reached from other machines; give it a 'token' file"
            examined.say(("listen", number), "admin-without-token", said)


def endpoint(listener: ListenTable) -> tuple[str, int]:
    """The address and port of a listener."""
    found = listener.forward or listener.portal or listener.admin
    assert found is not None
    return found


def _present(examined: Examined) -> None:
    if not any(one.forward for one in examined.model.listen) and not examined.shaped.is_damaged(("listen",)):
        said = "nothing listens as the proxy; write 'listen: [{name: proxy, forward: 127.0.0.1:3128}]'"
        examined.say(("listen",), "no-listener", said)


def _names(examined: Examined) -> None:
    seen: set[str] = set()
    for number, one in enumerate(examined.model.listen):
        if one.name in seen:
            said = f"there is a listener '{one.name}' already; rules need to tell them apart"
            examined.say(("listen", number, "name"), "duplicate-name", said)
        seen.add(one.name)


def _ports(examined: Examined) -> None:
    listeners = list(enumerate(examined.model.listen))
    for (_, first), (number, second) in combinations(listeners, 2):
        if _overlap(endpoint(first), endpoint(second)):
            purpose = next(name for name in ("forward", "portal", "admin") if getattr(second, name))
            said = f"port {endpoint(second)[1]} is taken by listener '{first.name}' already"
            examined.say(("listen", number, purpose), "port-twice", said)


def _overlap(first: tuple[str, int], second: tuple[str, int]) -> bool:
    if first[1] != second[1]:
        return False
    one, other = ip_address(first[0]), ip_address(second[0])
    if one.version != other.version:
        return False
    return one == other or one.is_unspecified or other.is_unspecified
