"""An index in which one list is replaced answers as the one that would be built."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.classifier import Classifier
from corpproxy.destination.entries import Entry, Kind
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder
from corpproxy.destination.index_meta import READ, ListReport, Membership
from corpproxy.destination.overlay import Overlay


def index(**lists: dict[str, list[str]]) -> CategoryIndex:
    """An index of lists with names, URLs (with a slash) and expressions (between slashes) by category."""
    builder = IndexBuilder()
    for name, categories in lists.items():
        for category, written in categories.items():
            members = builder.members(Membership(name, category))
            for text in written:
                kind = Kind.NAME if "/" not in text else Kind.URL
                kind = Kind.EXPRESSION if text.startswith("/") else kind
                builder.add(members, Entry(kind, text.strip("/") if kind is Kind.EXPRESSION else text))
    pieces, _ = builder.finish([ListReport(name, "names", READ, version=name) for name in lists], 0.0)
    return CategoryIndex(memoryview(b"".join(pieces)))


BELOW = index(ads={"ads": ["a.example", "both.example"]}, fun={"games": ["old.example", "both.example"]})


class OverlayTests(SynchronousTestCase):
    """A list replaced."""

    def said(self, overlay: Overlay, host: str, path: str = "") -> list[str]:
        classifier = Classifier(overlay, {"own": ["own.example"]}, {"games": ["not.example"]})
        return list(classifier.classify(normal_host(host), "http", 80, path)[0])

    def test_replaced(self):
        """The other lists stay, the old entries of the replaced one are gone, the new ones are there."""
        overlay = Overlay(BELOW, index(fun={"games": ["new.example"], "chess": ["both.example"]}), "fun")
        self.assertEqual(self.said(overlay, "a.example"), ["ads"])
        self.assertEqual(self.said(overlay, "old.example"), [])
        self.assertEqual(self.said(overlay, "www.new.example"), ["games"])
        self.assertEqual(self.said(overlay, "both.example"), ["ads", "chess"])
        self.assertEqual(self.said(overlay, "own.example"), ["own"])

    def test_exceptions(self):
        """What the policy takes out of a category is out of it in the new version too."""
        overlay = Overlay(BELOW, index(fun={"games": ["not.example"]}), "fun")
        self.assertEqual(self.said(overlay, "not.example"), [])

    def test_paths(self):
        """Beginnings of URLs and expressions of the new version are looked for."""
        overlay = Overlay(BELOW, index(fun={"games": ["u.example/play", "/poker[0-9]/"]}), "fun")
        self.assertEqual(self.said(overlay, "u.example", "/play/1"), ["games"])
        self.assertEqual(self.said(overlay, "u.example", "/work"), [])
        self.assertEqual(self.said(overlay, "x.example", "/poker7"), ["games"])

    def test_alone(self):
        """Without an index below, or above, the other one answers."""
        self.assertEqual(self.said(Overlay(None, BELOW, "fun"), "a.example"), ["ads"])
        self.assertEqual(self.said(Overlay(BELOW, None, "fun"), "old.example"), [])
        self.assertEqual(Overlay(None, BELOW, "fun").versions, {"ads": "ads", "fun": "fun"})
        self.assertEqual(Overlay(BELOW, None, "x").known_categories, {"ads", "games"})
        self.assertEqual(Overlay(BELOW, None, "x").aliases, {})
