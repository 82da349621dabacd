"""Secrets in texts are made unreadable; what is wrong can still be seen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import Place, Problem
from corpproxy.masked import masked, masked_in_place
from tests.support.rows import rows, tabular


@tabular
class MaskedTests(SynchronousTestCase):
    """Texts that have a secret, and texts that look as if."""

    @rows(
        password=("https://user:secret@host/x", "https://user:***@host/x"),
        at_sign=("https://user:p@ss@host/x", "https://user:***@host/x"),
        slash=("https://user:p/s?s#s@host/x", "https://user:***@host/x"),
        no_user=("tcp://:secret@host", "tcp://:***@host"),
        digits=("https://user:12345@host", "https://user:***@host"),
        token=("to: https://ghp_abc@host/list", "to: https://***@host/list"),
        quoted=(
            """{http: "https://a:b@c", x: 'https://d:e@f'}""",
            """{http: "https://a:***@c", x: 'https://d:***@f'}""",
        ),
        database=("postgresql://me:secret@db/audit", "postgresql://me:***@db/audit"),
        connection=("host=db password=secret user=me", "host=db password=*** user=me"),
        spaces=("host=db password='a b' user=me", "host=db password=*** user=me"),
        query=("https://host/x?license_key=abc&a=b", "https://host/x?license_key=***&a=b"),
        signed=("https://host/x?X-Amz-Signature=abc", "https://host/x?X-Amz-Signature=***"),
        access=("https://host/x?access_token=abc#y", "https://host/x?access_token=***#y"),
    )
    def test_masked(self, text: str, expected: str) -> None:
        """The secret is gone, and nothing else."""
        self.assertEqual(masked(text), expected)
        kept = masked_in_place(text)
        self.assertEqual(len(kept), len(text))
        for word in ("secret", "p@ss", "ghp_abc", "a b", "=abc"):
            self.assertNotIn(word, kept)

    @rows(
        port=("https://host:6514/x",),
        port_and_sign=("https://host:8080/@scope/x",),
        user=("postgresql://corpproxy@db.example/audit",),
        path=("https://host/@scope/package",),
        mail=("write it as auditor@school.example",),
        file=("token: /etc/corpproxy/ingest.token",),
        several=("listen: ['http://a:80', 'x@y']",),
        condition=("what: {path: /monkey=banana}",),
    )
    def test_left(self, text: str) -> None:
        """What is none stays."""
        self.assertEqual(masked(text), text)

    def test_problem(self) -> None:
        """No problem quotes one, wherever it is told."""
        problem = Problem(Place("policy.yaml", 3), "bad-sink", "'ftp://me:secret@host' is no address")
        self.assertEqual(problem.line, "policy.yaml:3: 'ftp://me:***@host' is no address")
