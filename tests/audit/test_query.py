"""A search finds the records that fit all it asks for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.query import RecordQuery
from corpproxy.audit.results import ResultCode
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular

RECORD = a_record(
    user="amir",
    groups=("pupils", "year-9"),
    client="10.1.4.17",
    listener="rooms",
    method="GET",
    host="www.miniclip.com",
    categories=("games",),
    rule="games wait",
    ended_rule="no more games",
    decision="block",
    result=ResultCode.BLOCKED,
    failure="refused",
    status=403,
    within="0s3c9d0000r000",
)


@tabular
class QueryTests(SynchronousTestCase):
    """Conditions on a record."""

    @rows(
        nothing=({},),
        user=({"user": "amir"},),
        group=({"group": "year-9"},),
        client=({"client": "10.1.4.17"},),
        host=({"host": "www.miniclip.com"},),
        above=({"host": "miniclip.com"},),
        category=({"category": "games"},),
        rule=({"rule": "games wait"},),
        ended_by=({"rule": "no more games"},),
        decision=({"decision": "block"},),
        result=({"result": "blocked"},),
        method=({"method": "GET"},),
        status=({"status": "403"},),
        status_class=({"status": "4"},),
        reference=({"reference": "0s3c9d0000r001"},),
        around=({"reference": "0s3c9d0000r000"},),
        failure=({"failure": "refused"},),
        listener=({"listener": "rooms"},),
        since=({"since": "2026-11-23T10:00:00.123Z"},),
        until=({"until": "2026-11-23T10:00:00.124Z"},),
        several=({"user": "amir", "host": "miniclip.com", "decision": "block"},),
    )
    def test_found(self, asked) -> None:
        """A record that fits is found."""
        self.assertTrue(RecordQuery(**asked).matches(RECORD))

    @rows(
        user=({"user": "beth"},),
        group=({"group": "year"},),
        client=({"client": "10.1.4.1"},),
        host=({"host": "clip.com"},),
        below=({"host": "a.www.miniclip.com"},),
        category=({"category": "game"},),
        rule=({"rule": "games"},),
        decision=({"decision": "allow"},),
        result=({"result": "forwarded"},),
        method=({"method": "POST"},),
        status=({"status": "404"},),
        status_class=({"status": "5"},),
        reference=({"reference": "0s3c"},),
        failure=({"failure": "other"},),
        listener=({"listener": "hall"},),
        since=({"since": "2026-11-23T10:00:00.124Z"},),
        until=({"until": "2026-11-23T10:00:00.123Z"},),
        one_of_several=({"user": "amir", "host": "miniclip.com", "decision": "allow"},),
    )
    def test_passed_over(self, asked) -> None:
        """A record that does not fit in one point is passed over."""
        self.assertFalse(RecordQuery(**asked).matches(RECORD))
