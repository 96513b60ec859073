"""Scalars that mean more than their text: sizes, times, versions, timestamps, bytes and ranges.

Everything here is pure: a text or a plain value goes in, a value that can be compared comes out, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

Number: TypeAlias = int | float

_DECIMAL = re.compile(r"([-+]?)(\d{0,40})(?:\.(\d{0,40}))?(?:[eE]([-+]?\d{1,3}))?", re.ASCII)
_VERSION = re.compile(
    r"(\d{1,18})\.(\d{1,18})(?:\.(\d{1,18})(?:\.([0-9A-Za-z_][0-9A-Za-z_+]*)(?:-(\d{1,18}))?)?)?", re.ASCII
)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:([Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(\.\d{0,18})?[ \t]*(?:([Zz])|([-+])(\d\d?)(?::?(\d\d))?)?)?",
    re.ASCII,
)

_EXPONENT_MAX = 60

# what a unit counts, in the base unit of its kind: byte, second, hertz, bit/s
UNITS: Mapping[str, Mapping[str, Number]] = {
    "scalar-unit.size": {
        "B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20,
        "GB": 10**9, "GiB": 2**30, "TB": 10**12, "TiB": 2**40,
    },
    "scalar-unit.time": {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "scalar-unit.frequency": {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9},
    "scalar-unit.bitrate": {
        "bps": 1, "Kbps": 10**3, "Kibps": 2**10, "Mbps": 10**6, "Mibps": 2**20,
        "Gbps": 10**9, "Gibps": 2**30, "Tbps": 10**12, "Tibps": 2**40,
        "Bps": 8, "KBps": 8 * 10**3, "KiBps": 8 * 2**10, "MBps": 8 * 10**6, "MiBps": 8 * 2**20,
        "GBps": 8 * 10**9, "GiBps": 8 * 2**30, "TBps": 8 * 10**12, "TiBps": 8 * 2**40,
    },
}  # fmt: skip


@lru_cache(maxsize=4096)
def parse(kind: str, text: str) -> Number | None:
    """A scalar with a unit in the base unit of its kind, exact where it can be; None when it is not one.

    Sizes are whole bytes, rounded up. Case does not matter, as 1.x has it, but for bits and bytes in a bit rate.
    """
    fold = _fold_bitrate if kind == "scalar-unit.bitrate" else str.lower
    number = scale({fold(unit): factor for unit, factor in UNITS[kind].items()}, text, fold)
    if kind == "scalar-unit.size" and isinstance(number, float):
        return int(number) + (number > int(number))
    return number


def scale(units: Mapping[str, Number], text: str, fold: Callable[[str], str] = str) -> Number | None:
    """A number and one of `units`, multiplied; also for the units that a 2.0 type defines itself."""
    match = _DECIMAL.match(text.strip())
    number = _decimal(match)
    factor = units.get(fold(text.strip()[match.end() :].strip())) if match is not None else None
    multiplier = _decimal(_DECIMAL.fullmatch(repr(factor)))
    if number is None or multiplier is None:
        return None
    product, power = number[0] * multiplier[0], number[1] + multiplier[1]
    if power >= 0:
        return product * int(10**power)
    tens = int(10**-power)
    whole, rest = divmod(product, tens)
    return product / tens if rest else whole


def _decimal(match: re.Match[str] | None) -> tuple[int, int] | None:
    """A decimal number as an integer and the power of ten to multiply it with, so that 0.1 stays 0.1."""
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups(default="")
    if not (whole or fraction) or abs(int(exponent or 0)) > _EXPONENT_MAX:
        return None
    return int(sign + whole + fraction), int(exponent or 0) - len(fraction)


def unit_names(kind: str) -> tuple[str, ...]:
    """The units of a kind, smallest first, for messages."""
    units = UNITS.get(kind, {})
    return tuple(sorted(units, key=lambda unit: units[unit]))


def _fold_bitrate(unit: str) -> str:
    """Kbps and KBps differ by what they count; everything else about case is taste."""
    return "".join(letter if letter in "bB" else letter.lower() for letter in unit)


@dataclass(frozen=True, slots=True)
class Version:
    """major.minor[.fix[.qualifier[-build]]], compared as TOSCA says: one with a qualifier is older than one without."""

    major: int
    minor: int
    fix: int = 0
    qualifier: str = ""
    build: int = 0

    @property
    def _key(self) -> tuple[int, int, int, bool, str, int]:
        return self.major, self.minor, self.fix, not self.qualifier, self.qualifier, self.build

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __le__(self, other: Version) -> bool:
        return self._key <= other._key

    def __str__(self) -> str:
        qualifier = f".{self.qualifier}" if self.qualifier else ""
        return f"{self.major}.{self.minor}.{self.fix}{qualifier}" + (f"-{self.build}" if self.build else "")


def version(text: str) -> Version | None:
    """A version; the bare 0 that says "no version" counts as one."""
    match = _VERSION.fullmatch(text if text != "0" else "0.0")
    if match is None:
        return None
    major, minor, fix, qualifier, build = match.groups()
    return Version(int(major), int(minor), int(fix or 0), qualifier or "", int(build or 0))


def timestamp(text: str, *, space: bool = True) -> Number | None:
    """A moment as seconds since 1970 in UTC. YAML, and so 1.x, lets a `space` stand before the time; 2.0 does not."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, gap, hour, minute, second, fraction, zulu, sign, off_hour, off_minute = match.groups()
    if not space and (len(month) < 2 or len(day) < 2):
        return None
    if not space and hour is not None and (gap not in ("T", "t") or not (zulu or sign) or len(hour) < 2):
        return None  # RFC 3339
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    oh, om = int(off_hour or 0), int(off_minute or 0)
    if h > 23 or m > 59 or s > 60 or oh > 23 or om > 59:
        return None
    from datetime import date

    try:
        days = date(int(year), int(month), int(day)).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    offset = (oh * 3600 + om * 60) * (-1 if sign == "-" else 1)
    seconds = days * 86400 + h * 3600 + m * 60 + s - offset
    return seconds + float(fraction) if fraction and fraction.strip(".0") else seconds


def base64(text: str) -> bytes | None:
    """The bytes that a base64 text stands for; white space in it does not count."""
    import binascii

    compact = "".join(text.split())
    try:
        return binascii.a2b_base64(compact.encode("ascii"), strict_mode=True) if compact else b""
    except (binascii.Error, UnicodeEncodeError):
        return None


def bounds(value: object) -> tuple[int, int | None] | None:
    """A range of integers [low, high]; high is None for UNBOUNDED. None when it is not one, or runs backwards."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = value
    if not _is_integer(low) or not (high == "UNBOUNDED" or (_is_integer(high) and high >= low)):
        return None
    return low, None if high == "UNBOUNDED" else high


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
