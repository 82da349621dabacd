"""
The desk where more of a quota is asked for and given.

It goes as with access: a person asks by a form that was sealed for that person, on the card of a quota of
which little is left, and somebody decides whom ``approve:`` names for the one who asks.  What is given is
what ``corpproxy quota grant`` gives: it lasts until the quota is made good again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from corpproxy.audit.deeds import DeedName
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import grantee
from corpproxy.identity.requests import MAX_REASON_CHARACTERS, AccessRequest, State, TooMany
from corpproxy.pages import access, more
from corpproxy.pages.actions import Ask, DeskAction, GiveMore
from corpproxy.pages.asking_desk import AskingDesk
from corpproxy.pages.deciding_desk import DecidingDesk
from corpproxy.pages.desk import REFUSE_PURPOSE, Desk, deed_of, number, party_of
from corpproxy.pages.forms import form_fields
from corpproxy.pages.holdings import Holding, Holdings
from corpproxy.pages.page import Page
from corpproxy.pages.render import ASK_SECONDS
from corpproxy.policy.limits import Per
from corpproxy.policy.quota import Quota, Standing

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

ASK_MORE_PURPOSE, GIVE_MORE_PURPOSE = "ask-for-more", "give-more"
# What somebody chooses from who gives more: parts of what the policy gives, and no more than as much again.
PARTS = (4, 2, 1)
# Whose quota is one person's own: that of a whole class is not one pupil's to ask for.
OWN = (Per.USER, Per.DEVICE)


class MoreDesk:
    """Answers the requests of the portal that are about more of a quota."""

    def __init__(self, desk: Desk, asking: AskingDesk, deciding: DecidingDesk, holdings: Holdings) -> None:
        self._desk = desk
        self._asking = asking
        self._deciding = deciding
        self._holdings = holdings

    # For the person who asks.

    def ask_token(self, request: PortalRequest, holding: Holding) -> str:
        """Give the token of the form that asks; empty where enough is left, or nobody could give more."""
        if not self._may_ask(request, holding):
            return ""
        who = grantee(request.identity, request.client)
        values = {"who": who, "limit": holding.applied.limit.name}
        return self._desk.seal(ASK_MORE_PURPOSE, values, request.now + ASK_SECONDS)

    def _may_ask(self, request: PortalRequest, holding: Holding) -> bool:
        limit, standing = holding.applied.limit, holding.standing
        return (
            limit.quota is not None
            and limit.per in OWN
            and standing is not None
            and standing.is_known
            and standing.is_noticed
            and self._desk.approvals.may_ask(party_of(request))
            and not any(one.is_waiting and one.limit == limit.name for one in self._asking.own(request))
        )

    def ask(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that asks."""
        fields = form_fields(request, {"token", "reason"})
        values = self._desk.unseal(ASK_MORE_PURPOSE, fields["token"], request.now)
        who = grantee(request.identity, request.client)
        if values.get("who") != who:
            raise BadForm("form-forged", "the form was shown to somebody else")
        held = self._holdings(request.identity, request.client, request.listener, request.now)
        found = next((one.applied for one in held if one.applied.limit.name == values["limit"]), None)
        if found is None or found.limit.per not in OWN:
            return self._settled(request)
        asked = AccessRequest(
            id=request.reference,
            who=who,
            host="",
            rule="",
            uri="",
            at=request.now,
            reason=fields["reason"].strip()[:MAX_REASON_CHARACTERS],
            client=request.client,
            listener=request.listener,
            groups=request.identity.groups,
            limit=found.limit.name,
            member=found.whom,
        )
        try:
            taken = self._desk.requests.taken(asked)
        except TooMany as many:
            return self._desk.show(request, access.not_taken, many.code)
        deed = deed_of(DeedName.QUOTA_ASKED, request, taken.member, (), taken.limit, why=taken.reason)
        return Ask(taken, replace(deed, request=taken.id))

    def asked(self, request: PortalRequest, done: Ask) -> Page:
        """Say that a request waits now."""
        return self._desk.show(request, more.asked, done.request)

    # For those who decide.

    def one(self, request: PortalRequest) -> Page:
        """Give the page of one request, whatever it is for."""
        found = self._desk.requests.get(request.path.removeprefix("/requests/"))
        if found is None or not found.limit or not found.is_waiting:
            return self._deciding.one(request)
        if self._desk.at_most(request, found) <= 0:
            return self._desk.failure("page-unknown", request)
        quota = self._quota(found)
        if quota is None:
            return self._settled(request)
        tokens = [
            self._desk.sealed(purpose, request, found.id) for purpose in (GIVE_MORE_PURPOSE, REFUSE_PURPOSE)
        ]
        amounts = tuple((str(amount), quota.amount(amount)) for amount in amounts_of(quota))
        words = self._desk.words(request)
        standing = self._standing(found, request.now)
        stands = ""
        if standing is not None and standing.is_known:
            used, allowed = quota.amount(standing.used), quota.amount(standing.allowed)
            stands = words.say("limits.of", used=used, allowed=allowed)
        return self._desk.show(request, more.decide, found, (tokens[0], tokens[1]), amounts, stands)

    def give(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that gives."""
        fields = form_fields(request, {"token", "amount"})
        found = self._desk.opened(GIVE_MORE_PURPOSE, fields["token"], request)
        quota = self._quota(found) if found is not None else None
        if found is None or quota is None:
            return self._settled(request)
        amount = number(fields["amount"])
        if amount not in amounts_of(quota):
            raise BadForm("form-forged", "so much was not offered")
        settled = replace(
            found,
            state=State.GRANTED,
            by=request.identity.name,
            decided_at=request.now,
            until=quota.ends(request.now),
            more=float(amount),
        )
        why = f"{quota.amount(amount)}: {found.reason}"
        deed = deed_of(DeedName.QUOTA_GRANTED, request, found.member, (), found.limit, why=why)
        return GiveMore(found.limit, found.member, amount, settled, replace(deed, request=found.id))

    def given(self, request: PortalRequest, done: GiveMore, *, is_there: bool) -> Page:
        """Say what was given; or that there is no such quota any more."""
        quota = self._quota(done.request)
        if not is_there or quota is None:
            return self._settled(request)
        return self._desk.show(request, more.given, done.request, quota.amount(done.more))

    def _quota(self, asked: AccessRequest) -> Quota | None:
        limits = self._desk.limits
        found = (one.quota for one in limits.limits if one.name == asked.limit) if limits is not None else ()
        return next(iter(found), None)

    def _standing(self, asked: AccessRequest, now: float) -> Standing | None:
        limits = self._desk.limits
        return limits.standings.of(asked.limit, asked.member, now) if limits is not None else None

    def _settled(self, request: PortalRequest) -> Page:
        return self._desk.show(request, access.settled)


def amounts_of(quota: Quota) -> tuple[int, ...]:
    """How much more may be given of a quota at a time, the least first."""
    return tuple(dict.fromkeys(max(1, quota.allowed // part) for part in PARTS))
