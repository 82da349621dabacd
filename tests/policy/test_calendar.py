"""When: weekly hours and dates, over midnight and over changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.calendar import (
    Dates,
    Hours,
    Span,
    parse_dates,
    parse_days,
    parse_instant,
    parse_spans,
    parse_time_zone,
)
from tests.policy.builders import LONDON, local
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

LESSONS = Hours(parse_days("mon-fri"), parse_spans("08:30-15:30"), LONDON)
HOLIDAYS = Hours(time_zone=LONDON, dates=(parse_dates("2026-12-19/2027-01-04"),))
TERM = Hours(parse_days("mon-fri"), parse_spans("08:30-15:30"), LONDON, except_=HOLIDAYS)
WEEKEND_NIGHT = Hours(parse_days("fri"), parse_spans("22:00-06:00"), LONDON)


@tabular
class HoursTests(SynchronousTestCase):
    """What the clock on the wall shows decides."""

    @rows(
        just_before=(LESSONS, "2026-11-23T08:29:59", False),
        beginning=(LESSONS, "2026-11-23T08:30", True),
        last_second=(LESSONS, "2026-11-23T15:29:59", True),
        end=(LESSONS, "2026-11-23T15:30", False),
        saturday=(LESSONS, "2026-11-28T10:00", False),
        summer=(LESSONS, "2026-06-15T08:30", True),
        night=(WEEKEND_NIGHT, "2026-11-27T23:00", True),
        morning_after=(WEEKEND_NIGHT, "2026-11-28T05:59", True),
        morning_over=(WEEKEND_NIGHT, "2026-11-28T06:00", False),
        morning_before=(WEEKEND_NIGHT, "2026-11-27T05:00", False),
        last_school_day=(TERM, "2026-12-18T10:00", True),
        first_holiday=(TERM, "2026-12-21T10:00", False),
        last_holiday=(TERM, "2027-01-04T10:00", False),
        back_again=(TERM, "2027-01-05T10:00", True),
        whole_day=(HOLIDAYS, "2026-12-19T00:00", True),
        whole_last_day=(HOLIDAYS, "2027-01-04T23:59:59", True),
        day_after=(HOLIDAYS, "2027-01-05T00:00", False),
    )
    def test_contains(self, hours, at, expected):
        """A time is within the hours or not."""
        self.assertEqual(hours.contains(local(at)), expected)

    @rows(
        to_the_end=(LESSONS, "2026-11-23T10:00", "2026-11-23T15:30"),
        from_a_beginning=(LESSONS, "2026-11-23T08:30", "2026-11-23T15:30"),
        over_the_weekend=(LESSONS, "2026-11-27T15:30", "2026-11-30T08:30"),
        over_midnight=(WEEKEND_NIGHT, "2026-11-27T23:00", "2026-11-28T06:00"),
        into_holidays=(HOLIDAYS, "2026-12-18T12:00", "2026-12-19T00:00"),
        out_of_holidays=(HOLIDAYS, "2026-12-25T12:00", "2027-01-05T00:00"),
        end_of_term=(TERM, "2026-12-18T15:30", "2027-01-03T15:30"),
    )
    def test_next_change(self, hours, at, expected):
        """The next change is known to the second; after sixteen quiet days it has to be asked again."""
        self.assertEqual(hours.next_change(local(at)), local(expected))

    def test_spring(self):
        """A span inside the hour that is left out never holds; one around it begins and ends as shown."""
        inside = Hours(spans=parse_spans("01:15-01:45"), time_zone=LONDON)
        into = Hours(spans=parse_spans("01:30-02:30"), time_zone=LONDON)
        gap = datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp()
        self.assertFalse(any(inside.contains(gap + second) for second in range(-1800, 3600, 60)))
        self.assertEqual(into.next_change(gap - 3600), gap)
        self.assertEqual(into.next_change(gap), gap + 1800)

    def test_autumn(self):
        """Repeated minutes count both times."""
        hours = Hours(spans=parse_spans("01:00-01:30"), time_zone=LONDON)
        first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC).timestamp()
        seen = [hours.contains(first + minutes * 60) for minutes in (0, 29, 30, 59, 60, 89, 90)]
        self.assertEqual(seen, [True, True, False, False, True, True, False])
        self.assertEqual(hours.next_change(first + 1800), first + 3600)


_zones = st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
_spans = st.builds(Span, st.integers(0, 1439), st.integers(1, 1440)).filter(
    lambda span: span.start != span.end
)
_dates = st.builds(
    lambda day, length: Dates(day, day + timedelta(days=length)),
    st.dates(date(2026, 3, 1), date(2026, 11, 10)),
    st.integers(0, 10),
)
_plain = st.builds(
    Hours,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    spans=st.lists(_spans, max_size=3).map(tuple),
    time_zone=_zones.map(ZoneInfo),
    dates=st.one_of(st.just(()), st.lists(_dates, max_size=2).map(tuple)),
)
_hours = st.builds(
    lambda hours, except_: Hours(hours.days, hours.spans, hours.time_zone, hours.dates, except_),
    _plain,
    st.one_of(st.none(), _plain),
)
# Around both changes of the clock in London, New York and on Lord Howe Island, whole minutes.
_minutes = st.one_of(
    st.integers(29_500_000, 29_900_000),
    *(
        st.integers(-3_000, 3_000).map(lambda n, at=at: int(at.timestamp()) // 60 + n)
        for at in (
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            datetime(2026, 10, 25, 1, tzinfo=UTC),
            datetime(2026, 11, 1, 6, tzinfo=UTC),
            datetime(2026, 4, 4, 15, tzinfo=UTC),
        )
    ),
)


def slowly(hours, minute):
    """Whether hours contain a minute, read off the wall: walk back to where its span must have begun."""
    if hours.except_ is not None and slowly(hours.except_, minute):
        return False
    wall = datetime.fromtimestamp(minute * 60, hours.time_zone).replace(tzinfo=None)
    for day in (wall.date(), wall.date() - timedelta(days=1)):
        if day.weekday() not in hours.days:
            continue
        if hours.dates and not any(one.first <= day <= one.last for one in hours.dates):
            continue
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001
        for span in hours.spans or (Span(0, 1440),):
            length = span.end - span.start if span.end > span.start else span.end + 1440 - span.start
            begin = midnight + timedelta(minutes=span.start)
            if begin <= wall < begin + timedelta(minutes=length):
                return True
    return False


class HoursPropertyTests(SynchronousTestCase):
    """Against a walk over minutes."""

    @EXAMPLES
    @given(_hours, _minutes)
    def test_contains(self, hours, minute):
        """Every minute is in the hours exactly when the clock on the wall says so."""
        self.assertEqual(hours.contains(minute * 60), slowly(hours, minute))

    @EXAMPLES
    @given(_hours, _minutes, st.floats(0, 59))
    def test_next_change(self, hours, minute, seconds):
        """Until the next change the answer stays, and at the change it is the other one."""
        at = minute * 60 + seconds
        now = hours.contains(at)
        change = hours.next_change(at)
        self.assertGreater(change, at)
        last = min(change, at + 3 * 86_400)
        for step in range(minute + 1, int(last // 60) + 1, 7):
            if step * 60 < change:
                self.assertEqual(slowly(hours, step), now, datetime.fromtimestamp(step * 60, UTC))
        if change < at + 16 * 86_400:
            self.assertEqual(change % 60, 0)
            self.assertEqual(slowly(hours, int(change) // 60), not now)
            self.assertEqual(slowly(hours, int(change) // 60 - 1), now)


@tabular
class ParseTests(SynchronousTestCase):
    """What an administrator writes."""

    @rows(
        range=("mon-fri", {0, 1, 2, 3, 4}),
        one=("sat", {5}),
        wrapping=("fri-mon", {4, 5, 6, 0}),
        listed=("mon, wed", {0, 2}),
        sequence=(["sat", "sun"], {5, 6}),
        whole_names=("Monday-Wednesday", {0, 1, 2}),
    )
    def test_days(self, written, expected):
        """Days are names, ranges and lists of these."""
        self.assertEqual(parse_days(written), expected)

    @rows(
        one=("08:30-15:30", [Span(510, 930)]),
        several=("08:30-12:00, 13:00-15:30", [Span(510, 720), Span(780, 930)]),
        listed=(["8:30-12:00"], [Span(510, 720)]),
        whole_day=("00:00-24:00", [Span(0, 1440)]),
        over_midnight=("22:00-06:00", [Span(1320, 360)]),
        to_midnight=("22:00-00:00", [Span(1320, 1440)]),
    )
    def test_spans(self, written, expected):
        """Hours are one span or several."""
        self.assertEqual(list(parse_spans(written)), expected)

    @rows(
        day=(parse_days, "funday", "'funday' is no day"),
        half_range=(parse_days, "mon-", "'' is no day"),
        no_day=(parse_days, "", "no day is named"),
        letter=(parse_days, "s", "'s' is no day"),
        no_span=(parse_spans, "08:30", "is no span of hours"),
        empty_span=(parse_spans, "08:30-08:30", "ends when it starts"),
        bad_clock=(parse_spans, "08:61-09:00", "'08:61' is no time of day"),
        late=(parse_spans, "24:00-06:00", "'24:00' is no time of day"),
        past_midnight=(parse_spans, "20:00-24:01", "'24:01' is no time of day"),
        unicode_digits=(parse_spans, "٠٨:٣٠-09:00", "is no time of day"),
        no_hours=(parse_spans, [], "no hours are given"),
        date=(parse_dates, "2026-02-30", "'2026-02-30' is no date"),
        backwards=(parse_dates, "2027-01-04/2026-12-19", "ends before it starts"),
        time_zone=(parse_time_zone, "Europe/Hillside", "is no time zone"),
        time_zone_path=(parse_time_zone, "../../etc/passwd", "is no time zone"),
        instant=(lambda written: parse_instant(written, UTC), "tomorrow", "'tomorrow' is no time"),
    )
    def test_refused(self, parse, written, said):
        """What is wrong is said, with what to write instead."""
        error = self.assertRaises(ValueError, parse, written)
        self.assertIn(said, str(error))

    def test_instants(self):
        """A time without an offset is local, and the first of two that show the same."""
        self.assertEqual(parse_instant("2026-06-01T10:00", LONDON), local("2026-06-01T10:00"))
        self.assertEqual(parse_instant("2026-06-01T10:00+00:00", LONDON), local("2026-06-01T11:00"))
        self.assertEqual(
            parse_instant("2026-10-25T01:30", LONDON), datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
        )

    @EXAMPLES
    @given(st.text(max_size=12))
    def test_any_text(self, written):
        """Any text gives a value or a ValueError."""
        for parse in (
            parse_days,
            parse_spans,
            parse_dates,
            parse_time_zone,
            lambda text: parse_instant(text, UTC),
        ):
            try:
                parse(written)
            except ValueError as wrong:
                self.assertTrue(str(wrong))
