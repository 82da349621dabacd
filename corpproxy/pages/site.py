"""The site: what every page says about the organisation that runs the proxy."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from corpproxy.destination.model import Host

# The logo stands inside every page as a data: URI, a third longer than the file.
MAX_LOGO_OCTETS = 64 * 1024

LOGO_TYPES = frozenset({"image/svg+xml", "image/png"})


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask: each part may be empty, and then is not shown."""

    name: str = ""
    mail: str = ""
    telephone: str = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.mail or self.telephone)


@dataclass(frozen=True, slots=True)
class Logo:
    """
    The picture at the head of every page.

    ``uri`` is the picture as a ``data:`` URI (RFC 2397), so that a page needs nothing from elsewhere.  A
    browser runs no script of an SVG shown as an image.  ValueError for another media type or a picture
    past ``MAX_LOGO_OCTETS``.
    """

    media_type: str
    octets: bytes = field(repr=False)
    uri: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.media_type not in LOGO_TYPES:
            raise ValueError(f"a logo is {' or '.join(sorted(LOGO_TYPES))}, not {self.media_type!r}")
        if len(self.octets) > MAX_LOGO_OCTETS:
            raise ValueError(
                f"the logo has {len(self.octets)} octets, and at most {MAX_LOGO_OCTETS} fit on every page; "
                "save it smaller"
            )
        encoded = base64.b64encode(self.octets).decode("ascii")
        object.__setattr__(self, "uri", f"data:{self.media_type};base64,{encoded}")


@dataclass(frozen=True, slots=True)
class Site:
    """
    The organisation, as its pages name it.

    ``portal`` is the reserved name that the proxy answers itself; ``realm`` is what a browser shows when
    it asks for the password; times on pages are told in ``time_zone``.
    """

    name: str
    contact: Contact
    logo: Logo | None
    portal: Host
    realm: str = "corpproxy"
    time_zone: tzinfo = UTC

    @property
    def portal_uri(self) -> str:
        """The portal's start page."""
        return f"http://{self.portal.uri_host}/"
