"""One history: a script and its faults, drawn from a seed, worked by real drivers' code and judged at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from meghdwar.driver import handoff, saga
from meghdwar.driver.hypervisor import HypervisorError, Power, Stale
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.operation import COMPLETED, ENDED, FAILED, Entry, Fenced, JournalError, Operation
from meghdwar.model import Ready
from tests.simulator.faults import FAULTS, Fault
from tests.simulator.gateway import KINDS, Gateway
from tests.simulator.handles import DriverClock, SimulatedHypervisor, SimulatedJournal, SimulatedRouter, SimulatedStack
from tests.simulator.journal import LEASE_S, Lease
from tests.simulator.walk import Walk
from tests.simulator.world import JOURNAL, Broken, Died, Driver, World

ROUNDS_MAX = 9  # how often an operation may be taken up again before it has to be ended
QUIET = 2  # from this round on nothing new goes wrong
MENDED = 4  # from this round on what was dead is back
Enter = Callable[[SimulatedJournal], tuple[Operation, Lease]]


# what is drawn
@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that is wanted: `towards` counts gateways from where the instance is, `who` says which instance."""

    kind: str
    who: int
    towards: int
    strategy: str
    rollback: int  # the round in which the operator turns it back; -1: none
    fences: int  # the round from which the operator fences a dead source; -1: not
    fsck: bool  # whether somebody tidies up and starts what a reboot stopped, before
    returns: bool  # whether the dead gateways come back before


@dataclass(frozen=True, slots=True)
class Script:
    seed: int
    kind: str
    gateways: int
    instances: tuple[Instance, ...]
    turns: tuple[Turn, ...]
    walks: bool  # whether the subscribers' sightings say where to
    faults: tuple[Fault, ...]


KIND_NAMES = tuple(KINDS)
FAULT_NAMES = tuple(FAULTS)
FAULT_WEIGHTS = tuple(kind.weight for kind in FAULTS.values())
SOURCE = 1  # as the argument of a fault: it meets the source of the operation
READY = Ready(within_s=2.0)
DISKS = (Disk("saves", 2**20, "/data"), Disk("maps", 2**20, "/maps"))
FILES = Files("progress", ("/state/log",))


def script(seed: int) -> Script:
    """The same for the same seed."""
    draw = Random(seed)  # noqa: S311
    kind = KIND_NAMES[int(draw.random() * 3)]
    doomed = draw.random() < 0.2  # a source dies for good, and the operator is quick to say so
    count = 2 if doomed or draw.random() < 0.4 else 3
    several = draw.random() < 0.2
    instances = tuple(
        _instance(draw, kind, f"arena-{number}" if several else "arena", str(number) if several else None)
        for number in range(2 if several else 1)
    )
    strategies = tuple(KINDS[kind].strategies)
    turns = []
    for number in range(3 + int(draw.random() * 3)):
        what = "move" if number and draw.random() < 0.9 else "build" if not number else "terminate"
        turns.append(
            Turn(
                what,
                int(draw.random() * len(instances)),
                1 + int(draw.random() * (count - 1)),
                strategies[int(draw.random() * len(strategies))],
                int(draw.random() * 3) if draw.random() < 0.1 else -1,
                int(draw.random() * 2) if doomed else int(draw.random() * 4) if draw.random() < 0.7 else -1,
                draw.random() < 0.5,
                draw.random() < (0.1 if doomed else 0.5),
            )
        )
    faults = _faults(draw, len(turns)) + (_doom(draw, len(turns)) if doomed else ())
    if draw.random() < 0.1:
        faults += _stumble(draw, len(turns))
    return Script(seed, kind, count, instances, tuple(turns), draw.random() < 0.2, faults)


def _instance(draw: Random, kind: str, name: str, subscriber: str | None) -> Instance:
    lot = draw.random()
    disks, files = DISKS[:1], ()
    if lot < 0.05:
        disks = ()
    elif lot < 0.3:
        disks = DISKS
    if kind != "kvm" and draw.random() < 0.3:
        disks, files = (() if draw.random() < 0.6 else disks), (FILES,)
    machine = "vm" if kind == "kvm" else "container"
    return Instance(
        name, "arena", "arena", machine, "counter", subscriber, ready=READY, ports=(80,), disks=disks, files=files
    )


def _faults(draw: Random, turns: int) -> tuple[Fault, ...]:
    """A few, often near each other: what goes wrong while something that went wrong is mended finds the most."""
    number = 1 + int(draw.random() * 3) if draw.random() < 0.4 else 4 + int(draw.random() * 7)
    faults: list[Fault] = []
    kinds = draw.choices(FAULT_NAMES, FAULT_WEIGHTS, k=number)
    for kind in kinds:
        if faults and draw.random() < 0.5:
            turn, at = faults[-1].operation, faults[-1].at + 1 + int(draw.random() * 15)
        else:
            turn = 0 if draw.random() < 0.1 else 1 + int(draw.random() * (turns - 1))
            at = 1 + int(draw.random() * 55)
        faults.append(Fault(turn, at, kind, 1 + int(draw.random() * 40)))
    return tuple(faults)


def _doom(draw: Random, turns: int) -> tuple[Fault, ...]:
    """The source dies right after something else went wrong: what is at the target has to do."""
    turn, at = 1 + int(draw.random() * (turns - 1)), 7 + int(draw.random() * 20)
    other = draw.choice(("crash before", "crash after", "damaged", "cut off", "cut off and crash", "late", "timeout"))
    return Fault(turn, at, other, 3), Fault(turn, at + int(draw.random() * 4), "gateway dies", SOURCE)


def _stumble(draw: Random, turns: int) -> tuple[Fault, ...]:
    """A call is late, and the target does not get ready: it acts while all is undone."""
    turn, at = int(draw.random() * turns), 12 + int(draw.random() * 18)
    return Fault(turn, at, "late", 20 + int(draw.random() * 20)), Fault(turn, at + 1, "not ready", 2)


# what came of it
@dataclass(slots=True)
class Result:
    script: Script
    broken: str = ""
    fired: Counter[str] = field(default_factory=Counter)
    shapes: set[int] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    calls: int = 0
    trace: list[str] = field(default_factory=list)


def play(script: Script, *, tracing: bool = False) -> Result:
    """Plays a history; `broken` of the result says which promise was broken, if one was."""
    return History(script, tracing).play()


class History:
    def __init__(self, script: Script, tracing: bool) -> None:
        self.script = script
        self.result = Result(script)
        names = ("edge_a", "edge_b", "edge_c")[: script.gateways]
        self.world = World([Gateway(name, script.kind) for name in names], tracing=tracing)
        self.names = names
        self.drivers = 0
        self.turn: Turn | None = None
        for instance in script.instances:
            self.world.instances[instance.name] = instance
            self.world.acknowledged[instance.name] = []
        self.walks = {
            instance.name: Walk(script.seed + number, names, self.world.promise, self.sighted)
            for number, instance in enumerate(script.instances)
            if script.walks
        }
        self.world.overtake, self.world.rival = self.overtake, self.rival

    def sighted(self, how: str) -> None:
        self.world.fired[how] += 1

    def play(self) -> Result:
        world, result = self.world, self.result
        try:
            for number, turn in enumerate(self.script.turns):
                self.take(number, turn)
            self.close()
        except (
            Broken,
            AssertionError,
            HypervisorError,
            Stale,
            LookupError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:
            result.broken = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
            world.tell(f"BROKEN {result.broken}")
        result.fired, result.trace = world.fired, world.trace
        return result

    # one turn
    def take(self, number: int, turn: Turn) -> None:
        world = self.world
        instance = self.script.instances[turn.who]
        if turn.returns:
            self.bring_back()
        world.operation, world.instance, world.point = "", instance, 0
        if turn.fsck:
            self.fsck(instance)
        home = world.journal.row(instance.name).home
        kind = "build" if home is None else "move" if turn.kind == "build" else turn.kind
        at = 0 if home is None else self.names.index(home)
        target = None if kind == "terminate" else self.names[(at + turn.towards) % len(self.names)]
        if target is not None and self.script.walks:
            target = self.walks[instance.name].follow(home)
            world.tell(f"a subscriber's sightings: {instance.name} is wanted at {target}")
            if target is None:
                return
        operation = Operation(f"m-{number}", kind, "arena", instance.name, home, target, turn.strategy)
        self.turn = turn
        world.operation = operation.id
        if kind == "build":
            world.born[instance.name] = world.written
            for files in instance.files:
                world.versions.pop((instance.name, files.name), None)
        calm = not (world.blurred or world.rebooted or any(each.dead for each in world.gateways.values()))
        if kind == "move" and home is not None and world.gateways[home].dead and turn.fences == 1:
            operation = replace(operation, fenced=Fenced("operator", world.now))
            world.tell("the operator says that the source is fenced")
            world.excused.add(instance.name)
            world.blurred.add(instance.name)
            world.believe(operation)
        fired = world.fired.total()
        for gateway in world.gateways.values():
            gateway.deaf_until, gateway.away = -1.0, 0
        self.outdated(operation)
        versions = dict(world.versions)
        world.late.clear()
        world.armed.clear()
        world.schedule.clear()
        for fault in self.script.faults:
            if fault.operation == number:
                world.schedule.setdefault(fault.at, []).append(fault)
        self.work(operation, turn)
        if world.journal.operations[operation.id].status != COMPLETED:
            world.versions = versions
        if calm and world.fired.total() == fired and turn.rollback < 0:
            ended = world.journal.operations[operation.id]
            world.promise(ended.status == COMPLETED, f"nothing went wrong, and {operation.id} is {ended.status}")

    def outdated(self, operation: Operation) -> None:
        """Somebody who has not heard where the instance is by now wants the same."""
        elsewhere = next(name for name in self.names if name != operation.source)
        try:
            self.world.journal.begin(replace(operation, id="outdated", kind="move", source=elsewhere), "outdated")
        except JournalError:
            return
        raise Broken(f"a move of {operation.instance} began at {elsewhere}, where it is not")

    def work(self, operation: Operation, turn: Turn) -> None:
        """Drivers come and go until it is ended."""
        world, journal = self.world, self.world.journal
        self.drive(lambda reached: reached.begin(operation, self.who()))
        for round_ in range(ROUNDS_MAX):
            found = journal.operations.get(operation.id)
            if found is None:  # it was never written down
                self.quieten(round_)
                self.drive(lambda reached: reached.begin(operation, self.who()))
                continue
            if found.status in ENDED:
                break
            self.quieten(round_)
            if journal.row(operation.instance).owner is not None:
                world.now += LEASE_S + 2
            self.drive(self.attend(found, turn, round_))
        found = journal.operations[operation.id]
        world.promise(found.status in ENDED, f"{operation.id} is not ended: {found.status}: {found.error}")
        self.judge_end(found)

    def who(self) -> str:
        return f"driver-{self.drivers}"

    def quieten(self, round_: int) -> None:
        world = self.world
        if round_ < QUIET:
            return
        world.armed.clear()
        world.schedule.clear()
        for gateway in world.gateways.values():
            gateway.away, gateway.deaf_until = 0, -1.0
        for name in world.away:
            world.away[name] = 0
        found = world.journal.operations.get(world.operation)
        if round_ >= MENDED:
            self.bring_back(but=self.given_up(found))

    def given_up(self, operation: Operation | None) -> str | None:
        """The gateway without which the operation has to end, because an operator said so."""
        if operation is None or operation.fenced is None or operation.id in self.world.unfounded:
            return None
        if operation.fenced.gateway == "":
            return operation.source
        gone = operation.strategy == "live"  # then the state may be there and nowhere else
        return None if gone else operation.target

    def bring_back(self, but: str | None = None) -> None:
        for gateway in self.world.gateways.values():
            if gateway.name == but:
                continue
            gateway.dead = False
            gateway.away = 0

    def attend(self, operation: Operation, turn: Turn, round_: int) -> Enter:
        """How it is taken up again: as it is, turned back, or with an operator's word that its source is fenced."""
        world = self.world
        can_fence = operation.kind == "move" and operation.source is not None
        if can_fence and 0 <= turn.fences <= round_ and world.gateways[operation.source or ""].dead:
            return lambda reached: self.fence(reached, operation)
        if 0 <= turn.fences <= round_ and self.target_holds(operation):
            return lambda reached: self.roll_back(reached, operation, without_target=True)
        if round_ == turn.rollback:
            return lambda reached: self.roll_back(reached, operation)
        return lambda reached: reached.resume(operation.id, self.who())

    def fence(self, reached: SimulatedJournal, operation: Operation) -> tuple[Operation, Lease]:
        """The operator has seen to it that the source is off, and says so."""
        _, lease = reached.resume(operation.id, self.who())
        self.world.tell("the operator says that the source is fenced")
        reached.fence(operation.id, Fenced("operator", self.world.now), lease)
        found = self.world.journal.operations[operation.id]
        self.world.excused.add(operation.instance)
        self.world.blurred.add(operation.instance)
        if found.target is not None:
            self.world.believe(found)
        return found, lease

    def target_holds(self, operation: Operation) -> bool:
        """Whether the target is dead, and nothing but an operator's word leads back."""
        lines = self.world.journal.lines[operation.id]
        dead = operation.target is not None and self.world.gateways[operation.target].dead
        begun = any(entry.step == "attach" for entry in lines) and operation.kind == "move"
        return dead and begun and saga.can_turn(handoff.STEPS[operation.kind], lines)

    def roll_back(
        self, reached: SimulatedJournal, operation: Operation, *, without_target: bool = False
    ) -> tuple[Operation, Lease]:
        found, lease = reached.resume(operation.id, self.who())
        if without_target:
            self.world.tell("the operator says that the target is fenced")
            reached.fence(operation.id, Fenced("operator", self.world.now, gateway=operation.target or ""), lease)
            found = self.world.journal.operations[operation.id]
            self.world.excused.add(operation.instance)
            self.world.blurred.add(operation.instance)
        entries = reached.entries(operation.id)
        steps = handoff.STEPS[operation.kind]
        last = next((entry.step for entry in reversed(entries) if entry.step), "")
        if last and saga.can_turn(steps, entries):
            self.world.tell("the operator turns it back")
            reached.write(operation.id, [Entry(last, FAILED, {}, lease.epoch)], lease)
        return found, lease

    def overtake(self) -> None:
        """Another driver finds the operation abandoned and works it."""
        found = self.world.journal.operations.get(self.world.operation)
        if found is not None and found.status not in ENDED and self.turn is not None:
            self.drive(self.attend(found, self.turn, self.world.depth))

    def rival(self) -> None:
        """Somebody wants another move of the instance while this one is not ended."""
        found = self.world.journal.operations.get(self.world.operation)
        if found is None or found.status in ENDED:
            return
        row, journal = self.world.journal.row(found.instance), self.world.journal
        try:
            journal.begin(replace(found, id="rival", kind="move", source=row.home, target=self.names[0]), "rival")
        except JournalError:
            pass
        else:
            raise Broken(f"two operations on {found.instance} at once")
        if row.owner is None or self.world.now >= row.until:
            return
        try:
            journal.resume(found.id, "rival")
        except JournalError:
            return
        raise Broken(f"two drivers have {found.id} at once")

    def drive(self, enter: Enter) -> None:
        """One driver's life with one operation, however it ends."""
        world = self.world
        self.drivers += 1
        driver = Driver(self.who())
        reached = SimulatedJournal(world, driver)
        try:
            operation, lease = enter(reached)
            scene = self.scene(driver, operation, reached, lease)
            steps = handoff.STEPS[operation.kind]

            def again(act: object, error: HypervisorError, tries: int) -> bool:
                world.tell(f"{driver.name} got: {error}")
                world.sleep(driver, 0.5)
                return tries < 3

            saga.run(operation.id, steps, scene, reached, lease, again)
        except Died:
            world.tell(f"{driver.name} is dead")
        except Stale as error:
            world.tell(f"{driver.name} gives up: {error}")
        except JournalError as error:
            world.tell(f"{driver.name} gives up: {error}")
            if driver.lease is not None and not world.unreachable(driver, JOURNAL):
                world.journal.release(driver.lease)
        driver.lease = None

    def scene(self, driver: Driver, operation: Operation, reached: SimulatedJournal, lease: Lease) -> handoff.Scene:
        world = self.world

        def handle(name: str | None) -> SimulatedHypervisor | None:
            return None if name is None else SimulatedHypervisor(world, driver, world.gateways[name])

        return handoff.Scene(
            operation,
            world.instances[operation.instance],
            handle(operation.source),
            handle(operation.target),
            None,
            SimulatedRouter(world, driver),
            SimulatedStack(world, driver),
            reached,
            lease,
            DriverClock(world, driver),
        )

    # judging
    def judge_end(self, operation: Operation) -> None:
        """What has to be so when an operation is ended."""
        world, instance, name = self.world, world_instance(self.world, operation), operation.instance
        entries = world.journal.lines[operation.id]
        self.result.shapes.add(saga_shape(entries))
        self.result.ends[f"{operation.kind} {operation.status}"] += 1
        self.result.moves += operation.kind == "move"
        self.result.calls += world.point
        if any("left" in entry.detail for entry in entries):
            world.excused.add(name)
        home = world.journal.row(name).home
        expected = operation.target if operation.status == COMPLETED else operation.source
        world.promise(home == expected, f"{operation.id} is {operation.status}, and {name} is at {home}")
        if operation.status == COMPLETED:
            world.promise(world.picture.get(name) == home, f"the stack believes that {name} is elsewhere")
            world.promise(operation.id not in world.unfounded, f"{operation.id} went on without a state")
        if home is not None and operation.kind != "terminate":
            world.promise(world.routes.get(name) == home, f"the traffic of {name} goes to {world.routes.get(name)}")
        world.recovered.pop(name, None)
        excused = name in world.excused
        for gateway in world.gateways.values():
            copy = gateway.copy(instance)
            if gateway.name == home:
                world.judge_content(instance, gateway)
                if not excused:
                    world.promise(copy.writer, f"{name} is at {home}, where it may not write")
                    if name not in world.rebooted:
                        world.promise(copy.power is Power.RUNNING, f"{name} does not run at {home}: {copy.power}")
            else:
                if not excused:
                    world.promise(copy.is_nothing(), f"something of {name} was left at {gateway.name}: {copy}")
                if name not in world.blurred and not gateway.dead:
                    world.promise(not copy.writer, f"what was left of {name} at {gateway.name} may write")
        if home is None:  # what it kept was given up
            world.acknowledged[name] = []
            world.writer_at.pop(name, None)

    def fsck(self, instance: Instance) -> None:
        """What an operator does now and then: what is nobody's goes, and what was stopped is started."""
        world, name = self.world, instance.name
        row = world.journal.row(name)
        if any(each.dead for each in world.gateways.values()):
            return
        world.now += LEASE_S + 2
        lease = world.journal.claim(name, "fsck")
        for gateway in world.gateways.values():
            if gateway.name == row.home:
                continue
            if not gateway.copy(instance).is_nothing():
                gateway.hold(instance, lease.epoch, False)
                gateway.remove(instance, lease.epoch)
        if row.home is not None:
            home = world.gateways[row.home]
            home.hold(instance, lease.epoch, True)
            if home.copy(instance).power is not Power.RUNNING:
                home.resume(instance, lease.epoch)
        world.journal.release(lease)
        world.tell(f"fsck of {name}")
        world.excused.discard(name)
        world.blurred.discard(name)
        world.rebooted.discard(name)
        world.judge()

    def close(self) -> None:
        """In the end everything is back, tidied up, and as it should be."""
        self.bring_back()
        for instance in self.script.instances:
            self.world.instance = instance
            home = self.world.journal.row(instance.name).home
            self.fsck(instance)
            for gateway in self.world.gateways.values():
                if gateway.name != home:
                    left = gateway.copy(instance)
                    self.world.promise(left.is_nothing(), f"fsck left something at {gateway.name}: {left}")
                else:
                    self.world.judge_content(instance, gateway)


def world_instance(world: World, operation: Operation) -> Instance:
    return world.instances[operation.instance]


CODES = {name: number for number, name in enumerate([s.name for steps in handoff.STEPS.values() for s in steps] + [""])}
PHASES = {"doing": 0, "done": 1, "failed": 2, "undoing": 3, "undone": 4, "fenced": 5}


def saga_shape(entries: list[Entry]) -> int:
    """A number that is the same for journals with the same lines, in every process."""
    first = entries[0].epoch if entries else 0
    return hash(tuple((CODES[entry.step] * 8 + PHASES[entry.phase]) * 64 + entry.epoch - first for entry in entries))


__all__ = ["JOURNAL", "Fault", "Result", "Script", "Turn", "play", "script"]
