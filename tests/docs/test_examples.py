"""What the manual shows can be done: its policies load, its commands take the options they are given."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import time

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import COMMANDS, parser_of_all
from corpproxy.config.load import Loaded
from corpproxy.config.nodes import compose
from corpproxy.errors import Problem
from corpproxy.objections import objections
from tests.docs.manual import CHECKOUT, Directive, code_blocks, directives, pages
from tests.docs.snippets import SNIPPET, is_whole, load_fragment, load_whole
from tests.support.rows import rows, tabular

POLICIES = code_blocks("yaml")
CONSOLES = code_blocks("console")

# Classes of code blocks: a mistake that is shown on purpose, and YAML of other programs.
WRONG, FOREIGN = "wrong", "foreign"


def errors(loaded: Loaded, block: Directive) -> list[str]:
    """The errors in a snippet, at their places in the manual."""
    found = list(loaded.errors)
    if loaded.configuration is not None and is_whole(block.content):
        found += objections(loaded.configuration, None, time.time())
    return [f"{_place(problem, block)}: {problem.message}" for problem in found]


def _place(problem: Problem, block: Directive) -> str:
    # A bare list was put under the name of its table, one line lower.
    shift = 2 if block.content.startswith("-") and problem.place.file == str(SNIPPET) else 1
    return f"docs/{block.page}:{block.line + problem.place.line - shift}"


def load(block: Directive) -> Loaded:
    """Load a snippet, inside a policy unless it is one."""
    return load_whole(block.content) if is_whole(block.content) else load_fragment(block.content)


@tabular
class PolicyExampleTests(SynchronousTestCase):
    """Every policy, whole or in part, that the manual shows."""

    maxDiff = None

    def test_found(self) -> None:
        """There are examples; a reader that finds none would prove nothing."""
        self.assertGreater(len(POLICIES), 20)

    @rows(**{label: (block,) for label, block in POLICIES.items()})
    def test_loads(self, block: Directive) -> None:
        """A policy of the manual loads, or is marked as wrong and does not."""
        marks = block.options.get("class", "").split()
        if FOREIGN in marks:
            self.assertEqual(list(compose(block.content.encode(), block.page)[1]), [])
            return
        found = errors(load(block), block)
        if WRONG in marks:
            self.assertNotEqual(found, [], "this is marked as wrong, and loads")
        else:
            self.assertEqual(found, [])


@tabular
class CommandExampleTests(SynchronousTestCase):
    """Every command that the manual shows."""

    def test_found(self) -> None:
        """There are commands to look at."""
        self.assertGreater(sum(len(list(commands(block))) for block in CONSOLES.values()), 30)

    @rows(**{label: (block,) for label, block in CONSOLES.items()})
    def test_parses(self, block: Directive) -> None:
        """A command of the manual is one of ours with options that it takes, or belongs to others."""
        for words in commands(block):
            if words[0] == "make":
                self.assertIn(words[1], make_targets())
            if words[0] == "corpproxy":
                self.assertEqual(complaint(words[1:]), "", " ".join(words))

    def test_named_in_prose(self) -> None:
        """A command that a sentence names exists."""
        unknown = [
            f"{page}: corpproxy {word}"
            for page, text in pages().items()
            for word in re.findall(r"``corpproxy ([a-z]+)", text)
            if word not in COMMANDS
        ]
        self.assertEqual(unknown, [])

    def test_make_named_in_prose(self) -> None:
        """A target of make that a sentence names exists."""
        named = {word for text in pages().values() for word in re.findall(r"``make ([a-z-]+)", text)}
        self.assertEqual(named - make_targets(), set())


class ReaderTests(SynchronousTestCase):
    """The readers of these tests see what they should."""

    def test_unknown_option(self) -> None:
        """An option that a command does not have is a complaint."""
        self.assertIn("--colour", complaint(["status", "--colour"]))

    def test_unknown_command(self) -> None:
        """A command that does not exist is a complaint."""
        self.assertIn("frobnicate", complaint(["frobnicate"]))

    def test_directive(self) -> None:
        """A code block has its options, its language and the line of its content."""
        page = "A\n\n   .. code-block:: yaml\n      :class: wrong\n\n      a: 1\n\n      b: 2\n\nB\n"
        (block,) = directives("page.rst", page)
        self.assertEqual((block.line, block.argument, block.options), (6, "yaml", {"class": "wrong"}))
        self.assertEqual(block.content, "a: 1\n\nb: 2\n")

    def test_commands(self) -> None:
        """Commands are cut at pipes and redirections, and go on behind a backslash."""
        block = Directive(
            "page.rst", 1, "code-block", "console", {}, "$ a 'b c' | d > e\nout\n$ f \\\n    g  # why\n"
        )
        self.assertEqual(list(commands(block)), [["a", "b c"], ["d"], ["f", "g"]])

    def test_wrong_fragment(self) -> None:
        """A name that stands for nothing in a fragment is found."""
        self.assertNotEqual(load_fragment("rules: [{name: a, do: alow}]").errors, ())


def commands(block: Directive) -> list[list[str]]:
    """The words of each command that a console shows."""
    found = []
    for line in block.content.replace("\\\n", " ").split("\n"):
        if line.startswith("$ "):
            found += _piped(line[2:])
    return found


def _piped(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if set(word) <= set("<>"):
            next(words)
        elif set(word) <= set("|;&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def complaint(words: list[str]) -> str:
    """What the command line says of a command that it does not take, empty when it does."""
    said = io.StringIO()
    named = [word for word in words if word in COMMANDS]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            parser_of_all(with_options_of=named).parse_args(words)
    except SystemExit as wrong:
        return said.getvalue() if wrong.code else ""
    return ""


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    text = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    return {
        name for line in re.findall(r"^([a-z][\w -]*):(?!=)", text, re.MULTILINE) for name in line.split()
    }
