"""The text of the policy that a configuration of e2guardian becomes."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from corpproxy.errors import Place, Problem
from corpproxy.foreign.composing import PASSWORDS_FILE, Composing
from corpproxy.foreign.conditions import clauses, unknown_in
from corpproxy.foreign.e2guardian.source import Source
from corpproxy.foreign.e2guardian.ways import Step, Ways
from corpproxy.foreign.sections import (
    Rule,
    write_calendars,
    write_categories,
    write_head,
    write_left_out,
    write_lists,
    write_safety,
)
from corpproxy.foreign.yaml_text import Value, block, flow, scalar


class Composer(Composing):
    """Writes the policy that an e2guardian becomes."""

    def __init__(self, source: Source, time_zone: str, dropped: Mapping[str, str], *, alone: bool) -> None:
        super().__init__(time_zone, dropped, alone=alone)
        self._source = source
        self._ways = Ways(source)
        self._signs_in = any(name.startswith("proxy-") for name, _ in source.plugins)

    @property
    def passwords(self) -> bytes | None:
        """An empty file: e2guardian knows no passwords."""
        return b"" if self._signs_in else None

    def compose(self) -> None:
        """Write everything."""
        rules = [rule for step in self._ways.steps() for rule in self._rules(step)]
        draft, source = self.draft, self._source
        write_head(draft, str(source.folder.path), "import e2guardian", "the lists that it asks")
        draft.add("site: This site", f"time_zone: {scalar(self._time_zone)}", "state: state")
        write_safety(draft, "e2guardian")
        self._listen()
        self._identity()
        write_categories(draft, source.own, self._tables.lists.values(), lambda name: [])
        write_lists(draft, self._tables.lists.values(), lambda name: [])
        if source.calendars:
            draft.blank()
        write_calendars(draft, source.calendars, lambda name: [])
        self._writer.write(rules, lambda rule: rule.sources)
        self._left_out()
        self.counts |= {"lines": len(source.settings), "rules": len(self._writer.lines)}

    def _rules(self, step: Step) -> list[Rule]:
        """The rules of one step; one without a counterpart is told where it would have stood."""
        place = step.places[0]
        try:
            unknown = unknown_in(step.condition)
            if unknown is not None:
                raise ValueError(unknown.reason)
            made = clauses(step.condition)
        except ValueError as wrong:
            said = f"'{step.name}' has no counterpart: {wrong}"
            if not step.allows:
                self.open.append(Problem(place, "e2guardian-open", said, "warning"))
            return [Rule("", {"": ""}, step.allows, [f"OPEN: {said}"], list(step.places))]
        comments = []
        if step.said:
            said = f"a part of '{step.name}' has no counterpart: {step.said}"
            comments.append(f"OPEN: {said}.")
            self.open.append(Problem(place, "e2guardian-open", said, "warning"))
        return [
            Rule(
                self._names.unique(step.name, place),
                self._tables.rule(clause),
                step.allows,
                comments,
                list(step.places),
                text=step.name,
            )
            for clause in made
        ]

    def _listen(self) -> None:
        draft = self.draft
        draft.blank()
        if self._alone:
            draft.comment(
                "e2guardian lets everybody through who reaches it. Until somebody has to sign in, or rules "
                "name networks, this listens to this machine alone."
            )
        draft.add("listen:")
        for number, (address, port, places) in enumerate(self._source.listeners):
            shown = address if not self._alone or ip_address(address).is_loopback else "127.0.0.1"
            endpoint = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
            name = "proxy" if not number else f"proxy {port}"
            draft.add(f"  - {flow({'name': name, 'forward': endpoint})}", sources=places)

    def _identity(self) -> None:
        source, draft = self._source, self.draft
        groups = [group for group in source.groups if group.people]
        rooms = [group for group in source.groups if group.networks]
        if not self._signs_in and not groups and not rooms:
            return
        draft.blank()
        draft.add("identity:", sources=[setting.place for _, setting in source.plugins])
        if self._signs_in:
            draft.comment(
                "e2guardian leaves passwords to the proxy behind it; 'corpproxy users add' gives them.",
                2,
            )
            draft.add("  ask: when-needed", "  methods:", f"    - basic: {{htpasswd: {PASSWORDS_FILE}}}")
        if groups:
            draft.add("  groups:", sources=source.group_places)
            for group in groups:
                draft.add(*block({group.name: list(dict.fromkeys(group.people))}, 4))
        if rooms:
            draft.comment("Whose address is known needs no name: the address has one.", 2)
            draft.add("  networks:", sources=[] if groups else source.group_places)
            for group in rooms:
                addresses: list[Value] = list(dict.fromkeys(group.networks))
                table: dict[str, Value] = {"addresses": addresses, "user": f"{group.name} by address"}
                draft.add(*block({f"{group.name} by address": {**table, "groups": [group.name]}}, 4))

    def _left_out(self) -> None:
        by_reason: dict[str, list[tuple[Place, str]]] = {}
        for setting, reason in self._source.left:
            by_reason.setdefault(reason, []).append((setting.place, setting.text))
        for place, said in dict.fromkeys(self._ways.remarks):
            by_reason.setdefault("these are asked of what is not looked at here", []).append((place, said))
        for name, setting in self._source.plugins:
            if name not in ("ip", "proxy-basic"):
                reason = "this way to know people is not there; they sign in by name and password"
                by_reason.setdefault(reason, []).append((setting.place, setting.text))
        write_left_out(self.draft, "e2guardian", by_reason)
