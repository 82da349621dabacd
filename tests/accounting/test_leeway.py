"""Leeways: short exchanges take what there is at once, all of it or nothing, and never more."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.buckets import BURST_SECONDS
from corpproxy.accounting.leeway import Leeway, Term
from corpproxy.accounting.rates import PIECE_OCTETS, Rates
from corpproxy.accounting.sharing import DOWN, LENT, UP, BucketKey
from corpproxy.policy.limits import Applied, Limit, Limits
from corpproxy.policy.quota import Every, Quota, Standing
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

KIB, MIB = 1 << 10, 1 << 20
AT = 1_795_430_700.0
DAY = Limit("day", quota=Quota(volume=100 * MIB, every=Every.DAY))
EACH = Limit("each", download=MIB, upload=MIB // 4)


class LeewayCase(SynchronousTestCase):
    """A person with a quota and a rate."""

    def setUp(self) -> None:
        self.rates = Rates()
        self.now = 100.0
        self.limiting = Limits([DAY, EACH])
        self.noted: list[Leeway] = []
        self.stock = self.rates.stock(BucketKey("day", "amir", LENT))
        self.leeway = self.made()

    def made(self, lent: int = MIB) -> Leeway:
        self.stock.tokens, self.stock.until = lent, 1e9
        (self.down,) = self.rates.invite([(BucketKey("each", "amir", DOWN), MIB)], self.now)
        (self.up,) = self.rates.invite([(BucketKey("each", "amir", UP), MIB / 4)], self.now)
        applied = (Applied(DAY, "amir"), Applied(EACH, "amir"))
        term = Term(self.limiting, AT)
        return Leeway(
            "amir", applied, term, [self.down], [self.up], [self.stock], self.noted.append, self.now
        )

    def takes(self, received: int, sent: int) -> bool:
        """An exchange moves so much."""
        return self.leeway.takes(received, sent, self.now)

    def may_begin(self, at: float = AT) -> bool:
        """Whether one may begin."""
        return self.leeway.may_begin(at)

    @property
    def there(self) -> tuple[float, float, float]:
        return self.down.tokens, self.up.tokens, self.stock.tokens


@tabular
class TakeTests(LeewayCase):
    """What an exchange takes."""

    def test_all(self) -> None:
        """Each way is taken off its rate, and both off what is lent."""
        down, up, lent = self.there
        self.assertTrue(self.takes(500, 12 * KIB))
        self.assertEqual(self.there, (down - 12 * KIB, up - 500, lent - 500 - 12 * KIB))

    @rows(
        down=(0, 2 * MIB),
        up=(MIB, 0),
        lent=(4 * KIB, 4 * KIB, 6 * KIB),
    )
    def test_nothing(self, received: int, sent: int, lent: int = 16 * MIB) -> None:
        """Where one of them has not enough, nothing is taken of any."""
        self.stock.tokens = lent
        before = self.there
        self.assertFalse(self.takes(received, sent))
        self.assertEqual(self.there, before)
        self.assertEqual(self.noted, [])

    def test_lender_silent(self) -> None:
        """What is lent is not used when its time is over."""
        self.stock.until = self.now
        self.assertFalse(self.takes(10, 10))

    def test_over(self) -> None:
        """One that is over gives nothing any more."""
        self.leeway.is_over = True
        self.assertFalse(self.may_begin())
        self.assertFalse(self.takes(10, 10))

    def test_noted_once(self) -> None:
        """It is noted once that something moved, and told how much."""
        for _ in range(3):
            self.takes(100, 1000)
        self.assertEqual(self.noted, [self.leeway])
        self.assertEqual(self.leeway.settle(), 3300)
        self.assertEqual((self.down.drawn, self.up.drawn), ({"amir": 3000}, {"amir": 300}))
        self.assertEqual(self.leeway.settle(), 0)
        self.takes(100, 1000)
        self.assertEqual(self.noted, [self.leeway] * 2)

    def test_members(self) -> None:
        """Octets count for the members of quotas alone."""
        self.assertEqual(self.leeway.members, (("day", "amir"),))


@tabular
class BeginTests(LeewayCase):
    """Whether an exchange may begin."""

    def test_far(self) -> None:
        """Far below all limits nothing is in its way."""
        self.assertTrue(self.may_begin())

    @rows(down=("down",), up=("up",), stock=("stock",))
    def test_little(self, name: str) -> None:
        """With little left of anything it is for others to say."""
        getattr(self, name).tokens = PIECE_OCTETS - 1
        self.assertFalse(self.may_begin())

    def test_shift(self) -> None:
        """When somebody is told how little is left, everybody is looked at again."""
        self.limiting.standings.take({("day", "beth"): Standing(85.0, 100.0, AT + 3600)})
        self.assertFalse(self.may_begin())

    def test_no_shift(self) -> None:
        """What is used without that changes nothing."""
        self.limiting.standings.take({("day", "beth"): Standing(15.0, 100.0, AT + 3600)})
        self.assertTrue(self.may_begin())

    def test_clock_set_back(self) -> None:
        """After a clock was set back other limits may hold."""
        self.assertFalse(self.may_begin(AT - 1))


class ExactTests(LeewayCase):
    """Whatever is asked for, and whenever."""

    @settings(EXAMPLES)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 4000), st.integers(0, 400 * KIB), st.sampled_from((0.0, 0.001, 0.1, 0.3, 2.0))
            ),
            max_size=60,
        )
    )
    def test_never_more(self, asked: list[tuple[int, int, float]]) -> None:
        """Never more moves than was lent, nor than the rate lets through."""
        self.setUp()
        began, moved, down = self.now, 0, 0
        for received, sent, seconds in asked:
            self.now += seconds
            if self.takes(received, sent):
                moved += received + sent
                down += sent
            self.assertLessEqual(moved, MIB)
            self.assertLessEqual(down, MIB * (self.now - began + BURST_SECONDS))
        self.assertEqual(self.stock.tokens, MIB - moved)
        self.assertEqual(self.leeway.received + self.leeway.sent, moved)


class GuestTests(LeewayCase):
    """Who takes without a claim."""

    def test_kept(self) -> None:
        """A bucket is kept while somebody may take of it, full or not."""
        for _ in self.rates.forgetting(self.now + 100):
            pass
        self.assertIn(self.down.key, self.rates.buckets)

    def test_seen_off(self) -> None:
        """Then it is forgotten; one that is not full again later."""
        self.down.tokens = 0.0
        self.rates.see_off((self.down, self.up))
        self.assertEqual(list(self.rates.buckets), [self.down.key])
        for _ in self.rates.forgetting(self.now + 100):
            pass
        self.assertEqual(self.rates.buckets, {})
