r"""
Regular expressions of the C library (POSIX extended, as GNU reads them) as RE2 reads them.

Most are written alike.  These are not: a backslash in brackets is a backslash, ``\d`` is the letter d,
``a+?`` may be nothing, ``*`` at the beginning is nothing, and ``\<`` begins a word.  An expression that was
looked for in the host or in the path alone is made into one for the whole URI, which is what our rules look
at: ``http://host:port/path``, and ``host:port`` for a tunnel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from corpproxy.policy.conditions import compile_expression

# Groups inside groups; a list of hosts in one expression has two or three.
MAX_DEPTH = 50
MAX_CHARACTERS = 4096

_BEGIN, _END = "^", "$"
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")
# What GNU adds to POSIX, in RE2's words.
_GNU = {"w": r"\w", "W": r"\W", "s": r"\s", "S": r"\S", "b": r"\b", "B": r"\B", "<": r"\b", ">": r"\b",
        "`": r"\A", "'": r"\z"}  # fmt: skip
_CANNOT_STAND_IN_HOST = frozenset("/?#:@")


@dataclass(frozen=True, slots=True)
class Atom:
    """
    One piece with its repetition.

    ``kind`` is ``text`` (of one character), ``any``, ``class``, ``group``, ``anchor`` or ``gnu``;
    ``text`` is the character, the class without its brackets, the anchor, or RE2's words.
    """

    kind: str
    text: str = ""
    branches: tuple[Branch, ...] = ()
    repeated: str = ""


Branch = tuple[Atom, ...]


class NoCounterpart(ValueError):
    """An expression that cannot be said in RE2; the text says why."""


def read(written: str) -> tuple[Branch, ...]:
    """Take an expression apart into its branches; raises NoCounterpart."""
    if len(written) > MAX_CHARACTERS:
        raise NoCounterpart(f"an expression of more than {MAX_CHARACTERS} characters")
    reader = _Reader(written)
    branches = reader.branches(0)
    if not reader.is_at_end:
        raise NoCounterpart("a ')' has no '(' before it")
    return branches


def for_text(written: str, *, any_case: bool) -> str:
    """The expression as RE2 reads it, looked for in the same text; raises NoCounterpart."""
    return _flagged(_written(read(written), _plain), any_case)


def for_host(written: str, *, any_case: bool) -> str:
    """The expression for the URI that finds what ``written`` finds in the host; raises NoCounterpart."""
    made = [_host_branch(branch) for branch in _with_anchors_outside(read(written))]
    found = [one for one in made if one]
    if not found:
        raise NoCounterpart("no host can have what it asks for")
    return _flagged("|".join(dict.fromkeys(found)), any_case)


def for_path(written: str, *, any_case: bool) -> str:
    """The expression for the URI that finds what ``written`` finds in path and query."""
    made = [one for branch in _with_anchors_outside(read(written)) for one in _path_branch(branch)]
    if not made:
        raise NoCounterpart("no path can have what it asks for")
    return _flagged("|".join(dict.fromkeys(made)), any_case)


def for_media_type(written: str, *, any_case: bool) -> str:
    """
    The media type, or ``video/*``, that the expression finds in a Content-Type; raises NoCounterpart.

    Media types have no case.  What finds a part of a type only has no counterpart.
    """
    branches = read(written)
    begins, body, ends = _ends(branches[0])
    if len(branches) > 1 or not all(atom.kind == "text" and not atom.repeated for atom in body):
        raise NoCounterpart("rules name a media type, or all of a kind as video/*")
    kind, slash, subtype = "".join(atom.text for atom in body).lower().partition("/")
    if not begins or not slash or not kind or (subtype and not ends):
        raise NoCounterpart("rules name a whole media type, or all of a kind as video/*")
    return f"{kind}/{subtype or '*'}"


def _flagged(expression: str, any_case: bool) -> str:
    return f"(?i){expression}" if any_case else expression


class _Reader:
    """Reads one expression from the left to the right."""

    def __init__(self, written: str) -> None:
        self._written = written
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._written)

    def branches(self, depth: int) -> tuple[Branch, ...]:
        if depth > MAX_DEPTH:
            raise NoCounterpart("groups stand too deep inside each other")
        found = [self._branch(depth)]
        while self._peek() == "|":
            self._at += 1
            found.append(self._branch(depth))
        return tuple(found)

    def _peek(self) -> str:
        return self._written[self._at : self._at + 1]

    def _branch(self, depth: int) -> Branch:
        found: list[Atom] = []
        while (character := self._peek()) and character not in "|)":
            repeated = self._repetition()
            if repeated:
                # At the beginning it repeats nothing, and GNU passes over it.
                if found:
                    found[-1] = _repeated(found[-1], repeated)
                continue
            found.append(self._atom(character, depth))
        return tuple(found)

    def _repetition(self) -> str:
        character = self._peek()
        if character and character in "*+?":
            self._at += 1
            return character
        end = self._written.find("}", self._at) if character == "{" else -1
        low, comma, high = self._written[self._at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not (low + high).isdecimal():
            return ""
        self._at = end + 1
        if int(low or 0) > 1000 or int(high or 0) > 1000:
            raise NoCounterpart("RE2 repeats at most 1000 times")
        return f"{{{low or 0}{comma}{high}}}"

    def _atom(self, character: str, depth: int) -> Atom:
        self._at += 1
        if character == "(":
            branches = self.branches(depth + 1)
            if self._peek() != ")":
                raise NoCounterpart("a '(' has no ')' behind it")
            self._at += 1
            return Atom("group", branches=branches)
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escaped()
        if character == ".":
            return Atom("any")
        return Atom("anchor" if character in (_BEGIN, _END) else "text", character)

    def _escaped(self) -> Atom:
        character = self._peek()
        if not character:
            raise NoCounterpart("it ends with a backslash")
        self._at += 1
        if character.isdigit():
            raise NoCounterpart(f"\\{character} refers back to a group, which RE2 does not do")
        return Atom("gnu", _GNU[character]) if character in _GNU else Atom("text", character)

    def _class(self) -> Atom:
        begin = self._at
        negated = self._peek() == "^"
        self._at += negated
        text = ""
        while True:
            character = self._peek()
            if not character:
                raise NoCounterpart("a '[' has no ']' behind it")
            named = self._named_class()
            if named:
                text += named
                continue
            self._at += 1
            if character == "]" and self._at > begin + negated + 1:
                return Atom("class", "^" + text if negated else text)
            text += "\\" + character if character in "\\[]^" else character

    def _named_class(self) -> str:
        """``[:alpha:]`` inside brackets, empty where none stands."""
        if not self._written.startswith("[:", self._at):
            if self._written[self._at : self._at + 2] in ("[.", "[="):
                raise NoCounterpart("collating elements such as [.a.] are not known to RE2")
            return ""
        end = self._written.find(":]", self._at)
        if end < 0:
            return ""
        found = self._written[self._at : end + 2]
        self._at = end + 2
        return found


def _repeated(atom: Atom, repeated: str) -> Atom:
    if atom.kind == "anchor":
        raise NoCounterpart(f"'{atom.text}' cannot be repeated")
    if atom.repeated:
        # a+? is (a+)? here, where RE2 would take it for a lazy a+.
        return Atom("group", branches=((atom,),), repeated=repeated)
    return replace(atom, repeated=repeated)


_Piece = Callable[[Atom], str]


def _written(branches: Sequence[Branch], piece: _Piece) -> str:
    return "|".join("".join(_atom_text(atom, piece) for atom in branch) for branch in branches)


def _atom_text(atom: Atom, piece: _Piece) -> str:
    if atom.kind == "group":
        return f"(?:{_written(atom.branches, piece)}){atom.repeated}"
    return piece(atom) + atom.repeated


def _plain(atom: Atom) -> str:
    if atom.kind == "any":
        return "."
    if atom.kind == "class":
        return f"[{atom.text}]"
    if atom.kind == "text":
        return "\\" + atom.text if atom.text in _SPECIAL else atom.text
    return atom.text


class _NotHere(Exception):
    """A piece that can stand in no host, so that its branch finds nothing."""


def _in_host(atom: Atom) -> str:
    """A piece that must not reach beyond the host."""
    if atom.kind == "any":
        return "[^/:]"
    if atom.kind == "class" and atom.text.startswith("^"):
        return f"[{atom.text}/:]"
    if atom.kind == "text" and atom.text in _CANNOT_STAND_IN_HOST:
        raise _NotHere
    if atom.kind == "anchor" or atom.text in (r"\A", r"\z"):
        raise NoCounterpart("'^' and '$' are understood at the ends of an expression only")
    return _plain(atom)


def _in_path(atom: Atom) -> str:
    if atom.kind == "anchor" or atom.text in (r"\A", r"\z"):
        raise NoCounterpart("'^' and '$' are understood at the ends of an expression only")
    return _plain(atom)


def _host_branch(branch: Branch) -> str:
    """One branch for the whole URI, empty when no host can have it."""
    begins, body, ends = _ends(branch)
    try:
        inner = _written([body], _in_host)
    except _NotHere:
        return ""
    found = ("" if begins else "[^/:]*") + inner
    end = "(?::[0-9]+)?(?:/|$)" if ends else ""
    if not _is_in_scheme(found + end):
        return "^(?:https?://)?" + found + end
    # A tunnel has no scheme, and ends with its port.
    return f"^(?:https?://{found}{end}|{found}{'' if ends else '[^/]*'}:[0-9]+$)"


def _is_in_scheme(found: str) -> bool:
    """Whether an expression would take ``http`` for the host."""
    try:
        search = compile_expression("(?i)^(?:" + found + ")").search
    except ValueError:
        # What RE2 does not take is told where the policy is read.
        return False
    return any(search(scheme) for scheme in (b"http://", b"https://"))


# Where the path of a URI begins; a tunnel has none.
_TO_PATH = "^https?://[^/]+"


def _path_branch(branch: Branch) -> list[str]:
    """One branch for the whole URI: beginning with the slash of the path, and behind it."""
    begins, body, ends = _ends(branch)
    end = "$" if ends else ""
    inner = _written([body], _in_path) + end
    first = body[0] if body else None
    if first is not None and first.kind == "group" and not first.repeated:
        tied = (Atom("anchor", _BEGIN),) * begins, (Atom("anchor", _END),) * ends
        opened = (tied[0] + inner_branch + body[1:] + tied[1] for inner_branch in first.branches)
        return [one for each in opened for one in _path_branch(each)]
    if first is None:
        return [_TO_PATH + "/" + (end if begins else "")]
    if first.kind == "text" and first.text == "/" and not first.repeated:
        return [_TO_PATH + ("" if begins else "(?:/.*)?") + inner]
    if first.kind == "any" and first.repeated in ("*", "{0,}"):
        return [_TO_PATH + "/.*" + _written([body[1:]], _in_path) + end]
    found = []
    if first.kind in ("any", "class", "gnu", "group"):
        # It may be the slash itself.  (?:) keeps what follows from being taken for part of the authority.
        found.append(f"{_TO_PATH}(?:/{_written([body[1:]], _in_path)}{end})" if _may_be_slash(first) else "")
    if not begins:
        found.append(_TO_PATH + "/.*" + inner)
    elif not found:
        return []
    return [one for one in found if one]


def _may_be_slash(atom: Atom) -> bool:
    if atom.kind == "any":
        return atom.repeated in ("", "+") or atom.repeated.startswith("{1")
    if atom.kind == "class" and not atom.repeated:
        return ("/" in atom.text) != atom.text.startswith("^")
    if atom.kind == "gnu":
        return atom.text in (r"\W", r"\S") and not atom.repeated
    raise NoCounterpart("a path begins with '/', and this expression may begin in several ways")


def _ends(branch: Branch) -> tuple[bool, Branch, bool]:
    """Whether a branch is tied to the beginning, what is between, whether it is tied to the end."""
    begins = bool(branch) and branch[0] == Atom("anchor", _BEGIN)
    body = branch[1:] if begins else branch
    ends = bool(body) and body[-1] == Atom("anchor", _END)
    return begins, body[:-1] if ends else body, ends


def _with_anchors_outside(branches: Sequence[Branch]) -> list[Branch]:
    r"""The branches with ``(^|\.)`` at the beginning and ``(/|$)`` at the end taken apart."""
    found: list[Branch] = []
    for branch in branches:
        opened = [branch]
        if branch and _has_anchor(branch[0], _BEGIN):
            opened = [inner + branch[1:] for inner in branch[0].branches]
        for one in opened:
            if one and _has_anchor(one[-1], _END):
                found += [one[:-1] + inner for inner in one[-1].branches]
            else:
                found.append(one)
    return found


def _has_anchor(atom: Atom, anchor: str) -> bool:
    return (
        atom.kind == "group"
        and not atom.repeated
        and any(Atom("anchor", anchor) in branch for branch in atom.branches)
    )
