"""Verifying a folder of records: nothing but the files and the public key is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from corpproxy.audit.proof import Unproven, read
from corpproxy.audit.received import received
from corpproxy.audit.signatures import Signatures
from corpproxy.audit.verify import Fault, Finding, Link, Tail, Walk
from corpproxy.backends.records.checkpoint_files import checkpoint_files
from corpproxy.backends.records.segment_file import DamagedSegment, open_segment
from corpproxy.backends.records.segments import SegmentName, segment_names


@dataclass(slots=True)
class Verdict:
    """
    What came of verifying.

    ``findings`` are what is wrong, in the order of files and lines.  ``tails`` are records that no checkpoint
    covers yet, ``cut`` the segments that end in half a line, as a crash leaves them: neither is a fault.
    ``lines`` are how many whole lines each segment has.
    """

    findings: list[Finding] = field(default_factory=list)
    tails: list[Tail] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    records: int = 0
    erased: int = 0
    segments: int = 0
    checkpoints: int = 0
    lines: dict[str, int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(folder: Path, key: Ed25519PublicKey, kept: Sequence[Path] = ()) -> Verdict:
    """
    Verify the records in a folder; ``kept`` are files of checkpoints that were kept elsewhere.

    :raises OSError: when the folder or one of these files cannot be read.
    """
    verdict = Verdict()
    signatures = Signatures(key)
    for path in checkpoint_files(folder):
        signatures.take(path.name, path.read_bytes().splitlines(keepends=True))
    for path in kept:
        lines = received(path.read_bytes())
        signatures.compare(str(path), lines)
        if not lines:
            said = "there is no checkpoint in it"
            verdict.findings.append(Finding(str(path), 0, Fault.EDITED, said))
    verdict.checkpoints = len(signatures.lines)
    signed = frozenset(bytes.fromhex(end.head) for _, end in signatures.ends)
    names = segment_names(folder)
    verdict.segments = len(names)
    found: set[bytes] = set()
    suspects: list[Link] = []
    for _, mine in groupby(sorted(names, key=_worker_first), key=lambda name: name.worker):
        walk = Walk(signed, frozenset(signatures.follows))
        walk.take(_links(mine, verdict))
        found |= walk.found
        suspects += walk.suspects
        verdict.records += walk.records
        verdict.erased += walk.erased
        verdict.tails += walk.tails
        verdict.findings += walk.findings
    verdict.findings += signatures.findings
    told = {(one.file, one.line) for one in verdict.findings}
    lines_of = {name.canonical: verdict.lines.get(name.canonical, 0) for name in names}
    missing = signatures.missing(found, lines_of)
    # Where the walk has found a record that was changed, its hash is another one for just that.
    verdict.findings += (one for one in missing if not one.line or (one.file, one.line) not in told)
    _name_origins(verdict, suspects, names)
    if not signatures.lines and verdict.records:
        said = "there is no checkpoint beside the records; nothing says that they were not written anew"
        verdict.findings.append(Finding(str(folder), 0, Fault.UNSIGNED, said))
    verdict.findings.sort()
    return verdict


def _worker_first(name: SegmentName) -> tuple[int, SegmentName]:
    return name.worker, name


def _links(names: Iterable[SegmentName], verdict: Verdict | None = None) -> Iterator[Link]:
    for name in names:
        try:
            with open_segment(name.path) as file:
                for number, line in enumerate(file, 1):
                    if line.endswith(b"\n"):
                        if verdict is not None:
                            verdict.lines[name.canonical] = number
                        yield _link(name.canonical, number, line)
                    elif verdict is not None:
                        verdict.cut.append(name.canonical)
        except DamagedSegment as error:
            if verdict is not None:
                said = f"the compressed file is damaged: {error}"
                verdict.findings.append(Finding(name.canonical, 0, Fault.EDITED, said))


def _link(file: str, number: int, line: bytes) -> Link:
    try:
        proven = read(line)
    except Unproven:
        return Link(file, number, None)
    return Link(file, number, proven, proven.digest)


def _name_origins(verdict: Verdict, suspects: Sequence[Link], names: Iterable[SegmentName]) -> None:
    """Say of what was inserted where else it stands, which takes another look at all files."""
    if not suspects:
        return
    wanted = {link.digest: (link.file, link.line) for link in suspects}
    origins: dict[tuple[str, int], str] = {}
    for link in _links(names):
        place = wanted.get(link.digest)
        if place is not None and place != (link.file, link.line):
            origins[place] = f"{link.file}:{link.line}"
    for at, finding in enumerate(verdict.findings):
        origin = origins.get((finding.file, finding.line))
        if origin is not None and finding.fault is Fault.INSERTED:
            said = f"it is a copy of the record at {origin}"
            verdict.findings[at] = replace(finding, fault=Fault.FOREIGN, sentence=said)
