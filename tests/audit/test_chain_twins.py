"""The compiled twin of the chain says what the one in Python says."""

from __future__ import annotations

import os
from importlib import import_module

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.audit.proof import SEED_OCTETS, Head, beginning, count_lines, link, link_in_python
from corpproxy.audit.record import Record, encode
from tests.audit.test_proof import FULL, SEGMENT
from tests.audit.test_record import a_record
from tests.support.examples import EXAMPLES

# What lines are made of where somebody means harm: members in the wrong place, ends of texts, halves.
SCRAPS = [
    b'{"v":1', b',"result":"', b'forwarded"', b',"n":', b',"host":', b',"hosts":', b',"upstream":',
    b',"entry":',
    b',"path":', b',"client":"', b',"reason":"', b'"', b"}", b"{", b",", b"\\", b"\xff", b"a" * 70,
]  # fmt: skip
scraps = st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=5), max_size=14).map(b"".join)
texts = st.text(max_size=40)
records = st.builds(
    lambda some, texts: a_record(
        **{name: value if name in texts else FULL[name] for name, value in some.items()}
    ),
    st.fixed_dictionaries(
        {}, optional={name: texts for name, value in FULL.items() if isinstance(value, str)}
    ),
    st.sets(st.sampled_from(sorted(FULL))),
)
lines = st.lists(records.map(lambda record: encode(record)[:-1]) | scraps, max_size=6)
heads = st.builds(Head, st.integers(0, 2**40) | st.just(10**18), st.binary(min_size=32, max_size=32))


class ChainTwinsTests(SynchronousTestCase):
    """Lines of any kind."""

    def setUp(self) -> None:
        self.patch(twins, "chain", import_module("corpproxy._chain"))

    def linked(self, lines: list[bytes], head: Head, seeds: bytes) -> None:
        try:
            wanted = link_in_python(lines, head, seeds)
        except ValueError as error:
            with self.assertRaises(ValueError) as caught:
                link(lines, head, seeds)
            self.assertEqual(str(caught.exception), str(error))
        else:
            self.assertEqual(link(lines, head, seeds), wanted)
            if not any(b"\n" in line for line in lines):
                self.assertEqual(link(b"".join(line + b"\n" for line in lines), head, seeds), wanted)

    @EXAMPLES
    @given(st.lists(st.binary(max_size=20), max_size=20).map(b"\n".join))
    def test_counted(self, lines: bytes) -> None:
        """A batch has as many lines as ends of lines, compiled or not."""
        self.assertEqual(count_lines(lines), lines.count(b"\n"))

    def test_no_octets(self) -> None:
        """What is no octets has no lines to be counted."""
        self.assertRaises(TypeError, count_lines, "a line\n")

    @EXAMPLES
    @given(lines, heads, st.binary(min_size=SEED_OCTETS * 6, max_size=SEED_OCTETS * 6))
    def test_any(self, lines: list[bytes], head: Head, seeds: bytes) -> None:
        """Both make the same octets and the same head, or refuse with the same words."""
        self.linked(lines, head, seeds)

    def test_taken(self) -> None:
        """Real records are linked by the compiled one: it does not leave them to the other."""
        line = encode(Record(**{**_fields(a_record(**FULL)), "status": 200}))[:-1]
        assert twins.chain is not None
        head = beginning(SEGMENT)
        self.patch(twins, "chain", _Watched(twins.chain))
        link([line] * 3, head, os.urandom(SEED_OCTETS * 3))
        self.assertEqual(twins.chain.taken, 1)  # type: ignore[union-attr]

    def test_odd(self) -> None:
        """Too few seeds, a head of another length, a line that is too short: Python says what happens."""
        line = encode(a_record())[:-1]
        self.linked([line, line], beginning(SEGMENT), bytes(SEED_OCTETS + 3))
        self.linked([line], Head(1, b"short"), bytes(SEED_OCTETS))
        for end in range(0, len(line), 7):
            self.linked([line[:end]], beginning(SEGMENT), bytes(SEED_OCTETS))


class _Watched:
    """Counts what the compiled twin does not leave to the other."""

    def __init__(self, chain: object) -> None:
        self._chain = chain
        self.taken = 0

    def link(self, *words: object) -> object:
        linked = self._chain.link(*words)  # type: ignore[attr-defined]
        self.taken += linked is not None
        return linked


def _fields(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
