"""Strangers: whoever reaches a listener is somebody, or is let through to some destinations only."""

from __future__ import annotations

from ipaddress import ip_address

from corpproxy.config.checks.examined import Examined
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.rules import RuleTable
from corpproxy.identity.settings import Ask
from corpproxy.policy.model import Effect


def check(examined: Examined) -> None:
    """Say which listeners, and which exemptions from signing in, let strangers through."""
    if any(examined.shaped.is_damaged((table,)) for table in ("identity", "rules")):
        return
    identity = examined.model.identity
    can_sign_in = bool(identity.methods)
    # Where people can sign in, places that nobody need sign in for are meant: updates, the own pages.
    open_ones = [one for one in examined.model.rules if not (can_sign_in and _names_places(one.what))]
    loose = _rule_for_anyone(open_ones)
    if loose is None:
        return
    if can_sign_in and identity.ask is Ask.ALWAYS:
        _exemptions(examined, loose)
    else:
        _listeners(examined, loose)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    return ip_address(address).is_loopback


def _listeners(examined: Examined, loose: RuleTable) -> None:
    advice = f"give 'identity:' a method, listen on 127.0.0.1, or let rule '{loose.name}' name networks"
    for number, one in enumerate(examined.model.listen):
        if one.forward and not is_loopback(one.forward[0]):
            said = f"'{one.name}' can be reached from other machines and nobody has to sign in; {advice}"
            examined.say(("listen", number, "forward"), "open-to-strangers", said)


def _exemptions(examined: Examined, loose: RuleTable) -> None:
    """An exemption that is neither for somebody nor for some destinations opens what rules let anyone do."""
    reached = [one.name for one in examined.model.listen if one.forward and not is_loopback(one.forward[0])]
    for number, exemption in enumerate(examined.model.identity.exempt):
        if reached and not _names_somebody(exemption.who) and not _names_places(exemption.what):
            said = (
                f"where this holds nobody has to sign in, '{reached[0]}' can be reached from other machines, "
                f"and rule '{loose.name}' lets anybody through; name networks under 'who', or destinations"
            )
            examined.say(("identity", "exempt", number), "open-to-strangers", said)


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
