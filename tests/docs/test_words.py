"""The words of the manual: one word, one meaning, the same as in the code, the pages and the record."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.manual import pages, prose, written

# What we do not say, and what we say for it.
AVOIDED = {
    "payload": "content",
    "verdict": "decision",
    "acl": "rule",
    "mitm": "inspect",
    "bump": "inspect",
    "log entry": "record",
    "log line": "record",
    "reverse proxy": "gateway",
    "remote server": "server",
    "server side": "upstream, or the side of the server",
    "client side": "downstream, or the side of the client",
    "transaction": "exchange",
    "session": "exchange",
    "flow": "exchange",
    "traffic": "octets",
    "bytes": "octets",
    "http header": "field",
    "header line": "field line",
    "login": "sign in",
    "log in": "sign in",
    "blacklist": "list",
    "whitelist": "list",
    "config file": "policy",
    "filter rule": "rule",
}

# Where such a word means something else: the page, the word, and the reason.
ALLOWED: dict[tuple[str, str], str] = {
    ("decisions/0001-our-own-wire.rst", "reverse proxy"): "what nginx calls itself",
    ("decisions/0007-the-store.rst", "transaction"): "of the database",
    ("explanation/life-of-an-exchange.rst", "transaction"): "of the database",
    ("explanation/threats.rst", "log in"): "to other machines, by ssh",
    ("reference/record.rst", "session"): "names of web servers in a path",
}

# The end of a sentence with another one behind it.
SENTENCE_END = re.compile(r"""[a-z)"`*]\. +[A-Z]""")


def found(word: str, line: str) -> bool:
    """Whether a word stands in a line, also in the plural."""
    return re.search(rf"\b{word}(s|es)?\b", line, re.IGNORECASE) is not None


class WordTests(SynchronousTestCase):
    """What people read uses our words."""

    maxDiff = None

    def test_avoided(self) -> None:
        """The prose of the manual has none of the words that mean several things."""
        wrong = [
            f"{page}:{number}: '{word}'; we say: {instead}"
            for page, text in written().items()
            for number, line in prose(text)
            for word, instead in AVOIDED.items()
            if found(word, line) and (page, word) not in ALLOWED
        ]
        self.assertEqual(wrong, [])

    def test_allowed_are_there(self) -> None:
        """An exception that is not needed any more is taken off the list."""
        texts = written()
        needless = [
            (page, word)
            for page, word in ALLOWED
            if not any(found(word, line) for _, line in prose(texts.get(page, "")))
        ]
        self.assertEqual(needless, [])

    def test_one_sentence_a_line(self) -> None:
        """Each sentence has a line of its own, so that a change shows what it changes."""
        crowded = [
            f"{page}:{number}: {line}"
            for page, text in pages().items()
            for number, line in prose(text)
            if SENTENCE_END.search(line)
        ]
        self.assertEqual(crowded, [])

    def test_reader(self) -> None:
        """Prose is told from literals and code."""
        text = "A ``payload`` and\n\n::\n\n    payload\n\n.. code-block:: text\n\n   payload\n\n* payload\n"
        self.assertEqual([n for n, line in prose(text) if found("payload", line)], [11])
