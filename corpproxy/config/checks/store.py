"""The store: its files are there, and secrets are for nobody else."""

from __future__ import annotations

from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from corpproxy.config.checks.examined import Examined
from corpproxy.config.checks.files import secret
from corpproxy.config.schema.store import StoreTable

_OF_DATABASE = ("password", "authorities", "certificate", "key", "spool")
# What libpq calls a connection that nobody on the way can read.
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})


def check(examined: Examined) -> None:
    """Say what is wrong with the store."""
    store = examined.model.store
    if examined.shaped.is_damaged(("store",)):
        return
    if not store.is_shared:
        for name in _OF_DATABASE:
            if getattr(store, name) is not None:
                said = f"'{name}' says nothing about a file; leave it out"
                examined.say_of_key(("store", name), "needless-field", said, "warning")
        return
    _files(examined, store)
    if find_spec("psycopg") is None:
        said = "PostgreSQL needs a library; install it with: pip install 'corpproxy[postgresql]'"
        examined.say(("store", "at"), "library-missing", said)
    if not _is_safe(store):
        said = (
            "everybody on the way to the database may read who went where; name its 'authorities', "
            "or add ?sslmode=require to the address"
        )
        examined.say(("store", "at"), "not-encrypted", said, "warning")


def _files(examined: Examined, store: StoreTable) -> None:
    for name, advice in (
        ("password", "write the password into it, readable by the service alone"),
        ("key", "it is the key of our certificate, readable by the service alone"),
    ):
        written = getattr(store, name)
        if written is not None:
            secret(examined, ("store", name), written, advice)
    for name in ("authorities", "certificate"):
        written = getattr(store, name)
        if written is not None and not examined.files.exists(examined.file(written)):
            said = f"there is no file '{written}'; without it no connection to the database can be made"
            examined.say(("store", name), "secret-missing", said)
    if (store.key is None) != (store.certificate is None):
        name = "certificate" if store.key is None else "key"
        said = "'certificate' and 'key' belong together: neither is anything alone"
        examined.say(("store", name), "bad-store", said)


def _is_safe(store: StoreTable) -> bool:
    parts = urlsplit(store.at)
    if store.authorities is not None or _is_here(parts.hostname or ""):
        return True
    mode = parse_qs(parts.query).get("sslmode", [""])[-1]
    host = parse_qs(parts.query).get("host", [""])[-1]
    return mode in _ENCRYPTED or host.startswith("/")


def _is_here(host: str) -> bool:
    """Whether it is this machine: without a host it is its own socket."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.startswith("%2f")
