"""The ways through the storyboards of a configuration as rules: for everybody first, then group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from corpproxy.errors import Place
from corpproxy.foreign.conditions import (
    ALWAYS,
    NEVER,
    Ask,
    Condition,
    all_of,
    any_of,
    negated,
)
from corpproxy.foreign.e2guardian.lists import Lists
from corpproxy.foreign.e2guardian.source import Group, Source
from corpproxy.foreign.e2guardian.story import Statement, Storyboard, Test, Way

TUNNEL = Ask("method", ("CONNECT",), "CONNECT")
_NOBODY = Ask("anonymous", ("yes",))

# A host that is an address: with a number at its end.
_ADDRESS_IN_URL = r"^(?:https?://)?(?:[0-9.]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?(?:/|$)"

_HOST_LISTS = ("sitelist", "ipsitelist")
_URL_LISTS = (*_HOST_LISTS, "urllist", "regexpboollist", "fileextlist")
_OF_PATHS = frozenset({"urllist", "fileextlist"})
_LISTS_OF = {
    "sitein": _HOST_LISTS,
    "urlin": _URL_LISTS,
    "fullurlin": ("regexpboollist",),
    "useragentin": ("regexpboollist",),
    "clientin": ("iplist",),
    "mimein": ("mimelist",),
    "extensionin": ("fileextlist",),
}


_NAME_IN_ANSWER = (
    "e2guardian looks at the name that an answer gives the file (Content-Disposition), and this rule at the "
    "path in the URL"
)


@dataclass(frozen=True, slots=True)
class Step:
    """
    One rule to be: what it asks, whether it lets through, what to call it, and where it comes from.

    ``said`` is what of it has no counterpart.  One that is an exception lets answers through as well, of
    whatever kind they are.
    """

    condition: Condition
    allows: bool
    name: str
    places: tuple[Place, ...]
    said: str = ""
    is_exception: bool = False


# The order of versions 3 and 4, which had no storyboards.  A grey list goes past the banned ones.
def _steps(*lines: tuple[str, str, str, str]) -> list[Statement]:
    nowhere = Place("e2guardian itself")
    return [Statement(True, state, name, how, action, nowhere) for state, name, how, action in lines]


BEFORE_STORYBOARDS = {
    "checkrequest": _steps(
        ("connect", "", "return", "tunnels"),
        ("urlin", "localexception", "return", "setexception"),
        ("urlin", "localgrey", "return", "setgrey"),
        ("urlin", "localbanned", "return", "setblock"),
        ("urlin", "exception", "return", "setexception"),
        ("urlin", "grey", "return", "setgrey"),
        ("urlin", "banned", "return", "setblock"),
        ("urlin", "bannedextension", "return", "setblock"),
        ("useragentin", "banneduseragent", "return", "setblock"),
    ),
    "tunnels": _steps(
        ("sitein", "localexception", "return", "setexception"),
        ("sitein", "localgrey", "return", "setgrey"),
        ("sitein", "localbanned", "return", "setblock"),
        ("sitein", "exception", "return", "setexception"),
        ("sitein", "grey", "return", "setgrey"),
        ("sitein", "banned", "return", "setblock"),
    ),
    "checkresponse": _steps(
        ("urlin", "exceptionfile", "return", "false"),
        ("mimein", "bannedmime", "return", "setblock"),
    ),
    "pre-authcheck": _steps(
        ("clientin", "bannedclient", "return", "setblock"),
        ("clientin", "exceptionclient", "return", "setexception"),
    ),
}


class Ways:
    """Makes the rules; ``remarks`` are sentences about what could not be said, by their places."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.remarks: list[tuple[Place, str]] = []

    def steps(self) -> list[Step]:
        """All rules, in their order."""
        source = self._source
        assert source.lists is not None
        story = source.story or BEFORE_STORYBOARDS
        made = self._of(Storyboard(story, self._asker(source.lists)), "pre-authcheck", source.lists, ALWAYS)
        if any(name.startswith("proxy-") for name, _ in source.plugins):
            made.append(self._sign_in())
        *others, first = [*source.groups[1:], source.groups[0]]
        for group in others:
            who = _members(group)
            if who != NEVER:
                made += self._group(group, who)
        return made + self._group(first, ALWAYS)

    def _sign_in(self) -> Step:
        """Who has no name is asked for one; an address that has a group has a name too."""
        places = tuple(setting.place for name, setting in self._source.plugins if name.startswith("proxy-"))
        return Step(_NOBODY, False, "sign in first", places)

    def _group(self, group: Group, who: Condition) -> list[Step]:
        """What holds for one group, with a last rule that is for all of it."""
        named = f"{group.name}: " if len(self._source.groups) > 1 else ""
        last = Step(who, group.mode != 0, f"{named}everything else", (group.place,))
        if group.mode != 1:
            return [last]
        story = group.story or BEFORE_STORYBOARDS
        board = Storyboard(story, self._asker(group.lists))
        tunnels: list[Step] = []
        if self._differs(board):
            # Of https a storyboard sees the host, as we do: what asks for a path asks for nothing there.
            hosts = Lists(group.lists.folder, group.lists.calendars, group.lists.own, group.lists.label)
            hosts.all = [one for one in group.lists.all if one.kind not in _OF_PATHS]
            on_hosts = Storyboard(story, self._asker(hosts))
            tunnels = self._of(on_hosts, "checkrequest", hosts, all_of([who, TUNNEL]), named, connect=True)
        made = [*tunnels, *self._of(board, "checkrequest", group.lists, who, named)]
        past = any_of(
            step.condition for step in made if step.is_exception and step.condition not in (who, ALWAYS)
        )
        return [*self._answers(board, group, who, past, named), *made, last]

    def _differs(self, board: Storyboard) -> bool:
        """Whether a storyboard goes other ways for https."""
        tunnels = self._ways(board, "checkrequest", connect=True)
        others = self._ways(board, "checkrequest", connect=False)
        return [(way.tests, way.outcome) for way in tunnels] != [(way.tests, way.outcome) for way in others]

    def _answers(
        self, board: Storyboard, group: Group, who: Condition, past: Condition, named: str
    ) -> list[Step]:
        """What the answers' rules refuse: our rules are tried again with the answer, so they stand first."""
        made: list[Step] = []
        passing = [_without(past, who)]
        for way in self._ways(board, "checkresponse", connect=False):
            condition = self._condition(way, group.lists)
            if way.outcome == "block":
                left = all_of([who, condition, *(negated(one) for one in passing if one != NEVER)])
                said = _NAME_IN_ANSWER if any(test.state == "extensionin" for test in way.tests) else ""
                made.append(Step(left, False, named + self._name(way), self._places(way, group.lists), said))
            elif way.tests:
                passing.append(condition)
        return made

    def _of(
        self,
        board: Storyboard,
        function: str,
        lists: Lists,
        who: Condition,
        named: str = "",
        *,
        connect: bool = False,
    ) -> list[Step]:
        """The rules of one function; a way that goes on after asking for something is let through there."""
        made: list[Step] = []
        for way in self._ways(board, function, connect=connect):
            if way.outcome == "goes on" and (function == "pre-authcheck" or (not way.tests and not connect)):
                continue
            condition = self._condition(way, lists)
            suffix = " (https)" if connect else ""
            name = f"{named}{self._name(way) or 'everything else'}{suffix}"
            allows = way.outcome != "block"
            places, is_exception = self._places(way, lists), way.outcome == "allow"
            made.append(Step(all_of([who, condition]), allows, name, places, is_exception=is_exception))
        return made

    def _ways(self, board: Storyboard, function: str, *, connect: bool) -> Sequence[Way]:
        try:
            return board.ways(function, connect=connect)
        except ValueError as wrong:
            said = f"the storyboard cannot be followed: {wrong}"
            self._source.folder.say(Place(function), "e2guardian-story", said)
            return []

    def _asker(self, lists: Lists) -> Callable[[Test], bool | None]:
        """Whether a test depends on the request: only where there is something in its list."""

        def ask(test: Test) -> bool | None:
            if test.state == "siteisip":
                return None
            if test.state in _LISTS_OF:
                return None if lists.named(_LISTS_OF[test.state], test.list) else False
            if any(one.name == test.list and one.has_entries for one in lists.all):
                self.remarks.append((test.place, f"{test.state}({test.list}) is not looked at"))
            return False

        return ask

    def _condition(self, way: Way, lists: Lists) -> Condition:
        return all_of(self._test(test, lists) for test in way.tests)

    def _test(self, test: Test, lists: Lists) -> Condition:
        if test.state == "siteisip":
            return Ask("expression", (_ADDRESS_IN_URL,), "addresses")
        key = "agent" if test.state == "useragentin" else "expression"
        return lists.condition(lists.named(_LISTS_OF[test.state], test.list), key)

    def _name(self, way: Way) -> str:
        return ", ".join(test.list or test.state for test in way.tests)

    def _places(self, way: Way, lists: Lists) -> tuple[Place, ...]:
        """The settings that name the lists of a way, else the line of the storyboard."""
        found = [
            one.place for test in way.tests for one in lists.named(_LISTS_OF.get(test.state, ()), test.list)
        ]
        return tuple(found) or (way.place,)


def _members(group: Group) -> Condition:
    """Who is in a group: people by name, and those whose address says so."""
    return Ask("group", (group.name,)) if group.people or group.networks else NEVER


def _without(past: Condition, who: Condition) -> Condition:
    """What exceptions ask beside who it is, which the rule says already."""
    parts: Iterable[Condition] = getattr(past, "parts", (past,)) if past not in (ALWAYS, NEVER) else ()
    return (
        any_of(
            all_of(one for one in getattr(part, "parts", (part,)) if one != who)
            if hasattr(part, "parts")
            else part
            for part in parts
        )
        if parts
        else NEVER
    )
