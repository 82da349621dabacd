"""What a command does while no service runs is left for the record, whole and in order."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.audit.reference import read_reference
from corpproxy.backends.records.deed_spool import DEEDS_FOLDER, leave, left, new_reference, recorded
from tests.support.rows import rows, tabular


def a_deed(whom: str) -> Deed:
    """Somebody was added."""
    return Deed(DeedName.USER_ADDED, 1_796_000_000.0, "carol", whom, (), why="groups: a, b", source="command")


@tabular
class SpoolTests(SynchronousTestCase):
    """A state folder."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()

    def test_order(self) -> None:
        """Deeds come back as they were left, the first first."""
        for whom in ("amir", "beth", "\x1b\ud83d"):
            leave(self.state, a_deed(whom.encode("utf-8", "replace").decode()))
        self.assertEqual([deed and deed.whom for _, deed in left(self.state)][:2], ["amir", "beth"])
        self.assertEqual(left(self.state)[0][1], a_deed("amir"))

    def test_private(self) -> None:
        """Only the owner may read them, or leave one."""
        leave(self.state, a_deed("amir"))
        ((path, _),) = left(self.state)
        self.assertEqual((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777), (0o600, 0o700))

    def test_nothing(self) -> None:
        """Without any there is nothing."""
        self.assertEqual(left(self.state), [])

    @rows(nonsense=(b"nonsense",), other=(b"{}",), cut=(b'{"name":"user-added"',), odd=(b"\xff",))
    def test_no_deed(self, octets) -> None:
        """What is no deed is told as such."""
        folder = self.state / DEEDS_FOLDER
        folder.mkdir()
        (folder / "1.json").write_bytes(octets)
        self.assertEqual([deed for _, deed in left(self.state)], [None])

    @rows(
        there=(b'{"v":1,"id":"%s"}\n', 0, True),
        cut=(b'{"v":1,"id":"%s"', 0, False),
        another=(b'{"v":1,"id":"0s3c9d0000r001","grant":"%s"}\n', 0, False),
        before_it_was_left=(b'{"v":1,"id":"%s"}\n', -60, False),
    )
    def test_recorded(self, line, written, is_there) -> None:
        """A deed that the record has is found there by its reference; half a line is no record."""
        deed = replace(a_deed("amir"), request=new_reference(1_796_000_000.0))
        leave(self.state, deed)
        (self.state / "records").mkdir()
        segment = self.state / "records" / "records-20261123T094500Z-0001.jsonl"
        segment.write_bytes(line % deed.request.encode())
        os.utime(segment, (time.time() + written,) * 2)
        self.assertEqual(recorded(self.state, left(self.state)), {deed.request} if is_there else set())

    def test_reference(self) -> None:
        """Each has a reference, as every record has."""
        self.assertEqual(len(read_reference(new_reference(1_796_000_000.0))), 14)
