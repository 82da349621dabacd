"""The desk for the person who asks: a form that was sealed for that person asks for what was refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from corpproxy.audit.deeds import DeedName
from corpproxy.destination.host import normal_host
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import MAX_ALSO, grantee
from corpproxy.identity.requests import MAX_REASON_CHARACTERS, AccessRequest, TooMany
from corpproxy.pages import access
from corpproxy.pages.actions import Ask, DeskAction
from corpproxy.pages.desk import Desk, deed_of, party_of
from corpproxy.pages.forms import form_fields
from corpproxy.pages.page import Page
from corpproxy.pages.refusals import PastRefusal, Refusals
from corpproxy.pages.render import ASK_PURPOSE, ASK_SECONDS

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

# Refusals of the same person, so long before and after the one that is asked about, belong to its pages.
NEEDED_SECONDS = 120.0


class AskingDesk:
    """Answers those who ask for access."""

    def __init__(self, desk: Desk, refusals: Refusals) -> None:
        self._desk = desk
        self._refusals = refusals

    def may_ask(self, request: PortalRequest, past: PastRefusal) -> bool:
        """Whether a person can ask for what was refused, and has not yet."""
        return (
            past.may_be_overridden
            and self._desk.approvals.may_ask(party_of(request))
            and not self._is_asked(request, past)
        )

    def _is_asked(self, request: PortalRequest, past: PastRefusal) -> bool:
        """Whether the host is open by now, or a request for it waits."""
        host, now = normal_host(past.host), request.now
        if self._desk.grants.holds(request.identity, request.client, host, past.rule, now) is not None:
            return True
        return any(
            one.is_waiting and (one.host, one.rule) == (past.host, past.rule) for one in self.own(request)
        )

    def ask_token(self, request: PortalRequest, past: PastRefusal) -> str:
        """Give the token of the form that asks; empty where nobody could let the person through."""
        if not self.may_ask(request, past):
            return ""
        values = {"host": past.host, "rule": past.rule, "uri": past.uri, "category": past.category}
        who = grantee(request.identity, request.client)
        return self._desk.seal(
            ASK_PURPOSE, {"who": who, "at": str(past.at), **values}, request.now + ASK_SECONDS
        )

    def own(self, request: PortalRequest) -> tuple[AccessRequest, ...]:
        """Give what a person asked for."""
        return self._desk.requests.of(grantee(request.identity, request.client), request.now)

    def ask(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that asks."""
        fields = form_fields(request, {"token", "reason"})
        values = self._desk.unseal(ASK_PURPOSE, fields["token"], request.now)
        who = grantee(request.identity, request.client)
        if values.get("who") != who:
            raise BadForm("form-forged", "the form was shown to somebody else")
        asked = AccessRequest(
            id=request.reference,
            who=who,
            host=values["host"],
            rule=values["rule"],
            uri=values["uri"],
            at=request.now,
            reason=fields["reason"].strip()[:MAX_REASON_CHARACTERS],
            category=values["category"],
            client=request.client,
            listener=request.listener,
            groups=request.identity.groups,
            also=self._needed(request, values["host"], float(values["at"])),
        )
        try:
            taken = self._desk.requests.taken(asked)
        except TooMany as many:
            return self._desk.show(request, access.not_taken, many.code)
        deed = deed_of(DeedName.ASKED, request, taken.who, (taken.host,), taken.rule, why=taken.reason)
        return Ask(taken, replace(deed, request=taken.id))

    def asked(self, request: PortalRequest, done: Ask) -> Page:
        """Say that a request waits now."""
        return self._desk.show(request, access.asked, done.request)

    def _needed(self, request: PortalRequest, host: str, at: float) -> tuple[tuple[str, str], ...]:
        """The hosts that refused requests of the same time named, each with the rule that refused it."""
        past = self._refusals.of(request.identity, request.client, request.now)
        needed = (
            (one.host, one.rule)
            for one in past
            if one.may_be_overridden and abs(one.at - at) <= NEEDED_SECONDS and not _is_below(one.host, host)
        )
        return tuple(dict.fromkeys(needed))[:MAX_ALSO]


def _is_below(host: str, above: str) -> bool:
    return host == above or host.endswith("." + above)
