"""Which twins run: what was compiled, or Python."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
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

    def test_other_form(self) -> None:
        """A part that was compiled from other sources is left out, as if it were not there."""
        parts = [import_module(f"corpproxy._{name}") for name in twins.PARTS]
        self.assertEqual({part.FORM for part in parts}, {twins.FORM})
        written = (CHECKOUT / "native" / "form.h").read_text()
        self.assertIn(f"#define CORPPROXY_FORM {twins.FORM}\n", written)
        self.patch(os, "environ", {})
        chain = import_module("corpproxy._chain")
        self.assertIs(twins._compiled("_chain"), chain)
        self.patch(chain, "FORM", twins.FORM + 1)
        self.assertIsNone(twins._compiled("_chain"))

    def test_some(self) -> None:
        """A part that could not be built is named, in words and in the metrics."""
        self.patch(twins, "PARTS", {"chain": None, "other": os})
        self.assertEqual(twins.described(), "with the compiled parts other; without chain")
        self.assertEqual(twins.measured(), {"chain": 0.0, "other": 1.0})
