"""The sinks of the record: each has what its kind needs, and nothing that its kind does not read."""

from __future__ import annotations

from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import urlsplit

from corpproxy.audit.formats.template import FIELDS, BadTemplate, Template
from corpproxy.audit.sinks import SinkKind
from corpproxy.config.checks.examined import Examined
from corpproxy.config.checks.files import secret
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import Path
from corpproxy.config.schema.sinks import SinkTable

_FORMATTED = frozenset({SinkKind.SYSLOG, SinkKind.HTTP, SinkKind.FILE})
_OVER_TLS = frozenset({SinkKind.SYSLOG, SinkKind.HTTP, SinkKind.POSTGRESQL, SinkKind.MAIL})

# The fields that only some kinds read.
_READ_BY: dict[str, frozenset[SinkKind]] = {
    "format": _FORMATTED,
    "template": _FORMATTED,
    "authorities": _OVER_TLS,
    "certificate": _OVER_TLS,
    "key": _OVER_TLS,
    "token": frozenset({SinkKind.HTTP}),
    "user": frozenset({SinkKind.MAIL}),
    "password": frozenset({SinkKind.POSTGRESQL, SinkKind.MAIL}),
    "through": frozenset({SinkKind.MAIL}),
    "sender": frozenset({SinkKind.MAIL}),
    "compress": frozenset({SinkKind.HTTP}),
}


def check(examined: Examined) -> None:
    """Say what is wrong with the sinks."""
    seen: set[str] = set()
    named = set(examined.model.audit.checkpoints_to)
    for number, one in enumerate(examined.model.audit.to):
        path: Path = ("audit", "to", number)
        if one.name in seen:
            said = f"there is a sink '{one.name}' already; the log and the metrics tell them apart by name"
            examined.say((*path, "name"), "duplicate-name", said)
        seen.add(one.name)
        if not examined.shaped.is_damaged(path):
            _one(examined, path, one, has_checkpoints=one.name in named)
    _checkpoints(examined)


def _one(examined: Examined, path: Path, one: SinkTable, *, has_checkpoints: bool) -> None:
    kind = one.kind
    for name, kinds in _READ_BY.items():
        if getattr(one, name) is not None and kind not in kinds:
            said = f"'{name}' says nothing about {kind.value}; leave it out"
            examined.say_of_key((*path, name), "needless-field", said, "warning")
    _files(examined, path, one)
    _template(examined, path, one)
    _kind(examined, path, one)
    if one.records is False and not has_checkpoints:
        said = f"'{one.name}' gets nothing at all; name it in 'checkpoints_to', or take it out"
        examined.say((*path, "records"), "not-used", said, "warning")


def _kind(examined: Examined, path: Path, one: SinkTable) -> None:
    kind = one.kind
    if kind is SinkKind.MAIL:
        if one.through is None:
            said = f"'{one.name}' needs 'through', the mail server, as smtps://mail.school.example"
            examined.say(path, "bad-sink", said)
        if one.name not in examined.model.audit.checkpoints_to:
            said = f"nothing goes to '{one.name}'; mail takes checkpoints: name it in 'checkpoints_to'"
            examined.say((*path, "mail"), "not-used", said, "warning")
    if kind is SinkKind.POSTGRESQL and find_spec("psycopg") is None:
        said = "PostgreSQL needs a library; install it with: pip install 'corpproxy[postgresql]'"
        examined.say((*path, "postgresql"), "library-missing", said)
    address = getattr(one, kind.value)
    if kind in (SinkKind.SYSLOG, SinkKind.HTTP) and urlsplit(address).scheme in ("tcp", "http"):
        if not _is_loopback(urlsplit(address).hostname or ""):
            said = f"everybody on the way reads what goes to '{address}'; write {_safe(kind)} if it can"
            examined.say((*path, kind.value), "not-encrypted", said, "warning")
        if one.token is not None and not _is_loopback(urlsplit(address).hostname or ""):
            said = f"'{address}' would show the token to everybody on the way; write https://"
            examined.say((*path, "token"), "not-encrypted", said)
    if one.key is not None and one.certificate is None:
        examined.say((*path, "key"), "bad-sink", "a key is nothing without its 'certificate'")


def _files(examined: Examined, path: Path, one: SinkTable) -> None:
    for name, advice in (
        ("token", "write the token of the collector into it, readable by the service alone"),
        ("password", "write the password into it, readable by the service alone"),
        ("key", "it is the key of our certificate, readable by the service alone"),
    ):
        written = getattr(one, name)
        if written is not None:
            secret(examined, (*path, name), written, advice)
    for name in ("authorities", "certificate"):
        written = getattr(one, name)
        if written is not None and not examined.files.exists(examined.file(written)):
            said = f"there is no file '{written}'; without it no connection to '{one.name}' can be made"
            examined.say((*path, name), "secret-missing", said)


def _template(examined: Examined, path: Path, one: SinkTable) -> None:
    if one.template is None:
        return
    if one.format is not None:
        said = "'template' is a format already; leave 'format' out"
        examined.say_of_key((*path, "format"), "needless-field", said, "warning")
    try:
        Template.parse(one.template)
    except BadTemplate as error:
        near = did_you_mean(error.unknown, FIELDS) if error.unknown else ""
        examined.say((*path, "template"), "bad-template", f"{error}{near}")


def _checkpoints(examined: Examined) -> None:
    kinds = {one.name: one.kind for one in examined.model.audit.to}
    for number, name in enumerate(examined.model.audit.checkpoints_to):
        if kinds.get(name) is SinkKind.FILE:
            said = f"'{name}' is a file of records; for checkpoints name a folder"
            examined.say(("audit", "checkpoints_to", number), "bad-sink", said)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _safe(kind: SinkKind) -> str:
    return "tls://" if kind is SinkKind.SYSLOG else "https://"
