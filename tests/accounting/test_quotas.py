"""Quotas added up: octets to the octet, minutes by activity, grants, resets, and what is kept."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import ACTIVE_OCTETS, Quotas
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
        self.assertEqual(self.quotas.reset("day", "amir", NOW), 1)
        self.assertEqual((self.used(), self.used(whom="beth")), (0, 1000))
        self.assertEqual(self.quotas.reset("day", None, NOW), 2)
        self.assertEqual(self.used(whom="beth"), 0)

    def test_kept(self):
        """What was kept is taken up; what moved meanwhile is added, what is over is forgotten."""
        self.quotas.count("day", "amir", 700, NOW)
        kept = self.quotas.kept([("day", "amir"), ("day", "nobody")])
        again = self.defined(DAY)
        again.count("day", "amir", 1, NOW)
        again.load(kept, NOW)
        self.assertEqual(again.standing("day", "amir", NOW).used, 701)
        late = self.defined(DAY)
        late.load(kept, kept[0].until)
        self.assertEqual(late.all(kept[0].until), {})
