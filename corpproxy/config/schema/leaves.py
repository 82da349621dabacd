"""
What a single value may be: switches, numbers, durations, sizes, words, addresses.

YAML's own ideas about values are not used; a field says here how its text is read, how its default is
written in the manual, and what an editor may take (JSON Schema).  What a reader says when it refuses
follows the name of the field: "'drain' wants a duration ...".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from corpproxy.config.nearest import did_you_mean
from corpproxy.policy.days import DAY_BEGINS_STEP, LATEST_DAY_BEGINS, clock_text


def wrong(code: str, said: str) -> PydanticCustomError:
    """The refusal of a value; ``said`` goes on after the name of the field."""
    return PydanticCustomError(code, "{said}", {"said": said})


def told(code: str, said: str) -> PydanticCustomError:
    """The refusal of a value in a sentence that needs no name of a field before it."""
    return PydanticCustomError(code, "{said}", {"said": said, "whole": True})


def parsed(name: str, parse: Callable[[str], Any], code: str, write: Callable[[Any], str] = str) -> Leaf:
    """A leaf that another part reads: ``parse`` raises ValueError with a sentence that says what is wrong."""

    def read(written: str) -> Any:
        try:
            return parse(written)
        except ValueError as error:
            raise told(code, str(error)) from None

    return Leaf(name, read, {"type": ["string", "number", "boolean"]}, write)


def asked_text(written: object) -> str:
    """The text of a value, or the refusal of what is a table, a list or nothing."""
    if isinstance(written, str):
        return written
    if written is None:
        raise wrong("empty-value", "has no value; write one, or leave the line out")
    raise wrong(
        "wrong-kind", f"wants a single value, not a {'list' if isinstance(written, list) else 'table'}"
    )


@dataclass(frozen=True, eq=False)
class Leaf:
    """
    One kind of value.

    ``name`` is what the manual calls it, ``read`` takes the text as written or raises ``wrong(...)``,
    ``write`` is its inverse for defaults, ``schema`` is its JSON Schema.
    """

    name: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    write: Callable[[Any], str] = str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda written: self.read(asked_text(written)))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def _text(written: str) -> str:
    # Control characters other than line breaks cannot come this far; an empty text says nothing.
    if not written.strip():
        raise wrong("empty-value", "is empty; write a text, or leave the line out")
    return written.strip()


# Unquoted, an editor takes 1234 or no for a number or a switch; here they are the texts they look like.
Text = Annotated[str, Leaf("text", _text, {"type": ["string", "number", "boolean"]})]

_SWITCH = {"yes": True, "true": True, "no": False, "false": False}


def _switch(written: str) -> bool:
    value = _SWITCH.get(written.lower())
    if value is None:
        raise wrong("not-a-switch", f"is a switch: write yes or no, not '{written}'")
    return value


Switch = Annotated[
    bool,
    Leaf("yes or no", _switch, {"enum": [True, False, "yes", "no"]}, lambda value: "yes" if value else "no"),
]


def _number(written: str) -> int:
    # Python reads digits of other scripts too, and int() of a very long text is slow.
    if not re.fullmatch("[0-9]{1,15}", written):
        raise wrong("not-a-number", f"wants a whole number, not '{written}'")
    return int(written)


Number = Annotated[int, Leaf("number", _number, {"type": "integer", "minimum": 0})]


def _positive(written: str) -> int:
    number = _number(written)
    if not number:
        raise wrong("out-of-range", "wants a number of at least 1")
    return number


Positive = Annotated[int, Leaf("number from 1", _positive, {"type": "integer", "minimum": 1})]


def _port(written: str) -> int:
    number = _number(written)
    if not 1 <= number <= 65535:
        raise wrong("out-of-range", f"wants a port from 1 to 65535, not {written}")
    return number


Port = Annotated[int, Leaf("port", _port, {"type": "integer", "minimum": 1, "maximum": 65535})]

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def _duration(written: str) -> float:
    match = _DURATION.fullmatch(written)
    if not match:
        raise wrong("not-a-duration", f"wants a duration such as 30s, 10m, 2h or 1d, not '{written}'")
    if not int(match[1]):
        raise wrong("out-of-range", "wants a duration of more than nothing")
    return int(match[1]) * _SECONDS[match[2]]


def duration_text(seconds: float) -> str:
    """A duration as it is written in the policy: in the largest unit that divides it."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


Duration = Annotated[
    float, Leaf("duration", _duration, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}, duration_text)
]

# Months are of several lengths, and ``m`` are minutes; a year is 365 days.
_DAYS = {"d": 1, "w": 7, "y": 365}
_AGE = re.compile(r"([0-9]{1,5})(d|w|y)")


def _age(written: str) -> float:
    match = _AGE.fullmatch(written)
    if not match:
        raise wrong(
            "not-an-age", f"wants an age in days, weeks or years such as 7d, 12w or 2y, not '{written}'"
        )
    if not int(match[1]):
        raise wrong("out-of-range", "wants an age of at least a day")
    return float(int(match[1]) * _DAYS[match[2]] * _SECONDS["d"])


Age = Annotated[float, Leaf("age", _age, {"type": "string", "pattern": f"^{_AGE.pattern}$"}, duration_text)]

# What somebody lets somebody else through for; what is to last is an exception, which has an owner.
_WITHIN_A_DAY = (60.0, 86_400.0)


def _within_a_day(written: str) -> float:
    seconds = _duration(written)
    least, most = _WITHIN_A_DAY
    if not least <= seconds <= most:
        raise wrong(
            "out-of-range", f"wants a duration from 1m to 1d, not {written}; 'exceptions:' may last longer"
        )
    return seconds


WithinADay = Annotated[
    float,
    Leaf(
        "duration from 1m to 1d",
        _within_a_day,
        {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
        duration_text,
    ),
]

_OCTETS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# A space may stand before the unit, as it does where sizes are shown: what is shown can be written.
_SIZE = re.compile(r"([0-9]{1,9})(?: ?(KiB|MiB|GiB|TiB))?")


def _size(written: str) -> int:
    octets = _size_or_none(written)
    if not octets:
        raise wrong("out-of-range", "wants a size of more than nothing")
    return octets


def _size_or_none(written: str) -> int:
    match = _SIZE.fullmatch(written)
    if not match:
        raise wrong("not-a-size", f"wants a size in octets such as 64KiB, 10MiB or 2GiB, not '{written}'")
    return int(match[1]) * _OCTETS[match[2] or ""]


def size_text(octets: int) -> str:
    """A size as it is written in the policy: in the largest unit that divides it."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if octets >= _OCTETS[unit] and octets % _OCTETS[unit] == 0:
            return f"{octets // _OCTETS[unit]}{unit}"
    return str(octets)


_SIZE_SCHEMA = {"type": ["string", "integer"], "pattern": f"^{_SIZE.pattern}$"}
Size = Annotated[int, Leaf("size", _size, _SIZE_SCHEMA, size_text)]
SizeOrNone = Annotated[int, Leaf("size, or 0", _size_or_none, _SIZE_SCHEMA, size_text)]


def parse_network(written: str) -> IPv4Network | IPv6Network:
    """Read an address or a network; raises ValueError with what is wrong, to follow the name of a field."""
    try:
        return ip_network(written)
    except ValueError:
        pass
    try:
        meant = ip_network(written, strict=False)
    except ValueError:
        raise ValueError(f"wants an address or a network such as 10.1.4.0/24, not '{written}'") from None
    raise ValueError(f"has bits behind its prefix: '{written}'; did you mean '{meant}'?")


def words(known: type[enum.StrEnum] | tuple[str, ...], name: str = "") -> Leaf:
    """A leaf that takes one of a few words: the values of an enumeration, or texts."""
    meanings = {str(word): word for word in known}

    def read(written: str) -> Any:
        if written not in meanings:
            said = f"wants one of {', '.join(meanings)}, not '{written}'"
            raise wrong("unknown-word", said + did_you_mean(written, meanings))
        return meanings[written]

    return Leaf(name or " | ".join(meanings), read, {"enum": list(meanings)})


def _time_zone(written: str) -> ZoneInfo:
    try:
        return ZoneInfo(written)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        near = did_you_mean(written, available_timezones())
        said = f"wants a time zone such as Europe/London, not '{written}'{near}"
        raise wrong("unknown-time-zone", said) from None


TimeZone = Annotated[ZoneInfo, Leaf("time zone", _time_zone, {"type": "string"}, lambda zone: str(zone.key))]

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _clock(written: str) -> int:
    match = _CLOCK.fullmatch(written)
    if match is None:
        raise wrong("not-a-time", f"wants a time of day such as 04:00, not '{written}'")
    minutes = int(match[1]) * 60 + int(match[2])
    if minutes > LATEST_DAY_BEGINS or minutes % DAY_BEGINS_STEP:
        latest = clock_text(LATEST_DAY_BEGINS)
        said = f"wants a quarter of an hour from 00:00 to {latest}, not '{written}'"
        raise wrong("out-of-range", said)
    return minutes


Clock = Annotated[
    int, Leaf("time of day", _clock, {"type": "string", "pattern": f"^{_CLOCK.pattern}$"}, clock_text)
]

_T = TypeVar("_T")


class _OneOrMany:
    """One value where a list may stand: ``category: games`` is ``category: [games]``."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


def _listed(written: object) -> object:
    return [written] if isinstance(written, str) else written


OneOrMany = Annotated[list[_T], _OneOrMany(), BeforeValidator(_listed)]
