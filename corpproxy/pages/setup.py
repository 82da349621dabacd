"""How a device is set up, step by step for each system."""

from __future__ import annotations

from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.sheet import Fact, Link, Section, Sheet, Tone

SYSTEMS = ("windows", "macos", "ios", "android", "chromeos", "linux", "firefox")


def setup_sheet(
    words: Catalogue, pac_uri: str, title: str, lead: str = "", links: tuple[Link, ...] = ()
) -> Sheet:
    """Say how to set up a device with the PAC file at ``pac_uri``."""
    return Sheet(
        status=200,
        kind="setup",
        tone=Tone.PLAIN,
        title=title,
        lead=tuple(line for line in (lead, words.say("setup.lead")) if line),
        sections=(_address(words, pac_uri), *(_system(words, name, pac_uri) for name in SYSTEMS)),
        links=links,
        subject=title,
        ask=words.say("page.help"),
    )


def _address(words: Catalogue, pac_uri: str) -> Section:
    return Section(
        title=words.say("fact.pac"),
        facts=(Fact("pac", words.say("fact.pac"), pac_uri, exact=True),),
        text=(words.say("setup.after"),),
    )


def _system(words: Catalogue, name: str, pac_uri: str) -> Section:
    steps = words.say(f"setup.{name}_steps").strip().splitlines()
    return Section(
        title=words.say(f"setup.{name}"),
        steps=tuple(step.format(pac=pac_uri) for step in steps),
        folded=True,
    )
