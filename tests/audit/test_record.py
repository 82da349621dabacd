"""A record is one line of JSON, whatever stands in it, and reads back as it was written."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import Record, UnreadableRecord, append, bare, decode, encode, encode_all
from corpproxy.audit.results import MEANINGS, Kind, ResultCode
from corpproxy.policy.model import Effect
from tests.support.rows import rows, tabular

AT = "2026-11-23T10:00:00.123Z"


def a_record(**fields) -> Record:
    """A record with sensible defaults."""
    defaults = {"id": "0s3c9d0000r001", "kind": Kind.EXCHANGE, "at": AT, "result": ResultCode.FORWARDED}
    return Record(**{**defaults, **fields})


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
odd_texts = st.text(max_size=30)
numbers = st.integers(0, 2**63)
records = st.builds(
    Record,
    id=texts,
    kind=st.sampled_from(Kind),
    at=texts,
    result=st.sampled_from(ResultCode),
    seconds=st.floats(0, 1e9),
    groups=st.lists(texts, max_size=3).map(tuple),
    categories=st.lists(texts, max_size=3).map(tuple),
    lists=st.lists(texts, max_size=3).map(tuple),
    status=st.integers(0, 999),
    port=st.integers(0, 65535),
    connect_ms=st.none() | st.integers(0, 10**9),
    **dict.fromkeys(("client", "user", "method", "host", "path", "rule", "reason", "agent", "chain"), texts),
    **dict.fromkeys(("received", "sent", "up_received", "up_sent"), numbers),
)


def spelled_out(text: str) -> str:
    """A text with its half characters written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut_line(record: Record, share: float) -> bytes:
    """The beginning of a line, as a crash leaves it."""
    line = encode(record)
    return line[: int(share * (len(line) - 1))]


class RecordTests(SynchronousTestCase):
    """Writing and reading lines."""

    def test_short(self) -> None:
        """A line says its version first, and leaves out what says nothing."""
        self.assertEqual(
            encode(a_record(status=200)),
            b'{"v":1,"id":"0s3c9d0000r001","kind":"exchange","at":"2026-11-23T10:00:00.123Z",'
            b'"status":200,"result":"forwarded"}\n',
        )

    def test_effect(self) -> None:
        """The effect of a decision is written as its word."""
        line = encode(a_record(decision=Effect.BLOCK, rule="never malware"))
        self.assertEqual(json.loads(line)["decision"], "block")
        self.assertEqual(decode(line).decision, "block")

    def test_measured_nought(self) -> None:
        """A connection that took no time at all is not one that was never made."""
        self.assertEqual(decode(encode(a_record(connect_ms=0))).connect_ms, 0)
        self.assertIsNone(decode(encode(a_record())).connect_ms)

    def test_later_field(self) -> None:
        """A field that a later version added is passed over."""
        self.assertEqual(decode(encode(a_record())[:-2] + b',"shoe_size":42}\n'), a_record())

    @settings(max_examples=100, deadline=None)
    @given(records)
    def test_reads_back(self, record) -> None:
        """What is read back is what was written, and it is one line."""
        line = encode(record)
        self.assertEqual(decode(line), record)
        self.assertEqual((line.count(b"\n"), line.count(b"\r"), line[-1:]), (1, 0, b"\n"))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(odd_texts, odd_texts, st.lists(odd_texts, max_size=2)), max_size=5))
    def test_odd_texts(self, oddities) -> None:
        """Half characters from odd clients are spelled out and break neither their line nor the next."""
        lines = bytearray()
        for host, agent, groups in oddities:
            append(a_record(host=host, agent=agent, groups=tuple(groups)), lines)
        split = bytes(lines).split(b"\n")
        self.assertEqual(split.pop(), b"")
        self.assertEqual(len(split), len(oddities))
        for line, (host, agent, groups) in zip(split, oddities, strict=True):
            record = decode(line)
            self.assertEqual((record.host, record.agent), (spelled_out(host), spelled_out(agent)))
            self.assertEqual(record.groups, tuple(map(spelled_out, groups)))

    def test_append_is_encode(self) -> None:
        """A batch is the lines one after the other."""
        lines = bytearray(b"before\n")
        append(a_record(host="a.example"), lines)
        append(a_record(host="\udc80"), lines)
        self.assertEqual(
            lines, b"before\n" + encode(a_record(host="a.example")) + encode(a_record(host="\udc80"))
        )

    def test_together(self) -> None:
        """Records that are written together are the lines of each; one that cannot be lacks its details."""
        good, odd = a_record(host="a.example"), a_record(host="\udc80")
        wrong = a_record(host="b.example", user=object())
        for many in ([], [good], [good, good], [odd, good], [good, wrong, odd]):
            written = [encode(bare(one) if one is wrong else one) for one in many]
            self.assertEqual(encode_all(many), (b"".join(written), 0))
        self.assertEqual(bare(wrong).failure, "record")

    def test_unwritable(self) -> None:
        """One that cannot be written in any way is told of, and costs no other."""
        hopeless, good = a_record(host="a.example", client=object()), a_record(host="b.example")
        self.assertEqual(encode_all([hopeless, good]), (encode(good), 1))

    def test_bug(self) -> None:
        """A record with a wrong value is refused and leaves nothing in the batch."""
        lines = bytearray(b"before\n")
        self.assertRaises(TypeError, append, a_record(host="a.example", user=object()), lines)
        self.assertEqual(lines, b"before\n")

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=60) | st.builds(cut_line, records, st.floats(0, 0.999)))
    def test_any_bytes(self, line) -> None:
        """Any bytes are a record or unreadable, and a cut line is always unreadable."""
        self.assertRaises(UnreadableRecord, decode, line)


@tabular
class UnreadableTests(SynchronousTestCase):
    """Lines that are no records."""

    @rows(
        empty=(b"",),
        half=(b'{"v":1,"id":"0s3c',),
        array=(b"[]",),
        later_format=(b'{"v":2,"id":"a","kind":"exchange","at":"b","result":"forwarded"}',),
        no_result=(b'{"v":1,"id":"a","kind":"exchange","at":"b"}',),
        unknown_result=(b'{"v":1,"id":"a","kind":"exchange","at":"b","result":"vanished"}',),
        wrong_type=(b'{"v":1,"id":"a","kind":"exchange","at":"b","result":"forwarded","status":"200"}',),
        no_utf8=(b'{"v":1,"id":"\xff","kind":"exchange","at":"b","result":"forwarded"}',),
        deep=(b'{"v":1,"x":' + b"[" * 100_000,),
        zeros=(b"\x00" * 512,),
    )
    def test_refused(self, line) -> None:
        """A reader says that a line is no record instead of guessing."""
        self.assertRaises(UnreadableRecord, decode, line)


class ResultTests(SynchronousTestCase):
    """The result codes."""

    def test_meanings(self) -> None:
        """Every result code has a meaning of its own."""
        self.assertEqual(list(MEANINGS), list(ResultCode))
        self.assertEqual(len(set(MEANINGS.values())), len(MEANINGS))
