"""Files that the policy names: they are there, and secrets are not for everybody."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path as PathOfFile
from urllib.parse import urlsplit

from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path
from corpproxy.config.schema.categories import ListTable


def check(examined: Examined) -> None:
    """Say which files are missing or open to everybody."""
    identity = examined.model.identity
    for number, method in enumerate(identity.methods):
        path: Path = ("identity", "methods", number, "basic", "htpasswd")
        make = f"make it with 'corpproxy users add NAME', which writes {method.basic.htpasswd}"
        secret(examined, path, method.basic.htpasswd, "nobody could sign in; " + make)
        if number:
            said = "people sign in against one htpasswd file; join this one with the first"
            examined.say(("identity", "methods", number), "second-htpasswd", said)
    for number, one in enumerate(examined.model.listen):
        if one.token is not None:
            make = "make it with 'openssl rand -hex 32', readable by the service alone"
            secret(examined, ("listen", number, "token"), one.token, make)
    if identity.groups_file is not None and not examined.files.exists(examined.file(identity.groups_file)):
        said = f"there is no file '{identity.groups_file}'; until it is there nobody is in a group by it"
        examined.say(("identity", "groups_file"), "groups-file-missing", said, "warning")
    _lists(examined)


def secret(examined: Examined, path: Path, written: str, advice: str) -> None:
    """Say when a file with a secret is missing, or open to everybody."""
    file = examined.file(written)
    if not examined.files.exists(file):
        examined.say(path, "secret-missing", f"there is no file '{written}': {advice}")
    elif examined.files.is_open_to_all(file) and _says_something(examined, file):
        said = f"everybody on this machine may read '{written}'; run: chmod o-rwx {file}"
        examined.say(path, "secret-open-to-all", said)


def _says_something(examined: Examined, file: PathOfFile) -> bool:
    """Whether there is a secret in a file: a line that is no comment."""
    try:
        lines = examined.files.read(file).splitlines()
    except OSError:
        return True
    return any(line.strip() and not line.strip().startswith(b"#") for line in lines)


def _lists(examined: Examined) -> None:
    seen: set[str] = set()
    for number, one in enumerate(examined.model.categories.lists):
        path: Path = ("categories", "lists", number)
        if one.name in seen:
            said = f"there is a list '{one.name}' already; records need to tell them apart"
            examined.say((*path, "name"), "duplicate-name", said)
        seen.add(one.name)
        if examined.shaped.is_damaged(path):
            # What follows from a value that was refused would only hide it.
            continue
        if bool(one.path) == bool(one.url):
            said = (
                "a list has either 'path', where somebody else brings it, or 'url', where it is fetched from"
            )
            examined.say(path, "one-source", f"'{one.name}': {said}")
        elif one.path:
            _brought(examined, path, one)
        else:
            _fetched(examined, path, one)
    authorities = examined.model.categories.fetch.authorities
    if authorities is not None and not examined.files.exists(examined.file(authorities)):
        said = f"there is no file '{authorities}'; without it no list can be fetched over https"
        examined.say(("categories", "fetch", "authorities"), "list-missing", said, "warning")


def _brought(examined: Examined, path: Path, one: ListTable) -> None:
    """A list that somebody else brings is there, and has no field about fetching."""
    if not examined.files.exists(examined.file(one.path or "")):
        then = {
            "block": "until it is there, rules that block by its categories block everything",
            "ignore": "until it is there, its categories have no names",
        }[one.when_missing]
        said = f"there is no file or folder '{one.path}'; {then}"
        examined.say((*path, "path"), "list-missing", said, "warning")
    for name in sorted(one.model_fields_set & _OF_FETCHED):
        said = f"'{name}' is for a list that the service fetches; give it a 'url', or take this away"
        examined.say((*path, name), "not-fetched", said)


_OF_FETCHED = {"stale", "checksum", "signature", "public_key", "size", "keep", "brake"}


def _is_here(url: str) -> bool:
    """Whether a URL leads to this machine: nobody is on the way there."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fetched(examined: Examined, path: Path, one: ListTable) -> None:
    """A list that is fetched can be proved where it says so, and should be where anybody could change it."""
    if (one.signature is None) != (one.public_key is None):
        said = "'signature' and 'public_key' belong together: neither proves anything alone"
        name = "public_key" if one.signature is None else "signature"
        examined.say((*path, name), "signature-without-key", said)
    is_digest = one.checksum is not None and "://" not in one.checksum
    is_proved = one.signature is not None or is_digest
    for number, url in enumerate(one.url):
        if url.startswith("http:") and not is_proved and not _is_here(url):
            said = "anybody on the way can change what comes over plain http; use https, or a signature"
            examined.say((*path, "url", number), "not-proved", said, "warning")
