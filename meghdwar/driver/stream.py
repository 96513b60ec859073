"""Reads sightings from a file or a pipe, one JSON object a line, and replays them as fast as they were or faster.

    {"subscriber": "anna", "cell": "cell-3", "at": 1795357200.5}
    {"subscriber": "anna", "latency_ms": {"edge_a": 12.5, "edge_b": null}}

What comes in may be anything: a line that is no sighting is told, with its place, and passed over.
"""

from __future__ import annotations

import json
import math
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from meghdwar.driver.track import AT_MAX, CROWD, Sighting

LINE_MAX = 65_536  # bytes
NAME_MAX = 255  # characters of a subscriber, a cell or a gateway
LATENCIES_MAX = 1_000
LATENCY_MAX_MS = 1e7
GAP_MAX_S = 86_400.0  # a replay does not wait longer than this from one line to the next: it is a wrong time


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no sighting: `place` is FILE:LINE, `why` what is wrong with it."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"cannot take {self.place} in: {self.why}"


def read(file: IO[bytes], name: str, clock: Callable[[], float] | None = time.time) -> Iterator[Sighting | Bad]:
    """The sightings of a file, each as soon as its line is there; empty lines are nothing.

    A line without a time gets that of its arrival by `clock`; without a clock it is bad.
    """
    for number, line in enumerate(_lines(file), 1):
        if line is None:
            yield Bad(f"{name}:{number}", f"the line is longer than {LINE_MAX} bytes")
        elif line.strip():
            try:
                yield parse(line, clock)
            except ValueError as error:
                yield Bad(f"{name}:{number}", str(error))


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Each line; None for one that is too long, which is never held as a whole."""
    while line := file.readline(LINE_MAX + 1):
        if len(line) <= LINE_MAX:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LINE_MAX)
        yield None


def parse(line: bytes, clock: Callable[[], float] | None = time.time) -> Sighting:
    """One sighting. Raises ValueError, which says what is wrong."""
    found = _json(line)
    at = found.get("at")
    if at is None:
        if clock is None:
            raise ValueError('it does not say when: give "at", in seconds')
        at = clock()
    sighting = Sighting(
        subscriber=_name(found.get("subscriber"), "subscriber"),
        at=_number(at, "at", 0, AT_MAX, "seconds"),
        cell=None if found.get("cell") is None else _name(found["cell"], "cell"),
        latency_ms=_latencies(found.get("latency_ms")),
        place=_place(found),
        id=str(found.get("id") or "")[:NAME_MAX],
    )
    if sighting.subscriber == CROWD:
        raise ValueError(f"no subscriber is called {CROWD!r}")
    if sighting.cell is None and not sighting.latency_ms and sighting.place is None:
        raise ValueError("it does not say where: give a cell, latency_ms, or latitude and longitude")
    return sighting


def _json(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {what}" if value is None else f"its {what} is no name: {_shown(value)}")
    if len(value) > NAME_MAX:
        raise ValueError(f"its {what} is longer than {NAME_MAX} characters")
    # control characters, halves of characters and those that turn text round: nobody could tell such names apart
    if value != value.strip() or any(
        unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Zl", "Zp") for letter in value
    ):
        raise ValueError(f"its {what} has characters that no name has: {_shown(value)}")
    return value


def _number(value: Any, what: str, least: float, most: float, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"its {what} is no number of {unit}: {_shown(value)}")
    if not least <= value <= most:  # which NaN is not either
        raise ValueError(f"its {what} is not from {least:g} to {most:g} {unit}: {_shown(value)}")
    return float(value)


def _latencies(value: Any) -> Mapping[str, float]:
    """null is a gateway that did not answer."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > LATENCIES_MAX:
        raise ValueError(f"its latency_ms is no object of at most {LATENCIES_MAX} gateways: {_shown(value)}")
    return {
        _name(gateway, "gateway"): math.inf if ms is None else _number(ms, "latency_ms", 0, LATENCY_MAX_MS, "ms")
        for gateway, ms in value.items()
    }


def _place(found: Mapping[str, Any]) -> tuple[float, float] | None:
    latitude, longitude = found.get("latitude"), found.get("longitude")
    if latitude is None and longitude is None:
        return None
    return _number(latitude, "latitude", -90, 90, "degrees"), _number(longitude, "longitude", -180, 180, "degrees")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# how fast
class Clock:
    """What time it is for those who see subscribers: the newest sighting's, and on from there `speed` times as fast as
    ours. Before the first one it is our own."""

    def __init__(
        self,
        speed: float = 1.0,
        now: Callable[[], float] = time.time,
        alive: Callable[[], float] = time.monotonic,
    ) -> None:
        self._speed, self._now, self._alive = speed, now, alive
        self._newest: tuple[float, float] | None = None  # its time, and ours when it came

    @classmethod
    def of_replay(cls, speed: float) -> Clock:
        """Before its first sighting it is no time at all: ours would make everything ripe."""
        return cls(speed, now=lambda: -math.inf)

    def seen(self, at: float) -> None:
        if at > self.now() or self._newest is None:
            self._newest = (at, self._alive())

    @property
    def known(self) -> bool:
        """Whether there was a sighting that says it."""
        return self._newest is not None

    def now(self) -> float:
        if self._newest is None:
            return self._now()
        at, came = self._newest
        return at + (self._alive() - came) * self._speed


def replayed(
    stream: Iterable[Sighting | Bad],
    speed: float,
    wait: Callable[[float], bool],
    alive: Callable[[], float] = time.monotonic,
) -> Iterator[Sighting | Bad]:
    """The same, each at its time after the first one, `speed` times as fast; 0 is at once. `wait` takes seconds and
    says whether to end. One that is earlier than the one before it is not waited for."""
    first: tuple[float, float] | None = None
    newest = 0.0
    for item in stream:
        if isinstance(item, Sighting):
            if first is None:
                first, newest = (item.at, alive()), item.at
            if item.at > newest + GAP_MAX_S:
                why = (
                    f"it is {item.at - newest:.0f} s after the one before it, more than the {GAP_MAX_S:g} s of a replay"
                )
                yield Bad(f"the sighting of {item.subscriber} at {item.at:.15g}", why)
                continue
            newest = max(newest, item.at)
            if speed > 0 and _too_early(item.at, first, speed, wait, alive):
                return
        yield item


def _too_early(
    at: float, first: tuple[float, float], speed: float, wait: Callable[[float], bool], alive: Callable[[], float]
) -> bool:
    """Waits until it is time; whether to end."""
    while (left_s := first[1] + (at - first[0]) / speed - alive()) > 0:
        if wait(left_s):
            return True
    return False
