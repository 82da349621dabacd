"""Sockets of the engine: compiled, they do what those of the library do."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.deadlines import Deadlines
from corpproxy.net.engine import sockets
from tests.support.rows import rows, tabular

STREAM = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
ADDRESSES = {"ipv4": ("127.0.0.1",), "ipv6": ("::1",)}


def waits(one, events=select.POLLIN):
    """Wait until the kernel has something to tell of a socket."""
    looking = select.poll()
    looking.register(one.fileno(), events)
    looking.poll(5000)


@tabular
class SocketTests(SynchronousTestCase):
    """As this interpreter has them; run with ``CORPPROXY_PURE=1`` they are those of the library."""

    def listen(self, address):
        """A listening socket, which does not block."""
        listening = socket.socket(FAMILIES[address])
        self.addCleanup(listening.close)
        listening.bind((address, 0))
        listening.listen(8)
        listening.setblocking(False)
        return listening

    def pair(self, address):
        """A connection made by the engine's, and the one that was taken for it."""
        listening = self.listen(address)
        made = sockets.make_socket(int(FAMILIES[address]), STREAM)
        self.addCleanup(made.close)
        self.assertIn(made.connect_ex(listening.getsockname()[:2]), (0, errno.EINPROGRESS))
        waits(listening)
        taken, peer = sockets.accept(listening)
        self.addCleanup(taken.close)
        waits(made, select.POLLOUT)
        return made, taken, peer

    @rows(**ADDRESSES)
    def test_accept(self, address):
        """Who connected is known by address and port, as one text for all its connections."""
        made, taken, peer = self.pair(address)
        self.assertEqual(peer, made.getsockname()[:2])
        self.assertIs(peer[0], self.pair(address)[2][0])
        self.assertEqual(taken.getpeername()[:2], peer)
        self.assertEqual(taken.family, FAMILIES[address])

    def test_nobody(self):
        """Where nobody waits there is none."""
        self.assertIsNone(sockets.accept(self.listen("127.0.0.1")))

    def test_not_listening(self):
        """A socket that does not listen says so."""
        one = socket.socket()
        self.addCleanup(one.close)
        with self.assertRaises(OSError) as caught:
            sockets.accept(one)
        self.assertEqual(caught.exception.errno, errno.EINVAL)

    @rows(**ADDRESSES)
    def test_octets(self, address):
        """Octets go both ways; where none are there nobody waits for them."""
        made, taken, _ = self.pair(address)
        with self.assertRaises(BlockingIOError):
            taken.recv(10)
        self.assertEqual(made.send(memoryview(b"hello")), 5)
        waits(taken)
        self.assertEqual(taken.recv(1, socket.MSG_PEEK), b"h")
        self.assertEqual(taken.recv(100), b"hello")
        self.assertEqual(taken.sendmsg([b"good", memoryview(b"bye")]), 7)
        waits(made)
        self.assertEqual(made.recv(4), b"good")

    def test_ends(self):
        """One way ends before the other."""
        made, taken, _ = self.pair("127.0.0.1")
        made.shutdown(socket.SHUT_WR)
        waits(taken)
        self.assertEqual(taken.recv(10), b"")
        self.assertEqual(taken.send(b"x"), 1)
        waits(made)
        self.assertEqual(made.recv(10), b"x")

    def test_reset(self):
        """A reset is told, and who sends after it raises no signal."""
        made, taken, _ = self.pair("127.0.0.1")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.close()
        waits(taken)
        self.assertRaises(ConnectionResetError, taken.recv, 10)
        self.assertRaises(BrokenPipeError, taken.send, b"x")

    def test_options(self):
        """Options are numbers."""
        made, _, _ = self.pair("127.0.0.1")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.assertTrue(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertRaises(OSError, made.setsockopt, socket.IPPROTO_TCP, 9999, 1)

    def test_refused(self):
        """Where nobody listens, the connection is refused."""
        listening = self.listen("127.0.0.1")
        address = listening.getsockname()
        listening.close()
        made = sockets.make_socket(int(socket.AF_INET), STREAM)
        self.addCleanup(made.close)
        number = made.connect_ex(address)
        if number == errno.EINPROGRESS:
            waits(made, select.POLLOUT)
            number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.assertEqual(number, errno.ECONNREFUSED)

    def test_bind(self):
        """The address to connect from can be chosen."""
        listening = self.listen("127.0.0.1")
        made = sockets.make_socket(int(socket.AF_INET), STREAM)
        self.addCleanup(made.close)
        made.bind(("127.0.0.9", 0))
        made.connect_ex(listening.getsockname())
        waits(listening)
        _, peer = sockets.accept(listening)
        self.assertEqual(peer[0], "127.0.0.9")

    def test_close(self):
        """It is closed once: the descriptor may be another one's by then."""
        made, _, _ = self.pair("127.0.0.1")
        descriptor = made.fileno()
        made.close()
        self.assertEqual(made.fileno(), -1)
        again = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, again)
        self.assertEqual(again, descriptor)
        made.close()
        del made
        os.fstat(again)

    def test_let_go(self):
        """One that nobody has any more is closed."""
        made, taken, _ = self.pair("127.0.0.1")
        descriptor = made.fileno()
        self._cleanups.clear()
        del made
        waits(taken)
        self.assertRaises(OSError, os.fstat, descriptor)
        self.assertEqual(taken.recv(10), b"")

    def test_does_not_block_and_is_not_inherited(self):
        """None of them blocks, or stays with a program that is started."""
        made, taken, _ = self.pair("127.0.0.1")
        for one in (made, taken):
            self.assertFalse(os.get_blocking(one.fileno()))
            self.assertFalse(os.get_inheritable(one.fileno()))

    def test_name(self):
        """A name is no address of this family: the library says what it is."""
        one = sockets.make_socket(int(socket.AF_INET), STREAM)
        self.addCleanup(one.close)
        self.assertRaises(OSError, one.connect_ex, ("::1", 80))


class CompiledTests(SynchronousTestCase):
    """What only the compiled ones may be told wrongly."""

    def setUp(self):
        self.wire = import_module("corpproxy._wire")
        self.one = self.wire.socket(int(socket.AF_INET), STREAM)
        self.addCleanup(self.one.close)

    def test_wrong_kinds(self):
        """What is no address, number or octets is no accident."""
        for call in (
            lambda: self.one.connect_ex("127.0.0.1"),
            lambda: self.one.connect_ex(("127.0.0.1", 70_000)),
            self.one.recv,
            lambda: self.one.recv("x"),
            lambda: self.one.send("text"),
            lambda: self.one.setsockopt(1, 2),
            lambda: self.one.shutdown(None),
            lambda: self.wire.accept("x"),
            lambda: self.wire.set_socket(socket.SocketType),
            lambda: self.wire.socket(2),
            lambda: self.wire.serve(self, socket.SocketType, 1),
            lambda: self.wire.serve(self, self.wire.Transport),
            lambda: self.wire.set_ends(self.wire.Transport, None, {}),
            lambda: self.wire.set_side(int, Deadlines, ValueError, None),
        ):
            self.assertRaises((TypeError, OverflowError), call)

    def test_no_wire(self):
        """A class without the members of a wire is not taken for one, and the one of before stays."""
        self.assertRaises(AttributeError, self.wire.set_side, int, Deadlines, ValueError, None, 1.0, None)
        self.assertRaises(TypeError, self.wire.Side().close)

    def test_size(self):
        """A size below nought is refused."""
        self.assertRaises((ValueError, SystemError), self.one.recv, -1)
