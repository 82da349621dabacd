"""What nodes have in common: loans to each, what becomes of those of a node that is gone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import CALL_SECONDS, NODE_TERM_SECONDS, Budget, NodeAsked, NodeLoan

KIB = 1024
MIB = 1 << 20


def asked(seen: int = 0, moved: int = 0, returned: int = 0, wants: int = 0, **more) -> NodeAsked:
    return NodeAsked("day", "amir", 100.0, more.pop("allowed", MIB), seen, moved, returned, wants, **more)


class BudgetTests(SynchronousTestCase):
    """One member of a quota of 1 MiB."""

    def lend(self, budget: Budget, run: str = "1", **more):
        return budget.lend(f"node of {run}", run, asked(**more))

    def test_lent(self) -> None:
        """A node that wants some is lent it; what it moved is used, what it gave back is there for others."""
        budget = Budget()
        self.assertEqual(self.lend(budget, wants=100 * KIB).granted, 100 * KIB)
        self.lend(budget, seen=100 * KIB, moved=30 * KIB, returned=20 * KIB)
        self.assertEqual(budget.used, 30 * KIB)
        self.assertEqual(
            budget.loans["1"], NodeLoan("node of 1", granted=100 * KIB, moved=30 * KIB, returned=20 * KIB)
        )

    def test_twice(self) -> None:
        """A question that comes twice counts once."""
        budget = Budget()
        for _ in range(2):
            self.assertEqual(self.lend(budget, moved=10, wants=100 * KIB).granted, 100 * KIB + 10)
        self.assertEqual(budget.used, 10)

    def test_granted(self) -> None:
        """What was granted is lent, too; what others used and hold is not."""
        budget = Budget(used=MIB, granted=MIB)
        budget.loans["2"] = NodeLoan("two", granted=MIB - 64 * KIB)
        granted = [self.lend(budget, seen=0, wants=MIB).granted]
        while len(granted) < 20:
            granted.append(self.lend(budget, seen=granted[-1], wants=MIB).granted)
        self.assertEqual(granted[-1], 64 * KIB)

    def test_another_policy(self) -> None:
        """A node that has taken up another policy already is lent by that."""
        budget = Budget()
        self.lend(budget, wants=MIB // 2)
        self.assertEqual(self.lend(budget, run="2", wants=MIB, allowed=MIB // 4).granted, 0)

    def test_not_lent(self) -> None:
        """What moved that nobody lent is used, and is no debt of the node."""
        budget = Budget()
        lent = self.lend(budget, moved=10 * KIB, wants=20 * KIB)
        self.assertEqual((budget.used, lent.granted), (10 * KIB, 30 * KIB))

    def test_called_back(self) -> None:
        """A node is told that others want what it does not need; a silent one wants nothing."""
        budget = Budget()
        budget.loans["2"] = NodeLoan("two", wants=2 * MIB)
        self.assertTrue(self.lend(budget, wants=KIB).calls_back)
        budget.loans["2"].silent = CALL_SECONDS
        self.assertFalse(self.lend(budget, run="3", wants=KIB).calls_back)

    def test_over(self) -> None:
        """It is not over while a node may give some back; one that does not answer is not waited for."""
        budget = Budget(used=0.0)
        budget.loans["2"] = NodeLoan("two", granted=MIB, silent=60.0)
        self.assertFalse(self.lend(budget, wants=KIB).is_over)
        self.assertFalse(self.lend(budget, wants=KIB, waiting=CALL_SECONDS - 0.1).is_over)
        self.assertTrue(self.lend(budget, wants=KIB, waiting=CALL_SECONDS).is_over)
        budget.loans["2"].silent = 0.5
        self.assertFalse(self.lend(budget, wants=KIB, waiting=CALL_SECONDS).is_over)
        budget.loans["2"].silent = NODE_TERM_SECONDS
        self.assertTrue(self.lend(budget, wants=KIB).is_over)

    def test_minutes(self) -> None:
        """A minute in which somebody moves through two nodes counts once; those told late count, too."""
        budget = Budget()
        self.lend(budget, moved=2, minute=101, minutes=0b11)
        self.lend(budget, run="2", moved=2, minute=102, minutes=0b11)
        self.assertEqual(budget.used, 3)
        # The answer was lost: it is told once more, with what came since.
        self.lend(budget, run="2", moved=3, minute=103, minutes=0b111)
        self.assertEqual(budget.used, 4)
        self.lend(budget, run="3", moved=70, minute=103, minutes=0b1)
        self.assertEqual(budget.used, 4 + 69)

    def test_dead(self) -> None:
        """What was lent to a node that is gone stays charged until somebody accounts for it."""
        budget = Budget()
        self.lend(budget, wants=100 * KIB)
        self.lend(budget, seen=100 * KIB, moved=10 * KIB)
        for _ in range(2):
            budget.settle("node of 1", "1", 60 * KIB)
            loan = budget.loans["1"]
            self.assertEqual((budget.used, loan.granted - loan.returned), (60 * KIB, 60 * KIB))

    def test_never_told(self) -> None:
        """What a run moved that never reached the database is charged by the next one, once."""
        budget = Budget(used=5.0)
        for _ in range(2):
            budget.settle("node of 1", "1", 60 * KIB)
        self.assertEqual(budget.used, 60 * KIB + 5)

    def test_unknown(self) -> None:
        """A node that does not know what it moved before has used all that it was lent."""
        budget = Budget()
        self.lend(budget, wants=100 * KIB)
        self.lend(budget, seen=100 * KIB, moved=10 * KIB, returned=5 * KIB)
        budget.settle("node of 1", "1", None)
        self.assertEqual(budget.used, 95 * KIB)

    def test_known_better(self) -> None:
        """What is known already is not taken back by a file that is older."""
        budget = Budget()
        self.lend(budget, moved=10 * KIB)
        budget.settle("node of 1", "1", 5 * KIB)
        self.assertEqual(budget.used, 10 * KIB)

    def test_release(self) -> None:
        """What a node holds that must have stopped can be released; it learns that when it is heard."""
        budget = Budget()
        self.lend(budget, wants=100 * KIB)
        self.assertEqual(budget.release(), 0)
        budget.loans["1"].silent = NODE_TERM_SECONDS
        self.assertEqual((budget.release(), budget.release()), (100 * KIB, 0))
        lent = self.lend(budget, seen=100 * KIB, moved=30 * KIB)
        self.assertEqual((lent.granted - lent.returned - 30 * KIB, budget.used), (0, 30 * KIB))
