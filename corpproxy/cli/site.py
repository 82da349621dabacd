"""Which site a command is about: the state folder and the time zone of its policy."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from corpproxy.accounting.store_address import StoreAddress, in_state_folder
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.moments import machine_zone
from corpproxy.policy.days import DAY_BEGINS

DEFAULT_POLICY = Path("policy.yaml")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a site keeps its state, its time, and what it is called."""

    state: Path
    zone: tzinfo
    name: str = "This site"
    day_begins: int = DAY_BEGINS
    store: StoreAddress | None = None

    @property
    def address(self) -> StoreAddress:
        """Where its store is; in the state folder where the policy cannot say."""
        return self.store or in_state_folder(self.state)


def add_site_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how to name the policy."""
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")


def site_of(options: argparse.Namespace, *, needed: bool) -> Site:
    """
    Find the site of the policy that the options name.

    A policy that a bad edit broke still tells its state folder, and the time is then that of this machine.
    Where it is not ``needed`` (the files to read are named), a policy that is missing is none of the
    command's business.

    :raises CommandFailed: when the policy is needed and not there.
    """
    path: Path = options.policy or DEFAULT_POLICY
    if not path.is_file():
        if needed:
            raise CommandFailed(f"{path}: there is no such policy; name it with --policy")
        return Site(path.parent, machine_zone())
    from corpproxy.backends.policies.files import DISK
    from corpproxy.backends.policies.start import possible_state_folders
    from corpproxy.config.load import load_policy

    configuration = load_policy(path, DISK, forgiving=True).configuration
    if configuration is not None:
        return Site(
            configuration.state,
            configuration.time_zone,
            configuration.site,
            configuration.day_begins,
            configuration.store,
        )
    print(
        f"{path} cannot be loaded ('corpproxy check' says why); times are those of this machine",
        file=sys.stderr,
    )
    folders = list(possible_state_folders(path))
    return Site(next((folder for folder in folders if folder.is_dir()), folders[0]), machine_zone())
