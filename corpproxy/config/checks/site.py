"""The tables about the site: time zone, PAC file, logo."""

from __future__ import annotations

from pathlib import PurePath

from corpproxy.config.checks.examined import Examined
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
