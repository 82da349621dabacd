"""What an erasure concerns, and what a line of the record is without it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.erasure import LASTING_DEEDS, Erasing, Erasure, Reached
from corpproxy.audit.proof import read
from corpproxy.audit.record import UnreadableRecord, decode, encode
from corpproxy.audit.results import Kind
from corpproxy.audit.times import posix_seconds
from tests.audit.test_proof import FULL, chained
from tests.audit.test_record import AT, a_record
from tests.support.rows import rows, tabular

BEGAN = posix_seconds(AT)


@tabular
class MatchTests(SynchronousTestCase):
    """Which records are concerned."""

    @rows(
        user=({"user": "amir"}, True),
        another_user=({"user": "ami"}, False),
        whom=({"user": "carol"}, False),
        client=({"client": "10.1.2.3"}, True),
        another_client=({"client": "10.1.2.30"}, False),
        host=({"host": "example.com"}, True),
        below=({"host": "com"}, True),
        beside=({"host": "ample.com"}, False),
        both=({"user": "amir", "host": "example.com"}, True),
        one_of_two=({"user": "amir", "host": "example.org"}, False),
        since=({"user": "amir", "since": BEGAN}, True),
        later=({"user": "amir", "since": BEGAN + 1}, False),
        until=({"user": "amir", "until": BEGAN}, False),
        before=({"user": "amir", "until": BEGAN + 1}, True),
        old=({"until": BEGAN + 1}, True),
    )
    def test_exchange(self, asked, expected):
        """All that is asked for must hold."""
        record = a_record(user="amir", client="10.1.2.3", host="www.example.com")
        erasure = Erasure(**asked)
        self.assertEqual(erasure.matches(record), expected)
        found = erasure.concerns(user=record.user, client=record.client, host=record.host, at=BEGAN)
        self.assertEqual(found, expected)
        self.assertLessEqual(expected, Erasing((erasure,)).may_concern(encode(record)))

    @rows(
        whom=({"user": "amir"}, True),
        who_did_it=({"user": "carol"}, True),
        further_host=({"host": "example.org"}, True),
        device=({"client": "10.9.9.9"}, False),
    )
    def test_deed(self, asked, expected):
        """A deed is about who did it, whom it was about, and all its hosts."""
        record = a_record(
            kind=Kind.DEED, deed="grant-given", user="carol", whom="amir", hosts=("a.test", "example.org")
        )
        self.assertEqual(Erasure(**asked).matches(record), expected)

    def test_device_of_a_deed(self):
        """A device that was let through is found by its address."""
        record = a_record(kind=Kind.DEED, deed="grant-given", whom="address:10.1.2.3")
        erasing = Erasing((Erasure(client="10.1.2.3"),))
        self.assertEqual(erasing.groups_of(encode(record)), {"who"})

    def test_server_name(self):
        """A tunnel is found by the name that was asked for inside it, too."""
        record = a_record(host="192.0.2.1", server_name="www.example.com")
        self.assertTrue(Erasure(host="example.com").matches(record))

    def test_lasting(self):
        """Who erased and who revealed stays to be seen."""
        for deed in LASTING_DEEDS:
            record = a_record(kind=Kind.DEED, deed=deed, user="amir")
            self.assertFalse(Erasure(user="amir").matches(record), deed)
            self.assertTrue(Erasure(until=BEGAN + 1).matches(record), deed)


class LineTests(SynchronousTestCase):
    """Lines without what is erased."""

    def erased(self, *erasures, **fields):
        (line,) = chained(a_record(**{**FULL, **fields}))
        return line, Erasing(erasures).erased(line)

    def test_person(self):
        """Nothing personal is left, and the hash stays what it was."""
        line, erased = self.erased(Erasure(user="amir"))
        self.assertEqual(read(erased).digest, read(line).digest)
        record = decode(erased)
        self.assertEqual([name for name in FULL if getattr(record, name)], [])
        for value in (FULL["user"], FULL["client"], "example", "seed"):
            self.assertNotIn(value.encode(), erased)

    def test_only(self):
        """Only the groups that are asked for go; several erasures are done in one go."""
        old = Erasure(until=BEGAN + 1, groups=("url",))
        _, erased = self.erased(old)
        self.assertEqual((decode(erased).user, decode(erased).path), ("amir", ""))
        _, erased = self.erased(old, Erasure(host="example.com", groups=("where",)))
        self.assertEqual((decode(erased).user, decode(erased).host, decode(erased).path), ("amir", "", ""))

    def test_again(self):
        """What is erased already is left as it is, and more can go later."""
        line, erased = self.erased(Erasure(until=BEGAN + 1, groups=("url",)))
        erasing = Erasing((Erasure(until=BEGAN + 1, groups=("url",)),))
        self.assertIsNone(erasing.erased(erased))
        more = Erasing((Erasure(user="amir"),)).erased(erased)
        self.assertEqual(read(more).digest, read(line).digest)
        self.assertEqual(decode(more).user, "")

    def test_quotes(self):
        """A name with quotes and letters of other scripts is found as it stands in the line."""
        for name in ('a "b" c', "Жанна", "a\\b"):
            _, erased = self.erased(Erasure(user=name), user=name)
            self.assertIsNotNone(erased, name)

    def test_no_record(self):
        """What is no record, or proves nothing, is told."""
        erasing = Erasing((Erasure(user="amir"),))
        self.assertRaises(UnreadableRecord, erasing.erased, b'{"user":"amir"\n')
        self.assertRaises(UnreadableRecord, erasing.erased, encode(a_record(user="amir")))
        self.assertIsNone(erasing.erased(b"other things\n"))

    def test_reached(self):
        """What the record of the deed says of each place."""
        self.assertEqual(Reached("usage", 3).text, "usage=3")
        self.assertEqual(Reached("syslog", 0, is_reached=False).text, "syslog=not-reached")
