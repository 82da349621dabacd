"""A worker opens new lists beside its clients, and takes up what stands there."""

import threading
from types import MethodType, SimpleNamespace

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from corpproxy.supervisor import worker
from corpproxy.supervisor.worker import Worker


class OpenListsTests(TestCase):
    """What `Worker.open_lists` does with the index that stands in the state folder."""

    def setUp(self):
        self.stands = "new"
        self.asked = []
        self.taken = []
        self.patch(worker, "open_index", self.opened)
        self.one = SimpleNamespace(
            reactor=reactor,
            state="state",
            configuration=SimpleNamespace(lists=("ads",)),
            index="old",
            running=True,
            take_lists=self.taken.append,
        )
        self.one._take_opened = MethodType(Worker._take_opened, self.one)

    def opened(self, state):
        """Stand in for opening: give what stands there, and note by which thread it was asked for."""
        self.asked.append(threading.current_thread())
        return self.stands

    async def open(self):
        """Let it open the lists."""
        await Worker.open_lists(self.one)

    async def test_beside_clients(self):
        """It is opened, and its checksum counted, in a thread: the loop finds it open."""
        await self.open()
        first, then = self.asked
        self.assertIsNot(first, threading.current_thread())
        self.assertIs(then, threading.current_thread())
        self.assertEqual(self.taken, ["new"])

    async def test_in_force_already(self):
        """The index that is in force is not put into force again."""
        self.stands = "old"
        await self.open()
        self.assertEqual(self.taken, [])

    async def test_ended_meanwhile(self):
        """A worker that was stopped while it was opened takes nothing up."""
        opening = Worker.open_lists(self.one)
        self.one.running = False
        await opening
        self.assertEqual(self.taken, [])

    async def test_without_lists(self):
        """A policy without lists opens nothing."""
        self.one.configuration.lists = ()
        await self.open()
        self.assertEqual((self.asked, self.taken), ([], []))
