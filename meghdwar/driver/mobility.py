"""Decides when a cloudlet follows its subscriber, and where to: sightings go in, a wish for a move comes out, or none.

Pure: no clock, no network, no database; how full gateways are the caller tells, who is asked where it matters. A wish
is no move: whoever acts on it may find the gateway full or the instance busy, and leaves it; it is wished for again as
long as it holds. A gateway has to be the better one for the whole hysteresis without a break; between two wishes there
is at least the hysteresis, the cool-down and QUIET_S.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from meghdwar.driver.track import CROWD as CROWD
from meghdwar.driver.track import Sighting as Sighting
from meghdwar.driver.track import Track as Track
from meghdwar.driver.track import dropped, observe
from meghdwar.model import Gateway, Mobility

QUIET_S = 1.0  # at least so long between two wishes, also where a policy asks for no hysteresis
VOTES_FOR_S = 3600.0  # a subscriber who was not seen for longer has no say in where a shared instance is
MS_PER_KM = 0.01  # there and back in fibre: what a place says about latency when nobody measured it
EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A move, or for an instance that is nowhere a build, at `gateway`. `reason` is for people; `at` is the time of
    the sighting, or of the clock, that made it ripe."""

    gateway: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Better:
    """Gateways that would be better than the present one, the best first, each with why. `note` says why there are
    none."""

    gateways: tuple[tuple[str, str], ...] = ()
    note: str = ""


Load = Callable[[str], int]  # how many cloudlets a gateway has; asked of those with a capacity that would be better
Trigger = Callable[[Track, str | None, Sequence[Gateway], Mobility], Better]


def empty(gateway: str) -> int:
    """The load of gateways that nobody counts."""
    return 0


# deciding
def take(
    sighting: Sighting,
    track: Track,
    home: str | None,
    gateways: Sequence[Gateway],
    mobility: Mobility,
    load: Load = empty,
    now: float | None = None,
) -> tuple[Track, Wish | None]:
    """Takes a sighting in: the new track, and the move that is ripe with it.

    `home` is the gateway where the instance is (None: nowhere yet; then it is wished for at once), `gateways` are those
    where it may be, in the order of the descriptor, `load` says how many cloudlets one has, `now` is the driver's
    clock. A sighting that is dropped (`track.dropped`) gives back the very same track.
    """
    if dropped(sighting, track, now):
        return track, None
    noted = observe(sighting, track, (gateway.name for gateway in gateways))
    return _decide(noted, sighting.at, home, gateways, mobility, load)


def due(
    track: Track,
    now: float,
    home: str | None,
    gateways: Sequence[Gateway],
    mobility: Mobility,
    load: Load = empty,
) -> tuple[Track, Wish | None]:
    """The move that has become ripe by `now`, by the clock of the sightings, without a further one."""
    if track.seen_at is None:
        return track, None
    return _decide(track, max(now, track.seen_at), home, gateways, mobility, load)


def gather(
    tracks: Iterable[Track],
    crowd: Track,
    now: float,
    home: str | None,
    gateways: Sequence[Gateway],
    mobility: Mobility,
    load: Load = empty,
) -> tuple[Track, Wish | None]:
    """The same for an instance that several subscribers share: it follows most of them.

    `tracks` are the subscribers', into which each `observe`d its sightings, and `crowd` is the instance's own, in which
    only `since` and `wished_at` count. A gateway is better when more subscribers are better off there than are at
    their best with the present one.
    """
    if crowd.seen_at is not None and now < crowd.seen_at:
        now = crowd.seen_at
    seen = [t for t in tracks if t.seen_at is not None and t.seen_at >= now - VOTES_FOR_S]
    crowd = replace(crowd, seen_at=now)
    return _ripen(crowd, _most(seen, home, gateways, mobility), now, home, gateways, mobility, load)


def ripe_at(track: Track, mobility: Mobility) -> float | None:
    """When `due` is worth asking, by the clock of the sightings; None while nothing is better than the present."""
    if not track.since:
        return None
    return max(min(track.since.values()) + mobility.hysteresis_s, _quiet_until(track, mobility))


def _decide(
    track: Track, at: float, home: str | None, gateways: Sequence[Gateway], mobility: Mobility, load: Load
) -> tuple[Track, Wish | None]:
    better = TRIGGERS[mobility.trigger](track, home, gateways, mobility)
    return _ripen(track, better, at, home, gateways, mobility, load)


def _ripen(
    track: Track,
    better: Better,
    at: float,
    home: str | None,
    gateways: Sequence[Gateway],
    mobility: Mobility,
    load: Load,
) -> tuple[Track, Wish | None]:
    """The first of the better gateways that has been it for long enough and has room."""
    # for an instance that is nowhere, nothing counts as better than where it will be
    since = {name: min(track.since.get(name, at), at) for name, _ in better.gateways} if home is not None else {}
    notes = [better.note] if better.note else []
    capacity = {gateway.name: gateway.capacity for gateway in gateways}
    quiet = at < _quiet_until(track, mobility)
    for name, why in better.gateways:
        room = capacity[name]
        if room is not None and load(name) >= room:
            notes.append(f"{name} is full ({room} cloudlets)")
        elif quiet:
            notes.append(f"{name} is better ({why}), and the last move was wished for too short a time ago")
            break
        elif home is not None and at < since[name] + mobility.hysteresis_s:
            notes.append(f"{name} is better ({why}), but not yet for {mobility.hysteresis_s:g} s")
        else:
            reason = "; ".join(
                [*notes, why if home is None or at <= since[name] else f"{why}, for {_span(at - since[name])}"]
            )
            return replace(track, since=since, wished_at=at, note=""), Wish(name, reason, at)
    return replace(track, since=since, note="; ".join(notes)), None


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _quiet_until(track: Track, mobility: Mobility) -> float:
    if track.wished_at is None:
        return -math.inf
    return track.wished_at + max(mobility.hysteresis_s, mobility.cooldown_s, QUIET_S)


# what makes a gateway better
def serving_cell(track: Track, home: str | None, gateways: Sequence[Gateway], mobility: Mobility) -> Better:
    """Those that serve the subscriber's cell, where the present one does not. An instance that is nowhere may also go
    to one near them, when they are full."""
    cell = track.cell
    if cell is None:
        return Better(note="nobody said in which cell it is")
    serving = [gateway for gateway in gateways if cell in gateway.serves]
    if not serving:
        return Better(note=f"no gateway serves {cell}")
    if any(gateway.name == home for gateway in serving):
        return Better()
    found = [(gateway.name, f"{gateway.name} serves {cell}") for gateway in serving]
    if home is None:
        first = serving[0]
        others = [gateway for gateway in gateways if gateway not in serving]
        others.sort(key=lambda gateway: _km(_place(first), _place(gateway)))
        found += [(gateway.name, f"{gateway.name} stands near {first.name}, which serves {cell}") for gateway in others]
    return Better(tuple(found))


def nearer_site(track: Track, home: str | None, gateways: Sequence[Gateway], mobility: Mobility) -> Better:
    """Those whose latency is lower than the present one's by the margin at least: measured, or without measurements
    estimated from places."""
    ms, how = _latencies(track, gateways)
    ranked = sorted((value, place, name) for place, (name, value) in enumerate(ms.items()) if math.isfinite(value))
    names = {gateway.name for gateway in gateways}
    if home is not None and home in names and home not in ms:
        return Better(note=f"nobody knows the latency of {home}, where it is")
    present = ms[home] if home in ms and home is not None else math.inf
    limit = present - max(mobility.margin_ms, 0.0)
    found = []
    for value, _, name in ranked:
        if name == home or value >= present or value > limit:
            continue
        than = f"{present:.3g} ms of {home}" if math.isfinite(present) else f"{home}, which does not answer"
        beside = "" if home is None else f" instead of {than}"
        found.append((name, f"{name} is at {value:.3g} ms{how}{beside}"))
    return Better(tuple(found), "" if ranked else "nobody knows where it is, nor a latency")


def _latencies(track: Track, gateways: Sequence[Gateway]) -> tuple[dict[str, float], str]:
    """By gateway, and how they came to be known: measured ones and estimates are never compared with each other."""
    measured = {g.name: ms for g in gateways if (ms := track.latency_ms(g.name)) is not None}
    if measured:
        return measured, ""
    place = track.place
    if place is None and track.cell is not None:
        # a cell lies where the gateway stands that serves it, as far as a descriptor knows
        place = next((where for g in gateways if track.cell in g.serves and (where := _place(g))), None)
    if place is None:
        return {}, ""
    return {g.name: _km(place, where) * MS_PER_KM for g in gateways if (where := _place(g))}, " (by its place)"


def _place(gateway: Gateway) -> tuple[float, float] | None:
    if gateway.latitude is None or gateway.longitude is None:
        return None
    return gateway.latitude, gateway.longitude


def _km(a: tuple[float, float] | None, b: tuple[float, float] | None) -> float:
    """On the great circle; infinitely far where a place is not known."""
    if a is None or b is None:
        return math.inf
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (*a, *b))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def _most(tracks: Sequence[Track], home: str | None, gateways: Sequence[Gateway], mobility: Mobility) -> Better:
    """The gateways that more subscribers are better off with than stay best served by the present one."""
    trigger = TRIGGERS[mobility.trigger]
    staying = 0
    supporters: Counter[str] = Counter()
    firsts: Counter[str] = Counter()
    for track in tracks:
        better = trigger(track, home, gateways, mobility)
        if better.gateways:
            supporters.update(name for name, _ in better.gateways)
            firsts[better.gateways[0][0]] += 1
        elif not better.note:
            staying += 1
    order = {gateway.name: place for place, gateway in enumerate(gateways)}
    names = sorted(supporters, key=lambda name: (-supporters[name], -firsts[name], order[name]))
    whole = staying + sum(firsts.values())
    found = [
        (name, f"{name} is better for {supporters[name]} of {whole} subscribers")
        for name in names
        if supporters[name] > staying
    ]
    return Better(tuple(found), "" if whole else "nobody knows where its subscribers are")


TRIGGERS: Mapping[str, Trigger] = {
    "serving-cell": serving_cell,
    "nearer-site": nearer_site,
}
