"""Which site a command is about: the state folder and the time zone of its policy."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from corpproxy.cli.moments import machine_zone

DEFAULT_POLICY = Path("policy.yaml")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a site keeps its state, and its time."""

    state: Path
    zone: tzinfo


class SiteUnknown(Exception):
    """The policy cannot be read, so that nobody knows where its state is."""


def add_site_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how to name the policy."""
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help=f"the policy of the site (default: {DEFAULT_POLICY})"
    )


def site_of(options: argparse.Namespace, *, needed: bool) -> Site:
    """
    Read the policy that the options name.

    Where it is not ``needed`` and not named, the time is that of this machine and there is no state folder.

    :raises SiteUnknown: with the problems of the policy.
    """
    if options.policy is None and not needed:
        return Site(Path(), machine_zone())
    from corpproxy.config.load import load_policy

    path: Path = options.policy or DEFAULT_POLICY
    try:
        loaded = load_policy(path, Path.read_bytes)
    except OSError as error:
        raise SiteUnknown(f"{path}: {error.strerror}; name the policy with --policy") from error
    if loaded.configuration is None:
        raise SiteUnknown("\n".join(map(str, loaded.problems)))
    return Site(loaded.configuration.state, loaded.configuration.time_zone)
