"""
The key that signs checkpoints: made once, beside the records, for the one process that signs.

A service that starts as root and gives its privileges up opens the key while it still may, so that the file
can belong to root, and reads it when everything that must not have it is gone.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from corpproxy.backends.state_folder import put_file
from corpproxy.errors import CorpproxyError

# In the state folder.
PRIVATE_KEY = "audit.key"
PUBLIC_KEY = "audit.pub"

MAX_KEY_OCTETS = 16 * 1024


class KeyUnusable(CorpproxyError):
    """The key cannot be used (``audit-key``); the message says why and what to do."""


def open_key(state: Path) -> int | None:
    """
    Open the file of the private key; None where there is none yet.

    :raises KeyUnusable: when it is there and may not be read, or others may read it.
    """
    path = state / PRIVATE_KEY
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        # What is wrong with the folder itself is told by whoever makes it.
        return None
    except OSError as error:
        said = f"cannot be read: {error.strerror}; it must belong to whoever starts corpproxy"
        raise _unusable(path, said) from error
    if os.fstat(descriptor).st_mode & 0o077:
        os.close(descriptor)
        raise _unusable(path, f"may be read by others; run: chmod 600 {path}")
    return descriptor


def signing_key(state: Path, descriptor: int | None) -> Ed25519PrivateKey:
    """
    Read the private key from what `open_key` gave, which is closed, or make one.

    The public key is put beside it.

    :raises KeyUnusable: when it is no key of this kind, or cannot be written.
    """
    path = state / PRIVATE_KEY
    try:
        key = _made(path) if descriptor is None else _read(path, descriptor)
        _publish(state / PUBLIC_KEY, key.public_key())
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from error
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """
    Read a public key, as PEM.

    :raises KeyUnusable: when it is none.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(path, "is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path, "is no Ed25519 key")
    return key


def _read(path: Path, descriptor: int) -> Ed25519PrivateKey:
    try:
        octets = os.read(descriptor, MAX_KEY_OCTETS)
    finally:
        os.close(descriptor)
    try:
        key = load_pem_private_key(octets, None)
    except (ValueError, TypeError) as error:
        said = "is no private key in PEM without a password; move it away, and a new one is made"
        raise _unusable(path, said) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "is no Ed25519 key")
    return key


def _made(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    put_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return key


def _publish(path: Path, key: Ed25519PublicKey) -> None:
    octets = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        if path.read_bytes() == octets:
            return
    except OSError:
        pass
    put_file(path, octets, 0o600)


def _unusable(path: Path, what: str) -> KeyUnusable:
    return KeyUnusable("audit-key", f"{path} {what}")
