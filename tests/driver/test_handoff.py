"""The steps of a move against gateways in memory: what happens when something goes wrong right between two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from meghdwar.driver import saga
from meghdwar.driver.handoff import STEPS, digest_of
from meghdwar.driver.hypervisor import Stale, Unreachable
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import COMPENSATED, COMPLETED, FAILED, FENCED, WAITING, Entry, Fenced, Operation
from tests.simulator.gateway import KINDS, Copy, Gateway
from tests.simulator.handles import SimulatedJournal
from tests.simulator.history import DISKS, FILES, READY, History, Script
from tests.simulator.world import Died, Driver

ARENA = Instance("arena", "arena", "arena", "container", "counter", ready=READY, ports=(80,), disks=DISKS[:1])
SAVED = replace(ARENA, disks=(), files=(FILES,))
Then = Mapping[tuple[str, str], Callable[[], object]]


class Edge:
    """Two gateways, and the instance at edge_a, where it has written."""

    def __init__(self, kind: str, instance: Instance = ARENA) -> None:
        self.history = History(Script(0, kind, 2, (instance,), (), False, ()), tracing=True)
        self.world, self.journal = self.history.world, self.history.world.journal
        self.a, self.b = (self.world.gateways[name] for name in ("edge_a", "edge_b"))
        self.instance = self.world.instance = instance
        self.number = 0
        assert self.operate("build", None, "edge_a") == COMPLETED

    def operate(
        self,
        kind: str,
        source: str | None,
        target: str | None,
        strategy: str = "",
        then: Then | None = None,
        fenced: Fenced | None = None,
    ) -> str:
        self.number += 1
        operation = Operation(
            f"m-{self.number}", kind, "arena", self.instance.name, source, target, strategy, fenced=fenced
        )
        self.world.operation = operation.id
        if fenced is not None:
            self.world.believe(operation)
        status = self._run(operation.id, lambda journal: journal.begin(operation, "one"), then)
        if kind == "terminate":
            self.world.acknowledged[self.instance.name].clear()
        return status

    def move(self, strategy: str, then: Then | None = None) -> str:
        """From edge_a to edge_b. After an entry that is in `then`, that happens."""
        return self.operate("move", "edge_a", "edge_b", strategy, then)

    def resume(self, then: Then | None = None, *, fenced: bool = False, gateway: str = "") -> str:
        """Another driver takes the last operation up, with an operator's word or without; one for the target turns
        it back."""
        self.world.now += 60
        id_ = f"m-{self.number}"

        def enter(journal: SimulatedJournal) -> tuple[Operation, object]:
            operation, lease = journal.resume(id_, "another")
            if fenced:
                journal.fence(id_, Fenced("operator", 0.0, gateway=gateway), lease)
                self.world.believe(self.journal.operations[id_])
            if gateway:
                last = next(entry.step for entry in reversed(self.journal.lines[id_]) if entry.step)
                journal.write(id_, [Entry(last, FAILED, epoch=lease.epoch)], lease)
            return self.journal.operations[operation.id], lease

        return self._run(id_, enter, then)

    def _run(self, id_: str, enter: Callable[[SimulatedJournal], tuple[Operation, object]], then: Then | None) -> str:
        driver = Driver(f"driver-{self.number}")
        reached = SimulatedJournal(self.world, driver)
        operation, lease = enter(reached)
        scene = self.history.scene(driver, operation, reached, lease)  # type: ignore[arg-type]

        def tell(entry: Entry) -> None:
            happens = (then or {}).get((entry.step, entry.phase))
            if happens is not None:
                happens()

        return saga.run(id_, STEPS[operation.kind], scene, reached, lease, lambda act, error, tries: False, tell)  # type: ignore[arg-type]

    def at(self, gateway: Gateway) -> Copy:
        return gateway.copy(self.instance)

    @property
    def home(self) -> str | None:
        return self.journal.row(self.instance.name).home

    def phases(self, step: str) -> list[str]:
        return [entry.phase for entry in self.journal.lines[f"m-{self.number}"] if entry.step == step]

    def dies(self, gateway: Gateway) -> None:
        self.world.die(gateway)

    def crash(self, step: str, phase: str, strategy: str) -> None:
        """The driver dies right after this entry; what it was about to do is not done."""

        def die() -> None:
            raise Died

        with pytest.raises(Died):
            self.move(strategy, {(step, phase): die})


WAYS = [(kind, strategy) for kind, able in KINDS.items() for strategy in able.strategies]


@pytest.mark.parametrize(("kind", "strategy"), WAYS)
def test_there_and_back_again(kind: str, strategy: str) -> None:
    edge = Edge(kind)
    for turn in range(3):
        sides = ("edge_a", "edge_b") if turn % 2 == 0 else ("edge_b", "edge_a")
        assert edge.operate("move", *sides, strategy) == COMPLETED
        assert edge.home == edge.world.routes["arena"] == edge.world.picture["arena"] == sides[1]
        assert edge.at(edge.world.gateways[sides[0]]).is_nothing()
        assert edge.at(edge.world.gateways[sides[1]]).can_write()
    numbers = edge.world.acknowledged["arena"]
    assert len(numbers) > 10
    assert edge.at(edge.b).disks["saves"] == tuple(numbers)
    assert edge.operate("terminate", "edge_b", None) == COMPLETED
    assert edge.at(edge.b).is_nothing()
    assert edge.home is None
    assert "arena" not in edge.world.routes


@pytest.mark.parametrize(("kind", "strategy"), WAYS)
@pytest.mark.parametrize("step", [step.name for step in STEPS["move"] if step.undo])
def test_the_target_dies_at_each_step(kind: str, strategy: str, step: str) -> None:
    """Without the target's right to write nothing keeps the source from going on; with it, the target decides."""
    edge = Edge(kind)
    status = edge.move(strategy, {(step, "doing"): lambda: edge.dies(edge.b)})
    if step in ("attach", "wake") or strategy == "live":
        assert status in (WAITING, COMPENSATED)
    else:
        assert status == COMPENSATED
        assert edge.at(edge.a).can_write()
        assert edge.home == "edge_a"
    edge.b.dead = False
    if status == WAITING:
        assert edge.resume() == COMPENSATED
    assert edge.at(edge.a).writer


# what a live move needs beyond the others
def test_a_live_move_whose_source_was_rebooted_goes_back() -> None:
    edge = Edge("kvm")
    assert edge.move("live", {("stage", "done"): edge.a.reboot}) == COMPENSATED
    assert edge.at(edge.a).writer
    assert edge.at(edge.b).is_nothing()


@pytest.mark.parametrize("step", ["transfer", "attach"])
def test_a_live_move_whose_target_was_rebooted_goes_on(step: str) -> None:
    edge = Edge("kvm")
    assert edge.move("live", {(step, "done"): edge.b.reboot}) == COMPLETED
    assert edge.at(edge.b).can_write()


def test_a_live_move_is_brought_back_from_a_target_that_was_rebooted() -> None:
    edge = Edge("kvm")

    def deaf() -> None:
        edge.b.deaf_until = edge.world.now + 100
        edge.b.reboot()

    assert edge.move("live", {("attach", "done"): deaf}) == COMPENSATED
    assert edge.at(edge.a).can_write()
    assert edge.at(edge.b).is_nothing()


def test_a_migration_that_ends_while_all_is_undone_is_brought_back() -> None:
    edge = Edge("kvm")

    def refuse() -> None:
        edge.b.fault = "full"

    def migrate_late() -> None:
        edge.b.fault = ""
        edge.at(edge.b).writer = True
        edge.a.migrate(edge.instance, 0, edge.b)
        edge.at(edge.b).writer = False

    assert edge.move("live", {("transfer", "doing"): refuse, ("transfer", "undone"): migrate_late}) == COMPENSATED
    assert edge.at(edge.a).can_write()


def test_the_source_of_a_live_move_is_fenced_after_it_was_done() -> None:
    edge = Edge("kvm")
    edge.crash("transfer", "done", "live")
    edge.dies(edge.a)
    assert edge.resume(fenced=True) == COMPLETED
    assert edge.at(edge.b).can_write()


def test_the_source_of_a_live_move_is_fenced_before_it_was_done() -> None:
    edge = Edge("kvm")
    edge.crash("transfer", "doing", "live")
    edge.dies(edge.a)
    assert edge.resume(fenced=True) == WAITING
    assert not edge.at(edge.b).can_write(), "empty disks are no state"
    edge.a.dead = False
    assert edge.resume() == COMPENSATED


def test_a_build_knows_no_live() -> None:
    edge = Edge("kvm")
    assert edge.operate("terminate", "edge_a", None) == COMPLETED
    assert edge.operate("build", None, "edge_b", "live") == COMPLETED


# an operator's word
@pytest.mark.parametrize("at", [("stage", "done"), ("fence", "doing"), ("pause", "done"), ("transfer", "done")])
def test_a_fenced_source_leaves_the_last_copy(at: tuple[str, str]) -> None:
    edge = Edge("lxd")
    edge.crash(*at, "precopy")
    copied = edge.at(edge.b).disks["saves"]
    edge.dies(edge.a)
    assert edge.resume(fenced=True) == COMPLETED
    assert copied
    assert edge.at(edge.b).disks["saves"][: len(copied)] == copied
    assert edge.home == "edge_b"


def test_a_source_that_is_fenced_while_the_copy_is_staged_leaves_what_was_copied() -> None:
    """Staging again is clearing first, but never the last copy."""
    edge = Edge("lxd")

    def fail() -> None:
        edge.dies(edge.b)
        edge.dies(edge.a)

    assert edge.move("precopy", {("fence", "doing"): fail}) == WAITING
    edge.b.dead = False
    copied = edge.at(edge.b).disks["saves"]
    journal, id_ = edge.journal, f"m-{edge.number}"
    journal.lines[id_].append(Entry("stage", "undoing", epoch=journal.row("arena").epoch))
    assert edge.resume(fenced=True) == COMPLETED
    assert copied
    assert edge.at(edge.b).disks["saves"][: len(copied)] == copied
    assert FENCED in edge.phases("")


def test_a_source_that_dies_while_it_is_copied_leaves_the_last_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back does not remove what may be all that is left; a move with an operator's word goes on with it."""
    edge = Edge("lxd")

    copy = edge.b.copy_disk

    def copy_once(*arguments: object) -> object:
        if "saves" in edge.at(edge.b).disks:
            edge.dies(edge.a)
            raise Unreachable("edge_a", "copy saves", "no answer")
        return copy(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(edge.b, "copy_disk", copy_once)
        assert edge.move("warm") == COMPENSATED
    copied = edge.at(edge.b).disks["saves"]
    assert copied
    assert edge.operate("move", "edge_a", "edge_b", "warm", fenced=Fenced("operator", 0.0)) == COMPLETED
    assert edge.at(edge.b).disks["saves"][: len(copied)] == copied


def test_the_empty_disks_of_a_migration_are_no_state() -> None:
    """Another move, with an operator's word, finds what the first left behind: nobody has ever copied it."""
    edge = Edge("kvm")
    assert edge.move("live", {("stage", "done"): lambda: edge.dies(edge.a)}) in (COMPENSATED, WAITING)
    edge.a.dead = False
    if edge.journal.row("arena").open:
        assert edge.resume({("fence", "undone"): lambda: edge.dies(edge.a)}) == COMPENSATED
    edge.dies(edge.a)
    assert edge.at(edge.b).disks, "what is tested has happened"
    assert edge.operate("move", "edge_a", "edge_b", "cold", fenced=Fenced("operator", 0.0)) == WAITING
    assert not edge.at(edge.b).can_write()


@pytest.mark.parametrize("at", [("stage", "done"), ("pause", "done")])
@pytest.mark.parametrize("kind", ["local", "kvm"])
def test_what_was_copied_while_the_source_ran_is_no_state(kind: str, at: tuple[str, str]) -> None:
    edge = Edge(kind)
    edge.crash(*at, "precopy")
    edge.dies(edge.a)
    assert edge.resume(fenced=True) == WAITING
    assert not edge.at(edge.b).can_write()
    edge.a.dead = False
    assert edge.resume() == COMPENSATED
    assert edge.at(edge.a).can_write()


def test_a_cold_move_has_no_copy_to_be_fenced_with() -> None:
    edge = Edge("lxd")
    edge.crash("transfer", "doing", "cold")
    edge.dies(edge.a)
    assert edge.resume(fenced=True) == WAITING
    edge.a.dead = False
    assert edge.resume() == COMPENSATED
    assert edge.at(edge.a).can_write()


@pytest.mark.parametrize("at", [("attach", "done"), ("wake", "doing"), ("wake", "done")])
@pytest.mark.parametrize("strategy", ["cold", "warm"])
def test_the_source_goes_on_without_a_target_that_is_fenced(strategy: str, at: tuple[str, str]) -> None:
    """It died when it had the right to write: nobody but an operator can say that it does not."""
    edge = Edge("lxd")
    edge.crash(*at, strategy)
    edge.dies(edge.b)
    assert edge.resume() == WAITING
    assert not edge.at(edge.a).can_write()
    assert edge.resume(fenced=True, gateway="edge_b") == COMPENSATED
    assert edge.at(edge.a).can_write()
    assert edge.home == "edge_a"
    assert any("edge_b" in entry.detail.get("left", "") for entry in edge.journal.lines["m-2"])
    edge.b.dead = False
    assert edge.move(strategy) == COMPENSATED, "what came back may still write there: fsck first"


def test_a_live_move_that_is_at_its_target_needs_it() -> None:
    edge = Edge("kvm")
    edge.crash("transfer", "done", "live")
    edge.dies(edge.b)
    assert edge.resume(fenced=True, gateway="edge_b") == WAITING
    edge.b.dead = False
    assert edge.resume() == COMPENSATED
    assert edge.at(edge.a).can_write()


def test_files_that_arrived_damaged_are_nothing_to_go_on_with() -> None:
    edge = Edge("local", SAVED)

    def damage() -> None:
        edge.b.fault = "damaged"

    then = {("transfer", "doing"): damage, ("transfer", "failed"): lambda: edge.dies(edge.a)}
    assert edge.move("files", then) == WAITING
    edge.b.fault = ""
    assert edge.resume(fenced=True) == WAITING
    edge.a.dead = False
    assert edge.resume() == COMPENSATED
    assert edge.at(edge.a).can_write()


def test_files_that_arrived_whole_are_gone_on_with() -> None:
    edge = Edge("local", SAVED)
    edge.crash("wake", "done", "files")
    edge.dies(edge.a)
    edge.b.write(edge.instance, 1000)
    assert edge.resume(fenced=True) == COMPLETED
    assert 1000 in edge.at(edge.b).files[FILES.name]


# what is late, or left
def test_the_target_loses_its_right_before_it_is_stopped() -> None:
    """A start that comes late, after the stop, has to be refused."""
    edge = Edge("local", SAVED)

    def deaf() -> None:
        edge.b.deaf_until = edge.world.now + 100

    assert edge.move("cold", {("wake", "doing"): deaf}) == COMPENSATED
    calls = [line for line in edge.world.trace if "edge_b." in line]
    begun = next(n for n, line in enumerate(edge.world.trace) if "attach undoing" in line)
    undone = [line for line in edge.world.trace[begun:] if "edge_b." in line]
    assert calls
    assert "edge_b.hold(arena, False)" in undone[0]
    assert "edge_b.stop(arena)" in undone[2]


def test_a_mark_that_came_late_keeps_nobody_away() -> None:
    edge = Edge("local")
    edge.b.hold(edge.instance, 1, True)
    assert edge.move("warm") == COMPLETED


def test_a_copy_that_may_write_is_never_overwritten() -> None:
    edge = Edge("local")
    edge.b.hold(edge.instance, 1, True)
    edge.b.make_disk(edge.instance, 1, DISKS[0])
    assert edge.move("warm") == COMPENSATED
    assert edge.at(edge.b).disks == {"saves": ()}
    assert edge.at(edge.a).can_write()


def test_a_build_begins_with_nothing() -> None:
    edge = Edge("local")
    edge.b.hold(edge.instance, 1, False)
    edge.b.define(edge.instance, 1)
    edge.b.make_disk(edge.instance, 1, DISKS[0])
    edge.at(edge.b).disks["saves"] = (7, 7, 7)
    assert edge.operate("terminate", "edge_a", None) == COMPLETED
    assert edge.operate("build", None, "edge_b") == COMPLETED
    assert 7 not in edge.at(edge.b).disks["saves"]


@pytest.mark.parametrize(
    ("kind", "at", "what"),
    [
        ("move", ("reroute", "doing"), "routes"),
        ("move", ("settle", "doing"), "picture"),
        ("terminate", ("withdraw", "doing"), "routes"),
    ],
)
def test_who_has_lost_its_claim_tells_nobody_anything(kind: str, at: tuple[str, str], what: str) -> None:
    """Routers and stacks know no epochs: the driver has to look at its own lease."""
    edge = Edge("local")
    before = dict(getattr(edge.world, what))

    def lapse() -> None:
        edge.world.now += 60
        edge.world.renew = lambda driver: None  # type: ignore[method-assign]

    with pytest.raises(Stale):
        edge.operate(kind, "edge_a", "edge_b" if kind == "move" else None, "cold", {at: lapse})
    assert getattr(edge.world, what) == before


# state files
def test_files_get_the_version_after_the_one_that_they_came_with() -> None:
    edge = Edge("local", SAVED)
    assert edge.move("files") == COMPLETED
    first = edge.at(edge.b).versions[FILES.name]
    assert (first.number, first.parent) == (1, "")
    assert edge.operate("move", "edge_b", "edge_a", "files") == COMPLETED
    second = edge.at(edge.a).versions[FILES.name]
    assert (second.number, second.parent) == (2, first.digest)
    state = edge.at(edge.a).files[FILES.name]
    assert set(state) == set(edge.world.acknowledged["arena"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"/a": b"1"}, {"/a": b"2"}),
        ({"/a": b"1"}, {"/b": b"1"}),
        ({}, {"/a": b""}),
        ({"/a": b"x", "/b": b""}, {"/a": b"", "/b": b"x"}),
        ({"/a": b"2 /b 1\n1"}, {"/a": b"", "/b": b"1"}),
    ],
)
def test_different_files_have_different_digests(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert digest_of(one) != digest_of(other)
    assert digest_of(one) == digest_of(dict(reversed(list(one.items()))))
