"""What ``make run`` says, and to whom it listens for that."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.first_run import address_here, answers, beside, curl_line, first_words, serves, tell_when
from tests.config.support import load
from tests.support.rows import rows, tabular
from tests.support.running import free_ports

OPEN = """
listen:
  - {name: rooms, forward: 127.0.0.1:3128}
  - {name: pages, portal: 127.0.0.1:8080}
rules: [{name: all, do: allow}]
"""
SIGN_IN = OPEN + "identity: {methods: [{basic: {htpasswd: users.htpasswd}}]}\n"


def loaded(policy: str) -> Configuration:
    configuration = load(policy, {"users.htpasswd": ""}).configuration
    assert configuration is not None
    return configuration


@tabular
class FirstWordsTests(SynchronousTestCase):
    """The few words that help to try a proxy that was just started."""

    def said(self, policy: str, password: str | None) -> str:
        return first_words(loaded(policy), Path("site/policy.yaml"), password, ".venv/bin/corpproxy")

    def test_addresses(self) -> None:
        """The address of the proxy and of the PAC file are said."""
        said = self.said(SIGN_IN, "secret-word")
        self.assertIn("  proxy     127.0.0.1:3128\n", said)
        self.assertIn("  PAC file  http://127.0.0.1:8080/proxy.pac\n", said)

    def test_first_time(self) -> None:
        """The curl line has the password that was made just now."""
        said = self.said(SIGN_IN, "secret-word")
        self.assertIn("curl --proxy http://127.0.0.1:3128 --proxy-user admin:secret-word http://proxy.", said)
        self.assertNotIn("users passwd", said)

    def test_later(self) -> None:
        """Later curl asks for the password, and the place to change it is said."""
        said = self.said(SIGN_IN, None)
        self.assertIn("--proxy-user admin http://proxy.internal/", said)
        self.assertIn(".venv/bin/corpproxy users passwd admin --policy site/policy.yaml", said)

    def test_without_sign_in(self) -> None:
        """A policy without sign-in needs no user."""
        self.assertIn("curl --proxy http://127.0.0.1:3128 http://proxy.internal/", self.said(OPEN, None))

    def test_pasted(self) -> None:
        """A password that means something to a shell is quoted."""
        listener = Listener("rooms", Purpose.FORWARD, "127.0.0.1", 3128)
        line = curl_line(loaded(SIGN_IN), listener, "a b$c'd")
        self.assertEqual(shlex.split(line)[4], "admin:a b$c'd")

    @rows(
        every_address=("0.0.0.0", "127.0.0.1:3128"),
        every_ipv6_address=("::", "[::1]:3128"),
        one_address=("10.1.2.3", "10.1.2.3:3128"),
    )
    def test_address_here(self, address: str, expected: str) -> None:
        """A program on this machine needs an address, not 'every address'."""
        self.assertEqual(address_here(Listener("rooms", Purpose.FORWARD, address, 3128)), expected)

    def test_beside(self) -> None:
        """Commands are named as short as they can be pasted."""
        self.assertEqual(beside(str(Path.cwd() / "env/bin/python"), "corpproxy"), "env/bin/corpproxy")
        self.assertEqual(beside("/python", "corpproxy"), "/corpproxy")


class AnswersTests(SynchronousTestCase):
    """When the words come."""

    def test_bound_is_not_ready(self) -> None:
        """A socket that is bound and listens but does not answer is not ready."""
        with socket.create_server(("127.0.0.1", 0)) as bound:
            listener = Listener("pages", Purpose.PORTAL, "127.0.0.1", bound.getsockname()[1])
            self.assertFalse(answers((listener,), seconds=0.2))

    def test_nothing_there(self) -> None:
        """An address where nothing listens is not ready."""
        listener = Listener("pages", Purpose.PORTAL, "127.0.0.1", free_ports(1)[0])
        self.assertFalse(answers((listener,)))

    def test_not_ours(self) -> None:
        """A service of another process is not ours; ours is."""
        path = Path(self.mktemp())
        self.assertFalse(serves(path, os.getpid()))
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(path))
            control.listen()
            self.assertTrue(serves(path, os.getpid()))
            self.assertFalse(serves(path, os.getppid()))

    def test_words_come_once(self) -> None:
        """The words are printed by another process, and this one goes on."""
        read, write = os.pipe()
        saved = os.dup(1)
        os.dup2(write, 1)
        try:
            tell_when(lambda: True, "the words")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
            os.close(write)
        with os.fdopen(read) as said:
            self.assertEqual(said.read(), "the words\n")
