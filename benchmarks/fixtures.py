"""What every proxy is given: people with passwords, a list of domains, files to fetch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

USERS = 2_000
DOMAINS = 1_000_000
# One user in so many may go nowhere.
BARRED_EACH = 20
SMALL = 200
LARGE = 1 << 30

SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo za bel cor dan fer gil hum".split()
ENDINGS = "com com com com net org de ru co.uk info fr xyz io".split()


@dataclass(frozen=True, slots=True)
class Fixtures:
    """
    The files, and what is known of them.

    ``everyone`` has ``name:password`` for the load, ``people`` only those who may go anywhere; ``htpasswd``
    has everyone hashed (apr1).  ``domains`` has a blocked name on each line, ``dotted`` the same with a dot
    before it.
    """

    folder: Path

    @property
    def people(self) -> Path:
        return self.folder / "people"

    @property
    def everyone(self) -> Path:
        return self.folder / "everyone"

    @property
    def htpasswd(self) -> Path:
        return self.folder / "htpasswd"

    @property
    def domains(self) -> Path:
        return self.folder / "domains"

    @property
    def dotted(self) -> Path:
        return self.folder / "dotted"

    @property
    def web(self) -> Path:
        return self.folder / "web"

    def blocked(self) -> list[str]:
        """Some names of the list."""
        with self.domains.open() as lines:
            names = lines.read().split()
        return [names[0], names[len(names) // 2], names[-1]]


def user_name(number: int) -> str:
    """The name of a user."""
    return f"user{number:04d}"


def credentials(number: int) -> str:
    """A user as ``name:password``."""
    return f"{user_name(number)}:secret{number * 7919 % 100_000}"


def members(group: str, users: int = USERS) -> list[str]:
    """The names of the users in a group."""
    return [user_name(number) for number in range(users) if group_of(number) == group]


def group_of(number: int) -> str:
    """The group that a user is in: most are pupils, some staff, one in twenty barred."""
    if is_barred(number):
        return "barred"
    return "staff" if number % 5 == 0 else "pupils"


def is_barred(number: int) -> bool:
    """Whether a user may go nowhere."""
    return number % BARRED_EACH == BARRED_EACH - 1


def domain_names(count: int) -> Iterator[str]:
    """So many different names, none below another."""
    chance = random.Random(20_261_123)
    for number in range(count):
        name = "".join(chance.choices(SYLLABLES, k=chance.randint(2, 4)))
        below = f"www{number % 90}." if number % 5 == 0 else ""
        yield f"{below}{name}{number:x}.{chance.choice(ENDINGS)}"


def _htpasswd_line(user: str) -> str:
    from passlib.hash import apr_md5_crypt

    name, _, password = user.partition(":")
    return f"{name}:{apr_md5_crypt.hash(password)}\n"


def make(folder: Path, domains: int = DOMAINS, users: int = USERS) -> Fixtures:
    """Write all files."""
    made = Fixtures(folder)
    made.web.mkdir(parents=True)
    (made.web / "s200").write_bytes(b"x" * (SMALL - 1) + b"\n")
    with (made.web / "large").open("wb") as large:
        large.truncate(LARGE)
    everyone = [credentials(number) for number in range(users)]
    made.people.write_text("".join(f"{user}\n" for n, user in enumerate(everyone) if not is_barred(n)))
    made.everyone.write_text("".join(f"{user}\n" for user in everyone))
    with ProcessPoolExecutor() as workers:
        made.htpasswd.write_text("".join(workers.map(_htpasswd_line, everyone, chunksize=50)))
    made.domains.write_text("".join(f"{name}\n" for name in domain_names(domains)))
    made.dotted.write_text("".join(f".{name}\n" for name in domain_names(domains)))
    return made
