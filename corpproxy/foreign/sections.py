"""Sections of a policy that every import writes: lists, calendars, rules, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from corpproxy.errors import Place
from corpproxy.foreign.draft import Draft
from corpproxy.foreign.tables import NamedList
from corpproxy.foreign.times import Span
from corpproxy.foreign.yaml_text import Value, block, item, scalar

EVERYTHING: dict[str, Value] = {
    "connect_ports": [],
    "connect_to": "anything",
    "tunnel_content": "any",
    "addresses": [
        "public", "private", "loopback", "link-local", "carrier-grade", "multicast", "metadata", "reserved",
    ],
}  # fmt: skip


@dataclass(slots=True)
class Rule:
    """
    One rule as it will be written.

    ``comments`` stand above it, ``text`` is the line that it was.  Without a name it is its comments alone.
    One that is ``quiet`` goes without a word when nothing is left for it.
    """

    name: str
    table: dict[str, Value]
    allows: bool
    comments: list[str]
    sources: list[Place]
    location: str = ""
    text: str = ""
    quiet: bool = False


class Names:
    """Gives each rule a name that no other has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, wanted: str, place: Place) -> str:
        """The name, with the line behind it where another rule has it already."""
        bare = " ".join("".join(one if one.isprintable() else " " for one in wanted).split())[:80]
        name, number = bare, 1
        while name in self._taken:
            which = f", {number}" if number > 1 else ""
            name, number = f"{bare} (line {place.line}{which})", number + 1
        self._taken.add(name)
        return name


def write_head(draft: Draft, was: str, command: str, named_after: str) -> None:
    """The comment at the top: where the policy comes from, and what to do with it."""
    draft.comment(f"The policy that {was} was, written by 'corpproxy {command}'.")
    draft.add("#")
    draft.comment(
        f"Each rule has the name of {named_after}; the comment behind it tells where that stands. "
        "'corpproxy check' tells what is wrong with this file after an edit; 'corpproxy explain' shows which "
        "rule decides, and why. What has no counterpart stands at the end."
    )
    draft.blank()


def write_safety(draft: Draft, program: str) -> None:
    """What stays refused by default, lifted so that the answers are the same."""
    draft.blank()
    draft.comment(
        f"{program} refuses none of this by itself: it is lifted here for the answers to be the same. "
        "Safer: take this table away. Then tunnels go to ports 443 and 80 of names and carry TLS, and nobody "
        "reaches private networks or this machine through the proxy but where a rule says so."
    )
    draft.add("safety:", *block(EVERYTHING, 2))


def write_lists(draft: Draft, lists: Iterable[NamedList], places: Callable[[str], list[Place]]) -> None:
    """The named lists, those with many entries as files."""
    made = [one for one in lists if not one.is_category]
    if not made:
        return
    draft.blank()
    draft.add("lists:")
    for one in made:
        table: dict[str, Value] = {"of": one.key}
        table |= {"file": one.file} if one.file else {"entries": list(one.values)}
        draft.add(*block({one.name: table}, 2), sources=places(one.name))


def write_categories(
    draft: Draft,
    own: Mapping[str, Sequence[str]],
    lists: Iterable[NamedList],
    places: Callable[[str], list[Place]],
) -> None:
    """Addresses that stand in URLs, and lists that are too long for the policy to be read with each time."""
    categories = [one for one in lists if one.is_category]
    if not own and not categories:
        return
    draft.blank()
    draft.add("categories:")
    if categories:
        draft.comment("Long lists have an index of their own: 'corpproxy lists build' makes it.", 2)
        draft.add("  lists:")
        for one in categories:
            table: dict[str, Value] = {"name": one.name, "format": "names", "path": one.file}
            draft.add(*item(table, 4), sources=places(one.name))
    if own:
        draft.comment("Addresses that stand in URLs.", 2)
        draft.add("  own:")
        for name, values in own.items():
            draft.add(*block({name: list(values)}, 4), sources=places(name))


def write_calendars(
    draft: Draft, calendars: Mapping[str, Sequence[Span]], places: Callable[[str], list[Place]]
) -> None:
    """The calendars, each of its spans of days and hours."""
    if not calendars:
        return
    draft.add("calendars:")
    for name, spans in calendars.items():
        tables: list[Value] = []
        for span in spans:
            table: dict[str, Value] = {}
            if len(span.days) < 7:
                table["days"] = span.days_value()
            if not span.is_whole_day:
                table["hours"] = span.hours_text()
            tables.append(table or {"hours": "00:00-24:00"})
        made: Value = tables[0] if len(tables) == 1 else {"any": tables}
        draft.add(*block({name: made}, 2), sources=places(name))


class RuleWriter:
    """Writes rules, and knows afterwards at which lines each stands."""

    def __init__(self, draft: Draft, dropped: Mapping[str, str]) -> None:
        self._draft = draft
        self._dropped = dropped
        self.lines: list[tuple[int, int, str]] = []

    def write(self, rules: Sequence[Rule], sources_of: Callable[[Rule], list[Place]]) -> None:
        """Write the table of rules."""
        draft = self._draft
        draft.blank()
        draft.comment("The first rule that matches decides. Of https the proxy sees the host, not the path.")
        draft.add("rules:")
        kept = [rule for rule in rules if not (rule.quiet and rule.name in self._dropped)]
        for number, rule in enumerate(kept):
            if number:
                draft.blank()
            self._one(rule, sources_of(rule))

    def at(self, line: int) -> str:
        """The name of the rule that stands at a line of the policy, empty where none does."""
        return next((name for first, end, name in self.lines if first <= line < end), "")

    def _one(self, rule: Rule, sources: list[Place]) -> None:
        draft = self._draft
        for said in rule.comments:
            draft.comment(said, 2, sources=rule.sources if rule.name else sources)
        if not rule.name:
            return
        reason = self._dropped.get(rule.name, "")
        if reason:
            draft.comment(
                f"{rule.text or rule.name}: nothing is left for it, for {reason}", 2, sources=sources
            )
            return
        table: dict[str, Value] = {"name": rule.name, **rule.table}
        table["do"] = "allow" if rule.allows else "redirect" if rule.location else "block"
        if rule.location:
            table["to"] = rule.location
        first = len(draft.lines) + 1
        lines = item(table, 2)
        if rule.sources:
            lines[0] += f"  # {short(rule.sources[0])}"
        draft.add(*lines, sources=sources)
        self.lines.append((first, len(draft.lines) + 1, rule.name))


def write_left_out(draft: Draft, program: str, by_reason: Mapping[str, Sequence[tuple[Place, str]]]) -> None:
    """What has no counterpart, by reason, at the end of the file."""
    if not by_reason:
        return
    draft.blank()
    draft.comment(f"What {program} was told beside, and has no counterpart here.")
    for reason, lines in by_reason.items():
        draft.add("#")
        draft.comment(f"{reason[0].upper()}{reason[1:].rstrip(':')}:")
        for place, text in dict.fromkeys(lines):
            shown = "".join(one if one.isprintable() else " " for one in text)
            draft.add(f"#     {short(place)}  {shown}", sources=[place], is_comment=True)


def write_field(draft: Draft, name: str, value: Value, indent: int, sources: Iterable[Place] = ()) -> None:
    """One field with its value."""
    draft.add(*block({name: value}, indent), sources=sources)


def short(place: Place) -> str:
    """A place as a comment names it: the file without its folders, and the line."""
    return f"{place.file.rpartition('/')[2]}:{place.line}"


__all__ = ["Names", "Rule", "RuleWriter", "scalar", "short"]
