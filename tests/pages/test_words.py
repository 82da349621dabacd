"""The catalogues say the same things, and have a word for all that the code says."""

from __future__ import annotations

import string
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages.access import named
from corpproxy.pages.catalogue import read_catalogue
from corpproxy.pages.failures import FAILURES, find_failure
from corpproxy.pages.negotiate import LANGUAGES
from corpproxy.pages.packaged import packaged
from tests.support.rows import rows, tabular

ENGLISH = read_catalogue("en", packaged)


def names(text: str) -> set[str]:
    """The names in braces of a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@tabular
class CatalogueTests(SynchronousTestCase):
    """Three catalogues."""

    @rows(**{language: (language,) for language in LANGUAGES})
    def test_same_keys(self, language):
        """No sentence is missing in a language, and none is left over."""
        self.assertEqual(read_catalogue(language, packaged).texts.keys(), ENGLISH.texts.keys())

    @rows(**{language: (language,) for language in LANGUAGES})
    def test_same_names(self, language):
        """What is put into a sentence is put into its translations."""
        texts = read_catalogue(language, packaged).texts
        differing = {key: text for key, text in texts.items() if names(text) != names(ENGLISH.texts[key])}
        self.assertEqual(differing, {})

    @rows(**{language: (language,) for language in LANGUAGES})
    def test_no_empty_sentence(self, language):
        """Every key says something, and as many steps as in English."""
        for key, text in read_catalogue(language, packaged).texts.items():
            self.assertTrue(text.strip(), key)
            self.assertEqual(text.strip().count("\n"), ENGLISH.texts[key].strip().count("\n"), key)

    def test_failure_words(self):
        """Every failure has title, cause and advice; and no words are left that no failure has."""
        there = {key.split(".")[1] for key in ENGLISH.texts if key.startswith("failure.")}
        codes = [(code, 0) for code in FAILURES] + [("no-such-code", status) for status in range(400, 600)]
        self.assertEqual({find_failure(code, status).words for code, status in codes}, there)

    @rows(
        en=("en", "23 November 2026, 10:45"),
        fr=("fr", "23 novembre 2026 à 10:45"),
        de=("de", "23. November 2026, 10:45 Uhr"),
    )
    def test_time(self, language, expected):
        """A time is told as people write it, in the zone of the site."""
        told = read_catalogue(language, packaged).time(1_795_430_700.0, ZoneInfo("Europe/London"))
        self.assertEqual(told, expected)

    @rows(infinite=(float("inf"),), no_number=(float("nan"),), far=(1e18,), before=(-1e18,))
    def test_no_time(self, at):
        """A clock that went wild gives a dash, not a broken page."""
        self.assertEqual(ENGLISH.time(at, ZoneInfo("Europe/London")), "–")

    @rows(
        seconds=(20, "one minute"),
        minute=(60, "one minute"),
        minutes=(2700, "45 minutes"),
        hour=(3600, "one hour"),
        uneven=(5400, "90 minutes"),
        hours=(7200, "2 hours"),
        day=(86_400, "one day"),
        odd=(3601, "60 minutes"),
    )
    def test_duration(self, seconds, expected):
        """A duration is told in the largest unit that it fills."""
        self.assertEqual(ENGLISH.duration(seconds), expected)

    @rows(
        none=("en", 5, "a, b, c, d, e"),
        one=("fr", 6, "a, b, c, d, e et 1 autre"),
        more=("fr", 7, "a, b, c, d, e et 2 autres"),
    )
    def test_hosts_named(self, language, count, expected):
        """Some hosts are named and the others counted, one of them, too."""
        self.assertEqual(named(read_catalogue(language, packaged), tuple("abcdefg"[:count])), expected)

    def test_category(self):
        """A category of the lists has a label, one of the administrator's own its name."""
        self.assertEqual(read_catalogue("de", packaged).category("gambling"), "Glücksspiel")
        self.assertEqual(ENGLISH.category("year_9_homework"), "year 9 homework")

    def test_values_are_not_sentences(self):
        """Braces in what is put in stay as they are."""
        self.assertEqual(ENGLISH.say("block.title", host="{category}{0}"), "{category}{0} is blocked")
