"""
YAML with places: text becomes tables, lists and scalars that each know where they stand.

YAML itself would read ``no`` as false, ``22:30`` as 1350, ``010`` as 8 and a date as a date, and keep the
last of two equal keys without a word.  So only its grammar is used here: a scalar stays the text that
was written, and what it means is decided by the field it stands in.

The tree is made from PyYAML's events, which are what ``yaml.compose`` makes its nodes from: an alias, an
anchor or a tag is an event with a place of its own and can be refused there, and a bound on the
depth holds before the nesting is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from corpproxy.errors import Place, Problem

# A policy with a thousand rules has 200 KiB; what is larger belongs in a list file.
MAX_OCTETS = 4 * 1024 * 1024
# The deepest place that the schema knows is 7 tables and lists down.
MAX_DEPTH = 20
# Tables, lists, keys and scalars together: what the octets above hold when they are not one long text.
MAX_NODES = 400_000

# With libyaml reading is ten times faster; PyYAML built without it lacks the class.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_EMPTY = frozenset({"", "~", "null"})

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"


@dataclass(slots=True)
class Scalar:
    """A text as it was written; ``quoted`` tells ``""`` from nothing at all."""

    place: Place
    text: str
    quoted: bool = False


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A table: its fields in the order written, and the place of each key."""

    place: Place
    fields: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Table
Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]


def compose(octets: bytes, file: str) -> tuple[Table | None, list[Problem]]:
    """
    Read one YAML file into a table.

    Every problem is given at its place; the table is None when the text could not be read at all.
    """
    text, problem = _text_of(octets, file)
    if problem is not None:
        return None, [problem]
    growth = _Growth(file)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            growth.take(event)
    except yaml.YAMLError as error:
        return None, [*growth.problems, _syntax_problem(error, text, file)]
    except _Refused as refused:
        return None, [*growth.problems, refused.problem]
    if growth.root is None or (isinstance(growth.root, Scalar) and plain(growth.root) is None):
        return None, [
            Problem(
                Place(file, 1), "empty-file", "the file is empty; a policy begins with 'site:' and 'listen:'"
            )
        ]
    if not isinstance(growth.root, Table):
        said = "the file must be a table of 'field: value' lines"
        return None, [*growth.problems, Problem(growth.root.place, "not-a-table", said)]
    return growth.root, growth.problems


def plain(node: Node) -> Plain:
    """The node without its places: text, lists, dictionaries, and None for a value that was left out."""
    if isinstance(node, Scalar):
        return None if not node.quoted and node.text in _EMPTY else node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.fields.items()}


def node_at(root: Node, path: Path) -> Node | None:
    """The node at a path, or None when there is none."""
    node = root
    for step in path:
        below = _below(node, step)
        if below is None:
            return None
        node = below
    return node


def place_of(root: Node, path: Path, *, key: bool = False) -> Place:
    """
    Where the value at a path stands, or the nearest thing above it that exists.

    With ``key`` the place of its key, where it has one.
    """
    node, place = root, root.place
    for depth, step in enumerate(path, 1):
        below = _below(node, step)
        if below is None:
            break
        at_key = key and depth == len(path) and isinstance(node, Table)
        place = node.keys[str(step)] if at_key and isinstance(node, Table) else below.place
        node = below
    return place


def remove(root: Node, path: Path) -> None:
    """Take the node at a path out of the table or list that holds it."""
    holder = node_at(root, path[:-1])
    if isinstance(holder, Table):
        holder.fields.pop(str(path[-1]), None)
        holder.keys.pop(str(path[-1]), None)
    elif isinstance(holder, Sequence) and isinstance(path[-1], int) and path[-1] < len(holder.items):
        del holder.items[path[-1]]


def existing(root: Node, path: Path) -> Path:
    """The longest beginning of a path that leads to a node."""
    node = root
    for depth, step in enumerate(path):
        below = _below(node, step)
        if below is None:
            return path[:depth]
        node = below
    return path


def _below(node: Node, step: Step) -> Node | None:
    if isinstance(node, Table):
        return node.fields.get(str(step))
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def _text_of(octets: bytes, file: str) -> tuple[str, Problem | None]:
    """Decode a file, or say which octet or character stands in the way."""
    if len(octets) > MAX_OCTETS:
        said = f"{len(octets)} octets are too many ({MAX_OCTETS} at most); move host names into a list file"
        return "", Problem(Place(file, 1), "too-large", said)
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", Problem(Place(file, 1, 1), "not-utf-8", "the file is UTF-16; save it as UTF-8")
    if octets.startswith(b"\xef\xbb\xbf"):
        said = "the file begins with a byte order mark; save it as 'UTF-8', not as 'UTF-8 with BOM'"
        return "", Problem(Place(file, 1, 1, 1), "byte-order-mark", said)
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        before = octets[: error.start].decode("utf-8")
        said = f"octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return "", Problem(_place_after(before, file), "not-utf-8", said)
    odd = _UNREADABLE.search(text)
    if odd:
        said = f"control character U+{ord(odd.group()):04X} in the text; take it out"
        return "", Problem(_place_after(text[: odd.start()], file), "control-character", said)
    return text, None


def _place_after(text: str, file: str) -> Place:
    return Place(file, text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1, 1)


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Growth:
    """The tree while events come in."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._open: list[Table | Sequence] = []
        # The key that waits for its value, one for each open table; None when a key comes next.
        self._waiting: list[tuple[str, Place] | None] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Grow by one event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._start(Table(self._place(event)), event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._start(Sequence(self._place(event)), event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._problem(event, "alias", f"'*{event.anchor}' repeats another part; write the part out")
            self._add(Scalar(self._place(event), ""))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                said = "a second document begins; one file is one policy, further ones come in by 'include:'"
                raise _Refused(Problem(self._place(event), "several-documents", said))

    def _place(self, event: yaml.Event) -> Place:
        mark, end = event.start_mark, event.end_mark
        if not mark or not end:
            return Place(self.file)
        width = end.column - mark.column if end.line == mark.line else 0
        return Place(self.file, mark.line + 1, mark.column + 1, width)

    def _close(self, event: yaml.Event) -> None:
        """A table or list ends; one that began on the same line is as wide as that says."""
        node, end = self._open.pop(), event.end_mark
        self._waiting.pop()
        place = node.place
        width = end.column + 1 - place.column if end and end.line + 1 == place.line else 0
        node.place = Place(place.file, place.line, place.column, width)

    def _problem(self, event: yaml.Event, code: str, message: str) -> None:
        self.problems.append(Problem(self._place(event), code, message))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_marks(event)
        text = event.value
        # An escape in " quotes can write what cannot stand in the file itself.
        odd = _UNREADABLE.search(text) if event.style == '"' else None
        if odd:
            said = f"control character U+{ord(odd.group()):04X} in the text; take it out"
            self._problem(event, "control-character", said)
            text = _UNREADABLE.sub("", text)
        self._add(Scalar(self._place(event), text, quoted=bool(event.style)))

    def _start(self, node: Table | Sequence, event: yaml.CollectionStartEvent) -> None:
        self._refuse_marks(event)
        self._add(node)
        self._open.append(node)
        self._waiting.append(None)
        if len(self._open) > MAX_DEPTH:
            said = f"more than {MAX_DEPTH} tables and lists inside each other"
            raise _Refused(Problem(node.place, "too-deep", said))

    def _refuse_marks(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            said = f"'&{event.anchor}' names a part to repeat it; write the part out where it is needed"
            self._problem(event, "anchor", said)
        # A quoted text comes with the tag "!", which nobody wrote.
        if event.tag is not None and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(event, "tag", f"'{tag}' is a YAML tag; write the value without it")

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            said = f"more than {MAX_NODES} values; move names of hosts into a list file"
            raise _Refused(Problem(node.place, "too-many-values", said))
        if not self._open:
            self.root = node
            return
        holder = self._open[-1]
        if isinstance(holder, Sequence):
            holder.items.append(node)
        elif self._waiting[-1] is None:
            self._waiting[-1] = self._key(node)
        else:
            key, place = self._waiting[-1]
            self._waiting[-1] = None
            self._enter(holder, key, place, node)

    def _key(self, node: Node) -> tuple[str, Place]:
        if isinstance(node, Scalar):
            return node.text, node.place
        said = "a table or list cannot be the name of a field; is a ' or \" missing around this text?"
        raise _Refused(Problem(node.place, "key-not-text", said))

    def _enter(self, table: Table, key: str, place: Place, node: Node) -> None:
        if key == "<<":
            said = "'<<' merges another table into this one; write its fields out"
            self.problems.append(Problem(place, "merge-key", said))
        elif key in table.fields:
            first = table.keys[key]
            said = f"'{key}' is here a second time; the first is at line {first.line}"
            self.problems.append(Problem(place, "duplicate-field", said))
        else:
            table.fields[key] = node
            table.keys[key] = place


# What the YAML reader says, and what it means to the person who wrote the file.  Tried in order.
_PLAIN_WORDS = (
    ("cannot start any token", "this character cannot begin a value; put the text in quotes"),
    ("mapping values are not allowed", "a ': ' does not fit here; quote the text or mend the indentation"),
    ("did not find expected key", "this does not fit the lines above; check indentation, ':' and quotes"),
    ("did not find expected '-' indicator", "a line in a list must begin with '- ' below the one before"),
    ("did not find expected ',' or ']'", "the list begun with '[' needs a ',' or a ']' here"),
    ("did not find expected ',' or '}'", "the table begun with '{' needs a ',' or a '}' here"),
    ("expected ',' or ']'", "the list begun with '[' needs a ',' or a ']' here"),
    ("expected ',' or '}'", "the table begun with '{' needs a ',' or a '}' here"),
    ("unexpected end of stream", "the file ends inside a text in quotes; a closing quote is missing"),
    ("unexpected document indicator", "a text in quotes is not closed before this line"),
    ("could not find expected ':'", "this line has no ': '; a field is written 'name: value'"),
    ("block sequence entries are not allowed", "a '- ' does not fit here; begin the list on its own line"),
    ("did not find expected node content", "a value is missing here, or a character has to be in quotes"),
    ("unknown escape character", "a \\ inside \" quotes begins an escape; use ' quotes instead"),
    ("undefined alias", "'*' repeats another part; write the part out, or put the text in quotes"),
)  # fmt: skip


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Say a YAML error in plain words at its place."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(Place(file, 1), "not-yaml", f"this is not YAML: {_one_line(str(error))}")
    place = Place(file, mark.line + 1, mark.column + 1, 1)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem(
            Place(file, place.line, line.index("\t") + 1, 1), "tab", "a tab in the indentation; use spaces"
        )
    said = str(getattr(error, "problem", "") or error)
    words = next(
        (words for part, words in _PLAIN_WORDS if part in said), f"this is not YAML: {_one_line(said)}"
    )
    opened = _opened(error, place)
    return Problem(place, "not-yaml", words + opened)


def _opened(error: yaml.YAMLError, place: Place) -> str:
    """Where the part began that the error stands in, when that is another line."""
    mark = getattr(error, "context_mark", None)
    if mark is None or mark.line + 1 == place.line:
        return ""
    return f" (inside what begins at line {mark.line + 1})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def scalars(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Every scalar below a node, with its path."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield from scalars(item, (*path, number))
    else:
        for key, value in node.fields.items():
            yield from scalars(value, (*path, key))
