"""``corpproxy audit verify``: whether the record is what was written."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.site import add_site_arguments, site_of
from corpproxy.counted import counted
from corpproxy.errors import CorpproxyError

if TYPE_CHECKING:
    from corpproxy.backends.records.verify import Verdict

DESCRIPTION = (
    "Verify the record: its chains, and the checkpoints that are signed. "
    "Nothing but the files and the public key is needed; exits with 1 when something is wrong."
)

# More of one kind in one file says nothing more.
MAX_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add_site_arguments(parser)
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="the records; else those of the site"
    )
    parser.add_argument(
        "--key", type=Path, metavar="PUB", help="the public key, as PEM; else the one of the site"
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="checkpoints that were kept elsewhere, which must be among those beside the records",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Verify and tell; gives the exit status."""
    # They are slow to import, and the other commands do without.
    from corpproxy.backends.records.signing_key import PUBLIC_KEY, public_key
    from corpproxy.backends.records.verify import verify

    folder, key_file = options.folder, options.key
    if folder is None or key_file is None:
        site = site_of(options, needed=folder is None)
        folder = folder or site.state / RECORDS_FOLDER
        key_file = key_file or (site.state if options.folder is None else folder.parent) / PUBLIC_KEY
    try:
        verdict = verify(folder, public_key(key_file), options.checkpoint)
    except CorpproxyError as error:
        raise CommandFailed(error.message) from error
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from error
    if options.json:
        print(json.dumps(_as_json(verdict), indent=1))
    else:
        _tell(verdict)
        if options.key is None:
            print(f"the key was {key_file}; one that was kept elsewhere proves more")
    return 0 if verdict.is_whole else 1


def _tell(verdict: Verdict) -> None:
    for finding in verdict.findings[:MAX_SHOWN]:
        print(finding)
    if len(verdict.findings) > MAX_SHOWN:
        print(f"and {len(verdict.findings) - MAX_SHOWN} more")
    for tail in verdict.tails:
        last = "the last record is" if tail.count == 1 else f"the last {tail.count:,} records are"
        print(f"{tail.file}:{tail.line}: unsigned tail: {last} in no checkpoint yet")
    for name in verdict.cut:
        print(f"{name}: unsigned tail: it ends in half a line, as a crash leaves it")
    records, segments = counted(verdict.records, "record"), counted(verdict.segments, "segment")
    of = f"{records} in {segments}, {counted(verdict.checkpoints, 'checkpoint')}"
    erased = f", {verdict.erased:,} with something erased" if verdict.erased else ""
    said = "whole" if verdict.is_whole else counted(len(verdict.findings), "fault")
    print(f"{said}: {of}{erased}")


def _as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "whole": verdict.is_whole,
        "records": verdict.records,
        "segments": verdict.segments,
        "checkpoints": verdict.checkpoints,
        "erased": verdict.erased,
        "findings": [
            {"file": one.file, "line": one.line, "fault": one.fault.value, "message": one.sentence}
            for one in verdict.findings
        ],
        "unsigned": [{"file": one.file, "line": one.line, "records": one.count} for one in verdict.tails],
        "cut": verdict.cut,
    }
