"""A running service asks for its lists when it is time, in one child at a time."""

from __future__ import annotations

import msgspec
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure

from corpproxy.backends.lists.removed import RemovedLists
from corpproxy.backends.lists.shelf import FAILED, HELD, TAKEN, ShelfError
from corpproxy.backends.lists.update_job import Outcome, UpdateJob
from corpproxy.backends.lists.updates import CHILD_SECONDS, LOOK_SECONDS, RETRY_SECONDS, ListUpdates
from tests.backends.bad_server import answer, serving
from tests.backends.fetched_site import LIST, NOON, FetchedCase
from tests.backends.lists.test_watch import Child, Reactor


class UpdatesCase(FetchedCase):
    """What decides when, with children in hand."""

    def setUp(self):
        super().setUp()
        self.reactor = Reactor()
        self.came = 0
        self.updates = ListUpdates(
            self.reactor,
            self.configuration.lists,
            lambda names: UpdateJob("policy.yaml", {"policy.yaml": b"rules:"}, names),
            self.take,
            lambda: NOON + self.reactor.seconds(),
            RemovedLists(self.configuration.state),
        )
        self.addCleanup(self.updates.stop)

    def take(self) -> None:
        self.came += 1

    def looks(self) -> None:
        self.reactor.advance(LOOK_SECONDS)

    @property
    def children(self) -> list[Child]:
        return self.reactor.children

    def job(self, child: Child) -> UpdateJob:
        return msgspec.json.decode(child.written, type=UpdateJob)

    def tells(self, child: Child, result: str = TAKEN, name: str = "fun") -> None:
        """Let a child say what came of a list."""
        child.protocol.outReceived(msgspec.json.encode(Outcome(name, result, "so it was")) + b"\n")

    def ends(self, child: Child, result: str = TAKEN) -> None:
        """Let a child say what came of its list, and end."""
        self.tells(child, result)
        child.ends(ProcessDone(0))


class WhenTests(UpdatesCase):
    """When a list is asked for."""

    def test_at_once(self):
        """A list of which nothing is known is asked for at the start."""
        self.updates.start()
        (child,) = self.children
        self.assertEqual(self.job(child).names, ["fun"])
        self.assertEqual(self.job(child).texts, {"policy.yaml": b"rules:"})
        self.ends(child)
        self.assertEqual((self.came, self.updates.is_updating), (1, False))

    def test_not_before_its_time(self):
        """One that was fetched a moment ago is asked for when its refresh is over."""
        self.taken()
        self.updates.start()
        self.assertEqual(self.children, [])
        self.reactor.advance(86_400)
        self.assertEqual(len(self.children), 1)

    def test_one_at_a_time(self):
        """While a child is at work no other is started."""
        self.updates.start()
        for _ in range(5):
            self.looks()
        self.assertEqual(len(self.children), 1)

    def test_child_that_fails(self):
        """A child that fails as a whole is not started again before a while."""
        self.updates.start()
        self.children[0].ends(ProcessTerminated(1), b"no memory")
        (failed,) = [str(one) for one in self.flushed()]
        self.assertIn("no memory", failed)
        for _ in range(int(RETRY_SECONDS // LOOK_SECONDS) - 1):
            self.looks()
        self.assertEqual(len(self.children), 1)
        self.looks()
        self.looks()
        self.assertEqual(len(self.children), 2)

    def test_child_that_hangs(self):
        """A child that hangs is ended."""
        self.updates.start()
        self.reactor.advance(CHILD_SECONDS)
        self.assertEqual(self.children[0].signals, ["KILL"])

    def test_stopped(self):
        """Who stops ends the child, and tells those who wait."""
        self.updates.start()
        waits = self.updates.update(["fun"])
        self.updates.stop()
        self.assertEqual(self.children[0].signals, ["KILL"])
        self.assertEqual(self.failureResultOf(waits, ShelfError).value.code, "stopping")
        self.children[0].protocol.processEnded(Failure(ProcessTerminated(None, 9)))
        self.reactor.advance(86_400)
        self.assertEqual((len(self.children), self.came), (1, 0))

    def test_no_lists(self):
        """Without lists that are fetched nothing is looked at."""
        self.updates.take(())
        self.updates.start()
        self.assertEqual((self.children, self.updates.statuses, self.updates.problems), ([], [], ()))

    def test_other_policy(self):
        """A policy with other lists is taken up, and a child that is at work goes on."""
        self.updates.start()
        self.updates.take(())
        self.assertEqual(self.children[0].signals, [])
        self.ends(self.children[0])
        self.looks()
        self.assertEqual(len(self.children), 1)
        self.updates.take(self.configuration.lists)
        self.assertEqual(len(self.children), 2)

    def flushed(self) -> list[object]:
        from twisted.logger import formatEvent, globalLogPublisher

        del globalLogPublisher
        return [formatEvent(one) for one in self.events]

    def run(self, result):
        from twisted.logger import globalLogPublisher

        self.events = []

        def keep(event):
            if event.get("log_namespace", "").endswith("ListUpdates") and event["log_level"].name == "error":
                self.events.append(event)

        globalLogPublisher.addObserver(keep)
        try:
            return super().run(result)
        finally:
            globalLogPublisher.removeObserver(keep)


class AskedTests(UpdatesCase):
    """Administrators who ask for lists."""

    def test_asked(self):
        """A list is fetched now, and the outcome is told."""
        waits = self.updates.update(["fun"])
        self.ends(self.children[0], HELD)
        self.assertEqual(self.successResultOf(waits), [Outcome("fun", HELD, "so it was")])
        self.assertEqual((self.updates.outcomes[HELD], self.came), (1, 0))

    def test_asked_meanwhile(self):
        """Who asks while a child is at work gets an answer of the next."""
        first, second = self.updates.update(["fun"]), self.updates.update(["fun"])
        third = self.updates.update(["fun"])
        self.ends(self.children[0])
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual(len(self.children), 2)
        self.assertEqual(self.job(self.children[1]).names, ["fun"])
        self.ends(self.children[1], FAILED)
        self.assertEqual(self.successResultOf(second), self.successResultOf(third))

    def test_nothing_asked(self):
        """Who asks for nothing gets nothing."""
        self.assertEqual(self.successResultOf(self.updates.update([])), [])

    def test_unknown(self):
        """A list that is not fetched cannot be accepted."""
        error = self.assertRaises(ShelfError, self.updates.accept, "ads", "", "beth", 1001)
        self.assertEqual(error.message, "no list 'ads' is fetched; those that are: fun")

    def test_half_lines(self):
        """What a child tells is read whole, however it comes."""
        waits = self.updates.update(["fun"])
        line = msgspec.json.encode(Outcome("fun", TAKEN, "well")) + b"\n"
        for octet in line:
            self.children[0].protocol.outReceived(bytes([octet]))
        self.children[0].ends(ProcessDone(0))
        self.assertEqual(self.successResultOf(waits), [Outcome("fun", TAKEN, "well")])


class KnownTests(UpdatesCase):
    """What is known of the lists."""

    def test_problems(self):
        """A list that fails is told, with how often."""
        self.taken()
        self.update(answer(status="500 Oops"))
        self.update(answer(status="500 Oops"))
        self.updates.look()
        (problem,) = self.updates.problems
        self.assertEqual(problem.code, "list-not-fetched")
        self.assertIn("could not be fetched, 2 times in a row: it answers 500 Oops", problem.message)
        self.assertEqual(problem.place.line, 6)

    def test_stale(self):
        """After three refreshes without a good answer it is stale; with one it is not."""
        self.taken()
        self.update(answer(status="500 Oops"))
        self.updates.look()
        self.reactor.advance(3 * 86_400 + 1)
        (problem,) = self.updates.problems
        self.assertEqual(problem.code, "list-stale")
        self.now = NOON + 3 * 86_400 + 1
        self.update(serving(LIST))
        self.updates.changed()
        self.assertEqual(self.updates.problems, ())

    def test_given_up(self):
        """A publisher who changes nothing for half a year may have given up."""
        self.update(serving(LIST, Last_Modified="Mon, 05 Jan 2026 10:00:00 GMT", ETag='"1"'))
        self.updates.look()
        (problem,) = self.updates.problems
        self.assertEqual(problem.code, "list-given-up")

    def test_never(self):
        """A list that was never fetched becomes stale when it was tried in vain for long."""
        for _ in range(3):
            self.update(answer(status="404 Not Found"))
        self.updates.look()
        self.assertEqual([one.code for one in self.updates.problems], ["list-stale"])
        self.assertIn("no source of it ever gave a good answer", self.updates.problems[0].message)

    def test_age(self):
        """The age of a list is the time since a source last gave a good answer."""
        self.assertEqual(self.updates.ages, {})
        self.taken(ETag='"1"')
        self.now += 3600
        self.update()
        self.updates.look()
        self.reactor.advance(3700)
        self.assertEqual(self.updates.ages, {"fun": 100.0})
