"""The classifier merges lists, exceptions and the policy's own categories, and remembers within bounds."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination import classifier as module
from corpproxy.destination.classifier import Classifier, missing_categories
from corpproxy.destination.entries import own_entry
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder
from corpproxy.destination.index_meta import KEPT, MISSING, READ, ListReport, Membership
from corpproxy.destination.sources import EVERY_CATEGORY, ListSource
from tests.destination.test_index import index_of
from tests.support.rows import rows, tabular

LISTS = {
    "ut1": {"games": ["chess.com", "play.example"], "ads": ["play.example"]},
    "two": {"games": ["chess.com"], "paths": ["example.com/games"]},
}


@tabular
class ClassifyTests(SynchronousTestCase):
    """Destinations and their categories."""

    def setUp(self) -> None:
        self.classifier = Classifier(
            index_of(LISTS),
            {
                "homework": ["bbc.co.uk", "wiki.example/maths"],
                "games": ["mine.chess.com"],
                "rooms": ["10.1.0.0/16"],
            },
            {"games": ["chess.com", "example.org/x"], "paths": ["school.example.com"]},
        )

    def categories(self, host: str, path: str = "") -> str:
        return " ".join(self.classifier.classify(normal_host(host), "http", 80, path)[0])

    @rows(
        of_a_list=("play.example", "", "ads games"),
        own=("news.bbc.co.uk", "", "homework"),
        own_network=("10.1.2.3", "", "rooms"),
        own_path=("wiki.example", "/maths/1", "homework"),
        own_path_elsewhere=("wiki.example", "/physics", ""),
        excepted=("www.chess.com", "", ""),
        own_below_an_exception=("mine.chess.com", "", "games"),
        path_of_a_list=("example.com", "/games/1", "paths"),
        path_in_a_tunnel=("example.com", "", ""),
        path_excepted=("school.example.com", "/games/1", ""),
        unknown=("example.net", "/", ""),
    )
    def test_categories(self, host: str, path: str, expected: str) -> None:
        """Lists say, exceptions take away, the policy's own is added; asking again changes nothing."""
        for _ in range(2):
            self.assertEqual(self.categories(host, path), expected)

    def test_paths_do_not_mix(self) -> None:
        """What one path of a host is says nothing of another, nor of a tunnel to the host."""
        self.assertEqual(
            [self.categories("example.com", path) for path in ("/games", "/x", "", "/games")],
            ["paths", "", "", "paths"],
        )

    def test_matches(self) -> None:
        """The matches name list and entry; the policy's own stands as 'own'."""
        _, matches = self.classifier.classify(normal_host("mine.chess.com"), "https", 443, "")
        self.assertEqual(
            [(m.category, m.list, m.entry) for m in matches], [("games", "own", "mine.chess.com")]
        )
        _, matches = Classifier(index_of(LISTS)).classify(normal_host("chess.com"), "https", 443, "")
        self.assertEqual([(m.category, m.list) for m in matches], [("games", "two"), ("games", "ut1")])

    def test_known(self) -> None:
        """Every category is known, with those that have no entries here."""
        self.assertEqual(self.classifier.known_categories, {"games", "ads", "paths", "homework", "rooms"})
        self.assertEqual(self.classifier.versions, {"ut1": "v1", "two": "v1"})

    def test_without_lists(self) -> None:
        """A policy without lists, or before the first index, has its own categories."""
        classifier = Classifier(None, {"homework": ["bbc.co.uk"]}, missing=frozenset({"games"}))
        self.assertEqual(classifier.classify(normal_host("bbc.co.uk"), "http", 80, "/")[0], ("homework",))
        self.assertEqual((classifier.known_categories, classifier.versions), ({"homework"}, {}))
        self.assertEqual(classifier.missing, {"games"})
        self.assertEqual(Classifier(None).classify(normal_host("bbc.co.uk"), "http", 80, "/"), ((), ()))

    def test_expressions(self) -> None:
        """Where there are expressions, the path of every request is looked at."""
        classifier = Classifier(index_of({"a": {}}, {"a": {"games": ["casino"]}}))
        host = normal_host("example.com")
        said = [classifier.classify(host, "http", 80, path)[0] for path in ("/", "/casino", "", "/casino")]
        self.assertEqual(said, [(), ("games",), (), ("games",)])

    def test_remembered_within_bounds(self) -> None:
        """Hosts and URLs are remembered, not more than a bound, and no huge URL at all."""
        self.patch(module, "MAX_REMEMBERED", 20)
        self.patch(module, "MAX_URLS_REMEMBERED", 20)
        for number in range(100):
            self.categories(f"n{number}.example")
            self.categories("example.com", f"/games/{number}")
            self.categories("example.com", f"/games/{number}" + "x" * module.MAX_URL_REMEMBERED)
        self.assertLessEqual(len(self.classifier._hosts), 20)
        self.assertLessEqual(len(self.classifier._urls), 20)
        self.assertLessEqual(max(len(path) for _, path in self.classifier._urls), module.MAX_URL_REMEMBERED)
        first = self.classifier.classify(normal_host("play.example"), "https", 443, "")
        self.assertIs(self.classifier.classify(normal_host("play.example"), "https", 443, ""), first)

    def test_bad_own_entry(self) -> None:
        """An entry of the policy that cannot be read is told with its category."""
        error = self.assertRaises(ValueError, Classifier, None, {"games": ["a b"]})
        self.assertIn("'a b' in category 'games'", str(error))


class AliasTests(SynchronousTestCase):
    """Other names of categories."""

    def test_exception_takes_all_names(self) -> None:
        """An exception under one name of a category takes away its other names too."""
        builder = IndexBuilder()
        builder.add(
            builder.members(Membership("ut1", "publicite"), Membership("ut1", "ads")), own_entry("a.example")
        )
        report = ListReport("ut1", "ut1", READ, aliases={"ads": "publicite"})
        index = CategoryIndex(memoryview(b"".join(builder.finish([report], 0.0)[0])))
        host = normal_host("a.example")
        self.assertEqual(Classifier(index).classify(host, "http", 80, "/")[0], ("ads", "publicite"))
        self.assertEqual(index.known_categories, {"ads", "publicite"})
        for name in ("ads", "publicite"):
            self.assertEqual(
                Classifier(index, None, {name: ["a.example"]}).classify(host, "http", 80, "/")[0], ()
            )


@tabular
class MissingTests(SynchronousTestCase):
    """Which categories cannot be known while a list is missing."""

    @rows(
        fixed_category=(ListSource("a", "hosts", Path("l/a.txt"), "ads"), {"ads"}),
        name_of_the_list=(ListSource("a", "hosts", Path("l/a.txt")), {"a"}),
        folder=(ListSource("a", "ut1", Path("l/ut1")), {EVERY_CATEGORY}),
        archive_to_recognise=(ListSource("a", "auto", Path("l/ut1.tar.gz")), {EVERY_CATEGORY}),
        folder_to_recognise=(ListSource("a", "auto", Path("l/ut1")), {EVERY_CATEGORY}),
        file_to_recognise=(ListSource("a", "auto", Path("l/a.txt")), {"a"}),
        folder_of_one_category=(ListSource("a", "ut1", Path("l/ut1"), "bad"), {"bad"}),
        ignored=(ListSource("a", "ut1", Path("l/ut1"), when_missing="ignore"), set()),
    )
    def test_missing(self, source: ListSource, expected: set[str]) -> None:
        """Without an index, or with one that has no entries of the list, its categories are unknown."""
        self.assertEqual(missing_categories([source], None), expected)
        for state, unknown in ((MISSING, expected), (KEPT, set()), (READ, set())):
            pieces, _ = IndexBuilder().finish([ListReport("a", "ut1", state)], 0.0)
            index = CategoryIndex(memoryview(b"".join(pieces)))
            self.assertEqual(missing_categories([source], index), unknown)
        self.assertEqual(missing_categories([source], index_of({"other": {}})), expected)
