"""Expressions of the C library, as RE2 reads them and in the URI that rules look at."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.foreign.expressions import (
    MAX_CHARACTERS,
    NoCounterpart,
    for_host,
    for_media_type,
    for_path,
    for_text,
)
from corpproxy.policy.conditions import compile_expression
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular


def finds(expression: str, uri: str) -> bool:
    return compile_expression(expression).search(uri.encode()) is not None


@tabular
class ExpressionTests(SynchronousTestCase):
    """What is written differently, and where it is looked for."""

    @rows(
        alike=("^http://ads[0-9]*\\.", "^http://ads[0-9]*\\."),
        backslash_in_brackets=(r"[\w.]", r"[\\w.]"),
        letter_d=(r"\d+", "d+"),
        word=(r"\<sex\>", r"\bsex\b"),
        star_first=("*foo|*", "foo|"),
        star_in_group=("(*a)", "(?:a)"),
        twice_repeated=("a+?", "(?:a+)?"),
        at_most=("a{,3}b", "a{0,3}b"),
        no_repetition=("a{x}", r"a\{x\}"),
        bracket_first=("[]a]", r"[\]a]"),
        not_bracket=("[^]a]", r"[^\]a]"),
        named=("[[:digit:]x]", "[[:digit:]x]"),
    )
    def test_written(self, written, expected):
        """Each is said so that RE2 finds what the C library found."""
        self.assertEqual(for_text(written, any_case=False), expected)
        compile_expression(expected)

    @rows(
        backwards=(r"(a)\1", "refers back"),
        open=("(a", "no ')'"),
        closed=("a)", "no '('"),
        brackets=("[a", "no ']'"),
        backslash=("a\\", "ends with a backslash"),
        element=("[[.a.]]", "collating"),
        many=("a{2000}", "1000 times"),
        deep=("(" * 60 + "a" + ")" * 60, "too deep"),
        long=("a" * (MAX_CHARACTERS + 1), "more than"),
        anchor_twice=("^*a", "cannot be repeated"),
    )
    def test_no_counterpart(self, written, said):
        """What RE2 cannot do is said in words."""
        with self.assertRaises(NoCounterpart) as caught:
            for_text(written, any_case=False)
        self.assertIn(said, str(caught.exception))

    @rows(
        anywhere=(
            "casino",
            ("http://my.casino.example/", "casino.example:443"),
            ("http://a.example/casino",),
        ),
        like_a_scheme=("^h", ("http://h.example/", "h.example:443"), ("http://a.example/", "a.example:443")),
        in_the_scheme=(
            "tp",
            ("http://ftp.example/", "ftp.example:443"),
            ("http://a.example/", "a.example:80"),
        ),
        beginning=("^www\\.", ("http://www.a.example/", "www.a.example:443"), ("http://a.www.example/",)),
        end=("\\.ru$", ("http://a.ru/", "a.ru:443", "http://a.ru:81/x"), ("http://a.rum/", "http://a/.ru")),
        whole=(
            "(^|\\.)a\\.b$",
            ("http://a.b/", "x.a.b:443"),
            ("http://xa.b/", "http://a.bc/", "http://x/a.b"),
        ),
        dot_stays=("a.*b", ("http://a1b.example/",), ("http://a.example/b", "http://a.example:80/b")),
        class_stays=("a[^x]b", ("http://a-b/",), ("http://a/b",)),
        ends=("\\.(com|net)$", ("http://a.com/", "a.net:80"), ("http://a.com.example/",)),
    )
    def test_host(self, written, found, not_found):
        """What was looked for in the host is found nowhere else in the URI."""
        made = for_host(written, any_case=False)
        self.assertEqual([uri for uri in found if not finds(made, uri)], [])
        self.assertEqual([uri for uri in not_found if finds(made, uri)], [])

    @rows(
        extension=("\\.mp3$", ("http://a/x.mp3",), ("http://a.mp3/", "a.mp3:443", "http://a/x.mp3?y")),
        beginning=("^/ads/", ("http://a/ads/x",), ("http://a/x/ads/", "http://ads/")),
        folder=("/ads/", ("http://a/ads/", "http://a/x/ads/y"), ("http://a/ads",)),
        anywhere=("ads", ("http://a/ads", "http://a/x?ads"), ("http://ads.example/", "ads.example:443")),
        dot_first=(".mp3$", ("http://a/mp3", "http://a/xmp3"), ("http://mp3/",)),
        query=("[?&]id=", ("http://a/?id=1", "http://a/x?y&id=1"), ("http://a/id=",)),
        one_of=("\\.(exe|zip)(\\?|$)", ("http://a/x.exe", "http://a/x.zip?1"), ("http://a/x.exes",)),
        one_of_folders=("^(/a|/b)/", ("http://h/a/", "http://h/b/c"), ("http://h/c/a/",)),
        everything=(".*\\.js$", ("http://h/x.js",), ("http://h/x.jsp", "http://h.js/")),
    )
    def test_path(self, written, found, not_found):
        """What was looked for in the path is found in no host, and in no tunnel."""
        made = for_path(written, any_case=False)
        self.assertEqual([uri for uri in found if not finds(made, uri)], [])
        self.assertEqual([uri for uri in not_found if finds(made, uri)], [])

    def test_any_case(self):
        """-i is a flag of the expression."""
        self.assertTrue(finds(for_host("CaSiNo", any_case=True), "http://casino.example/"))
        self.assertFalse(finds(for_host("CaSiNo", any_case=False), "http://casino.example/"))

    def test_no_host_has_it(self):
        """What no host can have is told, not looked for in the path."""
        with self.assertRaises(NoCounterpart):
            for_host("a/b", any_case=False)

    @rows(
        whole=("^video/mp4$", "video/mp4"),
        kind=("^video/", "video/*"),
        case=("^Audio/", "audio/*"),
        part=("video", None),
        unfinished=("^video/mp", None),
        expression=("^video/.*$", None),
    )
    def test_media_type(self, written, expected):
        """A whole type and a whole kind have a counterpart; a part of a word has none."""
        if expected is None:
            with self.assertRaises(NoCounterpart):
                for_media_type(written, any_case=True)
        else:
            self.assertEqual(for_media_type(written, any_case=True), expected)

    @EXAMPLES
    @given(st.text("ab.*+?()|[]{},1^$\\/-", max_size=14))
    def test_any_text(self, written):
        """Any text is said so that RE2 takes it, or is told to have no counterpart."""
        for say in (for_text, for_host, for_path):
            try:
                compile_expression(say(written, any_case=False))
            except NoCounterpart as wrong:
                self.assertTrue(str(wrong))

    @EXAMPLES
    @given(
        st.lists(st.sampled_from(["a", "b", r"\.", ".", "a*", "(a|b)", "[ab]", "b+", "a?"]), max_size=5),
        st.text("ab.x", min_size=1, max_size=8),
        st.booleans(),
        st.booleans(),
    )
    def test_host_and_text_agree(self, pieces, host, begins, ends):
        """In a host without a port or a path both find the same."""
        written = "^" * begins + "".join(pieces) + "$" * ends
        expected = re.search(written, host) is not None
        self.assertEqual(finds(for_host(written, any_case=False), f"http://{host}/"), expected)
        self.assertEqual(finds(for_host(written, any_case=False), f"{host}:443"), expected)
