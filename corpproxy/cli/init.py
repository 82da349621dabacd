"""``corpproxy init``: a first site folder, with a policy that can be read, one user and a password."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.people.htpasswd_edit import set_password
from corpproxy.backends.people.passwords import generate_password
from corpproxy.cli.failed import CommandFailed

DESCRIPTION = (
    "Make a first site folder: a policy to read and edit, and one user whose password is printed once. "
    "What is there already is kept."
)

PRESETS = ("office", "primary-school", "secondary-school", "library")
# What presets were called before.
FORMER_NAMES = {"school": "secondary-school"}
POLICY_FILE = "policy.yaml"
PASSWORDS_FILE = "users.htpasswd"
STATE_FOLDER = "state"
FIRST_USER = "admin"
# All commands look for a policy here, too.
FOLDER = Path("site")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help=f"where to make it (default: {FOLDER})",
    )
    parser.add_argument(
        "--preset",
        type=lambda name: FORMER_NAMES.get(name, name),
        choices=PRESETS,
        default="office",
        help="the policy to begin with (default: office)",
    )
    parser.add_argument(
        "--user", default=FIRST_USER, metavar="NAME", help=f"the user (default: {FIRST_USER})"
    )
    parser.add_argument("--site", metavar="NAME", help="the name of the organisation, for pages")


def run(options: argparse.Namespace) -> int:
    """Make what is missing and say what was made; gives the exit code."""
    make_site(options.folder, options.preset, user=options.user, site=options.site)
    return 0


def make_site(
    folder: Path, preset_name: str = PRESETS[0], *, user: str = FIRST_USER, site: str | None = None
) -> str | None:
    """
    Make what is missing in a site folder and print what was made.

    Gives the password of the first user; None when there were users before.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise CommandFailed(f"{folder} is a file; name a folder") from None
    # Records and policies of people stand below: others on this machine have no business there.
    (folder / STATE_FOLDER).mkdir(mode=0o750, exist_ok=True)
    policy, passwords = folder / POLICY_FILE, folder / PASSWORDS_FILE
    if policy.exists():
        print(f"{policy} is kept as it is")
    else:
        replace_file(policy, preset(preset_name, site=site, user=user).encode())
        print(f"{policy} is the policy; 'corpproxy check {policy}' tells what is wrong with it after an edit")
    if passwords.exists():
        print(f"{passwords} is kept as it is; 'corpproxy users add NAME --policy {policy}' adds people")
        return None
    return _first_user(passwords, user, policy)


def _first_user(passwords: Path, name: str, policy: Path) -> str:
    password = generate_password()
    try:
        set_password(passwords, name, password)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    print(f"{passwords} has one user; the password is shown this once:")
    print(f"    user      {name}")
    print(f"    password  {password}")
    print(f"'corpproxy users passwd {name} --policy {policy}' changes it")
    return password


def preset(name: str, *, site: str | None = None, user: str = FIRST_USER) -> str:
    """The text of a policy to begin with: of this machine, in its time zone, with the first user in it."""
    text = resources.files("corpproxy.cli").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    text = text.replace("proxy.example.com:3128", f"{this_machine()}:3128")
    text = text.replace("time_zone: UTC", f"time_zone: {time_zone_name()}")
    if user != FIRST_USER:
        quoted = _quoted(user)
        text = text.replace("[admin]", f"[{quoted}]").replace("user: admin,", f"user: {quoted},")
    return text if site is None else _NAMED.sub(lambda found: f"{found[1]}: {_quoted(site)}", text)


# The lines of a preset that name the organisation.
_NAMED = re.compile(r"^( *(?:site|realm)): This .*$", re.MULTILINE)


def _quoted(text: str) -> str:
    return "'" + "".join(c if c.isprintable() else " " for c in text).replace("'", "''") + "'"


def time_zone_name() -> str:
    """The time zone of this machine; UTC when it does not say."""
    with contextlib.suppress(OSError, ValueError, ZoneInfoNotFoundError):
        name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
        if name:
            return ZoneInfo(name).key
    return "UTC"


def this_machine() -> str:
    """The name by which others reach this machine, or an address; localhost where it has neither."""
    name = socket.getfqdn()
    if "." in name and not name.startswith("localhost") and not name.endswith(".arpa"):
        return name
    return _own_address() or "localhost"


def _own_address() -> str:
    """The address that this machine would use to reach others; nothing is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("192.0.2.1", 9))
            return str(unsent.getsockname()[0])
        except OSError:
            return ""
