"""Sharing: the parts of a rate that several processes have add up to it, and are fair to their people."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.dividing import SLICE, Pauses
from corpproxy.accounting.rates import Rates
from corpproxy.accounting.sharing import BucketKey, Sharing, Wanted, share, sharing
from tests.accounting.test_rates import MIB, TICK, Download, Line, steps_of

LINE = BucketKey("the line", "", 0)
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def wanted(*eager, drawn=0.0, content=0, whole=12.0 * MIB, has=0.0):
    return Wanted(whole, has, drawn, content, eager)


def told_by(rates):
    return steps_of(rates.news(TICK))[1]


def dealt(sharing):
    return steps_of(sharing.dealing())[1]


class ShareTests(SynchronousTestCase):
    """One bucket."""

    def parts(self, *asking):
        parts = share(dict(enumerate(asking)))
        self.assertLess(abs(sum(parts.values()) - 12 * MIB), 10)
        return [parts[number] / MIB for number in range(len(asking))]

    def test_alone(self):
        """Who is alone has all of it."""
        self.assertEqual(self.parts(wanted("amir")), [12])

    def test_by_people(self):
        """Where more people wait there is more."""
        one, three = self.parts(wanted("amir"), wanted("beth", "carol", "dan"))
        self.assertLess(abs(one / three - 1 / 3), 0.05)

    def test_same_person(self):
        """A person who waits in both is one person."""
        first, second = self.parts(wanted("amir", "beth"), wanted("amir"))
        self.assertLess(abs(first / second - 3), 0.2)

    def test_content(self):
        """Who takes less than they may have keeps it, and the others have the rest."""
        first, second = self.parts(wanted("amir"), wanted(drawn=2.0 * MIB, content=1))
        self.assertLess(abs(first - 10), 0.4)
        self.assertLess(abs(second - 2), 0.4)

    def test_too_content(self):
        """Who takes more than the others may have is not left with it."""
        first, second = self.parts(wanted("amir"), wanted(drawn=11.0 * MIB, content=1))
        self.assertLess(abs(first / second - 1), 0.05)

    def test_too_much_taken(self):
        """Where more than there is was taken and nobody waits, no part is less than nothing."""
        parts = self.parts(wanted(drawn=14.0 * MIB, content=9), wanted(drawn=14.0 * MIB, content=3), wanted())
        self.assertGreater(min(parts), 0)
        self.assertLess(abs(parts[0] / parts[1] - 3), 0.2)

    def test_slices(self):
        """Where thousands wait for one bucket its parts are worked out in slices, and are the same."""
        people = tuple(f"p{number}" for number in range(3 * SLICE))
        asking = {"one": Wanted(1e6, 0.0, 0.0, 0, people), "two": Wanted(1e6, 0.0, 0.0, 0, people[:SLICE])}
        steps = sharing(asking, Pauses())
        count = sum(1 for _ in steps)
        self.assertGreaterEqual(count, 8)
        self.assertGreater(share(asking)["one"], 4 * share(asking)["two"])

    def test_nobody(self):
        """Where nobody wants anything each has the same."""
        self.assertEqual(self.parts(wanted(), wanted(), wanted()), [4, 4, 4])

    @SLOWLY
    @given(
        st.lists(
            st.tuples(st.sets(st.sampled_from("abcdefgh")), st.floats(0, 20 * MIB), st.integers(0, 50)),
            min_size=1,
            max_size=8,
        )
    )
    def test_sum(self, asked):
        """Whatever is asked for, no part is negative and together they are the rate."""
        asking = [
            wanted(*eager, drawn=drawn if content else 0.0, content=content)
            for eager, drawn, content in asked
        ]
        self.assertGreater(min(self.parts(*asking)), -1)


class Processes:
    """Several processes with a supervisor that deals once a turn, each a turn late."""

    def __init__(self, count):
        self.sharing = Sharing()
        self.lines = [Line() for _ in range(count)]
        for line in self.lines:
            line.rates.part = 1 / count

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            for number, line in enumerate(self.lines):
                line.run(TICK)
                self.sharing.take(number, *told_by(line.rates))
            for line in self.lines:
                line.rates.spread = steps_of(self.sharing.spreading())[1]
            for number, parts in dealt(self.sharing).items():
                self.lines[number].rates.take_parts(parts, self.lines[number].now)


class ProcessesTests(SynchronousTestCase):
    """People in several processes, on a clock."""

    RATE = 12 * MIB

    def moved(self, processes, *downloads, seconds=20):
        processes.run(2)
        before = [one.moved for one in downloads]
        processes.run(seconds)
        return [(one.moved - had) / seconds / MIB for one, had in zip(downloads, before, strict=True)]

    def test_fair(self):
        """Three people in one process and one in the other get the same, and together the rate."""
        processes = Processes(2)
        first, second = processes.lines
        people = [Download(first, name, (LINE, self.RATE)) for name in ("amir", "beth", "carol")]
        people.append(Download(second, "dan", (LINE, self.RATE)))
        moved = self.moved(processes, *people)
        self.assertLess(abs(sum(moved) / 12 - 1), 0.03)
        self.assertLess(max(moved) / min(moved), 1.1)

    def test_person_in_both(self):
        """A person with connections in both gets no more than one with connections in one."""
        processes = Processes(2)
        first, second = processes.lines
        amir = [Download(line, "amir", (LINE, self.RATE)) for line in processes.lines]
        beth = [Download(first, "beth", (LINE, self.RATE)), Download(second, "carol", (LINE, self.RATE))]
        moved = self.moved(processes, *amir, *beth)
        self.assertLess(abs((moved[0] + moved[1]) / moved[2] - 1), 0.15)
        self.assertLess(abs(sum(moved) / 12 - 1), 0.03)

    def test_own_limit(self):
        """A person's own limit holds over all processes."""
        processes = Processes(4)
        own = BucketKey("each", "amir", 0)
        people = [Download(line, "amir", (own, MIB), (LINE, self.RATE)) for line in processes.lines]
        self.assertLess(abs(sum(self.moved(processes, *people)) - 1), 0.03)

    def test_moves_on(self):
        """What one process has no use for any more the other has within a second."""
        processes = Processes(2)
        first, second = processes.lines
        one, other = Download(first, "amir", (LINE, self.RATE)), Download(second, "beth", (LINE, self.RATE))
        processes.run(5)
        first.downloads.clear()
        first.rates.leave(one.claim)
        processes.run(1)
        before = other.moved
        processes.run(10)
        self.assertLess(abs((other.moved - before) / (10 * self.RATE) - 1), 0.04)

    def test_dead(self):
        """What a process had that died the others have."""
        processes = Processes(2)
        _, second = processes.lines
        people = [Download(line, "amir", (LINE, self.RATE)) for line in processes.lines]
        processes.run(5)
        processes.lines = [second]
        processes.sharing.forget(0)
        before = people[1].moved
        for _ in range(40):
            second.run(TICK)
            processes.sharing.take(1, *told_by(second.rates))
            for parts in dealt(processes.sharing).values():
                second.rates.take_parts(parts, second.now)
        self.assertLess(abs((people[1].moved - before) / (10 * self.RATE) - 1), 0.06)


class TellingTests(SynchronousTestCase):
    """What is told."""

    def test_only_news(self):
        """A part that a process has already is not told again."""
        sharing, rates = Sharing(), Rates()
        rates.part = 0.5
        rates.join("amir", [(LINE, 12 * MIB)], 0.0, lambda: None)
        sharing.take("one", *told_by(rates))
        self.assertEqual(dealt(sharing), {"one": {LINE: 12 * MIB}})
        rates.take_parts({LINE: 12 * MIB}, 1.0)
        sharing.take("one", *told_by(rates))
        self.assertEqual(dealt(sharing), {})


class NewsTests(SynchronousTestCase):
    """What a process tells of its buckets."""

    def setUp(self):
        self.rates = Rates()
        self.claim = self.rates.join("amir", [(LINE, 12 * MIB)], 0.0, lambda: None)

    def news(self):
        return told_by(self.rates)

    def test_idle(self):
        """A bucket that nobody takes of is told once, and no more while nothing of it changes."""
        self.assertEqual(self.news(), ({LINE: wanted(has=12.0 * MIB)}, []))
        self.assertEqual(self.news(), ({}, []))
        self.rates.take_parts({LINE: 6.0 * MIB}, 1.0)
        self.assertEqual(self.news(), ({LINE: wanted(has=6.0 * MIB)}, []))

    def test_idle_again(self):
        """When nobody takes of it any more that is told, too, and then no more."""
        self.rates.draw(self.claim, 0.0)
        self.assertGreater(self.news().wanted[LINE].drawn, 0)
        self.assertEqual(self.news().wanted[LINE].drawn, 0)
        self.assertEqual(self.news(), ({}, []))

    def test_waits(self):
        """Who waits is told once while they wait, and that they do so no more."""
        self.rates.buckets[LINE].tokens = 0.0
        self.rates.wait(self.claim)
        self.assertEqual(self.news().wanted[LINE].eager, ("amir",))
        self.assertEqual(self.news(), ({}, []))
        self.rates.leave(self.claim)
        # In the time that is told now they waited still.
        self.assertEqual(self.news(), ({}, []))
        self.assertEqual(self.news().wanted[LINE].eager, ())

    def test_gone(self):
        """A bucket that is gone is told as such, once; one that was never told is not."""
        self.news()
        self.rates.leave(self.claim)
        self.assertEqual(steps_of(self.rates.forgetting(60.0))[1], None)
        self.assertEqual(self.news(), ({}, [LINE]))
        self.assertEqual(self.news(), ({}, []))
        self.rates.leave(self.rates.join("amir", [(LINE, 12 * MIB)], 60.0, lambda: None))
        steps_of(self.rates.forgetting(120.0))
        self.assertEqual(self.news(), ({}, []))

    def test_anew(self):
        """To somebody who knows nothing all is told once more, and nothing of what is gone."""
        self.news()
        self.rates.join("beth", [(LINE._replace(whom="b"), MIB)], 0.0, lambda: None)
        self.rates.leave(self.claim)
        steps_of(self.rates.forgetting(60.0))
        self.rates.tell_anew()
        self.assertEqual(self.news(), ({LINE._replace(whom="b"): wanted(whole=MIB, has=MIB)}, []))

    def test_taken_up(self):
        """A bucket that is gone leaves its part to the others, and nobody waits for it any more."""
        sharing = Sharing()
        for name in ("one", "two"):
            sharing.take(name, {LINE: wanted("amir", has=6.0 * MIB)})
        dealt(sharing)
        sharing.take("one", {}, [LINE])
        self.assertEqual(dealt(sharing), {"two": {LINE: 12 * MIB}})
        self.assertEqual(sharing.waiting(), {"the line": ("amir",)})
        sharing.take("two", {}, [LINE])
        self.assertEqual((dealt(sharing), sharing.waiting(), len(sharing.processes)), ({}, {}, 2))

    def test_dealt_once(self):
        """What nothing changed of is not worked out again."""
        sharing = Sharing()
        sharing.take("one", {LINE: wanted("amir")})
        self.assertEqual(dealt(sharing), {"one": {LINE: 12 * MIB}})
        self.assertEqual(dealt(sharing), {})
