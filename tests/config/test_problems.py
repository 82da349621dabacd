"""Every problem is told at its place, in words that say what to do: the files in ``problems/``."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import corpproxy.config
import corpproxy.objections
import corpproxy.reload
from corpproxy.config import codes, nodes, shape, sources
from corpproxy.config.advice import ADVICE
from corpproxy.config.checks import cases, limits, listen, rules
from corpproxy.policy import lint, overdue, unreached
from tests.config.support import read_case, shown

CASES = {path.stem: read_case(path) for path in sorted((Path(__file__).parent / "problems").glob("*.yaml"))}

# Where the bounds stand that a case may lower.
BOUNDED = (nodes, sources, shape, rules, limits, listen, cases)


class ProblemTests(SynchronousTestCase):
    """One method for each case file; made below."""

    def check(self, name: str) -> None:
        case = CASES[name]
        if case.needs and importlib.util.find_spec(case.needs) is None:
            raise SkipTest(f"{case.needs} is not installed")
        if case.without:
            self.addCleanup(_put_back, case.without, sys.modules.get(case.without))
            sys.modules[case.without] = None  # type: ignore[assignment]
        for bound, number in case.bounds.items():
            (module,) = [one for one in BOUNDED if hasattr(one, bound)]
            self.patch(module, bound, number)
        loaded = case.load()
        self.assertEqual(shown(loaded), case.lines)
        self.assertEqual(loaded.configuration is None, bool(loaded.errors))


for _name in CASES:
    setattr(
        ProblemTests,
        f"test_{_name.replace('-', '_')}",
        lambda self, name=_name: self.check(name),
    )


# Where the code stands among the arguments of what makes a problem.
CODE_ARGUMENT = {"Problem": 1, "_problem": 1, "say": 1, "say_of_key": 1, "wrong": 0, "told": 0, "parsed": 2}


# Codes of what only a service that runs can say; tests/service shows them.
OF_THE_SERVICE = {"needs-restart", "worker-objects", "reload-failed", "stopping"}
# And those of the record alone, which stand in the case of a command: tests/cli/test_check_record.py.
OF_THE_SERVICE |= {"record-too-short"}


# Codes of problems that have no line to show.
OF_A_WHOLE_FILE = {"empty-file", "too-large"}


def said_codes() -> Iterator[str]:
    """Every code that stands in the source where a problem is made."""
    folder = Path(corpproxy.config.__file__).parent
    modules = (lint, overdue, unreached, corpproxy.objections, corpproxy.reload)
    for path in (*folder.rglob("*.py"), *(Path(str(module.__file__)) for module in modules)):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call):
                name = (
                    call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                )
                number = CODE_ARGUMENT.get(name, len(call.args))
                said = call.args[number] if number < len(call.args) else None
                if isinstance(said, ast.Constant):
                    yield str(said.value)


def _put_back(name, module):
    del sys.modules[name]
    if module is not None:
        sys.modules[name] = module


class CodeTests(SynchronousTestCase):
    """The catalogue of codes is whole."""

    def test_every_code_has_a_case(self):
        """Each kind of problem is shown by a case file."""
        shown = set().union(*(case.codes for case in CASES.values()))
        self.assertEqual(sorted(codes.CODES.keys() - shown - OF_THE_SERVICE), [])

    def test_every_code_has_a_ruler(self):
        """Each kind of problem is shown with a ruler under its place, but those of a whole file."""
        shown = set().union(*(case.ruled_codes for case in CASES.values()))
        self.assertEqual(sorted(codes.CODES.keys() - shown - OF_THE_SERVICE), sorted(OF_A_WHOLE_FILE))

    def test_every_code_is_listed(self):
        """Whatever the source or a case says stands in the catalogue, and so in the manual."""
        shown = set().union(*(case.codes for case in CASES.values()))
        self.assertEqual(sorted((shown | set(said_codes())) - codes.CODES.keys()), [])

    def test_advice(self):
        """For each kind of problem there is a sentence on what to do."""
        self.assertEqual(list(ADVICE), list(codes.CODES))

    def test_enough_cases(self):
        """The case files were found."""
        self.assertGreater(len(CASES), 60)
