"""Listeners: there is one, each has its port to itself, and none lets strangers in."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import combinations

from corpproxy.config.checks.examined import Examined
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.listen import ListenTable
from corpproxy.config.schema.rules import RuleTable
from corpproxy.identity.settings import Ask
from corpproxy.policy.model import Effect

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
    _strangers(examined)
    for number, one in enumerate(examined.model.listen):
        if one.admin and not _is_loopback(one.admin[0]) and one.token is None:
            said = f"listener '{one.name}' can be reached from other machines; give it a 'token' file"
            examined.say(("listen", number), "admin-without-token", said)


def endpoint(listener: ListenTable) -> tuple[str, int]:
    """The address and port of a listener."""
    found = listener.forward or listener.portal or listener.admin
    assert found is not None
    return found


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback


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


def _strangers(examined: Examined) -> None:
    """Without sign-in every way through must name somebody: strangers find an open proxy within hours."""
    damaged = any(examined.shaped.is_damaged((table,)) for table in ("identity", "rules"))
    identity = examined.model.identity
    can_sign_in = bool(identity.methods)
    if damaged or (can_sign_in and identity.ask is Ask.ALWAYS):
        return
    # Where people can sign in, places that nobody need sign in for are meant: updates, the own pages.
    open_ones = [one for one in examined.model.rules if not (can_sign_in and _names_places(one.what))]
    loose = _rule_for_anyone(open_ones)
    if loose is None:
        return
    advice = f"give 'identity:' a method, listen on 127.0.0.1, or let rule '{loose.name}' name networks"
    for number, one in enumerate(examined.model.listen):
        if one.forward and not _is_loopback(one.forward[0]):
            said = f"'{one.name}' can be reached from other machines and nobody has to sign in; {advice}"
            examined.say(("listen", number, "forward"), "open-to-strangers", said)


def _rule_for_anyone(rules: list[RuleTable]) -> RuleTable | None:
    """The first rule that lets clients through of whom nothing is known."""
    for rule in rules:
        if rule.do is Effect.BLOCK:
            if rule.what is None and not rule.when and _meets_all_strangers(rule.who):
                return None
        elif not _names_somebody(rule.who):
            return rule
    return None


def _names_places(what: WhatTable | None) -> bool:
    """Whether a rule is for some destinations only."""
    if what is None:
        return False
    return (
        bool(what.category or what.domain or what.host or what.list_ or what.url or what.expression)
        or any(_names_places(one) for one in what.all_)
        or (bool(what.any_) and all(_names_places(one) for one in what.any_))
    )


def _names_somebody(who: WhoTable | None) -> bool:
    """Whether nobody fits of whom nothing is known."""
    if who is None:
        return False
    return (
        bool(who.user or who.group or who.network)
        or who.anonymous is False
        or any(_names_somebody(one) for one in who.all_)
        or (bool(who.any_) and all(_names_somebody(one) for one in who.any_))
    )


def _meets_all_strangers(who: WhoTable | None) -> bool:
    """Whether everybody fits of whom nothing is known."""
    if who is None:
        return True
    return (
        not (who.user or who.group or who.network or who.listener)
        and who.anonymous is not False
        and all(_meets_all_strangers(one) for one in who.all_)
        and (not who.any_ or any(_meets_all_strangers(one) for one in who.any_))
        and (who.not_ is None or _names_somebody(who.not_))
    )
