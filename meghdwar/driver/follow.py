"""Takes sightings of subscribers in, and does what follows: an instance of their own is built, or one moves.

Taking in is quick and ordered (compared and set on the time of the newest sighting); acting is slow, and may be done
elsewhere: the claim on the instance decides whether it may.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from meghdwar.driver.inventory import SubscriberRecord
from meghdwar.driver.mobility import CROWD, Sighting, Track, Wish, due, gather, ripe_at, take
from meghdwar.driver.operation import Busy, DriverError, JournalError, Operation
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
Outcome = list[Noted] | Exception  # what became of a sighting for each cloudlet, or why it could not be taken in


def take_in(
    driver: Driver,
    sightings: Sequence[Sighting],
    *,
    application: str | None = None,
    now: float | None = None,
    together: bool = True,
) -> list[Outcome]:
    """Takes sightings in, in their order, for every cloudlet that follows, of one application or of all; what became
    of each. Changes only what is remembered of the subscribers: of all of them in one transaction, so that many cost
    the disk little more than one. `now` is our clock, where sightings are of this moment.

    Where an instance is wanted that many share takes a look at all of them. Without `together` that is left to `ripe`
    for CROWD, which is worth asking at once (`ripe_at`), but need not be for each sighting.
    """
    outcomes: list[Outcome] = [[] for _ in sightings]
    for asked in driver.all_wanted(application):
        if asked.mobility:
            _take_in(driver, asked, sightings, outcomes, now, together)
    return outcomes


def _take_in(
    driver: Driver,
    asked: Wanted,
    sightings: Sequence[Sighting],
    outcomes: list[Outcome],
    now: float | None,
    together: bool,
) -> None:
    """For one application; what became of each is added to its outcome."""
    left = [number for number, sighting in enumerate(sightings) if sighting.subscriber != CROWD]
    for _ in range(TRIES):
        seen: dict[str, _Seen] = {}
        found: dict[int, list[Noted]] = {}
        for number in left:
            sighting = sightings[number]
            try:
                if sighting.subscriber not in seen:
                    seen[sighting.subscriber] = _Seen.read(driver, asked.application, sighting.subscriber)
                found[number] = seen[sighting.subscriber].take(driver, asked, sighting, now)
            except JournalError:
                raise
            except Exception as error:  # this one cannot be taken in, and the others can
                outcomes[number] = error
        late = _put(driver, [each for each in seen.values() if each.is_changed])
        for number, noted in found.items():
            done, at = outcomes[number], sightings[number].at
            if sightings[number].subscriber not in late and not isinstance(done, Exception):
                done += [_with_crowd(driver, asked, each, at) if together else each for each in noted]
        left = [number for number in found if sightings[number].subscriber in late]
        if not left:
            return
    for number in left:
        name = sightings[number].subscriber
        outcomes[number] = Busy(f"cannot take the sighting of {name} in: others take hers in all the time; try again")


@dataclass(slots=True)
class _Seen:
    """A subscriber who is seen, perhaps several times: what is remembered of her, and what will be."""

    before: SubscriberRecord
    tracks: dict[str, Track]
    seen_at: float
    is_changed: bool = False

    @classmethod
    def read(cls, driver: Driver, application: str, name: str) -> _Seen:
        before = _subscriber(driver, application, name)
        return cls(before, load(before.state), before.seen_at)

    def take(self, driver: Driver, asked: Wanted, sighting: Sighting, now: float | None) -> list[Noted]:
        tracks = dict(self.tracks)
        found = [_one(driver, asked, cloudlet, sighting, tracks, now) for cloudlet in asked.mobility]
        if not all(noted.dropped for noted in found):
            self.tracks, self.seen_at, self.is_changed = tracks, max(sighting.at, self.seen_at), True
        return found

    @property
    def after(self) -> SubscriberRecord:
        return replace(self.before, seen_at=self.seen_at, state=dump(self.tracks))


def _put(driver: Driver, seen: Sequence[_Seen]) -> set[str]:
    """Remembers what was seen; the names of those whom another driver saw meanwhile, of whom nothing was changed."""
    done = driver.inventory.put_subscribers([(each.after, each.before.seen_at) for each in seen])
    return {each.before.name for each, is_done in zip(seen, done, strict=True) if not is_done}


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
    track, wish = take(sighting, before, home, gateways, rule, driver.inventory.count_at, now)
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
        track, wish = gather(others, before, at, noted.home, gateways, rule, driver.inventory.count_at)
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
    every = driver.all_wanted(application)
    return [noted for asked in every for noted in _ripe(driver, asked, now, subscribers, ours)]


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
    if subscriber is None:
        others = _tracks(driver, asked.application, cloudlet)
        track, wish = gather(others, tracks[cloudlet], now, noted.home, gateways, rule, driver.inventory.count_at)
    else:
        track, wish = due(tracks[cloudlet], now, noted.home, gateways, rule, driver.inventory.count_at)
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
