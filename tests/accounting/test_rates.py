"""Rates: never more than a bucket lets through, fairly divided, and nothing kept back that somebody wants."""

from __future__ import annotations

import sys
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting import dividing as dividing_module
from corpproxy.accounting.buckets import BURST_SECONDS, Bucket
from corpproxy.accounting.dividing import Pauses, dividing
from corpproxy.accounting.rates import ANY, PIECE_OCTETS, Claim, Member, Rates

TICK = 0.25
KIB, MIB = 1024, 1024 * 1024


# A machine that has other things to do makes examples slowly.
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def steps_of(steps):
    """How many steps a work has, and what comes of it."""
    count = 0
    while True:
        count += 1
        try:
            next(steps)
        except StopIteration as over:
            return count, over.value


class Download:
    """Somebody who moves what they may, as fast as their line is."""

    def __init__(self, line, person, *buckets, speed=ANY):
        self.line = line
        self.speed = speed
        self.moved = 0
        self.wakes = 0
        self.claim = line.rates.join(person, buckets, line.now, self.go_on)
        self.ready = 0
        line.downloads.append(self)

    def go_on(self):
        self.wakes += 1
        self.move()

    def arrive(self, seconds):
        """What the server sends in so long."""
        self.ready = min(self.ready + int(self.speed * seconds), ANY)
        if not self.claim.is_waiting:
            self.move()

    def move(self):
        claim, rates = self.claim, self.line.rates
        while self.ready:
            if not claim.allowance and not rates.draw(claim, self.line.now):
                rates.wait(claim)
                return
            octets = min(self.ready, claim.allowance)
            claim.allowance -= octets
            self.ready -= octets
            self.moved += octets


class Line:
    """All downloads of a site, on a clock."""

    def __init__(self):
        self.rates = Rates()
        self.now = 1000.0
        self.downloads = []

    def run(self, seconds, step=TICK):
        for _ in range(round(seconds / step)):
            for one in self.downloads:
                one.arrive(step)
            self.now += step
            self.deal()

    def deal(self):
        """One dealing, whole; who is woken has their turn afterwards."""
        woken = []
        steps_of(self.rates.dealing(self.now, woken.append))
        for claim in woken:
            claim.wake()


class OneTests(SynchronousTestCase):
    """One person."""

    def test_rate_holds(self):
        """From 64 KiB a second to 100 MiB a second, what moves in ten seconds is within 3 % of the rate."""
        for rate in (64 * KIB, 256 * KIB, MIB, 10 * MIB, 100 * MIB):
            line = Line()
            one = Download(line, "amir", ("amir", rate))
            line.run(10)
            self.assertLess(abs(one.moved / (10 * rate) - 1), 0.03, rate)

    def test_wakes(self):
        """It is woken up at most four times a second."""
        line = Line()
        one = Download(line, "amir", ("amir", MIB))
        line.run(10)
        self.assertLessEqual(one.wakes, 40)

    def test_late_turns(self):
        """A busy machine whose turns come late loses nothing."""
        line = Line()
        one = Download(line, "amir", ("amir", MIB))
        line.run(10, 0.4)
        self.assertLess(abs(one.moved / (10 * MIB) - 1), 0.05)

    def test_no_wait(self):
        """Who takes less than the rate never waits."""
        line = Line()
        one = Download(line, "amir", ("amir", MIB), speed=100 * KIB)
        line.run(10)
        self.assertEqual(one.wakes, 0)

    def test_change(self):
        """A rate that is changed holds at once."""
        line = Line()
        one = Download(line, "amir", ("amir", 10 * MIB))
        line.run(2)
        line.rates.buckets["amir"].change(MIB, line.now)
        before = one.moved
        line.run(10)
        self.assertLess(abs((one.moved - before) / (10 * MIB) - 1), 0.03)

    def test_connections(self):
        """Forty connections of one person move together what one would."""
        line = Line()
        many = [Download(line, "amir", ("amir", 64 * KIB)) for _ in range(40)]
        line.run(20)
        self.assertLess(abs(sum(one.moved for one in many) / (20 * 64 * KIB) - 1), 0.03)
        self.assertGreater(min(one.moved for one in many), 0)

    def test_debt(self):
        """What had to be moved at once is paid for by what comes next."""
        line = Line()
        one = Download(line, "amir", ("amir", 64 * KIB))
        one.claim.member.take(256 * KIB)
        self.assertTrue(one.claim.member.is_in_debt(line.now))
        line.run(10)
        self.assertLess(abs((one.moved + 256 * KIB) / (640 * KIB) - 1), 0.03)

    def test_clock_set_back(self):
        """A clock that jumps back gives nothing away, and stops nobody."""
        line = Line()
        one = Download(line, "amir", ("amir", MIB))
        line.run(2)
        line.now -= 3600
        before = one.moved
        line.run(2)
        self.assertLess(abs((one.moved - before) / (2 * MIB) - 1), 0.3)

    def test_nothing_stays(self):
        """Of those who are gone nothing is kept."""
        line = Line()
        one = Download(line, "amir", ("amir", MIB), ("site", 10 * MIB))
        line.run(2)
        line.rates.leave(one.claim)
        line.deal()
        steps_of(line.rates.forgetting(line.now + 10))
        self.assertEqual((len(line.rates), line.rates.buckets, line.rates.is_wanted), (0, {}, False))


class SeveralTests(SynchronousTestCase):
    """People who share a line."""

    SITE = ("site", 10 * MIB)

    def run_for(self, seconds, *downloads, line):
        line.run(seconds)
        return [one.moved / seconds / MIB for one in downloads]

    def test_people_not_connections(self):
        """Who opens nine connections gets no more of the line than who opens one."""
        line = Line()
        amir = [Download(line, "amir", self.SITE) for _ in range(9)]
        beth = Download(line, "beth", self.SITE)
        line.run(10)
        self.assertLess(abs(sum(one.moved for one in amir) / beth.moved - 1), 0.03)

    def test_left_to_others(self):
        """What somebody does not use the others get; who wants little gets all of it."""
        line = Line()
        slow = Download(line, "amir", self.SITE, speed=MIB)
        fast = Download(line, "beth", self.SITE)
        moved = self.run_for(20, slow, fast, line=line)
        self.assertLess(abs(moved[0] - 1), 0.05)
        self.assertLess(abs(sum(moved) / 10 - 1), 0.03)

    def test_tree(self):
        """A person in a group in the site: each is held to what its own bucket lets through."""
        line = Line()
        pupils = ("pupils", 4 * MIB)
        amir = Download(line, "amir", ("amir", MIB), pupils, self.SITE)
        beth = Download(line, "beth", pupils, self.SITE)
        carol = Download(line, "carol", self.SITE)
        moved = self.run_for(20, amir, beth, carol, line=line)
        for got, due in zip(moved, (1, 3, 6), strict=True):
            self.assertLess(abs(got / due - 1), 0.03)

    def test_same_person_below_different_buckets(self):
        """Films apart and pages apart: a person is one person all the same."""
        line = Line()
        films = Download(line, "amir", ("films", 8 * MIB), self.SITE)
        pages = Download(line, "amir", self.SITE)
        beth = Download(line, "beth", self.SITE)
        moved = self.run_for(10, films, pages, beth, line=line)
        self.assertLess(abs((moved[0] + moved[1]) / moved[2] - 1), 0.05)

    def test_thousands(self):
        """Of thousands below a small bucket everybody gets something, in turn."""
        line = Line()
        many = [Download(line, f"p{number}", ("site", 2 * MIB)) for number in range(2000)]
        line.run(1)
        before = [one.moved for one in many]
        line.run(10)
        moved = [one.moved - had for one, had in zip(many, before, strict=True)]
        self.assertGreater(min(moved), 0)
        self.assertLess(max(moved) - min(moved), 2 * PIECE_OCTETS + 1)
        self.assertLess(abs(sum(moved) / (20 * MIB) - 1), 0.03)


wants = st.integers(1, 10 * MIB)
tree = st.lists(st.tuples(st.sets(st.integers(0, 5), min_size=1), wants), min_size=1, max_size=20)


class DivideTests(SynchronousTestCase):
    """The division of what the buckets hold."""

    @SLOWLY
    @given(tree, st.lists(st.integers(-MIB, 10 * MIB), min_size=6, max_size=6))
    def test_properties(self, asked, tokens):
        """No bucket gives more than it has, nothing is kept back, and nobody has less who could have more."""
        buckets = [Bucket(number, 1.0, 0.0) for number in range(6)]
        for bucket, held in zip(buckets, tokens, strict=True):
            bucket.tokens = float(held)
        members = [
            Member(number, number, [buckets[one] for one in below]) for number, (below, _) in enumerate(asked)
        ]
        for member, (_, want) in zip(members, asked, strict=True):
            claim = Claim(member, lambda: None)
            claim.want = want
            member.waiting.append(claim)
        _, divided = steps_of(dividing(members, Pauses()))
        shares = {one.key: share for one, share in zip(members, divided, strict=True)}
        for bucket in buckets:
            given = sum(shares[one.key] for one in members if bucket in one.buckets)
            self.assertLessEqual(given, max(bucket.tokens, 0))
        for member, (_, want) in zip(members, asked, strict=True):
            share = shares[member.key]
            self.assertLessEqual(share, want)
            if share < want - 1:
                self.assertTrue(any(self.holds(bucket, member, members, shares) for bucket in member.buckets))

    def holds(self, bucket, member, members, shares):
        """Whether a bucket is empty, and nobody below it has more than this member."""
        below = [shares[one.key] for one in members if bucket in one.buckets]
        is_empty = sum(below) >= max(bucket.tokens, 0) - len(below) - 1
        return is_empty and max(below) <= shares[member.key] + 1


class SumTests(SynchronousTestCase):
    """What moves through a bucket in the end."""

    @SLOWLY
    @given(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 30)), min_size=1, max_size=12),
        st.integers(4 * KIB, 10 * MIB),
        st.lists(st.floats(0.01, 0.6), min_size=10, max_size=30),
    )
    def test_never_more(self, asked, rate, steps):
        """Whoever comes, and however late the turns are, never more than the rate and a burst moves."""
        line = Line()
        for person, speed in asked:
            Download(line, person, (person, rate / 2), ("site", rate), speed=rate * speed // 10)
        for step in steps:
            for one in line.downloads:
                one.arrive(step)
            line.now += step
            line.deal()
            moved = sum(one.moved for one in line.downloads)
            seconds = line.now - 1000
            self.assertLessEqual(moved, rate * (seconds + BURST_SECONDS) + 1)

    @SLOWLY
    @given(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 30)), min_size=2, max_size=12),
        st.integers(64 * KIB, 10 * MIB),
        st.lists(st.tuples(st.sampled_from(["goes", "comes", "waits"]), st.integers(0, 11)), max_size=60),
    )
    def test_others_between(self, asked, rate, others):
        """Whoever comes, goes and takes in the midst of a dealing, never more moves, and nothing is lost."""
        line = Line()
        for person, speed in asked:
            Download(line, person, (person, rate / 2), ("site", rate), speed=rate * speed // 10)
        others, gone = list(others), 0
        for _ in range(12):
            for one in line.downloads:
                one.arrive(TICK)
            line.now += TICK
            with mock.patch.object(dividing_module, "SLICE", 1):
                for _ in line.rates.dealing(line.now, lambda claim: claim.wake()):
                    gone += self.between(line, rate, *others.pop()) if others else 0
            moved = gone + sum(one.moved for one in line.downloads)
            self.assertLessEqual(moved, rate * (line.now - 1000 + BURST_SECONDS) + 1)
        for one in line.downloads:
            line.rates.leave(one.claim)
        line.deal()
        steps_of(line.rates.forgetting(line.now + 10))
        self.assertEqual((len(line.rates), line.rates.buckets, line.rates.is_wanted), (0, {}, False))

    def between(self, line, rate, what, number):
        """Somebody does something; gives what those moved who are gone."""
        if what == "comes" or not line.downloads:
            person = "abcd"[number % 4]
            Download(line, person, (person, rate / 2), ("site", rate)).arrive(TICK)
            return 0
        one = line.downloads[number % len(line.downloads)]
        if what == "waits":
            one.arrive(TICK)
            return 0
        line.downloads.remove(one)
        line.rates.leave(one.claim)
        return one.moved


class SliceTests(SynchronousTestCase):
    """Nobody else waits for long while many are dealt to."""

    def most_of(self, people):
        """The most that is done in one step of a dealing among so many, in lines of our code."""
        line = Line()
        for number in range(people):
            person = f"p{number}"
            Download(line, person, (person, MIB), ("site", people * 8 * KIB)).arrive(TICK)
        line.run(0.5)
        line.now += TICK
        woken = []
        most = 0
        for works in (line.rates.news(TICK), line.rates.dealing(line.now, woken.append)):
            while (done := lines_of(works)) is not None:
                most = max(most, done)
        self.assertGreaterEqual(len(woken), people // 2)
        return most

    def test_bounded(self):
        """Where three times as many wait, no turn has more to do: there are more turns."""
        self.assertLess(self.most_of(4500), 1.2 * self.most_of(1500))


def lines_of(steps):
    """The lines that run in one step; None where there is none more."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        # What is looked at one by one in C is not counted, and is fast.
        is_over = next(steps, over) is over
        return None if is_over else count
    finally:
        sys.settrace(before)


over = object()
