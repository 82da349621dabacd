"""Configurations in memory, and the policies that they become."""

from __future__ import annotations

from pathlib import Path

from corpproxy.config.configuration import Configuration
from corpproxy.config.load import Loaded, load_policy
from corpproxy.foreign.draft import Imported
from corpproxy.foreign.overlay import Overlay
from corpproxy.foreign.squid.policy import import_squid
from tests.config.support import MemoryFiles

FOLDER = Path("/etc/squid")
SITE = Path("/site")


def squid(text: str, **beside: str) -> Imported:
    """Import this squid.conf; ``beside`` are files by their names, with ``_txt`` for ``.txt``."""
    texts = {FOLDER / "squid.conf": text.encode()}
    for name, content in beside.items():
        texts[FOLDER / name.replace("_", ".")] = content.encode("latin-1")
    return import_squid(FOLDER / "squid.conf", MemoryFiles(texts), SITE)


def rules_of(made: Imported) -> list[str]:
    """The rules of a policy, each on one line without its comment."""
    found: list[str] = []
    text = made.files["policy.yaml"].decode().partition("\nrules:\n")[2].partition("\n# What ")[0]
    for line in text.splitlines():
        bare = line.partition("  # ")[0].strip()
        if bare.startswith("- name: "):
            found.append(bare.removeprefix("- name: "))
        elif bare and not bare.startswith("#"):
            found[-1] += f" | {bare}"
    return found


def said(made: Imported) -> list[str]:
    """The problems, as lines with the name of the file alone."""
    return [f"{one}".replace(f"{FOLDER}/", "") for one in (*made.problems, *made.open)]


def loads(made: Imported) -> bool:
    """Whether the policy loads with nothing but hints."""
    return all(one.severity == "hint" for one in _load(made).problems)


def loaded(made: Imported) -> Configuration:
    """The policy, loaded."""
    configuration = _load(made).configuration
    assert configuration is not None
    return configuration


def _load(made: Imported) -> Loaded:
    texts = {SITE / name: octets for name, octets in made.files.items()}
    return load_policy(SITE / "policy.yaml", Overlay(texts, MemoryFiles()))
