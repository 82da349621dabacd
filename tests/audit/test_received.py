"""Checkpoints are found in what they were received in: files, syslog, collectors, mail."""

from __future__ import annotations

import base64
import json
import quopri

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.checkpoint import Checkpoint, check_signature, signed
from corpproxy.audit.proof import End
from corpproxy.audit.received import received
from corpproxy.audit.sinks import SinkKind, SinkSettings
from corpproxy.backends.sinks.mail import MailSink
from corpproxy.backends.sinks.syslog import message
from tests.support.rows import rows, tabular

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def a_checkpoint(number: int, chains: int = 3) -> bytes:
    """One of some chains, longer than a line of a mail may be."""
    ends = tuple(End(n, f"records-20261123T100000Z-w{n}-0001.jsonl", 7, "ab" * 32) for n in range(chains))
    return signed(Checkpoint(number=number, at="2026-11-23T10:00:00.000Z", chains=ends), KEY)


LINES = [a_checkpoint(1), a_checkpoint(2, 20)]
WHOLE = b"".join(LINES)
FRAMED = b"".join(message(line[:-1], "", "checkpoint", 5, b"proxy.example") for line in LINES)
RSYSLOG = b"".join(b"Nov 23 10:00:00 proxy corpproxy " + line for line in LINES)
RECORD = b'{"v":1,"id":"0s3c9d0000r001","kind":"exchange","at":"","result":"open"}\n'


def mailed(line: bytes) -> bytes:
    settings = SinkSettings(name="post", kind=SinkKind.MAIL, to="a@b.example", through="smtps://b.example")
    return MailSink(settings, "proxy.example")._message(line).as_bytes()


@tabular
class ReceivedTests(SynchronousTestCase):
    """Each is found as it was signed."""

    @rows(
        file=(WHOLE,),
        frames=(FRAMED,),
        rsyslog=(RSYSLOG,),
        syslog_in_json=(b"".join(json.dumps({"message": one.decode()}).encode() + b"\n" for one in LINES),),
        collector=(RECORD + LINES[0] + RECORD + LINES[1],),
        mails=(mailed(LINES[0]) + b"\n\nFrom a@b.example\n" + mailed(LINES[1]),),
        mail_in_crlf=((mailed(LINES[0]) + mailed(LINES[1])).replace(b"\n", b"\r\n"),),
        quoted=(b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(WHOLE),),
        base64=(base64.encodebytes(WHOLE),),
        twice=(RSYSLOG + RSYSLOG,),
    )
    def test_found(self, octets: bytes) -> None:
        """Whatever stands around them."""
        found = received(octets)
        self.assertEqual(found, LINES)
        for line in found:
            check_signature(line, KEY.public_key())

    def test_changed(self) -> None:
        """One that was changed in a file of ours is given, so that it is told."""
        changed = LINES[0].replace(b'"records":7', b'"records":8')
        self.assertEqual(received(changed + LINES[1]), [changed, LINES[1]])
        self.assertEqual(received(b'{"v":1,"number":1\n' + LINES[1]), [b'{"v":1,"number":1\n', LINES[1]])

    def test_nothing(self) -> None:
        """Other files have none."""
        for octets in (b"", b"hello\n", bytes(range(256)) * 100, RECORD):
            self.assertEqual(received(octets), [])
