"""
Suffixes under which anybody registers names (``com``, ``co.uk``), by the list of publicsuffix.org.

Only its first section counts: the suffixes of registries.  Those of companies (``github.io``) are sites
that a list may well name.
"""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.destination.entries import IsPublicSuffix
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError

_END = "===END ICANN DOMAINS==="


def public_suffixes(lines: Iterable[str]) -> IsPublicSuffix:
    """
    Read the list's rules (``com``, ``*.ck``, ``!www.ck``) and give the question they answer.

    A single word is always a suffix: the list's default rule is ``*``.
    """
    rules: dict[str, set[str]] = {"": set(), "*": set(), "!": set()}
    for line in lines:
        if _END in line:
            break
        rule = line.split("//")[0].strip()
        if rule:
            _add(rule, rules)
    names, parents, exceptions = rules[""] | rules["*"], rules["*"], rules["!"]

    def is_public_suffix(name: str) -> bool:
        return (
            "." not in name or name in names or (name.partition(".")[2] in parents and name not in exceptions)
        )

    return is_public_suffix


def _add(rule: str, rules: dict[str, set[str]]) -> None:
    kind = rule[0] if rule[0] in "*!" else ""
    try:
        rules[kind].add(normal_host(rule.lstrip("*!.")).name)
    except ProtocolError:
        return  # a rule with a wildcard in its middle: there is none today
