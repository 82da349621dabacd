"""Syslog: what arrives is RFC 5424, over TLS that is checked, and nothing is lost when a server dies."""

from __future__ import annotations

import re
import ssl
import time

import trustme

from corpproxy.audit.formats import FormatName
from corpproxy.audit.record import decode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.sinks import SinkKind, SinkSettings
from corpproxy.backends.sinks import syslog
from corpproxy.backends.sinks.syslog import SyslogSink, host_name
from tests.backends.sinks.case import SinkCase
from tests.backends.sinks.servers import SyslogServer, wait_until

HEAD = re.compile(rb"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) - ")


class SyslogCase(SinkCase):
    """A syslog server."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(syslog, "CONFIRM_SECONDS", 0.2)
        self.patch(SyslogSink, "confirm_seconds", 0.2)
        self.server = SyslogServer()
        self.addCleanup(self.end)

    def end(self) -> None:
        self.server.kill()

    def address(self, scheme: str = "tcp") -> str:
        return f"{scheme}://127.0.0.1:{self.server.port}"

    def got(self) -> list[str]:
        """The references of what arrived."""
        return self.ids_in([HEAD.sub(b"", one, count=1) for one in self.server.messages])


class SyslogTests(SyslogCase):
    """Over TCP."""

    def test_message(self) -> None:
        """A message has facility and severity, the end of the exchange, our name and the result."""
        self.start(self.settings(SinkKind.SYSLOG, self.address()))
        self.write(1, result=ResultCode.FORWARDED, seconds=1.5)
        self.write(1, result=ResultCode.BLOCKED)
        self.write(1, kind=Kind.DEED, deed="grant-given", result=ResultCode.DONE)
        wait_until(lambda: len(self.server.messages) == 3, "three messages")
        heads = [HEAD.match(one).groups() for one in self.server.messages]
        self.assertEqual(
            heads[0],
            (b"110", b"2026-11-23T10:00:01.623Z", b"proxy.example", b"corpproxy", b"-", b"forwarded"),
        )
        self.assertEqual(
            [(head[0], head[5]) for head in heads[1:]], [(b"109", b"blocked"), (b"109", b"grant-given")]
        )
        self.assertEqual(self.got(), self.ids)

    def test_formats(self) -> None:
        """It may go in another format, under the same head."""
        self.start(self.settings(SinkKind.SYSLOG, self.address(), format=FormatName.CEF))
        self.write(1, user="amir\n<0>1 forged")
        wait_until(lambda: self.server.messages, "a message")
        (message,) = self.server.messages
        self.assertIn(b" - CEF:0|corpproxy|corpproxy|1.0|forwarded|", message)
        self.assertIn(b"suser=amir\\n<0>1 forged ", message)

    def test_killed(self) -> None:
        """A server that dies before it read what it was sent gets it once more when it is back."""
        delivery = self.start(self.settings(SinkKind.SYSLOG, self.address()))
        self.write(5)
        wait_until(lambda: delivery.state.delivered == 5, "the first are delivered")
        self.server.reads.clear()
        self.write(5)
        time.sleep(0.05)
        self.write(5, 1)
        messages, port = self.server.messages, self.server.port
        self.server.kill()
        self.server.reads.set()
        wait_until(lambda: delivery.state.failing_since, "it is noticed")
        self.assertIn(f"127.0.0.1:{port}", delivery.state.reason)
        self.write(5)
        self.server = SyslogServer(port=port)
        self.server.messages[:0] = messages
        wait_until(lambda: delivery.state.delivered >= 20, "all of it is delivered")
        self.assertEqual(sorted(set(self.got())), self.ids)
        wait_until(lambda: not delivery.state.failing_since, "all is well again")
        self.assertEqual(delivery.state.reason, "")

    def test_restarted(self) -> None:
        """A service that is started again goes on where it was, and says nothing twice."""
        delivery = self.start(self.settings(SinkKind.SYSLOG, self.address()))
        self.write(5)
        wait_until(lambda: delivery.state.delivered == 5, "the first are delivered")
        self.stop()
        self.write(5)
        delivery = self.start(self.settings(SinkKind.SYSLOG, self.address()))
        wait_until(lambda: delivery.state.delivered == 5, "the others are delivered")
        self.assertEqual(self.got(), self.ids)

    def test_checkpoints(self) -> None:
        """A checkpoint comes as it stands beside the records."""
        from tests.backends.sinks.test_checkpoints import sign

        self.start(self.settings(SinkKind.SYSLOG, self.address(), records=False, checkpoints=True))
        line = sign(self.records, 1)
        wait_until(lambda: self.server.messages, "a checkpoint")
        (message,) = self.server.messages
        self.assertEqual(HEAD.match(message)[6], b"checkpoint")
        self.assertEqual(HEAD.sub(b"", message, count=1) + b"\n", line)

    def test_spool(self) -> None:
        """While nobody takes records, what is beyond the spool is dropped and counted, just then."""
        self.server.kill()
        delivery = self.start(self.settings(SinkKind.SYSLOG, self.address(), spool_octets=3000))
        for _ in range(4):
            self.write(10)
        wait_until(lambda: delivery.state.dropped > 10, "they are dropped")
        self.assertLessEqual(delivery.state.waiting, 3000)
        self.assertEqual(delivery.state.delivered, 0)

    def test_host(self) -> None:
        """The name of the machine is what a head can have."""
        self.assertEqual(host_name("a b\nc.example"), b"abc.example")
        self.assertEqual(host_name(""), b"-")


class TlsTests(SinkCase):
    """Over TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(SyslogSink, "confirm_seconds", 0.1)
        self.authority = trustme.CA()
        self.authorities = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.authorities))

    def serve(self, *names: str, asks: trustme.CA | None = None) -> SyslogServer:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(*names).configure_cert(context)
        if asks is not None:
            asks.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        server = SyslogServer(context)
        self.addCleanup(server.kill)
        return server

    def tls(self, server: SyslogServer, **more) -> SinkSettings:
        to = f"tls://localhost:{server.port}"
        return self.settings(SinkKind.SYSLOG, to, **({"authorities": str(self.authorities)} | more))

    def test_delivered(self) -> None:
        """A server with a good certificate gets records."""
        server = self.serve("localhost")
        delivery = self.start(self.tls(server))
        self.write(3)
        wait_until(lambda: delivery.state.delivered == 3, "they are delivered")
        self.assertEqual([decode(HEAD.sub(b"", one, count=1)).id for one in server.messages], self.ids)

    def fails(self, settings: SinkSettings) -> str:
        delivery = self.start(settings)
        self.write(3)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        return delivery.state.reason

    def test_other_name(self) -> None:
        """A certificate of another name is refused, and nothing is sent."""
        server = self.serve("other.example")
        self.assertIn("Hostname mismatch", self.fails(self.tls(server)))
        self.assertEqual(server.messages, [])

    def test_unknown_authority(self) -> None:
        """A certificate that nobody we trust vouches for is refused."""
        server = self.serve("localhost")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.fails(self.tls(server, authorities="")))
        self.assertEqual(server.messages, [])

    def test_our_certificate(self) -> None:
        """A server that wants to know who we are is shown our certificate."""
        ours = trustme.CA()
        server = self.serve("localhost", asks=ours)
        certificate, key = self.folder / "our.pem", self.folder / "our.key"
        issued = ours.issue_cert("proxy.example")
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        delivery = self.start(self.tls(server, certificate=str(certificate), key=str(key)))
        self.write(3)
        wait_until(lambda: delivery.state.delivered == 3, "they are delivered")
