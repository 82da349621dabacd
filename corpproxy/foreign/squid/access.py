"""``http_access`` and ``http_reply_access``: lines of acls that must all hold, of which the first decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpproxy.config.nearest import did_you_mean
from corpproxy.foreign.conditions import (
    ALWAYS,
    NEVER,
    AnyOf,
    Ask,
    Clause,
    Condition,
    Not,
    all_of,
    any_of,
    clauses,
    keys_in,
    negated,
    unknown_in,
)
from corpproxy.foreign.squid.acls import Acls, Value
from corpproxy.foreign.squid.lines import Line, Lines
from corpproxy.foreign.squid.meanings import Surroundings, named

# What is known of a person only once they have signed in.
_PERSONAL = frozenset({"user", "group", "anonymous"})
_NOBODY = Ask("anonymous", ("yes",))


@dataclass(frozen=True, slots=True)
class Access:
    """One line: whether it allows, and the names of its acls."""

    allows: bool
    names: tuple[Value, ...]
    line: Line


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What one line becomes: rules, or a comment that says why there are none.

    ``ask_first`` are the clauses in which Squid asks to sign in although something after that does not
    hold.  ``is_open`` says that Squid refuses what the policy lets through, or may.
    """

    access: Access
    name: str
    rules: tuple[Clause, ...] = ()
    ask_first: tuple[Clause, ...] = ()
    said: str = ""
    is_open: bool = False


def read_access(line: Line, acls: Acls, found: Lines) -> Access | None:
    """Read one line; what is wrong with it is told, an acl that is not defined before it above all."""
    if not line.words or line.words[0].text not in ("allow", "deny"):
        said = f"after '{line.name}' comes allow or deny, then the names of acls"
        found.say(line.words[0].place if line.words else line.place, "squid-access", said)
        return None
    names = tuple(Value(word.text, word.place) for word in line.words[1:])
    if not names:
        said = "there is no acl in this line; Squid passes over it, and so does this"
        found.say(line.place, "squid-access", said, "warning")
        return None
    for value in names:
        name = value.text.removeprefix("!")
        if name not in acls.by_name:
            said = f"there is no acl '{name}' before this line" + did_you_mean(name, acls.by_name)
            found.say(value.place, "squid-acl-missing", said)
            return None
    return Access(line.words[0].text == "allow", names, line)


def wanted(access: Access, around: Surroundings) -> Wanted:
    """Say in our grammar what one line asks for."""
    name = name_of(access)
    parts = [named(value, around) for value in access.names]
    known, unknown = _without_unknown(parts)
    condition = all_of(known)
    if unknown and (len(known) < len(parts) and condition != NEVER):
        return Wanted(access, name, said=f"no counterpart: {unknown}", is_open=not access.allows)
    try:
        rules = clauses(condition)
        first = _asks_first(known)
        said = "" if rules else f"this never matches here: {_why_never(access, around)}"
        return Wanted(
            access,
            name,
            tuple(rules),
            tuple(clauses(first)) if first != NEVER and _differs(first, condition) else (),
            said=f"a part has no counterpart: {unknown}" if unknown else said,
            is_open=bool(unknown) and not access.allows,
        )
    except ValueError as wrong:
        return Wanted(access, name, said=f"no counterpart: {wrong}", is_open=not access.allows)


def answer_rules(accesses: Sequence[Access], around: Surroundings) -> list[Wanted]:
    """
    What lines about answers become: rules that block, to stand before all others.

    Our rules are tried again with the answer.  So a line that allows takes away from what the
    lines after it refuse, and only those that refuse become rules.
    """
    allowed: list[Condition] = []
    made: list[Wanted] = []
    for access in accesses:
        condition = all_of(named(value, around) for value in access.names)
        unknown = unknown_in(condition)
        if unknown is not None:
            said = f"no counterpart: {unknown.reason}"
            made.append(Wanted(access, name_of(access), said=said, is_open=not access.allows))
        elif access.allows:
            allowed.append(condition)
            made.append(Wanted(access, name_of(access), said="answers that no rule refuses are let through"))
        else:
            left = all_of([condition, *(negated(one) for one in allowed)])
            made.append(_refusal(access, left))
    return made


def _refusal(access: Access, condition: Condition) -> Wanted:
    try:
        rules = tuple(clauses(condition)) if condition != NEVER else ()
    except ValueError as wrong:
        return Wanted(access, name_of(access), said=f"no counterpart: {wrong}", is_open=True)
    said = "" if rules else "what the lines before it allow leaves nothing for it"
    return Wanted(access, f"answer {name_of(access)}", rules, said=said)


def name_of(access: Access) -> str:
    """The name of a rule: the acls of its line, as they are read aloud."""
    names = [value.text for value in access.names]
    told = [one for one in names if one != "all"] or ["everything else"]
    return ", ".join(f"not {one[1:]}" if one.startswith("!") else one for one in told)


def _without_unknown(parts: Iterable[Condition]) -> tuple[list[Condition], str]:
    """
    The parts that are known, and why another is not.

    Of several alternatives the known ones stay: the line becomes narrower by that, never wider.  A part
    of which nothing is known is left out.
    """
    known: list[Condition] = []
    reason = ""
    for part in parts:
        found = unknown_in(part)
        if found is None:
            known.append(part)
            continue
        reason = reason or found.reason
        if isinstance(part, AnyOf):
            left = any_of(one for one in part.parts if unknown_in(one) is None)
            if left != NEVER:
                known.append(left)
    return known, reason


def _why_never(access: Access, around: Surroundings) -> str:
    for value in access.names:
        name = value.text.removeprefix("!")
        if named(value, around) == NEVER:
            told = around.remarks.get(name)
            if name == "manager":
                return "pages of Squid about itself are Squid's alone"
            return told[-1] if told else f"'{value.text}' holds for nothing here"
    return "its acls exclude each other"


def _asks_first(parts: Sequence[Condition]) -> Condition:
    """
    What makes Squid ask to sign in: everything before the first acl about people holds.

    The acls behind it are looked at only afterwards; in ours all conditions count at once.
    """
    for number, part in enumerate(parts):
        if keys_in(part) & _PERSONAL:
            return all_of([*parts[:number], _NOBODY])
    return NEVER


def _differs(first: Condition, whole: Condition) -> bool:
    """Whether asking to sign in reaches further than what the line itself may match."""
    return all_of([first]) != all_of([_impersonal(whole), _NOBODY])


def _impersonal(condition: Condition) -> Condition:
    """A conjunction without what it asks of people."""
    parts = condition.parts if not isinstance(condition, Ask | Not | AnyOf) else (condition,)  # type: ignore[union-attr]
    return all_of(one for one in parts if not keys_in(one) & _PERSONAL)


__all__ = ["ALWAYS", "Access", "Wanted", "answer_rules", "any_of", "name_of", "read_access", "wanted"]
