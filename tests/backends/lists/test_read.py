"""Lists are read from files, folders and archives; what is broken is told in words."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists import trees as list_trees
from corpproxy.backends.lists.lines import find_line
from corpproxy.backends.lists.read import SourceBroken, read_source, signature
from corpproxy.destination.index_meta import ListReport
from corpproxy.destination.model import Match
from corpproxy.destination.sources import MAX_LINE_OCTETS, ListSource
from tests.backends.list_samples import write_archive, write_folder, write_list
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular

Said = set[tuple[str, str]]


def read(source: ListSource) -> tuple[Said, ListReport, dict[str, str]]:
    """The categories and texts of a list, its report, and the aliases it told before its entries."""
    said: Said = set()
    told: dict[str, str] = {}

    def know(aliases: dict[str, str]) -> None:
        assert not said
        told.update(aliases)

    report = read_source(
        source,
        lambda name: name == "co.uk" or "." not in name,
        lambda category, entry: said.add((category, entry.text)),
        know,
    )
    return said, report, told


GAMES = {"chess.com", "play.example", "192.0.2.7", "example.com/games/", "casino[0-9]"}
SAMPLE = {("games", text) for text in GAMES} | {("publicite", "ads.example"), ("publicite", "play.example")}


@tabular
class LayoutTests(SynchronousTestCase):
    """The same list, however it lies on the disk."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    @rows(named=("ut1",), recognised=("auto",))
    def test_folder(self, format: str) -> None:
        """A folder of categories, with another name for one of them."""
        root = write_folder(self.folder / "lists")
        self.check(*read(ListSource("ut1", format, root)))

    @rows(named=("ut1",), recognised=("auto",))
    def test_archive(self, format: str) -> None:
        """The same as an archive, which is not unpacked."""
        path = write_archive(self.folder / "blacklists.tar.gz")
        self.check(*read(ListSource("ut1", format, path)))
        self.assertEqual([one.name for one in self.folder.iterdir()], ["blacklists.tar.gz"])

    def check(self, said: Said, report: ListReport, told: dict[str, str]) -> None:
        self.assertEqual(said, SAMPLE)
        self.assertEqual((report.format, report.state, report.odd_count), ("ut1", "read", 1))
        self.assertTrue(report.odd_lines[0].file.endswith("blacklists/games/domains"))
        self.assertEqual((report.aliases, told), ({"ads": "publicite"}, {"ads": "publicite"}))
        self.assertEqual(report.usage, {"games": ["black", "gaming"], "publicite": ["black"]})

    def test_one_category_of_it(self) -> None:
        """A folder with files in it is one category; a category in the policy is that of everything."""
        root = write_folder(self.folder / "lists")
        said, _, _ = read(ListSource("x", "ut1", root / "blacklists/publicite"))
        self.assertEqual({category for category, _ in said}, {"publicite"})
        said, report, _ = read(ListSource("x", "ut1", root, category="bad"))
        self.assertEqual({category for category, _ in said}, {"bad"})
        self.assertEqual(report.aliases, {})

    @rows(
        plain=(lambda octets: octets, "a.txt"),
        gzip=(gzip.compress, "a.txt.gz"),
        gzip_without_saying=(gzip.compress, "a.txt"),
        bzip2=(bz2.compress, "a.bz2"),
        xz=(lzma.compress, "a.xz"),
    )
    def test_compressed(self, compress, name: str) -> None:
        """A single file may be compressed; its version is that of its content."""
        (self.folder / name).write_bytes(compress(b"0.0.0.0 a.example\n0.0.0.0 b.example"))
        said, report, _ = read(ListSource("ads", "auto", self.folder / name))
        self.assertEqual(said, {("ads", "a.example"), ("ads", "b.example")})
        self.assertEqual((report.format, report.version, report.octets), ("hosts", "65f8dbffcf99", 35))

    def test_version(self) -> None:
        """The version changes with the content and not with its date or compression."""
        versions = []
        for name, lines, at in (
            ("a", ["x.example"], 5),
            ("b", ["x.example"], 9),
            ("c.gz", ["x.example"], 9),
            ("d", ["y.example"], 5),
        ):
            _, report, _ = read(ListSource("a", "names", write_list(self.folder / name, *lines, at=at)))
            self.assertEqual(report.modified, at)
            versions.append(report.version)
        self.assertEqual(len(set(versions[:3])), 1)
        self.assertNotEqual(versions[0], versions[3])

    def test_endless_line(self) -> None:
        """A line without an end is odd, is not held in memory whole, and the next lines are read."""
        octets = b"a.example\n" + b"x" * (3 * list_trees._READ_OCTETS) + b"\nb.example\n"
        (self.folder / "a").write_bytes(octets)
        said, report, _ = read(ListSource("a", "names", self.folder / "a"))
        self.assertEqual((said, report.odd_count), ({("a", "a.example"), ("a", "b.example")}, 1))
        lines = list(list_trees.file_lines(self.folder / "a", list_trees.Meter()))
        self.assertLessEqual(max(map(len, lines)), MAX_LINE_OCTETS + 1)


@tabular
class BrokenTests(SynchronousTestCase):
    """Lists that cannot be read."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def refused(self, format: str = "auto", name: str = "list") -> str:
        return str(self.assertRaises(SourceBroken, read, ListSource("a", format, self.folder / name)))

    @rows(
        empty=(b"", "auto", "empty"),
        web_page=(b"<html>\n<body>Not found</body>\n", "names", "none of its 2 lines"),
        other_format=(
            b"example.com\nexample.org\n",
            "hosts",
            "none of its 2 lines says anything; the first is .*:1: no address",
        ),
        cut_gzip=(gzip.compress(os.urandom(5000))[:-100], "names", "cannot be read"),
        not_an_archive=(b"example.com\n", "ut1", "cannot be read"),
        archive_of_nothing=(b"\0" * 10240, "ut1", "no file named domains"),
    )
    def test_content(self, octets: bytes, format: str, why: str) -> None:
        """A failed download or another format is broken, with what is wrong."""
        (self.folder / "list").write_bytes(octets)
        self.assertRegex(self.refused(format), why)

    def test_comments_alone(self) -> None:
        """A list of comments alone is a list with no entries, as somebody meant it."""
        write_list(self.folder / "list", "# nothing here today")
        self.assertEqual(read(ListSource("a", "auto", self.folder / "list"))[0], set())

    def test_missing(self) -> None:
        """A file or folder that is not there."""
        self.assertRegex(self.refused(), "there is no file or folder")

    def test_link_to_itself(self) -> None:
        """A path that the machine cannot follow."""
        (self.folder / "list").symlink_to("list")
        self.assertRegex(self.refused(), "cannot be read: Too many levels")

    def test_pipe(self) -> None:
        """A pipe in the place of a list does not hold the reader for ever."""
        os.mkfifo(self.folder / "list")
        self.assertRegex(self.refused("names"), "neither a file nor a folder")

    def test_cut_archive(self) -> None:
        """An archive whose download broke off."""
        path = write_archive(self.folder / "a.tar.gz")
        path.write_bytes(path.read_bytes()[:-40])
        self.assertRegex(self.refused("ut1", "a.tar.gz"), "cannot be read")

    def test_swollen(self) -> None:
        """A small file that swells beyond all lists is refused and not read to its end."""
        self.patch(list_trees, "MAX_LIST_OCTETS", 1024 * 1024)
        (self.folder / "list").write_bytes(gzip.compress(b"a.example\n" * 500_000))
        self.assertRegex(self.refused("names"), "holds more than")

    def test_folder_of_nothing(self) -> None:
        """A folder without lists."""
        (self.folder / "list").mkdir()
        self.assertRegex(self.refused(), "no file named domains, urls or expressions")

    def test_name_of_compression(self) -> None:
        """A file that is not compressed as its name says."""
        (self.folder / "list.gz").write_bytes(b"<html>")
        self.assertRegex(self.refused("names", "list.gz"), "not compressed")

    def test_link_out_of_an_archive(self) -> None:
        """A member of an archive that links elsewhere is not followed."""
        with tarfile.open(self.folder / "a.tar", "w") as tar:
            member = tarfile.TarInfo("games/domains")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
        self.assertRegex(self.refused("ut1", "a.tar"), "no file named domains")

    @settings(max_examples=60, deadline=None)
    @given(
        st.binary(max_size=300),
        st.sampled_from(["auto", "ut1", "names", "hosts", "urls", "expressions"]),
        st.booleans(),
    )
    def test_any_octets(self, octets: bytes, format: str, in_archive: bool) -> None:
        """Any octets are a list or a broken one."""
        path = self.folder / "any"
        path.write_bytes(octets)
        if in_archive:
            with tarfile.open(path, "w:gz") as tar:
                member = tarfile.TarInfo("x/domains")
                member.size = len(octets)
                tar.addfile(member, io.BytesIO(octets))
        try:
            read(ListSource("a", format, path))
        except SourceBroken as broken:
            self.assertTrue(str(broken))


class SignatureTests(SynchronousTestCase):
    """Whether a list looks as it did."""

    def test_changes(self) -> None:
        """The signature changes with a file, its date, the files of a folder, and how the list is read."""
        folder = Path(self.mktemp())
        root = write_folder(folder)
        source = ListSource("ut1", "ut1", root)
        seen = [signature(source)]
        (root / "blacklists/games/domains").write_bytes(b"other.example\n")
        seen.append(signature(source))
        os.utime(root / "blacklists/games/domains", (1, 1))
        seen.append(signature(source))
        (root / "blacklists/new").mkdir()
        write_list(root / "blacklists/new/domains", "x.example")
        seen.append(signature(source))
        (root / "blacklists/porn").symlink_to("new")
        seen.append(signature(source))
        seen.append(signature(ListSource("ut1", "ut1", root, category="bad")))
        self.assertEqual(len(set(seen)), len(seen))
        self.assertEqual(signature(source), seen[-2])
        self.assertEqual(signature(ListSource("ut1", "ut1", root / "gone")), "")


class LineTests(SynchronousTestCase):
    """The line of a list behind a category."""

    def test_found(self) -> None:
        """A match is followed to its file and line, in folders and archives, under other names too."""
        folder = Path(self.mktemp())
        root = write_folder(folder / "lists")
        archive = write_archive(folder / "a.tar.gz")
        for source in (ListSource("ut1", "ut1", root), ListSource("ut1", "auto", archive)):
            for category, entry, where in (
                ("games", "play.example", "blacklists/games/domains:2"),
                ("ads", "play.example", "blacklists/publicite/domains:2"),
                ("games", "192.0.2.7", "blacklists/games/domains:3"),
                ("games", "example.com/games/", "blacklists/games/urls:1"),
                ("games", "casino[0-9]", "blacklists/games/expressions:1"),
            ):
                place = find_line(source, Match(category, "ut1", entry))
                self.assertEqual(str(place), f"{source.path}/{where}")
            self.assertIsNone(find_line(source, Match("games", "ut1", "other.example")))

    def test_other_spellings(self) -> None:
        """The line may be written in another way than the entry."""
        path = write_list(Path(self.mktemp()), "# x", "0.0.0.0 Bücher.Example", "0.0.0.0 WWW.example.org")
        source = ListSource("ads", "auto", path)
        for entry, line in (("xn--bcher-kva.example", 2), ("www.example.org", 3)):
            self.assertEqual(str(find_line(source, Match("ads", "ads", entry))), f"{path}:{line}")
        path.unlink()
        self.assertIsNone(find_line(source, Match("ads", "ads", "www.example.org")))


class RealTests(SynchronousTestCase):
    """The published list."""

    def test_ut1(self) -> None:
        """The archive of UT1 is read: its categories, other names, addresses among names."""
        source = ListSource("ut1", "auto", real_data("ut1/blacklists-subset.tar.gz"))
        said, report, told = read(source)
        self.assertEqual(told["proxy"], "redirector")
        self.assertIn(("agressif", "118.123.4.224"), said)
        self.assertGreater(len(said), 500_000)
        self.assertGreater(len({category for category, _ in said}), 45)
        self.assertEqual(report.usage["bank"], ["white", "black"])
        self.assertLess(report.odd_count, 30)
