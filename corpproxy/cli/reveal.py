"""``corpproxy audit reveal`` and ``audit keeper``: who stands behind a pseudonym, by two keepers' keys."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpproxy.audit.line import printable
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import end_moment, span
from corpproxy.cli.reload import add_service_arguments, asked
from corpproxy.cli.site import Site, site_of
from corpproxy.errors import CorpproxyError
from corpproxy.net.ask import ControlError
from corpproxy.policy.reasons import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

DESCRIPTION = (
    "Say who stands behind a pseudonym of the record. It takes the private keys of two keepers, a reason and "
    "an end. The record has it before it is shown, with the pseudonym and never with the name. Until its end "
    "it can be looked up again without the keys, which is recorded too; without a pseudonym, those that are "
    "revealed now are listed."
)
KEEPER = (
    "Make the key of a keeper: NAME.key, locked by a passphrase, for the keeper to take away, and NAME.pub, "
    "which the policy names. Any two keepers can resolve pseudonyms together, and none alone."
)
LEAST_PASSPHRASE = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add_service_arguments(parser)
    parser.add_argument(
        "pseudonym", nargs="?", metavar="PSEUDONYM", help="as the record has it: p-... or d-..."
    )
    add_key_argument(parser)
    parser.add_argument("--reason", metavar="TEXT", help="why, for the record; without the name")
    parser.add_argument("--until", metavar="WHEN", help="when it ends: a moment, or 2h, 7d from now")


def add_key_argument(parser: argparse.ArgumentParser) -> None:
    """Say how keepers bring their keys."""
    parser.add_argument(
        "--key",
        dest="keys",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the private key of a keeper; twice",
    )


def add_keeper_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.add_argument("name", metavar="NAME", help="of the keeper")
    parser.add_argument("--folder", type=Path, default=Path(), metavar="FOLDER", help="where the files go")


def run(options: argparse.Namespace) -> int:
    """Reveal one, or tell who is revealed; gives the exit status."""
    site = site_of(options, needed=True)
    try:
        if options.keys:
            _reveal(options, site)
        elif options.pseudonym:
            answer = asked(options, "revealed", pseudonym=options.pseudonym)
            print(
                printable(f"{options.pseudonym} is {answer['name']}, until {_clock(answer['until'], site)}")
            )
        else:
            _list(options, site)
    except ControlError as error:
        raise CommandFailed(error.message) from error
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    return 0


def _list(options: argparse.Namespace, site: Site) -> None:
    listed = asked(options, "revealed")["revealed"]
    for one in listed:
        until = _clock(one["until"], site)
        print(printable(f"{one['pseudonym']}  until {until}, by {one['by']}: {one['why']}"))
    if not listed:
        print("nobody is revealed")


def _reveal(options: argparse.Namespace, site: Site) -> None:
    if not (options.pseudonym and options.reason and options.until):
        raise CommandFailed("say whom, --reason and --until: the record has it", WRONG_USAGE)
    now = time.time()
    try:
        until = now + span(options.until)
    except ValueError:
        until = end_moment(options.until, now, site.zone)
    from corpproxy.audit.sealing import CannotOpen, fingerprint
    from corpproxy.backends.erasing.places import PSEUDONYMS_FOLDER
    from corpproxy.backends.records.pseudonym_files import resolved

    keys = private_keys(options.keys)
    wanted = options.pseudonym.strip().lower()
    try:
        found = list(resolved(site.state / PSEUDONYMS_FOLDER, keys, lambda one: one.pseudonym == wanted))
    except CannotOpen as error:
        raise CommandFailed(str(error)) from error
    if not found:
        raise CommandFailed(f"no table that these keys open has {wanted}")
    lock, entry, _ = found[0]
    mine = {fingerprint(key.public_key()) for key in keys}
    asked(
        options,
        "reveal",
        pseudonym=wanted,
        name=entry.name,
        until=until,
        why=options.reason,
        keepers=[name for print_, name in lock.keepers.items() if print_ in mine],
    )
    print(printable(f"{wanted} is {entry.name}, in the period {lock.period}"))


def private_keys(paths: Sequence[Path]) -> list[X25519PrivateKey]:
    """
    Read the private keys of keepers, each of whom types a passphrase.

    :raises CommandFailed: when one cannot be read.
    """
    from corpproxy.backends.records.pseudonym_files import private_keeper_key

    try:
        return [private_keeper_key(path, _passphrase(f"passphrase of {path}: ")) for path in paths]
    except CorpproxyError as error:
        raise CommandFailed(error.message) from error


def run_keeper(options: argparse.Namespace) -> int:
    """Make the key of a keeper; gives the exit status."""
    from corpproxy.backends.records.pseudonym_files import new_keeper

    private, public = (options.folder / f"{options.name}{ending}" for ending in (".key", ".pub"))
    for path in (private, public):
        if path.exists():
            raise CommandFailed(f"{path} is there already; whoever has it would lose what it opens")
    passphrase = _passphrase("a passphrase for the key: ")
    if len(passphrase) < LEAST_PASSPHRASE:
        raise CommandFailed(f"a passphrase has at least {LEAST_PASSPHRASE} characters", WRONG_USAGE)
    if _passphrase("once more: ") != passphrase:
        raise CommandFailed("the two are not the same", WRONG_USAGE)
    for path, octets, mode in zip((private, public), new_keeper(passphrase), (0o600, 0o644), strict=True):
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb"
        ) as file:
            file.write(octets)
    print(f"{private}: for {options.name} alone; take it away from this machine, and keep a copy of it")
    print(f"{public}: for the policy, under audit: pseudonyms: keepers:")
    return 0


def _passphrase(prompt: str) -> bytes:
    if sys.stdin.isatty():
        return getpass.getpass(prompt).encode()
    return sys.stdin.readline().rstrip("\n").encode()


def _clock(at: float, site: Site) -> str:
    return clock(at, site.zone)
