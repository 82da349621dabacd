"""The proof of a record: what its hash covers, and what can be erased without changing it."""

from __future__ import annotations

import json
import os
from hashlib import sha256, sha512

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.proof import GROUPS, NOTHING, SEED_OCTETS, Unproven, beginning, link, read
from corpproxy.audit.record import Record, decode, encode
from tests.audit.test_record import a_record
from tests.support.examples import EXAMPLES

SEGMENT = "records-20261123T100000Z-0001.jsonl"
FULL = {
    "client": "10.1.2.3",
    "user": "amir",
    "agent": 'a "quoted" agent,"host":"evil"',
    "whom": "carol",
    "host": "example.com",
    "hosts": ("example.com", "example.org"),
    "upstream": "192.0.2.1:80",
    "server_name": "example.com",
    "entry": "example.com",
    "reason": "a reason",
    "ended_reason": "another",
    "path": '/path","n":7',
}
PROOF = ["n", "seed", "salts", "erased", "chain"]


def chained(*records: Record, seeds: bytes = b"") -> list[bytes]:
    """Records as they stand in a segment."""
    lines = [encode(record)[:-1] for record in records]
    octets, _ = link(lines, beginning(SEGMENT), seeds or os.urandom(SEED_OCTETS * len(lines)))
    return octets.splitlines(keepends=True)


class LinkTests(SynchronousTestCase):
    """Lines become links of a chain."""

    def test_order(self) -> None:
        """Every field is public or in one of the groups, and stands where the format wants it."""
        personal = [name for names in GROUPS.values() for name in names]
        names = list(Record.__struct_fields__)
        at = names.index("result") + 1
        self.assertEqual(names[at:], personal + PROOF)

    def test_same_record(self) -> None:
        """The record is what it was, with its proof behind it."""
        record = a_record(**FULL, status=200)
        (line,) = chained(record)
        self.assertEqual(json.loads(line)["n"], 1)
        found = decode(line)
        for name in Record.__struct_fields__:
            if name not in PROOF:
                self.assertEqual(getattr(found, name), getattr(record, name), name)
        self.assertEqual(encode(found), line)

    def test_chained(self) -> None:
        """Each has a number and the hash of the one before; the first that of the segment's name."""
        first, second, third = map(read, chained(a_record(), a_record(user="beth"), a_record()))
        self.assertEqual((first.number, second.number, third.number), (1, 2, 3))
        self.assertEqual(first.before, sha256(b"record chain " + SEGMENT.encode()).digest())
        self.assertEqual((second.before, third.before), (first.digest, second.digest))

    def test_head(self) -> None:
        """What is chained in two batches is what is chained in one."""
        lines = [encode(a_record(id=str(number)))[:-1] for number in range(5)]
        seeds = os.urandom(SEED_OCTETS * 5)
        whole, head = link(lines, beginning(SEGMENT), seeds)
        first, middle = link(lines[:2], beginning(SEGMENT), seeds)
        second, end = link(lines[2:], middle, seeds[SEED_OCTETS * 2 :])
        self.assertEqual((first + second, end), (whole, head))

    def test_by_hand(self) -> None:
        """The hash is what the specification says, worked out step by step."""
        seed = bytes(range(16))
        (line,) = chained(a_record(user="amir", host="example.com"), seeds=seed)
        salts = sha512(seed).digest()
        public, _, _ = line.partition(b',"user"')
        who = sha256(salts[:16] + b',"user":"amir"').digest()
        where = sha256(salts[16:32] + b',"host":"example.com"').digest()
        before = beginning(SEGMENT).digest
        wanted = sha256(before + (1).to_bytes(8, "big") + who + where + NOTHING + public).digest()
        self.assertEqual(read(line).digest, wanted)

    @EXAMPLES
    @given(
        st.fixed_dictionaries({}, optional={name: st.text(max_size=30) for name in FULL if name != "hosts"})
    )
    def test_any_texts(self, personal: dict[str, str]) -> None:
        """Whatever stands in a field, the groups are exactly its own members."""
        (line,) = chained(a_record(**personal, status=200))
        found = read(line)
        texts = json.loads(b"{" + b"".join(found.groups.values())[1:] + b"}") if found.groups else {}
        said = {name: text for name, text in json.loads(line).items() if name in FULL}
        self.assertEqual(texts, said)
        self.assertEqual(json.loads(found.public + b"}")["status"], 200)


class ErasingTests(SynchronousTestCase):
    """What is personal can go, and the hash stays."""

    def test_erased(self) -> None:
        """A group goes with its salt; the hash stays the same, whatever goes after it."""
        (line,) = chained(a_record(**FULL))
        whole = read(line)
        once = whole.without(["where"]).line()
        self.assertEqual(read(once).digest, whole.digest)
        self.assertNotIn(b"example.com", once.replace(FULL["agent"].encode(), b""))
        self.assertNotIn(b"seed", once)
        self.assertEqual(decode(once).user, "amir")
        self.assertEqual(decode(once).host, "")
        twice = read(once).without(["who", "url"]).line()
        self.assertEqual(read(twice).digest, whole.digest)
        self.assertEqual(json.loads(twice)["salts"], {})
        for value in (value for value in FULL.values() if isinstance(value, str)):
            self.assertNotIn(json.dumps(value)[1:-1].encode(), twice)

    def test_what_is_left_is_proven(self) -> None:
        """Where the host was erased, the user still cannot be changed."""
        (line,) = chained(a_record(**FULL))
        erased = read(line).without(["where"]).line()
        forged = erased.replace(b'"user":"amir"', b'"user":"beth"')
        self.assertNotEqual(read(forged).digest, read(line).digest)

    def test_not_guessable(self) -> None:
        """The salt of what was erased cannot be had from those that are left."""
        (line,) = chained(a_record(**FULL))
        erased = json.loads(read(line).without(["url"]).line())
        derived = sha512(bytes.fromhex(json.loads(line)["seed"])).digest()
        self.assertEqual(erased["salts"], {"who": derived[:16].hex(), "where": derived[16:32].hex()})
        self.assertNotIn(derived[32:48].hex(), json.dumps(erased))

    def test_nothing_to_erase(self) -> None:
        """A record without a path has none to erase."""
        (line,) = chained(a_record(user="amir"))
        again = read(line).without(["url"])
        self.assertEqual((again.erased, again.digest), ({}, read(line).digest))


class UnprovenTests(SynchronousTestCase):
    """Lines that prove nothing."""

    def refused(self, line: bytes) -> None:
        self.assertRaises(Unproven, read, line)

    def test_none(self) -> None:
        """A line that was never chained, and things that are no lines."""
        for line in (encode(a_record()), b"", b"{}\n", b"\xff\xfe\n", b'{"n":1}'):
            self.refused(line)

    def test_damaged(self) -> None:
        """A proof that is not as it is written is none."""
        (line,) = chained(a_record(**FULL))
        for before, after in (
            (b'"n":1,', b'"n":01,'),
            (b'"n":1,', b'"n":0,'),
            (b'"seed":"', b'"seed":"0'),
            (b'"seed":', b'"sead":'),
            (b'"}\n', b'","more":1}\n'),
            (b'"chain":"', b'"chain": "'),
            (b',"result":"', b',"rasult":"'),
        ):
            self.refused(line.replace(before, after, 1) if before != b'"}\n' else line.replace(before, after))

    def test_salts(self) -> None:
        """Something that is erased and there, or there without its salt, is none."""
        (line,) = chained(a_record(**FULL))
        erased = read(line).without(["who"]).line()
        self.refused(erased.replace(b'"result":"forwarded"', b'"result":"forwarded","user":"amir"'))
        salt = json.loads(erased)["salts"]["url"].encode()
        self.refused(erased.replace(b',"url":"' + salt + b'"', b""))
        self.refused(erased.replace(salt, salt[:-2]))
