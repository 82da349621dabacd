"""The policies that ran are kept, whatever happens to the disk."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.policies import history as history_module
from corpproxy.backends.policies.history import History, HistoryError, Run
from corpproxy.config.sources import version_of

TEXTS = {"policy.yaml": b"site: one\n", "rules.d/a.yaml": b"rules: []\n"}
OTHER = {"policy.yaml": b"site: two\n"}


def run(at: float = 1000.0, why: str = "start") -> Run:
    return Run(at, "carol", 1000, why)


class HistoryCase(SynchronousTestCase):
    """A state folder of its own."""

    def setUp(self):
        self.state = Path(self.mktemp())
        self.policy = self.state.parent / "policy.yaml"
        self.history = History(self.state)

    def keep(self, texts=TEXTS, at=1000.0, why="start"):
        return self.history.keep(texts, self.policy, run(at, why))


class KeepTests(HistoryCase):
    """What is kept can be read again."""

    def test_texts(self):
        """All files of a version come back octet for octet."""
        version = self.keep()
        self.assertEqual(version.version, version_of(TEXTS))
        self.assertEqual(self.history.texts(version), TEXTS)

    def test_who_when_why(self):
        """A version says when it ran, by whom and why, each time."""
        self.keep()
        self.keep(at=2000.0, why="reload")
        (version,) = self.history.versions()
        self.assertEqual([(one.at, one.why) for one in version.runs], [(1000.0, "start"), (2000.0, "reload")])
        self.assertEqual((version.last.by, version.last.uid), ("carol", 1000))

    def test_order(self):
        """The version that ran last comes first."""
        first, second = self.keep(), self.keep(OTHER, at=2000.0)
        self.assertEqual([one.version for one in self.history.versions()], [second.version, first.version])
        self.keep(at=3000.0)
        self.assertEqual(self.history.versions()[0].version, first.version)

    def test_last_good(self):
        """The last good version is the one that ran last, not one that was put aside."""
        self.assertIsNone(self.history.last_good())
        version = self.keep()
        self.history.put_aside(OTHER, self.policy, run(2000.0, "put aside"))
        self.assertEqual(self.history.last_good().version, version.version)
        self.assertEqual(len(self.history.versions()), 2)

    def test_files_outside(self):
        """Files elsewhere, and two of one name, are kept apart."""
        texts = {"policy.yaml": b"a", "../policy.yaml": b"b", "/etc/policy.yaml": b"c"}
        self.assertEqual(self.history.texts(self.keep(texts)), texts)
        self.assertFalse((self.state / "policies" / "policy.yaml").exists())

    def test_runs_are_bounded(self):
        """A service that starts again and again does not fill the file."""
        for at in range(history_module.MAX_RUNS + 5):
            version = self.keep(at=float(at))
        self.assertEqual(len(version.runs), history_module.MAX_RUNS)
        self.assertEqual(version.last.at, history_module.MAX_RUNS + 4.0)

    def test_versions_are_bounded(self):
        """The oldest versions go, the last good one stays even when it is the oldest."""
        self.patch(history_module, "MAX_VERSIONS", 3)
        good = self.keep(at=1.0)
        for number in range(6):
            texts = {"policy.yaml": b"site: %d\n" % number}
            self.history.put_aside(texts, self.policy, run(10.0 + number, "put aside"))
        kept = {one.version for one in self.history.versions()}
        self.assertEqual(len(kept), 4)
        self.assertIn(good.version, kept)

    def test_named_by_records(self):
        """A version that a kept record may name stays; one that ended before the oldest record goes."""
        self.patch(history_module, "MAX_VERSIONS", 1)
        self.segment("20260301T000000Z")
        march = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
        for number in range(-4, 1):
            self.keep({"policy.yaml": b"site: %d\n" % number}, at=march + number * 20 * 86_400.0)
        kept = sorted((one.last.at - march) / 86_400.0 for one in self.history.versions())
        # The third ran until twenty days before: a tunnel of a month would still be in the segment.
        self.assertEqual(kept, [-40.0, -20.0, 0.0])

    def test_put_aside_is_not_named(self):
        """What never ran is named by no record."""
        self.patch(history_module, "MAX_VERSIONS", 1)
        self.segment("19700101T000000Z")
        for number in range(3):
            self.history.put_aside(
                {"policy.yaml": b"site: %d\n" % number}, self.policy, run(10.0 + number, "put aside")
            )
        self.assertEqual(len(self.history.versions()), 1)

    def test_records_out_of_sight(self):
        """Records that cannot be read may name every version."""
        self.patch(history_module, "MAX_VERSIONS", 1)
        self.state.mkdir()
        (self.state / "records").write_text("no folder")
        self.keep()
        self.keep(OTHER, at=9e9)
        self.assertEqual(len(self.history.versions()), 2)

    def segment(self, begun):
        """There is a segment of records from then on."""
        (self.state / "records").mkdir(parents=True)
        (self.state / "records" / f"records-{begun}-0001.jsonl").write_text("")

    def test_not_for_everybody(self):
        """Others on the machine cannot read the policies."""
        version = self.keep()
        self.assertEqual((self.state / "policies" / version.version).stat().st_mode & 0o007, 0)


class FindTests(HistoryCase):
    """A version is found by its name or the beginning of one."""

    def test_beginning(self):
        """The beginning of a name is enough."""
        version = self.keep()
        self.assertEqual(self.history.version(version.version[:4]).version, version.version)

    def test_unknown(self):
        """An unknown version is refused with the nearest name."""
        version = self.keep()
        error = self.assertRaises(HistoryError, self.history.version, version.version[::-1] + "0")
        self.assertEqual(error.code, "no-version")
        self.assertRaises(HistoryError, self.history.version, "")
        self.assertRaises(HistoryError, self.history.version, "../..")

    def test_several(self):
        """A beginning that fits several is refused with all of them."""
        for number in range(40):
            self.keep({"policy.yaml": b"%d" % number}, at=float(number))
        names = [one.version for one in self.history.versions()]
        first = next(one[0] for one in names if sum(other[0] == one[0] for other in names) > 1)
        error = self.assertRaises(HistoryError, self.history.version, first)
        self.assertIn("several", error.message)


class DamageTests(HistoryCase):
    """A disk that fails costs a version at most."""

    def test_full_disk(self):
        """When the disk is full a clear error is raised, and what was kept before stands."""
        before = self.keep()

        def full(path, octets):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        self.patch(history_module, "replace_file", full)
        error = self.assertRaises(HistoryError, self.keep, OTHER)
        self.assertEqual(error.code, "not-kept")
        self.assertIn("No space left on device", error.message)
        self.assertEqual([one.version for one in self.history.versions()], [before.version])
        self.assertEqual(self.history.last_good().version, before.version)
        self.assertEqual(sorted(os.listdir(self.history.folder)), sorted([before.version, "last-good"]))

    def test_full_half_way(self):
        """A disk that fills half way through a version leaves nothing of it."""
        before = self.keep()
        real = history_module.replace_file

        def fills(path, octets):
            if path.name == "version.json":
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            real(path, octets)

        self.patch(history_module, "replace_file", fills)
        self.assertRaises(HistoryError, self.keep, OTHER)
        self.assertEqual(sorted(os.listdir(self.history.folder)), sorted([before.version, "last-good"]))

    def test_state_is_a_file(self):
        """A state folder that is a file is told."""
        self.state.write_text("")
        self.assertEqual(self.assertRaises(HistoryError, self.keep).code, "not-kept")

    def test_half_a_version(self):
        """Half a version, as a killed machine may leave it, is written anew."""
        folder = self.history.folder / version_of(TEXTS)
        folder.mkdir(parents=True)
        (folder / "000-policy.yaml").write_bytes(b"")
        self.assertEqual(self.history.versions(), [])
        self.assertEqual(self.history.texts(self.keep()), TEXTS)

    def test_edited_by_hand(self):
        """A kept file that was edited is not given out as that version."""
        version = self.keep()
        (self.history.folder / version.version / version.files["policy.yaml"]).write_bytes(b"site: other\n")
        self.assertEqual(self.assertRaises(HistoryError, self.history.texts, version).code, "not-readable")

    def test_odd_pointer(self):
        """A pointer that cannot be read is no last good version."""
        self.keep()
        for octets in (b"", b"{}", b'{"version": "gone", "policy": "x"}', b"\xff"):
            (self.history.folder / "last-good").write_bytes(octets)
            self.assertIsNone(self.history.last_good())

    def test_odd_version_file(self):
        """A version file that cannot be read hides that version and no other."""
        first, second = self.keep(), self.keep(OTHER, at=2000.0)
        for octets in (b"", b"[]", b'{"version": "x", "policy": "", "files": {}, "runs": []}'):
            (self.history.folder / first.version / "version.json").write_bytes(octets)
            self.assertEqual([one.version for one in self.history.versions()], [second.version])
