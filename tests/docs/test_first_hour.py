"""The tutorial, done: the policy it begins with takes its edits, and its commands say what it shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import main
from tests.docs.manual import Directive, directives, pages
from tests.docs.test_examples import commands

PAGE = "tutorial/first-hour.rst"
NEXT = "  - name: everything else\n"
BEFORE_LAST = "  - name: everything else\n"


def blocks(language: str) -> list[Directive]:
    """The code blocks of the tutorial in their order."""
    return [
        block
        for block in directives(PAGE, pages()[PAGE])
        if block.name == "code-block" and block.argument == language
    ]


def shown(command: str) -> str:
    """What the tutorial shows behind a command."""
    for block in blocks("console"):
        found = re.search(rf"^\$ {re.escape(command)}\n((?:(?!\$ ).*\n)*)", block.content, re.MULTILINE)
        if found and found[1].strip():
            return found[1].rstrip("\n")
    raise AssertionError(f"the tutorial shows nothing for {command}")


def general(text: str) -> str:
    """Leave out what changes with every edit of the policy to begin with: lines and versions."""
    text = re.sub(r"(policy\.yaml|lists/ads):\d+(:\d+)?", r"\1:N", text)
    return re.sub(r"version [0-9a-f]{12}", "version N", text)


class FirstHourTests(SynchronousTestCase):
    """Each step rests on those before it, as for whoever follows the page."""

    maxDiff = None

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.policy = self.folder / "site" / "policy.yaml"
        self.run_command("init", str(self.policy.parent))
        snippets = [block.content for block in blocks("yaml")]
        self.own, self.calendars, self.wrong, self.right, self.lists, self.tests = snippets

    def run_command(self, *words: str) -> str:
        """Run one command; gives all that it says, with the folder as the tutorial has it."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(["--policy", str(self.policy), *words])
        return said.getvalue().replace(f"{self.folder}/", "").rstrip("\n")

    def run_shown(self, command: str) -> None:
        """Run a command of the tutorial, and compare what it says with what the page shows."""
        said = self.run_command(*command.split()[1:])
        self.assertEqual(general(said), general(shown(command)))

    def edit(self, old: str, new: str) -> None:
        """Replace what stands once in the policy."""
        text = self.policy.read_text(encoding="utf-8")
        self.assertEqual(text.count(old), 1, old)
        self.policy.write_text(text.replace(old, new), encoding="utf-8")

    def write_first_rule(self, rules: str) -> None:
        """Do what the tutorial says up to its first rule."""
        *there, puzzles = self.own.rstrip("\n").split("\n")[2:]
        for line in there:
            self.assertIn(line, self.policy.read_text(encoding="utf-8"))
        self.edit(f"{there[-1]}\n", f"{there[-1]}\n{puzzles}\n")
        self.edit("\nrules:\n", f"\n{self.calendars}\nrules:\n")
        rule = rules.removeprefix("rules:\n").partition(BEFORE_LAST)[0]
        self.edit(NEXT, f"{rule}\n{NEXT}")

    def test_mistake(self) -> None:
        """The misspelt field is told as the page shows it, and alone."""
        self.write_first_rule(self.wrong)
        said = self.run_command("check")
        self.assertEqual(general(said), general(shown("corpproxy check")))

    def test_first_rule(self) -> None:
        """The rule loads, and explain says why it decides."""
        self.write_first_rule(self.right)
        said = self.run_command("check")
        (checked,) = [line for line in pages()[PAGE].split("\n") if "ok: " in line]
        self.assertEqual(general(said), general(checked.strip()))
        self.run_shown("corpproxy explain --user admin --url http://www.chess.com/ --at 2026-11-23T10:00")

    def test_list_and_tests(self) -> None:
        """The list is built and found, the tests pass, and hold against the edit that breaks them."""
        self.write_first_rule(self.right)
        (made,) = [block for block in blocks("console") if "printf" in block.content]
        octets = next(words[1] for words in commands(made) if words[0] == "printf")
        lists = self.policy.parent / "lists"
        lists.mkdir()
        (lists / "ads").write_text(octets.replace("\\n", "\n"), encoding="utf-8")
        self.edit("\ncategories:\n", "\n" + self.lists)
        with self.policy.open("a", encoding="utf-8") as file:
            file.write(self.tests.partition("\n")[2])
        self.assertIn("ads", self.run_command("lists", "build"))
        self.run_shown("corpproxy lists lookup www.doubleclick.net")
        self.run_shown("corpproxy test")
        self.edit('"08:00-18:00"', '"08:00-21:00"')
        self.assertIn(
            "expected allow, got block by 'puzzles wait until the evening'", self.run_command("check")
        )
