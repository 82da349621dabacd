"""The policy's own tests as objections to a load, with lists that have been read and lists that have not."""

from __future__ import annotations

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.policies.files import DISK
from corpproxy.config.load import load_policy
from corpproxy.objections import objections
from tests.cli.policies import site_folder
from tests.support.rows import rows, tabular

POLICY = """\
listen: [{{name: rooms, forward: 127.0.0.1:3128}}]
identity:
  methods: [{{basic: {{htpasswd: users.htpasswd}}}}]
categories:
  lists: [{{name: hosts, format: hosts, path: lists/hosts, category: ads, when_missing: {when_missing}}}]
rules:
  - {{name: no games, what: {{domain: games.example}}, do: block}}
  - {{name: no ads, what: {{category: ads}}, do: block}}
  - {{name: everything else, do: allow}}
tests:
  - {{user: amir, get: "http://{host}/", expect: {expect}}}
"""


@tabular
class UnreadListTests(SynchronousTestCase):
    """A list that has not been read yet does not keep the proxy from starting, for its rules refuse."""

    def severities(self, when_missing, host, expect):
        """Whether the test passes (nothing), warns or refuses, while the list has not been read."""
        path = site_folder(self.mktemp(), POLICY.format(when_missing=when_missing, host=host, expect=expect))
        configuration = load_policy(Path(path), DISK).configuration
        self.found = objections(configuration, None, time.time())
        return [problem.severity for problem in self.found]

    @rows(
        listed_blocks=("block", "ads.example", "block", []),
        other_blocks=("block", "www.example", "allow", ["warning"]),
        listed_ignored=("ignore", "ads.example", "block", ["warning"]),
        other_ignored=("ignore", "www.example", "allow", []),
        game_wrong=("block", "games.example", "redirect", ["error"]),
        never_right=("block", "www.example", "redirect", ["warning"]),
    )
    def test_severity(self, when_missing, host, expect, expected):
        """A test that fails refuses the load only if that does not rest on the list."""
        self.assertEqual(self.severities(when_missing, host, expect), expected)

    def test_told(self):
        """The warning names the list and the command that reads it."""
        self.severities("block", "www.example", "allow")
        self.assertRegex(
            self.found[0].message,
            "^expected allow, got block by 'no ads': .*; this cannot be told before 'corpproxy lists build' "
            "has read 'hosts'$",
        )
