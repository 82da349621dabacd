"""What administrators give and take back of quotas is told to what nodes have in common, once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.charging import Charging
from corpproxy.accounting.common import Common
from corpproxy.accounting.quotas import Charge, Kept

AMIR = Kept("day", "amir", 100.0, 70.0, 10.0)
BETH = Kept("day", "beth", 100.0, 5.0, 0.0)


class ChargingTests(SynchronousTestCase):
    """Grants, and quotas that begin anew."""

    def setUp(self) -> None:
        self.charging = Charging()

    def test_grant(self) -> None:
        """More for somebody is told once."""
        self.charging.grant(AMIR, 20.0)
        self.charging.grant(AMIR, 5.0)
        self.assertEqual(self.charging.charges(), [Charge("day", "amir", 100.0, 0.0, 25.0)])
        self.assertEqual(self.charging.charges(), [])

    def test_reset(self) -> None:
        """Who begins anew is given back what they used, as far as is known, and loses what was granted."""
        self.charging.reset([AMIR, BETH])
        self.assertEqual(
            self.charging.charges(),
            [Charge("day", "amir", 100.0, -70.0, -10.0), Charge("day", "beth", 100.0, -5.0, 0.0)],
        )

    def test_undone(self) -> None:
        """What could not be told is told the next time, with what came since."""
        self.charging.grant(AMIR, 20.0)
        self.charging.undo(self.charging.charges())
        self.charging.grant(AMIR, 1.0)
        self.assertEqual(self.charging.charges(), [Charge("day", "amir", 100.0, 0.0, 21.0)])

    def test_on_top(self) -> None:
        """What is not told yet stands on top of what all have in common; what is told stands there."""
        common = Common("day", "amir", 100.0, 70.0, 10.0, 3, 4)
        self.charging.reset([AMIR])
        self.charging.grant(AMIR, 30.0)
        self.assertEqual(self.charging.on_top(common), Common("day", "amir", 100.0, 0.0, 30.0, 3, 4))
        self.assertEqual(self.charging.on_top(common._replace(whom="beth")), common._replace(whom="beth"))
        self.charging.charges()
        self.assertEqual(self.charging.on_top(common), common)

    def test_next_day(self) -> None:
        """What was for yesterday is nothing today, and is forgotten when that is over."""
        self.charging.grant(AMIR, 20.0)
        tomorrow = Common("day", "amir", 200.0, 0.0, 0.0)
        self.assertEqual(self.charging.on_top(tomorrow), tomorrow)
        self.charging.forget(100.0)
        self.assertEqual(self.charging.charges(), [])
