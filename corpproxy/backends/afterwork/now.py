"""The afterwork done at once, for a command that waits for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from msgspec.structs import replace

from corpproxy.backends.afterwork.job import AfterworkJob, encoded
from corpproxy.backends.lists.files import build_command


def afterwork_now(job: AfterworkJob) -> str:
    """
    Do the afterwork, or wait until the service has; gives what could not be done, in words.

    It is done as the user to whom the state folder belongs: what root made there the service could not
    change.

    :raises OSError: when there is no such folder, or no child can be started.
    """
    argv, environment = build_command("afterwork.run")
    order = encoded(replace(job, waits=True))
    user, group = _owner(Path(job.state))
    child = subprocess.run(
        argv,
        input=order,
        capture_output=True,
        env=environment,
        check=False,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )
    return child.stderr.decode("utf-8", "replace").strip()


def _owner(state: Path) -> tuple[int | None, int | None]:
    """Who the child has to be; None where it is to be who we are."""
    found = state.stat()
    return (None, None) if os.geteuid() or not found.st_uid else (found.st_uid, found.st_gid)
