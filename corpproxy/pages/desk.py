"""
The desk of the portal: where access is asked for, given and ended.

A person asks by a form that was sealed for that person (`corpproxy.pages.asking_desk`); who decides is
somebody whom the policy names for the one who asks, and each of those forms is sealed for the one who decides
(`corpproxy.pages.deciding_desk`).  Who decides may also let somebody through who did not ask
(`corpproxy.pages.unasked_desk`).  Nothing is performed at any of them: what must be done is an action for the
road.  Here is what they have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import GROUP, Grant, Grants
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.requests import AccessRequest, Requests
from corpproxy.identity.settings import IdentitySettings
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.confirm import Seal, Unseal
from corpproxy.pages.page import Page
from corpproxy.pages.render import Pages
from corpproxy.pages.sheet import Sheet
from corpproxy.pages.site import Site
from corpproxy.policy.approvals import Approvals, Party
from corpproxy.policy.limits import Limit, Limits, Per

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

REFUSE_PURPOSE = "refuse-access"
FORM_SECONDS = 3600.0
# Whose limit is one person's own, and whose is everybody's; the others are a group's or a room's.
OWN = (Per.USER, Per.DEVICE)
EVERYBODYS = (Per.SITE, Per.CATEGORY)

# What those who decide choose from, as far as the policy lets them.
LIVES_SECONDS = (900, 1800, 2700, 3600, 5400, 7200, 14_400, 28_800, 86_400)


_Told = ParamSpec("_Told")

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
    """What all desks know, and how they write a page and read a form."""

    def __init__(self, pages: Pages, access: Access, seal: Seal, unseal: Unseal) -> None:
        self._pages = pages
        self.site = pages.site
        self._access = access
        self.seal = seal
        self.unseal = unseal
        self.approvals = access.approvals
        self.requests = access.requests
        self.grants = access.grants

    @property
    def people(self) -> People:
        """Who there is now."""
        return self._access.people

    @property
    def limits(self) -> Limits | None:
        """What people are held to now."""
        return self._access.limits_now()

    def at_most(self, request: PortalRequest, asked: AccessRequest) -> float:
        """
        For how long somebody may let the person of a request through; 0 for not at all.

        More of what is counted together only those may give who may let all of them through.
        """
        party, other, limit = party_of(request), asker(asked), self.limit_of(asked)
        if limit is not None and limit.per not in OWN:
            everybody = limit.per in EVERYBODYS
            if not self.approvals.may_give_together(party, other, everybody=everybody):
                return 0.0
        return self.approvals.at_most(party, other)

    def limit_of(self, asked: AccessRequest) -> Limit | None:
        """The limit of which more was asked for; None for a request of another kind, or one that is gone."""
        if not asked.limit or self.limits is None:
            return None
        return next((one for one in self.limits.limits if one.name == asked.limit), None)

    def count(self, grant: Grant) -> int:
        """How many people are known whom a grant for a group lets through; 0 for a room."""
        kind, _, name = grant.who.partition(":")
        if kind + ":" != GROUP:
            return 0
        among = set(grant.among)
        members = self.people.members().values()
        return sum(name in groups and (not among or bool(among & set(groups))) for groups in members)

    def opened(self, purpose: str, token: str, request: PortalRequest) -> AccessRequest | None:
        """The request behind a form, None when it does not wait any more."""
        values = self.own_form(purpose, token, request)
        found = self.requests.get(values["id"])
        if found is None or not found.is_waiting or self.at_most(request, found) <= 0:
            return None
        return found

    def own_form(self, purpose: str, token: str, request: PortalRequest) -> Mapping[str, str]:
        """What was sealed into a form for the one who decides; BadForm for a form of somebody else."""
        values = self.unseal(purpose, token, request.now)
        if values.get("by") != request.identity.name or not request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        return values

    def sealed(
        self, purpose: str, request: PortalRequest, id: str, more: Mapping[str, str] | None = None
    ) -> str:
        """Give the token of a form for the one who decides."""
        values = {"by": request.identity.name, "id": id, **(more or {})}
        return self.seal(purpose, values, request.now + FORM_SECONDS)

    def words(self, request: PortalRequest) -> Catalogue:
        """The words for whoever asks."""
        return self._pages.words(request.audience)

    def show(
        self,
        request: PortalRequest,
        sheet: Callable[Concatenate[Catalogue, Site, _Told], Sheet],
        *told: _Told.args,
        **named: _Told.kwargs,
    ) -> Page:
        """Give a sheet, made of what is told and in their words, as a page for whoever asks."""
        made = sheet(self.words(request), self.site, *told, **named)
        return self._pages.page(made, request.audience)

    def failure(self, code: str, request: PortalRequest) -> Page:
        """Give the page of a failure."""
        return self._pages.failure(code, request.occasion, request.audience)


def lives(words: Catalogue, most: float) -> tuple[tuple[str, str], ...]:
    """For how long, as far as the policy goes."""
    lives = [seconds for seconds in LIVES_SECONDS if seconds <= most] or [int(most)]
    return tuple((str(seconds), words.duration(seconds)) for seconds in lives)


def number(written: str) -> int:
    """The number that a form sends; 0 for what is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 17 else 0


def party_of(request: PortalRequest) -> Party:
    """Whoever asks for a page, as approvals look at them."""
    return Party(request.identity, request.client, request.listener)


def asker(asked: AccessRequest) -> Party:
    """Whoever asked for something, as approvals look at them."""
    name = "" if ":" in asked.who else asked.who
    return Party(Identity(name, asked.groups), asked.client, asked.listener)


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
