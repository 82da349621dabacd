"""``corpproxy users``: who can sign in, with which password, in which groups."""

from __future__ import annotations

import argparse
import contextlib
import csv
import getpass
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.atomic_file import read_whole
from corpproxy.backends.people.group_file import set_groups
from corpproxy.backends.people.htpasswd_edit import is_right, remove_all, set_password, set_passwords
from corpproxy.backends.people.htpasswd_lines import names_in, read_users
from corpproxy.backends.people.passwords import generate_password, scheme_of
from corpproxy.backends.policies.start import possible_state_folders
from corpproxy.backends.records.deed_spool import leave, new_reference
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.cli.people_csv import Row, Table, read_table
from corpproxy.cli.site import DEFAULT_POLICY
from corpproxy.counted import counted
from corpproxy.errors import Problem
from corpproxy.identity.group_lines import read_groups
from corpproxy.identity.names import fault_of_name, normal_name
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings
from corpproxy.identity.strength import problem_of_password
from corpproxy.net.ask import ControlError, ask
from corpproxy.net.caller import who_we_are
from corpproxy.reports.aligned import aligned

DESCRIPTION = "Say who can sign in. A running proxy takes changes up within two seconds, without a reload."

# The commands that change a file.
EDITING = frozenset({"add", "passwd", "remove", "import"})
GROUPS_FILE = "users.groups"
NO_GROUPS = "(no groups)"


class CannotDo(Exception):
    """What was asked for cannot be done; the message says why, in words or as problems with their places."""


@dataclass(frozen=True, slots=True)
class PeopleFiles:
    """The files a command is about; ``settings`` is what the policy says of groups, nothing without one."""

    htpasswd: Path
    groups: Path | None
    settings: IdentitySettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which commands and options there are."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="users_command", metavar="COMMAND", required=True)
    add = _command(commands, "add", _add, "let a person sign in")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--groups", metavar="A,B", help="the groups of this person, separated by commas")
    passwd = _command(commands, "passwd", _passwd, "give a person a new password")
    passwd.add_argument("name", metavar="NAME")
    for command in (add, passwd):
        _add_password_arguments(command)
    remove = _command(commands, "remove", _remove, "take people out")
    remove.add_argument("names", metavar="NAME", nargs="+")
    _command(commands, "list", _list, "show all people with their groups and kinds of hash")
    check = _command(commands, "check", _check, "try a password, and show the groups")
    check.add_argument("name", metavar="NAME")
    check.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    _add_import(commands)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    try:
        act: Callable[[argparse.Namespace], int] = options.users_act
        options.deeds = []
        code = act(options)
        if options.users_command in EDITING:
            _leave_deeds(options)
            _tell_service(options)
        return code
    except CannotDo as error:
        print(error, file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}", file=sys.stderr)
    return 1


def _leave_deeds(options: argparse.Namespace) -> None:
    """Leave for the record who did what to whom; the service writes it down, now or when it starts."""
    policy = _policy_of(options)
    if policy is None:
        # Without a policy it is known of no record.
        return
    state = next((folder for folder in possible_state_folders(policy) if folder.is_dir()), None)
    if state is None:
        # There is no record before the first start.
        return
    by, now = who_we_are(), time.time()
    try:
        for name, whom, why in options.deeds:
            leave(state, Deed(name, now, by, whom, (), why=why, request=new_reference(now), source="command"))
    except OSError as error:
        print(f"it is done, and the record does not know of it: {error}", file=sys.stderr)


def _policy_of(options: argparse.Namespace) -> Path | None:
    """
    The policy that a command is about; of a file that is named itself the one beside it, if that names it.

    It is not loaded: a broken policy is what people name the file for, and has a record all the same.
    """
    if options.htpasswd is None:
        return options.policy or DEFAULT_POLICY
    file: Path = options.htpasswd
    beside = file.with_name(DEFAULT_POLICY.name)
    return beside if file.name.encode() in (read_whole(beside) or b"") else None


def _tell_service(options: argparse.Namespace) -> None:
    """Let a service that runs look at its files now; one that does not run reads them when it starts."""
    if options.htpasswd is not None:
        return
    for state in possible_state_folders(options.policy):
        with contextlib.suppress(ControlError):
            ask(state / CONTROL_SOCKET, "people")
            return


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    act: Callable[[argparse.Namespace], int],
    words: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    command.set_defaults(users_act=act)
    which = command.add_mutually_exclusive_group()
    which.add_argument("--policy", type=Path, metavar="FILE", help=f"the policy (default: {DEFAULT_POLICY})")
    which.add_argument("--htpasswd", type=Path, metavar="FILE", help="use this file and read no policy")
    command.add_argument(
        "--groups-file", type=Path, metavar="FILE", help=f"with --htpasswd: default {GROUPS_FILE}"
    )
    return command


def _add_password_arguments(command: argparse.ArgumentParser) -> None:
    source = command.add_mutually_exclusive_group()
    source.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    source.add_argument("--generate", action="store_true", help="make a password and print it")


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands, "import", _import, "let many people sign in, by a CSV table: name,password,groups"
    )
    command.add_argument("table", metavar="FILE.csv", type=Path)
    command.add_argument("--update", action="store_true", help="change people who are there already")
    command.add_argument(
        "--passwords",
        type=Path,
        metavar="OUT.csv",
        help="write the passwords that are made here, not to the screen",
    )


def _add(options: argparse.Namespace) -> int:
    files = _files(options)
    name = _good_name(options.name)
    if name in _names(files):
        raise CannotDo(f"'{name}' is there already; use 'corpproxy users passwd {name}'")
    groups = _good_groups(options.groups or "")
    groups_file = _groups_file(files) if groups else None
    password = _new_password(options, name)
    set_password(files.htpasswd, name, password)
    if groups_file is not None:
        set_groups(groups_file, {name: groups})
    people, _ = _people(files)
    # Those of the policy, too.
    groups = people.identity(name).groups
    options.deeds.append((DeedName.USER_ADDED, name, _groups_words(groups)))
    print(f"'{name}' can sign in: {', '.join(groups) or NO_GROUPS}.")
    return 0


def _passwd(options: argparse.Namespace) -> int:
    files = _files(options)
    name = _known_name(options.name, files)
    set_password(files.htpasswd, name, _new_password(options, name))
    options.deeds.append((DeedName.PASSWORD_SET, name, ""))
    print(f"'{name}' has a new password, and has to sign in anew.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    files = _files(options)
    names = [_known_name(name, files) for name in options.names]
    remove_all(files.htpasswd, names)
    if files.groups is not None:
        set_groups(files.groups, dict.fromkeys(names, ()))
    options.deeds += [(DeedName.USER_REMOVED, name, "") for name in names]
    print(f"No longer able to sign in: {', '.join(names)}.")
    return 0


def _list(options: argparse.Namespace) -> int:
    files = _files(options)
    users = read_users(read_whole(files.htpasswd) or b"", str(files.htpasswd))
    people, problems = _people(files)
    names = sorted({*users.hashes, *people.members()})
    rows = []
    for name in names:
        written = users.hashes.get(name)
        kind = scheme_of(written).value if written else "no password"
        rows.append((name, kind, ", ".join(people.identity(name).groups) or NO_GROUPS))
    print(aligned(rows, (True, True, True)), end="")
    _tell([*users.problems, *problems])
    return 0


def _check(options: argparse.Namespace) -> int:
    files = _files(options)
    name = normal_name(options.name)
    octets = read_whole(files.htpasswd) or b""
    people, _ = _people(files)
    password = _line_of_stdin() if options.password_stdin else _asked(f"Password of {name}: ")
    # The same words for an unknown name would hide from administrators what they need to know.
    known = name in read_users(octets, str(files.htpasswd)).hashes
    if not is_right(octets, name, password):
        raise CannotDo(
            f"wrong: the password of '{name}' is another one" if known else f"wrong: there is no '{name}'"
        )
    print(f"right: '{name}' signs in with it: {', '.join(people.identity(name).groups) or NO_GROUPS}.")
    return 0


def _import(options: argparse.Namespace) -> int:
    files = _files(options)
    table = read_table(options.table.read_bytes(), str(options.table))
    known = _names(files)
    there = () if options.update else _there_already(table, known)
    problems = [*table.problems, *there]
    if problems:
        raise CannotDo(_lines(problems) + "\nNothing was changed.")
    has_groups = any(row.groups is not None for row in table.rows)
    groups_file = _groups_file(files) if has_groups else None
    made = {row.name: generate_password() for row in table.rows if not row.password and row.name not in known}
    given = {row.name: row.password for row in table.rows if row.password}
    with _written_once(options.passwords, _as_csv(made.items()) if made else ""):
        set_passwords(files.htpasswd, given | made)
    if groups_file is not None:
        set_groups(groups_file, {row.name: row.groups for row in table.rows if row.groups is not None})
    for row in table.rows:
        deed = DeedName.USER_CHANGED if row.name in known else DeedName.USER_ADDED
        options.deeds.append((deed, row.name, _groups_words(row.groups)))
    _report(table.rows, made, options.passwords)
    return 0


def _groups_words(groups: Iterable[str] | None) -> str:
    return f"groups: {', '.join(groups) or 'none'}" if groups is not None else ""


def _report(rows: Iterable[Row], made: dict[str, str], written: Path | None) -> None:
    people = counted(len(tuple(rows)), "person is", "people are")
    print(f"{people} in the files; {counted(len(made), 'password was', 'passwords were')} made.")
    if made and written is None:
        print("They are shown this once:")
        print(_as_csv(made.items()), end="")
    elif made:
        print(f"They stand in {written}; hand them out and delete it.")


def _there_already(table: Table, known: Iterable[str]) -> list[Problem]:
    names = set(known)
    said = "'{}' is there already; use --update to change people who are"
    there = [row for row in table.rows if row.name in names]
    return [Problem(row.place, "table-there-already", said.format(row.name)) for row in there]


def _files(options: argparse.Namespace) -> PeopleFiles:
    """Find the files: those that are named, or those of the policy."""
    if options.htpasswd is not None:
        groups = options.groups_file or options.htpasswd.with_name(GROUPS_FILE)
        return PeopleFiles(options.htpasswd, groups, IdentitySettings())
    if options.groups_file is not None:
        raise CannotDo("--groups-file goes with --htpasswd; a policy names its own under 'identity:'")
    from corpproxy.backends.policies.files import DISK
    from corpproxy.config.load import load_policy

    path: Path = options.policy or DEFAULT_POLICY
    if not path.exists():
        raise CannotDo(
            f"{path}: there is no such file; name the policy with --policy or a file with --htpasswd"
        )
    # Forgiving: the first person is added while there is no htpasswd file yet.
    loaded = load_policy(path, DISK, forgiving=True)
    if loaded.configuration is None:
        more = "Mend the policy, or name the file with --htpasswd."
        raise CannotDo(_lines(loaded.errors) + "\n" + more)
    identity = loaded.configuration.identity
    if identity.htpasswd is None:
        write = "methods: [{basic: {htpasswd: users.htpasswd}}]"
        raise CannotDo(f"{path}: nobody signs in by this policy; under 'identity:' write '{write}'")
    return PeopleFiles(identity.htpasswd, identity.groups_file, identity)


def _groups_file(files: PeopleFiles) -> Path:
    if files.groups is None:
        raise CannotDo(
            f"the policy has no file for groups; under 'identity:' write 'groups_file: {GROUPS_FILE}'"
        )
    return files.groups


def _people(files: PeopleFiles) -> tuple[People, tuple[Problem, ...]]:
    octets = read_whole(files.groups) if files.groups is not None else None
    groups = read_groups(octets or b"", str(files.groups))
    return People(files.settings, groups.of), groups.problems


def _names(files: PeopleFiles) -> frozenset[str]:
    """All names in the file, also those whose hash is one we refuse."""
    return names_in(read_whole(files.htpasswd) or b"")


def _good_name(written: str) -> str:
    name = normal_name(written)
    if fault := fault_of_name(name):
        raise CannotDo(f"'{written}': {fault}")
    return name


def _known_name(written: str, files: PeopleFiles) -> str:
    name = normal_name(written)
    if name not in _names(files):
        raise CannotDo(f"there is no '{name}' in {files.htpasswd}; 'corpproxy users list' shows who is")
    return name


def _good_groups(written: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_good_name(group.strip()) for group in written.split(",") if group.strip()))


def _new_password(options: argparse.Namespace, name: str) -> str:
    if options.generate:
        password = generate_password()
        print(f"The password of '{name}' is shown this once: {password}")
        return password
    password = _line_of_stdin() if options.password_stdin else _asked_twice(name)
    weak = problem_of_password(name, password)
    if weak is not None:
        raise CannotDo(weak.message)
    return password


def _asked_twice(name: str) -> str:
    password = _asked(f"New password of {name}: ")
    if _asked("Once more: ") != password:
        raise CannotDo("the two are not the same; nothing was changed")
    return password


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise CannotDo("there is nobody to ask for a password; use --password-stdin or --generate")
    return getpass.getpass(prompt)


def _line_of_stdin() -> str:
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CannotDo("the password is not UTF-8") from None


@contextlib.contextmanager
def _written_once(path: Path | None, text: str) -> Iterator[None]:
    """Write passwords into a new file for the owner alone; what is made then fails takes it away again."""
    if path is None or not text:
        yield
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
    try:
        yield
    except BaseException:
        path.unlink()
        raise


def _as_csv(rows: Iterable[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "password"])
    writer.writerows(rows)
    return text.getvalue()


def _lines(problems: Iterable[Problem]) -> str:
    return "\n".join(map(str, problems))


def _tell(problems: Iterable[Problem]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
