"""
Environments in which corpproxy is installed, made in seconds and without a network.

What corpproxy needs comes from the environment of the tests, by a path file; only corpproxy itself is
installed anew.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.running import CHECKOUT

COMMAND_SECONDS = 120
NO_SETTINGS = {"PIP_CONFIG_FILE": os.devnull}

# The parts of a checkout that a build reads.
SOURCES = ("corpproxy", "twisted", "docs", "policies", "native", "tests")
SOURCE_FILES = (
    "setup.cfg",
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "README.rst",
    "LICENSE",
    "Makefile",
    "ruff.toml",
)

# Console scripts are not there for what comes by a path file; -I keeps the current folder out, as they do.
TWISTD = ("-I", "-c", "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()")
TWIST = ("-I", "-m", "twisted")


def temporary_folder() -> Path:
    """A folder that goes when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="corpproxy-packaging-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def run(command: Sequence[object], folder: Path, **more: str) -> str:
    """
    Run a command that must succeed; gives what it said. Only what is in the environment is found.

    ``more`` is what else stands in its environment.
    """
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            **more,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_SECONDS,
        encoding="utf-8",
        check=False,
    )
    if ended.returncode:
        raise AssertionError(f"{command} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def copied_checkout() -> Path:
    """A copy of the checkout: a build leaves files behind, and others work in the real one."""
    copy = temporary_folder() / "checkout"
    copy.mkdir()
    noise = shutil.ignore_patterns("__pycache__", "dropin.cache", "_build", "*.egg-info", "*.so")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, copy / name, ignore=noise)
    for name in SOURCE_FILES:
        shutil.copy(CHECKOUT / name, copy)
    return copy


@functools.cache
def built() -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it; made once."""
    copy = copied_checkout()
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", copy.parent / "dist", copy], copy)
    (source,) = (copy.parent / "dist").glob("*.tar.gz")
    (wheel,) = (copy.parent / "dist").glob("*.whl")
    return source, wheel


def built_without_compiler(copy: Path) -> tuple[Path, str]:
    """A wheel that was built in a copy of the checkout where no compiler is, and what the build said."""
    words = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        copy.parent / "dist",
        copy,
    ]
    said = run(words, copy, CC="no-compiler-is-here")
    (wheel,) = (copy.parent / "dist").glob("*.whl")
    return wheel, said


def environment(*what: object) -> Path:
    """A new environment with ``what`` pip installs (a wheel, or ``-e`` and a folder); gives its python."""
    folder = temporary_folder() / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    python = folder / "bin" / "python"
    paths = run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder.parent
    ).strip()
    (Path(paths) / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if what:
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
        run([*pip, "--no-deps", "--no-index", "--no-build-isolation", *what], folder.parent)
    return python


@functools.cache
def editable() -> tuple[Path, Path]:
    """The python of an environment with a copy of the checkout in it, and that copy; made once."""
    copy = copied_checkout()
    return environment("-e", copy), copy
