"""HTTP clients of Python and Node."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.programs.case import PEOPLE, ProgramCase, needs
from tests.programs.origin import TOKEN
from tests.support.rows import rows, tabular
from tests.support.running import CHECKOUT

CLIENTS = Path(__file__).with_name("clients")


@tabular
class PythonTests(ProgramCase):
    """requests, httpx and aiohttp, as their users set a proxy: by environment variables."""

    people = PEOPLE

    def client(self, name: str, *words: str) -> list[str]:
        authority = self.origin.authority_file
        command = [sys.executable, CLIENTS / f"with_{name}.py", *words]
        ended = self.program(
            command,
            proxy=self.proxy_url("beth"),
            SSL_CERT_FILE=authority,
            REQUESTS_CA_BUNDLE=authority,
        )
        return ended.stdout.splitlines()

    @rows(requests=("requests",), httpx=("httpx",))
    def test_http(self, name: str) -> None:
        """A session gets and posts over http; the proxy knows who it is."""
        said = self.client(name, self.origin.http("/token"), self.origin.http("/post"))
        self.assertEqual(said, [TOKEN, TOKEN, TOKEN, "5000"])
        self.assertTrue(self.proxy.closed(user="beth", path="/post", result="forwarded"))

    @rows(requests=("requests",), httpx=("httpx",))
    def test_https(self, name: str) -> None:
        """A session gets and posts over https."""
        said = self.client(name, self.origin.https("/token"), self.origin.https("/post"))
        self.assertEqual(said, [TOKEN, TOKEN, TOKEN, "5000"])

    def test_many_http(self) -> None:
        """aiohttp asks a hundred times at once over http."""
        self.assertEqual(self.client("aiohttp", self.origin.http("/token")), [TOKEN] * 100)

    def test_many_https(self) -> None:
        """aiohttp opens a hundred tunnels at once."""
        self.assertEqual(self.client("aiohttp", self.origin.https("/token")), [TOKEN] * 100)


@tabular
class SocketTests(ProgramCase):
    """WebSockets of aiohttp: over http it sends an upgrade request, over https it opens a tunnel."""

    people = PEOPLE

    @rows(http=("http",), https=("https",))
    def test_talk(self, scheme: str) -> None:
        """A hundred messages go to and fro."""
        url = self.origin.http("/socket") if scheme == "http" else self.origin.https("/socket")
        words = [url, self.proxy_url("beth"), self.origin.authority_file]
        said = self.program([sys.executable, CLIENTS / "with_aiohttp_socket.py", *words]).stdout
        self.assertEqual(said.splitlines(), [f"you said: number {number}" for number in range(100)])
        results = {record.result for record in self.proxy.closed(user="beth", host="origin.test")}
        self.assertTrue(results <= {"upgraded", "tunnelled", "client-gone"}, results)


def undici_folder() -> Path:
    """Where ``make test`` installs undici, or where CORPPROXY_NODE says."""
    return Path(os.environ.get("CORPPROXY_NODE") or CHECKOUT / ".venv" / "node")


@needs("node")
class UndiciTests(ProgramCase):
    """undici with its ProxyAgent."""

    people = PEOPLE

    if not (undici_folder() / "node_modules" / "undici").is_dir():
        skip = "undici is not installed; 'make node' installs it"

    def fetch(self, way: str, url: str, password: str = PEOPLE["amir"], expect: int = 0) -> str:
        command = ["node", CLIENTS / "with_undici.mjs", undici_folder(), self.proxy_url()]
        words = [f"amir:{password}", way, url, self.origin.authority_file]
        ended = self.program([*command, *words], expect=expect)
        return ended.stdout.strip() or ended.stderr

    def test_forward(self) -> None:
        """A request over http arrives."""
        self.assertEqual(self.fetch("forward", self.origin.http("/token")), f"200 {TOKEN}")

    def test_https(self) -> None:
        """A request over https arrives."""
        self.assertEqual(self.fetch("tunnel", self.origin.https("/token")), f"200 {TOKEN}")

    def test_wrong_password(self) -> None:
        """A wrong password is answered with 407, which undici makes an error of its own."""
        said = self.fetch("forward", self.origin.http("/token"), password="wrong", expect=1)
        self.assertIn("Proxy Authentication Required", said)
