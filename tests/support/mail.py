"""A mail server on loopback that keeps what it gets; TLS from the first octet or by STARTTLS."""

from __future__ import annotations

import socket
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme


class MailServer:
    """
    One server; ``signs_in`` is the answer to AUTH PLAIN that it takes, ``refuses`` an address it does not.

    :ivar mails: what came, each with whom it was for.
    """

    def __init__(
        self, folder: Path, *, starts_plain: bool = True, name: str = "localhost", signs_in: str = "",
        refuses: str = "",
    ) -> None:  # fmt: skip
        authority = trustme.CA()
        self.authorities = folder / "authorities.pem"
        authority.cert_pem.write_to_path(str(self.authorities))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._starts_plain, self._signs_in, self._refuses = starts_plain, signs_in, refuses
        self.mails: list[tuple[str, EmailMessage]] = []
        self.words: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                try:
                    self._talk(client)
                except (OSError, ValueError):
                    continue

    def _talk(self, client: Any) -> None:
        if not self._starts_plain:
            client = self._context.wrap_socket(client, server_side=True)
        lines = client.makefile("rb")
        to = ""

        def say(line: str) -> None:
            client.sendall(line.encode() + b"\r\n")

        say("220 here")
        while line := lines.readline().decode().strip():
            self.words.append(line)
            word = line.upper()
            if word.startswith("EHLO"):
                plain = self._starts_plain and not isinstance(client, ssl.SSLSocket)
                say("250-here\r\n250 STARTTLS" if plain else "250-here\r\n250 AUTH PLAIN")
            elif word == "STARTTLS":
                say("220 go on")
                client = self._context.wrap_socket(client, server_side=True)
                lines = client.makefile("rb")
            elif word.startswith("AUTH"):
                say("235 yes" if line.endswith(self._signs_in) else "535 no such user")
            elif word.startswith("RCPT"):
                to = line[len("RCPT TO:<") :].partition(">")[0]
                say("550 nobody here" if to == self._refuses else "250 yes")
            elif word == "DATA":
                say("354 go on")
                octets = b""
                while not octets.endswith(b"\r\n.\r\n"):
                    octets += lines.readline()
                mail = message_from_bytes(octets[:-5], policy=policy.default)
                assert isinstance(mail, EmailMessage)
                self.mails.append((to, mail))
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 yes")
