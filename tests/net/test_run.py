"""The driver of the road: outcomes at once and later, failures, cancellation at any moment."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ClientGone, ProtocolError
from corpproxy.exchange.commands import Command
from corpproxy.net.run import PENDING, Run


@dataclass
class Step(Command[object]):
    """What the road under test asks for."""

    name: str


class RunTests(SynchronousTestCase):
    """Each test is a little road."""

    def setUp(self):
        self.outcomes = {}
        self.seen = []
        self.ends = []

    def start(self, *names):
        """Run a road that asks these steps, and notes what comes of each."""

        async def road():
            for name in names:
                try:
                    self.seen.append((name, await Step(name)))
                except (ProtocolError, ClientGone) as failure:
                    self.seen.append((name, failure.code))

        self.run_ = Run(road(), self, self)
        self.run_.start()

    def ended(self, error):
        self.ends.append(error)

    def perform(self, step):
        outcome = self.outcomes.get(step.name, step.name.upper())
        return outcome() if callable(outcome) else outcome

    def test_at_once(self):
        """What has its outcome at once goes on at once."""
        self.start("one", "two")
        self.assertEqual(self.seen, [("one", "ONE"), ("two", "TWO")])
        self.assertEqual(self.ends, [None])

    def test_many_at_once(self):
        """A road of many steps does not grow the stack."""
        self.start(*["step"] * 5000)
        self.assertEqual(len(self.seen), 5000)

    def test_none_is_an_outcome(self):
        """A command may have nothing to say."""
        self.outcomes["one"] = None
        self.start("one")
        self.assertEqual(self.seen, [("one", None)])

    def test_later(self):
        """What waits goes on when its outcome comes."""
        self.outcomes["one"] = PENDING
        self.start("one", "two")
        self.assertEqual((self.seen, self.ends), ([], []))
        self.run_.succeed("late")
        self.assertEqual(self.seen, [("one", "late"), ("two", "TWO")])
        self.assertEqual(self.ends, [None])

    def test_failure_at_once(self):
        """A performer that raises fails the command."""

        def refuse():
            raise ProtocolError("no", "no")

        self.outcomes["one"] = refuse
        self.start("one", "two")
        self.assertEqual(self.seen, [("one", "no"), ("two", "TWO")])

    def test_failure_later(self):
        """A failure that comes later is thrown in."""
        self.outcomes["one"] = PENDING
        self.start("one")
        self.run_.fail(ProtocolError("no", "no"))
        self.assertEqual(self.seen, [("one", "no")])

    def test_before_the_performer_returned(self):
        """An outcome that comes while the command is still being performed is the outcome."""

        def at_once():
            self.run_.succeed("early")
            self.assertEqual(self.seen, [])
            return PENDING

        self.start()
        self.run_ = None
        self.outcomes["one"] = PENDING
        self.start("one", "two")
        self.outcomes["two"] = at_once
        self.run_.succeed("first")
        self.assertEqual(self.seen, [("one", "first"), ("two", "early")])

    def test_cancelled_while_performed(self):
        """A cancellation while the command is being performed wins over its outcome."""

        def left():
            self.run_.cancel(ClientGone())
            self.run_.succeed("too late")
            return PENDING

        self.outcomes.update(one=PENDING, two=left)
        self.start("one", "two", "three")
        self.run_.succeed()
        self.assertEqual(self.seen[1:], [("two", "client-gone"), ("three", "THREE")])

    def test_cancelled_after_outcome(self):
        """A cancellation that follows the outcome in the same moment wins, too."""

        def left():
            self.run_.succeed("too late")
            self.run_.cancel(ClientGone())
            return PENDING

        self.outcomes.update(one=PENDING, two=left)
        self.start("one", "two")
        self.run_.succeed()
        self.assertEqual(self.seen[1:], [("two", "client-gone")])

    def test_cancelled_while_pending(self):
        """Who is pending is told to give up, once, and the reason is thrown in."""
        given_up = []

        def wait():
            self.run_.abandon = lambda: given_up.append(True)
            return PENDING

        self.outcomes.update(one=PENDING, two=wait)
        self.start("one", "two")
        self.run_.succeed()
        self.run_.cancel(ClientGone())
        self.assertEqual((given_up, self.seen[1:]), ([True], [("two", "client-gone")]))
        self.run_.cancel(ClientGone())
        self.assertEqual((given_up, self.ends), ([True], [None]))

    def test_cancelled_deferred(self):
        """A Deferred that is cancelled says so; what the road hears is why."""
        pending = Deferred()

        def wait():
            self.run_.abandon = pending.cancel
            pending.addCallbacks(self.run_.succeed, self.run_.fail)
            return PENDING

        self.outcomes.update(one=PENDING, two=wait)
        self.start("one", "two")
        self.run_.succeed()
        self.run_.cancel(ClientGone())
        self.assertEqual((self.seen[1:], self.ends), ([("two", "client-gone")], [None]))

    def test_bug(self):
        """What the road did not expect ends it, and is told."""
        self.outcomes["one"] = PENDING
        self.start("one")
        bug = KeyError("bug")
        self.run_.fail(bug)
        self.assertEqual(self.ends, [bug])

    def test_bug_of_the_performer(self):
        """A performer that breaks ends the road in the same way."""
        self.outcomes["one"] = lambda: {}["bug"]
        self.start("one")
        self.assertIsInstance(self.ends[0], KeyError)

    def test_after_the_end(self):
        """What comes after the end changes nothing."""
        self.start("one")
        self.run_.succeed()
        self.run_.fail(ClientGone())
        self.run_.cancel(ClientGone())
        self.assertEqual(self.ends, [None])
