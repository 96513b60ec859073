"""Makes the ids of operations: short enough to be typed, and in the order of time when they are sorted."""

from __future__ import annotations

import time
from secrets import choice

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # those that are not taken for each other (Crockford)
_TICKS = 32**4  # in a day: 82 ms each


def new_id(kind: str, at: float) -> str:
    """Such as m-20261122-jf3k9q, for a move of that day (UTC): four letters for the time and two by chance."""
    day = time.strftime("%Y%m%d", time.gmtime(at))
    tick = int(at % 86400 / 86400 * _TICKS)
    letters = "".join(LETTERS[tick >> shift & 31] for shift in (15, 10, 5, 0))
    return f"{kind[:1]}-{day}-{letters}{choice(LETTERS)}{choice(LETTERS)}"
