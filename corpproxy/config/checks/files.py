"""Files that the policy names: they are there, and secrets are not for everybody."""

from __future__ import annotations

from pathlib import Path as PathOfFile

from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path


def check(examined: Examined) -> None:
    """Say which files are missing or open to everybody."""
    identity = examined.model.identity
    for number, method in enumerate(identity.methods):
        path: Path = ("identity", "methods", number, "basic", "htpasswd")
        make = f"make it with 'corpproxy users add NAME', which writes {method.basic.htpasswd}"
        _secret(examined, path, method.basic.htpasswd, "nobody could sign in; " + make)
        if number:
            said = "people sign in against one htpasswd file; join this one with the first"
            examined.say(("identity", "methods", number), "second-htpasswd", said)
    for number, one in enumerate(examined.model.listen):
        if one.token is not None:
            make = "make it with 'openssl rand -hex 32', readable by the service alone"
            _secret(examined, ("listen", number, "token"), one.token, make)
    if identity.groups_file is not None and not examined.files.exists(examined.file(identity.groups_file)):
        said = f"there is no file '{identity.groups_file}'; until it is there nobody is in a group by it"
        examined.say(("identity", "groups_file"), "groups-file-missing", said, "warning")
    _lists(examined)


def _secret(examined: Examined, path: Path, written: str, advice: str) -> None:
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
        if not examined.files.exists(examined.file(one.path)):
            then = {
                "block": "until it is there, rules that block by its categories block everything",
                "ignore": "until it is there, its categories have no names",
            }[one.when_missing]
            examined.say(
                (*path, "path"), "list-missing", f"there is no file or folder '{one.path}'; {then}", "warning"
            )
