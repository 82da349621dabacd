"""Erasing in segments: whatever is erased when, and whatever crashes, the record verifies and forgets."""

from __future__ import annotations

import gzip
import os
import runpy
import signal
import stat
import subprocess
import time
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from corpproxy.audit.erasure import Erasure
from corpproxy.audit.proof import GROUPS
from corpproxy.audit.record import decode, encode
from corpproxy.audit.times import utc_text
from corpproxy.backends.erasing.job import Done, EraseJob, Told, erase
from corpproxy.backends.lists.files import build_command
from corpproxy.backends.records.reader import Follower
from corpproxy.backends.records.segment_packing import closed
from corpproxy.backends.records.segment_rewrite import BESIDE, SegmentIsOpen, rewrite, sole
from corpproxy.backends.records.segments import segment_names
from corpproxy.backends.records.shelf import anchors
from tests.audit.test_record import a_record
from tests.backends.records.test_verify import BEGAN, STAND_ALONE, RecordCase
from tests.support.examples import EXAMPLES

DAY = 86400.0


class EraseCase(RecordCase):
    """A record of two workers, whose people and hosts come again."""

    def setUp(self) -> None:
        super().setUp()
        state = Path(self.mktemp())
        state.mkdir()
        (state / "records").symlink_to(self.folder.absolute())
        self.state = state

    def write(self, writer: int, count: int) -> None:
        lines = b""
        for _ in range(count):
            self.count += 1
            person = f"person-{self.count % 3}"
            record = a_record(
                id=f"{self.count:014}",
                at=utc_text(self.now),
                user=person,
                client=f"10.0.0.{self.count % 3}",
                host=f"www.host-{self.count % 4}.test",
                path=f"/page-{self.count}",
            )
            lines += encode(record)
        self.writers[writer].append(lines, self.now)
        segment = self.writers[writer].end.segment
        os.utime(self.folder / segment, (self.now, self.now))
        self.now += 1

    def close(self) -> None:
        for writer in self.writers:
            writer.close()

    def erase(self, *erasures: Erasure, counts_only: bool = False, **more) -> int:
        """Erase, and give how many records lost something."""
        told: list[Done | Told] = []
        erase(EraseJob(str(self.state), erasures, counts_only, **more), told.append)
        self.said = told[-1].reached.said
        self.done = told[:-1]
        return told[-1].reached.count

    def octets(self) -> bytes:
        """All that stands in the folder, unpacked."""
        found = [path for path in self.folder.iterdir() if path.is_file()]
        return b"".join((gzip.open if path.suffix == ".gz" else open)(path, "rb").read() for path in found)


class EraseTests(EraseCase):
    """Erasing once."""

    def test_person(self) -> None:
        """A person is nowhere in the files any more; the record verifies as before."""
        self.close()
        self.assertEqual(self.erase(Erasure(user="person-1"), counts_only=True), 10)
        self.assertIn(b"person-1", self.octets())
        self.assertEqual(self.erase(Erasure(user="person-1")), 10)
        self.assertNotIn(b"person-1", self.octets())
        verdict = self.verdict()
        self.assertEqual((verdict.findings, verdict.erased, verdict.records), ([], 10, 30))
        self.assertEqual(self.erase(Erasure(user="person-1")), 0)

    def test_open(self) -> None:
        """A segment that is being written is left alone, and told."""
        before = {path: path.read_bytes() for path in self.files()}
        self.erase(Erasure(user="person-1"))
        self.assertIn("2 segments were being written", self.said)
        for writer in self.writers:
            path = self.folder / writer.end.segment
            self.assertEqual(path.read_bytes(), before[path])
        self.write(0, 1)
        self.sign()
        self.assertEqual(self.verdict().findings, [])

    def test_compressed(self) -> None:
        """So is one that was compressed with gzip since."""
        self.close()
        for path in self.files()[:3]:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        self.assertEqual(self.erase(Erasure(user="person-1")), 10)
        self.assertNotIn(b"person-1", self.octets())
        self.assertEqual(self.verdict().findings, [])

    def test_as_before(self) -> None:
        """A file keeps its mode and the time of its last record: what is old stays old."""
        self.close()
        path = self.files()[0]
        path.chmod(0o640)
        before = path.stat()
        self.erase(Erasure(until=self.now))
        after = path.stat()
        self.assertNotEqual(after.st_ino, before.st_ino)
        self.assertEqual(stat.S_IMODE(after.st_mode), 0o640)
        self.assertEqual(after.st_mtime_ns, before.st_mtime_ns)

    def test_half(self) -> None:
        """Half a line that a crash left goes with what it says."""
        self.close()
        with self.files()[-1].open("ab") as file:
            file.write(b'{"v":1,"id":"half","user":"person-1","ho')
        self.erase(Erasure(user="person-1"))
        self.assertNotIn(b"person-1", self.octets())
        self.assertEqual(self.verdict().cut, [])

    def test_followed(self) -> None:
        """Who follows the record sees nothing again, and nothing half, when what was read is erased."""
        follower = Follower(self.folder, self.fail)
        self.write(0, 2)
        self.assertEqual(len(list(follower.added())), 2)
        self.close()
        self.erase(Erasure(until=self.now))
        self.assertEqual(list(follower.added()), [])
        self.write(0, 1)
        self.assertEqual(len(list(follower.added())), 1)

    def test_untouched(self) -> None:
        """A segment without anything to erase is not written again."""
        self.close()
        before = [path.stat().st_ino for path in self.files()]
        self.assertEqual(self.erase(Erasure(user="nobody")), 0)
        self.assertEqual([path.stat().st_ino for path in self.files()], before)

    def test_known(self) -> None:
        """What is known to be gone from a segment is not looked for again."""
        self.close()
        old = Erasure(until=self.now + DAY, groups=("url",))
        self.assertEqual(self.erase(old), 30)
        done = {one.segment: one.groups for one in self.done}
        self.assertEqual(set(done.values()), {("url",)})
        self.erase(old, done=done)
        self.assertEqual(self.done, [])

    def test_full_disk(self) -> None:
        """A disk that takes no more leaves the segment as it was, and nothing beside it."""
        self.close()
        path = self.files()[0]
        before = path.read_bytes()

        def full(line: bytes) -> bytes:
            raise OSError(28, "No space left on device")

        with sole(self.folder):
            self.assertRaises(OSError, rewrite, path, full)
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual(list(self.folder.glob(f"{BESIDE}*")), [])

    def test_held(self) -> None:
        """Whoever would rewrite what is being written is told so."""
        with sole(self.folder):
            self.assertRaises(
                SegmentIsOpen, rewrite, self.folder / self.writers[0].end.segment, lambda line: line
            )

    def test_program(self) -> None:
        """The child process does the same, and says what it did line by line."""
        self.close()
        argv, environment = build_command("erasing.job")
        job = msgspec.json.encode(EraseJob(str(self.state), (Erasure(user="person-1"),)))
        done = subprocess.run(argv, input=job, env=environment, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        last = msgspec.json.decode(done.stdout.splitlines()[-1], type=Done | Told)
        self.assertEqual(last.reached.count, 10)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), st.integers(1, 4)),
        st.tuples(st.just("person"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("host"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("old"), st.sampled_from(["who", "where", "url"]), st.integers(0, 400)),
        st.tuples(st.just("sign"), st.none(), st.none()),
        st.tuples(st.just("files"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("crash"), st.integers(0, 1), st.none()),
        st.tuples(st.just("kill"), st.integers(0, 2), st.floats(0, 0.02)),
    ),
    max_size=12,
)


class SequenceTests(EraseCase):
    """Any sequence of what happens to a record."""

    @given(happens=steps)
    @settings(EXAMPLES, max_examples=EXAMPLES.max_examples // 4)
    def test_any(self, happens) -> None:
        """Whatever is erased, grows old, crashes or is killed: it verifies, and has forgotten."""
        self.setUp()
        for step, one, other in happens:
            getattr(self, f"step_{step}")(one, other)
        self.close()
        self.sign()
        verdict = self.verdict()
        self.assertEqual(verdict.findings, [])
        lines = [line for path in self.files() for line in path.read_bytes().splitlines(keepends=True)]
        for record in [decode(line) for line in lines if line.endswith(b"\n")]:
            for erasure in self.erasures:
                left = [getattr(record, name) for group in erasure.groups for name in GROUPS[group]]
                self.assertFalse(erasure.matches(record) and any(left), (erasure, record))

    def setUp(self) -> None:
        super().setUp()
        self.erasures: list[Erasure] = []

    def stand_alone(self, *kept: Path) -> bool:
        """The other implementation, without a process for each example."""
        program = runpy.run_path(str(STAND_ALONE))
        program["check_folder"](self.folder, self.key.public_key(), kept)
        return not program["faults"]

    def step_write(self, writer, count) -> None:
        self.write(writer, count)

    def step_sign(self, one, other) -> None:
        self.sign()

    def step_crash(self, writer, other) -> None:
        """A worker dies in the middle of a line, and another one takes its place."""
        path = self.folder / self.writers[writer].end.segment
        self.writers[writer].close()
        with path.open("ab") as file:
            file.write(b'{"v":1,"id":"half","kind":"exchange","user":"person-0')
        self.now += 1
        self.writers[writer] = self.worker(writer + 1)
        self.write(writer, 1)

    def step_person(self, number, whole) -> None:
        self._erase(Erasure(user=f"person-{number}", until=self.now if whole else BEGAN + 200))

    def step_host(self, number, whole) -> None:
        until = self.now if whole else BEGAN + 200
        self._erase(Erasure(host=f"host-{number}.test", until=until, groups=("where", "url")))

    def step_old(self, group, age) -> None:
        self._erase(Erasure(until=self.now - age, groups=(group,)))

    def _erase(self, erasure) -> None:
        self.close()
        self.erase(erasure)
        self.erasures.append(erasure)

    def step_files(self, keep, is_cut_short) -> None:
        """Files beyond a number go behind a signed anchor, and a crash may come before all of them went."""
        by_worker: dict[int, list] = {}
        for name in closed(segment_names(self.folder)):
            by_worker.setdefault(name.worker, []).append(name)
        going = [name for mine in by_worker.values() for name in mine[:-keep]]
        dropped = anchors(self.folder, going)
        if dropped:
            self.checkpoints.sign_dropped(dropped)
            for name in going[: 1 if is_cut_short else None]:
                name.path.unlink()

    def step_kill(self, number, seconds) -> None:
        """An erasure is killed in the middle; the record is whole, and it goes on when it is done again."""
        self.close()
        erasure = Erasure(user=f"person-{number}", until=self.now)
        child = os.fork()
        if child == 0:
            erase(EraseJob(str(self.state), (erasure,)), lambda line: None)
            os._exit(0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self._erase(erasure)
        self.assertEqual(list(self.folder.glob(f"{BESIDE}*")), [])
