"""Quotas added up: octets to the octet, minutes by activity, grants, resets, and what is kept."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.dividing import SLICE, finished
from corpproxy.accounting.leases import TERM_SECONDS
from corpproxy.accounting.quotas import ACTIVE_OCTETS, Asked, Quotas
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Every, Quota, Standing

NOW = 1_795_430_700.0
DAY = Limit("day", quota=Quota(volume=1000))
MINUTES = Limit("film", quota=Quota(minutes=3, every=Every.DAY))
MORE = ACTIVE_OCTETS + 1


class QuotasCase(SynchronousTestCase):
    """The quotas of a site."""

    def setUp(self):
        self.quotas = self.defined(DAY, MINUTES)

    def defined(self, *limits):
        quotas = Quotas()
        quotas.define(Limits(limits))
        return quotas

    def used(self, name="day", whom="amir", now=NOW):
        standing = self.quotas.standing(name, whom, now)
        return None if standing is None else standing.used


class LentTests(QuotasCase):
    """A volume lent to processes, each under a name of its own."""

    ALL = 1 << 20

    def setUp(self):
        self.quotas = self.defined(Limit("day", quota=Quota(volume=self.ALL)))
        self.until = self.ask("one", moved=0, until=0.0).until

    def ask(self, borrower, moved=0, wants=0, seen=1 << 40, returned=0, until=None, seconds=5.0, now=NOW):
        until = self.until if until is None else until
        asked = Asked("day", "amir", until, 0.0, seen, moved, returned, wants)
        return self.quotas.lend(borrower, asked, now, seconds)

    def spent(self):
        return self.quotas.standing("day", "amir", NOW).is_spent

    def use_up(self):
        """All is lent to one process, which moved all but crumbs and wants more."""
        for _ in range(40):
            self.ask("one", wants=self.ALL)
        self.ask("one", wants=self.ALL, moved=self.ALL - 5000)

    def test_counted(self):
        """What a process says that it moved counts once, however often it says so."""
        for moved in (300, 300, 500, 400):
            self.ask("one", moved=moved)
        self.ask("two", moved=7)
        self.assertEqual(self.used(), 507)

    def test_begins_to_count_anew(self):
        """A process that forgot what it counted, for nothing moved any more, counts on from there."""
        for moved in (300, 200, 400):
            self.ask("one", until=0.0)
            self.ask("one", moved=moved)
        self.assertEqual(self.used(), 900)
        self.assertEqual(self.ask("two", wants=self.ALL).granted, (self.ALL - 900) // 2)

    def test_elsewhere(self):
        """What was counted before, or without a loan, is not there to be lent."""
        self.quotas.count("day", "amir", self.ALL - 1000, NOW)
        self.assertEqual(self.ask("one", wants=self.ALL).granted, 1000)

    def test_other_day(self):
        """A loan of yesterday counts no more: the process is told the day that it is."""
        tomorrow = self.until + 1
        lent = self.ask("one", moved=900, now=tomorrow)
        self.assertEqual((lent.granted, lent.until > self.until), (0, True))
        self.assertEqual(self.used(now=tomorrow), 0)

    def test_reserved(self):
        """What is lent is kept as used over a crash, and told while it is out."""
        granted = self.ask("one", wants=50_000).granted
        self.ask("one", moved=10_000)
        self.assertEqual((self.used(), self.quotas.lent("day", "amir")), (10_000, granted - 10_000))
        (kept,) = self.quotas.reserved([("day", "amir")])
        self.assertEqual(kept.used, granted)
        self.assertEqual(self.quotas.lent("day", "nobody"), 0)

    def test_buried(self):
        """What a process held that died counts as used; of others nothing changes."""
        granted = self.ask("one", wants=50_000).granted
        self.ask("two", moved=5)
        for _ in self.quotas.burying("one"):
            pass
        self.assertEqual((self.used(), self.quotas.lent("day", "amir")), (granted + 5, 0))

    def test_over(self):
        """When nothing can be lent any more to who wants it, the quota is used up; more opens it again."""
        self.use_up()
        self.assertTrue(self.spent())
        self.quotas.grant("day", "amir", 5000, NOW)
        self.assertFalse(self.spent())

    def test_clock_set(self):
        """A clock that is set forward makes nobody silent: what another one holds may still come back."""
        self.ask("two", wants=self.ALL)
        for _ in range(40):
            self.ask("one", wants=self.ALL)
        self.ask("one", wants=self.ALL, moved=self.ALL // 4, now=self.until - 60)
        self.assertFalse(self.spent())
        self.ask("one", wants=self.ALL, moved=self.ALL // 2, seconds=5.0 + 2 * TERM_SECONDS)
        self.assertTrue(self.spent())

    def test_unknown(self):
        """Of a quota that is gone as much is lent as anybody wants."""
        self.quotas.define(Limits(()))
        self.assertEqual(self.ask("one", wants=500, seen=100).granted, 600)


class VolumeTests(QuotasCase):
    """Octets."""

    def test_members(self):
        """Each member has its own."""
        self.quotas.count("day", "amir", 400, NOW)
        self.quotas.count("day", "amir", 500, NOW)
        self.quotas.count("day", "beth", 1, NOW)
        self.assertEqual((self.used(), self.used(whom="beth"), self.used(whom="carol")), (900, 1, None))

    def test_begins_anew(self):
        """After its end it begins anew."""
        self.quotas.count("day", "amir", 1000, NOW)
        end = self.quotas.standing("day", "amir", NOW).until
        self.assertIsNone(self.used(now=end))
        self.quotas.count("day", "amir", 1, end)
        self.assertEqual(self.used(now=end), 1)

    def test_clock_set_back(self):
        """A clock that is set back gives nothing away."""
        self.quotas.count("day", "amir", 1000, NOW)
        self.quotas.count("day", "amir", 1, NOW - 3 * 86_400)
        self.assertEqual(self.used(now=NOW - 3 * 86_400), 1001)

    def test_unknown(self):
        """What the policy has no more is not counted."""
        self.quotas.count("old", "amir", 1, NOW)
        self.assertEqual(self.quotas.all(NOW), {})

    def test_changed(self):
        """Who stands otherwise is told once."""
        self.quotas.count("day", "amir", 1, NOW)
        self.assertEqual(list(self.quotas.changed(NOW)), [("day", "amir")])
        self.assertEqual(self.quotas.changed(NOW), {})

    def test_other_policy(self):
        """A larger quota leaves what is used."""
        self.quotas.count("day", "amir", 1000, NOW)
        self.quotas.changed(NOW)
        self.quotas.define(Limits([Limit("day", quota=Quota(volume=4000))]))
        ((_, standing),) = self.quotas.changed(NOW).items()
        self.assertEqual((standing.used, standing.allowed, standing.is_spent), (1000, 4000, False))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**12))))
    def test_sum(self, moved):
        """What stands is what moved, to the octet."""
        quotas = self.defined(DAY)
        for whom, octets in moved:
            quotas.count("day", whom, octets, NOW)
        for whom in {one for one, _ in moved}:
            due = sum(octets for one, octets in moved if one == whom)
            self.assertEqual(quotas.standing("day", whom, NOW).used, due)


class MinuteTests(QuotasCase):
    """Minutes by activity."""

    def count(self, octets, minute, second=0):
        self.quotas.count("film", "amir", octets, NOW - NOW % 60 + 60 * minute + second)

    def test_minutes(self):
        """A minute in which something moves counts once, however much and however often."""
        for second in range(0, 60, 10):
            self.count(MORE, 0, second)
        self.count(MORE, 1)
        self.assertEqual(self.used("film"), 2)

    def test_forgotten_tab(self):
        """A tab that sends a little each minute costs nothing."""
        for minute in range(200):
            self.count(2000, minute)
        self.assertEqual(self.used("film"), 0)

    def test_pauses(self):
        """Minutes need not follow each other: nothing is lost by a pause."""
        for minute in (0, 30, 90):
            self.count(MORE, minute)
        self.assertTrue(self.quotas.standing("film", "amir", NOW).is_spent)

    def test_little_by_little(self):
        """What moves in pieces in one minute counts together."""
        for second in range(0, 60, 2):
            self.count(ACTIVE_OCTETS // 20, 0, second)
        self.assertEqual(self.used("film"), 1)


class ByHandTests(QuotasCase):
    """What administrators do."""

    def test_grant(self):
        """Who is given more has it until the end, on top of the rest."""
        self.quotas.count("day", "amir", 1000, NOW)
        end = self.quotas.standing("day", "amir", NOW).until
        self.assertEqual(self.quotas.grant("day", "amir", 500, NOW), Standing(1000, 1500, end))
        self.quotas.count("day", "amir", 1, end)
        self.assertEqual(self.quotas.standing("day", "amir", end).allowed, 1000)

    def test_reset(self):
        """One member begins anew, or all."""
        for whom in ("amir", "beth"):
            self.quotas.count("day", whom, 1000, NOW)
        self.assertEqual(finished(self.quotas.resetting("day", "amir", NOW)), {"amir"})
        self.assertEqual((self.used(), self.used(whom="beth")), (0, 1000))
        self.assertEqual(finished(self.quotas.resetting("day", None, NOW)), {"amir", "beth"})
        self.assertEqual(self.used(whom="beth"), 0)

    def test_kept(self):
        """What was kept is taken up; what moved meanwhile is added, what is over is forgotten."""
        self.quotas.count("day", "amir", 700, NOW)
        kept = self.quotas.kept([("day", "amir"), ("day", "nobody")])
        again = self.defined(DAY)
        again.count("day", "amir", 1, NOW)
        for _ in again.loading(kept, NOW):
            pass
        self.assertEqual(again.standing("day", "amir", NOW).used, 701)
        late = self.defined(DAY)
        for _ in late.loading(kept, kept[0].until):
            pass
        self.assertEqual(late.all(kept[0].until), {})


class ManyTests(QuotasCase):
    """Hundreds of people: what is about all of them is done in slices, with turns for others between."""

    PEOPLE = 3 * SLICE

    def setUp(self):
        super().setUp()
        for number in range(self.PEOPLE):
            self.quotas.count("day", f"p{number}", number + 1, NOW)
        self.until = self.quotas.standing("day", "p0", NOW).until
        self.quotas.changed(NOW)

    def steps(self, work):
        return sum(1 for _ in work)

    def test_told(self):
        """Who stands otherwise is told a few at a time, nobody twice and nobody never."""
        for number in range(self.PEOPLE):
            self.quotas.count("day", f"p{number}", 1, NOW)
        told = []
        while self.quotas.has_changed:
            some = self.quotas.changed(NOW, 400)
            self.assertLessEqual(len(some), 400)
            told += some
        self.assertEqual(sorted(told), sorted(("day", f"p{number}") for number in range(self.PEOPLE)))

    def test_same_policy(self):
        """A policy with the same quotas is news for nobody."""
        self.quotas.define(Limits([DAY, MINUTES]))
        self.assertFalse(self.quotas.has_changed)

    def test_other_quota(self):
        """Where a quota is another one all its members are told, a few at a time, and no others."""
        self.quotas.count("film", "amir", MORE, NOW)
        self.quotas.changed(NOW)
        self.quotas.define(Limits([Limit("day", quota=Quota(volume=5000)), MINUTES]))
        told = {}
        while self.quotas.has_changed:
            some = self.quotas.changed(NOW, 400)
            self.assertLessEqual(len(some), 400)
            told |= some
        self.assertEqual(len(told), self.PEOPLE)
        self.assertEqual(told["day", "p0"], Standing(1, 5000, self.until))

    def test_loading(self):
        """What was kept is taken up in slices; who counts meanwhile has both."""
        kept = self.quotas.kept([("day", f"p{number}") for number in range(self.PEOPLE)])
        again = self.defined(DAY)
        steps = 0
        for _ in again.loading(kept, NOW):
            again.count("day", "p0", 7, NOW)
            steps += 1
        self.assertGreaterEqual(steps, 3)
        self.assertEqual(again.standing("day", "p0", NOW).used, 1 + 7 * steps)
        self.assertEqual(len(again.all(NOW)), self.PEOPLE)

    def test_forgetting(self):
        """What was made good is forgotten in slices; who began anew meanwhile is not."""
        steps = 0
        for _ in self.quotas.forgetting(self.until):
            steps += 1
            self.quotas.count("day", f"p{self.PEOPLE - 1}", 9, self.until)
        self.assertEqual(steps, 3)
        self.assertEqual(self.quotas.all(self.until).keys(), {("day", f"p{self.PEOPLE - 1}")})

    def test_burying(self):
        """What was lent to a process that died is charged in slices; what is lent to others stays lent."""
        for borrower in ("one", "two"):
            for number in range(self.PEOPLE):
                asked = Asked("day", f"p{number}", self.until, 0.0, 1 << 40, 0, 0, 10)
                self.quotas.lend(borrower, asked, NOW, 5.0)
        self.assertEqual(self.steps(self.quotas.burying("one")), 3)
        self.quotas.changed(NOW)
        self.assertEqual(self.steps(self.quotas.burying("one")), 3)
        self.assertFalse(self.quotas.has_changed)
