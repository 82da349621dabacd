"""
The desk where more of a quota is asked for and given.

It goes as with access: a person asks by a form that was sealed for that person, on the card of a quota of
which little is left, and somebody decides whom ``approve:`` names for the one who asks; of what a group or a
room has together, somebody who may let all of it through.  What is given is what ``corpproxy quota grant``
gives: it lasts until the quota is made good again.
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
from corpproxy.pages.desk import EVERYBODYS, OWN, REFUSE_PURPOSE, Desk, deed_of, number, party_of
from corpproxy.pages.forms import form_fields
from corpproxy.pages.holdings import Holding, Holdings, Offer, shared_with
from corpproxy.pages.page import Page
from corpproxy.pages.render import ASK_SECONDS
from corpproxy.policy.limits import Limit
from corpproxy.policy.quota import Quota, Standing

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

ASK_MORE_PURPOSE, GIVE_MORE_PURPOSE = "ask-for-more", "give-more"
# What somebody chooses from who gives more: parts of what the policy gives, and no more than as much again.
PARTS = (4, 2, 1)


class MoreDesk:
    """Answers the requests of the portal that are about more of a quota."""

    def __init__(self, desk: Desk, asking: AskingDesk, deciding: DecidingDesk, holdings: Holdings) -> None:
        self._desk = desk
        self._asking = asking
        self._deciding = deciding
        self._holdings = holdings

    # For the person who asks.

    def offer(self, request: PortalRequest, holding: Holding) -> Offer:
        """Whether this person may ask for more of a quota of which little is left; or why not."""
        limit, standing = holding.applied.limit, holding.standing
        if limit.quota is None or standing is None or not standing.is_known or not standing.is_noticed:
            return Offer.NONE
        if not self._could_be_given(request, limit):
            return Offer.NONE if limit.per in OWN else Offer.NOT_HERE
        if any(one.is_waiting and one.limit == limit.name for one in self._asking.own(request)):
            return Offer.NONE
        return Offer.WAITS if self._is_asked(request, holding) else Offer.ASK

    def _could_be_given(self, request: PortalRequest, limit: Limit) -> bool:
        approvals, party = self._desk.approvals, party_of(request)
        if limit.per in OWN:
            return approvals.may_ask(party)
        return approvals.may_ask_together(party, everybody=limit.per in EVERYBODYS)

    def _is_asked(self, request: PortalRequest, holding: Holding) -> bool:
        """Whether somebody else with whom it is counted together asked for more already."""
        wanted = holding.applied.limit.name, holding.applied.whom
        return any((one.limit, one.member) == wanted for one in self._desk.requests.waiting(request.now))

    def offer_with_token(self, request: PortalRequest, holding: Holding) -> tuple[Offer, str]:
        """What is offered, with the token of the form that asks."""
        offer = self.offer(request, holding)
        if offer is not Offer.ASK:
            return offer, ""
        who = grantee(request.identity, request.client)
        values = {"who": who, "limit": holding.applied.limit.name}
        return offer, self._desk.seal(ASK_MORE_PURPOSE, values, request.now + ASK_SECONDS)

    def ask(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that asks."""
        fields = form_fields(request, {"token", "reason"})
        values = self._desk.unseal(ASK_MORE_PURPOSE, fields["token"], request.now)
        who = grantee(request.identity, request.client)
        if values.get("who") != who:
            raise BadForm("form-forged", "the form was shown to somebody else")
        held = self._holdings(request.identity, request.client, request.listener, request.now)
        found = next((one.applied for one in held if one.applied.limit.name == values["limit"]), None)
        if found is None or not self._could_be_given(request, found.limit):
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
        together = self._together(request, found)
        return self._desk.show(request, more.decide, found, (tokens[0], tokens[1]), amounts, stands, together)

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
        together = self._together(request, done.request)
        return self._desk.show(request, more.given, done.request, quota.amount(done.more), together)

    def _quota(self, asked: AccessRequest) -> Quota | None:
        limit = self._desk.limit_of(asked)
        return limit.quota if limit is not None else None

    def _together(self, request: PortalRequest, asked: AccessRequest) -> str:
        """With whom it is counted together, in words; empty for a quota of one's own."""
        limit = self._desk.limit_of(asked)
        if limit is None or limit.per in OWN:
            return ""
        return shared_with(self._desk.words(request), limit, asked.member)

    def _standing(self, asked: AccessRequest, now: float) -> Standing | None:
        limits = self._desk.limits
        return limits.standings.of(asked.limit, asked.member, now) if limits is not None else None

    def _settled(self, request: PortalRequest) -> Page:
        return self._desk.show(request, access.settled)


def amounts_of(quota: Quota) -> tuple[int, ...]:
    """How much more may be given of a quota at a time, the least first."""
    return tuple(dict.fromkeys(max(1, quota.allowed // part) for part in PARTS))
