"""A site with one list that is fetched from a server in the test, and a child's work done without a child."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists.build import Job, build
from corpproxy.backends.lists.files import index_path, open_index
from corpproxy.backends.lists.patience import Patience
from corpproxy.backends.lists.shelf import Shelf, ShelfState
from corpproxy.backends.lists.update import Updating, configuration_of
from corpproxy.config.configuration import Configuration
from corpproxy.destination.host import normal_host
from corpproxy.destination.sources import ListSource
from tests.backends.bad_server import BadServer, serving

# A tenth of a second is long for a server that is in the same process.
IMPATIENCE = Patience(connect=5.0, silence=0.4, whole=1.5, slow=0.5, slow_octets=1000)

POLICY = """\
site: Hillside School
contact: {{mail: it@hillside.example}}
listen: [{{name: rooms, forward: "127.0.0.1:3128"}}]
categories:
  lists:
    - {{name: fun, format: {format}, category: games, url: "{url}", refresh: 1d{more}}}
{categories}
rules:
  - {{name: no games, what: {{category: games}}, do: block}}
  - {{name: everything else, do: allow}}
"""

LIST = b"games.example\nbets.example\n"
NEWER = b"games.example\nbets.example\nchess.example\n"
NOON = 1_795_000_000.0


class FetchedCase(SynchronousTestCase):
    """
    A site with one list that is fetched.

    :ivar more: further fields of the list, and ``categories`` further lines of the table.
    :ivar format: how the list is written.
    """

    more = ""
    format = "names"
    categories = ""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.server = BadServer()
        self.addCleanup(self.server.close)
        self.now = NOON
        self.slept: list[float] = []
        self.url = self.server.url()

    def policy(self) -> str:
        """The policy of the site."""
        more = f", {self.more}" if self.more else ""
        return POLICY.format(url=self.url, more=more, format=self.format, categories=self.categories)

    @property
    def configuration(self) -> Configuration:
        path = self.folder / "policy.yaml"
        path.write_text(self.policy())
        found = configuration_of(path, {"policy.yaml": path.read_bytes()})
        assert found is not None
        return found

    @property
    def source(self) -> ListSource:
        return self.configuration.lists[0]

    @property
    def shelf(self) -> Shelf:
        source = self.source
        assert source.fetch is not None
        return Shelf(source.path, source.fetch.keep)

    @property
    def state(self) -> ShelfState:
        return self.shelf.state

    def update(self, *answers: Any, patience: Patience = IMPATIENCE) -> tuple[str, str]:
        """Update the list, with these answers of the server next; gives the result and what was said."""
        if answers:
            self.server.answers_with(*answers)
        updating = Updating(
            self.configuration,
            now=lambda: self.now,
            patience=patience,
            sleep=self.slept.append,
            chance=_Even(),
        )
        (outcome,) = updating.update(())
        self.build()
        return outcome.result, outcome.said

    def build(self) -> None:
        """Build the index of all lists, as a service does when one came."""
        configuration = self.configuration
        build(Job.of(configuration.lists, index_path(configuration.state)), self.now)

    def taken(self, content: bytes = LIST, **fields: str) -> None:
        """Have a version in force."""
        result, said = self.update(serving(content, **fields))
        self.assertEqual(result, "taken", said)
        self.server.seen.clear()

    def is_game(self, host: str) -> bool:
        """Whether the index in force says that a host is a game."""
        index = open_index(self.configuration.state)
        return index is not None and bool(index.categories(normal_host(host)))


class _Even(random.Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0
