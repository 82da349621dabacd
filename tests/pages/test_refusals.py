"""The last refusals: everyone's own, and never more than there is room for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.erasure import Erasure
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.refusals import LIFE_SECONDS, MAX_REFERENCES, Refusals
from corpproxy.policy.model import Effect
from tests.pages.samples import AMIR, ANNA, NOW, decision, occasion
from tests.support.rows import rows, tabular


@tabular
class RefusalsTests(SynchronousTestCase):
    """What is kept, for whom, how long."""

    def test_own(self):
        """A person finds the own refusals, the last one first, and nobody else's."""
        refusals = Refusals()
        refusals.add(decision(), occasion("a.example", reference="r1"))
        refusals.add(decision(), occasion("b.example", reference="r2"))
        refusals.add(decision(), occasion("c.example", reference="r3", identity=ANNA))
        self.assertEqual([one.host for one in refusals.of(AMIR, "", NOW)], ["b.example", "a.example"])
        self.assertEqual([one.host for one in refusals.of(ANNA, "", NOW)], ["c.example"])
        self.assertIsNotNone(refusals.get("r1", AMIR, "", NOW))
        self.assertIsNone(refusals.get("r1", ANNA, "", NOW))
        self.assertIsNone(refusals.get("r4", AMIR, "", NOW))

    def test_by_address(self):
        """Where nobody signed in, the client address stands for the person."""
        refusals = Refusals()
        refusals.add(decision(), occasion(identity=ANONYMOUS, reference="r1"))
        self.assertEqual(len(refusals.of(ANONYMOUS, "10.1.2.3", NOW)), 1)
        self.assertEqual(refusals.of(ANONYMOUS, "10.1.2.4", NOW), ())
        self.assertEqual(refusals.of(AMIR, "10.1.2.3", NOW), ())

    def test_name_that_looks_like_an_address(self):
        """A user called like an address does not see the refusals of that address."""
        refusals = Refusals()
        refusals.add(decision(), occasion(identity=ANONYMOUS))
        self.assertEqual(refusals.of(Identity("10.1.2.3"), "10.1.2.3", NOW), ())

    def test_repeated(self):
        """What is refused again is one entry with a count; the earlier references still lead to it."""
        refusals = Refusals()
        for number in range(20):
            refusals.add(decision(), occasion(reference=f"r{number}", at=NOW + number))
        (only,) = refusals.of(AMIR, "", NOW + 20)
        self.assertEqual((only.count, only.reference, only.at), (20, "r19", NOW + 19))
        self.assertEqual(refusals.get(f"r{20 - MAX_REFERENCES}", AMIR, "", NOW + 20), only)
        self.assertIsNone(refusals.get("r0", AMIR, "", NOW + 20))

    def test_forgotten(self):
        """After a day only the record still has it."""
        refusals = Refusals()
        refusals.add(decision(), occasion(reference="r1"))
        self.assertEqual(len(refusals.of(AMIR, "", NOW + LIFE_SECONDS - 1)), 1)
        self.assertEqual(refusals.of(AMIR, "", NOW + LIFE_SECONDS), ())
        self.assertIsNone(refusals.get("r1", AMIR, "", NOW + LIFE_SECONDS))

    @rows(
        person=(Erasure(user="amir", until=NOW + 1), ["later.test"], 1),
        device=(Erasure(client="10.1.2.3", until=NOW + 1), ["later.test", "games.test"], 0),
        host=(Erasure(host="games.test", until=NOW + 1), ["later.test"], 0),
        other=(Erasure(user="anna"), ["later.test", "games.test"], 1),
    )
    def test_erased(self, erasure, hosts, of_address):
        """A person, a device or a host that is erased is not shown any more; what came later is."""
        refusals = Refusals()
        refusals.add(decision(), occasion("games.test", reference="r1"))
        refusals.add(decision(), occasion("later.test", reference="r2", at=NOW + 1))
        refusals.add(decision(), occasion("games.test", identity=ANONYMOUS))
        refusals.forget(erasure)
        self.assertEqual([one.host for one in refusals.of(AMIR, "", NOW + 1)], hosts)
        self.assertEqual(len(refusals.of(ANONYMOUS, "10.1.2.3", NOW)), of_address)
        self.assertEqual(len(refusals), len(hosts) + of_address)

    def test_clock_set_back(self):
        """A clock that was set back hides nothing."""
        refusals = Refusals()
        refusals.add(decision(), occasion())
        self.assertEqual(len(refusals.of(AMIR, "", NOW - 86_400)), 1)

    def test_no_refusal(self):
        """What was allowed, and what had no destination, is not kept."""
        refusals = Refusals()
        refusals.add(decision(Effect.ALLOW), occasion())
        refusals.add(decision(), Occasion("r1", NOW, identity=AMIR))
        self.assertEqual(len(refusals), 0)

    def test_warning(self):
        """Only a warning can be confirmed later."""
        refusals = Refusals()
        refusals.add(decision(Effect.WARN, warn_seconds=600), occasion("a.example", ""))
        refusals.add(decision(Effect.BLOCK), occasion("b.example", ""))
        block, warn = refusals.of(AMIR, "", NOW)
        self.assertIsNone(block.warning)
        self.assertEqual((warn.warning.host, warn.warning.seconds), ("a.example", 600))

    def test_query_left_out(self):
        """What a person searched for is not kept."""
        refusals = Refusals()
        refusals.add(decision(), occasion(path="/search?q=private"))
        self.assertNotIn("private", str(refusals.of(AMIR, "", NOW)[0].uri))

    def test_bounds(self):
        """The oldest entries of a person go first, then the person who was refused longest ago."""
        refusals = Refusals(max_entries=3, max_people=2, max_all=5)
        for number in range(5):
            refusals.add(decision(), occasion(f"h{number}.example"))
        self.assertEqual(
            [one.host for one in refusals.of(AMIR, "", NOW)], [f"h{n}.example" for n in (4, 3, 2)]
        )
        refusals.add(decision(), occasion(identity=ANNA))
        refusals.add(decision(), occasion(identity=Identity("carol")))
        self.assertEqual(refusals.of(AMIR, "", NOW), ())
        self.assertEqual(len(refusals), 2)

    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(Effect)), max_size=60))
    @settings(max_examples=60, deadline=None)
    def test_always_bounded(self, refused):
        """Whatever is refused to whom, the bounds hold and the count is right."""
        refusals = Refusals(max_entries=3, max_people=4, max_all=9)
        people = [Identity(f"p{number}") for number in range(7)]
        for person, host, effect in refused:
            refusals.add(decision(effect), occasion(f"h{host}.example", identity=people[person]))
        kept = [len(refusals.of(person, "", NOW)) for person in people]
        self.assertEqual(sum(kept), len(refusals))
        self.assertTrue(max(kept) <= 3 and sum(kept) <= 9 and sum(map(bool, kept)) <= 4, kept)
