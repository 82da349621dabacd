"""The wheel and the source distribution, opened, installed and run."""

from __future__ import annotations

import sys
import sysconfig
import tarfile
import zipfile

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import __version__, twins
from tests.packaging.environments import (
    TWIST,
    TWISTD,
    built,
    built_without_compiler,
    copied_checkout,
    editable,
    environment,
    run,
    temporary_folder,
)
from tests.support.running import CHECKOUT

PLUGIN = "twisted/plugins/corpproxy_plugin.py"
HELP = "The policy file"
SAY = "from corpproxy import twins; print(f'{twins.described()}: {twins.advice()}')"


def packaged() -> set[str]:
    """Every file of the package in the checkout, as it must be in the wheel."""
    files = (CHECKOUT / "corpproxy").rglob("*")
    return {
        str(file.relative_to(CHECKOUT))
        for file in files
        if file.is_file() and "__pycache__" not in file.parts and file.suffix not in (".pyc", ".so")
    }


class WheelTests(SynchronousTestCase):
    """What people install."""

    def names(self) -> list[str]:
        return zipfile.ZipFile(built()[1]).namelist()

    def test_plugin(self) -> None:
        """Exactly one file of ours lies below ``twisted``: more would be part of somebody else's package."""
        self.assertEqual([name for name in self.names() if name.startswith("twisted")], [PLUGIN])

    def test_whole(self) -> None:
        """Every file of the package is in it, pages, words and first policies too."""
        self.assertEqual(packaged() - set(self.names()), set())

    def test_nothing_else(self) -> None:
        """Nothing is in it but the package, the plugin and the description: no tests, no documentation."""
        ours = ("corpproxy/", f"corpproxy-{__version__}.dist-info/", PLUGIN)
        self.assertEqual([name for name in self.names() if not name.startswith(ours)], [])

    def test_compiled(self) -> None:
        """The compiled parts are in it, each once, and none of their sources."""
        there = [name.partition(".")[0] for name in self.names() if name.endswith(".so")]
        self.assertEqual(sorted(there), sorted(f"corpproxy/_{part}" for part in twins.PARTS))
        self.assertEqual([name for name in self.names() if name.endswith((".c", ".h"))], [])

    def test_licence(self) -> None:
        """The licence goes with it."""
        self.assertTrue([name for name in self.names() if name.endswith("LICENSE")])


class SourceDistributionTests(SynchronousTestCase):
    """What packagers take."""

    def test_contents(self) -> None:
        """It has what a build needs, and no tests; the wheel of these tests is built from it."""
        with tarfile.open(built()[0]) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        built_from = ("setup.cfg", "setup.py", "pyproject.toml", "native/chain.c", PLUGIN)
        for needed in (*built_from, "README.rst", "LICENSE"):
            self.assertIn(needed, names)
        self.assertEqual(packaged() - names, set())
        self.assertEqual([name for name in names if name.startswith(("tests", "benchmarks", ".ci"))], [])


class InstalledTests(SynchronousTestCase):
    """A wheel in an environment of its own, and a folder that is not the checkout."""

    def test_commands(self) -> None:
        """twistd, twist and corpproxy answer; init finds its first policy."""
        python, elsewhere = environment(built()[1]), temporary_folder()
        self.assertIn(HELP, run([python, *TWISTD, "corpproxy", "--help"], elsewhere))
        self.assertIn(HELP, run([python, *TWIST, "corpproxy", "--help"], elsewhere))
        command = python.with_name("corpproxy")
        said = f"corpproxy {__version__}, with all compiled parts\n"
        self.assertEqual(run([command, "--version"], elsewhere), said)
        self.assertIn("password", run([command, "init", "site"], elsewhere))
        self.assertIn("ok:", run([command, "check", "site/policy.yaml"], elsewhere))
        where = run([python, "-I", "-c", "import corpproxy; print(corpproxy.__file__)"], elsewhere)
        self.assertTrue(where.startswith(str(python.parents[1])), where)


class WithoutCompilerTests(SynchronousTestCase):
    """A machine on which nothing can be compiled."""

    def test_pure(self) -> None:
        """
        It is built and installed all the same, says so and what to install, and runs the twins in Python.

        What an earlier build left of other sources is not packed instead.
        """
        copy = copied_checkout()
        tag = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
        left = copy / "build" / f"lib.{tag}" / "corpproxy" / f"_chain{sysconfig.get_config_var('EXT_SUFFIX')}"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"of other sources")
        wheel, said = built_without_compiler(copy)
        names = ", ".join(sorted(twins.PARTS))
        self.assertIn(f"corpproxy is installed without these compiled parts: {names}.\n", said)
        self.assertIn("There is no C compiler (no-compiler-is-here is not found); then", said)
        self.assertIn((copy / "build" / "left-out.txt").read_text(), said)
        self.assertEqual([name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")], [])
        command = environment(wheel).with_name("corpproxy")
        said = f"corpproxy {__version__}, without compiled parts\n"
        self.assertEqual(run([command, "--version"], temporary_folder()), said)


class StaleTests(SynchronousTestCase):
    """A compiled part of other sources, left behind by who went before."""

    def test_installed(self) -> None:
        """One among those of a wheel is known, and its twin in Python runs."""
        python = environment(built()[1])
        (package,) = python.parents[1].glob("lib/*/site-packages/corpproxy")
        form, part = (package / "form.txt").read_bytes().strip(), next(package.glob("_chain.*"))
        self.assertIn(form, part.read_bytes())
        part.write_bytes(part.read_bytes().replace(form, b"0" * len(form)))
        said = run([python.with_name("corpproxy"), "--version"], temporary_folder())
        self.assertTrue(said.endswith("; without chain\n"), said)


class EditableTests(SynchronousTestCase):
    """``pip install -e .``"""

    def test_plugin(self) -> None:
        """The plugin is found from another folder."""
        python, _ = editable()
        self.assertIn(HELP, run([python, *TWISTD, "corpproxy", "--help"], temporary_folder()))
        self.assertIn(HELP, run([python, *TWIST, "corpproxy", "--help"], temporary_folder()))

    def test_went_on(self) -> None:
        """When the sources went on, what was compiled is left out until it is compiled again."""
        python, copy = editable()
        header = copy / "native" / "module.h"
        before = header.read_text()
        self.assertEqual(run([python, "-I", "-c", SAY], temporary_folder()), "with all compiled parts: \n")
        header.write_text(f"{before}/* went on */\n")
        self.addCleanup(header.write_text, before)
        said = run([python, "-I", "-c", SAY], temporary_folder())
        self.assertTrue(said.startswith("without compiled parts: "), said)
        self.assertIn("compiled from other sources: ahead, ", said)


class CheckoutTests(SynchronousTestCase):
    """A checkout in which nothing was installed."""

    def test_plugin(self) -> None:
        """``python -m twisted`` finds the plugin from the folder of the checkout."""
        python, copy = environment(), copied_checkout()
        self.assertIn(HELP, run([python, "-m", "twisted", "corpproxy", "--help"], copy))
        self.assertIn("corpproxy", run([python, "-m", "corpproxy", "--version"], copy))
