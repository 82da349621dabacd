"""Which period a moment is in, and what stands in the place of names."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.pseudonyms import DEVICE, PERSON, Every, Naming, period_at, pseudonym
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")
BEGINS = (date(2026, 9, 7), date(2027, 1, 5))


def at(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=LONDON).timestamp()


@tabular
class PeriodTests(SynchronousTestCase):
    """Periods."""

    @rows(
        day=(Every.DAY, "2026-11-23T00:00", "2026-11-23", "2026-11-24T00:00"),
        last_second=(Every.DAY, "2026-11-23T23:59:59", "2026-11-23", "2026-11-24T00:00"),
        week=(Every.WEEK, "2026-11-29T12:00", "2026-W48", "2026-11-30T00:00"),
        week_of_another_year=(Every.WEEK, "2027-01-02T12:00", "2026-W53", "2027-01-04T00:00"),
        month=(Every.MONTH, "2026-12-31T23:00", "2026-12", "2027-01-01T00:00"),
        summer_time=(Every.MONTH, "2026-03-31T12:00", "2026-03", "2026-04-01T00:00"),
        term=(Every.TERM, "2026-11-23T12:00", "term-2026-09-07", "2027-01-05T00:00"),
        first_day=(Every.TERM, "2027-01-05T00:00", "term-2027-01-05", "9999-12-30T00:00"),
        before=(Every.TERM, "2026-08-01T00:00", "term-before", "2026-09-07T00:00"),
    )
    def test_period(self, every, moment, name, ends):
        """A period has a name and an end, in the time of the site."""
        period = period_at(at(moment), LONDON, every, BEGINS)
        self.assertEqual((period.name, period.ends), (name, at(ends)))


class NameTests(SynchronousTestCase):
    """Pseudonyms."""

    def test_by_key(self):
        """The same name has one pseudonym with a key, and another with another."""
        one, other = bytes(32), bytes([1]) * 32
        self.assertEqual(pseudonym(PERSON, "amir", one), pseudonym(PERSON, "amir", one))
        self.assertNotEqual(pseudonym(PERSON, "amir", one), pseudonym(PERSON, "amir", other))
        self.assertNotEqual(pseudonym(PERSON, "amir", one)[2:], pseudonym(DEVICE, "amir", one)[2:])
        self.assertRegex(pseudonym(PERSON, "Жанна", one), r"^p-[0-9a-hjkmnp-tv-z]{12}$")

    def test_record(self):
        """All whom a record names have pseudonyms; groups and rooms are nobody in particular."""
        naming = Numbered()
        record = naming.apply(a_record(user="amir", client="10.1.2.3", whom="beth", host="a.test"))
        self.assertEqual((record.user, record.client, record.whom), ("p-amir", "d-10.1.2.3", "p-beth"))
        self.assertEqual((record.host, record.left_out), ("a.test", ("user",)))
        for whom, expected in (("group:staff", "group:staff"), ("address:10.1.2.3", "address:d-10.1.2.3")):
            self.assertEqual(naming.apply(a_record(whom=whom)).whom, expected)
        self.assertEqual(naming.apply(a_record()).user, "")
        self.assertEqual(naming.apply(a_record(user="root"), keeps_user=True).user, "root")


class Numbered(Naming):
    """Pseudonyms that can be read."""

    def person(self, name: str) -> str:
        return PERSON + name

    def device(self, address: str) -> str:
        return DEVICE + address
