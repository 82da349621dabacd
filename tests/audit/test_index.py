"""The index of a segment never misses a block, and names nobody."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.index import BLOCK_OCTETS, BadIndex, Index, IndexMaker
from corpproxy.audit.needles import needles_of
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import Record, decode, encode
from corpproxy.audit.results import Kind, ResultCode
from tests.audit.test_record import a_record
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

KEY = b"k" * 32
SEGMENT = "records-20261123T100000Z-0001.jsonl"

names = st.sampled_from(
    ["amir", "beth", 'a"b', "\\", "ä", "\x1b[2J", "\ud800", "www.b.example", "b.example", ""]
)
moments = st.integers(0, 59).map(lambda minute: f"2026-11-23T10:{minute:02d}:30.000Z")
records = st.builds(
    Record,
    id=st.sampled_from(["0wpf3s9k2m0001", "0wpf3s9k2m0002", "0wxx3s9k2m0001"]),
    kind=st.sampled_from(Kind),
    at=moments,
    result=st.sampled_from(ResultCode),
    groups=st.lists(names, max_size=2).map(tuple),
    categories=st.lists(names, max_size=2).map(tuple),
    status=st.sampled_from([0, 200, 403]),
    within=st.sampled_from(["", "0wpf3s9k2m0001"]),
    **dict.fromkeys(
        ("user", "client", "host", "rule", "ended_rule", "would_block", "exception", "whom"), names
    ),
)
queries = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("user", "client", "host", "rule", "group", "category", "would_block", "whom"), names
        ),
        "reference": st.sampled_from(["0wpf3s9k2m0001", "0wxx3s9k2m0001", "0wzz3s9k2m0001"]),
        "result": st.sampled_from(["blocked", "forwarded"]),
        "status": st.sampled_from(["4", "403"]),
        "deeds": st.booleans(),
        "since": moments,
        "until": moments,
    },
).map(lambda asked: RecordQuery(**{name: spelled(value) for name, value in asked.items()}))


def spelled(value):
    """A text as records have it."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def index_of(lines: list[bytes], key: bytes = KEY) -> Index:
    """The index of some lines."""
    maker = IndexMaker(key)
    for line in lines:
        maker.take(line)
    return Index(maker.finish(SEGMENT))


def long_line(**fields) -> bytes:
    """A record that fills a block."""
    return encode(a_record(path="/" + "x" * BLOCK_OCTETS, **fields))


class IndexTests(SynchronousTestCase):
    """Which blocks are read."""

    @settings(EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.lists(records, max_size=6), queries)
    def test_nothing_missed(self, several, query) -> None:
        """Whatever is asked for, the blocks that are read have all that is wanted."""
        lines = []
        for record in several:
            record.path = "/" + "x" * BLOCK_OCTETS
            lines.append(encode(record))
        wanted = set(index_of(lines).wanted(query, KEY))
        fitting = {number for number, line in enumerate(lines) if query.matches(decode(line))}
        self.assertLessEqual(fitting, wanted)

    @settings(EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.lists(records, max_size=6), queries)
    def test_needles(self, several, query) -> None:
        """Whatever is asked for, no wanted line is passed over before it is read."""
        lines = [encode(record) for record in several]
        looked_at = list(needles_of(query).lines(b"".join(lines)))
        self.assertLessEqual({line for line in lines if query.matches(decode(line))}, set(looked_at))
        self.assertLessEqual(set(looked_at), set(lines))

    def test_few_blocks(self) -> None:
        """Of a long segment only the blocks are read in which a person stands."""
        lines = [
            long_line(user="amir" if number == 7 else "beth", host="www.a.example") for number in range(9)
        ]
        index = index_of(lines)
        self.assertEqual(index.blocks, 9)
        self.assertEqual(index.wanted(RecordQuery(user="amir"), KEY), [7])
        self.assertEqual(index.wanted(RecordQuery(user="amir", host="a.example"), KEY), [7])
        self.assertEqual(index.wanted(RecordQuery(user="carol"), KEY), [])
        self.assertEqual(len(index.wanted(RecordQuery(host="a.example"), KEY)), 9)
        self.assertEqual(index.span(7, 9), (sum(map(len, lines[:7])), sum(map(len, lines))))

    def test_minutes(self) -> None:
        """A span of time leads to the blocks in which exchanges of it stand."""
        lines = [long_line(at=f"2026-11-23T10:{number:02d}:00.000Z") for number in range(9)]
        query = RecordQuery(since="2026-11-23T10:03:00.000Z", until="2026-11-23T10:05:00.000Z")
        self.assertEqual(index_of(lines).wanted(query, KEY), [3, 4, 5])

    def test_whom(self) -> None:
        """Whom a record is about leads to it whatever its kind is."""
        lines = [
            long_line(whom="amir"),
            long_line(kind=Kind.DEED, deed="grant-given", whom="amir"),
            long_line(),
        ]
        self.assertEqual(index_of(lines).wanted(RecordQuery(whom="amir"), KEY), [0, 1])
        self.assertEqual(index_of(lines).wanted(RecordQuery(deeds=True), KEY), [1])

    def test_nameless(self) -> None:
        """An index has no name in it, and without the key of the site none can be tried on it."""
        maker = IndexMaker(KEY)
        maker.take(long_line(user="amir", host="www.secret.example"))
        octets = maker.finish(SEGMENT)
        self.assertNotIn(b"amir", octets)
        self.assertNotIn(b"secret", octets)
        self.assertEqual(list(Index(octets).wanted(RecordQuery(user="amir"), b"other" * 8)), [])

    def test_no_record(self) -> None:
        """A line that is no record is in its block all the same."""
        lines = [b"not a record\n", long_line(user="amir")]
        index = index_of(lines)
        self.assertEqual(index.header.records, 2)
        self.assertEqual(index.wanted(RecordQuery(user="amir"), KEY), [0])


@tabular
class BadIndexTests(SynchronousTestCase):
    """A file that is no index, or only a part of one."""

    @rows(
        empty=(lambda octets: b"",),
        other=(lambda octets: b"x" * 200,),
        cut=(lambda octets: octets[:-8],),
        longer=(lambda octets: octets + bytes(8),),
    )
    def test_refused(self, spoil) -> None:
        """It is refused, not believed."""
        maker = IndexMaker(KEY)
        maker.take(long_line(user="amir"))
        self.assertRaises(BadIndex, Index, spoil(maker.finish(SEGMENT)))
