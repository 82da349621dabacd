"""The index is built from lists that come, change and break, and is replaced whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists import build as list_build
from corpproxy.backends.lists import files as list_files
from corpproxy.backends.lists.build import Job, build
from corpproxy.backends.lists.files import (
    ListsNotBuilt,
    build_command,
    build_lists,
    current_index,
    existing_index,
    failure_in_words,
    index_path,
    is_current,
    list_problems,
    open_index,
)
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Place
from tests.backends.list_samples import write_archive, write_folder, write_list

POLICY = Place("policy.yaml", 7, 5)


class ListsTestCase(SynchronousTestCase):
    """A state folder and two lists."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.state = self.folder / "state"
        self.state.mkdir(parents=True)
        self.ut1 = ListSource("ut1", "ut1", write_folder(self.folder / "ut1"), place=POLICY)
        path = write_list(self.folder / "ads.txt", "0.0.0.0 ads.example", "0.0.0.0 a.example", at=1000.0)
        self.ads = ListSource("ads", "hosts", path, "ads", place=POLICY)

    def build(self, *sources: ListSource) -> CategoryIndex:
        """Build in this process."""
        build(Job.of(sources or (self.ut1, self.ads), index_path(self.state)), 50.0)
        index = open_index(self.state)
        assert index is not None
        return index

    def said(self, index: CategoryIndex | None, host: str, path: str = "") -> str:
        """What an index says of a host."""
        assert index is not None
        found = index.categories(normal_host(host), path)
        return " ".join(f"{match.category}:{match.list}" for match in found)

    def codes(self, index: CategoryIndex | None, now: float | None = None, *sources: ListSource) -> list[str]:
        """The codes of what is wrong with the lists."""
        return [problem.code for problem in list_problems(sources or (self.ut1, self.ads), index, now)]


class BuildTests(ListsTestCase):
    """Building from lists as they are."""

    def test_merged(self) -> None:
        """Several lists become one index, which says of each name the lists it is from."""
        index = self.build()
        self.assertEqual(self.said(index, "www.ads.example"), "ads:ads ads:ut1 publicite:ut1")
        self.assertEqual(self.said(index, "a.example", "/casino7"), "ads:ads games:ut1")
        self.assertEqual(self.said(index, "192.0.2.7"), "games:ut1")
        self.assertEqual(self.said(index, "bbc.co.uk"), "")
        self.assertEqual(index.meta.built, 50.0)
        self.assertEqual(index.aliases, {"ads": "publicite"})
        report = index.report("ut1")
        assert report is not None
        self.assertEqual((report.entries, report.odd_count), ({"games": 5, "publicite": 2}, 1))
        self.assertEqual(self.codes(index), [])

    def test_unchanged_list_is_not_read_again(self) -> None:
        """When one list changes, the others are taken from the index of before, with all they say."""
        before = self.build()
        write_list(self.ads.path, "0.0.0.0 b.example", at=2000.0)
        self.patch(list_build, "read_source", self.only_ads(list_build.read_source))
        after = self.build()
        self.assertEqual(self.said(after, "a.example"), "")
        self.assertEqual(self.said(after, "b.example"), "ads:ads")
        self.assertEqual(before.report("ut1"), after.report("ut1"))
        for host, path in (
            ("ads.example", ""),
            ("chess.com", ""),
            ("192.0.2.7", ""),
            ("x.example", "/casino7"),
            ("example.com", "/games/1"),
        ):
            self.assertTrue(self.said(after, host, path))
            self.assertEqual(
                self.said(after, host, path).replace("ads:ads ", ""),
                self.said(before, host, path).replace("ads:ads ", ""),
            )

    def only_ads(self, read):
        """A reader that may be asked for the list of ads alone."""

        def reader(source, *arguments):
            self.assertEqual(source.name, "ads")
            return read(source, *arguments)

        return reader

    def test_broken_list_keeps_its_entries(self) -> None:
        """A list that breaks keeps what it said before; the other lists are taken up as they are now."""
        before = self.build()
        self.ads.path.write_text("<html>Service unavailable</html>")
        write_list(self.ut1.path / "blacklists/games/domains", "new.example")
        after = self.build()
        self.assertEqual(self.said(after, "a.example"), self.said(before, "a.example"))
        self.assertEqual(self.said(after, "new.example"), "games:ut1")
        self.assertEqual(self.said(after, "chess.com"), "")
        (problem,) = list_problems((self.ut1, self.ads), after)
        self.assertEqual((problem.code, problem.place, problem.severity), ("list-kept", POLICY, "warning"))
        self.assertRegex(problem.message, "list 'ads': its one line says nothing.* stays in force")
        self.assertEqual(after.versions["ads"], before.versions["ads"])
        self.assertTrue(is_current((self.ut1, self.ads), after))

    def test_broken_halfway(self) -> None:
        """Of a list that breaks halfway through nothing new is taken."""
        archive = write_archive(self.folder / "a.tar.gz")
        source = ListSource("a", "ut1", archive)
        archive.write_bytes(archive.read_bytes()[:-60])
        index = self.build(source, self.ads)
        self.assertEqual((self.said(index, "chess.com"), self.said(index, "a.example")), ("", "ads:ads"))
        self.assertEqual(self.codes(index, None, source), ["list-missing"])

    def test_missing_at_first(self) -> None:
        """A list that is missing at first is a problem at its place, and the rest is built."""
        self.ads.path.unlink()
        index = self.build()
        self.assertEqual(self.said(index, "chess.com"), "games:ut1")
        (problem,) = list_problems((self.ut1, self.ads), index)
        self.assertEqual((problem.code, problem.place), ("list-missing", POLICY))
        self.assertRegex(problem.message, "there is no file or folder .*ads.txt; until then rules that block")
        ignored = ListSource("ads", "hosts", self.ads.path, "ads", when_missing="ignore")
        self.assertRegex(list_problems((ignored,), index)[0].message, "its categories have no names")

    def test_kept_over_two_failures(self) -> None:
        """A list that stays broken stays kept."""
        self.build()
        self.ads.path.unlink()
        self.build()
        write_list(self.ut1.path / "blacklists/games/domains", "new.example")
        index = self.build()
        self.assertEqual(self.said(index, "a.example"), "ads:ads")
        self.assertEqual(self.codes(index), ["list-kept"])
        write_list(self.ads.path, "0.0.0.0 c.example")
        index = self.build()
        self.assertEqual((self.said(index, "a.example"), self.said(index, "c.example")), ("", "ads:ads"))
        self.assertEqual(self.codes(index), [])

    def test_other_category(self) -> None:
        """A list whose category changed is read again, and kept under the new one when it broke."""
        self.build()
        renamed = ListSource("ads", "hosts", self.ads.path, "publicity")
        self.assertFalse(is_current((self.ut1, renamed), open_index(self.state)))
        self.assertEqual(self.said(self.build(self.ut1, renamed), "a.example"), "publicity:ads")
        self.ads.path.unlink()
        index = self.build(self.ut1, ListSource("ads", "hosts", self.ads.path, "third"))
        self.assertEqual(self.said(index, "a.example"), "third:ads")

    def test_list_removed(self) -> None:
        """A list that the policy names no more is gone from the next index."""
        self.build()
        index = self.build(self.ut1)
        self.assertEqual((self.said(index, "a.example"), index.report("ads")), ("", None))

    def test_stale(self) -> None:
        """A list older than its refresh is a problem, and in force."""
        source = ListSource("ads", "hosts", self.ads.path, "ads", refresh=3600.0)
        index = self.build(source)
        self.assertEqual(self.codes(index, 4600.0, source), [])
        self.assertEqual(self.codes(index, 4601.0, source), ["list-stale"])
        self.assertEqual(self.codes(index, 9e9, self.ads), [])


class FileTests(ListsTestCase):
    """The file of the index."""

    def test_open_index_stays(self) -> None:
        """An index that is open says the same after another took its place."""
        before = self.build()
        write_list(self.ads.path, "0.0.0.0 b.example", at=2000.0)
        after = self.build()
        self.assertEqual((self.said(before, "a.example"), self.said(before, "b.example")), ("ads:ads", ""))
        self.assertEqual((self.said(after, "a.example"), self.said(after, "b.example")), ("", "ads:ads"))
        self.assertEqual([one.name for one in self.state.iterdir()], ["lists.index"])

    def test_open_once(self) -> None:
        """Whoever asks for an index that is open already gets that one, until another took its place."""
        self.build()
        before = open_index(self.state)
        self.assertIs(open_index(self.state), before)
        write_list(self.ads.path, "0.0.0.0 b.example", at=2000.0)
        after = self.build()
        self.assertIsNot(after, before)
        self.assertIs(open_index(self.state), after)

    def test_damaged(self) -> None:
        """A damaged index is a problem with its place, and is built again."""
        self.build()
        path = index_path(self.state)
        for octets in (b"", b"garbage" * 100, path.read_bytes()[:-5]):
            path.write_bytes(octets)
            index, problem = existing_index(self.state)
            self.assertIsNone(index)
            assert problem is not None
            self.assertEqual((problem.code, problem.place), ("bad-list-index", Place(str(path))))
            self.assertIsNone(open_index(self.state))
            self.assertEqual(self.said(self.build(), "a.example"), "ads:ads")

    def test_full_disk(self) -> None:
        """When the disk is full the index of before stays, and no half of a new one."""
        before = index_path(self.state)
        self.build()
        octets = before.read_bytes()
        write_list(self.ads.path, "0.0.0.0 b.example", at=2000.0)

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "fsync", full)
        self.assertRaises(OSError, build, Job.of((self.ads,), before), 60.0)
        self.assertEqual(before.read_bytes(), octets)

    def test_left_over(self) -> None:
        """What a killed builder left behind is written over."""
        (self.state / ".lists.index.new").write_bytes(b"x" * 1_000_000)
        self.assertEqual(self.said(self.build(), "a.example"), "ads:ads")

    def test_two_builders(self) -> None:
        """A builder waits for another, and then writes to a file of its own."""
        beside = self.state / ".lists.index.new"
        first = list_build._locked(beside)
        waited = []

        def flock(descriptor: int, how: int) -> None:
            if not waited:
                # The other one finishes while we wait.
                waited.append(descriptor)
                os.replace(beside, self.state / "lists.index")
                os.close(first)
            real(descriptor, how)

        real = fcntl.flock
        self.patch(fcntl, "flock", flock)
        second = list_build._locked(beside)
        self.assertTrue(waited)
        self.assertTrue(os.path.samestat(os.fstat(second), os.stat(beside)))
        os.close(second)


class ChildTests(ListsTestCase):
    """The process that builds."""

    def test_child(self) -> None:
        """The child builds what the job says, wherever it is started from."""
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "msgspec.py").write_text("raise SystemExit('not this one')")
        sources = [
            ListSource(one.name, one.format, one.path.resolve(), one.category) for one in (self.ut1, self.ads)
        ]
        state = self.state.resolve()
        os.chdir(elsewhere)
        index, problems = current_index(sources, state)
        self.assertEqual((self.said(index, "a.example"), problems), ("ads:ads", []))
        self.assertTrue(is_current(sources, index))

    def test_child_fails(self) -> None:
        """When the index cannot be written the child says why, and so do we."""
        blocked = self.state / "file"
        blocked.write_text("")
        error = self.assertRaises(ListsNotBuilt, build_lists, (self.ads,), blocked)
        self.assertRegex(str(error), "the index .*file/lists.index cannot be written")

    def test_current_index_falls_back(self) -> None:
        """Where the index cannot be built, the one of before is used, with a problem."""
        self.build()
        write_list(self.ads.path, "0.0.0.0 b.example", at=2000.0)
        self.patch(list_files, "build_lists", self.fails)
        index, problems = current_index((self.ut1, self.ads), self.state)
        self.assertEqual(self.said(index, "a.example"), "ads:ads")
        self.assertEqual([problem.code for problem in problems], ["lists-not-built"])
        self.assertEqual(current_index((), self.state), (None, []))

    def fails(self, sources: Sequence[ListSource], state: Path) -> CategoryIndex:
        raise ListsNotBuilt("no memory")

    def test_words(self) -> None:
        """The last line of what a dying child said is told, with how it ended."""
        self.assertEqual(failure_in_words(1, b"the disk is full\n"), "the disk is full")
        self.assertEqual(
            failure_in_words(1, b"Traceback\nMemoryError\n"), "the process ended with 1: MemoryError"
        )
        self.assertEqual(failure_in_words(9, b""), "the process ended with 9: it said nothing")

    def test_main(self) -> None:
        """The child's whole conversation: a job in, reports out."""
        job = Job.of((self.ads,), index_path(self.state))
        out = io.TextIOWrapper(io.BytesIO())
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(msgspec.json.encode(job))))
        self.patch(sys, "stdout", out)
        self.patch(os, "nice", lambda increment: increment)
        self.assertEqual(list_build.main(), 0)
        (report,) = msgspec.json.decode(out.buffer.getvalue())  # type: ignore[attr-defined]
        self.assertEqual((report["name"], report["entries"]), ("ads", {"ads": 2}))

    def test_command(self) -> None:
        """The child runs on our interpreter and finds the corpproxy that we are."""
        argv, environment = build_command()
        script = "import corpproxy; print(corpproxy.__file__)"
        found = subprocess.run(
            [argv[0], "-P", "-c", script], env=environment, capture_output=True, check=True
        )
        import corpproxy

        self.assertEqual(Path(found.stdout.decode().strip()).resolve(), Path(corpproxy.__file__).resolve())
