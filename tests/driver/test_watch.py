"""The loop of a driver that stays, over a driver of paper for what is hard to bring about, and over a real site."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event as Flag
from typing import Any

import pytest

from meghdwar.driver import follow
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.control import Driver, Event
from meghdwar.driver.follow import Followed, Noted, Outcome, Wished
from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.members import Members
from meghdwar.driver.mobility import Wish
from meghdwar.driver.operation import COMPLETED, DOING, WAITING, Busy, Entry, JournalError, Operation
from meghdwar.driver.stream import Bad, Clock
from meghdwar.driver.track import Sighting, load
from meghdwar.driver.watch import HandedOver, Observer, Settings, Tally, Watch
from tests.site import Site

QUICK = Settings(left_every_s=0.05, sweep_every_s=0.1, tend_every_s=0.05, takeover_s=0.2, grace_s=1.0)


def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@dataclass
class Paper:
    """A driver that only notes what it is asked. `wishes` says where a sighting's cell is wanted."""

    wishes: dict[str, str] = field(default_factory=dict)
    taken: list[Sighting] = field(default_factory=list)
    acted: list[tuple[str, str]] = field(default_factory=list)
    asked_ripe: list[tuple[float, Any]] = field(default_factory=list)
    pending: dict[str, float] = field(default_factory=dict)  # subscriber -> when it is ripe
    left: list[Operation] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)  # how many sightings came at once
    fails: list[Exception] = field(default_factory=list)  # the next calls raise these
    meanwhile: Callable[[str], None] = lambda name: None

    def noted(self, subscriber: str, gateway: str | None, at: float, later: float | None = None) -> Noted:
        noted = Noted("arena", "arena", f"arena-{subscriber}", "edge_a", subscriber=subscriber, ripe_at=later)
        if gateway is None:
            return noted
        wish = Wish(gateway, "she is there", at)
        return replace(noted, wished=Wished("arena", "arena", noted.instance, subscriber, "edge_a", wish))

    def take_in_all(
        self,
        sightings: Sequence[Sighting],
        *,
        application: str | None = None,
        now: float | None = None,
        together: bool = True,
    ) -> list[Outcome]:
        self.batches.append(len(sightings))
        return [self.taken_in(sighting) for sighting in sightings]

    def taken_in(self, sighting: Sighting) -> Outcome:
        if self.fails:
            if isinstance(self.fails[0], JournalError) and not isinstance(self.fails[0], Busy):
                raise self.fails.pop(0)
            return self.fails.pop(0)
        self.taken.append(sighting)
        later = self.pending.get(sighting.subscriber)
        return [self.noted(sighting.subscriber, self.wishes.get(sighting.cell or ""), sighting.at, later)]

    def act(self, noted: Noted) -> Followed:
        assert noted.wished is not None
        self.meanwhile(noted.instance)
        self.acted.append((noted.instance, noted.wished.wish.gateway))
        return Followed(noted, Operation("m-1", "move", "arena", noted.instance, status=COMPLETED))

    def ripe(
        self,
        now: float,
        *,
        application: str | None = None,
        subscribers: Collection[str] | None = None,
        ours: Callable[[str, float | None], bool] = lambda instance, ripe_at: True,
    ) -> list[Noted]:
        self.asked_ripe.append((now, subscribers))
        found = []
        for subscriber, at in list(self.pending.items()):
            if (subscribers is None or subscriber in subscribers) and ours(f"arena-{subscriber}", at):
                if at <= now:
                    del self.pending[subscriber]
                    found.append(self.noted(subscriber, "edge_b", now))
                else:
                    found.append(self.noted(subscriber, None, now, at))
        return found

    def abandoned(self) -> Sequence[Operation]:
        return list(self.left)

    def resume(self, operation_id: str) -> Operation:
        self.resumed.append(operation_id)
        if self.fails:
            raise self.fails.pop(0)
        found = next(operation for operation in self.left if operation.id == operation_id)
        self.left.remove(found)
        return replace(found, status=COMPLETED)


class Notes(Observer):
    def __init__(self) -> None:
        self.failures: list[str] = []
        self.losses: list[str] = []
        self.bad: list[Bad] = []
        self.done: list[tuple[str, str]] = []

    def tended(self, application: str, done: str) -> None:
        self.done.append((application, done))

    def failed(self, what: str, error: Exception) -> None:
        self.failures.append(f"{what}: {error}")

    def lost(self, what: str, error: Stale) -> None:
        self.losses.append(what)

    def passed_over(self, bad: Bad) -> None:
        self.bad.append(bad)


def sightings(*seen: tuple[str, str], at: float = 100.0) -> list[Sighting | Bad]:
    return [Sighting(subscriber, at + number, cell) for number, (subscriber, cell) in enumerate(seen)]


def running(watch: Watch, stream: Iterable[Sighting | Bad] | None) -> threading.Thread:
    thread = threading.Thread(target=watch.run, args=(stream,), daemon=True)
    thread.start()
    return thread


class Stacked:
    """Looks after stacks: the first look at each fails, as when its cloud is away."""

    def __init__(self, *applications: str) -> None:
        self.applications, self.looks = applications, dict.fromkeys(applications, 0)

    def stacks(self) -> Sequence[str]:
        return self.applications

    def tend(self, application: str) -> Iterator[str]:
        self.looks[application] += 1
        if self.looks[application] == 1:
            raise CloudError("cannot look: no answer")
        yield "node-1 is a gateway now"


# taking in and acting
def test_sightings_come_in_and_wishes_are_worked_until_the_stream_ends() -> None:
    paper = Paper({"cell-3": "edge_b"})
    stream = sightings(("anna", "cell-1"), ("anna", "cell-3"), ("bob", "cell-3"), ("carl", "cell-2"))
    tally = Watch(paper, QUICK).run(stream)
    assert paper.taken == stream
    assert sorted(paper.acted) == [("arena-anna", "edge_b"), ("arena-bob", "edge_b")]
    assert (tally.taken, tally.worked, tally.bad, tally.pending) == (4, 2, 0, 0)


def test_sightings_that_have_come_are_taken_in_together_and_none_waits_for_the_next() -> None:
    class Slow(Paper):
        def take_in_all(self, sightings: Sequence[Sighting], **given: Any) -> list[Outcome]:
            if not more.is_set():
                more.set()
                assert come.wait(10), "others come meanwhile"
            return super().take_in_all(sightings, **given)

    paper, more, come = Slow({"cell-3": "edge_b"}), Flag(), Flag()
    seen = sightings(*[(f"s{number}", "cell-3") for number in range(250)])

    def stream() -> Iterator[Sighting | Bad]:
        yield seen[0]
        assert more.wait(10)  # it is being taken in, and nobody waited for another one
        yield from seen[1:90]
        come.set()
        yield from seen[90:]

    tally = Watch(paper, QUICK).run(stream())
    assert paper.taken == seen
    assert (tally.taken, sum(paper.batches), paper.batches[0]) == (250, 250, 1)
    assert 10 < max(paper.batches) <= 100


def test_bad_lines_among_good_ones_keep_their_place() -> None:
    first, second = sightings(("anna", "cell-1"), ("ben", "cell-1")), sightings(("carl", "cell-1"))
    stream = [*first, Bad("x:3", "it is no JSON"), Bad("x:4", "it is no JSON"), *second]
    paper = Paper()
    tally = Watch(paper, QUICK).run(stream)
    assert (paper.taken, tally.taken, tally.bad) == ([*first, *second], 3, 2)
    paper = Paper()
    tally = Watch(paper, replace(QUICK, strict=True)).run(stream)
    assert (paper.taken, tally.taken, tally.bad, tally.strict_at) == (first, 2, 1, stream[2])


def test_one_that_others_take_in_all_the_time_is_tried_again() -> None:
    paper, notes = Paper(fails=[Busy("others take hers in")]), Notes()
    seen = sightings(("anna", "cell-1"), ("ben", "cell-1"))
    tally = Watch(paper, QUICK, observer=notes).run(seen)
    assert sorted(each.subscriber for each in paper.taken) == ["anna", "ben"]
    assert (tally.taken, notes.failures) == (2, [])


def test_moves_of_one_instance_are_never_worked_at_once() -> None:
    at_once: dict[str, int] = {}
    most = [0]

    def meanwhile(name: str) -> None:
        at_once[name] = at_once.get(name, 0) + 1
        most[0] = max(most[0], at_once[name])
        time.sleep(0.003)
        at_once[name] -= 1

    paper = Paper({"cell-3": "edge_b", "cell-1": "edge_a"}, meanwhile=meanwhile)
    stream = sightings(*[(name, cell) for _ in range(10) for name in "abc" for cell in ("cell-3", "cell-1")])
    Watch(paper, QUICK).run(stream)
    assert most == [1]
    assert {(name, [g for n, g in paper.acted if n == name][-1]) for name, _ in paper.acted} == {
        ("arena-a", "edge_a"), ("arena-b", "edge_a"), ("arena-c", "edge_a"),
    }  # fmt: skip


def test_in_step_the_next_sighting_waits_for_what_followed_from_the_one_before() -> None:
    paper = Paper({"cell-3": "edge_b", "cell-1": "edge_a"}, meanwhile=lambda name: time.sleep(0.02))
    stream = sightings(*[("anna", cell) for _ in range(4) for cell in ("cell-3", "cell-1")])
    Watch(paper, replace(QUICK, in_step=True)).run(stream)
    assert [gateway for _, gateway in paper.acted] == ["edge_b", "edge_a"] * 4  # none was replaced by the next


def test_a_bad_line_is_told_and_the_others_go_on() -> None:
    paper, notes = Paper(), Notes()
    stream = [*sightings(("anna", "cell-1")), Bad("x:2", "it is no JSON"), *sightings(("anna", "cell-2"), at=200)]
    tally = Watch(paper, QUICK, observer=notes).run(stream)
    assert (tally.taken, tally.bad, tally.strict_at) == (2, 1, None)
    assert [str(bad) for bad in notes.bad] == ["cannot take x:2 in: it is no JSON"]


def test_strict_ends_at_the_first_bad_line() -> None:
    paper = Paper()
    bad = Bad("x:2", "it is no JSON")
    tally = Watch(paper, replace(QUICK, strict=True)).run([bad, *sightings(("anna", "cell-1"))])
    assert (tally.taken, tally.strict_at) == (0, bad)


def test_a_stream_that_breaks_is_told() -> None:
    def breaks() -> Iterator[Sighting | Bad]:
        yield from sightings(("anna", "cell-1"))
        raise OSError("Input/output error")

    notes = Notes()
    assert Watch(Paper(), QUICK, observer=notes).run(breaks()).taken == 1
    assert notes.failures == ["read sightings: Input/output error"]


# what becomes ripe
def test_what_becomes_ripe_is_worked_without_a_further_sighting() -> None:
    paper, alive = Paper(pending={"anna": 130.0}), [0.0]
    watch = Watch(paper, replace(QUICK, sweep_every_s=1000), clock=Clock(now=lambda: 100.0, alive=lambda: alive[0]))
    go = Flag()

    def stream() -> Iterator[Sighting | Bad]:
        yield from sightings(("anna", "cell-3"))
        go.wait(10)

    thread = running(watch, stream())
    until(lambda: paper.taken)
    time.sleep(0.3)
    assert paper.acted == []
    alive[0] += 31
    until(lambda: paper.acted == [("arena-anna", "edge_b")])
    go.set()
    thread.join(5)
    assert not thread.is_alive()
    assert watch.tally.pending == 0


def test_those_that_another_driver_saw_are_found_by_the_sweep() -> None:
    paper = Paper(pending={"anna": 130.0})
    watch = Watch(paper, QUICK, clock=Clock(now=lambda: 200.0))
    thread = running(watch, None)
    until(lambda: paper.acted == [("arena-anna", "edge_b")])
    watch.stop()
    thread.join(5)


@dataclass
class Nobodys:
    """Members that say that nothing is ours: as wrong as they can be."""

    def mine(self, name: str) -> bool:
        return False


def test_what_its_own_driver_does_not_take_up_is_anybodys() -> None:
    left = [Operation("m-1", "move", "arena", "arena")]
    paper = Paper(pending={"anna": 199.9}, left=left)
    watch = Watch(paper, QUICK, members=Nobodys(), clock=Clock(now=lambda: 200.0))
    began = time.monotonic()
    thread = running(watch, None)
    time.sleep(0.1)
    assert paper.resumed == []  # it is left to whoever it belongs to, at first
    watch.clock = Clock(now=lambda: 200.2)
    until(lambda: paper.resumed == ["m-1"] and paper.acted == [("arena-anna", "edge_b")])
    assert time.monotonic() - began >= 0.2
    watch.stop()
    thread.join(5)


# what was left
def test_what_was_left_is_finished_and_tried_again_ever_more_rarely() -> None:
    operation = Operation("m-1", "move", "arena", "arena", status=WAITING)
    paper = Paper(left=[operation], fails=[Busy("another driver was quicker"), Stale("it is taken over")])
    notes = Notes()
    watch = Watch(paper, QUICK, observer=notes)
    thread = running(watch, None)
    until(lambda: not paper.left)
    watch.stop()
    thread.join(5)
    assert paper.resumed == ["m-1"] * 3
    assert notes.losses == ["finish m-1"]
    assert watch.tally.worked == 1


# the database goes away
def test_a_sighting_waits_for_a_database_that_is_away() -> None:
    away: list[Exception] = [JournalError("cannot reach the database")] * 3
    paper, notes = Paper({"cell-3": "edge_b"}, fails=away), Notes()
    tally = Watch(paper, QUICK, observer=notes).run(sightings(("anna", "cell-3")))
    assert (tally.taken, paper.acted) == (1, [("arena-anna", "edge_b")])
    assert notes.failures == ["take the sighting of anna in: cannot reach the database"]  # told once


def test_a_mistake_of_ours_is_told_and_the_loop_goes_on() -> None:
    paper, notes = Paper(fails=[ZeroDivisionError("ours")]), Notes()
    tally = Watch(paper, QUICK, observer=notes).run(sightings(("anna", "cell-1"), ("bob", "cell-1")))
    assert tally.taken == 1
    assert notes.failures == ["take the sighting of anna in: ours"]


# ending
def test_told_to_end_it_finishes_what_it_works_and_begins_nothing_more() -> None:
    began, go = Flag(), Flag()

    def meanwhile(name: str) -> None:
        began.set()
        go.wait(10)

    paper = Paper({"cell-3": "edge_b"}, meanwhile=meanwhile)
    watch = Watch(paper, replace(QUICK, workers=1, grace_s=10))
    thread = running(watch, sightings(("anna", "cell-3"), ("bob", "cell-3")))
    assert began.wait(5)
    watch.stop()
    time.sleep(0.05)
    go.set()
    thread.join(5)
    assert not thread.is_alive()
    assert paper.acted == [("arena-anna", "edge_b")]
    assert watch.tally.left == 0


def test_what_takes_longer_than_the_grace_is_handed_over_between_two_steps() -> None:
    began, operation = Flag(), Operation("m-1", "move", "arena", "arena-anna")

    def meanwhile(name: str) -> None:
        began.set()
        while True:  # steps without end
            time.sleep(0.01)
            watch.hear(Event(operation, Entry("stage", DOING)))

    paper = Paper({"cell-3": "edge_b"}, meanwhile=meanwhile)
    watch = Watch(paper, replace(QUICK, grace_s=0.1))
    thread = running(watch, sightings(("anna", "cell-3")))
    assert began.wait(5)
    watch.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert (paper.acted, watch.tally.left) == ([], 1)


def test_it_can_be_told_to_end_in_the_middle_of_anything() -> None:
    """A signal handler runs between any two instructions of the main thread, also while that has a lock."""
    watch = Watch(Paper(), QUICK)
    with watch.stopping._cond, watch._lanes._changed:  # type: ignore[attr-defined]
        told = threading.Thread(target=watch.stop)
        told.start()
        told.join(5)
        assert not told.is_alive()
    assert watch.run(None) == Tally()


def test_told_twice_it_hands_over_at_once() -> None:
    watch = Watch(Paper(), replace(QUICK, grace_s=100))
    begins = Event(Operation("m-1", "move", "arena", "arena"), Entry("stage", DOING))
    watch.stop()
    watch.hear(begins)
    watch.stop()
    with pytest.raises(HandedOver):
        watch.hear(begins)
    assert watch.run(None) == Tally()


# on a real site
def watching(driver: Driver, settings: Settings = QUICK, **more: Any) -> Watch:
    watch = Watch(driver, settings, **more)
    driver.listener = watch.hear
    return watch


def test_a_replay_moves_a_real_cloudlet_to_and_fro(site: Site) -> None:
    driver = site.up(hysteresis="10 s")
    arena = driver.inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    seen = [Sighting("anna", at, cell) for at, cell in [
        (0, "cell-1"), (5, "cell-3"), (10, "cell-1"), (20, "cell-3"), (31, "cell-3"),  # follows to edge_b
        (40, "cell-2"), (51, "cell-2"), (51, "cell-3"), (50, "cell-3"),                # and back; two come late
    ]]  # fmt: skip
    settings = replace(QUICK, replayed=True, in_step=True, sweep_every_s=1000)
    tally = watching(driver, settings, clock=Clock.of_replay(0)).run(seen)
    moves = driver.journal.operations(kind="move", newest_first=False)
    assert [(move.source, move.target, move.status) for move in moves] == [
        ("edge_a", "edge_b", COMPLETED),
        ("edge_b", "edge_a", COMPLETED),
    ]
    assert (tally.taken, tally.dropped, tally.worked) == (7, 2, 2)
    assert site.ask("edge_a", arena, "/next") == "2"


def test_an_operation_that_was_handed_over_is_finished_by_another_driver(site: Site) -> None:
    site.up()
    one, other = site.driver(), site.driver()
    watch = watching(one, replace(QUICK, grace_s=0.0))
    hear = one.listener

    def stop_in_the_middle(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("transfer", DOING):
            watch.stop()
            watch.stop()
        hear(event)

    one.listener = stop_in_the_middle
    watch.run([Sighting("anna", time.time(), "cell-3")])
    assert one.inventory.instance("arena").gateway == "edge_a"
    second = watching(other)
    thread = running(second, None)
    until(lambda: other.inventory.instance("arena").gateway == "edge_b")
    until(lambda: other.journal.operations(kind="move")[0].status == COMPLETED)
    second.stop()
    thread.join(10)
    assert len(other.journal.operations(kind="move")) == 1


def test_it_follows_where_the_subscriber_went_while_it_moved(site: Site) -> None:
    driver = site.up(hysteresis="100 ms")
    back, t = Flag(), time.time()
    watch = watching(driver, replace(QUICK, sweep_every_s=1000))
    hear = driver.listener

    def slow(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("pause", DOING):
            back.set()
            until(lambda: watch.tally.taken >= 3)
        hear(event)

    driver.listener = slow

    def stream() -> Iterator[Sighting | Bad]:
        yield Sighting("anna", t - 10, "cell-3")
        yield Sighting("anna", t - 9, "cell-3")
        back.wait(10)
        yield Sighting("anna", t - 8, "cell-1")  # where it still is, as far as anybody knows
        until(lambda: len(driver.journal.operations(kind="move", status=COMPLETED)) == 2)

    watch.run(stream())
    assert driver.inventory.instance("arena").gateway == "edge_a"


def test_several_subscribers_of_their_own_on_two_drivers_with_the_same_sightings(site: Site) -> None:
    site.up(instances="per_subscriber")
    names, t = [f"s{n}" for n in range(4)], time.time() - 100
    seen = [Sighting(name, t + at, cell) for at, cell in [(0, "cell-1"), (10, "cell-3")] for name in names]
    drivers = [site.driver(), site.driver()]
    watches = [watching(driver, replace(QUICK, in_step=True, workers=2)) for driver in drivers]

    def there() -> bool:
        return [record.gateway for record in drivers[0].inventory.instances()] == ["edge_b"] * 4

    def stream() -> Iterator[Sighting | Bad]:
        yield from seen
        until(there, 60)

    threads = [running(watch, stream()) for watch in watches]
    for thread in threads:
        thread.join(90)
    assert there()
    operations = drivers[0].journal.operations()
    assert {operation.status for operation in operations} == {COMPLETED}
    assert [operation.kind for operation in operations].count("build") == 4
    assert len(operations) <= 8  # one that was first taken in where she was next needed no move
    assert sum(watch.tally.taken for watch in watches) == 8  # each was taken in once


def test_where_a_crowd_is_wanted_is_not_asked_for_each_sighting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = site.up(hysteresis="100 ms")
    asked: list[float] = []
    gather = follow.gather
    monkeypatch.setattr(follow, "gather", lambda *given: asked.append(given[2]) or gather(*given))

    def stream() -> Iterator[Sighting | Bad]:
        began = time.time()
        for number in range(200):
            yield Sighting(f"s{number % 20}", began + number / 1000, "cell-3")
        until(lambda: driver.inventory.instance("arena").gateway == "edge_b")

    tally = watching(driver, QUICK).run(stream())
    assert tally.taken == 200
    assert 1 < len(asked) < 50


KILLED = """
import sys, threading, time
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.members import Members
from meghdwar.driver.track import Sighting, load
from meghdwar.driver.watch import Settings, Watch

url, members, at, *names = sys.argv[1:]
driver = Driver(database.open(url, lease_s=1.0), owner="killed")
watch = Watch(driver, Settings(workers=3), Members(members, "killed", every_s=0.1, gone_s=1.0))

def slow(event):
    if event.entry is not None and event.entry.phase == "doing":
        time.sleep(0.1)

driver.listener = slow
seen = [Sighting(name, float(at), "cell-3") for name in names]
threading.Thread(target=watch.run, args=(seen,)).start()
time.sleep(60)
"""


@pytest.mark.real  # processes that are killed, and leases that run out, take their time
def test_what_a_driver_was_at_when_it_was_killed_is_finished_by_another(site: Site) -> None:
    driver = site.up(site.driver(lease_s=1.0), instances="per_subscriber", strategy="cold")
    names, t = [f"s{n}" for n in range(6)], time.time() - 100
    for name in names:
        driver.sight(Sighting(name, t, "cell-1"))
    members = f"file://{site.home}/members"
    other = Members(members, "other", every_s=0.1, gone_s=1.0)
    watch = watching(driver, QUICK, members=other)
    thread = running(watch, None)
    killed = subprocess.Popen([sys.executable, "-c", KILLED, site.url, members, str(t + 10), *names])
    try:
        until(lambda: sum(o.status == "running" for o in driver.journal.operations(kind="move")) >= 2, 30)
        killed.kill()
        killed.wait()
        begun = {operation.instance for operation in driver.journal.operations(kind="move")}
        until(lambda: all(o.status == COMPLETED for o in driver.journal.operations(kind="move")), 30)
        homes = {record.name: record.gateway for record in driver.inventory.instances()}
        assert {homes[name] for name in begun} == {"edge_b"}
        moves = driver.journal.operations(kind="move")
        assert len(moves) == len({move.instance for move in moves})  # each was finished, and none begun again
    finally:
        killed.kill()
        watch.stop()
        thread.join(10)
        other.close()


def test_a_sweep_makes_nothing_ripe_before_its_time(site: Site) -> None:
    """Somebody moved the cloudlet away by hand: it goes back after the whole hysteresis, and not before."""
    driver = site.up(hysteresis="30 s", instances="per_subscriber")
    t = time.time()
    driver.sight(Sighting("anna", t - 1000, "cell-1"))
    [record] = driver.inventory.instances()
    driver.move(record.name, "edge_b")
    watch = watching(driver, replace(QUICK, takeover_s=30))
    thread = running(watch, None)
    until(lambda: load(driver.inventory.subscriber("arena", "anna").state)["arena"].since)
    watch.stop()
    thread.join(10)
    assert load(driver.inventory.subscriber("arena", "anna").state)["arena"].since["edge_a"] >= t
    assert driver.inventory.instance(record.name).gateway == "edge_b"


# stacks
def test_stacks_are_looked_after_again_and_again_each_by_itself() -> None:
    stacked, notes = Stacked("arena", "shop"), Notes()
    watch = Watch(Paper(), QUICK, observer=notes, tends=stacked)
    thread = running(watch, None)
    until(lambda: min(stacked.looks.values()) > 2)
    watch.stop()
    thread.join(10)
    assert {application for application, _ in notes.done} == {"arena", "shop"}
    assert sorted(notes.failures) == [
        "look after the stack of arena: cannot look: no answer",
        "look after the stack of shop: cannot look: no answer",
    ]


def test_the_stack_of_another_application_is_left_alone() -> None:
    stacked = Stacked("arena", "shop")
    watch = Watch(Paper(), replace(QUICK, application="shop"), tends=stacked)
    thread = running(watch, None)
    until(lambda: stacked.looks["shop"] > 1)
    watch.stop()
    thread.join(10)
    assert stacked.looks["arena"] == 0
