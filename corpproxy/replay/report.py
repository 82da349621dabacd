"""A rehearsal as people and as programs read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.counted import counted
from corpproxy.policy.partial import Doubt
from corpproxy.policy.reasons import either
from corpproxy.replay.tally import KINDS, Change, Share, Tally

# Rows of each table on a terminal; JSON has them all.
ROWS = 10
NOBODY = "(no group)"
NO_RULE = "no rule"


@dataclass(frozen=True, slots=True)
class About:
    """
    What the report is about: the policy that was rehearsed, and on which facts.

    ``are_rules_told`` says whether the records name the rule that decided.
    """

    policy: str
    version: str
    source: str
    groups: str
    lists: str
    are_rules_told: bool = True


def as_mapping(tally: Tally, about: About) -> dict[str, Any]:
    """Give a rehearsal as values that JSON has, with nothing left out."""
    return {
        "policy": about.policy,
        "version": about.version,
        "source": about.source,
        "facts": {"groups": about.groups, "lists": about.lists},
        "first": tally.first,
        "last": tally.last,
        "decided": tally.decided,
        "unchanged": tally.unchanged,
        "changed": tally.changed,
        "undecidable": {
            "exchanges": tally.undecidable,
            "by": [
                {"rule": doubt.rule, "fact": doubt.fact, **_counts(share)}
                for doubt, share in _sorted(tally.doubts)
            ],
        },
        "people_in_no_group": sorted(tally.ungrouped),
        "odd_lines": tally.odd_lines,
        "passed_over": dict(tally.passed_over.most_common()),
        "by_other_rule": [_rule_mapping(rules, share) for rules, share in _sorted(tally.by_other_rule)],
        "safe_search": {
            "by": [
                {"before": hosts[0], "after": hosts[1], **_counts(share)}
                for hosts, share in _sorted(tally.searches)
            ],
            "undecidable": [
                {"fact": fact, **_counts(share)} for fact, share in _sorted(tally.unknown_searches)
            ],
        },
        "changes": {kind: _change_mapping(tally.changes[kind]) for kind in KINDS if kind in tally.changes},
    }


def _change_mapping(change: Change) -> dict[str, Any]:
    return {
        **_counts(change.whole),
        "by_rule": [_rule_mapping(rules, share) for rules, share in _sorted(change.rules)],
        "by_host": [
            {
                "host": host,
                **_counts(share),
                "categories": list(change.categories[host]),
                "example": change.examples[host],
            }
            for host, share in _sorted(change.hosts)
        ],
        "by_user": [{"user": user, **_counts(share)} for user, share in _sorted(change.users)],
        "by_group": [{"group": group, **_counts(share)} for group, share in _sorted(change.groups)],
    }


def _rule_mapping(rules: tuple[str, str], share: Share) -> dict[str, Any]:
    return {"before": rules[0], "after": rules[1], **_counts(share)}


def _counts(share: Share) -> dict[str, int]:
    return {"exchanges": share.exchanges, "people": len(share.people), "hosts": len(share.hosts)}


def as_text(tally: Tally, about: About, rows: int = ROWS) -> str:
    """Give a rehearsal as lines for a terminal: what changes first, of each table the first rows."""
    return "\n".join(map(printable, _lines(tally, about, rows))) + "\n"


def _lines(tally: Tally, about: About, rows: int) -> Iterator[str]:
    yield f"{about.policy} (version {about.version}) over {about.source}"
    yield f"groups {about.groups}, categories {about.lists}"
    yield from _ungrouped(tally)
    yield ""
    if not tally.changed:
        yield "no decision changes" if tally.decided else "nothing could be decided"
        yield ""
    for kind in KINDS:
        if kind in tally.changes:
            yield from _change(kind, tally.changes[kind], rows, about)
            yield ""
    decided = "decided exchange is decided as it was", "decided exchanges are decided as they were"
    yield f"{_number(tally.unchanged)} of {counted(tally.decided, *decided)}"
    yield from _by_other_rule(tally, rows)
    yield from _searches(tally, rows)
    yield from _undecidable(tally, rows)
    yield from _passed_over(tally)


def _ungrouped(tally: Tally) -> Iterator[str]:
    """People in no group, for whom a policy of groups says nothing."""
    if tally.ungrouped:
        names = sorted(tally.ungrouped)
        is_one = len(names) == 1
        yield f"{counted(len(names), 'person is', 'people are')} in no group: {either(names, 'and')};"
        yield f"rules for groups do not meet {'this person' if is_one else 'them'}"


def _change(kind: str, change: Change, rows: int, about: About) -> Iterator[str]:
    yield f"{kind}: {_in_words(change.whole)}"
    yield "  by rule"
    told = _changed_rule if about.are_rules_told else _rule_after
    yield from _rows([(told(rules), share) for rules, share in _sorted(change.rules)], rows)
    yield "  by host"
    hosts = [(_host(host, change), share) for host, share in _sorted(change.hosts)]
    yield from _rows(hosts, rows, (_exchanges, _people))
    yield "  by group"
    yield from _rows([(group or NOBODY, share) for group, share in _sorted(change.groups)], rows)
    yield "  by person"
    yield from _rows(_sorted(change.users), rows, (_exchanges, _hosts))


def _changed_rule(rules: tuple[str, str]) -> str:
    before, after = rules
    return f"{_rule(after)}, before: {_rule(before)}" if before != after else _rule(after)


def _rule_after(rules: tuple[str, str]) -> str:
    return _rule(rules[1])


def _rule(name: str) -> str:
    return f"'{name}'" if name else NO_RULE


def _host(host: str, change: Change) -> str:
    categories = change.categories[host]
    return f"{host}  ({', '.join(categories)})" if categories else host


def _by_other_rule(tally: Tally, rows: int) -> Iterator[str]:
    if not tally.by_other_rule:
        return
    total = sum(share.exchanges for share in tally.by_other_rule.values())
    yield f"{counted(total, 'has', 'have')} the same effect by another rule"
    yield from _rows([(_changed_rule(rules), share) for rules, share in _sorted(tally.by_other_rule)], rows)


def _undecidable(tally: Tally, rows: int) -> Iterator[str]:
    if not tally.doubts:
        return
    yield f"{_number(tally.undecidable)} cannot be decided, because a fact was not recorded"
    yield from _rows([(_doubt(doubt), share) for doubt, share in _sorted(tally.doubts)], rows)


def _doubt(doubt: Doubt) -> str:
    return f"'{doubt.rule}' asks for {doubt.fact}"


def _searches(tally: Tally, rows: int) -> Iterator[str]:
    """Search engines that answer from another host: let through as before, and stricter or less so."""
    if tally.searches:
        total = sum(share.exchanges for share in tally.searches.values())
        yield f"{counted(total, 'goes', 'go')} to another host of a search engine (safe_search)"
        told = [(f"{after}, before: {before}", share) for (before, after), share in _sorted(tally.searches)]
        yield from _rows(told, rows)
    for fact, share in _sorted(tally.unknown_searches):
        yield f"of {_in_words(share)} of search engines it is not known: {fact}"


def _passed_over(tally: Tally) -> Iterator[str]:
    if tally.passed_over:
        kinds = ", ".join(f"{kind} {_number(count)}" for kind, count in tally.passed_over.most_common())
        yield f"{_number(sum(tally.passed_over.values()))} were decided by no rule: {kinds}"
    if tally.odd_lines:
        yield f"{counted(tally.odd_lines, 'line', 'lines')} could not be read"


def _exchanges(share: Share) -> str:
    return _number(share.exchanges)


def _people(share: Share) -> str:
    return counted(len(share.people), "person", "people")


def _hosts(share: Share) -> str:
    return counted(len(share.hosts), "host")


def _rows(
    rows: list[tuple[str, Share]],
    most: int,
    columns: Sequence[Callable[[Share], str]] = (_exchanges, _people, _hosts),
) -> Iterator[str]:
    """The first rows of a table, and how many more there are."""
    shown = [[column(share) for column in columns] for _, share in rows[:most]]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for (text, _), counts in zip(rows, shown, strict=False):
        cells = [count.rjust(width) for count, width in zip(counts, widths, strict=True)]
        yield f"    {'  '.join(cells)}  {text}"
    if len(rows) > most:
        yield f"    and {_number(len(rows) - most)} more"


def _in_words(share: Share) -> str:
    return f"{counted(share.exchanges, 'exchange')} of {_people(share)} on {_hosts(share)}"


def _number(count: int) -> str:
    return f"{count:,}"


def _sorted(shares: Mapping[Any, Share]) -> list[tuple[Any, Share]]:
    """The largest first; of equal ones in the order of their names, so that two reports can be compared."""
    return sorted(shares.items(), key=lambda item: (-item[1].exchanges, str(item[0])))
