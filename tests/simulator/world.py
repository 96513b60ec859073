"""The made-up world: every call of a driver passes through `World`, where a fault may meet it and every rule is judged.

There are no threads. A driver that is paused past its lease stands still inside one of its calls, while another
driver's whole work is done inside that call; then the call goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from meghdwar.driver.hypervisor import HypervisorError, Power, Stale, Unreachable, Version
from meghdwar.driver.instance import Files, Instance
from meghdwar.driver.operation import DONE, JournalError, Operation
from tests.simulator.faults import FAULTS, Fault
from tests.simulator.gateway import DAMAGE, Gateway
from tests.simulator.journal import LEASE_S, Lease, MemoryJournal

CALL_S = 0.002
TRANSFERRED = ("transfer", DONE)
POINTS_MAX = 2000  # calls in one operation, whoever makes them
ROUTER, STACK, JOURNAL = "router", "stack", "journal"


class Died(BaseException):
    """The driver's process is gone: nothing of it catches this."""


class Broken(AssertionError):
    """A promise was broken; the message says which."""


@dataclass(slots=True)
class Driver:
    """A process that works operations. `lease` is renewed beside its work for as long as it can."""

    name: str
    lease: Lease | None = None
    renew_at: float = 0.0
    stands_still: bool = False
    cut_off: dict[str, int] = field(default_factory=dict)  # from whom, for how many points


@dataclass(slots=True)
class Late:
    """A call that acts later than its caller was there to see."""

    due: int
    gateway: Gateway
    act: str
    instance: Instance
    epoch: int
    arguments: tuple[Any, ...]
    operation: str


class World:
    def __init__(self, gateways: Sequence[Gateway], *, tracing: bool = False) -> None:
        self.now = 0.0
        self.point = 0  # of the operation that is worked
        self.gateways = {gateway.name: gateway for gateway in gateways}
        for gateway in gateways:
            gateway.now = lambda: self.now
        self.instances: dict[str, Instance] = {}
        self.journal = MemoryJournal(lambda: self.now)
        self.routes: dict[str, str] = {}
        self.picture: dict[str, str | None] = {}  # what the stack believes
        self.away = dict.fromkeys((ROUTER, STACK, JOURNAL), 0)
        self.operation = ""  # the one that is worked
        self.instance: Instance | None = None  # of the operation
        self.schedule: dict[int, list[Fault]] = {}
        self.armed: list[Fault] = []
        self.late: list[Late] = []
        self.fired: Counter[str] = Counter()
        self.depth = 0
        self.overtake: Callable[[], None] = lambda: None
        self.rival: Callable[[], None] = lambda: None
        self.written = 0
        self.acknowledged: dict[str, list[int]] = {}
        self.written_at: dict[int, float] = {}
        self.recovered: dict[str, tuple[str, frozenset[int]]] = {}  # by a fenced operation: to where, from which copy
        self.excused: set[str] = set()  # instances of which something may be left: it was said, or an act came late
        self.blurred: set[str] = set()  # those of which a copy elsewhere may be marked as a writer
        self.writer_at: dict[str, str] = {}
        self.born: dict[str, int] = {}  # what was written before the instance was built
        self.versions: dict[tuple[str, str], Version] = {}  # the newest of state files, wherever it was put
        self.believed: set[str] = set()  # operations that were fenced
        self.unfounded: set[str] = set()  # operations that were fenced while the target had no whole copy
        self.rebooted: set[str] = set()
        self.tracing = tracing
        self.trace: list[str] = []

    # what is told
    def tell(self, what: str) -> None:
        if self.tracing:
            self.trace.append(f"{self.now:9.3f} {self.operation:>4}:{self.point:<4} {what}")

    def promise(self, kept: bool, what: str) -> None:
        if not kept:
            raise Broken(what)

    # one call
    def reach(self, driver: Driver, where: str, act: str) -> Fault | None:
        """A driver makes a call: time goes on, the subscriber writes, what is late acts, and a fault may be met."""
        self.point += 1
        self.now += CALL_S
        if self.point > POINTS_MAX:
            raise Broken(f"{self.operation} goes on for ever")
        if driver.lease is not None and self.now >= driver.renew_at:
            self.renew(driver)
        if self.late:
            self._act_late()
        self.subscribers_write()
        if self.point in self.schedule:
            self.armed.extend(self.schedule.pop(self.point))
        if driver.cut_off:
            self._reconnect(driver)
        self._come_back()
        if not self.armed:
            return None
        for fault in self.armed:
            if FAULTS[fault.kind].fits(where, act):
                self.armed.remove(fault)
                self.fired[fault.kind] += 1
                self.tell(f"! {fault.kind} {fault.argument}")
                return fault
        return None

    def renew(self, driver: Driver) -> None:
        """What the driver's other thread does."""
        if driver.stands_still or driver.lease is None:
            return
        if self.away[JOURNAL] or JOURNAL in driver.cut_off:
            return
        driver.renew_at = self.now + LEASE_S / 3
        try:
            self.journal.renew(driver.lease)
        except Stale:
            driver.lease = None

    def sleep(self, driver: Driver, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + LEASE_S / 3)
            self.renew(driver)

    def _reconnect(self, driver: Driver) -> None:
        for name in list(driver.cut_off):
            driver.cut_off[name] -= 1
            if driver.cut_off[name] <= 0:
                del driver.cut_off[name]

    def _come_back(self) -> None:
        for gateway in self.gateways.values():
            if gateway.away:
                gateway.away -= 1
        for name, points in self.away.items():
            if points:
                self.away[name] = points - 1

    def unreachable(self, driver: Driver, where: str) -> bool:
        gateway = self.gateways.get(where)
        away = self.away[where] if gateway is None else gateway.away or gateway.dead
        return bool(away) or where in driver.cut_off

    def meet(self, fault: Fault, driver: Driver, where: str) -> None:
        """The faults that are the same whoever is called; the others are the caller's."""
        match fault.kind:
            case "crash before":
                raise Died
            case "gateway away":
                self.victim(fault, where).away = fault.argument
            case "gateway dies":
                self.die(self.victim(fault, where))
            case "gateway reboots":
                victim = self.victim(fault, where)
                victim.reboot()
                self.rebooted.update(self.instances)
                victim.away = fault.argument % 5
                self.judge()
            case "partition":
                driver.cut_off[where] = fault.argument
            case "router away" | "stack away" | "database away":
                self.away[where] = fault.argument
            case "not ready":
                self.gateways[where].deaf_until = self.now + (1.0 if fault.argument % 2 else 20.0)
            case "overtaken":
                self.stand_still(driver)
            case "rival":
                self.rival()

    def victim(self, fault: Fault, where: str) -> Gateway:
        """The gateway that is called, or else the source or the target of the operation."""
        operation = self.journal.operations.get(self.operation)
        roles = (where, operation.source, operation.target) if operation is not None else (where,)
        return self.gateways[roles[fault.argument % len(roles)] or where]

    def die(self, gateway: Gateway) -> None:
        gateway.dead = True
        gateway.reboot()
        self.rebooted.update(self.instances)

    def stand_still(self, driver: Driver) -> None:
        """The driver is paused past its lease while another one does its work; then it goes on."""
        if self.depth >= 2:
            return
        driver.stands_still = True
        self.now += LEASE_S + 2
        self.depth += 1
        self.tell(f"{driver.name} stands still")
        try:
            self.overtake()
        finally:
            self.depth -= 1
            driver.stands_still = False
        self.tell(f"{driver.name} goes on")

    # a call of a gateway that changes something
    def change(
        self,
        driver: Driver,
        gateway: Gateway,
        act: str,
        instance: Instance,
        claim: Lease,
        arguments: tuple[Any, ...] = (),
        other: str = "",
    ) -> Any:
        where, epoch = gateway.name, claim.epoch
        fault = self.reach(driver, where, act)
        if self.tracing:
            self.tell(f"{driver.name}/{epoch} {where}.{act}({instance.name}{_shown(arguments)})")
        if fault is not None:
            self.meet(fault, driver, where)
        if self.unreachable(driver, where) or (fault is not None and fault.kind == "timeout"):
            raise Unreachable(where, f"{act} {instance.name}", "no answer")
        if other and self.unreachable(driver, other):
            raise Unreachable(other, f"{act} {instance.name}", "no answer")
        claim.check()
        if act == "hold" and self.late:
            self._act_late(gateway, instance)
        writer = arguments[0] if act == "hold" else None
        if fault is None:
            gateway.guard(act, instance, epoch, writer)
            result = getattr(gateway, act)(instance, epoch, *arguments)
            if act == "put_files":
                self.judge_version(instance, arguments[0], arguments[2])
            self.judge()
            return result
        return self._faulty(fault, driver, gateway, act, instance, epoch, arguments)

    def _faulty(
        self,
        fault: Fault,
        driver: Driver,
        gateway: Gateway,
        act: str,
        instance: Instance,
        epoch: int,
        arguments: tuple[Any, ...],
    ) -> Any:
        operation = self.operation
        if fault.kind in ("late", "late and crash"):
            if not gateway.atomic:
                gateway.guard(act, instance, epoch)
            due = self.point + fault.argument
            if act == "copy_disk":  # what it carries was read when it was asked
                arguments = (arguments[0], arguments[1].frozen(instance), arguments[2])
            self.late.append(Late(due, gateway, act, instance, epoch, arguments, operation))
            if fault.kind == "late and crash":
                raise Died
            raise Unreachable(gateway.name, f"{act} {instance.name}", "no answer")
        if fault.kind == "overtaken in the act":  # between the driver's own look at its lease and the gateway's
            self.stand_still(driver)
            if self.unreachable(driver, gateway.name):
                raise Unreachable(gateway.name, f"{act} {instance.name}", "no answer")
            self.excused.add(instance.name)
            self.blurred.add(instance.name)
        gateway.guard(act, instance, epoch)
        gateway.fault = {"full": "full", "damaged": "damaged", "cut off": "cut", "cut off and crash": "cut"}.get(
            fault.kind, ""
        )
        try:
            result = getattr(gateway, act)(instance, epoch, *arguments)
            if act == "put_files":
                self.judge_version(instance, arguments[0], arguments[2])
        except HypervisorError:
            if fault.kind == "cut off and crash":
                raise Died from None
            raise
        finally:
            gateway.fault = ""
            self.judge()
        if fault.kind in ("crash after", "cut off and crash"):
            raise Died
        if fault.kind == "reply lost":
            raise Unreachable(gateway.name, f"{act} {instance.name}", "no answer")
        return result

    def _act_late(self, gateway: Gateway | None = None, instance: Instance | None = None) -> None:
        """What is due acts now, and all of an instance that is held: then nothing earlier is still going on there."""
        due = [
            each for each in self.late if each.due <= self.point or (each.gateway, each.instance) == (gateway, instance)
        ]
        for late in due:
            self.late.remove(late)
            if late.operation != self.operation or late.gateway.dead:
                continue
            try:
                if late.gateway.atomic:
                    late.gateway.guard(late.act, late.instance, late.epoch)
                getattr(late.gateway, late.act)(late.instance, late.epoch, *late.arguments)
                if late.act == "put_files":
                    self.judge_version(late.instance, late.arguments[0], late.arguments[2])
                self.excused.add(late.instance.name)
                self.blurred.add(late.instance.name)
                self.tell(f"late: {late.gateway.name}.{late.act}({late.instance.name}{_shown(late.arguments)})")
            except (HypervisorError, Stale, KeyError) as error:
                self.tell(f"late: {late.gateway.name}.{late.act} was refused: {error}")
            self.judge()

    # a call that changes nothing
    def ask(self, driver: Driver, where: str, act: str, instance: Instance) -> None:
        fault = self.reach(driver, where, act)
        if self.tracing:
            self.tell(f"{driver.name} {where}.{act}({instance.name})")
        if fault is not None:
            self.meet(fault, driver, where)
            if fault.kind == "crash after":
                raise Died
        if self.unreachable(driver, where) or (fault is not None and fault.kind in ("timeout", "reply lost")):
            raise Unreachable(where, f"{act} {instance.name}", "no answer")

    # a call of the router or the stack
    def outside(self, driver: Driver, where: str, act: str, instance: Instance, work: Callable[[], None]) -> None:
        fault = self.reach(driver, where, act)
        if self.tracing:
            self.tell(f"{driver.name} {where}.{act}({instance.name})")
        if fault is not None:
            self.meet(fault, driver, where)
        if self.unreachable(driver, where) or (fault is not None and fault.kind == "timeout"):
            raise HypervisorError(where, f"{act} {instance.name}", "no answer", retry=True)
        work()
        self.judge()
        if fault is not None and fault.kind == "crash after":
            raise Died
        if fault is not None and fault.kind == "reply lost":
            raise HypervisorError(where, f"{act} {instance.name}", "no answer", retry=True)

    # a call of the journal
    def transact(self, driver: Driver, act: str, work: Callable[[], Any]) -> Any:
        fault = self.reach(driver, JOURNAL, act)
        if fault is not None:
            self.meet(fault, driver, JOURNAL)
        if self.unreachable(driver, JOURNAL) or (fault is not None and fault.kind == "timeout"):
            self.tell(f"{driver.name} journal.{act}: no answer")
            raise JournalError(f"cannot {act}: the database does not answer")
        result = work()
        if self.tracing:
            self.tell(f"{driver.name} journal.{act}")
        if fault is not None and fault.kind == "crash after":
            raise Died
        if fault is not None and fault.kind == "reply lost":
            raise JournalError(f"cannot {act}: the database does not answer")
        return result

    # the subscriber
    def subscribers_write(self) -> None:
        """Each subscriber whose traffic arrives at a copy that can write has one more number acknowledged."""
        for name, where in self.routes.items():
            gateway = self.gateways[where]
            copy = gateway.copies.get(name)
            if copy is None or copy.power is not Power.RUNNING or self.now < gateway.deaf_until:
                continue
            instance = self.instances[name]
            if len(copy.attached) < len(instance.disks) or not copy.has_state():
                continue
            self.written += 1
            gateway.write(instance, self.written)
            self.written_at[self.written] = self.now
            self.acknowledged[name].append(self.written)

    # what is judged after every act
    def judge(self) -> None:
        instance = self.instance
        if instance is None or not (instance.disks or instance.files):
            return
        name = instance.name
        writers = [
            each for each in self.gateways.values() if (copy := each.copies.get(name)) is not None and copy.can_write()
        ]
        if len(writers) > 1:
            raise Broken(f"two writers: {name} at {' and at '.join(each.name for each in writers)}")
        if not writers:
            return
        (writer,) = writers
        if self.writer_at.get(name) != writer.name:
            self.writer_at[name] = writer.name
            self.judge_state(instance, writer)

    def judge_state(self, instance: Instance, writer: Gateway) -> None:
        """The copy that has just become the writer has all that was acknowledged, but for what an operator gave up."""
        name = instance.name
        to, recovered = self.recovered.get(name, ("", frozenset()))
        if to == writer.name:
            lost = [number for number in self.acknowledged[name] if number not in recovered]
            self.judge_word(name, lost)
            self.acknowledged[name] = [number for number in self.acknowledged[name] if number in recovered]
        if to:
            del self.recovered[name]
        self.judge_content(instance, writer)

    def judge_word(self, name: str, lost: Sequence[int]) -> None:
        """The operator was told from when the state is that is gone on with: nothing older is lost."""
        if not lost:
            return
        done = [entry for entry in self.journal.lines[self.operation] if (entry.step, entry.phase) == TRANSFERRED]
        said = list(done[-1].detail.get("recovered", {}).values()) if done else []
        if None in said:
            return  # of state files it is said that they are of the moment of the pause
        oldest = self.written_at[lost[0]]
        why = f"{name} was said to be as it was at {min(said, default=self.now):.3f}, and lost what is of {oldest:.3f}"
        self.promise(bool(said) and min(said) < oldest, why)

    def judge_content(self, instance: Instance, writer: Gateway) -> None:
        name = instance.name
        for state in writer.states(instance):
            if state and 0 <= state[0] <= self.born.get(name, 0):
                raise Broken(f"{name} was built at {writer.name}, and began with what an earlier one had written")
            lost = set(self.acknowledged[name]).difference(state)
            if lost:
                raise Broken(f"acknowledged and lost: {sorted(lost)[:5]} of {name}, which goes on at {writer.name}")
            if DAMAGE in state:
                raise Broken(f"damaged state: {name} goes on at {writer.name}")

    def judge_version(self, instance: Instance, files: Files, version: Version) -> None:
        """A version that was put: it is the newest one, or made from it and of a greater number."""
        newest = self.versions.get((instance.name, files.name))
        if newest is None or newest == version:
            pass
        elif version.number <= newest.number or version.parent != newest.digest:
            raise Broken(f"version {version.number} of {files.name} was put over version {newest.number}")
        self.versions[instance.name, files.name] = version

    # for the operator's word
    def believe(self, operation: Operation) -> None:
        """From now on the state that the target has is the one to be gone on with."""
        assert operation.target is not None
        instance = self.instances[operation.instance]
        self._act_late(self.gateways[operation.target], instance)  # what is under way there may still change it
        states = self.gateways[operation.target].states(instance)
        kept = frozenset[int]().union(*states) if len(states) < 2 else frozenset(states[0]).intersection(*states[1:])
        self.recovered[instance.name] = (operation.target, kept)
        if operation.id not in self.believed and not self._is_whole(
            instance, self.gateways[operation.target], operation.strategy == "live"
        ):
            self.unfounded.add(operation.id)
        self.believed.add(operation.id)

    def _is_whole(self, instance: Instance, gateway: Gateway, live: bool) -> bool:
        """Whether there is a state to go on with; after a live move it is there at once, and before it not at all."""
        copy = gateway.copy(instance)
        if live:
            return copy.has_state() or (not instance.disks and copy.power is Power.RUNNING)
        disks = {disk.name for disk in gateway.travelling(instance)}
        proved = copy.whole().keys() & copy.as_of.keys()
        files = {name for name in copy.versions if DAMAGE not in copy.files.get(name, ())}
        return disks <= proved and {each.name for each in instance.files} <= files


def _shown(arguments: tuple[Any, ...]) -> str:
    return "".join(f", {getattr(each, 'name', each)}" for each in arguments)
