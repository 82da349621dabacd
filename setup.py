"""
The parts that are compiled where that is possible; all else stands in setup.cfg.

Each but ``rest`` has a twin in Python that does the same, so that none of them is needed: without a
compiler, Python's headers or those of OpenSSL they are left out, and pip goes on.  ``corpproxy --version``
says which are there.
"""

from __future__ import annotations

from glob import glob

from setuptools import Extension, setup

FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
HEADERS = sorted(glob("native/*.h"))


def part(name: str, *more: str, libraries: tuple[str, ...] = ()) -> Extension:
    """A part, whose module is made in the file of its name; ``more`` names further files of it."""
    return Extension(
        f"corpproxy._{name}",
        [f"native/{file}.c" for file in (name, *more)],
        libraries=list(libraries),
        extra_compile_args=FLAGS,
        depends=HEADERS,
        optional=True,
    )


setup(
    ext_modules=[
        part("ahead", "admission", "answer", "begin", "below", "leeway", "open", "over"),
        part("apr1", "lanes", libraries=("crypto", "m")),
        part("books", "account", "figures", "moment"),
        part("born"),
        part("chain", libraries=("crypto",)),
        part("heads", "digest"),
        part("preface"),
        part("rest"),
        part("road"),
        part("section", "target"),
        part("tunnel", "join", "opening"),
        part("wire", "dial", "dialler", "engine", "life", "patience", "reach", "sides", "sockets", "turn"),
    ],
)
