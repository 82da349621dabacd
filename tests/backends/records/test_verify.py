"""A record that was changed in any way is found out, and where."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.checkpoint import Checkpoint, line_hash, read_checkpoint, signed
from corpproxy.audit.proof import read
from corpproxy.audit.record import encode
from corpproxy.audit.settings import AuditSettings
from corpproxy.audit.verify import Fault
from corpproxy.backends.records.checkpoint_files import checkpoint_files
from corpproxy.backends.records.checkpoints import Checkpoints
from corpproxy.backends.records.segments import Segments, segment_names
from corpproxy.backends.records.shelf import anchors
from corpproxy.backends.records.verify import Verdict, verify
from tests.audit.test_record import a_record
from tests.support.threads import DirectThread

BEGAN = 1_795_428_000.0
STAND_ALONE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "verify_record.py"


class RecordCase(SynchronousTestCase):
    """A record of two workers, in several segments, with a checkpoint now and then."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.elsewhere = Path(self.mktemp())
        self.key = Ed25519PrivateKey.generate()
        self.now = BEGAN
        self.checkpoints = self.signer()
        self.writers = [self.worker(1), self.worker(2)]
        self.count = 0
        for _ in range(6):
            self.write(0, 3)
            self.write(1, 2)
            self.sign()

    def signer(self) -> Checkpoints:
        return Checkpoints(self.folder, self.key, DirectThread(), lambda: self.now, [self.elsewhere])

    def worker(self, number: int) -> Segments:
        settings = AuditSettings(
            rotate_octets=1200,
        )
        return Segments(self.folder, settings, worker=number)

    def write(self, writer: int, count: int) -> None:
        lines = b""
        for _ in range(count):
            self.count += 1
            lines += encode(
                a_record(id=f"{self.count:014}", user=f"user{self.count}", host="example.com", path="/")
            )
        self.writers[writer].append(lines, self.now)
        self.now += 1

    def sign(self) -> None:
        for number, segments in enumerate(self.writers):
            self.checkpoints.note(number, segments.end)
        self.now += 60
        self.checkpoints.look()

    def verdict(self, *kept: Path) -> Verdict:
        verdict = verify(self.folder, self.key.public_key(), kept)
        # The other implementation agrees on whether anything is wrong.
        self.assertEqual(self.stand_alone(*kept), verdict.is_whole, verdict.findings)
        return verdict

    def stand_alone(self, *kept: Path) -> bool:
        pem = self.folder.parent / "key.pem"
        pem.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        command = [sys.executable, str(STAND_ALONE), str(self.folder), str(pem), *map(str, kept)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stderr, "")
        return done.returncode == 0

    def files(self) -> list[Path]:
        return [name.path for name in segment_names(self.folder)]

    def faults(self) -> list[tuple[str, int, Fault]]:
        return [(one.file, one.line, one.fault) for one in self.verdict().findings]


class WholeTests(RecordCase):
    """A record that nobody touched."""

    def test_whole(self) -> None:
        """It verifies, and all of it is signed."""
        verdict = self.verdict()
        self.assertEqual((verdict.findings, verdict.tails, verdict.cut), ([], [], []))
        self.assertEqual((verdict.records, verdict.checkpoints), (30, 6))
        self.assertGreater(verdict.segments, 4)

    def test_unsigned_tail(self) -> None:
        """What came after the last checkpoint is told, and is no fault."""
        self.write(0, 2)
        verdict = self.verdict()
        self.assertEqual(verdict.findings, [])
        self.assertEqual([tail.count for tail in verdict.tails], [2])

    def test_crash(self) -> None:
        """So is half a line; the next start begins a chain of its own, which is signed like the others."""
        self.write(1, 1)
        with self.files()[-1].open("ab") as file:
            file.write(b'{"v":1,"id":"half')
        self.writers[1] = self.worker(2)
        self.now += 5
        self.write(1, 2)
        self.sign()
        verdict = self.verdict()
        self.assertEqual(verdict.findings, [])
        self.assertEqual((len(verdict.cut), [tail.count for tail in verdict.tails]), (1, [1]))

    def test_moved_away(self) -> None:
        """What logrotate renames and compresses is still the same."""
        import gzip

        first, second, *_ = self.files()
        first.rename(first.with_name(first.name + ".1"))
        second.with_name(second.name + ".2.gz").write_bytes(gzip.compress(second.read_bytes()))
        second.unlink()
        self.assertEqual(self.verdict().findings, [])

    def test_erased(self) -> None:
        """A record of which something was erased verifies, and is counted."""
        path = self.files()[0]
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1] = read(lines[1]).without(["who", "where"]).line()
        path.write_bytes(b"".join(lines))
        verdict = self.verdict()
        self.assertEqual((verdict.findings, verdict.erased), ([], 1))

    def test_never_signed(self) -> None:
        """A record without any checkpoint could have been written anew."""
        for path in checkpoint_files(self.folder):
            path.unlink()
        self.assertEqual([one.fault for one in self.verdict().findings], [Fault.UNSIGNED])


class TamperedTests(RecordCase):
    """Every record of it, changed in every way."""

    def tampered(self, change: Callable[[list[bytes], int], None], *, last: bool = True) -> list[list[Fault]]:
        """Change each record in turn, and give what was found of it."""
        found = []
        for path in self.files():
            before = path.read_bytes()
            lines = before.splitlines(keepends=True)
            for at in range(len(lines) - (not last)):
                changed = list(lines)
                change(changed, at)
                path.write_bytes(b"".join(changed))
                verdict = verify(self.folder, self.key.public_key())
                self.assertFalse(verdict.is_whole, (path.name, at))
                found.append([one.fault for one in verdict.findings])
                if at == 1:
                    self.assertFalse(self.stand_alone())
            path.write_bytes(before)
        return found

    def test_every_octet(self) -> None:
        """One octet of a record, whichever: it is found out."""
        dice = random.Random(7)

        def flip(lines: list[bytes], at: int) -> None:
            line = bytearray(lines[at])
            place = dice.randrange(len(line) - 1)
            line[place] ^= 1 << dice.randrange(7)
            lines[at] = bytes(line)

        for _ in range(8):
            self.tampered(flip)

    def test_edited(self) -> None:
        """Another name in a record: told at its line, once."""

        def edit(lines: list[bytes], at: int) -> None:
            lines[at] = re.sub(rb'"user":"user\d+"', b'"user":"nobody"', lines[at])

        for faults in self.tampered(edit):
            self.assertLessEqual(set(faults), {Fault.EDITED, Fault.TRUNCATED})
            self.assertLessEqual(len(faults), 2)

    def test_where(self) -> None:
        """The place of an edited record is its file and line."""
        path = self.files()[0]
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1] = lines[1].replace(b"example.com", b"example.org")
        path.write_bytes(b"".join(lines))
        self.assertEqual(self.faults(), [(path.name, 2, Fault.EDITED)])

    def test_dropped(self) -> None:
        """A record that is gone."""

        def drop(lines: list[bytes], at: int) -> None:
            del lines[at]

        for faults in self.tampered(drop):
            self.assertTrue({Fault.DROPPED, Fault.TRUNCATED, Fault.FOREIGN} & set(faults), faults)
            self.assertLessEqual(len(faults), 2)

    def test_swapped(self) -> None:
        """Two records that stand the other way round."""

        def swap(lines: list[bytes], at: int) -> None:
            lines[at], lines[at + 1] = lines[at + 1], lines[at]

        found = self.tampered(swap, last=False)
        self.assertEqual(sum(Fault.SWAPPED in faults for faults in found) > len(found) // 2, True)

    def test_inserted(self) -> None:
        """A record that stands twice, and one that was made up."""

        def repeat(lines: list[bytes], at: int) -> None:
            lines.insert(at, lines[at])

        def make_up(lines: list[bytes], at: int) -> None:
            lines.insert(at, lines[at].replace(b"example.com", b"example.org"))

        for change in (repeat, make_up):
            for faults in self.tampered(change):
                self.assertTrue({Fault.INSERTED, Fault.FOREIGN, Fault.EDITED} & set(faults), faults)

    def test_truncated(self) -> None:
        """Everything from a record on is gone."""

        def cut(lines: list[bytes], at: int) -> None:
            del lines[at:]

        for faults in self.tampered(cut):
            self.assertTrue({Fault.TRUNCATED, Fault.DROPPED} & set(faults), faults)

    def test_half_a_line(self) -> None:
        """A record that was signed cannot be passed off as the half line of a crash."""

        def halve(lines: list[bytes], at: int) -> None:
            lines[at:] = [lines[at][:40]]

        self.tampered(halve)

    def test_other_chain(self) -> None:
        """A record of the other worker, put into this one's chain, is told with where it stands."""
        one, other = self.files()[0], self.files()[1]
        self.assertNotEqual(one.name[-12:], other.name[-12:])
        lines = one.read_bytes().splitlines(keepends=True)
        lines.insert(1, other.read_bytes().splitlines(keepends=True)[0])
        one.write_bytes(b"".join(lines))
        (finding,) = self.verdict().findings
        self.assertEqual((finding.line, finding.fault), (2, Fault.FOREIGN))
        self.assertIn(f"{other.name}:1", finding.sentence)

    def test_segments(self) -> None:
        """A segment that is gone, exchanged with another, or renamed."""
        for path in self.files():
            kept = path.read_bytes()
            path.unlink()
            self.assertFalse(self.verdict().is_whole, path.name)
            path.write_bytes(kept)
        first, second, *_ = self.files()
        octets = first.read_bytes(), second.read_bytes()
        first.write_bytes(octets[1])
        second.write_bytes(octets[0])
        self.assertFalse(self.verdict().is_whole)
        first.write_bytes(octets[0])
        second.write_bytes(octets[1])
        first.rename(first.with_name(first.name.replace("Z-w1-", "Z-w3-")))
        self.assertFalse(self.verdict().is_whole)


class CheckpointTests(RecordCase):
    """Checkpoints are as safe as what they sign."""

    def file(self) -> Path:
        (path,) = checkpoint_files(self.folder)
        return path

    def test_edited(self) -> None:
        """Any octet of any checkpoint."""
        before, dice = self.file().read_bytes(), random.Random(3)
        for _ in range(60):
            octets = bytearray(before)
            place = dice.randrange(len(octets) - 1)
            octets[place] ^= 1 << dice.randrange(7)
            self.file().write_bytes(octets)
            self.assertFalse(verify(self.folder, self.key.public_key()).is_whole, place)

    def test_dropped(self) -> None:
        """One in the middle, and the first."""
        lines = self.file().read_bytes().splitlines(keepends=True)
        for at in (0, 2):
            self.file().write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
            self.assertEqual([one.fault for one in self.verdict().findings], [Fault.DROPPED])

    def test_swapped(self) -> None:
        """Two that stand the other way round."""
        lines = self.file().read_bytes().splitlines(keepends=True)
        lines[1], lines[2] = lines[2], lines[1]
        self.file().write_bytes(b"".join(lines))
        self.assertFalse(self.verdict().is_whole)

    def test_tail_cut(self) -> None:
        """Records and checkpoints cut to the same moment: only one that was kept elsewhere shows it."""
        kept = self.elsewhere / self.file().name
        checkpoints = self.file().read_bytes().splitlines(keepends=True)
        self.file().write_bytes(b"".join(checkpoints[:2]))
        ends = {end.segment: end.records for end in read_checkpoint(checkpoints[1]).chains}
        for path in self.files():
            records = path.read_bytes().splitlines(keepends=True)
            if path.name in ends:
                path.write_bytes(b"".join(records[: ends[path.name]]))
            elif path.name > max(ends):
                path.unlink()
        self.assertEqual(self.verdict().findings, [])
        self.assertEqual({one.fault for one in self.verdict(kept).findings}, {Fault.TRUNCATED})

    def test_signed_anew(self) -> None:
        """Who stole the key and wrote all checkpoints anew is found out by one that was kept elsewhere."""
        kept = self.elsewhere / self.file().name
        made, before = [], "0" * 64
        for line in self.file().read_bytes().splitlines():
            old = read_checkpoint(line)
            at = old.at.replace("2026", "2025")
            new = signed(
                Checkpoint(number=old.number, at=at, chains=old.chains, dropped=old.dropped, before=before),
                self.key,
            )
            made.append(new)
            before = line_hash(new)
        self.file().write_bytes(b"".join(made))
        self.assertEqual(self.verdict().findings, [])
        findings = self.verdict(kept).findings
        self.assertEqual({one.fault for one in findings}, {Fault.EDITED})
        self.assertIn("signed anew", findings[0].sentence)

    def test_other_key(self) -> None:
        """A key that signed nothing here verifies nothing."""
        self.key = Ed25519PrivateKey.generate()
        self.assertIn(Fault.EDITED, {one.fault for one in self.verdict().findings})

    def test_half_written(self) -> None:
        """A crash in the middle of a checkpoint costs that one, and the next goes on rightly."""
        with self.file().open("ab") as file:
            file.write(b'{"v":1,"number":7,"at"')
        self.assertEqual(self.verdict().findings, [])
        self.checkpoints = self.signer()
        self.write(0, 1)
        self.sign()
        self.assertEqual(self.verdict().findings, [])
        self.assertEqual(self.verdict().checkpoints, 7)


class RetentionTests(RecordCase):
    """Segments that the policy let go."""

    def setUp(self) -> None:
        super().setUp()
        going = [name for name in segment_names(self.folder) if name.worker == 1][:2]
        self.checkpoints.sign_dropped(anchors(self.folder, going))
        for name in going:
            name.path.unlink()

    def test_anchored(self) -> None:
        """What retention left verifies: a checkpoint says what was deleted."""
        verdict = self.verdict()
        self.assertEqual(verdict.findings, [])
        self.assertLess(verdict.records, 30)

    def test_more_deleted(self) -> None:
        """What somebody else deleted beyond that is found out."""
        self.files()[0].unlink()
        self.assertFalse(self.verdict().is_whole)


class LastRecordTests(RecordCase):
    """The last record of a chain, behind which nothing stands that would not fit."""

    def test_edited(self) -> None:
        """It is told as edited, at its line, and not as cut off."""
        path = self.files()[-1]
        lines = path.read_bytes().splitlines(keepends=True)
        lines[-1] = lines[-1].replace(b'"result":"', b'"result":"x')
        path.write_bytes(b"".join(lines))
        (finding,) = self.verdict().findings
        self.assertEqual((finding.line, finding.fault), (len(lines), Fault.EDITED))
        self.assertIn("signed another record in this place", finding.sentence)

    def test_cut(self) -> None:
        """One that is gone is told as cut off, with how many are left."""
        path = self.files()[-1]
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))
        (finding,) = self.verdict().findings
        self.assertEqual((finding.line, finding.fault), (0, Fault.TRUNCATED))
        self.assertIn(f"it has {len(lines) - 1}", finding.sentence)


class KeptElsewhereTests(RecordCase):
    """Checkpoints as somebody else kept them."""

    def kept(self, octets: bytes) -> Verdict:
        path = self.elsewhere / "kept"
        path.write_bytes(octets)
        return verify(self.folder, self.key.public_key(), [path])

    def test_as_received(self) -> None:
        """A syslog server's file is compared like our own: what was signed anew shows."""
        (file,) = checkpoint_files(self.folder)
        syslog = b"".join(
            b"Nov 23 10:00:00 proxy corpproxy " + line for line in file.read_bytes().splitlines(True)
        )
        self.assertEqual(self.kept(syslog).findings, [])
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:-1]))
        self.assertIn(Fault.TRUNCATED, [one.fault for one in self.kept(syslog).findings])

    def test_none(self) -> None:
        """A file without any checkpoint is no proof, and is told."""
        (finding,) = self.kept(b"hello\n").findings
        self.assertIn("there is no checkpoint in it", str(finding))
