"""The text of the policy that a Squid configuration becomes, table after table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from corpproxy.errors import Place, Problem
from corpproxy.foreign.composing import PASSWORDS_FILE, Composing
from corpproxy.foreign.sections import (
    Rule,
    write_calendars,
    write_categories,
    write_head,
    write_left_out,
    write_lists,
    write_safety,
)
from corpproxy.foreign.squid.access import Access, Wanted, answer_rules, wanted
from corpproxy.foreign.squid.lines import Line
from corpproxy.foreign.squid.meanings import Surroundings
from corpproxy.foreign.squid.ports import Port
from corpproxy.foreign.squid.settings import fields_of, location_of
from corpproxy.foreign.squid.source import Source
from corpproxy.foreign.yaml_text import block, flow, scalar

_LAST = "everything else"


class Composer(Composing):
    """Writes the policy that a Squid becomes."""

    def __init__(self, source: Source, time_zone: str, dropped: Mapping[str, str], *, alone: bool) -> None:
        super().__init__(time_zone, dropped, alone=alone)
        self._source = source
        self._ports = [port for port in source.ports if not port.left_out]
        self._around = Surroundings(
            acls=source.acls.by_name,
            found=source.found,
            ports=self._ports or [_default_port()],
            people=source.people,
            group_helpers={name: helper for name, (helper, _) in source.group_helpers.items()},
        )
        self._used: set[str] = set()
        self._left: list[tuple[Line, str]] = []

    @property
    def passwords(self) -> bytes | None:
        """The password file of Squid, as far as it was there."""
        return (self._source.passwords or b"") if self._source.settings.signs_in else None

    def compose(self) -> None:
        """Write everything."""
        rules = self._rules()
        self._head()
        write_safety(self.draft, "Squid")
        self._listen()
        self._identity()
        self._other_tables()
        write_categories(self.draft, {}, self._tables.lists.values(), self._acl_places)
        write_lists(self.draft, self._tables.lists.values(), self._acl_places)
        self._calendars()
        self._writer.write(rules, lambda rule: [*rule.sources, *self._asked_places(rule)])
        self._left_out()
        self.counts |= {"lines": len(self._source.found.lines), "rules": len(self._writer.lines)}

    # What the rules are; everything else follows from what they ask.

    def _rules(self) -> list[Rule]:
        self._around.in_answer = True
        answers = answer_rules(self._source.reply_access, self._around)
        self._around.in_answer = False
        made = [rule for one in answers for rule in self._of(one)]
        for access in self._source.access:
            made += self._of(wanted(access, self._around))
        if not self._source.access:
            made.append(Rule(_LAST, {}, False, ["Squid without http_access lets nobody through."], []))
        elif all(rule.table for rule in made):
            last = self._source.access[-1]
            said = "No line of Squid's matched: it then does the opposite of what the last one does."
            made.append(Rule(self._names.unique(_LAST, last.line.place), {}, not last.allows, [said], []))
        return made

    def _of(self, one: Wanted) -> list[Rule]:
        """The rules of one line; a rule without a name is a comment alone."""
        access = one.access
        self._used |= set(self._acl_names(access))
        sources = [access.line.place]
        comments = self._remarks(access)
        if one.is_open:
            said = f"'{access.line.text}' refuses, and the policy does not: {one.said}"
            self.open.append(Problem(access.line.place, "squid-open", said, "warning"))
        if one.is_open:
            comments.append(f"OPEN: Squid refuses by '{access.line.text}', and nothing here does: {one.said}")
        elif one.said:
            comments.append(f"{access.line.text}: {one.said}")
        comments += access.line.comment
        if not one.rules:
            return [Rule("", {"": ""}, access.allows, comments, sources)]
        made = []
        for clause in one.ask_first:
            name = self._names.unique(f"sign in for {one.name}", access.line.place)
            said = "Squid asks to sign in here, whatever comes of the acls behind the name."
            made.append(Rule(name, self._tables.rule(clause), False, [said], sources, quiet=True))
        location, more = self._location(access)
        for clause in one.rules:
            name = self._names.unique(one.name, access.line.place)
            table = self._tables.rule(clause)
            made.append(
                Rule(name, table, access.allows, comments, [*sources, *more], location, access.line.text)
            )
            comments = []
        return made

    def _acl_names(self, access: Access) -> Iterable[str]:
        """The acls of a line, those inside groups too."""
        waiting = [value.text.removeprefix("!") for value in access.names]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            acl = self._around.acls.get(name)
            if acl is None or name in seen:
                continue
            seen.add(name)
            if acl.type in ("any-of", "all-of"):
                waiting += [value.text.removeprefix("!") for value in acl.values]
        return sorted(seen)

    def _remarks(self, access: Access) -> list[str]:
        return [
            f"{name}: {said}."
            for name in self._acl_names(access)
            if self._around.acls[name].lines
            for said in self._around.remarks.get(name, ())
        ]

    def _location(self, access: Access) -> tuple[str, list[Place]]:
        """Where Squid leads those whom a line refuses, and the line that says so."""
        found = self._source.settings.deny_info.get(access.names[-1].text.removeprefix("!"))
        if access.allows or found is None:
            return "", []
        location = location_of(found[0])
        return location, [found[1].place] if location else []

    # The tables, from the top of the file to its end.

    def _head(self) -> None:
        where = self._source.found.lines[0].place.file if self._source.found.lines else "an empty file"
        draft = self.draft
        write_head(draft, where, "import squid", "the acls that it was")
        settings = self._source.settings
        site = [(value, line) for name, value, line in fields_of(settings, "") if name == "site"]
        value, sources = (site[0][0], [site[0][1].place]) if site else ("This site", [])
        draft.add(f"site: {flow(value)}", sources=sources)
        draft.add(f"time_zone: {scalar(self._time_zone)}")
        draft.add("state: state")

    def _listen(self) -> None:
        draft = self.draft
        draft.blank()
        strangers = self._alone
        if strangers:
            draft.comment(
                "Squid lets everybody through who reaches it. Until somebody has to sign in, or rules name "
                "networks, this listens to this machine alone."
            )
        draft.add("listen:")
        for port in self._source.ports:
            if port.left_out:
                draft.comment(f"{port.line.text}: {port.left_out}", 2, sources=[port.line.place])
        for port in self._ports or [_default_port()]:
            endpoint = port.endpoint
            if strangers and not ip_address(port.address).is_loopback:
                endpoint = f"127.0.0.1:{port.number}"
            if port.remark:
                draft.comment(f"{port.line.text}: {port.remark}", 2, sources=[port.line.place])
            draft.add(
                f"  - {flow({'name': port.name, 'forward': endpoint})}",
                sources=[port.line.place] if port.line.words else [],
            )

    def _identity(self) -> None:
        settings, draft = self._source.settings, self.draft
        if not settings.signs_in and not self._around.groups:
            self._left = [
                (one, settings.remarks.get(one, "nobody is asked to sign in")) for one in settings.auth_lines
            ]
            return
        draft.blank()
        draft.add("identity:")
        draft.comment("As in Squid: people are asked to sign in only when a rule asks who they are.", 2)
        draft.add("  ask: when-needed")
        for name, value, line in fields_of(settings, "identity"):
            draft.add(*block({name: value}, 2), sources=[line.place])
        for line in settings.auth_lines:
            if line in settings.remarks:
                draft.comment(f"{line.text}: {settings.remarks[line]}", 2, sources=[line.place])
        if settings.signs_in:
            sources = [
                one.place
                for one in settings.auth_lines
                if one not in settings.remarks and " program " in one.text
            ]
            draft.add("  methods:", f"    - basic: {{htpasswd: {PASSWORDS_FILE}}}", sources=sources)
        if self._around.groups:
            for helper, line in self._source.group_helpers.values():
                draft.comment(
                    f"{line.text}: {helper} told who is in these; write their members.",
                    2,
                    sources=[line.place],
                )
            draft.add("  groups:")
            for name in self._around.groups:
                draft.add(*block({name: []}, 4))

    def _other_tables(self) -> None:
        for table in ("contact", "forwarding", "timeouts", "http", "connections", "names"):
            fields = list(fields_of(self._source.settings, table))
            if fields:
                self.draft.blank()
                self.draft.add(f"{table}:")
            for name, value, line in fields:
                self.draft.add(*block({name: value}, 2), sources=[line.place])

    def _calendars(self) -> None:
        calendars = {name: spans for name, spans in self._around.calendars.items() if name in self._used}
        if calendars:
            self.draft.blank()
            self.draft.comment(
                "Squid counts the last minute of its hours too: 15:30 there is before 15:31 here."
            )
        write_calendars(self.draft, calendars, self._acl_places)

    def _acl_places(self, name: str) -> list[Place]:
        acl = self._source.acls.by_name.get(name)
        return [line.place for line in acl.lines] if acl else []

    def _asked_places(self, rule: Rule) -> list[Place]:
        """The lines of the acls that a rule's line names."""
        lines = {one.line.place: one for one in (*self._source.access, *self._source.reply_access)}
        found: list[Place] = []
        for place in rule.sources:
            for name in self._acl_names(lines[place]) if place in lines else ():
                found += self._acl_places(name)
        return found

    def _left_out(self) -> None:
        by_reason: dict[str, list[tuple[Place, str]]] = {}
        for line, reason in (*self._source.left, *self._left):
            by_reason.setdefault(reason, []).append((line.place, line.text))
        for line, reason in self._source.settings.remarks.items():
            if line not in self._source.settings.auth_lines:
                by_reason.setdefault(reason, []).append((line.place, line.text))
        for name, (_, line) in self._source.group_helpers.items():
            if not any(acl.argument == name and acl.name in self._used for acl in self._around.acls.values()):
                by_reason.setdefault("no rule asks for these", []).append((line.place, line.text))
        for acl in self._source.acls.by_name.values():
            if acl.lines and acl.name not in self._used:
                lines = [(line.place, line.text) for line in acl.lines]
                by_reason.setdefault("no rule asks for these", []).extend(lines)
        for acl_name, (page, line) in self._source.settings.deny_info.items():
            if not (location_of(page) and acl_name in self._used):
                said = "refusals show this proxy's page; a rule's say: is a sentence on it"
                by_reason.setdefault(said, []).append((line.place, line.text))
        write_left_out(self.draft, "Squid", by_reason)


def _default_port() -> Port:
    return Port("3128", "0.0.0.0", 3128, Line("http_port", (), Place("Squid itself"), "http_port 3128"))
