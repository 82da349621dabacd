"""Which twins run: what was compiled, or Python."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.form import FORM_FILE, expected_form, form_of
from tests.support.running import CHECKOUT

SAY = "from corpproxy import twins; print(twins.described())"


def said(**more: str) -> str:
    """What a process with this environment says of its twins."""
    bare = {name: value for name, value in os.environ.items() if name != twins.PURE}
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=CHECKOUT,
        env={**bare, **more},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class TwinsTests(SynchronousTestCase):
    """Compiled parts are taken where they are, and left out on request."""

    def test_built(self) -> None:
        """Where tests run all parts are compiled: both twins must be tried."""
        self.assertEqual(said(), "with all compiled parts")

    def test_switched_off(self) -> None:
        """CORPPROXY_PURE=1 leaves them out; 0 and nothing do not."""
        self.assertEqual(said(CORPPROXY_PURE="1"), "without compiled parts")
        self.assertEqual(said(CORPPROXY_PURE="0"), "with all compiled parts")
        self.assertEqual(said(CORPPROXY_PURE=""), "with all compiled parts")

    def test_other_sources(self) -> None:
        """A part that was compiled from other sources is left out, as if it were not there."""
        self.patch(twins, "IS_PURE", False)
        self.patch(twins, "FORM", form_of(CHECKOUT))
        self.patch(twins, "STALE", set())
        self.assertIs(twins._compiled("_chain"), import_module("corpproxy._chain"))
        self.patch(twins, "FORM", form_of(CHECKOUT)[:-1] + "x")
        self.assertIsNone(twins._compiled("_chain"))
        self.assertEqual(twins.STALE, {"chain"})

    def test_nothing_to_compare(self) -> None:
        """Where neither a form nor sources lie, no part is taken: nobody knows what it was made of."""
        self.patch(twins, "IS_PURE", False)
        self.patch(twins, "FORM", "")
        self.patch(twins, "STALE", set())
        self.assertIsNone(twins._compiled("_chain"))

    def test_some(self) -> None:
        """A part that could not be built is named, in words and in the metrics."""
        self.patch(twins, "PARTS", {"chain": None, "other": os})
        self.assertEqual(twins.described(), "with the compiled parts other; without chain")
        self.assertEqual(twins.measured(), {"chain": 0.0, "other": 1.0})

    def advise(self, stale: set[str], is_pure: bool = False, **parts: object) -> str:
        self.patch(twins, "PARTS", parts)
        self.patch(twins, "STALE", stale)
        self.patch(twins, "IS_PURE", is_pure)
        return twins.advice()

    def test_advice(self) -> None:
        """What is missing is told with what to do about it; where all is there, nothing is."""
        self.assertEqual(self.advise(set(), chain=os, wire=os), "")
        self.assertEqual(
            self.advise(set(), chain=None, wire=os),
            "twins in Python run, which is slower (not compiled: chain; install a C compiler (gcc), "
            "python3-dev and libssl-dev, then corpproxy again)",
        )
        self.assertEqual(
            self.advise({"wire"}, chain=os, wire=None),
            "twins in Python run, which is slower (compiled from other sources: wire; "
            "install corpproxy again)",
        )
        self.assertEqual(
            self.advise(set(), is_pure=True, chain=None),
            "CORPPROXY_PURE is set: all parts run as their twins in Python, which is slower",
        )


class FormTests(SynchronousTestCase):
    """The form changes with what the parts are made of, and with nothing else."""

    def checkout(self, **files: str) -> Path:
        folder = Path(self.mktemp())
        (folder / "native").mkdir(parents=True)
        (folder / "corpproxy").mkdir()
        for name, content in {"one.c": "int a;", "one.h": "int b;", **files}.items():
            (folder / "native" / name).write_text(content)
        (folder / "setup.py").write_text("setup()")
        return folder

    def test_sources(self) -> None:
        """An octet in a source or a header, or one more source, is another form; a note is none."""
        form = form_of(self.checkout())
        self.assertEqual(form_of(self.checkout()), form)
        self.assertEqual(form_of(self.checkout(notes="of mine")), form)
        others = {
            form_of(self.checkout(**{name: content}))
            for name, content in (("one.c", "int A;"), ("one.h", "int B;"), ("two.c", ""))
        }
        self.assertEqual(len(others | {form}), 4)

    def test_setup(self) -> None:
        """Which files make which part stands in setup.py, so that it counts as well."""
        other = self.checkout()
        (other / "setup.py").write_text("setup(1)")
        self.assertNotEqual(form_of(other), form_of(self.checkout()))

    def test_expected(self) -> None:
        """A checkout is asked for its sources; what is installed without them has the form beside it."""
        checkout = self.checkout()
        self.assertEqual(expected_form(checkout / "corpproxy"), form_of(checkout))
        (checkout / "corpproxy" / FORM_FILE).write_text("of the wheel\n")
        self.assertEqual(expected_form(checkout / "corpproxy"), "of the wheel")
        self.assertEqual(expected_form(Path(self.mktemp()) / "corpproxy"), "")
