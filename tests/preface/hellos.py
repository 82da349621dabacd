"""ClientHellos: real ones from the ssl module, and others put together by hand."""

from __future__ import annotations

import ssl

HANDSHAKE = 22


def real_hello(name: str | None, **settings: object) -> bytes:
    """The ClientHello that Python's ssl module sends for that server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for key, value in settings.items():
        setattr(context, key, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def with_length(octets: bytes, length_octets: int) -> bytes:
    return len(octets).to_bytes(length_octets, "big") + octets


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + with_length(content, 2)


def server_names(*names: bytes, kind: int = 0) -> bytes:
    """The server_name extension with these names."""
    return extension(0, with_length(b"".join(bytes([kind]) + with_length(name, 2) for name in names), 2))


def message(
    extensions: bytes | None = b"",
    *,
    version: bytes = b"\x03\x03",
    session: bytes = b"",
    suites: bytes = b"\x13\x01",
    compression: bytes = b"\x00",
) -> bytes:
    """A ClientHello without its handshake header; without extensions where they are None."""
    head = (
        version + bytes(32) + with_length(session, 1) + with_length(suites, 2) + with_length(compression, 1)
    )
    return head if extensions is None else head + with_length(extensions, 2)


def handshake(content: bytes, kind: int = 1) -> bytes:
    return bytes([kind]) + with_length(content, 3)


def record(content: bytes, kind: int = HANDSHAKE, version: bytes = b"\x03\x01") -> bytes:
    return bytes([kind]) + version + with_length(content, 2)


def records(content: bytes, size: int) -> bytes:
    """The handshake octets cut into records of that size."""
    return b"".join(record(content[at : at + size]) for at in range(0, len(content), size))
