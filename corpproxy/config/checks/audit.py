"""The ``audit:`` table: what its parts need to hold together."""

from __future__ import annotations

from corpproxy.audit.pseudonyms import Every
from corpproxy.config.checks.examined import Examined

# A pair of keys opens a table: with one keeper alone nobody could.
LEAST_KEEPERS = 2


def check(examined: Examined) -> None:
    """Say which keepers are missing, and whose keys are none."""
    table = examined.model.audit.pseudonyms
    if table is None or examined.shaped.is_damaged(("audit", "pseudonyms")):
        return
    path = ("audit", "pseudonyms")
    if len(table.keepers) < LEAST_KEEPERS:
        said = "two keepers open the table of pseudonyms together; name at least two, each with a key"
        examined.say(path, "few-keepers", said)
    if table.every is Every.TERM and not table.begins:
        said = "nothing says when a term begins; write 'begins: [2026-09-07, 2027-01-05]'"
        examined.say((*path, "every"), "no-terms", said)
    for name, written in table.keepers.items():
        _key(examined, name, written)


def _key(examined: Examined, name: str, written: str) -> None:
    # It is slow to import, and most policies do without.
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    path = ("audit", "pseudonyms", "keepers", name)
    make = f"'corpproxy audit keeper {name}' makes one"
    try:
        octets = examined.files.read(examined.file(written))
    except OSError:
        examined.say(path, "bad-keeper", f"there is no file '{written}' that can be read; {make}")
        return
    try:
        is_key = isinstance(load_pem_public_key(octets), X25519PublicKey)
    except ValueError:
        is_key = False
    if not is_key:
        examined.say(path, "bad-keeper", f"'{written}' is no public X25519 key in PEM; {make}")
