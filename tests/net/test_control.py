"""The control socket: commands of the command line reach the proxy that runs, and nobody else's do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.errors import ProtocolError
from corpproxy.net.ask import MAX_LINE_OCTETS, ControlError, ask
from corpproxy.net.control import LINE_SECONDS, Caller, ControlProtocol, ControlServer
from tests.support.rows import rows, tabular

ME = Caller(os.geteuid(), os.getegid(), os.getpid(), "me")


def commands(called):
    """A few commands that note who called them with what."""

    def reload(caller, arguments):
        called.append((caller, arguments))
        return {"version": "abc"}

    def refuse(caller, arguments):
        raise ControlError("bad-policy", "two problems", {"problems": ["a", "b"]})

    def break_rules(caller, arguments):
        raise ProtocolError("bad-host", "that is no host")

    def fail(caller, arguments):
        return 1 / 0

    async def later(caller, arguments):
        return {"later": True}

    return {
        "reload": reload,
        "refuse": refuse,
        "break": break_rules,
        "fail": fail,
        "later": later,
        "odd": lambda caller, arguments: {"path": object()},
    }


class ProtocolCase(SynchronousTestCase):
    """One caller in memory."""

    def setUp(self):
        self.called = []
        self.clock = Clock()

    def connect(self, caller=ME, **more):
        known = commands(self.called) | more
        server = ControlServer(Path("unused"), known, reactor=self.clock, identify=lambda transport: caller)
        protocol = ControlProtocol(server)
        protocol.makeConnection(StringTransport())
        return protocol

    def answer(self, protocol):
        """The one line that was answered, on a connection that is closed after it."""
        octets = protocol.transport.value()
        self.assertEqual(octets.count(b"\n"), 1, octets)
        self.assertTrue(protocol.transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return json.loads(octets)

    def say(self, octets, caller=ME):
        protocol = self.connect(caller)
        protocol.dataReceived(octets)
        return self.answer(protocol)


@tabular
class ProtocolTests(ProtocolCase):
    """What is answered to which line."""

    def test_command(self):
        """A command is performed with its arguments, and knows who gave it."""
        self.assertEqual(self.say(b'{"command": "reload", "force": true}\n'), {"ok": True, "version": "abc"})
        self.assertEqual(self.called, [(ME, {"force": True})])

    def test_in_pieces(self):
        """A line may come in pieces; what follows it is passed over."""
        protocol = self.connect()
        for octet in b'{"command":"reload"}\n{"command":"reload"}\n':
            protocol.dataReceived(bytes([octet]))
        self.assertEqual(self.answer(protocol)["ok"], True)
        self.assertEqual(len(self.called), 1)

    def test_coroutine(self):
        """A command may be a coroutine."""
        self.assertEqual(self.say(b'{"command": "later"}\n'), {"ok": True, "later": True})

    def test_waiting(self):
        """A command may take its time; the answer comes when it is done."""
        done = Deferred()
        protocol = self.connect(slow=lambda caller, arguments: done)
        protocol.dataReceived(b'{"command": "slow"}\n')
        self.clock.advance(LINE_SECONDS * 2)
        self.assertEqual(protocol.transport.value(), b"")
        done.callback({"n": 1})
        self.assertEqual(self.answer(protocol), {"ok": True, "n": 1})

    def test_caller_gone(self):
        """A caller that leaves before the answer does no harm; the command is carried out."""
        done = Deferred()
        protocol = self.connect(slow=lambda caller, arguments: done)
        protocol.dataReceived(b'{"command": "slow"}\n')
        protocol.connectionLost()
        done.callback({"n": 1})
        self.assertEqual(protocol.transport.value(), b"")

    @rows(
        no_json=(b"reload\n", "bad-command"),
        no_object=(b'["reload"]\n', "bad-command"),
        nothing=(b"\n", "bad-command"),
        not_utf8=(b'{"command": "\xff"}\n', "bad-command"),
        deep=(b"[" * 100_000 + b"\n", "bad-command"),
        no_command=(b"{}\n", "unknown-command"),
        unknown=(b'{"command": "relaod"}\n', "unknown-command"),
        no_text=(b'{"command": 7}\n', "unknown-command"),
        too_long=(b" " * (MAX_LINE_OCTETS + 1), "too-long"),
    )
    def test_bad_lines(self, octets, code):
        """What is no command gets a clear answer, and nothing is done."""
        answer = self.say(octets)
        self.assertEqual((answer["ok"], answer["code"]), (False, code))
        self.assertTrue(answer["problem"])
        self.assertEqual(self.called, [])

    def test_unknown_names_the_known(self):
        """The answer to an unknown command names those that there are."""
        self.assertIn("refuse, reload", self.say(b'{"command": "x"}\n')["problem"])

    @rows(
        with_more=(
            "refuse",
            {"ok": False, "code": "bad-policy", "problem": "two problems", "problems": ["a", "b"]},
        ),
        any_of_ours=("break", {"ok": False, "code": "bad-host", "problem": "that is no host"}),
    )
    def test_refusals(self, command, expected):
        """A command that is refused says so in its own words."""
        self.assertEqual(self.say(b'{"command": "%s"}\n' % command.encode()), expected)

    @rows(fault=("fail", ZeroDivisionError), unwritable=("odd", TypeError))
    def test_faults(self, command, kind):
        """A fault of ours is in the log, and the caller hears of it without details."""
        answer = self.say(b'{"command": "%s"}\n' % command.encode())
        self.assertEqual((answer["ok"], answer["code"]), (False, "failed"))
        self.assertEqual(len(self.flushLoggedErrors(kind)), 1)

    def test_other_user(self):
        """Another user is told who may give commands, and nothing of theirs is read."""
        other = Caller(os.geteuid() + 4242, 1, 1, "other")
        protocol = self.connect(other)
        protocol.dataReceived(b'{"command": "reload"}\n')
        self.assertEqual(self.answer(protocol)["code"], "not-permitted")
        self.assertEqual(self.called, [])

    def test_root(self):
        """Root may give commands whoever the proxy runs as."""
        self.patch(os, "geteuid", lambda: 4242)
        self.assertTrue(self.say(b'{"command": "reload"}\n', Caller(0, 0, 1, "root"))["ok"])

    def test_silence(self):
        """Who says nothing is sent away."""
        protocol = self.connect()
        self.clock.advance(LINE_SECONDS + 0.1)
        self.assertEqual(self.answer(protocol)["code"], "too-slow")

    @settings(max_examples=80, deadline=None)
    @given(
        st.binary(max_size=60) | st.text(max_size=20).map(lambda text: json.dumps({"command": text}).encode())
    )
    def test_any_octets(self, octets):
        """Any line gets one answer that is not ok: nothing of it is a command."""
        answer = self.say(octets.replace(b"reload", b"").partition(b"\n")[0] + b"\n")
        self.assertIs(answer["ok"], False)


class SocketTests(TestCase):
    """Server and client over a real socket."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "control"
        self.called = []
        self.server = ControlServer(self.path, commands(self.called))
        self.addCleanup(self.server.stop)

    def ask(self, command, **arguments):
        return deferToThread(ask, self.path, command, timeout=5.0, **arguments)

    def refusal(self, function, *arguments, **named):
        return self.assertRaises(ControlError, function, *arguments, **named)

    async def test_ask(self):
        """The command line gets the answer, and the proxy knows who asks."""
        self.server.start()
        self.assertEqual(await self.ask("reload", at=7), {"version": "abc"})
        ((caller, arguments),) = self.called
        self.assertEqual((caller.uid, caller.gid, caller.pid), (os.geteuid(), os.getegid(), os.getpid()))
        self.assertEqual(arguments, {"at": 7})

    async def test_refused(self):
        """A refusal becomes an exception that carries the whole answer."""
        self.server.start()
        try:
            await self.ask("refuse")
        except ControlError as problem:
            self.assertEqual((problem.code, problem.message), ("bad-policy", "two problems"))
            self.assertEqual(problem.answer["problems"], ["a", "b"])
        else:
            self.fail("the command was refused")

    async def test_far_too_long(self):
        """A command beyond the bound is refused in words, not by a broken connection."""
        self.server.start()
        try:
            await self.ask("reload", text="x" * (3 * MAX_LINE_OCTETS))
        except ControlError as problem:
            self.assertEqual(problem.code, "too-long")
        else:
            self.fail("the command was refused")

    def test_mode(self):
        """Only the owner may use the socket, whatever the umask says."""
        before = os.umask(0)
        try:
            self.server.start()
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.path.with_name("control.lock").stat().st_mode), 0o600)

    async def test_left_behind(self):
        """A socket that a dead proxy left behind is replaced."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        self.server.start()
        self.assertEqual(await self.ask("later"), {"later": True})

    def test_already_running(self):
        """A second proxy on the same folder does not start, and the first one goes on."""
        self.server.start()
        other = ControlServer(self.path, {})
        problem = self.refusal(other.start)
        self.assertEqual(problem.code, "already-running")
        self.assertIn(str(self.folder), problem.message)
        self.assertTrue(self.path.is_socket())

    async def test_stop(self):
        """After the proxy has stopped the socket is gone and the folder is free."""
        self.server.start()
        await self.server.stop()
        self.assertFalse(self.path.exists())
        other = ControlServer(self.path, {})
        other.start()
        await other.stop()

    def test_stop_without_start(self):
        """Stopping what never started is nothing."""
        self.successResultOf(self.server.stop())

    def test_not_a_socket(self):
        """A file of another kind in its place is left alone, and named."""
        self.path.write_text("precious")
        problem = self.refusal(self.server.start)
        self.assertEqual(problem.code, "bad-path")
        self.assertEqual(self.path.read_text(), "precious")
        self.path.unlink()
        self.server.start()

    def test_no_folder(self):
        """A state folder that is not there is named."""
        problem = self.refusal(ControlServer(self.folder / "no" / "control", {}).start)
        self.assertIn(str(self.folder / "no"), problem.message)

    def test_long_path(self):
        """A path that is too long for a socket is told with what to do."""
        problem = self.refusal(ControlServer(self.folder / ("x" * 120), {}).start)
        self.assertEqual(problem.code, "bad-path")
        self.assertIn("shorter", problem.message)

    def test_not_running(self):
        """Without a proxy the command line says so, and what to do."""
        for make in (lambda: None, self.dead):
            make()
            problem = self.refusal(ask, self.path, "reload")
            self.assertEqual(problem.code, "not-running")
            self.assertIn(str(self.folder), problem.message)

    def dead(self):
        """Leave a socket behind."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))

    def listen(self, reply):
        """Somebody else listens there: ``reply`` is sent, None keeps silent until the end of the test."""
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.listen()

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                if reply is None:
                    connection.recv(1)
                else:
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(listening.close)
        self.addCleanup(thread.join)

    def test_no_answer(self):
        """A proxy that does not answer in time is not waited for."""
        self.listen(None)
        self.assertEqual(self.refusal(ask, self.path, "reload", timeout=0.05).code, "no-answer")

    def test_cut_off(self):
        """A proxy that dies meanwhile is told from one that answers."""
        self.listen(b'{"ok": tr')
        self.assertEqual(self.refusal(ask, self.path, "reload").code, "no-answer")

    def test_stranger(self):
        """Something else that listens there is not believed."""
        self.listen(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertEqual(self.refusal(ask, self.path, "reload").code, "no-answer")

    def test_not_permitted(self):
        """A user without permission is told as whom to run the command."""

        class Refusing(socket.socket):
            def connect(self, address):
                raise PermissionError(13, "Permission denied")

        self.path.write_text("")
        self.patch(socket, "socket", Refusing)
        problem = self.refusal(ask, self.path, "reload")
        self.assertEqual(problem.code, "not-permitted")
        self.assertIn("root", problem.message)
