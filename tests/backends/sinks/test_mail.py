"""Checkpoints by mail: over TLS alone, signed in with a password that no message shows."""

from __future__ import annotations

import base64
import socket
import ssl
import threading

import trustme

from corpproxy.audit.received import received
from corpproxy.audit.sinks import SinkKind
from tests.backends.sinks.case import SinkCase
from tests.backends.sinks.servers import wait_until
from tests.backends.sinks.test_checkpoints import sign


class MailServer:
    """Takes mail from one person; TLS from the beginning, or by STARTTLS."""

    def __init__(self, context: ssl.SSLContext, *, starts: bool, offers: bool = True) -> None:
        self.mails: list[bytes] = []
        self.credentials: list[bytes] = []
        self._context = context
        self._starts = starts
        self._offers = offers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
                self._serve(connection)
            except OSError:
                if self._listening.fileno() < 0:
                    return

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        if not self._starts:
            connection = self._context.wrap_socket(connection, server_side=True)
        lines = connection.makefile("rb")
        connection.sendall(b"220 mail\r\n")
        while line := lines.readline():
            word = line.split()[0].upper()
            if word == b"EHLO":
                offered = b"250-STARTTLS\r\n" if self._starts and self._offers else b""
                connection.sendall(b"250-mail\r\n" + offered + b"250 AUTH PLAIN\r\n")
            elif word == b"STARTTLS":
                connection.sendall(b"220 go\r\n" if self._offers else b"502 no\r\n")
                if self._offers:
                    connection = self._context.wrap_socket(connection, server_side=True)
                    lines = connection.makefile("rb")
            elif word == b"AUTH":
                self.credentials.append(base64.b64decode(line.split()[2]))
                connection.sendall(b"235 ok\r\n")
            elif word == b"DATA":
                connection.sendall(b"354 go\r\n")
                mail = b""
                while (more := lines.readline()) != b".\r\n":
                    mail += more
                self.mails.append(mail)
                connection.sendall(b"250 ok\r\n")
            else:
                connection.sendall(b"250 ok\r\n")


class MailTests(SinkCase):
    """A mail server."""

    def serve(self, **more) -> MailServer:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        server = MailServer(context, **more)
        self.addCleanup(server.stop)
        return server

    def begin(self, server: MailServer, scheme: str, **more):
        (self.folder / "password").write_text("s3cret\n")
        fields = {
            "through": f"{scheme}://localhost:{server.port}",
            "authorities": str(self.folder / "ca.pem"),
            "user": "proxy",
            "password": str(self.folder / "password"),
            "records": False,
            "checkpoints": True,
        } | more
        return self.start(self.settings(SinkKind.MAIL, "auditor@school.example", **fields))

    def test_sent(self) -> None:
        """Each checkpoint comes in a mail, from which verifying takes it as it was signed."""
        server = self.serve(starts=False)
        self.begin(server, "smtps")
        lines = [sign(self.records, 1), sign(self.records, 2)]
        wait_until(lambda: len(server.mails) == 2, "two mails")
        self.assertEqual(received(b"\r\n".join(server.mails)), lines)
        self.assertIn(
            b"Subject: corpproxy on proxy.example: checkpoint 1 of 2026-11-23T10:00:00.000Z", server.mails[0]
        )
        self.assertEqual(server.credentials[0], b"\0proxy\0s3cret")

    def test_starttls(self) -> None:
        """A server that begins in the clear must go over to TLS before anything is said."""
        server = self.serve(starts=True)
        self.begin(server, "smtp")
        line = sign(self.records, 1)
        wait_until(lambda: server.mails, "a mail")
        self.assertEqual(received(server.mails[0]), [line])

    def test_never_in_the_clear(self) -> None:
        """One that does not gets neither mail nor password."""
        server = self.serve(starts=True, offers=False)
        delivery = self.begin(server, "smtp")
        sign(self.records, 1)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertEqual((server.mails, server.credentials), ([], []))
        self.assertNotIn("s3cret", delivery.state.reason)

    def test_unknown_authority(self) -> None:
        """A server whose certificate nobody vouches for gets neither."""
        server = self.serve(starts=False)
        delivery = self.begin(server, "smtps", authorities="")
        sign(self.records, 1)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", delivery.state.reason)
        self.assertEqual((server.mails, server.credentials), ([], []))
