"""
What of a request may stand in the record.

A record is kept long and read by several people; what opens a door elsewhere must not be in
it.  Queries are left out unless the policy asks for them, and even then the values of well-known
secrets are blanked; so are session names that old servers put into the path.  Credentials, cookies and
the user part of a URI have no field in the record at all.
"""

from __future__ import annotations

import re

from corpproxy.audit.settings import AuditSettings

# A path of 64 KiB is allowed on the wire, but nobody reads it in a log.
MAX_PATH = 2048
MAX_AGENT = 300
# The longest method in use has seventeen letters; a token may have thousands.
MAX_METHOD = 64

BLANK = "***"

# Names whose values open doors: OAuth 2.0 and OpenID Connect answers, signed links, session names, sign-ins.
_SECRETS = (
    "access_token|id_token|refresh_token|token|code|assertion|client_secret|secret|password|passwd|pass|pwd|"
    "api_?key|key|sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-signature|auth|session|"
    "session_?id|sid|jsessionid|phpsessid|otp|ticket|samlresponse"
)
_IN_QUERY = re.compile(rf"(?i)(?<=[?&;])({_SECRETS})=[^&;]*")
_IN_PATH = re.compile(r"(?i);(jsessionid|phpsessid|sid|session_?id)=[^/?;]*")


# By whether a query and whether the User-Agent was left out.
_LEFT_OUT: dict[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): (),
    (True, False): ("query",),
    (False, True): ("agent",),
    (True, True): ("query", "agent"),
}


def recorded_path(path: str, settings: AuditSettings) -> str:
    """Give what the record keeps of a path and query; ``path`` is as it was sent, a fragment is dropped."""
    path = path.partition("#")[0]
    bare, mark, query = path.partition("?")
    if ";" in bare:
        bare = _IN_PATH.sub(rf";\1={BLANK}", bare)
    if mark and settings.query:
        bare += _IN_QUERY.sub(rf"\1={BLANK}", "?" + query)
    return shortened(bare, MAX_PATH)


def left_out(path: str, settings: AuditSettings) -> tuple[str, ...]:
    """
    Name what rules may read and the record keeps out of it altogether, so that nobody takes it for absent.

    What was cut or blanked shows in the text itself.
    """
    return _LEFT_OUT["?" in path and not settings.query, not settings.user_agent]


def recorded_agent(agent: bytes, settings: AuditSettings) -> str:
    """Give what the record keeps of a User-Agent."""
    return shortened(wire_text(agent), MAX_AGENT) if settings.user_agent else ""


def recorded_method(method: bytes) -> str:
    """Give what the record keeps of a method."""
    return shortened(wire_text(method), MAX_METHOD)


def wire_text(octets: bytes) -> str:
    """Make text of octets from the wire: UTF-8 where they are, the others spelled out as ``\\xff``."""
    return octets.decode("utf-8", "backslashreplace")


def shortened(text: str, length: int) -> str:
    """Cut a text that is longer than ``length``; an ellipsis shows it."""
    return text if len(text) <= length else text[: length - 1] + "…"
