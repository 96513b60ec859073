"""Times as they are typed: a date, a time, or how long ago."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta

AGE = re.compile(r"([0-9]{1,5}) ?(s|m|h|d|w)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def past(text: str) -> float:
    """2026-11-01, 2026-11-01T12:30, 2026-11-01T12:30Z or 30d, in seconds since 1970; without a time zone it is ours.

    Raises ArgumentTypeError for anything else, and for what is yet to come.
    """
    now = datetime.now().astimezone()
    age = AGE.fullmatch(text)
    try:
        at = now - timedelta(**{UNITS[age[2]]: int(age[1])}) if age else datetime.fromisoformat(text).astimezone()
        seconds = at.timestamp()
    except (ValueError, OverflowError, OSError):
        raise ArgumentTypeError(
            f"cannot read {text!r} as a time: it has to be like 2026-11-01, 2026-11-01T12:30Z or 30d (s, m, h, d, w)"
        ) from None
    if at > now:
        raise ArgumentTypeError(f"cannot take {text!r}: it is yet to come")
    return seconds
