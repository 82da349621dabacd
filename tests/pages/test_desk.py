"""The desk of the portal: what is offered, which forms are taken, and from whom."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.deeds import DeedName
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.requests import State
from corpproxy.pages.actions import Ask, End, Give, Let, Refuse
from corpproxy.pages.asking_desk import NEEDED_SECONDS
from corpproxy.pages.desk import FORM_SECONDS
from corpproxy.pages.page import Page
from corpproxy.pages.refusals import Refusals
from tests.pages.samples import (
    BETH,
    NOW,
    PUPIL,
    access,
    access_portal,
    access_request,
    decision,
    occasion,
    request,
    sent,
    token_of,
)
from tests.support.rows import rows, tabular

CAROL = Identity("carol", ("teachers",))
BLOCKED = replace(decision(), may_be_overridden=True)


class DeskCase(SynchronousTestCase):
    """A portal where Amir asked for something."""

    def setUp(self):
        self.known = access(access_request())
        self.refusals = Refusals()
        self.portal = access_portal(self.known, self.refusals)

    def get(self, path, identity=BETH, **more):
        return self.portal.answer(request(path, identity=identity, **more))

    def post(self, path, fields, identity=BETH, **more):
        return self.portal.answer(sent(path, fields, identity=identity, **more))

    def let_token(self):
        return token_of(self.get("/requests/0nk4x7a2k40050"), "/requests/let")

    def chosen(self, **more):
        return {"token": self.let_token(), "whom": "amir", "seconds": "3600", "hosts": "alone", **more}

    def refused(self, path, fields, status=403, **more):
        page = self.post(path, fields, **more)
        self.assertIsInstance(page, Page)
        self.assertEqual(page.status, status, page.content)


class AskTests(DeskCase):
    """Asking."""

    def refuse(self, host, seconds=0.0, **more):
        self.refusals.add(
            replace(BLOCKED, **more), occasion(host, identity=PUPIL, at=NOW + seconds, reference=f"ref{host}")
        )

    def ask(self, **more):
        token = token_of(self.get("/", PUPIL), "/ask")
        return self.post("/ask", {"token": token, "reason": " homework ", **more}, PUPIL)

    def test_asked(self):
        """The request has who, what, why, and what it was refused by; asking is recorded."""
        self.refuse("maps.example")
        done = self.ask()
        self.assertIsInstance(done, Ask)
        asked = done.request
        self.assertEqual((asked.who, asked.host, asked.reason), ("amir", "maps.example", "homework"))
        self.assertEqual((asked.rule, asked.groups), ("games wait until after lessons", ("9b", "pupils")))
        self.assertEqual(
            (done.deed.name, done.deed.by, done.deed.request), (DeedName.ASKED, "amir", asked.id)
        )

    def test_what_its_pages_need(self):
        """Hosts that the same person was refused around that time go with it; no others do."""
        self.refuse("cdn.example", 5.0)
        self.refuse("never.example", 6.0, may_be_overridden=False)
        self.refuse("later.example", NEEDED_SECONDS + 8)
        self.refusals.add(BLOCKED, occasion("other.example", identity=CAROL, at=NOW))
        self.refuse("img.maps.example", 2.0)
        self.refuse("maps.example", 3.0)
        token = token_of(self.get("/why/refmaps.example", PUPIL), "/ask")
        done = self.post("/ask", {"token": token, "reason": "x"}, PUPIL)
        self.assertEqual(done.request.also, (("cdn.example", "games wait until after lessons"),))

    def test_somebody_else(self):
        """A form that was shown to somebody else is not taken."""
        self.refuse("maps.example")
        token = token_of(self.get("/", PUPIL), "/ask")
        dan = Identity("dan", ("pupils",))
        self.refused("/ask", {"token": token, "reason": "x"}, identity=dan)

    def test_not_offered(self):
        """Nobody is offered what nobody could grant."""
        self.refuse("maps.example", may_be_overridden=False)
        self.assertNotIn(b"/ask", self.get("/", PUPIL).content)
        self.refusals.add(BLOCKED, occasion("maps.example", identity=CAROL))
        self.assertNotIn(b'/ask"', self.get("/", CAROL).content)

    def test_asked_already(self):
        """What waits for an answer, and what is open by now, is not offered again."""
        self.refuse("maps.example")
        asked = self.ask().request
        self.known.requests.keep(asked)
        self.assertNotIn(b'/ask"', self.get("/", PUPIL).content)
        self.known.requests.keep(replace(asked, state=State.REFUSED, decided_at=NOW))
        self.assertIn(b'/ask"', self.get("/", PUPIL).content)
        self.known.grants.add(Grant("amir", "maps.example", asked.rule, NOW + 60, "beth", "x"))
        self.assertNotIn(b'/ask"', self.get("/", PUPIL).content)

    def test_too_many(self):
        """Who has enough requests that wait is told so, and the status says it."""
        for number in range(5):
            self.known.requests.keep(access_request(id=f"id{number}", host=f"h{number}.example"))
        self.refuse("maps.example")
        page = self.ask()
        self.assertEqual(page.status, 429)
        self.assertIn(b"as many requests", page.content)

    def test_unknown_person(self):
        """On the portal's own listener nobody is known, and nobody asks or decides."""
        for path in ("/ask", "/requests", "/requests/0nk4x7a2k40050"):
            self.assertEqual(self.get(path, ANONYMOUS, via_proxy=False).status, 403)


@tabular
class DecideTests(DeskCase):
    """Deciding."""

    def test_person(self):
        """One person is let through at once; the request and the record say by whom."""
        done = self.post("/requests/let", self.chosen())
        self.assertIsInstance(done, Let)
        grant = done.grant
        self.assertEqual(
            (grant.who, grant.host, grant.rule, grant.until, grant.given_by, grant.also, grant.among),
            ("amir", "www.chess.example", "games wait until after lessons", NOW + 3600, "beth", (), ()),
        )
        self.assertEqual(
            (done.request.state, done.request.by, done.request.grant), (State.GRANTED, "beth", grant.id)
        )
        self.assertEqual((done.deed.name, done.deed.by, done.deed.whom), (DeedName.GIVEN, "beth", "amir"))

    def test_with_what_it_needs(self):
        """What its pages asked for goes with it where that is chosen."""
        done = self.post("/requests/let", self.chosen(hosts="also"))
        self.assertEqual(done.grant.hosts, ("www.chess.example", "cdn.chess.example.net", "fonts.example"))

    @rows(
        group=("group:9b", b"2 people"),
        pupils=("group:pupils", b"3 people"),
        room=("network:lab 1", b"is not known"),
    )
    def test_many(self, whom, said):
        """A class or room is let through after it is asked once more, with how many that is."""
        page = self.post("/requests/let", self.chosen(whom=whom))
        self.assertIsInstance(page, Page)
        self.assertIn(said, page.content)
        done = self.post("/requests/sure", {"token": token_of(page, "/requests/sure")})
        self.assertEqual((done.grant.who, done.grant.among), (whom, ("pupils",)))

    @rows(
        too_long=({"seconds": "7201"}, 403),
        no_time=({"seconds": "0"}, 403),
        no_number=({"seconds": "soon"}, 403),
        digits_of_others=({"seconds": "٣٦٠٠"}, 403),
        other_group=({"whom": "group:teachers"}, 403),
        other_room=({"whom": "network:hall"}, 403),
        other_person=({"whom": "dan"}, 403),
        forged=({"token": "x.y"}, 403),
    )
    def test_not_offered(self, fields, status):
        """What was not offered is not given."""
        self.refused("/requests/let", self.chosen(**fields), status)

    @rows(
        pupil=(PUPIL,),
        other_teacher=(CAROL,),
        nobody=(ANONYMOUS,),
    )
    def test_somebody_else(self, identity):
        """A form is taken from whom it was shown to."""
        self.refused("/requests/let", self.chosen(), identity=identity)

    def test_too_late(self):
        """A form that lay open for too long is not taken, and what was decided is not decided again."""
        fields = self.chosen()
        self.refused("/requests/let", fields, now=NOW + FORM_SECONDS)
        self.known.requests.keep(access_request(state=State.REFUSED, by="carol", decided_at=NOW))
        self.refused("/requests/let", fields, 409)

    def test_not_theirs(self):
        """Pupils find no such pages, and a teacher none of requests that are not for teachers to decide."""
        for path in ("/requests", "/requests/0nk4x7a2k40050"):
            self.assertEqual(self.get(path, PUPIL).status, 404)
        self.known.requests.keep(access_request(id="of a teacher", who="carol", groups=("teachers",)))
        self.assertEqual(self.get("/requests/of%20a%20teacher").status, 404)
        self.assertNotIn(b"carol", self.get("/requests").content)

    def test_refused(self):
        """A request is refused with a sentence for the person."""
        token = token_of(self.get("/requests/0nk4x7a2k40050"), "/requests/refuse")
        done = self.post("/requests/refuse", {"token": token, "answer": "After the lesson."})
        self.assertIsInstance(done, Refuse)
        self.assertEqual((done.request.state, done.request.answer), (State.REFUSED, "After the lesson."))
        self.assertEqual((done.deed.name, done.deed.why), (DeedName.REFUSED, "After the lesson."))

    def test_ended(self):
        """Who let somebody through ends it again; nobody else finds the button, or may use it."""
        self.known.grants.add(Grant("amir", "www.chess.example", "r", NOW + 60, "beth", "club", "one"))
        token = token_of(self.get("/requests"), "/requests/end")
        self.assertNotIn(b"/requests/end", self.get("/requests", CAROL).content)
        self.refused("/requests/end", {"token": token}, identity=CAROL)
        done = self.post("/requests/end", {"token": token})
        self.assertIsInstance(done, End)
        self.assertEqual((done.grant.id, done.deed.name, done.deed.by), ("one", DeedName.ENDED, "beth"))
        self.known.grants.end("one")
        self.refused("/requests/end", {"token": token}, 409)


@tabular
class UnaskedTests(DeskCase):
    """Letting somebody through who did not ask: the override."""

    def fields(self, **more):
        token = token_of(self.get("/requests"), "/requests/new")
        chosen = {"host": "maps.example", "name": "amir", "why": "geography", "whom": "", "seconds": "1800"}
        return {"token": token, **chosen, **more}

    @rows(
        name=("maps.example",), address=("https://maps.example:8443/world?x=1",), written=(" Maps.Example ",)
    )
    def test_person(self, written):
        """A person by name, at a host as people write it, past whatever may be overridden."""
        done = self.post("/requests/new", self.fields(host=written))
        self.assertIsInstance(done, Give)
        grant = done.grant
        self.assertEqual(
            (grant.who, grant.host, grant.rule, grant.until), ("amir", "maps.example", "", NOW + 1800)
        )
        self.assertEqual((grant.given_by, grant.why, done.deed.name), ("beth", "geography", DeedName.GIVEN))

    @rows(
        group=("group:9b", b"2 people"),
        room=("network:lab 1", b"is not known"),
    )
    def test_many(self, whom, said):
        """A class or a room, after it is asked once more, and pupils alone."""
        page = self.post("/requests/new", self.fields(whom=whom))
        self.assertIn(said, page.content)
        done = self.post("/requests/many", {"token": token_of(page, "/requests/many")})
        self.assertEqual((done.grant.who, done.grant.among), (whom, ("pupils",)))

    def test_at_most(self):
        """What is chosen for longer than the policy says lasts as long as it says."""
        self.assertEqual(self.post("/requests/new", self.fields(seconds="86400")).grant.until, NOW + 7200)

    @rows(
        teacher=({"name": "carol"}, 403),
        unknown=({"name": "zoe"}, 403),
        nobody=({"name": " "}, 403),
        group_as_name=({"name": "group:9b"}, 403),
        other_group=({"whom": "group:teachers"}, 403),
        other_room=({"whom": "network:hall"}, 403),
        no_time=({"seconds": "0"}, 403),
        no_host=({"host": "a b"}, 400),
    )
    def test_not_let(self, fields, status):
        """Nobody is let through whom the policy does not give into these hands."""
        self.refused("/requests/new", self.fields(**fields), status)

    def test_somebody_else(self):
        """The form is taken from whom it was shown to."""
        fields = self.fields()
        for identity in (CAROL, PUPIL, ANONYMOUS):
            self.refused("/requests/new", fields, identity=identity)
        page = self.post("/requests/new", self.fields(whom="group:9b"))
        self.refused("/requests/many", {"token": token_of(page, "/requests/many")}, identity=CAROL)
