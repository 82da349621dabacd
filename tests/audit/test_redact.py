"""Secrets stay out of the record."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.redact import (
    MAX_AGENT,
    MAX_METHOD,
    MAX_PATH,
    recorded_agent,
    recorded_method,
    recorded_path,
    wire_text,
)
from corpproxy.audit.settings import AuditSettings
from tests.support.rows import rows, tabular

WITH_QUERY = AuditSettings(query=True)


@tabular
class PathTests(SynchronousTestCase):
    """What the record keeps of a path."""

    @rows(
        plain=("/index.html", "/index.html"),
        query=("/search?q=secret+wish", "/search"),
        empty_query=("/search?", "/search"),
        session=("/shop;jsessionid=F00BA4/cart", "/shop;jsessionid=***/cart"),
        parameter=("/map;zoom=3", "/map;zoom=3"),
        fragment=("/page#token=1", "/page"),
        tunnel=("", ""),
        asterisk=("*", "*"),
    )
    def test_default(self, path, kept) -> None:
        """Queries and session names are left out."""
        self.assertEqual(recorded_path(path, AuditSettings()), kept)

    @rows(
        harmless=("/s?q=cats&page=2", "/s?q=cats&page=2"),
        token=("/cb?code=4%2F0Ab&state=x", "/cb?code=***&state=x"),
        first=("/x?password=a;b=c", "/x?password=***;b=c"),
        case=("/x?Api_Key=12&a=1", "/x?Api_Key=***&a=1"),
        signed=("/o?X-Amz-Signature=ab&X-Amz-Date=1", "/o?X-Amz-Signature=***&X-Amz-Date=1"),
        not_a_secret=("/x?keyboard=de&monkey=1", "/x?keyboard=de&monkey=1"),
        empty=("/x?", "/x?"),
        nested=("/x?u=http://h/?token=1", "/x?u=http://h/?token=***"),
    )
    def test_with_query(self, path, kept) -> None:
        """Where the policy keeps queries, the values of known secrets are blanked."""
        self.assertEqual(recorded_path(path, WITH_QUERY), kept)

    def test_long(self) -> None:
        """A path that nobody would read is cut, and shows it."""
        kept = recorded_path("/" + "a" * 60_000, AuditSettings())
        self.assertEqual((len(kept), kept[-1]), (MAX_PATH, "…"))

    @settings(max_examples=80, deadline=None)
    @given(st.text(max_size=60))
    def test_never_a_query(self, path) -> None:
        """Whatever the path looks like, nothing behind its question mark is kept by default."""
        self.assertNotIn("?", recorded_path(path, AuditSettings()))


class MethodTests(SynchronousTestCase):
    """What the record keeps of a method."""

    def test_kept(self) -> None:
        """It is kept, up to a length."""
        self.assertEqual(recorded_method(b"UPDATEREDIRECTREF"), "UPDATEREDIRECTREF")
        self.assertEqual(len(recorded_method(b"X" * 5000)), MAX_METHOD)


class AgentTests(SynchronousTestCase):
    """What the record keeps of a User-Agent."""

    def test_kept(self) -> None:
        """It is kept, up to a length."""
        self.assertEqual(recorded_agent(b"curl/8.5.0", AuditSettings()), "curl/8.5.0")
        self.assertEqual(len(recorded_agent(b"x" * 5000, AuditSettings())), MAX_AGENT)

    def test_left_out(self) -> None:
        """The policy may leave it out."""
        self.assertEqual(recorded_agent(b"curl/8.5.0", AuditSettings(user_agent=False)), "")

    def test_odd_octets(self) -> None:
        """Octets that are no UTF-8 are spelled out."""
        self.assertEqual(wire_text(b"caf\xc3\xa9 caf\xe9"), "café caf\\xe9")
