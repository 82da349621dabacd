"""
The parts that are compiled where that is possible; all else stands in setup.cfg.

Each has a twin in Python that does the same, so that none of them is needed: without a compiler, Python's
headers or those of OpenSSL they are left out, and pip goes on.  ``corpproxy --version`` says which are there.
"""

from __future__ import annotations

from setuptools import Extension, setup

FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
HEADERS = ["native/form.h", "native/slots.h"]

setup(
    ext_modules=[
        Extension(
            "corpproxy._ahead", ["native/ahead.c"], extra_compile_args=FLAGS, depends=HEADERS, optional=True
        ),
        Extension(
            "corpproxy._apr1",
            ["native/apr1.c"],
            libraries=["crypto"],
            extra_compile_args=FLAGS,
            depends=HEADERS,
            optional=True,
        ),
        Extension(
            "corpproxy._chain",
            ["native/chain.c"],
            libraries=["crypto"],
            extra_compile_args=FLAGS,
            depends=HEADERS,
            optional=True,
        ),
        Extension(
            "corpproxy._heads", ["native/heads.c"], extra_compile_args=FLAGS, depends=HEADERS, optional=True
        ),
        Extension(
            "corpproxy._preface",
            ["native/preface.c"],
            extra_compile_args=FLAGS,
            depends=HEADERS,
            optional=True,
        ),
        Extension(
            "corpproxy._road", ["native/road.c"], extra_compile_args=FLAGS, depends=HEADERS, optional=True
        ),
        Extension(
            "corpproxy._section",
            ["native/section.c"],
            extra_compile_args=FLAGS,
            depends=HEADERS,
            optional=True,
        ),
        Extension(
            "corpproxy._wire", ["native/wire.c"], extra_compile_args=FLAGS, depends=HEADERS, optional=True
        ),
    ],
)
