"""Calendars: they do not stand on themselves, their files can be read, and something is in them."""

from __future__ import annotations

from collections.abc import Iterator

from corpproxy.config.build_rules import MAX_ABOVE, Rules
from corpproxy.config.checks.conditions import each_time
from corpproxy.config.checks.examined import Examined
from corpproxy.config.icalendar_file import EventsFile
from corpproxy.config.nodes import Path
from corpproxy.config.schema.conditions import CalendarTable


def check(examined: Examined) -> None:
    """Say which calendars cannot be worked out."""
    told: set[str] = set()
    is_whole = True
    for path, time in each_time(examined):
        if time.events and time.file is None:
            said = "'events' chooses from the events of a file; write 'file: calendar.ics' beside it"
            examined.say_of_key((*path, "events"), "needless-field", said)
        if time.file is None:
            continue
        events = examined.attached.events(time.file)
        is_whole = is_whole and events is not None and not events.problems
        if events is not None and time.file not in told:
            told.add(time.file)
            examined.problems += events.problems
        if events is not None and not events.problems:
            _wanted(examined, path, time, events)
    # With a calendar that cannot be read, what stands on it cannot be told from what stands on itself.
    if is_whole:
        _circles(examined)


def _wanted(examined: Examined, path: Path, time: CalendarTable, events: EventsFile) -> None:
    summaries = events.summaries
    for number, word in enumerate(time.events):
        if not any(word.lower() in summary for summary in summaries):
            said = f"no event of '{time.file}' has '{word}' in its summary or a category"
            examined.say((*path, "events", number), "no-event", said, "warning")
    if not summaries:
        said = f"'{time.file}' has no events, so that this time never comes"
        examined.say((*path, "file"), "no-event", said, "warning")


def _circles(examined: Examined) -> None:
    rules = Rules(examined.model, examined.shaped.root, examined.attached)
    for name, path in _standing_on_themselves(examined, rules):
        said = f"'{name}' stands on itself, or on more than {MAX_ABOVE} others"
        examined.say(path, "calendar-circle", said)


def _standing_on_themselves(examined: Examined, rules: Rules) -> Iterator[tuple[str, Path]]:
    """The calendars that stand on themselves or on too many, each where it names the next one."""
    known = examined.names_in(("calendars",))
    named = [
        (path, number, name)
        for path, time in each_time(examined)
        for number, name in enumerate(time.calendar)
    ]
    if not all(name in known for _, _, name in named):
        return  # what stands on a calendar that is not there is told already
    for path, number, name in named:
        if path[0] == "calendars" and rules.hours(name, (str(path[1]),)) is None:
            yield str(path[1]), (*path, "calendar", number)
