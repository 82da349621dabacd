"""What to do when the database cannot be reached, for the person who reads what it or its library says."""

from __future__ import annotations

# What the library or the server says, and what helps.
_ADVICE = (
    ("certificate verify failed", "name the authority that vouches for it as 'authorities:'"),
    ("does not match host name", "write the name of its certificate into the address of the store"),
    (
        "root certificate file",
        "name a PEM file of the authorities as 'authorities:', readable by the service",
    ),
    ("server does not support SSL", "switch 'ssl' on in its postgresql.conf"),
    ("no encryption", "name its 'authorities:', or add ?sslmode=require to the address"),
    ("password authentication failed", "compare the file of 'password:' with what the database has"),
    ("no password supplied", "write the password into a file, and name that as 'password:'"),
    ("requires a valid client certificate", "name ours as 'certificate:' and 'key:'"),
    ("certificate authentication failed", "our 'certificate:' must have the name of the user in the address"),
    ("private key file", "the file of 'key:' must be readable by the service, and by nobody else"),
    ("pg_hba.conf", "let this node in there"),
    ("does not exist", "make it as the manual says, or correct the address of the store"),
    ("Connection refused", "look whether it runs, and listens at that address"),
)


def with_advice(said: str) -> str:
    """Give what was said with what to do about it, where that is known."""
    for part, advice in _ADVICE:
        if part in said:
            return f"{said}; {advice}"
    return said
