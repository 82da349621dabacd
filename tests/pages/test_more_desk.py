"""More of a quota on the portal: who may ask, what is offered, which forms are taken, and from whom."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.deeds import DeedName
from corpproxy.identity.requests import MAX_WAITING, State
from corpproxy.pages.actions import Ask, GiveMore, Refuse
from corpproxy.pages.holdings import Holding
from corpproxy.pages.more_desk import amounts_of
from corpproxy.pages.page import Page
from corpproxy.pages.portal import Portal, PortalRequest
from corpproxy.policy.approvals import Approval, Approvals
from corpproxy.policy.conditions import Who
from corpproxy.policy.limits import Applied, Limit, Limits, Per
from corpproxy.policy.quota import Every, Quota, Standing, Standings
from tests.pages.samples import (
    ANNA,
    BETH,
    DAYS,
    NOW,
    PUPIL,
    access,
    holding_portal,
    more_request,
    request,
    sent,
    token_of,
)
from tests.support.rows import rows, tabular

MIB = 1 << 20
FILMS = Limit("films", quota=Quota(minutes=30, every=Every.DAY))
CLASS = Limit("films", quota=Quota(minutes=30, every=Every.DAY), per=Per.GROUP)
EVERYBODYS = Limit("films", quota=Quota(minutes=30, every=Every.DAY), per=Per.SITE)
UNTIL = NOW + 62_100


def held(limit: Limit = FILMS, used: float = 30, allowed: float = 30, whom: str = "amir") -> Holding:
    """A quota of which so much is used."""
    return Holding(Applied(limit, whom, is_spent=used >= allowed), Standing(used, allowed, UNTIL))


class MoreCase(SynchronousTestCase):
    """A portal where Amir has used up the quota of films."""

    def portal(self, *holdings: Holding, asked=()):
        standings = Standings()
        standings.take({("films", "amir"): Standing(30, 30, UNTIL)})
        known = replace(access(*asked), limits_now=lambda: Limits([FILMS], standings=standings))
        return holding_portal(*holdings, access=known)

    def start(self, *holdings: Holding, identity=PUPIL, asked=()) -> Page:
        """The start page of somebody."""
        return self.portal(*holdings, asked=asked).start(request(identity=identity), DAYS)


@tabular
class AskTests(MoreCase):
    """Asking."""

    @rows(
        spent=(held(), True),
        nearly=(held(used=25), True),
        enough=(held(used=10), False),
        unknown=(held(used=0, allowed=0), False),
        device=(held(Limit("films", quota=Quota(minutes=30), per=Per.DEVICE), whom="10.1.2.3"), True),
        a_class=(held(CLASS, whom="9b"), True),
        a_room=(held(Limit("films", quota=Quota(minutes=30), per=Per.NETWORK), whom="lab"), True),
        everybody=(held(EVERYBODYS, whom=""), False),
        rate=(Holding(Applied(Limit("line", download=MIB), "amir")), False),
    )
    def test_offered(self, holding, offered):
        """
        Of a quota of which little is left more can be asked for, where somebody could give it.

        More of what everybody has together nobody gives whom the policy names for pupils alone.
        """
        self.assertEqual(b"/ask-more" in self.start(holding).content, offered)

    def test_nobody_to_ask(self):
        """Whom nobody may let through is not offered to ask."""
        self.assertNotIn(b"/ask-more", self.start(held(), identity=ANNA).content)

    def test_not_here(self):
        """The card of a quota that everybody has together says why more of it is not asked for."""
        self.assertIn(b"Nobody can give more of it here", self.start(held(EVERYBODYS, whom="")).content)
        self.assertNotIn(b"Nobody can give more", self.start(held(EVERYBODYS, used=3, whom="")).content)

    def test_for_all(self):
        """Before somebody asks for more of what a class has, the form says that it is for all of it."""
        html = self.start(held(CLASS, whom="9b")).content.decode()
        self.assertIn("It is for everybody in the group 9b, not for one alone.", html)

    def test_asked_by_another(self):
        """What one of a class asked for, the others need not ask for as well, and are told."""
        asked = more_request(who="dan", member="9b")
        html = self.start(held(CLASS, whom="9b"), asked=[asked]).content.decode()
        self.assertNotIn("/ask-more", html)
        self.assertIn("Somebody has asked for more of it already.", html)

    def test_waiting(self):
        """What was asked for is not offered again, and the page says that it waits."""
        page = self.start(held(), asked=[more_request()])
        self.assertNotIn(b"/ask-more", page.content)
        self.assertIn("More of “films”", page.content.decode())
        self.assertIn(b"Waits for an answer", page.content)

    def ask(self, portal, holding=None, **more) -> Ask | Page:
        page = portal.start(request(identity=PUPIL), DAYS)
        form = {"token": token_of(page, "/ask-more"), "reason": " A project. "}
        return portal.answer(sent("/ask-more", form, **{"identity": PUPIL, **more}))

    def test_asked(self):
        """The request names the quota and whose it is, and is recorded as asked."""
        portal = self.portal(held())
        done = self.ask(portal)
        self.assertIsInstance(done, Ask)
        asked, deed = done.request, done.deed
        self.assertEqual(
            (asked.limit, asked.member, asked.host, asked.reason), ("films", "amir", "", "A project.")
        )
        self.assertEqual((deed.name, deed.whom, deed.rule), (DeedName.QUOTA_ASKED, "amir", "films"))
        self.assertEqual(deed.request, asked.id)
        told = portal.more.asked(request(identity=PUPIL), done).content.decode()
        self.assertIn("more of “films” sees it now", told)

    def test_not_theirs(self):
        """A form that was shown to somebody else asks for nothing."""
        self.assertEqual(self.ask(self.portal(held()), identity=BETH).status, 403)

    def test_gone(self):
        """A quota that holds no more, because the policy changed, is nothing to ask for."""
        holdings = [held()]
        portal = holding_portal(access=access())
        portal.more._holdings = lambda *asked: tuple(holdings)
        portal._holdings = portal.more._holdings
        page = portal.start(request(identity=PUPIL), DAYS)
        holdings.clear()
        form = {"token": token_of(page, "/ask-more"), "reason": ""}
        self.assertEqual(portal.answer(sent("/ask-more", form, identity=PUPIL)).status, 409)

    def test_too_many(self):
        """Who has many requests that wait asks for no more."""
        waiting = [more_request(id=f"{number}", limit=f"other {number}") for number in range(MAX_WAITING)]
        self.assertEqual(self.ask(self.portal(held(), asked=waiting)).status, 429)

    def test_refused_lately(self):
        """Who was refused just now asks later."""
        no = more_request(state=State.REFUSED, by="beth", decided_at=NOW - 60)
        self.assertEqual(self.ask(self.portal(held(), asked=[no])).status, 429)


class TogetherTests(MoreCase):
    """Deciding on more of a quota that many have together."""

    def site(self, limit: Limit, member: str, *, for_all: bool = False) -> Portal:
        standings = Standings()
        standings.take({("films", member): Standing(30, 30, UNTIL)})
        known = access(more_request(member=member))
        approvals = Approvals([Approval(Who(group=("teachers",)))]) if for_all else known.approvals
        limits = Limits([limit], standings=standings)
        return holding_portal(access=replace(known, approvals=approvals, limits_now=lambda: limits))

    def decide(self, site: Portal) -> Page:
        page = site.answer(request(f"/requests/{more_request().id}", identity=BETH))
        self.assertIsInstance(page, Page)
        return page

    def test_class(self):
        """Who may let pupils through gives more to a class; the page says to whom, and so does the record."""
        site = self.site(CLASS, "9b")
        page = self.decide(site)
        self.assertIn("It is for everybody in the group 9b, not for one alone.", page.content.decode())
        form = {"token": token_of(page, "/requests/more"), "amount": "15"}
        done = site.answer(sent("/requests/more", form, identity=BETH))
        self.assertEqual((done.limit, done.whom, done.more, done.deed.whom), ("films", "9b", 15, "9b"))
        told = site.more.given(request(identity=BETH), done, is_there=True).content.decode()
        self.assertIn("until 24 November 2026, 04:00: everybody in the group 9b.", told)

    def test_everybody(self):
        """More of what everybody has is for those who may let everybody through, and for no others."""
        self.assertEqual(self.decide(self.site(EVERYBODYS, "")).status, 404)
        page = self.decide(self.site(EVERYBODYS, "", for_all=True))
        self.assertIn("It is for everybody here, not for one alone.", page.content.decode())

    def test_one_by_one(self):
        """Who may let single persons through gives nothing to their class."""
        by_name = Approvals([Approval(Who(group=("teachers",)), Who(user=("amir",)))])
        known = replace(access(more_request(member="9b")), approvals=by_name)
        site = holding_portal(access=replace(known, limits_now=lambda: Limits([CLASS])))
        self.assertEqual(self.decide(site).status, 404)


@tabular
class DecideTests(MoreCase):
    """Deciding."""

    def setUp(self):
        self.asked = more_request()
        self.site = self.portal(asked=[self.asked])

    def answer(self, made: PortalRequest) -> object:
        return self.site.answer(made)

    def page(self, identity=BETH) -> Page:
        page = self.answer(request(f"/requests/{self.asked.id}", identity=identity))
        self.assertIsInstance(page, Page)
        return page

    def give(self, amount: str = "15", identity=BETH) -> object:
        form = {"token": token_of(self.page(), "/requests/more"), "amount": amount}
        return self.answer(sent("/requests/more", form, identity=identity))

    def test_listed(self):
        """The teacher finds it among the requests that wait."""
        listed = self.answer(request("/requests", identity=BETH)).content.decode()
        self.assertIn("More of “films”", listed)
        self.assertIn(f"/requests/{self.asked.id}", listed)

    def test_page(self):
        """The page says who, why and how much is used, and offers parts of what the policy gives."""
        html = self.page().content.decode()
        for told in ("amir asks for more of “films”", "30 min of 30 min", "A film about bees"):
            self.assertIn(told, html)
        for value, text in ((7, "7 min"), (15, "15 min"), (30, "30 min")):
            self.assertIn(f'<option value="{value}">{text}</option>', html)

    def test_given(self):
        """What is given is what `quota grant` gives, until the quota is new again, and is recorded."""
        done = self.give()
        self.assertIsInstance(done, GiveMore)
        self.assertEqual((done.limit, done.whom, done.more), ("films", "amir", 15))
        settled = done.request
        self.assertEqual((settled.state, settled.by, settled.more), (State.GRANTED, "beth", 15.0))
        self.assertEqual(settled.until, FILMS.quota.ends(NOW))
        deed = done.deed
        self.assertEqual((deed.name, deed.whom, deed.rule), (DeedName.QUOTA_GRANTED, "amir", "films"))
        self.assertEqual((deed.why, deed.request), ("15 min: A film about bees.", self.asked.id))
        told = self.site.more.given(request(identity=BETH), done, is_there=True).content.decode()
        self.assertIn("15 min more of “films” until 24 November 2026, 04:00: amir.", told)
        self.assertEqual(self.site.more.given(request(identity=BETH), done, is_there=False).status, 409)

    @rows(more=("31",), less=("1",), nothing=("",), word=("all",))
    def test_not_offered(self, amount):
        """An amount that was not offered is not given."""
        self.assertEqual(self.give(amount).status, 403)

    def test_not_theirs(self):
        """Who may not decide finds nothing, and gives nothing with another's form."""
        self.assertEqual(self.page(ANNA).status, 404)
        self.assertEqual(self.give(identity=ANNA).status, 403)

    def test_refused(self):
        """A refusal is recorded as one about the quota, and the person reads the words."""
        form = {"token": token_of(self.page(), "/requests/refuse"), "answer": "Tomorrow."}
        done = self.answer(sent("/requests/refuse", form, identity=BETH))
        self.assertIsInstance(done, Refuse)
        deed = done.deed
        self.assertEqual((deed.name, deed.whom, deed.rule), (DeedName.QUOTA_REFUSED, "amir", "films"))
        self.assertEqual((deed.hosts, done.request.answer), ((), "Tomorrow."))
        told = self.site.deciding.refused(request(identity=BETH), done).content.decode()
        self.assertIn("More of “films”", told)

    def test_settled(self):
        """What somebody else decided on already is not given a second time."""
        token = token_of(self.page(), "/requests/more")
        self.site.desk.requests.keep(replace(self.asked, state=State.GRANTED, by="carol", decided_at=NOW))
        form = {"token": token, "amount": "15"}
        self.assertEqual(self.answer(sent("/requests/more", form, identity=BETH)).status, 409)

    def test_no_such_quota(self):
        """A quota that the policy has no more is not given."""
        asked = more_request(limit="gone")
        self.site.desk.requests.keep(asked)
        self.assertEqual(self.answer(request(f"/requests/{asked.id}", identity=BETH)).status, 409)

    @rows(
        minutes=(Quota(minutes=30), (7, 15, 30)),
        few=(Quota(minutes=1), (1,)),
        volume=(Quota(2 << 30), (1 << 29, 1 << 30, 1 << 31)),
    )
    def test_amounts(self, quota, amounts):
        """A quarter, half, or as much again as the policy gives."""
        self.assertEqual(amounts_of(quota), amounts)
