"""Exceptions and staged rules: periods can be read, ends are written, rules may be gone past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpproxy.config.build_rules import Rules
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import Path
from corpproxy.config.schema.rules import ExceptionTable, RuleTable
from corpproxy.policy.exceptions import ALL_RULES
from corpproxy.policy.model import Effect


def check(examined: Examined) -> None:
    """Say what is wrong with exceptions, and with the stages of rules."""
    _periods(examined)
    _zone(examined)
    _names(examined)
    for number, rule in enumerate(examined.model.rules):
        _stage(examined, number, rule)
    for number, exception in enumerate(examined.model.exceptions):
        _exception(examined, number, exception)
        _past(examined, number, exception)


def _each(examined: Examined) -> Iterator[tuple[Path, RuleTable | ExceptionTable]]:
    """Whatever may begin and end."""
    for table, entries in _tables(examined):
        for number, entry in enumerate(entries):
            yield (table, number), entry


def _tables(examined: Examined) -> list[tuple[str, Sequence[RuleTable | ExceptionTable]]]:
    return [("rules", examined.model.rules), ("exceptions", examined.model.exceptions)]


def _periods(examined: Examined) -> None:
    """Times that are none, and ends that come first."""
    rules = Rules(examined.model, examined.shaped.root, examined.attached)
    for path, entry in _each(examined):
        times: dict[str, float] = {}
        for key, read in (("from", rules.start), ("until", rules.end)):
            try:
                times[key] = read(entry)
            except ValueError as error:
                examined.say((*path, key), "bad-time", str(error))
        if len(times) == 2 and times["until"] <= times["from"]:
            said = f"'{entry.name}' ends before it begins; nothing is left of it"
            examined.say((*path, "until"), "ends-first", said)


def _zone(examined: Examined) -> None:
    """Times of day with nothing that says where; calendars have said so themselves."""
    model = examined.model
    if model.time_zone is not None or model.calendars:
        return
    for path, entry in _each(examined):
        for key, written in (("from", entry.from_), ("until", entry.until)):
            if written is not None:
                said = f"'{key}' is read as UTC; write 'time_zone: Europe/London', or where you are"
                examined.say((*path, key), "no-time-zone", said, "warning")
                return


def _names(examined: Examined) -> None:
    """A record names what decided, which may be a rule or an exception."""
    known = {rule.name: ("rules", number) for number, rule in reversed(list(enumerate(examined.model.rules)))}
    for number, exception in enumerate(examined.model.exceptions):
        if exception.name in known:
            table, first = known[exception.name]
            kind = "a rule" if table == "rules" else "an exception"
            place = examined.place((table, first, "name"))
            said = (
                f"{kind} '{exception.name}' stands at {place} already; names in records must tell them apart"
            )
            examined.say(("exceptions", number, "name"), "duplicate-exception", said)
        known.setdefault(exception.name, ("exceptions", number))


def _stage(examined: Examined, number: int, rule: RuleTable) -> None:
    if rule.canary is not None and rule.mode == "shadow":
        said = f"rule '{rule.name}' is in shadow for everybody, so that 'canary' does nothing; take one out"
        examined.say_of_key(("rules", number, "canary"), "needless-field", said)
    if not rule.exceptions and rule.do is Effect.ALLOW:
        said = f"rule '{rule.name}' refuses nothing, so that 'exceptions' does nothing; leave it out"
        examined.say_of_key(("rules", number, "exceptions"), "needless-field", said)


def _exception(examined: Examined, number: int, exception: ExceptionTable) -> None:
    path: Path = ("exceptions", number)
    if exception.who is None and exception.what is None and not examined.shaped.is_damaged(path):
        said = f"exception '{exception.name}' is for everybody and everything; write 'who:', 'what:' or both"
        examined.say(path, "exception-for-all", said)
    if exception.until is None and not exception.permanent and not examined.shaped.is_damaged(path):
        said = (
            f"exception '{exception.name}' has no end; write 'until: 2026-12-18', "
            "or 'permanent: yes' if it must not end"
        )
        examined.say(path, "exception-without-end", said)
    if exception.until is not None and exception.permanent:
        said = f"exception '{exception.name}' has an end, so that it is not permanent; take one out"
        examined.say_of_key((*path, "permanent"), "needless-field", said)


def _past(examined: Examined, number: int, exception: ExceptionTable) -> None:
    """What an exception goes past: rules that exist, refuse, and let it."""
    rules = {rule.name: rule for rule in examined.model.rules}
    known = examined.shaped.is_damaged(("rules",))
    for index, name in enumerate(exception.past):
        path: Path = ("exceptions", number, "past", index)
        rule = rules.get(name)
        if name == ALL_RULES:
            continue
        if rule is None:
            if not known:
                said = f"there is no rule '{name}'{did_you_mean(name, [*rules, ALL_RULES])}"
                examined.say(path, "unknown-rule", said)
        elif rule.do is Effect.ALLOW:
            said = f"rule '{name}' allows, so that there is nothing to go past; name a rule that refuses"
            examined.say(path, "nothing-to-pass", said)
        elif not rule.exceptions:
            said = f"rule '{name}' has 'exceptions: no': nothing may go past it"
            examined.say(path, "no-exceptions", said)
