"""
The desk of the portal: where access is asked for, given and ended.

A person asks by a form that was sealed for that person; who decides is somebody whom the policy names for
the one who asks, and each of those forms is sealed for the one who decides.  Nothing is performed here: what
must be done is an action for the road.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.destination.host import normal_host
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import ANY_RULE, GROUP, MAX_ALSO, NETWORK, Grant, Grants, grantee
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.names import normal_name
from corpproxy.identity.people import People
from corpproxy.identity.requests import MAX_REASON_CHARACTERS, AccessRequest, Requests, State, TooMany
from corpproxy.identity.settings import IdentitySettings
from corpproxy.pages import access
from corpproxy.pages.actions import Ask, DeskAction, End, Give, Let, Refuse
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.confirm import Seal, Unseal
from corpproxy.pages.forms import form_fields
from corpproxy.pages.page import Page
from corpproxy.pages.refusals import PastRefusal, Refusals
from corpproxy.pages.render import ASK_PURPOSE, ASK_SECONDS, Pages
from corpproxy.pages.sheet import Choice, Form, Sheet
from corpproxy.policy.approvals import Approvals, Party
from corpproxy.policy.limits import Limits

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

LET_PURPOSE, REFUSE_PURPOSE, END_PURPOSE = "let-through", "refuse-access", "end-grant"
SURE_PURPOSE = "let-many"
NEW_PURPOSE, MANY_PURPOSE = "let-unasked", "let-many-unasked"
FORM_SECONDS = 3600.0

_BEHIND_AUTHORITY = re.compile("[/?#]")
_PORT = re.compile(r":[0-9]*\Z")

# What those who decide choose from, as far as the policy lets them.
LIVES_SECONDS = (900, 1800, 2700, 3600, 5400, 7200, 14_400, 28_800, 86_400)

# Refusals of the same person, so long before and after the one that is asked about, belong to its pages.
NEEDED_SECONDS = 120.0


# Where nobody is known, as in a portal that is shown alone.
NOBODY = People(IdentitySettings())


@dataclass(frozen=True, slots=True)
class Access:
    """
    What the desk knows: who may let whom through, what was asked, what holds, who there is.

    ``people_now`` gives the people as the reception knows them at that moment, ``limits_now`` what they are
    held to.
    """

    approvals: Approvals = field(default_factory=Approvals)
    requests: Requests = field(default_factory=Requests)
    grants: Grants = field(default_factory=Grants)
    people_now: Callable[[], People] = lambda: NOBODY
    limits_now: Callable[[], Limits | None] = lambda: None

    @property
    def people(self) -> People:
        """Who there is."""
        return self.people_now()


class Desk:
    """Answers the requests of the portal that are about access."""

    def __init__(self, pages: Pages, refusals: Refusals, access: Access, seal: Seal, unseal: Unseal) -> None:
        self._pages = pages
        self.site = pages.site
        self._refusals = refusals
        self._access = access
        self.seal = seal
        self.unseal = unseal
        self.approvals = access.approvals
        self.requests = access.requests

    @property
    def limits(self) -> Limits | None:
        """What people are held to now."""
        return self._access.limits_now()

    # For the person who asks.

    def may_ask(self, request: PortalRequest, past: PastRefusal) -> bool:
        """Whether a person can ask for what was refused, and has not yet."""
        return (
            past.may_be_overridden
            and self.approvals.may_ask(party_of(request))
            and not self._is_asked(request, past)
        )

    def _is_asked(self, request: PortalRequest, past: PastRefusal) -> bool:
        """Whether the host is open by now, or a request for it waits."""
        host, now = normal_host(past.host), request.now
        if self._access.grants.holds(request.identity, request.client, host, past.rule, now) is not None:
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
        return self.seal(ASK_PURPOSE, {"who": who, "at": str(past.at), **values}, request.now + ASK_SECONDS)

    def own(self, request: PortalRequest) -> tuple[AccessRequest, ...]:
        """Give what a person asked for."""
        return self.requests.of(grantee(request.identity, request.client), request.now)

    def ask(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that asks."""
        fields = form_fields(request, {"token", "reason"})
        values = self.unseal(ASK_PURPOSE, fields["token"], request.now)
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
            taken = self.requests.taken(asked)
        except TooMany as many:
            return self.page(access.not_taken(self.words(request), self.site, many.code), request)
        deed = deed_of(DeedName.ASKED, request, taken.who, (taken.host,), taken.rule, why=taken.reason)
        return Ask(taken, replace(deed, request=taken.id))

    def asked(self, request: PortalRequest, done: Ask) -> Page:
        """Say that a request waits now."""
        return self.page(access.asked(self.words(request), self.site, done.request), request)

    def _needed(self, request: PortalRequest, host: str, at: float) -> tuple[tuple[str, str], ...]:
        """The hosts that refused requests of the same time named, each with the rule that refused it."""
        past = self._refusals.of(request.identity, request.client, request.now)
        needed = (
            (one.host, one.rule)
            for one in past
            if one.may_be_overridden and abs(one.at - at) <= NEEDED_SECONDS and not _is_below(one.host, host)
        )
        return tuple(dict.fromkeys(needed))[:MAX_ALSO]

    # For those who decide.

    def may_decide(self, request: PortalRequest) -> bool:
        """Whether this person may let anybody through."""
        return self.approvals.may_decide(party_of(request))

    def waiting(self, request: PortalRequest) -> tuple[AccessRequest, ...]:
        """Give the requests that this person may decide on."""
        asked = self.requests.waiting(request.now)
        return tuple(one for one in asked if self.at_most(request, one) > 0)

    def list(self, request: PortalRequest) -> Page:
        """Give the page of the requests that wait."""
        if not self.may_decide(request):
            return self.failure("page-unknown", request)
        mine = [one for one in self._access.grants.all(request.now) if _is_given_by(one, request)]
        tokens = [self.sealed(END_PURPOSE, request, one.id) for one in mine]
        sheet = access.waiting(
            self.words(request),
            self.site,
            self.waiting(request),
            tuple(zip(mine, tokens, strict=True)),
            self._unasked(request),
        )
        return self.page(sheet, request)

    def _unasked(self, request: PortalRequest) -> Form:
        """The form that lets somebody through who did not ask: a person by name, a group, a room."""
        words = self.words(request)
        wholes = [(who, access.whom(words, who)) for who in self._all_wholes(request)]
        choices = (
            Choice("whom", words.say("requests.whom"), (("", words.say("requests.new_person")), *wholes)),
            Choice("seconds", words.say("requests.how_long"), _lives(words, LIVES_SECONDS[-1])),
        )
        return access.unasked_form(words, self.site, self.sealed(NEW_PURPOSE, request, ""), choices)

    def _all_wholes(self, request: PortalRequest) -> tuple[str, ...]:
        """The groups and rooms that this person may let through as a whole."""
        approvals, people = self.approvals, self._access.people
        if approvals.at_most_whole(party_of(request)) <= 0:
            return ()
        among = set(approvals.groups_of(party_of(request)))
        members = people.members().values()
        groups = {group for mine in members if not among or among & set(mine) for group in mine}
        rooms = sorted(people.network_names)
        return (*(GROUP + one for one in sorted(groups | among)), *(NETWORK + one for one in rooms))

    def new(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that lets somebody through who did not ask."""
        fields = form_fields(request, {"token", "host", "name", "why", "whom", "seconds"})
        values = self.unseal(NEW_PURPOSE, fields["token"], request.now)
        if values.get("by") != request.identity.name or not request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        grant = self._unasked_grant(request, fields)
        if grant is None:
            return self.page(access.not_let(self.words(request), self.site), request)
        if not grant.who.startswith((GROUP, NETWORK)):
            return self._give(request, grant)
        sealed = {name: fields[name] for name in ("host", "name", "why", "whom", "seconds")}
        token = self.sealed(MANY_PURPOSE, request, "", sealed)
        sheet = access.sure(self.words(request), self.site, grant, self._count(grant), token, "many")
        return self.page(sheet, request)

    def many(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that says once more that many are let through who did not ask."""
        values = self.unseal(MANY_PURPOSE, form_fields(request, {"token"})["token"], request.now)
        if values.get("by") != request.identity.name or not request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        grant = self._unasked_grant(request, values)
        if grant is None:
            return self.page(access.not_let(self.words(request), self.site), request)
        return self._give(request, grant)

    def _unasked_grant(self, request: PortalRequest, chosen: Mapping[str, str]) -> Grant | None:
        """The grant that was chosen; None for people whom this person may not let through."""
        seconds, approvals, me = number(chosen["seconds"]), self.approvals, party_of(request)
        who, among = chosen["whom"], approvals.groups_of(me)
        if who:
            most = approvals.at_most_whole(me) if who in self._all_wholes(request) else 0.0
        else:
            who, among = normal_name(chosen["name"].strip()), ()
            known = self._access.people.identity(who) if who and ":" not in who else ANONYMOUS
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

    def one(self, request: PortalRequest) -> Page:
        """Give the page of one request."""
        found = self.requests.get(request.path.removeprefix("/requests/"))
        if found is None or self.at_most(request, found) <= 0:
            return self.failure("page-unknown", request)
        if not found.is_waiting:
            return self.page(access.settled(self.words(request), self.site), request)
        tokens = self.sealed(LET_PURPOSE, request, found.id), self.sealed(REFUSE_PURPOSE, request, found.id)
        choices = self._choices(self.words(request), request, found)
        return self.page(access.decide(self.words(request), self.site, found, tokens, choices), request)

    def let(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that lets through; before many are let through it is asked once more."""
        fields = form_fields(request, {"token", "whom", "seconds", "hosts"})
        found = self.opened(LET_PURPOSE, fields["token"], request)
        if found is None:
            return self.page(access.settled(self.words(request), self.site), request)
        grant = self._grant(request, found, fields)
        if grant.who == found.who:
            return self._let(request, found, grant)
        values = {name: fields[name] for name in ("whom", "seconds", "hosts")}
        token = self.sealed(SURE_PURPOSE, request, found.id, values)
        sheet = access.sure(self.words(request), self.site, grant, self._count(grant), token)
        return self.page(sheet, request)

    def sure(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that says once more that many are let through."""
        token = form_fields(request, {"token"})["token"]
        values = self.unseal(SURE_PURPOSE, token, request.now)
        found = self.opened(SURE_PURPOSE, token, request)
        if found is None:
            return self.page(access.settled(self.words(request), self.site), request)
        return self._let(request, found, self._grant(request, found, values))

    def refuse(self, request: PortalRequest) -> Page | DeskAction:
        """Take the form that refuses."""
        fields = form_fields(request, {"token", "answer"})
        found = self.opened(REFUSE_PURPOSE, fields["token"], request)
        if found is None:
            return self.page(access.settled(self.words(request), self.site), request)
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
        values = self.unseal(END_PURPOSE, form_fields(request, {"token"})["token"], request.now)
        if values.get("by") != request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        grant = self._access.grants.get(values["id"])
        if grant is None or not _is_given_by(grant, request):
            return self.page(access.settled(self.words(request), self.site), request)
        deed = deed_of(DeedName.ENDED, request, grant.who, grant.hosts, grant.rule, why=grant.why)
        return End(grant, replace(deed, grant=grant.id))

    def let_through(self, request: PortalRequest, done: Let | Give) -> Page:
        """Say who is let through."""
        return self.page(access.given(self.words(request), self.site, done.grant), request)

    def refused(self, request: PortalRequest, done: Refuse) -> Page:
        """Say that a request is refused."""
        return self.page(access.refused(self.words(request), self.site, done.request), request)

    def ended(self, request: PortalRequest, done: End) -> Page:
        """Say that a grant is over."""
        return self.page(access.ended(self.words(request), self.site, done.grant), request)

    # What is chosen, and what that means.

    def at_most(self, request: PortalRequest, asked: AccessRequest) -> float:
        """For how long somebody may let the person of a request through; 0 for not at all."""
        return self.approvals.at_most(party_of(request), asker(asked))

    def _wholes(self, request: PortalRequest, asked: AccessRequest) -> tuple[str, ...]:
        """The groups and rooms of the person who asks that may be let through as a whole."""
        if self.approvals.among(party_of(request), asker(asked)) is None:
            return ()
        rooms = self._access.people.networks_of(asked.client)
        return (*(GROUP + group for group in asked.groups), *(NETWORK + room for room in rooms))

    def _choices(self, words: Catalogue, request: PortalRequest, asked: AccessRequest) -> tuple[Choice, ...]:
        whole = [(who, access.whom(words, who)) for who in self._wholes(request, asked)]
        most = self.at_most(request, asked)
        hosts = [("alone", words.say("requests.alone"))]
        if asked.also:
            hosts.insert(0, ("also", words.say("requests.with")))
        return (
            Choice("whom", words.say("requests.whom"), ((asked.who, access.whom(words, asked.who)), *whole)),
            Choice("seconds", words.say("requests.how_long"), _lives(words, most)),
            Choice("hosts", words.say("requests.what"), tuple(hosts)),
        )

    def _grant(self, request: PortalRequest, asked: AccessRequest, chosen: Mapping[str, str]) -> Grant:
        """The grant that was chosen; `BadForm` for a choice that was not offered."""
        who, seconds = chosen["whom"], number(chosen["seconds"])
        if not 0 < seconds <= self.at_most(request, asked):
            raise BadForm("form-forged", "it was not offered for so long")
        among: tuple[str, ...] = ()
        if who != asked.who:
            if who not in self._wholes(request, asked):
                raise BadForm("form-forged", "it was not offered for these people")
            among = self.approvals.among(party_of(request), asker(asked)) or ()
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

    def _count(self, grant: Grant) -> int:
        """How many people are known whom a grant for a group lets through; 0 for a room."""
        kind, _, name = grant.who.partition(":")
        if kind + ":" != GROUP:
            return 0
        among = set(grant.among)
        members = self._access.people.members().values()
        return sum(name in groups and (not among or bool(among & set(groups))) for groups in members)

    def opened(self, purpose: str, token: str, request: PortalRequest) -> AccessRequest | None:
        """The request behind a form, None when it does not wait any more."""
        values = self.unseal(purpose, token, request.now)
        if values.get("by") != request.identity.name or not request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        found = self.requests.get(values["id"])
        if found is None or not found.is_waiting or self.at_most(request, found) <= 0:
            return None
        return found

    def sealed(
        self, purpose: str, request: PortalRequest, id: str, more: Mapping[str, str] | None = None
    ) -> str:
        """Give the token of a form for the one who decides."""
        values = {"by": request.identity.name, "id": id, **(more or {})}
        return self.seal(purpose, values, request.now + FORM_SECONDS)

    def words(self, request: PortalRequest) -> Catalogue:
        """The words for whoever asks."""
        return self._pages.words(request.audience)

    def page(self, sheet: Sheet, request: PortalRequest) -> Page:
        """Give a sheet as a page for whoever asks."""
        return self._pages.page(sheet, request.audience)

    def failure(self, code: str, request: PortalRequest) -> Page:
        """Give the page of a failure."""
        return self._pages.failure(code, request.occasion, request.audience)


def _lives(words: Catalogue, most: float) -> tuple[tuple[str, str], ...]:
    """For how long, as far as the policy goes."""
    lives = [seconds for seconds in LIVES_SECONDS if seconds <= most] or [int(most)]
    return tuple((str(seconds), words.duration(seconds)) for seconds in lives)


def number(written: str) -> int:
    """The number that a form sends; 0 for what is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 17 else 0


def _host_of(written: str) -> str:
    """The host that somebody typed, or copied with the rest of its address; ProtocolError for none."""
    authority = _BEHIND_AUTHORITY.split(written.strip().rpartition("://")[2])[0]
    if authority.startswith("[") or authority.count(":") == 1:
        authority = _PORT.sub("", authority)
    return normal_host(authority).name


def party_of(request: PortalRequest) -> Party:
    """Whoever asks for a page, as approvals look at them."""
    return Party(request.identity, request.client, request.listener)


def asker(asked: AccessRequest) -> Party:
    name = "" if ":" in asked.who else asked.who
    return Party(Identity(name, asked.groups), asked.client, asked.listener)


def _is_given_by(grant: Grant, request: PortalRequest) -> bool:
    return grant.given_by == request.identity.name


def _is_below(host: str, above: str) -> bool:
    return host == above or host.endswith("." + above)


def deed_of(
    name: DeedName, request: PortalRequest, whom: str, hosts: tuple[str, ...], rule: str, *, why: str
) -> Deed:
    """The deed of whoever asks for a page."""
    identity = request.identity
    return Deed(
        name,
        request.now,
        identity.name,
        whom,
        hosts,
        rule,
        why=why,
        source=identity.source,
        groups=identity.groups,
        client=request.client,
    )
