"""
The parts that are compiled where that is possible; all else stands in setup.cfg.

Each but ``rest`` has a twin in Python that does the same, so that none of them is needed: without a
compiler, Python's headers or those of OpenSSL they are left out, and pip goes on.  What was left out, and
what to install, is told on the error stream (pip shows that with ``-v``) and written to the file
``build/left-out.txt``, which ``make`` shows; ``corpproxy --version`` says which parts are there.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from glob import glob
from pathlib import Path
from runpy import run_path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
HEADERS = sorted(glob("native/*.h"))
LEFT_OUT = Path("build", "left-out.txt")

_form = run_path("corpproxy/form.py")
FORM = _form["form_of"](Path())


class BuildParts(build_ext):
    """Builds the parts; says which are left out, and why."""

    def build_extensions(self) -> None:
        """Build all of them."""
        super().build_extensions()
        lacking = [one for one in self.extensions if not self.made(one).exists()]
        LEFT_OUT.unlink(missing_ok=True)
        if lacking:
            said = f"{self.told(lacking)}\n"
            print(said, end="", file=sys.stderr)
            LEFT_OUT.parent.mkdir(exist_ok=True)
            LEFT_OUT.write_text(said, encoding="utf-8")

    def build_extension(self, ext: Extension) -> None:
        """Build one; what an earlier build left of other sources does not stand in for it."""
        made = self.made(ext)
        if made.exists() and FORM.encode() not in made.read_bytes():
            made.unlink()
        super().build_extension(ext)

    def made(self, ext: Extension) -> Path:
        """Where a part is built to."""
        return Path(self.get_ext_fullpath(ext.name))

    def told(self, lacking: list[Extension]) -> str:
        """What is left out, and what to install."""
        names = ", ".join(one.name.removeprefix("corpproxy._") for one in lacking)
        return "\n".join(
            [
                f"corpproxy is installed without these compiled parts: {names}.",
                "What they do is done in Python instead: the same, but slower.",
                f"{self.reason(lacking)}; then install corpproxy again.",
                "  Debian, Ubuntu:  apt-get install gcc python3-dev libssl-dev",
                "  Fedora, RHEL:    dnf install gcc python3-devel openssl-devel",
            ]
        )

    def reason(self, lacking: list[Extension]) -> str:
        """What is missing, as far as one can see."""
        compiler = getattr(self.compiler, "compiler_so", ["cc"])[0]
        if shutil.which(compiler) is None:
            return f"There is no C compiler ({compiler} is not found)"
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            return f"The headers of Python {sys.version_info[0]}.{sys.version_info[1]} are missing"
        if all("crypto" in one.libraries for one in lacking):
            return "The headers of OpenSSL are missing"
        return "The compiler objected ('pip install -v' shows its words); see that these are there"


class BuildPackage(build_py):
    """Builds the package; one that is installed without its sources has their form beside it."""

    def run(self) -> None:
        """Build it."""
        super().run()
        if not getattr(self, "editable_mode", False):
            package = Path(self.build_lib, "corpproxy")
            package.mkdir(parents=True, exist_ok=True)
            (package / _form["FORM_FILE"]).write_text(f"{FORM}\n", encoding="ascii")


def part(name: str, *more: str, libraries: tuple[str, ...] = ()) -> Extension:
    """A part, whose module is made in the file of its name; ``more`` names further files of it."""
    return Extension(
        f"corpproxy._{name}",
        [f"native/{file}.c" for file in (name, *more)],
        libraries=list(libraries),
        define_macros=[("CORPPROXY_FORM", f'"{FORM}"')],
        extra_compile_args=FLAGS,
        depends=HEADERS,
        optional=True,
    )


setup(
    cmdclass={"build_ext": BuildParts, "build_py": BuildPackage},
    ext_modules=[
        part(
            "ahead",
            "admission",
            "answer",
            "begin",
            "below",
            "clients",
            "leeway",
            "open",
            "over",
            "recognition",
        ),
        part("apr1", "lanes", libraries=("crypto", "m")),
        part("books", "account", "blank", "figures", "lines", "moment"),
        part("born"),
        part("chain", libraries=("crypto",)),
        part("heads", "digest"),
        part("preface"),
        part("rest"),
        part("road"),
        part("section", "target"),
        part("tunnel", "join", "opening"),
        part(
            "wire",
            "accept",
            "dial",
            "dialler",
            "engine",
            "life",
            "names",
            "ours",
            "patience",
            "reach",
            "sides",
            "sockets",
            "turn",
        ),
    ],
)
