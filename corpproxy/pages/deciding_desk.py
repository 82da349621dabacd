"""
The desk for those who decide: they let through who asks, or refuse, and end what they gave.

Before many are let through it is asked once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from corpproxy.audit.deeds import DeedName
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import GROUP, NETWORK, Grant
from corpproxy.identity.requests import MAX_REASON_CHARACTERS, AccessRequest, State
from corpproxy.pages import access
from corpproxy.pages.actions import DeskAction, End, Give, Let, Refuse
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.desk import REFUSE_PURPOSE, Desk, asker, deed_of, lives, number, party_of
from corpproxy.pages.forms import form_fields
from corpproxy.pages.page import Page
from corpproxy.pages.sheet import Choice
from corpproxy.pages.unasked_desk import UnaskedDesk

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

LET_PURPOSE, END_PURPOSE = "let-through", "end-grant"
SURE_PURPOSE = "let-many"


class DecidingDesk:
    """Answers those who decide."""

    def __init__(self, desk: Desk, unasked: UnaskedDesk) -> None:
        self._desk = desk
        self._unasked = unasked

    def may_decide(self, request: PortalRequest) -> bool:
        """Whether this person may let anybody through."""
        return self._desk.approvals.may_decide(party_of(request))

    def waiting(self, request: PortalRequest) -> tuple[AccessRequest, ...]:
        """Give the requests that this person may decide on."""
        asked = self._desk.requests.waiting(request.now)
        return tuple(one for one in asked if self._desk.at_most(request, one) > 0)

    def list(self, request: PortalRequest) -> Page:
        """Give the page of the requests that wait."""
        if not self.may_decide(request):
            return self._desk.failure("page-unknown", request)
        mine = [one for one in self._desk.grants.all(request.now) if _is_given_by(one, request)]
        tokens = [self._desk.sealed(END_PURPOSE, request, one.id) for one in mine]
        return self._desk.show(
            request,
            access.waiting,
            self.waiting(request),
            tuple(zip(mine, tokens, strict=True)),
            self._unasked.form(request),
        )

    def one(self, request: PortalRequest) -> Page:
        """Give the page of one request."""
        found = self._desk.requests.get(request.path.removeprefix("/requests/"))
        if found is None or self._desk.at_most(request, found) <= 0:
            return self._desk.failure("page-unknown", request)
        if not found.is_waiting:
            return self._desk.show(request, access.settled)
        tokens = (
            self._desk.sealed(LET_PURPOSE, request, found.id),
            self._desk.sealed(REFUSE_PURPOSE, request, found.id),
        )
        choices = self._choices(self._desk.words(request), request, found)
        return self._desk.show(request, access.decide, found, tokens, choices)

    def let(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that lets through; before many are let through it is asked once more."""
        fields = form_fields(request, {"token", "whom", "seconds", "hosts"})
        found = self._desk.opened(LET_PURPOSE, fields["token"], request)
        if found is None:
            return self._desk.show(request, access.settled)
        grant = self._grant(request, found, fields)
        if grant.who == found.who:
            return self._let(request, found, grant)
        values = {name: fields[name] for name in ("whom", "seconds", "hosts")}
        token = self._desk.sealed(SURE_PURPOSE, request, found.id, values)
        return self._desk.show(request, access.sure, grant, self._desk.count(grant), token)

    def sure(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that says once more that many are let through."""
        token = form_fields(request, {"token"})["token"]
        values = self._desk.unseal(SURE_PURPOSE, token, request.now)
        found = self._desk.opened(SURE_PURPOSE, token, request)
        if found is None:
            return self._desk.show(request, access.settled)
        return self._let(request, found, self._grant(request, found, values))

    def refuse(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that refuses."""
        fields = form_fields(request, {"token", "answer"})
        found = self._desk.opened(REFUSE_PURPOSE, fields["token"], request)
        if found is None:
            return self._desk.show(request, access.settled)
        answer = fields["answer"].strip()[:MAX_REASON_CHARACTERS]
        by = request.identity.name
        refused = replace(found, state=State.REFUSED, by=by, decided_at=request.now, answer=answer)
        if found.limit:
            deed = deed_of(DeedName.QUOTA_REFUSED, request, found.member, (), found.limit, why=answer)
        else:
            deed = deed_of(DeedName.REFUSED, request, found.who, (found.host,), found.rule, why=answer)
        return Refuse(refused, replace(deed, request=found.id))

    def end(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that ends a grant."""
        values = self._desk.unseal(END_PURPOSE, form_fields(request, {"token"})["token"], request.now)
        if values.get("by") != request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        grant = self._desk.grants.get(values["id"])
        if grant is None or not _is_given_by(grant, request):
            return self._desk.show(request, access.settled)
        deed = deed_of(DeedName.ENDED, request, grant.who, grant.hosts, grant.rule, why=grant.why)
        return End(grant, replace(deed, grant=grant.id))

    def let_through(self, request: PortalRequest, done: Let | Give) -> Page:
        """Say who is let through."""
        return self._desk.show(request, access.given, done.grant)

    def refused(self, request: PortalRequest, done: Refuse) -> Page:
        """Say that a request is refused."""
        return self._desk.show(request, access.refused, done.request)

    def ended(self, request: PortalRequest, done: End) -> Page:
        """Say that a grant is over."""
        return self._desk.show(request, access.ended, done.grant)

    # What is chosen, and what that means.

    def _wholes(self, request: PortalRequest, asked: AccessRequest) -> tuple[str, ...]:
        """The groups and rooms of the person who asks that may be let through as a whole."""
        if self._desk.approvals.among(party_of(request), asker(asked)) is None:
            return ()
        rooms = self._desk.people.networks_of(asked.client)
        return (*(GROUP + group for group in asked.groups), *(NETWORK + room for room in rooms))

    def _choices(self, words: Catalogue, request: PortalRequest, asked: AccessRequest) -> tuple[Choice, ...]:
        whole = [(who, access.whom(words, who)) for who in self._wholes(request, asked)]
        most = self._desk.at_most(request, asked)
        hosts = [("alone", words.say("requests.alone"))]
        if asked.also:
            hosts.insert(0, ("also", words.say("requests.with")))
        return (
            Choice("whom", words.say("requests.whom"), ((asked.who, access.whom(words, asked.who)), *whole)),
            Choice("seconds", words.say("requests.how_long"), lives(words, most)),
            Choice("hosts", words.say("requests.what"), tuple(hosts)),
        )

    def _grant(self, request: PortalRequest, asked: AccessRequest, chosen: Mapping[str, str]) -> Grant:
        """The grant that was chosen; `BadForm` for a choice that was not offered."""
        who, seconds = chosen["whom"], number(chosen["seconds"])
        if not 0 < seconds <= self._desk.at_most(request, asked):
            raise BadForm("form-forged", "it was not offered for so long")
        among: tuple[str, ...] = ()
        if who != asked.who:
            if who not in self._wholes(request, asked):
                raise BadForm("form-forged", "it was not offered for these people")
            among = self._desk.approvals.among(party_of(request), asker(asked)) or ()
        return Grant(
            who=who,
            host=asked.host,
            rule=asked.rule,
            until=request.now + seconds,
            given_by=request.identity.name,
            why=asked.reason,
            id=request.reference,
            also=asked.also if chosen["hosts"] == "also" else (),
            among=among,
            since=request.now,
        )

    def _let(self, request: PortalRequest, asked: AccessRequest, grant: Grant) -> Let:
        settled = replace(
            asked,
            state=State.GRANTED,
            by=grant.given_by,
            decided_at=request.now,
            grant=grant.id,
            until=grant.until,
        )
        deed = deed_of(DeedName.GIVEN, request, grant.who, grant.hosts, grant.rule, why=grant.why)
        return Let(grant, settled, replace(deed, until=grant.until, grant=grant.id, request=asked.id))


def _is_given_by(grant: Grant, request: PortalRequest) -> bool:
    return grant.given_by == request.identity.name
