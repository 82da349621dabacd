"""
Checkpoints as they were received elsewhere: found in whatever their keeper kept them in.

A file may be one that we wrote, a syslog server's, a collector's (which may have put each line into JSON of
its own), or a mail with the checkpoint as an attachment, or a folder of mails in one file.  What a checkpoint
says is signed: to find one in other text costs no proof.
"""

from __future__ import annotations

import binascii
import json
import quopri
import re
from collections.abc import Iterator

_CHECKPOINT = re.compile(rb'\{"v":[0-9]+,"number":[0-9]+,[^\n]*?,"signature":"[0-9a-f]{128}"\}')
# The same inside of a text in JSON.
_INSIDE = re.compile(rb'\{\\"v\\":[0-9]+,\\"number\\":[0-9]+,[^\n]*?,\\"signature\\":\\"[0-9a-f]{128}\\"\}')

# A collector may have records in the same file.
_RECORD = b'{"v":1,"id":'

_BASE64 = re.compile(
    rb"(?:^[A-Za-z0-9+/]{40,}={0,2}\r?\n?)+(?:^[A-Za-z0-9+/]{1,76}={0,2}\r?\n?)?", re.MULTILINE
)
_QUOTED = re.compile(rb"^Content-Transfer-Encoding:\s*quoted-printable\s*$", re.MULTILINE | re.IGNORECASE)


def received(octets: bytes) -> list[bytes]:
    """
    Give the lines of all checkpoints in a file, in their order, each once, with their line ends.

    A line that was meant to be one and is none, as it was cut or edited, is given as it stands where the file
    has nothing but such lines.
    """
    if octets.startswith(b'{"v":'):
        # A file as we write it: what was changed in it must be told, not passed over.
        lines = octets.splitlines(keepends=True)
        return [line for line in lines if line.strip() and not line.startswith(_RECORD)]
    found = list(_found(octets))
    found += [one for part in _BASE64.findall(octets) for one in _found(_from_base64(part))]
    if _QUOTED.search(octets):
        found += _found(quopri.decodestring(octets))
    return [one + b"\n" for one in dict.fromkeys(found)]


def _found(octets: bytes) -> Iterator[bytes]:
    yield from _CHECKPOINT.findall(octets)
    for inside in _INSIDE.findall(octets):
        try:
            yield json.loads(b'"' + inside + b'"').encode()
        except ValueError:
            continue


def _from_base64(part: bytes) -> bytes:
    try:
        return binascii.a2b_base64(part)
    except binascii.Error:
        return b""
