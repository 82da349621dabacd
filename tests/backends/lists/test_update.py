"""Lists are fetched from servers that do everything wrong, and the list in force stays what it was."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import ssl
import tarfile

import trustme

from tests.backends.bad_server import (
    BadServer,
    answer,
    drip,
    head,
    raw,
    redirect,
    reset,
    serving,
    stall,
    truncated,
)
from tests.backends.fetched_site import LIST, NEWER, NOON, FetchedCase
from tests.backends.list_samples import write_archive
from tests.support.rows import rows, tabular

PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in &amp; surf</title></head><body>no.example</body></html>\n"
)


def archive(*members: tuple[str, bytes, str], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar archive with members: name, content, and where a link leads."""
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w:gz") as tar:
        for name, content, link in (("bl/games/domains", b"games.example\n", ""), *members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if link:
                member.type, member.linkname, member.size = kind, link, 0
            tar.addfile(member, io.BytesIO(content))
    return octets.getvalue()


BOMB = gzip.compress(bytes(64 * 1024 * 1024))


@tabular
class BrokenTests(FetchedCase):
    """What comes is no list: what was in force stays, and the reason is told in words."""

    @rows(
        empty=(answer(b""), "it is empty"),
        page=(answer(PAGE, Content_Type="text/html"), "it is a web page and no list: 'Sign in & surf'"),
        page_as_text=(answer(b"\xef\xbb\xbf \n<html>no\n", Content_Type="text/plain"), "it is a web page"),
        json=(answer(b'{"error": 1}', Content_Type="application/json"), "of type application/json"),
        prose=(answer(b"Not here.\nAsk elsewhere!\n"), "what came is no list: none of its 2 lines says any"),
        bomb=(answer(BOMB), "it swells to more than"),
        packed_bomb=(answer(BOMB, Content_Encoding="gzip"), "it swells to more than"),
        bad_packing=(answer(b"games.example\n", Content_Encoding="gzip"), "it is broken: Not a gzipped file"),
        cut_packing=(answer(gzip.compress(LIST)[:-9], Content_Encoding="gzip"), "it is broken: Compressed"),
        other_packing=(answer(LIST, Content_Encoding="br"), "packed in a way nobody asked for (br)"),
        gone=(answer(status="404 Not Found"), "it answers 404 Not Found"),
        no_content=(answer(status="204 No Content"), "it answers 204 No Content"),
        unasked_304=(answer(status="304 Not Modified"), "nothing changed (304), and there is nothing"),
        unasked_part=(answer(LIST, "206 Partial Content", Content_Range="bytes 0-1/9"), "a part (206)"),
        no_http=(raw(b"220 mail.example ready\r\n"), "sends is no HTTP"),
        nothing=(raw(b""), "broke off"),
        reset=(reset, "broke off: Connection reset by peer"),
        silence=(stall(), "sends nothing for 0 s"),
        silence_inside=(stall(head(Content_Length="90") + LIST), "sends nothing for 0 s"),
        drip=(drip(head(Content_Length="9999")), "it sends too slowly"),
        drip_in_head=(drip(b"HTTP/1.1 200 OK\r\nX-Name: "), "is not done after"),
        cut=(truncated(LIST, 90), "it broke off after 27 of 90 octets"),
        cut_chunk=(raw(head(Transfer_Encoding="chunked") + b"ff\r\ngames"), "sent less than it said"),
        too_large=(truncated(b"", 1024**3), "1,073,741,824 octets, and at most 536,870,912 are fetched"),
        circle=(redirect("/list.txt"), "it redirects in a circle"),
        nowhere=(redirect(""), "it redirects to '', which is no URL"),
        elsewhere=(redirect("ftp://lists.example/"), "which is no URL to fetch a list from"),
        leads_out=(
            answer(archive(("../../etc/cron.d/x", b"x", ""))),
            "a member that leads out of it: '../..",
        ),
        absolute=(answer(archive(("/etc/passwd", b"x", ""))), "a member that leads out of it: '/etc/passwd'"),
        hard_link=(
            answer(archive(("bl/x/domains", b"", "/etc/passwd"), kind=tarfile.LNKTYPE)),
            "its member 'bl/x/domains' is no file, folder or symbolic link",
        ),
        device=(answer(archive(("bl/x", b"", "x"), kind=tarfile.CHRTYPE)), "'bl/x' is no file"),
        link_out=(
            answer(archive(("bl/x", b"", "../../etc"), kind=tarfile.SYMTYPE)),
            "a link that leads out of it: 'bl/x' to '../../etc'",
        ),
    )
    def test_broken(self, bad, expected):
        """The old list stays in force, and what happened is said."""
        self.taken()
        result, said = self.update(bad)
        self.assertEqual(result, "failed")
        self.assertIn(expected, said)
        self.assertEqual((self.is_game("games.example"), self.is_game("chess.example")), (True, False))
        state = self.state
        self.assertEqual((state.result, state.said, state.failures), ("failed", said, 1))
        self.assertEqual(state.checked, NOON)
        # A later answer that is good is taken.
        self.assertEqual(self.update(serving(NEWER))[0], "taken")
        self.assertTrue(self.is_game("chess.example"))
        self.assertEqual(self.state.failures, 0)

    def test_terminal(self):
        """What a server says of itself cannot speak to a terminal."""
        page = b"<html><title>\x1b[2Jhello</title>"
        self.assertIn(r"hello", self.update(answer(page))[1])
        for said in (self.state.said, self.update(answer(status="404 \x1b[31mNo"))[1]):
            self.assertTrue(said.isprintable(), said)

    def test_no_such_name(self):
        """A name that nobody knows is told as that."""

        def unknown(*_, **__):
            raise socket.gaierror(-2, "Name or service not known")

        self.patch(socket, "getaddrinfo", unknown)
        self.url = "http://lists.example/list.txt"
        self.assertEqual(
            self.update(), ("failed", "lists.example cannot be looked up: Name or service not known")
        )

    def test_nobody_listens(self):
        """A server that is down is told by its name."""
        self.taken()
        self.server.close()
        result, said = self.update()
        self.assertEqual((result, self.is_game("games.example")), ("failed", True))
        self.assertIn(f"127.0.0.1:{self.server.port}", said)

    def test_redirects_without_end(self):
        """Redirects are followed five times."""
        for number in range(9):
            self.server.answers_with(redirect(f"/{number + 1}"), path=f"/{number}")
        self.assertIn("it redirects more than 5 times", self.update(redirect("/0"))[1])

    def test_redirected(self):
        """A redirect is followed to where the list is."""
        self.server.answers_with(serving(LIST), path="/other")
        self.assertEqual(self.update(redirect("/other", "308 Permanent Redirect"))[0], "taken")

    def test_no_room(self):
        """Where nothing can be written, the place is named."""
        self.folder.joinpath("state").mkdir()
        self.folder.joinpath("state/lists").write_text("a file")
        result, said = self.update(serving(LIST))
        self.assertEqual((result, said), ("failed", f"{self.folder}/state/lists/fun: Not a directory"))


class FirstTests(FetchedCase):
    """A list of which there is no version yet."""

    def test_missing(self):
        """A list that cannot be fetched is missing, and its place in the policy says why."""
        from corpproxy.backends.lists.files import list_problems

        self.update(answer(status="404 Not Found"))
        (problem,) = list_problems([self.source], None)
        self.assertIn("it could not be fetched: it answers 404 Not Found; until then rules", problem.message)

    def test_not_yet(self):
        """Before the first attempt it says that."""
        from corpproxy.backends.lists.files import list_problems

        self.assertIn("it is not fetched yet", list_problems([self.source], None)[0].message)

    def test_archive(self):
        """An archive as UT1 publishes it, links between its folders and all, is a list of its categories."""
        content = write_archive(self.folder / "bl.tar.gz").read_bytes()
        self.format = "ut1"
        self.assertEqual(self.update(answer(content))[0], "taken")
        self.assertEqual(self.state.in_force.entries, {"games": 6})

    def test_archive_in_the_place_of_a_file(self):
        """An archive where the policy says that it is a plain list is refused."""
        said = self.update(answer(write_archive(self.folder / "bl.tar.gz").read_bytes()))[1]
        self.assertEqual(said, "it is an archive of files, and the policy says format: names")

    def test_packed_for_the_way(self):
        """A list may be packed for the way; we ask for that."""
        self.assertEqual(self.update(answer(gzip.compress(LIST), Content_Encoding="gzip"))[0], "taken")
        self.assertEqual(self.server.seen[0].fields["accept-encoding"], "gzip")
        self.assertTrue(self.server.seen[0].fields["user-agent"].startswith("corpproxy/"))

    def test_swells_within_reason(self):
        """A list that packs well is no bomb."""
        content = "".join(f"host{n}.example\n" for n in range(50_000)).encode()
        self.assertEqual(self.update(answer(gzip.compress(content), Content_Encoding="gzip"))[0], "taken")

    def test_chunked(self):
        """A list may come in chunks, without a length."""
        chunked = raw(head(Transfer_Encoding="chunked") + b"1b\r\n" + LIST + b"\r\n0\r\n\r\n")
        self.assertEqual(self.update(chunked)[0], "taken")


class MirrorTests(FetchedCase):
    """A list with several addresses."""

    def policy(self):
        return super().policy().replace(f'url: "{self.url}"', f'url: ["{self.url}", "{self.second}"]')

    def setUp(self):
        super().setUp()
        self.second = self.server.url("/mirror.txt")

    def test_mirror(self):
        """The second is tried where the first fails."""
        self.server.answers_with(serving(LIST), path="/mirror.txt")
        self.assertEqual(self.update(answer(status="404 Not Found"))[0], "taken")
        self.assertEqual(self.state.in_force.url, self.second)

    def test_all_fail(self):
        """When all fail, each says why."""
        self.server.answers_with(answer(status="410 Gone"), path="/mirror.txt")
        said = self.update(answer(status="404 Not Found"))[1]
        self.assertEqual(said, f"{self.url}: it answers 404 Not Found; {self.second}: it answers 410 Gone")


class ChecksumTests(FetchedCase):
    """A list with a file of checksums beside it."""

    def policy(self):
        return (
            super()
            .policy()
            .replace("refresh: 1d", f'refresh: 1d, checksum: "{self.server.url("/MD5SUM.LST")}"')
        )

    def checksums(self, *texts: str) -> None:
        self.server.answers_with(*(answer(text.encode()) for text in texts), path="/MD5SUM.LST")

    def test_right(self):
        """A list whose checksum is right is taken."""
        self.checksums(f"{'0' * 32}  other.txt\n{hashlib.md5(LIST).hexdigest()}  list.txt\n")
        self.assertEqual(self.update(serving(LIST))[0], "taken")

    def test_wrong(self):
        """One whose checksum is wrong is fetched once more past all caches, and then refused."""
        self.taken_with_checksum()
        self.checksums(f"{'0' * 64}  list.txt\n")
        result, said = self.update(serving(NEWER))
        self.assertEqual(result, "failed")
        self.assertIn("its checksum is wrong: its sha256 is", said)
        self.assertFalse(self.is_game("chess.example"))
        lists = [one.fields.get("cache-control") for one in self.server.seen if one.target == "/list.txt"]
        self.assertEqual(lists[-2:], [None, "no-cache"])

    def test_changed_between(self):
        """A list that changed while its checksum was fetched is right the second time."""
        old, new = (f"{hashlib.sha256(one).hexdigest()} *list.txt\n" for one in (LIST, NEWER))
        self.checksums(old, new)
        self.assertEqual(self.update(serving(NEWER))[0], "taken")

    def test_missing(self):
        """Without its checksum a list is not taken."""
        result, said = self.update(serving(LIST))
        self.assertEqual(result, "failed")
        self.assertIn("/MD5SUM.LST: it answers 404 Not Found", said)

    def taken_with_checksum(self):
        self.checksums(f"{hashlib.sha1(LIST).hexdigest()}\n")
        self.taken()


class CertificateTests(FetchedCase):
    """A list over https."""

    def setUp(self):
        super().setUp()
        authority = trustme.CA()
        self.names = ["localhost"]
        self.authorities = self.folder / "authorities.pem"
        authority.cert_pem.write_to_path(str(self.authorities))
        self.authority = authority

    def serve(self, *names: str) -> None:
        """Serve the list over TLS under a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        self.server = BadServer(context)
        self.addCleanup(self.server.close)
        self.server.answers_with(serving(LIST))
        self.url = self.server.url()

    @property
    def trusting(self):
        return f"  fetch: {{authorities: {self.authorities}}}"

    def test_good(self):
        """A certificate by an authority of the policy's own is good."""
        self.serve("localhost")
        self.categories = self.trusting
        self.assertEqual(self.update()[0], "taken")

    def test_unknown_authority(self):
        """One by nobody we know is not."""
        self.serve("localhost")
        result, said = self.update()
        self.assertEqual(result, "failed")
        self.assertIn(f"the certificate of localhost:{self.server.port} is not good: ", said)
        self.assertEqual(self.server.seen, [])

    def test_other_name(self):
        """One for another name is not."""
        self.serve("other.example")
        self.categories = self.trusting
        self.assertIn("certificate is not valid for 'localhost'", self.update()[1])

    def test_down_to_http(self):
        """A redirect to plain http is not followed."""
        self.serve("localhost")
        self.categories = self.trusting
        plain = BadServer()
        self.addCleanup(plain.close)
        self.assertIn("from https to plain http", self.update(redirect(plain.url()))[1])
        self.assertEqual(plain.seen, [])


class ProxyTests(FetchedCase):
    """Lists are fetched through a proxy."""

    def setUp(self):
        super().setUp()
        self.categories = f'  fetch: {{proxy: "http://127.0.0.1:{self.server.port}"}}'
        self.url = "http://lists.example/list.txt"

    def test_absolute(self):
        """The proxy is asked for the whole URL."""
        self.server.answers_with(serving(LIST), path="http://lists.example/list.txt")
        self.assertEqual(self.update()[0], "taken")
        self.assertEqual(self.server.seen[0].fields["host"], "lists.example")

    def test_tunnel(self):
        """Over https the proxy is asked for a tunnel; what it answers is told."""
        self.url = "https://lists.example/list.txt"
        self.server.answers_with(answer(status="403 Not for you"), path="lists.example:443")
        result, said = self.update()
        self.assertEqual((result, self.server.seen[0].target), ("failed", "lists.example:443"))
        self.assertIn("403 Not for you", said)


class SharedTests(FetchedCase):
    """Two processes at the same list."""

    def test_another_fetches(self):
        """Who comes second leaves it to the first."""
        with self.shelf.alone("fetch"):
            self.assertEqual(
                self.update(serving(LIST)), ("unchanged", "another process is fetching it just now")
            )
        self.assertEqual(self.server.seen, [])
