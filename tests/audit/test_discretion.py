"""What a record leaves out of destinations whose category is nobody's business."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.discretion import Discretion, Level, discretion_of
from corpproxy.audit.record import Record, encode
from tests.audit.test_proof import FULL
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular

LEVELS = discretion_of({"health": Level.CATEGORY, "banking": Level.HOST, "news": Level.FULL}, {})


def visited(*categories: str) -> Record:
    """A record with all that could tell where somebody was."""
    return a_record(
        **FULL,
        categories=categories,
        port=8443,
        countries=("CH",),
        asns=("AS64500",),
        addresses=("public",),
        resolved=("192.0.2.1",),
        list="ut1",
        media_type="text/html",
        size=17,
        received=3,
        sent=5,
        rule="everything else",
    )


@tabular
class LevelTests(SynchronousTestCase):
    """The level of a destination."""

    @rows(
        none=((), Level.FULL),
        another=(("games",), Level.FULL),
        full=(("news",), Level.FULL),
        host=(("banking", "news"), Level.HOST),
        strictest=(("banking", "health"), Level.CATEGORY),
    )
    def test_level(self, categories, expected):
        """The strictest level of all its categories counts."""
        self.assertEqual(LEVELS.level(categories), expected)

    def test_aliases(self):
        """A category has its level by every name that lists have for it; the stricter of two counts."""
        found = discretion_of(
            {"health": Level.CATEGORY, "clinics": Level.HOST}, {"health": ("clinics", "medicine")}
        )
        self.assertTrue(found.hides(["clinics"]))
        self.assertTrue(found.hides(["medicine"]))

    def test_none(self):
        """A site without levels has no discretion, and records are what they were."""
        record = visited("health")
        self.assertFalse(Discretion())
        self.assertIs(Discretion().apply(record), record)


class RecordTests(SynchronousTestCase):
    """Records at each level."""

    def test_category(self):
        """Only who, when, category, decision and octets are left, and that something was left out."""
        record = LEVELS.apply(visited("health"))
        line = encode(record)
        for told in (
            "example",
            "192.0.2",
            "path",
            "8443",
            "AS64500",
            "CH",
            "ut1",
            "html",
            '"size"',
            "reason",
        ):
            self.assertNotIn(told.encode(), line.replace(b'"left_out":["host","path"]', b""), told)
        self.assertEqual((record.user, record.categories, record.sent), ("amir", ("health",), 5))
        self.assertEqual((record.rule, record.left_out), ("everything else", ("host", "path")))

    def test_host(self):
        """The host stays, the path does not."""
        record = LEVELS.apply(visited("banking"))
        self.assertEqual((record.host, record.path, record.left_out), ("example.com", "", ("path",)))

    def test_further(self):
        """The categories of another name that was asked for inside count, too."""
        self.assertEqual(LEVELS.apply(visited(), ["health"]).host, "")

    def test_untouched(self):
        """The record that is given stays as it is: it may serve as a pattern for others."""
        record = visited("health")
        LEVELS.apply(record)
        self.assertEqual(record.host, "example.com")
