"""Paths have one spelling, so that a list is not passed by writing a URL another way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.paths import covers, listed_path, normal_path
from tests.support.rows import rows, tabular


@tabular
class PathTests(SynchronousTestCase):
    """Normal forms and beginnings of paths."""

    @rows(
        empty=("", ""),
        plain=("/a/b?c=d", "/a/b?c=d"),
        needless_escape=("/%7euser/%41", "/~user/A"),
        needed_escape=("/a%2fb", "/a%2Fb"),
        broken_escape=("/100%", "/100%"),
        dots=("/a/./b/../c", "/a/c"),
        above_the_root=("/../../etc", "/etc"),
        escaped_dots=("/a/%2e%2e/b", "/b"),
        dots_at_the_end=("/a/b/..", "/a/"),
        dots_in_query=("/a?x=/../b", "/a?x=/../b"),
        fragment=("/a#b", "/a"),
        umlaut=("/ü", "/%C3%BC"),
        space=("/a b", "/a%20b"),
        double_slash=("//a//b", "//a//b"),
        half_escape=("/%6", "/%6"),
        hidden_file=("/.well-known/x", "/.well-known/x"),
        asterisk=("*", "*"),
        raw_octet=("/\udcff", "/%FF"),
    )
    def test_normal(self, path: str, expected: str) -> None:
        """One URL has one spelling (RFC 3986, section 6.2.2)."""
        self.assertEqual(normal_path(path), expected)

    @given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from(["", "/"]))
    def test_once(self, written: str, slash: str) -> None:
        """The normal form of a normal form is itself, unless undoing an escape made a new one."""
        once = normal_path(slash + written)
        self.assertTrue(once.isascii())
        if "%25" not in once and "%" not in written:
            self.assertEqual(normal_path(once), once)

    @rows(
        case=("/News/Today", "/news/today"),
        query_alone=("?q=1", "/?q=1"),
    )
    def test_listed(self, path: str, expected: str) -> None:
        """Lists are compared in lower case."""
        self.assertEqual(listed_path(path), expected)

    @rows(
        same=("/news", "/news", True),
        below=("/news", "/news/today", True),
        query=("/news", "/news?id=1", True),
        longer_word=("/news", "/newsletter", False),
        ends_with_slash=("/news/", "/news/today", True),
        slash_is_missing=("/news/", "/news", False),
        value=("/watch?v=", "/watch?v=abc", True),
        more_of_a_query=("/watch?v=abc", "/watch?v=abc&t=1", True),
        longer_value=("/watch?v=abc", "/watch?v=abcd", False),
        other=("/news", "/sport", False),
    )
    def test_covers(self, beginning: str, path: str, expected: bool) -> None:
        """A beginning ends where a part of the path ends."""
        self.assertEqual(covers(beginning, path), expected)

    @given(st.text(st.characters(exclude_categories=())))
    def test_stable(self, path: str) -> None:
        """Any path has a normal form in printable ASCII, which is its own."""
        normal = listed_path(path)
        self.assertEqual(listed_path(normal), normal)
        self.assertRegex(normal, r"\A[\x21-\x7e]*\Z")
