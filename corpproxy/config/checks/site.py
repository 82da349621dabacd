"""The tables about the site: time zone, PAC file, logo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from corpproxy.config.build_rules import MAX_ABOVE, Rules
from corpproxy.config.checks.conditions import each_time
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.pages.site import Logo


def check(examined: Examined) -> None:
    """Say what does not fit together."""
    model = examined.model
    is_local = model.time_zone is not None or all(one.time_zone for one in model.calendars.values())
    if not is_local:
        said = "hours are read as UTC; write 'time_zone: Europe/London', or where you are"
        examined.say_of_key(("calendars",), "no-time-zone", said, "warning")
    if model.pac is not None and not any(one.portal for one in model.listen):
        said = "no listener serves the PAC file; write one with 'portal: 0.0.0.0:8080' below 'listen:'"
        examined.say_of_key(("pac",), "pac-not-served", said, "warning")
    _logo(examined)
    _names(examined)
    _times(examined)


_MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def read_logo(examined: Examined) -> Logo | None:
    """Read the logo; None where there is none or it cannot be shown, which `check` has told."""
    written = examined.model.logo
    if written is None:
        return None
    media_type = _MEDIA_TYPES.get(PurePath(written).suffix.lower(), "")
    try:
        return Logo(media_type, examined.files.read(examined.file(written)))
    except (OSError, ValueError):
        return None


def _logo(examined: Examined) -> None:
    written = examined.model.logo
    if written is None:
        return
    media_type = _MEDIA_TYPES.get(PurePath(written).suffix.lower(), "")
    if not media_type:
        said = f"'logo' wants an .svg or .png file, not '{written}'"
        examined.say(("logo",), "bad-logo", said)
        return
    try:
        Logo(media_type, examined.files.read(examined.file(written)))
    except OSError as error:
        said = f"cannot read '{written}': {error.strerror or error}; pages are shown without it"
        examined.say(("logo",), "logo-missing", said, "warning")
    except ValueError as error:
        examined.say(("logo",), "bad-logo", str(error))


def _names(examined: Examined) -> None:
    """Host names that are keys, which no field reads."""
    names = examined.model.names
    for table, hosts in (("domains", names.domains), ("hosts", names.hosts)):
        for name in hosts:
            try:
                normal_host(name)
            except ProtocolError as error:
                examined.say_of_key(
                    ("names", table, name), "bad-host", f"'{name}' is no host name: {error.message}"
                )


def _times(examined: Examined) -> None:
    """Calendars that stand on themselves."""
    rules = Rules(examined.model, examined.shaped.root, examined.attached)
    for name, path in _circles(examined, rules):
        said = f"'{name}' stands on itself, or on more than {MAX_ABOVE} others"
        examined.say(path, "calendar-circle", said)


def _circles(examined: Examined, rules: Rules) -> Iterator[tuple[str, Path]]:
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
