"""
The desk where somebody is let through who did not ask: a person by name, a group, a room.

Before many are let through it is asked once more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from corpproxy.audit.deeds import DeedName
from corpproxy.destination.host import normal_host
from corpproxy.identity.grants import ANY_RULE, GROUP, NETWORK, Grant
from corpproxy.identity.model import ANONYMOUS
from corpproxy.identity.names import normal_name
from corpproxy.identity.requests import MAX_REASON_CHARACTERS
from corpproxy.pages import access
from corpproxy.pages.actions import DeskAction, Give
from corpproxy.pages.desk import LIVES_SECONDS, Desk, deed_of, lives, number, party_of
from corpproxy.pages.forms import form_fields
from corpproxy.pages.page import Page
from corpproxy.pages.sheet import Choice, Form
from corpproxy.policy.approvals import Party

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

NEW_PURPOSE, MANY_PURPOSE = "let-unasked", "let-many-unasked"

_BEHIND_AUTHORITY = re.compile("[/?#]")
_PORT = re.compile(r":[0-9]*\Z")


class UnaskedDesk:
    """Answers those who let somebody through who did not ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def form(self, request: PortalRequest) -> Form:
        """The form that lets somebody through who did not ask: a person by name, a group, a room."""
        words = self._desk.words(request)
        wholes = [(who, access.whom(words, who)) for who in self._wholes(request)]
        choices = (
            Choice("whom", words.say("requests.whom"), (("", words.say("requests.new_person")), *wholes)),
            Choice("seconds", words.say("requests.how_long"), lives(words, LIVES_SECONDS[-1])),
        )
        return access.unasked_form(
            words, self._desk.site, self._desk.sealed(NEW_PURPOSE, request, ""), choices
        )

    def new(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that lets somebody through who did not ask."""
        fields = form_fields(request, {"token", "host", "name", "why", "whom", "seconds"})
        self._desk.own_form(NEW_PURPOSE, fields["token"], request)
        grant = self._grant(request, fields)
        if grant is None:
            return self._desk.show(request, access.not_let)
        if not grant.who.startswith((GROUP, NETWORK)):
            return self._give(request, grant)
        sealed = {name: fields[name] for name in ("host", "name", "why", "whom", "seconds")}
        token = self._desk.sealed(MANY_PURPOSE, request, "", sealed)
        return self._desk.show(request, access.sure, grant, self._desk.count(grant), token, "many")

    def many(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that says once more that many are let through who did not ask."""
        values = self._desk.own_form(MANY_PURPOSE, form_fields(request, {"token"})["token"], request)
        grant = self._grant(request, values)
        if grant is None:
            return self._desk.show(request, access.not_let)
        return self._give(request, grant)

    def _grant(self, request: PortalRequest, chosen: Mapping[str, str]) -> Grant | None:
        """The grant that was chosen; None for people whom this person may not let through."""
        seconds, approvals, me = number(chosen["seconds"]), self._desk.approvals, party_of(request)
        who, among = chosen["whom"], approvals.groups_of(me)
        if who:
            most = approvals.at_most_whole(me) if who in self._wholes(request) else 0.0
        else:
            who, among = normal_name(chosen["name"].strip()), ()
            known = self._desk.people.identity(who) if who and ":" not in who else ANONYMOUS
            most = approvals.at_most(me, Party(known, "")) if known.name else 0.0
        if most <= 0 or seconds <= 0:
            return None
        return Grant(
            who=who,
            host=_host_of(chosen["host"]),
            rule=ANY_RULE,
            until=request.now + min(seconds, most),
            given_by=request.identity.name,
            why=chosen["why"].strip()[:MAX_REASON_CHARACTERS],
            id=request.reference,
            among=among,
            since=request.now,
        )

    def _give(self, request: PortalRequest, grant: Grant) -> Give:
        deed = deed_of(DeedName.GIVEN, request, grant.who, grant.hosts, grant.rule, why=grant.why)
        return Give(grant, replace(deed, until=grant.until, grant=grant.id))

    def _wholes(self, request: PortalRequest) -> tuple[str, ...]:
        """The groups and rooms that this person may let through as a whole."""
        approvals, people = self._desk.approvals, self._desk.people
        if approvals.at_most_whole(party_of(request)) <= 0:
            return ()
        among = set(approvals.groups_of(party_of(request)))
        members = people.members().values()
        groups = {group for mine in members if not among or among & set(mine) for group in mine}
        rooms = sorted(people.network_names)
        return (*(GROUP + one for one in sorted(groups | among)), *(NETWORK + one for one in rooms))


def _host_of(written: str) -> str:
    """The host that somebody typed, or copied with the rest of its address; ProtocolError for none."""
    authority = _BEHIND_AUTHORITY.split(written.strip().rpartition("://")[2])[0]
    if authority.startswith("[") or authority.count(":") == 1:
        authority = _PORT.sub("", authority)
    return normal_host(authority).name
