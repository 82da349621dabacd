"""The checkpoints of a record together: whether they follow one another, and what they say of its chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from corpproxy.audit.checkpoint import (
    NONE_BEFORE,
    BadCheckpoint,
    Checkpoint,
    check_signature,
    line_hash,
    read_checkpoint,
)
from corpproxy.audit.proof import End
from corpproxy.audit.verify import Fault, Finding
from corpproxy.counted import counted


@dataclass(slots=True)
class Signatures:
    """
    All checkpoints that stand beside the records.

    :ivar ends: what they say of the ends of chains, the oldest first, with the number of the checkpoint.
    :ivar dropped: the names of segments that retention deleted.
    :ivar follows: the hashes with which the segments behind these begin.
    :ivar lines: the hash of each checkpoint's line, by number.
    """

    key: Ed25519PublicKey
    findings: list[Finding] = field(default_factory=list)
    ends: list[tuple[int, End]] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    follows: set[bytes] = field(default_factory=set)
    lines: dict[int, str] = field(default_factory=dict)
    last: Checkpoint | None = None

    def take(self, file: str, lines: Iterable[bytes]) -> None:
        """Read the checkpoints of one file, which follow those of the file before."""
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                # A crash in the middle of writing: what it would have said is not signed.
                continue
            try:
                check_signature(line, self.key)
                self._take(file, number, line, read_checkpoint(line))
            except BadCheckpoint as error:
                self.findings.append(Finding(file, number, Fault.EDITED, str(error)))
                self.last = None

    def _take(self, file: str, line_number: int, line: bytes, checkpoint: Checkpoint) -> None:
        before = self.last
        expected = before.number + 1 if before is not None else None
        if expected is None:
            # Behind one that cannot be read, or the first of all.
            if not self.lines and checkpoint.before != NONE_BEFORE:
                said = f"checkpoint {checkpoint.number} is the first here, and was not the first"
                self.findings.append(Finding(file, line_number, Fault.DROPPED, said))
        elif checkpoint.before != self.lines[before.number]:  # type: ignore[union-attr]
            fault = Fault.DROPPED if checkpoint.number > expected else Fault.SWAPPED
            said = f"checkpoint {checkpoint.number} does not follow checkpoint {expected - 1}"
            self.findings.append(Finding(file, line_number, fault, said))
        self.last = checkpoint
        self.lines[checkpoint.number] = line_hash(line)
        self.ends += [(checkpoint.number, end) for end in checkpoint.chains]
        for one in checkpoint.dropped:
            self.dropped.add(one.segment)
            self.follows.add(bytes.fromhex(one.follows))

    def compare(self, file: str, kept: Iterable[bytes]) -> None:
        """Compare with checkpoints that were kept elsewhere: each must be among these."""
        for number, line in enumerate(kept, 1):
            try:
                check_signature(line, self.key)
                checkpoint = read_checkpoint(line)
            except BadCheckpoint as error:
                said = f"the checkpoint kept elsewhere: {error}"
                self.findings.append(Finding(file, number, Fault.EDITED, said))
                continue
            here = self.lines.get(checkpoint.number)
            if here is None:
                said = f"checkpoint {checkpoint.number} is not beside the records: they were cut"
                self.findings.append(Finding(file, number, Fault.TRUNCATED, said))
            elif here != line_hash(line):
                said = (
                    f"beside the records stands another checkpoint {checkpoint.number}: they were signed anew"
                )
                self.findings.append(Finding(file, number, Fault.EDITED, said))

    def missing(self, found: set[bytes], segments: Mapping[str, int]) -> Iterator[Finding]:
        """
        Give what checkpoints say of the ends of chains and was not found, the last of each segment.

        ``segments`` are the numbers of lines of those that are there: where there are enough, the record was
        not cut off but changed.
        """
        lacking: dict[str, tuple[int, End]] = {}
        for number, end in self.ends:
            if bytes.fromhex(end.head) in found:
                lacking.pop(end.segment, None)
            elif end.segment not in self.dropped:
                lacking[end.segment] = number, end
        for segment, (number, end) in lacking.items():
            lines = segments.get(segment)
            if lines is not None and lines >= end.records:
                said = f"checkpoint {number} signed another record in this place"
                yield Finding(segment, end.records, Fault.EDITED, said)
                continue
            here = "is not there" if lines is None else f"has {lines}"
            said = f"checkpoint {number} says that it has {counted(end.records, 'record')}, and it {here}"
            yield Finding(segment, 0, Fault.TRUNCATED, said)
