"""curl: every way that it speaks to a proxy."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.programs.case import PEOPLE, ProgramCase, needs
from tests.programs.origin import TOKEN, content_of

TEN_MEGABYTES = 10_000_000


class _Curl(ProgramCase):
    def curl(self, *words: object, expect: int | None = 0, port: str = "") -> str:
        proxy = port or f"http://127.0.0.1:{self.proxy.forward}"
        # Without --noproxy '' curl would go straight to what it takes for itself.
        command = ["curl", "-sS", "-q", "--noproxy", "", "--max-time", "40", "--proxy", proxy]
        authority = ["--cacert", self.origin.authority_file]
        return self.program([*command, *authority, *words], expect=expect).stdout

    def status(self, *words: object, variable: str = "http_code", expect: int | None = 0) -> str:
        return self.curl("-o", "/dev/null", "-w", f"%{{{variable}}}", *words, expect=expect)

    def sent_file(self, octets: int) -> tuple[Path, str]:
        file = self.work / "sent"
        file.write_bytes(content_of(octets))
        return file, f"{octets} {hashlib.sha256(file.read_bytes()).hexdigest()}"


@needs("curl")
class PlainTests(_Curl):
    """Without sign-in."""

    def test_get(self) -> None:
        """A page over http arrives, and its record names host, status and octets."""
        self.assertEqual(self.curl(self.origin.http("/token?a=b")), TOKEN)
        (record,) = self.proxy.closed(path="/token", method="GET", scheme="http")
        self.assertEqual((record.host, record.status, record.result), ("origin.test", 200, "forwarded"))
        self.assertGreater(record.sent, len(TOKEN))

    def test_head(self) -> None:
        """HEAD gives the fields and no content."""
        self.assertIn(f"Content-Length: {len(TOKEN)}", self.curl("-I", self.origin.http("/token")))

    def test_old_version(self) -> None:
        """A client that speaks HTTP/1.0 gets its answer."""
        self.assertEqual(self.curl("-0", self.origin.http("/token")), TOKEN)

    def test_old_version_chunked(self) -> None:
        """A client that speaks HTTP/1.0 gets chunked content without the chunks."""
        self.assertEqual(self.curl("-0", self.origin.http("/chunked")), TOKEN)

    def test_chunked_answer(self) -> None:
        """Chunked content arrives."""
        self.assertEqual(self.curl(self.origin.http("/chunked")), TOKEN)

    def test_range(self) -> None:
        """A part of the content is asked for and given."""
        self.assertEqual(self.curl("-r", "5-7", self.origin.http("/token")), TOKEN[5:8])

    def test_missing(self) -> None:
        """A failure of the server is the server's own."""
        self.assertEqual(self.status(self.origin.http("/nothing")), "404")

    def test_three_on_one_connection(self) -> None:
        """Three requests go over one connection to the proxy."""
        said = self.curl("-w", "%{num_connects}", *[self.origin.http("/token")] * 3)
        self.assertEqual(said, f"{TOKEN}1{TOKEN}0{TOKEN}0")

    def test_many_at_once(self) -> None:
        """Fifty requests at once each get their own answer."""
        sizes = range(1000, 1050)
        urls = [self.origin.http(f"/content/{octets}") for octets in sizes]
        self.curl("-Z", "--parallel-max", "50", "--remote-name-all", *urls)
        got = {file.name: file.stat().st_size for file in self.work.iterdir()}
        self.assertEqual(got, {str(octets): octets for octets in sizes})

    def test_post(self) -> None:
        """Ten megabytes go up, announced by Expect, and are whole."""
        file, told = self.sent_file(TEN_MEGABYTES)
        url = self.origin.http("/post")
        self.assertEqual(self.curl("-H", "Expect: 100-continue", "--data-binary", f"@{file}", url), told)

    def test_post_without_expect(self) -> None:
        """Ten megabytes go up at once."""
        file, told = self.sent_file(TEN_MEGABYTES)
        self.assertEqual(
            self.curl("-H", "Expect:", "--data-binary", f"@{file}", self.origin.http("/post")), told
        )

    def test_download(self) -> None:
        """Ten megabytes come down and are whole."""
        file = self.work / "got"
        self.curl("-o", file, self.origin.http(f"/content/{TEN_MEGABYTES}"))
        self.assertTrue(file.read_bytes() == content_of(TEN_MEGABYTES), "the content changed on its way")

    def test_chunked_upload(self) -> None:
        """Content of unknown length goes up in chunks."""
        file, told = self.sent_file(300_000)
        words = ["-H", "Transfer-Encoding: chunked", "--data-binary", f"@{file}"]
        self.assertEqual(self.curl(*words, self.origin.http("/post")), told)
        self.assertEqual(self.origin.seen[-1].fields["Transfer-Encoding"], "chunked")

    def test_https(self) -> None:
        """A page over https arrives through a tunnel; the record has opening and closing."""
        self.assertEqual(self.curl(self.origin.https("/token")), TOKEN)
        (record,) = self.proxy.closed(method="CONNECT", path="", result="tunnelled")[:1]
        self.assertEqual((record.host, record.port), ("origin.test", self.origin.tls_port))
        self.assertEqual(record.server_name, "origin.test")
        self.assertGreater(record.received, 300)

    def test_https_post(self) -> None:
        """Ten megabytes go up through a tunnel."""
        file, told = self.sent_file(TEN_MEGABYTES)
        self.assertEqual(self.curl("--data-binary", f"@{file}", self.origin.https("/post")), told)

    def test_https_download(self) -> None:
        """Ten megabytes come down through a tunnel."""
        file = self.work / "got"
        self.curl("-o", file, self.origin.https(f"/content/{TEN_MEGABYTES}"))
        self.assertTrue(file.read_bytes() == content_of(TEN_MEGABYTES), "the content changed on its way")

    def test_tunnel_with_http_inside(self) -> None:
        """Plain HTTP in a tunnel is no TLS and no WebSocket: the tunnel is closed and the record says why."""
        self.curl("--proxytunnel", self.origin.http("/token"), expect=None)
        self.assertEqual(self.origin.seen, [])
        (record,) = self.proxy.closed(method="CONNECT", port=self.origin.port)
        self.assertEqual(record.result, "blocked")

    def test_dead_port(self) -> None:
        """A server that is not there gives 502, with a page that says so."""
        self.assertEqual(self.status("http://origin.test:9/"), "502")

    def test_unknown_name(self) -> None:
        """A name that does not exist gives an answer at once."""
        self.assertIn(self.status("http://no-such-name.invalid/"), {"502", "504"})

    def test_socks(self) -> None:
        """SOCKS is not spoken here: curl is told so by a closed connection, and the record by one line."""
        self.curl("--socks5", f"127.0.0.1:{self.proxy.forward}", self.origin.http("/token"), expect=97)
        self.assertEqual(len(self.proxy.closed(result="malformed")), 1)

    def test_ipv6_listener(self) -> None:
        """The proxy is reached over IPv6."""
        if not self.proxy.forward6:
            self.skipTest("this machine has no ::1")
        said = self.curl(self.origin.http("/token"), port=f"http://[::1]:{self.proxy.forward6}")
        self.assertEqual(said, TOKEN)

    def test_pac(self) -> None:
        """The portal listener serves the PAC file."""
        said = self.program(["curl", "-sS", "-i", f"http://127.0.0.1:{self.proxy.portal}/proxy.pac"]).stdout
        self.assertIn("application/x-ns-proxy-autoconfig", said)
        self.assertIn(f"PROXY 127.0.0.1:{self.proxy.forward}", said)


@needs("curl")
class SignInTests(_Curl):
    """With sign-in by name and password."""

    people = PEOPLE
    rules = """
rules:
  - {name: no games, what: {domain: games.test}, do: block, say: Games are for home.}
  - {name: everything else, do: allow}
"""

    def signed_in(self, *words: object, name: str = "amir", expect: int | None = 0) -> str:
        return self.curl("--proxy-user", f"{name}:{self.people[name]}", *words, expect=expect)

    def test_without_credentials(self) -> None:
        """Who sends no credentials is asked for them."""
        self.assertEqual(self.status(self.origin.http("/token")), "407")
        said = self.curl("-i", self.origin.http("/token"))
        self.assertRegex(said, r'(?i)proxy-authenticate: Basic realm="[^"]+", charset="UTF-8"')

    def test_wrong_password(self) -> None:
        """Who sends a wrong password is asked again."""
        self.assertEqual(self.status("--proxy-user", "amir:wrong", self.origin.http("/token")), "407")

    def test_odd_password(self) -> None:
        """A password with ``@``, ``:``, a blank, ``ö`` and ``%`` signs in; the record names the person."""
        self.assertEqual(self.signed_in(self.origin.http("/token")), TOKEN)
        (record,) = self.proxy.closed(user="amir", path="/token")[:1]
        self.assertEqual((record.groups, record.source), (("pupils",), "basic"))

    def test_password_in_url(self) -> None:
        """The same, written into the URL of the proxy."""
        self.assertEqual(self.curl(self.origin.http("/token"), port=self.proxy_url("amir")), TOKEN)

    def test_any_scheme(self) -> None:
        """curl chooses from what the challenge offers, and sends its content with the second try."""
        file, told = self.sent_file(300_000)
        words = ["--proxy-anyauth", "--data-binary", f"@{file}", self.origin.http("/post")]
        self.assertEqual(self.signed_in(*words, name="beth"), told)

    def test_https(self) -> None:
        """A tunnel is opened for who signed in."""
        self.assertEqual(self.signed_in(self.origin.https("/token"), name="beth"), TOKEN)
        (record,) = self.proxy.closed(method="CONNECT", user="beth", result="tunnelled")
        self.assertEqual(record.host, "origin.test")

    def test_https_without_credentials(self) -> None:
        """No tunnel without credentials."""
        self.assertEqual(self.status(self.origin.https("/token"), variable="http_connect", expect=56), "407")

    def test_blocked(self) -> None:
        """A known but forbidden person gets 403 with the rule's sentence, never 407 again."""
        said = self.signed_in("-i", "-H", "Accept: text/html", self.origin.http("/", "games.test"))
        self.assertIn("HTTP/1.1 403", said)
        self.assertIn("Games are for home.", said)
        self.assertEqual(self.origin.seen, [])

    def test_blocked_https(self) -> None:
        """A forbidden tunnel is refused with 403."""
        url = self.origin.https("/", "games.test")
        words = ["--proxy-user", "beth:" + self.people["beth"], url]
        self.assertEqual(self.status(*words, variable="http_connect", expect=56), "403")
