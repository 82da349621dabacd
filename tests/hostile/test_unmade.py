"""What is compiled looks at what it is given: an object that nobody made raises, and ends no process."""

from __future__ import annotations

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

ROAD, TUNNEL, WIRE = (import_module(f"corpproxy._{part}") for part in ("road", "tunnel", "wire"))


class Opening(TUNNEL.Opening):
    """A class below the compiled one that has none of the members it looks at."""

    __slots__ = ()


class UnmadeTests(SynchronousTestCase):
    """Objects without what their maker puts in."""

    def test_run(self):
        """A road that was never laid is not driven."""
        run = ROAD.Run.__new__(ROAD.Run)
        for drive in (run.start, run.succeed, lambda: run._go_on(False, None)):
            self.assertRaises(AttributeError, drive)

    def test_opening(self):
        """What opens no tunnel is told neither of a server nor of octets."""
        for tell in (Opening().reached, Opening().octets):
            self.assertRaises(TypeError, tell, b"")

    def test_dial(self):
        """An attempt that has not begun connects to nowhere."""
        dial = WIRE.Dial.__new__(WIRE.Dial)
        dial._socket = object()
        for go_on in (dial, dial._connect, lambda: dial.ready(0)):
            self.assertRaises(AttributeError, go_on)
