"""``corpproxy top`` on a real terminal, with a service that tells what a test wants."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.top_answers import answer, person, running
from tests.support.terminal import CHECKOUT, Sitting

OWNED = "\x1b]0;owned\x07\x1b[2J\x9b"


class Told:
    """A service at a socket: it answers what it is told to, and keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.people = [person("amir"), person("beth")]
        self.running = [running("0v7x01"), running("0v7x02", who="beth", host="games.example")]
        self.start()

    def start(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                asked = json.loads(file.readline())
                self.asked.append(asked)
                file.write(json.dumps({"ok": True, **self.answer(asked)}).encode() + b"\n")

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["command"] == "present-end":
            return {"count": 1, "whom": asked.get("who") or "amir", "hosts": []}
        if asked["view"] == "people":
            return answer(people=self.people)
        return answer(running=[one for one in self.running if asked["who"] in ("", one["who"])])


class TerminalCase(SynchronousTestCase):
    """A service, and a terminal."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.service = Told(Path(folder.name) / "control.sock")

    def sit(self, *words: str, size: tuple[int, int] = (80, 24), **environment: str) -> Sitting:
        """Begin to look."""
        sitting = Sitting(
            ["top", "--socket", str(self.service.path), "--every", "1", *words], environment, size
        )
        self.addCleanup(sitting.close)
        return sitting

    def left(self, sitting: Sitting, code: int) -> None:
        """The terminal is as it was: its modes, its usual screen, its cursor."""
        self.assertEqual(sitting.ended(), code)
        self.assertTrue(sitting.is_as_it_was())
        self.assertIn(b"\x1b[?25h", sitting.written)


class SittingTests(TerminalCase):
    """Somebody sits there."""

    def test_looks_and_ends(self) -> None:
        """One sees people, turns to what runs for one of them, ends it with a reason, and leaves."""
        sitting = self.sit()
        lines = sitting.shows("beth")
        self.assertEqual([line.split()[0] for line in lines[3:6]], ["WHO", "amir", "beth"])
        sitting.keys("j\r")
        lines = sitting.shows("games.example")
        self.assertEqual(lines[2], "1 exchanges  of beth  by rate")
        sitting.keys("e")
        sitting.shows("end 0v7x02 of beth; why")
        sitting.keys("too much\r")
        sitting.shows("1 ended of amir")
        ended = [one for one in self.service.asked if one["command"] == "present-end"]
        self.assertEqual(
            [(one["reference"], one["who"], one["why"]) for one in ended], [("0v7x02", "", "too much")]
        )
        sitting.keys("q")
        self.left(sitting, 0)

    def test_resized(self) -> None:
        """A larger window has more columns and rows at once, a small one what has room."""
        sitting = self.sit()
        sitting.shows("amir")
        sitting.resize(140, 30)
        lines = sitting.until(lambda lines: "GROUPS" in lines[3] and "q leave" in lines[29])
        self.assertIn("pupils", lines[4])
        sitting.resize(40, 8)
        sitting.until(lambda lines: "MOVED" in lines[3] and lines[7].startswith("q leave"))
        sitting.keys("\x03")
        self.left(sitting, 0)

    def test_away(self) -> None:
        """A service that stops is said to be away, what it told stays, and it is found when it is back."""
        sitting = self.sit()
        sitting.shows("beth")
        self.service.stop()
        lines = sitting.shows("corpproxy is not running")
        self.assertEqual(lines[5].split()[0], "beth")
        self.service.people = [person("carol")]
        self.service.start()
        lines = sitting.until(lambda lines: lines[-1] == "the service answers again")
        self.assertEqual(lines[4].split()[0], "carol")
        sitting.process.send_signal(signal.SIGTERM)
        self.left(sitting, 128 + signal.SIGTERM)

    def test_wire(self) -> None:
        """What came from the wire never speaks to the terminal, and letters of all languages are seen."""
        self.service.people = [person(OWNED), person("Zo\u00eb \u65e5")]
        sitting = self.sit(NO_COLOR="1")
        # The last line is written after the others: once it is there, all is.
        lines = sitting.until(lambda lines: lines[5].startswith("Zo\u00eb"))
        self.assertIn("\\x1b]0;owned", lines[4])
        self.assertNotIn(b"owned\x07", sitting.written)
        self.assertNotIn(b"\xc2\x9b", sitting.written)
        # Nobody wants colours.
        self.assertNotIn(b"\x1b[33m", sitting.written)

    def test_fault(self) -> None:
        """Also a fault of ours leaves the terminal as it was, and is told."""
        self.service.people = [{"who": "amir"}]
        sitting = self.sit()
        self.left(sitting, 1)
        self.assertIn(b"KeyError", sitting.written)

    def test_ascii(self) -> None:
        """A terminal of another encoding shows what it has not as question marks."""
        self.service.people = [person("Zo\u00eb \u65e5")]
        sitting = self.sit(LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        sitting.shows("Zo? ?")


class OnceTests(TerminalCase):
    """It is told once."""

    def told(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "corpproxy", "top", "--socket", str(self.service.path), *words],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_no_terminal(self) -> None:
        """Where the output is no terminal lines are told, once, with what is asked for."""
        told = self.told("running", "--sort", "age", "--filter", "games", "--of", "beth", "--limit", "1")
        lines = told.stdout.splitlines()
        self.assertEqual((told.returncode, [line.split()[0] for line in lines[2:]]), (0, ["WHO", "beth"]))
        (asked,) = self.service.asked
        self.assertEqual(
            [asked[name] for name in ("view", "sort", "text", "who", "limit")],
            ["running", "age", "games", "beth", 1],
        )

    def test_terminal(self) -> None:
        """A terminal on which nothing can be drawn is said so."""
        sitting = self.sit(TERM="unheard-of")
        sitting.shows("use --once")
        self.assertEqual(sitting.ended(), 1)
