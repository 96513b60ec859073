"""Takes sightings of subscribers in, and does what follows: an instance of their own is built, or one moves.

Taking in is quick and ordered (compared and set on the time of the newest sighting); acting is slow, and may be done
elsewhere: the claim on the instance decides whether it may.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from meghdwar.driver.inventory import SubscriberRecord
from meghdwar.driver.mobility import CROWD, Sighting, Track, Wish, due, gather, ripe_at, take
from meghdwar.driver.operation import Busy, DriverError, Operation
from meghdwar.driver.plan import Wanted
from meghdwar.driver.track import dropped, dump, load, observe
from meghdwar.model import Gateway

if TYPE_CHECKING:
    from meghdwar.driver.control import Driver

TRIES = 20  # to set a track, while others set it too


@dataclass(frozen=True, slots=True)
class Wished:
    """A wish for an instance: `home` is where it was when it was wished for (None: nowhere, so it is to be built);
    `subscriber` is None where all share it."""

    application: str
    cloudlet: str
    instance: str
    subscriber: str | None
    home: str | None
    wish: Wish


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of a sighting for one cloudlet. `dropped` says why it was not taken in: duplicate, late, future or
    unreadable; `note` says why nothing is wished for. `ripe_at` is when `ripe` is worth asking for `subscriber`, by the
    clock of the sightings (None: not before the next one); CROWD stands for all who share the instance."""

    application: str
    cloudlet: str
    instance: str
    home: str | None
    dropped: str = ""
    note: str = ""
    wished: Wished | None = None
    subscriber: str = CROWD
    ripe_at: float | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """What was done about a sighting for one cloudlet. `busy` says why a wish was not acted on now."""

    noted: Noted
    operation: Operation | None = None
    busy: str = ""


# taking in
def take_in(
    driver: Driver,
    sighting: Sighting,
    *,
    application: str | None = None,
    now: float | None = None,
    together: bool = True,
) -> list[Noted]:
    """Takes a sighting in for every cloudlet that follows, of one application or of all. Changes only what is
    remembered of the subscriber. `now` is our clock, where sightings are of this moment.

    Where an instance is wanted that many share takes a look at all of them. Without `together` that is left to `ripe`
    for CROWD, which is worth asking at once (`ripe_at`), but need not be for each sighting.
    """
    names = [application] if application is not None else [record.name for record in driver.inventory.applications()]
    return [noted for name in names for noted in _take_in(driver, driver.wanted(name), sighting, now, together)]


def _take_in(driver: Driver, asked: Wanted, sighting: Sighting, now: float | None, together: bool) -> list[Noted]:
    if not asked.mobility or sighting.subscriber == CROWD:
        return []
    for _ in range(TRIES):
        before = _subscriber(driver, asked.application, sighting.subscriber)
        tracks = load(before.state)
        found = [_one(driver, asked, cloudlet, sighting, tracks, now) for cloudlet in asked.mobility]
        if all(noted.dropped for noted in found):
            return found
        after = replace(before, seen_at=max(sighting.at, before.seen_at), state=dump(tracks))
        if driver.inventory.put_subscriber(after, expected_seen_at=before.seen_at):
            return [_with_crowd(driver, asked, noted, sighting.at) if together else noted for noted in found]
    raise Busy(f"cannot take the sighting of {sighting.subscriber} in: others take hers in all the time; try again")


def _one(
    driver: Driver, asked: Wanted, cloudlet: str, sighting: Sighting, tracks: dict[str, Track], now: float | None
) -> Noted:
    """Takes it in for one cloudlet; its track in `tracks` becomes the new one."""
    own = asked.cloudlets[cloudlet].instances == "per_subscriber"
    subscriber = sighting.subscriber if own else None
    instance = asked.instance(cloudlet, subscriber)
    home = _home(driver, instance.name)
    before = tracks.get(cloudlet, Track())
    noted = Noted(asked.application, cloudlet, instance.name, home, dropped=dropped(sighting, before, now))
    if noted.dropped:
        return noted
    gateways, rule = _gateways(asked, cloudlet), asked.mobility[cloudlet]
    if not own:
        tracks[cloudlet] = observe(sighting, before, (gateway.name for gateway in gateways))
        return replace(noted, ripe_at=sighting.at)
    track, wish = take(sighting, before, home, gateways, rule, _load(driver, gateways), now)
    tracks[cloudlet] = track
    wished, later = _wished(noted, subscriber, wish), ripe_at(track, rule)
    return replace(noted, note=track.note, wished=wished, subscriber=sighting.subscriber, ripe_at=later)


def _wished(noted: Noted, subscriber: str | None, wish: Wish | None) -> Wished | None:
    if wish is None:
        return None
    return Wished(noted.application, noted.cloudlet, noted.instance, subscriber, noted.home, wish)


def _with_crowd(driver: Driver, asked: Wanted, noted: Noted, at: float) -> Noted:
    """For an instance that all share: where most of its subscribers want it."""
    if noted.dropped or asked.cloudlets[noted.cloudlet].instances == "per_subscriber" or noted.home is None:
        return noted
    for _ in range(TRIES):
        crowd = _subscriber(driver, asked.application, CROWD)
        tracks = load(crowd.state)
        others = _tracks(driver, asked.application, noted.cloudlet)
        gateways, rule = _gateways(asked, noted.cloudlet), asked.mobility[noted.cloudlet]
        before = tracks.get(noted.cloudlet, Track())
        track, wish = gather(others, before, at, noted.home, gateways, rule, _load(driver, gateways))
        tracks[noted.cloudlet] = track
        # two drivers in the same moment: the times differ, so that one of them looks again
        after = replace(crowd, seen_at=_later(crowd.seen_at, at), state=dump(tracks))
        if driver.inventory.put_subscriber(after, expected_seen_at=crowd.seen_at):
            return replace(noted, note=track.note, wished=_wished(noted, None, wish), ripe_at=ripe_at(track, rule))
    raise Busy(f"cannot say where {noted.instance} is wanted: others take sightings in all the time; try again")


def _later(before: float, at: float) -> float:
    """A time that differs from the one before, by a microsecond at least."""
    return at if at > before else before + 1e-6


def _tracks(driver: Driver, application: str, cloudlet: str) -> Iterator[Track]:
    for record in driver.inventory.subscribers(application):
        if record.name != CROWD:
            track = load(record.state).get(cloudlet)
            if track is not None:
                yield track


Ours = Callable[[str, float | None], bool]  # the name of an instance, and when something becomes ripe for it


def ripe(
    driver: Driver,
    now: float,
    *,
    application: str | None = None,
    subscribers: Collection[str] | None = None,
    ours: Ours = lambda instance, ripe_at: True,
) -> list[Noted]:
    """Looks again at where these subscribers are, or all of them, and at where their instances are by now: what is
    wished for without a further sighting, by the clock of the sightings. Where nothing is, but something may be later,
    `ripe_at` says when. Instances that are not `ours` are passed over."""
    names = [application] if application is not None else [record.name for record in driver.inventory.applications()]
    return [noted for name in names for noted in _ripe(driver, driver.wanted(name), now, subscribers, ours)]


def _ripe(
    driver: Driver, asked: Wanted, now: float, subscribers: Collection[str] | None, ours: Ours
) -> Iterator[Noted]:
    if not asked.mobility:
        return
    if subscribers is None:
        records = driver.inventory.subscribers(asked.application)
        known = {record.name: record.gateway for record in driver.inventory.instances(application=asked.application)}
        home_of = known.get
    else:
        records = [_subscriber(driver, asked.application, name) for name in subscribers]
        home_of = partial(_home, driver)
    for record in records:
        yield from _look_again(driver, asked, record, now, home_of, ours)


def _look_again(
    driver: Driver,
    asked: Wanted,
    record: SubscriberRecord,
    now: float,
    home_of: Callable[[str], str | None],
    ours: Ours,
) -> list[Noted]:
    """One subscriber, or with CROWD all of them together; what has changed is remembered."""
    tracks, found, changed = load(record.state), [], False
    for cloudlet in [name for name in asked.mobility if name in tracks or record.name == CROWD]:
        if (asked.cloudlets[cloudlet].instances == "per_subscriber") == (record.name == CROWD):
            continue
        instance = asked.instance(cloudlet, None if record.name == CROWD else record.name).name
        noted = Noted(asked.application, cloudlet, instance, home_of(instance), subscriber=record.name)
        if record.name == CROWD and noted.home is None:
            continue  # whoever brings the application up builds it
        before = tracks.setdefault(cloudlet, Track())
        if not ours(instance, ripe_at(before, asked.mobility[cloudlet])):
            continue
        found.append(_due(driver, asked, noted, tracks, now))
        changed |= tracks[cloudlet] != replace(before, seen_at=tracks[cloudlet].seen_at)
    if not changed:
        return found
    # no sighting came, but the time differs: a driver that was quicker has changed it, and acts itself
    after = replace(record, seen_at=_later(record.seen_at, 0.0), state=dump(tracks))
    return found if driver.inventory.put_subscriber(after, expected_seen_at=record.seen_at) else []


def _due(driver: Driver, asked: Wanted, noted: Noted, tracks: dict[str, Track], now: float) -> Noted:
    """Decides for one cloudlet; its track in `tracks` becomes the new one."""
    cloudlet, subscriber = noted.cloudlet, None if noted.subscriber == CROWD else noted.subscriber
    gateways, rule = _gateways(asked, cloudlet), asked.mobility[cloudlet]
    load_ = _load(driver, gateways)
    if subscriber is None:
        others = _tracks(driver, asked.application, cloudlet)
        track, wish = gather(others, tracks[cloudlet], now, noted.home, gateways, rule, load_)
    else:
        track, wish = due(tracks[cloudlet], now, noted.home, gateways, rule, load_)
    tracks[cloudlet] = track
    return replace(noted, note=track.note, wished=_wished(noted, subscriber, wish), ripe_at=ripe_at(track, rule))


# acting
def act(driver: Driver, noted: Noted) -> Followed:
    """Builds or moves what is wished for. What somebody else is working on is left to them."""
    if noted.wished is None:
        return Followed(noted)
    try:
        return Followed(noted, _act(driver, noted.wished))
    except (Busy, DriverError) as error:  # taken since by others: the instance, or the last room at the gateway
        return Followed(noted, busy=str(error))


def _act(driver: Driver, wished: Wished) -> Operation | None:
    if wished.home is None:
        instance = driver.wanted(wished.application).instance(wished.cloudlet, wished.subscriber)
        return driver.build(instance, wished.wish.gateway, wished.wish.reason)
    if _home(driver, wished.instance) == wished.wish.gateway:
        return None  # it went there meanwhile
    return driver.move(wished.instance, wished.wish.gateway, reason=wished.wish.reason)


def _subscriber(driver: Driver, application: str, name: str) -> SubscriberRecord:
    return driver.inventory.find_subscriber(application, name) or SubscriberRecord(application, name)


def _home(driver: Driver, instance: str) -> str | None:
    record = driver.inventory.find_instance(instance)
    return None if record is None else record.gateway


def _gateways(asked: Wanted, cloudlet: str) -> Sequence[Gateway]:
    return [asked.gateways[name] for name in asked.reach(cloudlet)]


def _load(driver: Driver, gateways: Sequence[Gateway]) -> Mapping[str, int]:
    """How many cloudlets each has, of those where it matters."""
    return {
        gateway.name: driver.inventory.count_at(gateway.name) for gateway in gateways if gateway.capacity is not None
    }
