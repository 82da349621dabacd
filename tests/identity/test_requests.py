"""Requests for access: kept for who asked and who decides, and never too many."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.requests import (
    KEPT_SECONDS,
    MAX_PER_PERSON,
    MAX_WAITING,
    QUIET_SECONDS,
    WAITING_SECONDS,
    AccessRequest,
    Requests,
    State,
    TooMany,
)

NOW = 1_000_000.0


def asked(n=1, who="amir", host="games.example", at=NOW, **more):
    return AccessRequest(f"id{n}", who, host, "no games", f"http://{host}/", at, **more)


class RequestsTests(SynchronousTestCase):
    """What is kept, and what is not taken."""

    def setUp(self):
        self.requests = Requests()

    def ask(self, request):
        taken = self.requests.taken(request)
        self.requests.keep(taken)
        return taken

    def test_erased(self):
        """Requests that are to be forgotten are, whether decided or not; others stay."""
        self.ask(asked(1))
        self.ask(asked(2, "beth"))
        self.requests.forget(lambda one: one.who == "amir")
        self.assertEqual([one.who for one in self.requests.all(NOW)], ["beth"])

    def test_waits(self):
        """A request waits, for those who decide and for the person, until somebody decides."""
        one, two = self.ask(asked(1)), self.ask(asked(2, who="beth", at=NOW + 5))
        self.assertEqual(self.requests.waiting(NOW + 10), (one, two))
        self.assertEqual(self.requests.of("amir", NOW + 10), (one,))
        self.requests.keep(replace(one, state=State.REFUSED, by="carol", decided_at=NOW + 20))
        self.assertEqual(self.requests.waiting(NOW + 30), (two,))
        (shown,) = self.requests.of("amir", NOW + 30)
        self.assertEqual((shown.state, shown.by), (State.REFUSED, "carol"))

    def test_asked_again(self):
        """Asking again for the same is the same request, with what its pages asked for since."""
        self.ask(asked(1, reason="chess", also=(("a.example", "no games"),)))
        again = self.ask(asked(2, at=NOW + 60, also=(("b.example", "no games"),)))
        self.assertEqual((again.id, again.at, again.reason), ("id1", NOW + 60, "chess"))
        self.assertEqual([host for host, _ in again.also], ["a.example", "b.example"])
        self.assertEqual(len(self.requests), 1)

    def test_too_many(self):
        """Who has enough requests that wait does not get one more; others do."""
        for n in range(MAX_WAITING):
            self.ask(asked(n, host=f"h{n}.example"))
        with self.assertRaises(TooMany) as raised:
            self.requests.taken(asked(99))
        self.assertEqual(raised.exception.code, "too-many-waiting")
        self.ask(asked(100, who="beth"))

    def test_refused_lately(self):
        """Who was refused may ask again after a while."""
        self.requests.keep(replace(asked(), state=State.REFUSED, decided_at=NOW))
        with self.assertRaises(TooMany) as raised:
            self.requests.taken(asked(2, at=NOW + QUIET_SECONDS - 1))
        self.assertEqual(raised.exception.code, "refused-lately")
        self.assertEqual(self.requests.taken(asked(2, at=NOW + QUIET_SECONDS)).id, "id2")

    def test_forgotten(self):
        """What nobody looked at is forgotten after a day, what was decided after a week."""
        self.ask(asked(1))
        self.requests.keep(replace(asked(2, who="beth"), state=State.GRANTED, decided_at=NOW))
        self.requests.expire(NOW + WAITING_SECONDS)
        self.assertEqual([one.id for one in self.requests.all(NOW + WAITING_SECONDS)], ["id2"])
        self.requests.expire(NOW + KEPT_SECONDS)
        self.assertEqual(len(self.requests), 0)

    def test_one_person_is_bounded(self):
        """Of one person the decided ones go first."""
        self.ask(asked(0))
        for n in range(1, MAX_PER_PERSON + 5):
            self.requests.keep(replace(asked(n), state=State.REFUSED, decided_at=NOW + n))
        kept = {one.id for one in self.requests.of("amir", NOW + 100)}
        self.assertEqual(len(kept), MAX_PER_PERSON)
        self.assertIn("id0", kept)
        self.assertNotIn("id1", kept)

    def test_all_are_bounded(self):
        """Past the limit of all the oldest go."""
        requests = Requests(limit=3)
        for n in range(5):
            requests.keep(asked(n, who=f"user{n}", at=NOW + n))
        self.assertEqual([one.id for one in requests.waiting(NOW + 9)], ["id2", "id3", "id4"])

    def test_restart(self):
        """They outlive a restart."""
        again = Requests()
        again.load([asked(1), replace(asked(2), state=State.GRANTED, decided_at=NOW - KEPT_SECONDS)], NOW)
        self.assertEqual([one.id for one in again.all(NOW)], ["id1"])
