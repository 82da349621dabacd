"""Active minutes are told once for each person, for what moved most."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.activity import REMEMBERED_SECONDS, Activity
from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import ACTIVE_OCTETS

BEGAN = 1_795_428_000.0
MINUTE = int(BEGAN) + 60
NOW = MINUTE + 5.0


def moved(octets: int, user: str = "amir", host: str = "a.example", minute: int = MINUTE, **more) -> Usage:
    """Something that came to a person."""
    return Usage(minute, user, (), (), host, 0, octets, 1, **more)


class ActivityTests(SynchronousTestCase):
    """What the intake asks."""

    def setUp(self) -> None:
        self.activity = Activity(BEGAN)

    def told(self, *batch: Usage, now: float = NOW) -> list[tuple[str, str, int]]:
        return [(row.user or row.device, row.host, row.minutes) for row in self.activity.judge(batch, now)]

    def test_once(self) -> None:
        """A minute counts once, however much more moves in it."""
        self.assertEqual(self.told(moved(ACTIVE_OCTETS + 1)), [("amir", "a.example", 1)])
        self.assertEqual(self.told(moved(ACTIVE_OCTETS + 1), moved(1, host="b.example")), [])
        self.assertEqual(self.told(moved(ACTIVE_OCTETS + 1, minute=MINUTE + 60)), [("amir", "a.example", 1)])

    def test_forgotten_tab(self) -> None:
        """A page that nobody looks at costs nothing."""
        self.assertEqual(self.told(*(moved(1000, minute=MINUTE + 60 * one) for one in range(60))), [])

    def test_added_up(self) -> None:
        """Little things add up over devices, hosts and batches, and count for what moved most."""
        half = ACTIVE_OCTETS // 2
        self.assertEqual(self.told(moved(half - 1, host="a.example", device="10.0.0.1")), [])
        self.assertEqual(
            self.told(moved(half, host="b.example", device="10.0.0.2"), moved(9, host="c.example")),
            [("amir", "b.example", 1)],
        )

    def test_no_octets_and_no_share(self) -> None:
        """The sum that has the minute has no octets and no exchange of its own."""
        (row,) = self.activity.judge([moved(ACTIVE_OCTETS + 1, device="10.0.0.1", rule="all")], NOW)
        self.assertEqual(row, Usage(MINUTE, "amir", (), (), "a.example", 0, 0, 0, "10.0.0.1", "all", 1))

    def test_devices(self) -> None:
        """Who has not signed in is known by the device; who is not even that has no minutes."""
        batch = moved(ACTIVE_OCTETS + 1, "", device="10.0.0.1"), moved(ACTIVE_OCTETS + 1, "")
        self.assertEqual(self.told(*batch), [("10.0.0.1", "a.example", 1)])

    def test_refused_batch(self) -> None:
        """A batch that the store did not take is told again when it comes again."""
        batch = [moved(ACTIVE_OCTETS + 1)]
        first = self.activity.judge(batch, NOW)
        self.activity.undo(batch, first)
        self.assertEqual(self.activity.judge(batch, NOW), first)
        self.assertEqual(self.activity.judge(batch, NOW), [])

    def test_after_an_outage(self) -> None:
        """What waited for an hour counts in the minutes in which it moved."""
        batch = [moved(ACTIVE_OCTETS + 1, minute=MINUTE + 60 * one) for one in range(60)]
        self.assertEqual(len(self.told(*batch, now=NOW + 3600)), 60)

    def test_minute_of_the_start(self) -> None:
        """The minute in which the service began may have been told before a crash, and is not told again."""
        self.assertEqual(self.told(moved(ACTIVE_OCTETS + 1, minute=int(BEGAN))), [])

    def test_clock_set_back(self) -> None:
        """A clock that was wrong when the service began keeps no minute from counting."""
        early = moved(ACTIVE_OCTETS + 1, minute=MINUTE - 86400 * 365)
        self.assertEqual(self.told(early, now=NOW - 86400 * 365), [("amir", "a.example", 1)])

    def test_memory(self) -> None:
        """Minutes are forgotten when nothing more comes for them, whichever way the clock goes."""
        for later in (REMEMBERED_SECONDS + 1, -86400.0, 86400.0):
            self.told(*(moved(1, f"user{one}") for one in range(100)))
            self.told(now=NOW + later)
            self.assertEqual(len(self.activity._minutes), 0)

    def test_counted(self) -> None:
        """Of a person whose minute is in the store no sums are kept, however many hosts follow."""
        hosts = [moved(100, host=f"{one}.example") for one in range(1000)]
        self.activity.settle(self.activity.judge([moved(ACTIVE_OCTETS + 1)], NOW))
        self.assertEqual(self.told(*hosts), [])
        self.assertEqual(self.activity._minutes[MINUTE].people, {"amir": None})

    def test_refused_after_it_counted(self) -> None:
        """A later batch that the store refuses takes nothing from a minute that counts already."""
        self.activity.settle(self.activity.judge([moved(ACTIVE_OCTETS + 1)], NOW))
        later = [moved(9)]
        self.activity.undo(later, self.activity.judge(later, NOW))
        self.assertEqual(self.told(*later), [])

    def test_texts_once(self) -> None:
        """What sums have in common is kept once, for each batch comes with texts of its own."""

        def sent(user: str) -> Usage:
            own = "".join  # a text that nobody else has
            groups, categories = (own(["pup", "ils"]),), (own(["ga", "mes"]),)
            return Usage(MINUTE, user, groups, categories, own(["a", ".example"]), 0, 9, 1, own(["10", ".0"]))

        self.told(sent("amir"))
        self.told(sent("beth"))
        self.assertEqual(len(self.activity._minutes[MINUTE].parts), 1)

    def test_little_is_kept(self) -> None:
        """What a person keeps who does little in a minute is as much as a few numbers."""
        people = [f"user{one}" for one in range(1000)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for batch in ("a.example", "b.example"):
            self.told(*(moved(700, user, batch) for user in people))
        octets, _ = tracemalloc.get_traced_memory()
        self.assertLess(octets, 250 * len(people))

    def test_device_with_the_name_of_a_user(self) -> None:
        """A user who is called like a device has the minute of neither in the place of the other."""
        both = [moved(ACTIVE_OCTETS // 2, ""), moved(ACTIVE_OCTETS // 2 + 9, "10.0.0.1")]
        both[0] = both[0]._replace(device="10.0.0.1")
        (row,) = self.activity.judge(both, NOW)
        self.assertEqual((row.user, row.device), ("10.0.0.1", ""))

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["amir", "beth"]),
                st.sampled_from(["a.example", "b.example"]),
                st.integers(0, 5),
                st.integers(0, 40_000),
                st.booleans(),
                st.booleans(),
            ),
            max_size=40,
        )
    )
    def test_any_order(self, steps) -> None:
        """In whatever batches they come, and whichever of them fail first, each active minute counts once."""
        sums: dict[tuple[str, int], int] = {}
        told: list[tuple[str, int]] = []
        activity = Activity(BEGAN)
        for user, host, minute, octets, fails, settles in steps:
            batch = [moved(octets, user, host, MINUTE + 60 * minute)]
            if fails:
                activity.undo(batch, activity.judge(batch, NOW))
            judged = activity.judge(batch, NOW)
            if settles:
                activity.settle(judged)
            told += [(row.user, row.minute) for row in judged]
            key = user, MINUTE + 60 * minute
            sums[key] = sums.get(key, 0) + octets
        self.assertEqual(sorted(told), sorted(key for key, octets in sums.items() if octets > ACTIVE_OCTETS))
