"""Handwritten category lists on the disk, in the layouts in which they are published."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

UT1 = {
    "blacklists/games/domains": b"chess.com\nplay.example\n192.0.2.7\nco.uk\n",
    "blacklists/games/urls": b"example.com/Games/\n",
    "blacklists/games/expressions": b"casino[0-9]\n",
    "blacklists/games/usage": b"black\ngaming\n",
    "blacklists/publicite/domains": b"ads.example\nplay.example\n",
    "blacklists/publicite/usage": b"black\n",
    "blacklists/global_usage": b"NAME: games\n",
    "blacklists/README": b"",
}
LINKS = {"blacklists/ads": "publicite"}


def write_folder(root: Path) -> Path:
    """Write the UT1 sample as a folder."""
    for name, octets in UT1.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
    for link, target in LINKS.items():
        (root / link).symlink_to(target)
    return root


def write_archive(path: Path) -> Path:
    """Write the UT1 sample as a compressed archive."""
    with tarfile.open(path, "w:gz") as tar:
        for link, target in LINKS.items():
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
        for name, octets in UT1.items():
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            tar.addfile(member, io.BytesIO(octets))
    return path


def write_list(path: Path, *lines: str, at: float = 0.0) -> Path:
    """Write a list, compressed when its name says so; ``at`` is when it seems to have been written."""
    octets = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(octets) if path.suffix == ".gz" else octets)
    if at:
        os.utime(path, (at, at))
    return path
