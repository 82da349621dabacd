"""Guessing, flooding and slipping through at sign-in."""

from __future__ import annotations

import threading
from base64 import b64encode
from functools import partial

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, inlineCallbacks
from twisted.trial.unittest import TestCase

from corpproxy.backends.bounded_threads import BoundedThreads
from corpproxy.backends.people.checks import MAX_CHECKS_PER_ADDRESS
from corpproxy.backends.people.directory import DirectoryBusy
from corpproxy.backends.people.sign_in import Refused
from corpproxy.identity.basic import BadCredentials, parse_basic
from tests.backends.people.test_sign_in import ROOM, SignInCase, basic
from tests.support.rows import rows, tabular


class FloodTests(SignInCase):
    """Many checks at once."""

    def flood(self, addresses):
        """As many made-up names as there are addresses, all at once; nothing is hashed yet."""
        return [
            self.sign_in.check(basic(f"nobody{number}"), address) for number, address in enumerate(addresses)
        ]

    def test_one_address(self):
        """One address with hundreds of names fills its own places in the queue, and nobody else's."""
        flood = self.flood([ROOM] * 400)
        self.assertEqual(len(self.threads.jobs), MAX_CHECKS_PER_ADDRESS)
        for refused in flood[MAX_CHECKS_PER_ADDRESS:]:
            self.failureResultOf(refused, DirectoryBusy)
        self.assertEqual(self.judged("amir", address="10.1.0.2").name, "amir")
        for wrong in flood[:MAX_CHECKS_PER_ADDRESS]:
            self.assertIsInstance(self.successResultOf(wrong), Refused)
        self.assertEqual(self.sign_in._checks._checking, {})

    def test_one_network(self):
        """Addresses of one IPv6 network, which one machine has all of, count together."""
        flood = self.flood(f"2001:db8::{number:x}" for number in range(1, 400))
        self.assertEqual(len(self.threads.jobs), MAX_CHECKS_PER_ADDRESS)
        self.threads.do()
        for done in flood:
            done.addErrback(lambda failure: failure.trap(DirectoryBusy))

    def test_known_before(self):
        """Who signed in before is not kept waiting by the flood of a neighbour behind the same address."""
        self.judged("amir")
        self.clock.advance(7201)
        flood = self.flood([ROOM] * 400)
        again = self.sign_in.check(basic("amir"), ROOM)
        self.threads.do()
        self.assertEqual(self.successResultOf(again).name, "amir")
        for done in flood:
            done.addErrback(lambda failure: failure.trap(DirectoryBusy))

    def test_own_password(self):
        """Hundreds of changes of one password at once cost one check, and count as one attempt."""
        done = [self.sign_in.change_password("amir", ROOM, f"wrong{n}", "longer-one-9") for n in range(300)]
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.do()
        codes = [self.successResultOf(one).code for one in done]
        self.assertEqual(codes, ["password-wrong"] + ["too-many-attempts"] * 299)
        again = self.sign_in.change_password("amir", ROOM, "wrong", "longer-one-9")
        self.threads.do()
        self.assertEqual(self.successResultOf(again).code, "password-wrong")

    def test_own_password_and_gone(self):
        """Who asks for changes and leaves each time has one check under way, and it counts."""
        for n in range(100):
            gone = self.sign_in.change_password("amir", ROOM, f"wrong{n}", "longer-one-9")
            if not gone.called:
                gone.addErrback(lambda failure: failure.trap(CancelledError))
                gone.cancel()
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.do()
        self.assertEqual(len(self.sign_in._attempts), 1)


class BoundTests(TestCase):
    """The queue of work in threads."""

    @inlineCallbacks
    def test_cancelled(self):
        """Work that nobody waits for any more keeps its place in the count until it is done."""
        threads = BoundedThreads(reactor, threads=1, waiting=2)
        gate = threading.Event()
        waiting = [threads.run(partial(gate.wait, 10)) for _ in range(3)]
        for one in waiting[:2]:
            one.addErrback(lambda failure: failure.trap(CancelledError))
            one.cancel()
        yield self.assertFailure(threads.run(gate.is_set), DirectoryBusy)
        gate.set()
        yield waiting[2]
        self.assertEqual(threads.pending, 0)
        threads.stop()


@tabular
class OddCredentialsTests(SignInCase):
    """Values of Proxy-Authorization that are meant to be read in two ways."""

    @rows(
        stray_bits=(b"Basic YW1pcjpzZWNyZXR=",),
        padding_in_between=(b"Basic YW1p=cjpzZWNyZXQ=",),
        no_padding=(b"Basic YW1pcjpzZWNyZXQ",),
        url_alphabet=(b"Basic " + b64encode(b"amir:\xff\xff\xff").replace(b"/", b"_"),),
        space_inside=(b"Basic YW1p cjpzZWNyZXQ=",),
        two=(b"Basic YW1pcjpzZWNyZXQ=, Basic YmV0aDpzZWNyZXQ=",),
        other_scheme=(b"Bearer YW1pcjpzZWNyZXQ=",),
        line_end=(b"Basic " + b64encode(b"amir\r\nX: y:secret"),),
        nul=(b"Basic " + b64encode(b"amir\0:secret"),),
        escape=(b"Basic " + b64encode(b"amir\x1b[31m:secret"),),
        c1=(b"Basic " + b64encode(b"amir\xc2\x9b:secret"),),
        surrogate=(b"Basic " + b64encode(b"amir\xed\xa0\x80:secret\0"),),
        long=(b"Basic " + b64encode(b"a" * 5000 + b":secret"),),
        empty=(b"",),
        no_name=(b"Basic " + b64encode(b":secret"),),
    )
    def test_refused(self, value):
        """They let nobody in, and cost no hash."""
        with self.assertRaises(BadCredentials):
            parse_basic(value)
        self.assertIsInstance(self.successResultOf(self.sign_in.check(value, ROOM)), Refused)
        self.assertEqual(len(self.threads.jobs), 0)

    def test_case_is_kept(self):
        """Amir is not amir."""
        self.assertIsInstance(self.judged("Amir"), Refused)
        self.assertEqual(self.judged("amir").name, "amir")

    def test_composed(self):
        """One name in two Unicode forms is one person; a name that only looks alike is nobody."""
        self.write("Zoë")
        self.htpasswd.load()
        self.assertEqual(self.judged("Zoë").name, "Zoë")
        self.assertEqual(self.judged("Zoe\u0308").name, "Zoë")
        self.assertIsInstance(self.judged("Z\u043e\u0308e"), Refused)
