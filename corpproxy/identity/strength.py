"""Which passwords we give out or take from a person, told before anything is written."""

from __future__ import annotations

from corpproxy.errors import NOWHERE, Place, Problem
from corpproxy.identity.basic import MAX_CREDENTIALS_OCTETS, normal_password
from corpproxy.identity.names import has_control_characters, normal_name

# What NIST SP 800-63B asks for at least; sets of characters are not asked for, as they make passwords worse.
MIN_PASSWORD_CHARACTERS = 8
# Far below what can be sent: name and password travel together in `MAX_CREDENTIALS_OCTETS`.
MAX_PASSWORD_OCTETS = MAX_CREDENTIALS_OCTETS // 2


def problem_of_password(name: str, password: str, place: Place = NOWHERE) -> Problem | None:
    """Give what is wrong with ``password`` for the person ``name``, or None when it can be taken."""
    password = normal_password(password)
    if has_control_characters(password):
        return Problem(place, "password-control-characters", "the password has control characters")
    if len(password) < MIN_PASSWORD_CHARACTERS:
        said = f"the password is too short; take at least {MIN_PASSWORD_CHARACTERS} characters"
        return Problem(place, "password-too-short", said)
    if len(password.encode()) > MAX_PASSWORD_OCTETS:
        return Problem(
            place, "password-too-long", f"the password is longer than {MAX_PASSWORD_OCTETS} octets"
        )
    if password.casefold() == normal_name(name).casefold():
        return Problem(place, "password-is-name", "the password is the name; take another one")
    if len(set(password)) < 3:
        return Problem(
            place, "password-too-simple", "the password repeats one or two characters; take another one"
        )
    return None
