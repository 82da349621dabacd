"""References: the short name of an exchange, on the page, in the record and in the log alike."""

from __future__ import annotations

# Crockford's base 32 in lower case: no i, l, o, u, so that a reference survives being read out or typed.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

# Seconds are counted from 2026-01-01T00:00:00Z: six characters then last until 2060.
EPOCH = 1_767_225_600

LENGTH = 14
_PROCESSES = 1 << 20
# At most this many references bear one second; beyond it they run ahead of the clock.
_PER_SECOND = 1 << 20
_LOOK_ALIKES = str.maketrans("ilo", "110")
_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)


class References:
    """
    Makes references of fourteen characters: six of the second, four of the process, four of a count.

    Those of one process are unique and sort in the order they were made, also when the clock is set
    back: the second never goes backwards.  ``process`` tells processes apart; whoever starts
    them gives each another number, or a random one below 2**20.
    """

    __slots__ = ("_count", "_prefix", "_process", "_second")

    def __init__(self, process: int) -> None:
        self._process = _text(process % _PROCESSES, 4)
        self._second = -1
        self._prefix = ""
        self._count = 0

    def next(self, at: float) -> str:
        """Make the reference of an exchange that begins ``at``, POSIX seconds."""
        second = int(at) - EPOCH
        if second > self._second:
            self._begin(second)
        elif self._count == _PER_SECOND:
            self._begin(self._second + 1)
        count = self._count
        self._count = count + 1
        return self._prefix + _PAIRS[count >> 10] + _PAIRS[count & 1023]

    def _begin(self, second: int) -> None:
        self._second = max(second, 0)
        self._prefix = _text(self._second, 6) + self._process
        self._count = 0


def read_reference(written: str) -> str:
    """
    Give a reference as somebody read it from a page or heard it; capitals count as small letters.

    The letters that the alphabet leaves out are read as the digits that they look like.  Raises ValueError
    with what is wrong.
    """
    reference = written.strip().lower().translate(_LOOK_ALIKES)
    if len(reference) != LENGTH or not set(reference) <= set(ALPHABET):
        raise ValueError(
            f"'{written}' is no reference; it has {LENGTH} letters and digits, such as 0wpf3s9k2m0004"
        )
    return reference


def begun_at(reference: str) -> float:
    """The second in which the exchange of a reference began, in POSIX seconds."""
    number = 0
    for character in reference[:6]:
        number = number * 32 + ALPHABET.index(character)
    return float(number + EPOCH)


def _text(number: int, length: int) -> str:
    characters = ""
    for _ in range(length):
        number, digit = divmod(number, 32)
        characters = ALPHABET[digit] + characters
    return characters
