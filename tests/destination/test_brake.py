"""What holds an update of a list back, and in which words."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.brake import (
    TOP_HOST,
    Blocked,
    Effect,
    Findings,
    Touched,
    changes_text,
    effect_text,
    percent,
    reasons_to_hold,
)
from corpproxy.destination.fetching import Brake
from tests.support.rows import rows, tabular

QUIET = Findings(after={"games": 1000}, before={"games": 1000})
BANK = Touched("bank.example", "bank.example", "malware", "never malware", "the policy protects it")
TOP = Touched("wiki.example", "example", "games", "no games", TOP_HOST)


def blocking(exchanges: int, people: int, of: int = 10_000, crowd: int = 100) -> Effect:
    """An update that would have blocked so much."""
    hosts = [
        Blocked(f"h{n}.example", exchanges - n, people - n, "games", f"h{n}.example", "no games")
        for n in range(min(7, people))
    ]
    return Effect(of, crowd, len(hosts), exchanges, people, hosts)


def codes(findings: Findings, brake: Brake | None = None) -> list[str]:
    return [one.code for one in reasons_to_hold(findings, brake or Brake())]


@tabular
class HeldTests(SynchronousTestCase):
    """Each limit, on both sides of it."""

    @rows(
        nothing=({}, {}, []),
        shrinks=({"games": 1000}, {"games": 740}, ["shrinks"]),
        shrinks_within=({"games": 1000}, {"games": 750}, []),
        vanishes=({"games": 1000}, {}, ["shrinks"]),
        one_category_vanishes=({"games": 5000, "malware": 300}, {"games": 5000}, ["shrinks"]),
        small_category_vanishes=({"games": 5000, "new": 99}, {"games": 5000}, []),
        few_entries_vanish=({"games": 99}, {}, []),
        grows=({"games": 1000}, {"games": 1501}, ["grows"]),
        grows_within=({"games": 1000}, {"games": 1500}, []),
        category_is_new=({"games": 1000}, {"games": 1000, "chess": 400}, []),
        few_entries_come=({"games": 10}, {"games": 109}, []),
    )
    def test_size(self, before, after, expected):
        """A list, or one of its categories, that shrinks or grows beyond its share is held."""
        self.assertEqual(codes(Findings(after=after, before=before)), expected)

    @rows(
        none=(Effect(10_000, 100), []),
        no_record=(Effect(), []),
        exchanges=(blocking(21, 1), ["blocks"]),
        exchanges_within=(blocking(20, 1), []),
        few_exchanges=(blocking(19, 1, of=100), []),
        people=(blocking(12, 11), ["blocks"]),
        people_within=(blocking(12, 10), []),
        few_people=(blocking(2, 2, crowd=3), []),
    )
    def test_blocks(self, effect, expected):
        """One that would newly block more than a share of last week is held."""
        self.assertEqual(codes(msgspec.structs.replace(QUIET, effect=effect)), expected)

    @rows(
        suffix=({"suffixes": ["co.uk"]}, ["public-suffix"]),
        protected=({"touched": [BANK]}, ["protected"]),
        top_host=({"touched": [TOP]}, ["protected"]),
    )
    def test_names(self, more, expected):
        """One that names what it must not name is held."""
        self.assertEqual(codes(msgspec.structs.replace(QUIET, **more)), expected)

    def test_first(self):
        """The first version is held by what the policy protects alone: it is there to block."""
        first = Findings(
            after={"games": 9}, suffixes=["com"], touched=[TOP, BANK], effect=blocking(9_000, 90)
        )
        (reason,) = reasons_to_hold(first, Brake())
        self.assertIn("bank.example", reason.said)

    def test_limits_off(self):
        """Limits can be set so that nothing exceeds them."""
        findings = Findings(after={}, before={"games": 10_000}, effect=blocking(10_000, 100))
        self.assertEqual(codes(findings, Brake(shrink=1.0, blocks=1.0, people=1.0)), [])


class WordsTests(SynchronousTestCase):
    """What is said."""

    def said(self, findings: Findings) -> str:
        (reason,) = reasons_to_hold(findings, Brake())
        return reason.said

    def test_shrinks(self):
        """The numbers before and after, and the limit by its name in the policy."""
        said = self.said(Findings(after={"games": 12}, before={"games": 4_600_000}))
        self.assertEqual(
            said, "it shrinks from 4,600,000 entries to 12; at most 25% are taken up unseen (shrink:)"
        )

    def test_category(self):
        """A category that shrinks is named."""
        findings = Findings(after={"games": 5000}, before={"games": 5000, "malware": 300})
        self.assertIn("category 'malware' shrinks from 300 entries to 0", self.said(findings))

    def test_touched(self):
        """A protected name is told with category, rule and the entry that covers it."""
        self.assertEqual(
            self.said(msgspec.structs.replace(QUIET, touched=[TOP])),
            "it puts wiki.example into category 'games' by its entry example, which rule 'no games' refuses, "
            "and it is among the hosts that were asked for most last month",
        )

    def test_blocks(self):
        """Hosts and people are counted and the first of them named."""
        said = self.said(msgspec.structs.replace(QUIET, effect=blocking(5120, 30)))
        self.assertTrue(
            said.startswith(
                "it would newly block 7 hosts used by 30 people, 5,120 of last week's 10,000 exchanges: "
                "h0.example (30 people, category 'games', rule 'no games'); h1.example (29 people,"
            ),
            said,
        )
        self.assertTrue(
            said.endswith(
                "and 2 more; at most 0.2% of exchanges (blocks:) and 10% of people (people:) are "
                "refused unseen"
            ),
            said,
        )

    def test_nothing(self):
        """What would have blocked nothing, and what cannot be known, is told too."""
        self.assertEqual(
            effect_text(Effect(10_000, 9)), "would newly block nothing of last week's 10,000 exchanges"
        )
        self.assertIn("there is no record of it", effect_text(Effect()))
        one = Blocked("a.example", 1, 1, "games", "a.example", "no games")
        self.assertIn("1 host used by 1 person", effect_text(Effect(1, 1, 1, 1, 1, [one])))

    def test_cut(self):
        """A record that could not be read whole is said to be."""
        said = effect_text(Effect(10_000, 9, is_whole=False))
        self.assertIn("as far as the record could be read", said)

    def test_suffixes(self):
        """Of many suffixes the first are named."""
        names = [f"s{n}.uk" for n in range(9)]
        self.assertIn(
            "s0.uk, s1.uk, s2.uk, s3.uk, s4.uk and 4 more",
            self.said(msgspec.structs.replace(QUIET, suffixes=names)),
        )

    def test_changes(self):
        """What came and went is counted."""
        self.assertEqual(
            changes_text(Findings(after={"games": 1200}, before={"games": 1000}, came=300, gone=100)),
            "300 entries came and 100 went, which makes 1,200",
        )
        self.assertEqual(percent(0.0015), "0.15%")
