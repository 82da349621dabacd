"""Rules that can match, and an answer for everything."""

from __future__ import annotations

from corpproxy.config.build_rules import Rules
from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path, Scalar, Sequence, Table, node_at
from corpproxy.config.schema.conditions import WhatTable
from corpproxy.config.schema.rules import RuleTable
from corpproxy.policy.conditions import UrlPrefix
from corpproxy.policy.decide import Policy
from corpproxy.policy.lint import lint
from corpproxy.policy.model import Effect

# A thousand rules are checked in a quarter of a second; a site that has more of them has written hosts as
# rules, which belong in a category.
MAX_RULES = 2_000


def check(examined: Examined) -> None:
    """Say which rules cannot match, contradict themselves or are missing."""
    if len(examined.model.rules) > MAX_RULES:
        said = (
            f"{len(examined.model.rules)} rules are too many ({MAX_RULES} at most); put hosts in a category"
        )
        examined.say(("rules", MAX_RULES), "too-many-rules", said)
        return
    _duplicates(examined)
    _empty_conditions(examined)
    _order(examined)
    for number, rule in enumerate(examined.model.rules):
        _effect(examined, number, rule)
        _tunnels(examined, number, rule)


def _duplicates(examined: Examined) -> None:
    first: dict[str, int] = {}
    for number, rule in enumerate(examined.model.rules):
        if rule.name in first:
            place = examined.place(("rules", first[rule.name], "name"))
            said = f"a rule '{rule.name}' stands at {place} already; names in records must tell rules apart"
            examined.say(("rules", number, "name"), "duplicate-rule", said)
        first.setdefault(rule.name, number)


def _empty_conditions(examined: Examined) -> None:
    """An empty list or table would ask nothing, and so match everybody where nobody was meant."""
    for path, _ in each_part(examined):
        node = node_at(examined.shaped.root, path)
        fields = node.fields if isinstance(node, Table) else {}
        for key, value in fields.items():
            whole = not examined.shaped.is_damaged((*path, key))
            if isinstance(value, Sequence) and not value.items and whole:
                said = f"'{key}' is an empty list, which asks for nothing; name something, or leave it out"
                examined.say((*path, key), "empty-condition", said)
        if _is_inner(path) and not fields and not examined.shaped.is_damaged(path):
            said = (
                f"this asks for nothing, and so {_meaning_of_nothing(path)}; name something, or leave it out"
            )
            examined.say(path, "empty-condition", said)


def _is_inner(path: Path) -> bool:
    """Whether a *who* or *what* stands in another one."""
    return path[-1] == "not" or path[-2] in ("all", "any")


def _meaning_of_nothing(path: Path) -> str:
    return "nothing is left" if path[-1] == "not" else "everything matches"


def _order(examined: Examined) -> None:
    """What can be said of the order of rules: of those that could be read whole."""
    model, shaped = examined.model, examined.shaped
    sound = [number for number in range(len(model.rules)) if not shaped.is_damaged(("rules", number))]
    rules = Rules(model, shaped.root, examined.attached)
    written = [rule for n in sound if (rule := rules.rule(n))]
    found = lint(Policy(written, networks=rules.networks, exceptions=rules.exceptions()))
    is_end_known = bool(sound) and sound[-1] == len(model.rules) - 1 and not shaped.is_damaged(("rules",))
    examined.problems += [one for one in found if one.code != "no-last-rule" or is_end_known]
    if not model.rules and not shaped.is_damaged(("rules",)):
        said = (
            "there are no rules; the last one must have no conditions, as {name: everything else, do: block}"
        )
        examined.say(("rules",), "no-last-rule", said)


def _effect(examined: Examined, number: int, rule: RuleTable) -> None:
    if rule.do is Effect.REDIRECT and rule.to is None:
        said = f"rule '{rule.name}' redirects, but does not say where; write 'to: http://...'"
        examined.say(("rules", number, "do"), "redirect-nowhere", said)
    if rule.do is not Effect.REDIRECT and rule.to is not None:
        said = f"'to' belongs to 'do: redirect', and rule '{rule.name}' has 'do: {rule.do}'"
        examined.say_of_key(("rules", number, "to"), "needless-field", said)
    if rule.do is not Effect.WARN and "life" in rule.model_fields_set:
        said = f"'for' belongs to 'do: warn', and rule '{rule.name}' has 'do: {rule.do}'"
        examined.say_of_key(("rules", number, "for"), "needless-field", said)
    if rule.do is Effect.BLOCK and rule.safety is not None:
        said = f"'safety' says what a rule lets through, and rule '{rule.name}' blocks"
        examined.say_of_key(("rules", number, "safety"), "needless-field", said)


def _tunnels(examined: Examined, number: int, rule: RuleTable) -> None:
    """What a rule asks of https, of which the proxy sees host and port only."""
    what = rule.what
    if what is None:
        return
    only_tunnels = what.scheme == ["https"] or what.method == ["CONNECT"]
    if what.scheme == ["https"] and what.method and "CONNECT" not in what.method:
        said = (
            f"rule '{rule.name}' can never match: an https request reaches the proxy as CONNECT; "
            "leave the method out"
        )
        examined.say(("rules", number, "what", "method"), "never-in-tunnel", said)
    if only_tunnels and what.url and all(url.path != "/" for url in what.url):
        said = (
            f"rule '{rule.name}' can never match: of https the proxy sees host and port, and no path; "
            "write the hosts under 'domain'"
        )
        examined.say(("rules", number, "what", "url"), "never-in-tunnel", said)
    may_be_tunnel = "https" in (what.scheme or ["https"]) and "CONNECT" in (what.method or ["CONNECT"])
    if may_be_tunnel and not only_tunnels and _are_paths_of_any_scheme(examined, number, what.url):
        said = (
            f"rule '{rule.name}' acts on plain http alone: of https the proxy sees host and port, and no "
            "path; write the hosts under 'domain' to meet https too, or http:// before them if that is meant"
        )
        examined.say(("rules", number, "what", "url"), "never-in-tunnel", said, "hint")
    path = ("rules", number, "what")
    if only_tunnels:
        _never_seen(examined, path, rule.name, what)
    else:
        _seen_in_http_only(examined, path, what)
    if only_tunnels and rule.do in (Effect.WARN, Effect.REDIRECT):
        then = "confirms it on the portal" if rule.do is Effect.WARN else "is not led anywhere"
        said = f"rule '{rule.name}' meets https only, where browsers show no page: the person {then}"
        examined.say(("rules", number, "do"), "no-page-in-tunnel", said, "hint")


def _are_paths_of_any_scheme(examined: Examined, number: int, urls: list[UrlPrefix]) -> bool:
    """Whether a rule asks for paths alone, and does not write which scheme it means."""
    node = node_at(examined.shaped.root, ("rules", number, "what", "url"))
    written = node.items if isinstance(node, Sequence) else [node]
    has_scheme = any(isinstance(one, Scalar) and "://" in one.text for one in written)
    return not has_scheme and bool(urls) and all(url.path != "/" for url in urls)


def _asked_unseen(what: WhatTable) -> list[str]:
    """What a rule asks for, but a tunnel never shows: what comes back through it, and the path."""
    asked = {"media_type": what.media_type, "size": what.size, "extension": what.extension}
    return [key for key, values in asked.items() if values]


def _never_seen(examined: Examined, path: Path, rule: str, what: WhatTable) -> None:
    """Say of a rule about tunnels alone what they never show."""
    for key in _asked_unseen(what):
        said = f"rule '{rule}' can never match: of https the proxy sees no {_UNSEEN[key]}; ask for the host"
        examined.say((*path, key), "never-in-tunnel", said)


def _seen_in_http_only(examined: Examined, path: Path, what: WhatTable) -> None:
    """Say of a rule about more than tunnels what they never show."""
    for key in _asked_unseen(what):
        said = f"'{key}' meets http only: of https the proxy sees no {_UNSEEN[key]}"
        examined.say_of_key((*path, key), "no-answer-in-tunnel", said, "hint")


_UNSEEN = {"media_type": "answers", "size": "answers", "extension": "paths"}
