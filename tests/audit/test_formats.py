"""Other formats: every record read back is what was written, and no field can forge another."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.formats import FormatName, writer
from corpproxy.audit.formats.squid import squid_line
from corpproxy.audit.formats.template import FIELDS, BadTemplate, Template
from corpproxy.audit.formats.texts import plain, url_of
from corpproxy.audit.record import decode, encode
from corpproxy.audit.results import Kind, ResultCode
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular

# What somebody may try to put into a field: separators of all formats, line ends, half characters.
NASTY = st.text(
    st.one_of(
        st.sampled_from("|=\\\"'%{}[] \t\r\n\x00\x85\u2028\u202e^,;-\ud800\U0001f600é"),
        st.characters(),
    ),
    max_size=12,
)
RECORDS = st.builds(
    a_record,
    user=NASTY,
    agent=NASTY,
    host=NASTY,
    path=NASTY,
    rule=NASTY,
    method=NASTY,
    scheme=st.sampled_from(["http", "https", ""]),
    port=st.integers(0, 65535),
    client=NASTY,
    upstream=NASTY,
    reason=NASTY,
    media_type=NASTY,
    categories=st.tuples(NASTY, NASTY),
    seconds=st.floats(0, 1e6),
    status=st.integers(0, 999),
    sent=st.integers(0, 2**40),
    result=st.sampled_from(ResultCode),
)


def as_stored(record):
    """A record as it comes out of a segment, where half characters are spelled out."""
    return decode(encode(record))


FEW = settings(max_examples=40, deadline=None)


class ForgingTests(SynchronousTestCase):
    """Lines are read by the rules of their formats."""

    def one_line(self, line: str) -> None:
        self.assertNotRegex(line, r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
        self.assertEqual(len(line.splitlines()), 1)

    @FEW
    @given(RECORDS)
    def test_squid(self, record) -> None:
        """Ten fields, whatever stands in them."""
        record = as_stored(record)
        line = squid_line(record)
        self.one_line(line)
        fields = line.split()
        self.assertEqual(len(fields), 10)
        self.assertEqual(unquote(fields[2]), record.client or "-")
        self.assertEqual(fields[3].rpartition("/")[2], f"{record.status:03}")
        self.assertEqual(fields[4], str(record.sent))
        self.assertEqual(unquote(fields[5]), record.method or "NONE")
        self.assertEqual(unquote(fields[6]), unquote(url_of(record)) or "error:no-destination")
        self.assertEqual(unquote(fields[7]), record.user or "-")
        self.assertEqual(unquote(fields[9]), record.media_type or "-")

    @FEW
    @given(RECORDS)
    def test_combined(self, record) -> None:
        """The fields of an access log, whatever stands in them."""
        record = as_stored(record)
        line = writer(FormatName.COMBINED, "", "1")(record)
        self.one_line(line)
        found = re.fullmatch(
            r'(\S+) - (\S+) \[([^]]+)\] "((?:[^"\\]|\\.)*)" (\d+|-) (\d+) "-" "((?:[^"\\]|\\.)*)"', line
        )
        method, url, version = found[4].split(" ")
        self.assertEqual(
            [plain(one) for one in (found[1], found[2], method, url, version, found[7])],
            [
                record.client or "-",
                record.user or "-",
                record.method or "-",
                url_of(record) or "-",
                "HTTP/1.1",
                record.agent or "-",
            ],
        )

    @FEW
    @given(RECORDS)
    def test_cef(self, record) -> None:
        """Seven parts of the head, and each field once."""
        record = as_stored(record)
        line = writer(FormatName.CEF, "", "1|2")(record)
        self.one_line(line)
        head = re.match(r"((?:[^|\\]|\\.)*\|){7}", line)
        parts = re.findall(r"((?:[^|\\]|\\.)*)\|", head[0])
        self.assertEqual(parts[0], "CEF:0")
        self.assertEqual(plain(parts[3]), "1|2")
        fields = re.findall(r"(?:^| )(\w+)=((?:[^=\\]|\\.)*)(?= \w+=|$)", line[head.end() :])
        found = {key: plain(value) for key, value in fields}
        self.assertEqual(len(found), len(fields))
        self.agrees(found, record, "suser", "requestClientApplication", "dhost", "request", "cs1")

    @FEW
    @given(RECORDS)
    def test_leef(self, record) -> None:
        """Fields between tabs, each once."""
        record = as_stored(record)
        line = writer(FormatName.LEEF, "", "1")(record)
        self.one_line(line)
        *head, fields = line.split("|", 6)
        self.assertEqual((head[0], head[-1]), ("LEEF:2.0", "x09"))
        pairs = [one.split("=", 1) for one in fields.split("\t")]
        found = {key: plain(value) for key, value in pairs}
        self.assertEqual(len(found), len(pairs))
        self.agrees(found, record, "usrName", "userAgent", "host", "url", "policy")

    def agrees(self, found, record, *names) -> None:
        """User, agent, host, URL and rule are those of the record."""
        written = (record.user, record.agent, record.host, url_of(record), record.rule)
        self.assertEqual([found.get(name, "") for name in names], list(written))

    @FEW
    @given(RECORDS)
    def test_template(self, record) -> None:
        """Fields between the separators of a template."""
        record = as_stored(record)
        line = Template.parse("<{user}> {agent}|{host}\t{categories} {status}").line(record)
        self.one_line(line)
        found = re.fullmatch(r"<([^>]*)> ([^|]*)\|([^\t]*)\t([^ ]*) (\S+)", line)
        self.assertEqual(
            [plain(one) for one in found.groups()[:3]],
            [record.user or "-", record.agent or "-", record.host or "-"],
        )
        self.assertEqual(tuple(map(plain, found[4].split(","))), record.categories)

    @FEW
    @given(RECORDS)
    def test_json(self, record) -> None:
        """Our own format says everything."""
        stored = as_stored(record)
        self.assertEqual(as_stored(stored), stored)
        self.assertEqual(encode(record).count(b"\n"), 1)


@tabular
class LineTests(SynchronousTestCase):
    """What an exchange looks like."""

    def of(self, name: FormatName, **fields) -> str | None:
        ordinary = {
            "client": "10.1.2.3",
            "user": "amir",
            "method": "GET",
            "scheme": "http",
            "port": 80,
            "host": "www.example.com",
            "path": "/a?b=1",
            "status": 200,
            "sent": 4321,
            "received": 210,
            "seconds": 0.25,
            "upstream": "192.0.2.7:80",
            "media_type": "text/html",
            "agent": "Mozilla/5.0 (X11)",
            "rule": "everything else",
            "decision": "allow",
        }
        return writer(name, "", "1.0")(a_record(**(ordinary | fields)))

    def test_squid(self) -> None:
        """A forwarded request, as Squid would have written it."""
        self.assertEqual(
            self.of(FormatName.SQUID),
            "1795428000.373    250 10.1.2.3 TCP_MISS/200 4321 GET http://www.example.com/a?b=1 amir "
            "HIER_DIRECT/192.0.2.7 text/html",
        )

    @rows(
        tunnel=(
            {"method": "CONNECT", "path": "", "port": 443, "result": ResultCode.TUNNELLED},
            "TCP_TUNNEL/200",
            "www.example.com:443",
        ),
        tunnel_left=(
            {"method": "CONNECT", "path": "", "port": 443, "result": ResultCode.CLIENT_GONE},
            "TCP_TUNNEL_ABORTED/200",
            "www.example.com:443",
        ),
        blocked=(
            {"result": ResultCode.BLOCKED, "status": 403},
            "TCP_DENIED/403",
            "http://www.example.com/a?b=1",
        ),
        challenged=(
            {"result": ResultCode.CHALLENGED, "status": 407},
            "TCP_DENIED/407",
            "http://www.example.com/a?b=1",
        ),
        malformed=(
            {"result": ResultCode.MALFORMED, "status": 400, "host": "", "path": ""},
            "NONE_NONE/400",
            "error:no-destination",
        ),
        address=({"host": "2001:db8::1", "port": 8080}, "TCP_MISS/200", "http://[2001:db8::1]:8080/a?b=1"),
    )
    def test_squid_codes(self, fields, code: str, url: str) -> None:
        """Result codes and URLs are those of Squid."""
        found = self.of(FormatName.SQUID, **fields).split()
        self.assertEqual((found[3], found[6]), (code, url))

    def test_combined(self) -> None:
        """A forwarded request, as Apache would have written it."""
        self.assertEqual(
            self.of(FormatName.COMBINED),
            '10.1.2.3 - amir [23/Nov/2026:10:00:00 +0000] "GET http://www.example.com/a?b=1 HTTP/1.1" '
            '200 4321 "-" "Mozilla/5.0 (X11)"',
        )

    def test_cef(self) -> None:
        """An event of CEF."""
        line = self.of(FormatName.CEF)
        self.assertTrue(
            line.startswith(
                "CEF:0|corpproxy|corpproxy|1.0|forwarded|allow by everything else|1|rt=1795428000373 "
            )
        )
        self.assertIn(
            " suser=amir dhost=www.example.com dpt=80 dst=192.0.2.7 app=http requestMethod=GET ", line
        )
        self.assertIn(" request=http://www.example.com/a?b\\=1 ", line)
        self.assertIn(" cs1Label=rule cs1=everything else ", line)

    def test_leef(self) -> None:
        """An event of LEEF 2.0."""
        line = self.of(FormatName.LEEF)
        self.assertTrue(
            line.startswith("LEEF:2.0|corpproxy|corpproxy|1.0|forwarded|x09|devTime=1795428000373\t")
        )
        self.assertIn("\tusrName=amir\tdst=192.0.2.7\tdstPort=80\thost=www.example.com\t", line)

    @rows(squid=(FormatName.SQUID,), combined=(FormatName.COMBINED,))
    def test_exchanges_alone(self, name: FormatName) -> None:
        """What closes no exchange has no line where a format knows only exchanges."""
        for kind in (Kind.OPENING, Kind.PROGRESS, Kind.DEED):
            self.assertIsNone(self.of(name, kind=kind))

    @rows(cef=(FormatName.CEF,), leef=(FormatName.LEEF,))
    def test_deeds(self, name: FormatName) -> None:
        """Collectors of events get deeds too, under their names."""
        self.assertEqual(self.of(name, kind=Kind.DEED, deed="grant-given").split("|")[4], "grant-given")

    def test_hyphen(self) -> None:
        """Somebody whose name is a hyphen is not nobody."""
        self.assertEqual(self.of(FormatName.SQUID, user="-").split()[7], "%2D")
        self.assertEqual(self.of(FormatName.COMBINED, user="-").split()[2], "\\x2d")
        self.assertEqual(Template.parse("{user}").line(a_record(user="-")), "\\x2d")


@tabular
class TemplateTests(SynchronousTestCase):
    """A template of the site's own."""

    def test_written(self) -> None:
        """Texts stay, fields are filled in, a brace that is written twice is one."""
        line = Template.parse("{{{user}}} from {client}: {url}").line(
            a_record(user="amir", client="10.0.0.1", host="a.example", port=443)
        )
        self.assertEqual(line, "{amir} from 10.0.0.1: a.example\\x3a443")

    @rows(
        unknown=("{hots}", "there is no field 'hots'", "hots"),
        open=("{user", "'{' stands alone", ""),
        closed=("user}", "'}' stands alone", ""),
        none=("hello", "it has no field", ""),
        together=("{user}{host}", "nothing separates 'user' from 'host'", ""),
        letters=("{user}at{host}", "nothing separates 'user' from 'host'", ""),
        lines=("{user}\n{host}", "a character that does not print", ""),
    )
    def test_bad(self, written: str, said: str, unknown: str) -> None:
        """What cannot be written by is refused, with what is wrong."""
        error = self.assertRaises(BadTemplate, Template.parse, written)
        self.assertIn(said, str(error))
        self.assertEqual(error.unknown, unknown)

    def test_all_fields(self) -> None:
        """Every field can be named."""
        line = Template.parse(" ".join(f"{{{name}}}" for name in FIELDS)).line(a_record())
        self.assertEqual(len(line.split(" ")), len(FIELDS))
