"""Every failure has a symbolic name, one status and words; the manual and the code know the same ones."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import corpproxy
from corpproxy.pages.failures import FAILURES, find_failure
from corpproxy.pages.negotiate import LANGUAGES, Audience, Media
from corpproxy.pages.occasion import Occasion
from tests.docs.test_codes import NEVER_TOLD
from tests.pages.html import Look
from tests.pages.samples import NOW, occasion, pages
from tests.support.rows import rows, tabular

SOURCE = Path(corpproxy.__file__).parent
MANUAL = SOURCE.parent / "docs" / "reference" / "pages.rst"
RAISED = {"ProtocolError", "UpstreamError", "BadForm"}


@tabular
class StatusTests(SynchronousTestCase):
    """One code a row."""

    @rows(
        name_unknown=("name-unknown", 502, "name-unknown"),
        name_failed=("name-failed", 502, "name-failed"),
        no_route=("no-route", 502, "connect-failed"),
        connect_refused=("connect-refused", 502, "connect-refused"),
        connect_timeout=("connect-timeout", 504, "connect-timeout"),
        connect_failed=("connect-failed", 502, "connect-failed"),
        answer_timeout=("answer-timeout", 504, "answer-timeout"),
        answer_invalid=("answer-invalid", 502, "answer-invalid"),
        upstream_closed=("upstream-closed", 502, "upstream-closed"),
        address_refused=("address-refused", 403, "address-refused"),
        bad_request_line=("bad-request-line", 400, "request-invalid"),
        bad_host=("bad-host", 400, "address-invalid"),
        head_too_large=("head-too-large", 431, "too-long"),
        target_too_long=("target-too-long", 414, "too-long"),
        content_too_large=("content-too-large", 413, "content-too-large"),
        unknown_version=("unknown-version", 505, "not-supported"),
        unknown_coding=("unknown-coding", 501, "not-supported"),
        head_timeout=("head-timeout", 408, "request-timeout"),
        directory_down=("directory-down", 503, "unavailable"),
        records_full=("records-full", 503, "unavailable"),
        too_many_connections=("too-many-connections", 429, "too-many-connections"),
        server_busy=("server-busy", 504, "busy"),
        not_for_a_proxy=("not-for-a-proxy", 400, "not-a-proxy-request"),
        form_forged=("form-forged", 403, "form-forged"),
        internal=("internal", 500, "internal"),
        unknown=("no-such-code", 500, "internal"),
    )
    def test_status(self, code, status, words):
        """A failure has its status and its words."""
        found = find_failure(code)
        self.assertEqual((found.status, found.words), (status, words))

    @rows(
        client_status=("no-such-code", 400, 400, "request-invalid"),
        odd_client_status=("no-such-code", 422, 422, "refused"),
        upstream_status=("no-such-code", 502, 502, "upstream"),
        timeout_status=("no-such-code", 504, 504, "answer-timeout"),
        odd_server_status=("no-such-code", 599, 599, "internal"),
        success=("no-such-code", 200, 500, "internal"),
        too_large=("no-such-code", 1000, 500, "internal"),
        negative=("name-unknown", -1, 502, "name-unknown"),
        servers_fault=("bad-chunk-size", 502, 502, "answer-invalid"),
        server_too_slow=("content-timeout", 504, 504, "answer-timeout"),
        own_status=("name-unknown", 504, 504, "name-unknown"),
    )
    def test_status_given(self, code, given, status, words):
        """The failure's own status counts; what a server did is not told as the client's fault."""
        found = find_failure(code, given)
        self.assertEqual((found.status, found.words), (status, words))

    @rows(**{language: (language,) for language in LANGUAGES})
    def test_every_page(self, language):
        """Every code has a page in every language, with the code and the reference on it."""
        for code in FAILURES:
            for of in (
                occasion("a-host.example", reference="0nk4x7a2k40001"),
                Occasion("0nk4x7a2k40001", NOW),
            ):
                page = pages_of_school.failure(code, of, Audience(language, Media.HTML), detail="a detail")
                text = Look(page.content.decode()).text
                self.assertEqual(page.status, FAILURES[code].status)
                for shown in (code, "0nk4x7a2k40001", "a detail"):
                    self.assertIn(shown, text)
                self.assertNotIn("{", text)

    @given(st.text(max_size=30), st.integers(-10, 1200), st.text(max_size=30))
    @settings(max_examples=60, deadline=None)
    def test_anything(self, code, status, detail):
        """Any code, status and detail give a page of a failure."""
        page = pages_of_school.failure(
            code, occasion(), Audience("en", Media.HTML), status=status, detail=detail
        )
        self.assertTrue(400 <= page.status <= 599)
        Look(page.content.decode())

    def test_retry(self):
        """A limit says when to come back."""
        page = pages_of_school.failure("too-many-connections", occasion(), Audience(), retry_seconds=30)
        self.assertEqual((page.status, page.field(b"Retry-After")), (429, b"30"))


pages_of_school = pages()


class ReferenceTests(SynchronousTestCase):
    """The manual."""

    def test_manual(self):
        """The manual's table has every code with its status, and no other."""
        rows = re.findall(r"^   \* - ``([a-z0-9-]+)``\n     - (\d{3})$", MANUAL.read_text(), re.MULTILINE)
        self.assertEqual(
            {code: int(status) for code, status in rows},
            {code: failure.status for code, failure in FAILURES.items()},
        )

    def test_sorted(self):
        """A code is found in the manual by the alphabet."""
        codes = re.findall(r"^   \* - ``([a-z0-9-]+)``\n     - \d{3}$", MANUAL.read_text(), re.MULTILINE)
        self.assertEqual(codes, sorted(codes))

    def test_raised(self):
        """Every code that the program raises has a page, but those that the road makes another."""
        raised = {
            node.args[0].value
            for path in SOURCE.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in RAISED
            and node.args
            and isinstance(node.args[0], ast.Constant)
        }
        self.assertEqual(raised - FAILURES.keys() - NEVER_TOLD.keys(), set())
