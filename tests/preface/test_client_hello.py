"""The ClientHello: found in records, read as far as the server name."""

from __future__ import annotations

import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.preface.client_hello import (
    MAX_OCTETS,
    MAX_RECORDS,
    NoClientHello,
    hello_message,
    quick_server_name,
    server_name,
)
from tests.preface.hellos import extension, handshake, message, real_hello, record, records, server_names
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

NAME = server_names(b"a.test")
HELLO = handshake(message(NAME))


def outcome(octets: bytes) -> object:
    """The server name, "more" or "no"; who reads it quickly reads the same, or leaves it."""
    found = slowly(octets)
    try:
        quick = quick_server_name(octets)
    except LookupError:
        return found
    assert quick == found, (octets, quick, found)
    return found


def slowly(octets: bytes) -> object:
    try:
        found = hello_message(octets)
        return "more" if found is None else server_name(found)
    except NoClientHello:
        return "no"


@tabular
class RecordTests(SynchronousTestCase):
    """The records around the message."""

    @rows(
        named=("www.Example.com", {}, "www.example.com"),
        unnamed=(None, {}, None),
        address=("192.0.2.1", {}, None),
        idna=("b\xfccher.example", {}, "xn--bcher-kva.example"),
        tls_1_2=("a.test", {"maximum_version": ssl.TLSVersion.TLSv1_2}, "a.test"),
        longest=(".".join(["a" * 63] * 3 + ["b" * 61]), {}, ".".join(["a" * 63] * 3 + ["b" * 61])),
    )
    def test_real(self, name, settings, expected):
        """What a real client sends is understood, but not before its last octet is there."""
        hello = real_hello(name, **settings)
        self.assertEqual(outcome(hello), expected)
        self.assertEqual({outcome(hello[:at]) for at in range(len(hello))}, {"more"})

    @rows(
        named=("www.Example.com", {}),
        unnamed=(None, {}),
        idna=("b\xfccher.example", {}),
        tls_1_2=("a.test", {"maximum_version": ssl.TLSVersion.TLSv1_2}),
    )
    def test_quick(self, name, settings):
        """The hello of a real client is read at one go."""
        hello = real_hello(name, **settings)
        self.assertEqual(quick_server_name(hello), slowly(hello))

    def test_many_records(self):
        """A message may lie in several records."""
        for size in (20, 64, len(HELLO) - 1, len(HELLO)):
            octets = records(HELLO, size)
            self.assertEqual(outcome(octets), "a.test")
            self.assertEqual({outcome(octets[:at]) for at in range(len(octets))}, {"more"})

    def test_too_many_records(self):
        """But not in more than anybody cuts it into: a reader that is made to hold them all would pay."""
        self.assertEqual(outcome(records(handshake(message(NAME + extension(21, bytes(300)))), 4)), "no")
        self.assertEqual(outcome(record(HELLO[:1]) * MAX_RECORDS), "no")

    @rows(
        other_record=(record(HELLO, kind=23),),
        alert=(b"\x15\x03\x01\x00\x02\x02\x28",),
        version_2=(record(HELLO, version=b"\x02\x00"),),
        version_3_5=(record(HELLO, version=b"\x03\x05"),),
        empty_record=(record(b"") + record(HELLO),),
        long_record=(b"\x16\x03\x01\x40\x01",),
        server_hello=(record(handshake(message(), kind=2)),),
        octets_behind=(record(HELLO + b"\x00"),),
        second_record_other=(record(HELLO[:20]) + record(HELLO[20:], kind=20),),
        ssl_2=(b"\x80\x2e\x01\x00\x02",),
        http=(b"GET / HTTP/1.1\r\n",),
        huge=(record(b"\x01\x00\x40\x00"),),
    )
    def test_none(self, octets):
        """What is no ClientHello is known as none."""
        self.assertEqual(outcome(octets), "no")

    def test_largest(self):
        """A hello of 16 KiB passes, and one octet more does not."""
        room = 16 * 1024 - len(handshake(message(NAME + extension(21, b""))))
        fits = handshake(message(NAME + extension(21, bytes(room))))
        self.assertEqual(outcome(records(fits, 16 * 1024)), "a.test")
        self.assertLessEqual(len(records(fits, 1 + len(fits) // MAX_RECORDS)), MAX_OCTETS)
        self.assertEqual(
            outcome(records(handshake(message(NAME + extension(21, bytes(room + 1)))), 1024)), "no"
        )


@tabular
class MessageTests(SynchronousTestCase):
    """The message itself."""

    @rows(
        no_extensions=(message(None), None),
        empty_extensions=(message(), None),
        other_extension=(message(extension(16, b"x")), None),
        name=(message(NAME), "a.test"),
        name_last=(message(extension(16, b"x") + NAME), "a.test"),
        dot=(message(server_names(b"A.Test.")), "a.test"),
        underscore=(message(server_names(b"_a.b-c.test")), "_a.b-c.test"),
        session=(message(NAME, session=bytes(32)), "a.test"),
        old=(message(NAME, version=b"\x03\x01"), "a.test"),
    )
    def test_name(self, octets, expected):
        """The name is told in lower case and without a dot at its end."""
        self.assertEqual(server_name(octets), expected)

    @rows(
        cut=(message(NAME)[:-1],),
        behind=(message(NAME) + b"\x00",),
        nothing=(b"",),
        version=(message(NAME, version=b"\x02\x00"),),
        long_session=(message(NAME, session=bytes(33)),),
        no_suites=(message(NAME, suites=b""),),
        odd_suites=(message(NAME, suites=b"\x13"),),
        no_compression=(message(NAME, compression=b""),),
        two_extensions=(message(NAME + NAME),),
        twice_another=(message(extension(16, b"") + NAME + extension(16, b"")),),
        extension_cut=(message(NAME + b"\x00\x10\x00\x01"),),
        extension_stub=(message(NAME + b"\x00\x10\x00"),),
        two_names=(message(server_names(b"a.test", b"b.test")),),
        no_name=(message(server_names()),),
        other_kind=(message(server_names(b"a.test", kind=1)),),
        behind_names=(message(extension(0, b"\x00\x04\x00\x00\x01a\x00")),),
        empty_name=(message(server_names(b"")),),
        dot_alone=(message(server_names(b".")),),
        two_dots=(message(server_names(b"a..test")),),
        nul=(message(server_names(b"a.test\x00.b.test")),),
        not_ascii=(message(server_names("b\xfccher.test".encode())),),
        slash=(message(server_names(b"a/b")),),
        long_label=(message(server_names(b"a" * 64)),),
        long_name=(message(server_names(b"a." * 127 + b"bc")),),
        ipv6=(message(server_names(b"2001:db8::1")),),
    )
    def test_malformed(self, octets):
        """What a server could read otherwise than we do is malformed."""
        with self.assertRaises(NoClientHello):
            server_name(octets)


class AnyOctetsTests(SynchronousTestCase):
    """Hostile octets."""

    @EXAMPLES
    @given(st.binary(max_size=80))
    def test_message(self, octets):
        """Any message has a name, none, or is malformed."""
        self.assertIsInstance(outcome(record(handshake(octets))) if octets else None, str | None)

    @EXAMPLES
    @given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=3), st.integers(-8, 8))
    def test_quick(self, changes, longer):
        """Whatever is changed in a hello, or cut off or added: read quickly it is the same, or it is left."""
        octets = bytearray(record(HELLO))
        for at, octet in changes:
            octets[at % len(octets)] = octet
        outcome(bytes(octets[:longer]) if longer < 0 else bytes(octets) + bytes(longer))

    @EXAMPLES
    @given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
    def test_one_octet_changed(self, at, octet):
        """One changed octet gives another name, none, or a malformed message; never anything else."""
        octets = HELLO[:at] + bytes([octet]) + HELLO[at + 1 :]
        self.assertIsInstance(outcome(record(octets)), str | None)
