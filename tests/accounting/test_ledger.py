"""The ledger adds up what moved, and neither loses an octet nor counts one twice."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.ledger import (
    OTHER_HOSTS,
    SLOT_SECONDS,
    Batch,
    Columns,
    Ledger,
    Usage,
    in_columns,
    slot_of,
)

SLOT = 1_795_428_000  # a quarter past nothing: a whole number of slots
PUPILS = ("pupils",)
GAMES = ("games",)


def totals(batch):
    """The sums over a batch."""
    return tuple(sum(row[column] for row in batch) for column in (5, 6, 7))


class LedgerTests(SynchronousTestCase):
    """Sums in memory."""

    def test_one_row(self) -> None:
        """What one person moves to one host within a minute is one row."""
        ledger = Ledger()
        ledger.add(SLOT + 1.5, "amir", PUPILS, GAMES, "miniclip.com", 300, 5000)
        ledger.add(SLOT + 59.9, "amir", PUPILS, GAMES, "miniclip.com", 1, 2, 0)
        self.assertEqual(
            list(ledger.take_batch()), [Usage(SLOT, "amir", PUPILS, GAMES, "miniclip.com", 301, 5002, 1)]
        )

    def test_next_slot(self) -> None:
        """The next quarter of an hour begins a new row."""
        ledger = Ledger()
        ledger.add(SLOT + 899, "amir", (), (), "a.example", 1, 1)
        ledger.add(SLOT + 900, "amir", (), (), "a.example", 2, 2)
        self.assertEqual([slot_of(row.minute) for row in ledger.take_batch()], [SLOT, SLOT + SLOT_SECONDS])

    def test_taken_once(self) -> None:
        """A batch that was handed out is not handed out again."""
        ledger = Ledger()
        ledger.add(SLOT, "amir", (), (), "a.example", 1, 1)
        ledger.take_batch()
        self.assertFalse(ledger.take_batch())

    def test_put_back(self) -> None:
        """A batch that no store took is added to what came meanwhile."""
        ledger = Ledger()
        ledger.add(SLOT, "amir", (), (), "a.example", 1, 10)
        batch = ledger.take_batch()
        ledger.add(SLOT, "amir", (), (), "a.example", 2, 20)
        ledger.put_back(batch)
        self.assertEqual(list(ledger.take_batch()), [Usage(SLOT, "amir", (), (), "a.example", 3, 30, 2)])

    def test_bounded(self) -> None:
        """While no store takes them, further hosts are added up together, person by person."""
        ledger = Ledger(max_sums=3)
        for number in range(50):
            ledger.add(SLOT, "amir", PUPILS, GAMES, f"host{number}.example", 1, 10)
        batch = ledger.take_batch()
        self.assertEqual(len(batch), 4)
        self.assertIn(Usage(SLOT, "amir", PUPILS, (), OTHER_HOSTS, 47, 470, 47), batch)

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "take", "fail"]),
                st.floats(0, 5000),
                st.sampled_from(["", "amir", "beth"]),
                st.sampled_from(["a.example", "b.example", "c.example", "d.example"]),
                st.integers(0, 2**40),
                st.integers(0, 2**40),
            )
        ),
        st.integers(1, 5),
    )
    def test_every_octet_once(self, steps, max_sums) -> None:
        """Whatever is added, taken and put back in whatever order, the sums are those of what was added."""
        ledger = Ledger(max_sums)
        stored: list[Usage] = []
        added = []
        for step, at, user, host, received, sent in steps:
            if step == "add":
                ledger.add(at, user, (), (), host, received, sent)
                added.append((user, received, sent, 1))
            elif step == "take":
                stored += ledger.take_batch()
            else:
                ledger.put_back(ledger.take_batch())
        stored += ledger.take_batch()
        self.assertEqual(totals(stored), tuple(sum(one[column] for one in added) for column in (1, 2, 3)))
        for user in ("", "amir", "beth"):
            self.assertEqual(
                sum(row.sent for row in stored if row.user == user),
                sum(sent for who, _, sent, _ in added if who == user),
            )


ROWS = st.lists(
    st.builds(
        Usage,
        st.sampled_from([SLOT, SLOT + 60]),
        st.sampled_from(["", "amir", "beth"]),
        st.sampled_from([(), PUPILS]),
        st.sampled_from([(), GAMES, ("games", "news")]),
        st.sampled_from(["a.example", "b.example"]),
        st.integers(0, 2**60),
        st.integers(0, 2**60),
        st.integers(0, 9),
        st.sampled_from(["", "10.1.2.3"]),
        st.sampled_from(["", "games"]),
        st.integers(0, 1),
    )
)


class BatchTests(SynchronousTestCase):
    """Sums by columns."""

    @settings(max_examples=80, deadline=None)
    @given(ROWS)
    def test_same_rows(self, rows) -> None:
        """A batch has the rows that it was made of, also behind the way from a worker to the supervisor."""
        sent = msgspec.msgpack.encode(in_columns(rows))
        batch = Batch(msgspec.msgpack.decode(sent, type=Columns))
        self.assertEqual(list(batch), rows)
        self.assertEqual([batch[place] for place in range(len(batch))], rows)

    def test_once(self) -> None:
        """What rows have in common is sent once, and is there once in the supervisor."""
        ledger = Ledger()
        for number in range(500):
            ledger.add(SLOT, f"user{number % 10}", PUPILS, GAMES, f"host{number}.example", 1, 10)
        columns = in_columns(ledger.take_batch())
        self.assertEqual(columns.groups, ((PUPILS,), [0] * 500))
        self.assertEqual(len(columns.user[0]), 10)
        self.assertLess(len(msgspec.msgpack.encode(columns)), 20_000)
