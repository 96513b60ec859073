"""The loop of a driver that stays: takes sightings in as they come, works what follows from them, and finishes what
other drivers left behind.

Taking in is quick and done by one thread, in the order of arrival; moves are worked by a bounded number of others, one
at a time for each instance. Whoever else works on the same database, the claim on the instance decides who may act.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from threading import Event as Flag
from threading import Thread
from typing import Protocol, TypeVar, cast

from meghdwar.driver.at_hand import AtHand
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.control import Event
from meghdwar.driver.follow import Followed, Noted, Ours, Outcome
from meghdwar.driver.hypervisor import HypervisorError, Stale
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.driver.lanes import Lanes
from meghdwar.driver.logs import about
from meghdwar.driver.observers import Observer as Observer
from meghdwar.driver.operation import DOING, ENDED, UNDOING, Busy, DriverError, JournalError, Operation
from meghdwar.driver.ripening import Ripening
from meghdwar.driver.stream import Bad, Clock
from meghdwar.driver.track import CROWD, Sighting

T = TypeVar("T")
LOG = logging.getLogger(__name__)

TICK_S = 0.2  # the shortest time between two looks at what is ripe
CROWD_EVERY_S = 1.0  # how often we look at all who share an instance, however many sightings there are of them
LEFT_EVERY_S = 2.0  # how often we look for what other drivers left
TEND_EVERY_S = 15.0  # how often we look at what the cloud has made of a stack
SWEEP_EVERY_S = 30.0  # how often every subscriber is looked at again, wherever she was seen
START_S = 30.0  # a stream without a sighting for so long says nothing: then our own clock has to do
TAKEOVER_S = 30.0  # what its own driver has not taken up for so long is anybody's
BACK_OFF_S = (1.0, 60.0)  # between two tries at the same operation: the first, and the longest
PATIENCE_S = 60.0  # for a database that is away, before a wish is given up; it comes back by itself
AT_ONCE = 100  # sightings that are taken in together, when so many have come
GRACE_S = 10.0  # what is being worked may go on for so long when we are told to end


class Works(Protocol):
    """What the loop wants of a driver; see control.Driver."""

    def take_in_all(
        self,
        sightings: Sequence[Sighting],
        *,
        application: str | None = None,
        now: float | None = None,
        together: bool = True,
    ) -> list[Outcome]: ...

    def act(self, noted: Noted) -> Followed: ...

    def ripe(
        self,
        now: float,
        *,
        application: str | None = None,
        subscribers: Collection[str] | None = None,
        ours: Ours = ...,
    ) -> list[Noted]: ...

    def abandoned(self) -> Sequence[Operation]: ...

    def resume(self, operation_id: str) -> Operation: ...


class Members(Protocol):
    """Who else is at work; see members. Wrong answers do no harm: they only make drivers get in each other's way."""

    def mine(self, name: str) -> bool:
        """Whether work on what is called that is ours to begin."""
        ...


class Alone:
    """There is no other driver, or nobody told us of any."""

    def mine(self, name: str) -> bool:
        return True


class Tends(Protocol):
    """Looks after the stacks of applications; see tending."""

    def stacks(self) -> Sequence[str]:
        """The applications that have one."""
        ...

    def tend(self, application: str) -> Iterable[str]:
        """Does what there is to do; each thing that was done, as a sentence."""
        ...


class NoStacks:
    """Nobody looks after stacks here."""

    def stacks(self) -> Sequence[str]:
        return ()

    def tend(self, application: str) -> Iterator[str]:
        yield from ()


class HandedOver(Exception):
    """We were told to end in the middle of an operation: the claim is given back, and another driver goes on."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`application` is the only one that is followed (None: all); `strict` ends at the first bad line; `replayed` says
    that sightings are not of this moment, so that our own clock says nothing about them; `in_step` that a subscriber's
    next sighting is taken in when what followed from the one before is done."""

    application: str | None = None
    workers: int = 8
    strict: bool = False
    replayed: bool = False
    in_step: bool = False
    left_every_s: float = LEFT_EVERY_S
    sweep_every_s: float = SWEEP_EVERY_S
    tend_every_s: float = TEND_EVERY_S
    takeover_s: float = TAKEOVER_S
    grace_s: float = GRACE_S
    patience_s: float = PATIENCE_S


@dataclass(slots=True)
class Tally:
    """How it went, when it is over. `strict_at` is the line that ended it."""

    taken: int = 0
    dropped: int = 0
    bad: int = 0
    worked: int = 0
    left: int = 0  # operations that were in the middle of something when we had to end
    pending: int = 0  # subscribers whose cloudlets would follow later, if they stay
    strict_at: Bad | None = None


@dataclass(slots=True)
class _Left:
    """What we know of an operation that nobody works on."""

    since: float
    tries: int = 0
    next_at: float = 0.0


@dataclass
class Watch:
    """One run of the loop. `hear` has to be among the driver's listeners, so that work can be handed over."""

    works: Works
    settings: Settings = field(default_factory=Settings)
    members: Members = field(default_factory=Alone)
    observer: Observer = field(default_factory=Observer)
    clock: Clock = field(default_factory=Clock)
    tends: Tends = field(default_factory=NoStacks)

    def __post_init__(self) -> None:
        self.tally = Tally()
        self.stopping = Flag()  # soon after `stop`; for whoever waits
        self._told = 0
        self._unknown_until = 0.0
        self._new = Flag()
        self._hand_over = Flag()
        self._end_of_stream = Flag()
        self._lanes = Lanes(self.settings.workers)
        self._ripening = Ripening()
        self._wished: dict[str, set[str]] = {}  # subscriber -> the instances that something was wished for
        self._left: dict[str, _Left] = {}

    # from outside
    def stop(self) -> None:
        """Ends as soon as what is worked is done, or the grace is over. Asking again hands over at once.

        For signal handlers as well: it takes no lock, which the thread that was interrupted might have.
        """
        self._told += 1

    def nudge(self) -> None:
        """There is something new among what is left: it is looked at soon."""
        self._new.set()

    def heed(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        """A sighting that somebody else has taken in: what follows from it is done here."""
        if any(not each.dropped for each in noted):
            self.clock.seen(sighting.at)
            self.tally.taken += 1
        else:
            self.tally.dropped += 1
        self.observer.took(sighting, noted)
        for each in noted:
            self._later(each)
            self._wish(each)

    def hear(self, event: Event) -> None:
        """A listener of the driver: stops an operation between two steps, when it has to be handed over."""
        begins = event.entry is not None and event.entry.phase in (DOING, UNDOING)
        if (self._hand_over.is_set() or self._told > 1) and (begins or event.error is not None):
            raise HandedOver(f"{event.operation.id} is handed over")

    # the loop
    def run(self, stream: Iterable[Sighting | Bad] | None) -> Tally:
        """Works until the stream is at its end and what followed from it is done, or until `stop`. Without a stream,
        until `stop`."""
        reader = None
        if stream is not None:
            # a daemon: one that waits for a line that never comes must not keep us
            reader = Thread(target=self._read, args=(stream,), name="sightings", daemon=True)
            reader.start()
        self._unknown_until = time.monotonic() + (0.0 if stream is None else START_S)
        next_left = next_sweep = next_tend = 0.0
        while not self._ending():
            now = time.monotonic()
            if now >= next_left or self._new.is_set():
                self._new.clear()
                self._finish_left(now)
                next_left = now + self.settings.left_every_s * random.uniform(0.5, 1.5)  # noqa: S311 - so that drivers part
            if now >= next_sweep:
                self._sweep()
                next_sweep = now + self.settings.sweep_every_s * random.uniform(0.5, 1.5)  # noqa: S311
            if now >= next_tend:
                self._tend_stacks()
                next_tend = now + self.settings.tend_every_s * random.uniform(0.5, 1.5)  # noqa: S311
            self._ripen()
            self.observer.looked(self._lanes.waiting, self._lanes.working)
            if self._end_of_stream.is_set():
                self._ripen(ahead_s=CROWD_EVERY_S)
                if self._lanes.wait(TICK_S):
                    break
            self.stopping.wait(TICK_S)
        self._wind_up()
        return self.tally

    def _ending(self) -> bool:
        return self._told > 0 or self.stopping.is_set()

    def _wind_up(self) -> None:
        self.stopping.set()
        self._lanes.close()  # wishes that were not begun come again, here or elsewhere: whoever looks finds them ripe
        end = time.monotonic() + self.settings.grace_s
        while not (done := self._lanes.wait(TICK_S)) and time.monotonic() < end and self._told < 2:
            pass
        if not done:
            self._hand_over.set()
            self.tally.left = self._lanes.working
            self._lanes.wait(self.settings.grace_s)
        self.tally.pending = len(self._ripening)

    # taking in
    def _read(self, stream: Iterable[Sighting | Bad]) -> None:
        try:
            # in step, the next one is not even looked at before what followed from the one before is done
            for items in ([item] for item in stream) if self.settings.in_step else AtHand(stream, AT_ONCE):
                for is_bad, some in groupby(items, lambda item: isinstance(item, Bad)):
                    if self._ending() or self.tally.strict_at is not None:
                        return
                    if is_bad:
                        self._pass_over(cast(Iterable[Bad], some))
                    else:
                        self._take_in(cast(Iterable[Sighting], some))
        except Exception as error:  # the loop must not go on as if there were no more sightings to come
            self._failed("read sightings", error)
        finally:
            self._end_of_stream.set()

    def _pass_over(self, some: Iterable[Bad]) -> None:
        for bad in some:
            self.tally.bad += 1
            self.observer.passed_over(bad)
            if self.settings.strict:
                self.tally.strict_at = bad
                return

    def _take_in(self, some: Iterable[Sighting]) -> None:
        left = list(some)
        while left and not self._ending():
            if self.settings.in_step:
                self._await(left[0].subscriber)
            what = f"the sighting of {left[0].subscriber}" if len(left) == 1 else f"{len(left)} sightings"
            outcomes = self._patiently(f"take {what} in", partial(self._taken_in, left), forever=True)
            if outcomes is None:
                return
            busy = []
            for sighting, outcome in zip(left, outcomes, strict=True):
                with about(subscriber=sighting.subscriber):
                    if isinstance(outcome, Busy):
                        busy.append(sighting)
                    elif isinstance(outcome, Exception):
                        self._failed(f"take the sighting of {sighting.subscriber} in", outcome)
                    else:
                        self._took(sighting, outcome)
            left = busy

    def _await(self, subscriber: str) -> None:
        """Until what followed from her last sighting is done."""
        for instance in self._wished.pop(subscriber, ()):
            while not self._ending() and not self._lanes.wait_for(instance, TICK_S):
                pass

    def _taken_in(self, sightings: Sequence[Sighting]) -> list[Outcome]:
        now = None if self.settings.replayed else time.time()
        return self.works.take_in_all(
            sightings, application=self.settings.application, now=now, together=self.settings.in_step
        )

    def _took(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        self.heed(sighting, noted)
        for each in noted:
            if each.wished is not None and self.settings.in_step:
                self._wished.setdefault(sighting.subscriber, set()).add(each.instance)

    # acting
    def _wish(self, noted: Noted) -> None:
        if noted.wished is not None:
            self._lanes.put(noted.instance, lambda: self._act(noted))

    def _act(self, noted: Noted) -> None:
        if self._ending():
            return
        with about(instance=noted.instance):
            followed = self._patiently(f"let {noted.instance} follow", lambda: self.works.act(noted))
        if followed is None:
            return
        self.tally.worked += followed.operation is not None
        self.observer.followed(followed)
        if followed.busy:  # somebody else is at it: what is right when they are done is seen then
            self._later(replace(noted, ripe_at=self.clock.now() + self.settings.left_every_s))
        else:  # the subscriber may have gone on while it moved, or it may have gone back
            self._look_again(noted.application, {noted.subscriber})

    # what becomes ripe
    def _later(self, noted: Noted) -> None:
        """Remembers when it may become ripe without a further sighting."""
        if noted.dropped:
            return
        key = (noted.application, noted.subscriber, noted.cloudlet)
        if noted.subscriber == CROWD and noted.ripe_at is not None and noted.ripe_at <= self.clock.now():
            # many sightings of those who share it are looked at together
            self._ripening.soon(key, self.clock.now() + CROWD_EVERY_S)
        else:
            self._ripening.at(key, noted.ripe_at)

    def _ripen(self, ahead_s: float = 0.0) -> None:
        """Looks at those that have become ripe by now, or should have been looked at a little later."""
        for application, subscribers in self._ripening.ripe(self.clock.now() + ahead_s).items():
            self._look_again(application, subscribers)

    def _look_again(self, application: str, subscribers: Collection[str]) -> None:
        now = self.clock.now()
        for noted in self._ripe(now, application, subscribers):
            self._wish(noted)
            # one that holds, but not now, because the gateway is full, say, is not asked for all the time
            not_before = now + LEFT_EVERY_S
            self._later(noted if (noted.ripe_at or math.inf) > now else replace(noted, ripe_at=not_before))

    def _sweep(self) -> None:
        """Looks again at everybody: those that another driver saw, whose part is ours, or anybody's after a while."""
        now = self.clock.now()
        if math.isinf(now) or (not self.clock.known and time.monotonic() < self._unknown_until):
            return  # what time it is for those who see subscribers is not known yet, and may not be ours

        def ours(instance: str, ripe_at: float | None) -> bool:
            late = ripe_at is not None and now >= ripe_at + self.settings.takeover_s
            return late or self.members.mine(instance)

        for noted in self._ripe(now, self.settings.application, None, ours):
            self._wish(noted)
            if noted.ripe_at is not None:
                self._later(noted)

    def _ripe(
        self,
        now: float,
        application: str | None,
        subscribers: Collection[str] | None,
        ours: Ours = lambda instance, ripe_at: True,
    ) -> Sequence[Noted]:
        try:
            return self.works.ripe(now, application=application, subscribers=subscribers, ours=ours)
        except Exception as error:  # the next sweep finds them
            self._failed("look who has stayed", error)
            return ()

    # the stacks
    def _tend_stacks(self) -> None:
        try:
            found = self.tends.stacks()
        except Exception as error:
            self._failed("look for stacks", error)
            return
        for application in found:
            lane = f"stack of {application}"  # is no instance's name
            ours = self.settings.application in (None, application) and self.members.mine(application)
            if ours and not self._lanes.has(lane):
                self._lanes.put(lane, partial(self._tend, application))

    def _tend(self, application: str) -> None:
        if self._ending():
            return
        try:
            for done in self.tends.tend(application):
                self.observer.tended(application, done)
                self.nudge()
        except Exception as error:
            self._failed(f"look after the stack of {application}", error)

    # what was left
    def _finish_left(self, now: float) -> None:
        try:
            left = self.works.abandoned()
        except Exception as error:
            self._failed("look for what was left", error)
            return
        known = {operation.id for operation in left}
        for gone in [each for each in self._left if each not in known]:
            del self._left[gone]
        for operation in left:
            here = self._left.setdefault(operation.id, _Left(now))
            ours = self.members.mine(operation.instance) or now >= here.since + self.settings.takeover_s
            if ours and now >= here.next_at and not self._lanes.has(operation.instance):
                wait_s = min(BACK_OFF_S[0] * 2.0**here.tries, BACK_OFF_S[1])
                here.tries += 1
                here.next_at = now + wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - so that drivers part
                self._lanes.put(operation.instance, lambda operation=operation: self._finish(operation))  # type: ignore[misc]

    def _finish(self, operation: Operation) -> None:
        if self._ending():
            return
        with about(operation=operation.id, instance=operation.instance):
            try:
                done = self.works.resume(operation.id)
            except Busy:
                return  # another driver was quicker
            except Stale as error:
                self._lost(f"finish {operation.id}", error)
            except HandedOver:
                return
            except Exception as error:
                self._failed(f"finish {operation.id}", error)
            else:
                self.tally.worked += done.status in ENDED
                self.observer.finished(done)

    # when it does not work
    def _patiently(self, what: str, work: Callable[[], T], *, forever: bool = False) -> T | None:
        """Does it, again and again while the database is away; None when it could not be done."""
        end, tries = time.monotonic() + self.settings.patience_s, 0
        while True:
            try:
                done = work()
            except HandedOver:
                return None
            except Stale as error:
                self._lost(what, error)
                return None
            except JournalError as error:
                if tries == 0:
                    self._failed(what, error)
                tries += 1
                wait_s = min(0.1 * 2.0**tries, 5.0) * random.uniform(0.5, 1.0)  # noqa: S311 - so that drivers part
                if (not forever and time.monotonic() + wait_s > end) or self.stopping.wait(wait_s):
                    return None
            except Exception as error:
                self._failed(what, error)
                return None
            else:
                if tries:
                    LOG.info("could %s after %d tries", what, tries + 1)
                return done

    def _lost(self, what: str, error: Stale) -> None:
        LOG.warning("could not %s: %s", what, error)
        self.observer.lost(what, error)

    def _failed(self, what: str, error: Exception) -> None:
        """Tells it; a mistake of ours with where it was made."""
        ours = not isinstance(
            error, CloudError | DriverError | HypervisorError | JournalError | Unknown | Taken | OSError
        )
        LOG.warning("cannot %s: %s", what, error, exc_info=error if ours else None)
        self.observer.failed(what, error)
