"""What is known of a subscriber: sightings as they come, and the track that is all that is kept of them.

Pure: no clock, no network, no database. Times are seconds since 1970 by the clock of whoever saw the subscriber.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

VERSION = 1
AHEAD_MAX_S = 60.0  # a sighting further ahead of the driver's clock than this is a clock that went wrong
AT_MAX = 1e11  # the year 5138: whatever is later is no time
FRESH_S = 300.0  # a latency that was measured longer before the newest sighting is not known any more
NEW_SHARE = 0.25  # of a new latency in the smoothed one: one spike among four values changes little
CROWD = "*"  # what the track of an instance that is shared is called, among those of its subscribers


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a subscriber was seen. `latency_ms` is by gateway, math.inf where it did not answer; `place` is latitude
    and longitude in degrees; `id` is for people and logs."""

    subscriber: str
    at: float
    cell: str | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    place: tuple[float, float] | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Smoothed, and when it was measured last. math.inf: the gateway did not answer."""

    ms: float
    at: float


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of a subscriber's sightings for one cloudlet.

    `since` says for each gateway that would be better than the present one since when it has been so, without a
    break; `wished_at` is when the last move was wished for; `note` is why nothing is wished for now, for people.
    """

    seen_at: float | None = None
    cell: str | None = None
    place: tuple[float, float] | None = None
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    since: Mapping[str, float] = field(default_factory=dict)
    wished_at: float | None = None
    note: str = ""

    def latency_ms(self, gateway: str) -> float | None:
        """The smoothed latency; None when it was never measured, or too long before the newest sighting."""
        found = self.latencies.get(gateway)
        if found is None or self.seen_at is None or found.at < self.seen_at - FRESH_S:
            return None
        return found.ms


def dropped(sighting: Sighting, track: Track, now: float | None = None) -> str:
    """Why a sighting is not taken in: duplicate, late, future or unreadable; "" when it is. `now` is the driver's
    clock, where it has one."""
    if not math.isfinite(sighting.at) or not 0 <= sighting.at <= AT_MAX:
        return "unreadable"
    if track.seen_at is not None and sighting.at <= track.seen_at:
        return "duplicate" if sighting.at == track.seen_at else "late"
    if now is not None and sighting.at > now + AHEAD_MAX_S:
        return "future"
    return ""


def observe(sighting: Sighting, track: Track, gateways: Iterable[str]) -> Track:
    """The track with a sighting taken in that is newer than all before it. What it does not say stays as it was; of
    latencies those of `gateways` are kept, so that a track stays small."""
    known = set(gateways)
    latencies = {name: latency for name, latency in track.latencies.items() if name in known}
    for name, ms in sighting.latency_ms.items():
        if name in known and ms >= 0:  # which NaN is not
            latencies[name] = Latency(_smoothed(track.latency_ms(name), ms), sighting.at)
    return replace(
        track,
        seen_at=sighting.at,
        cell=track.cell if sighting.cell is None else sighting.cell,
        place=track.place if sighting.place is None else sighting.place,
        latencies=latencies,
    )


def _smoothed(before: float | None, ms: float) -> float:
    if before is None or math.isinf(before) or math.isinf(ms):
        return ms
    return before + NEW_SHARE * (ms - before)


# to and from what SubscriberRecord.state holds
def dump(tracks: Mapping[str, Track]) -> str:
    """The tracks of one subscriber by cloudlet, as JSON; the same tracks give the same text."""
    document = {"version": VERSION, "tracks": {name: _data(track) for name, track in tracks.items()}}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load(text: str) -> dict[str, Track]:
    """What `dump` wrote; nothing for "" and "{}". Raises ValueError for anything else."""
    try:
        document = json.loads(text or "{}")
        if document == {}:
            return {}
        if document["version"] != VERSION:
            raise ValueError(f"it is of version {document['version']}, and this is for {VERSION}")
        return {str(name): _track(entry) for name, entry in document["tracks"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot read what is remembered of a subscriber: {error}") from None


def _data(track: Track) -> dict[str, Any]:
    whole = {
        "seen_at": track.seen_at,
        "cell": track.cell,
        "place": None if track.place is None else list(track.place),
        "latencies": {name: [None if math.isinf(v.ms) else v.ms, v.at] for name, v in track.latencies.items()},
        "since": dict(track.since),
        "wished_at": track.wished_at,
        "note": track.note,
    }
    return {key: value for key, value in whole.items() if value not in (None, {}, "")}


def _track(data: Mapping[str, Any]) -> Track:
    place = data.get("place")
    return Track(
        seen_at=_time(data.get("seen_at")),
        cell=data.get("cell"),
        place=None if place is None else (float(place[0]), float(place[1])),
        latencies={
            str(name): Latency(math.inf if ms is None else float(ms), float(at))
            for name, (ms, at) in data.get("latencies", {}).items()
        },
        since={str(name): float(at) for name, at in data.get("since", {}).items()},
        wished_at=_time(data.get("wished_at")),
        note=str(data.get("note", "")),
    )


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
