"""
The confirmed warning: the form on a warn page, and the grant it makes when it comes back.

The form is sealed for one person and one host; who opens it again compares the person.  A page elsewhere can
neither make one nor use that of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from corpproxy.destination.model import Destination
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import Grant, grantee
from corpproxy.identity.model import Identity

Seal = Callable[[str, Mapping[str, str], float], str]
Unseal = Callable[[str, str, float], dict[str, str]]

PURPOSE = "confirm-warning"

# How long a form may lie open before it is sent: a lesson, a meeting.
FORM_SECONDS = 2 * 3600

# How long a confirmed warning lasts where its rule does not say: a lesson, a meeting.
DEFAULT_SECONDS = 3600

# A target beyond this is not kept in the form; the person then comes to the start page of the site.
MAX_URI_CHARACTERS = 1500

# Everything that may stand in a URI (RFC 3986, section 2) stays; what is left becomes percent-encoded.
_URI_CHARACTERS = "!#$%&'()*+,/:;=?@[]-._~"


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning that a person may confirm: who, which host, past which rule, how long, the way back."""

    who: str
    host: str
    rule: str
    seconds: int
    uri: str


def warned(identity: Identity, client: str, destination: Destination, rule: str, warn_seconds: int) -> Warned:
    """Give the warning about a destination to this person; 0 seconds is the default life."""
    seconds = warn_seconds or DEFAULT_SECONDS
    return Warned(grantee(identity, client), destination.host.name, rule, seconds, way_back(destination))


def way_back(destination: Destination) -> str:
    """Give the URI that a person comes back to; of a tunnel it is the site's start page."""
    uri = destination.uri
    if not destination.path:
        port = (
            ""
            if destination.port == (443 if destination.scheme == "https" else 80)
            else f":{destination.port}"
        )
        uri = f"{destination.scheme}://{destination.host.uri_host}{port}/"
    uri = as_uri(uri)
    if len(uri) > MAX_URI_CHARACTERS:
        uri = f"{destination.scheme}://{destination.uri.split('/')[2]}/"
    return uri


def as_uri(written: str) -> str:
    """Make a URI that can stand in a field: what may not stand in one is percent-encoded."""
    return quote(written, safe=_URI_CHARACTERS, errors="replace")


def seal_warning(seal: Seal, warning: Warned, now: float) -> str:
    """Give the token that confirms a warning, for the form."""
    values = {
        "who": warning.who,
        "host": warning.host,
        "rule": warning.rule,
        "seconds": str(warning.seconds),
        "uri": warning.uri,
    }
    return seal(PURPOSE, values, now + FORM_SECONDS)


def open_warning(unseal: Unseal, token: str, identity: Identity, client: str, now: float) -> Warned:
    """Give the warning behind a token; `BadForm` when it is forged, too old, or somebody else's."""
    values = unseal(PURPOSE, token, now)
    if values.get("who") != grantee(identity, client):
        raise BadForm("form-forged", "the form was shown to somebody else")
    try:
        return Warned(values["who"], values["host"], values["rule"], int(values["seconds"]), values["uri"])
    except (KeyError, ValueError):
        raise BadForm("form-forged", "the form is not one of a warning") from None


def grant_for(warning: Warned, now: float, id: str) -> Grant:
    """Give the grant that a confirmed warning makes; ``id`` is the reference of the confirmation."""
    return Grant(
        who=warning.who,
        host=warning.host,
        rule=warning.rule,
        until=now + warning.seconds,
        given_by=warning.who,
        why="warning confirmed",
        id=id,
        since=now,
    )
