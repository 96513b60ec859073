"""What one driver has in its hands: the protocols of the driver, each call of which goes through the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meghdwar.driver.hypervisor import Capabilities, Copied, Finding, Hypervisor, Seen, Version
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.operation import Entry, Fenced, Operation
from tests.simulator.gateway import Gateway
from tests.simulator.journal import Lease
from tests.simulator.world import LEASE_S, ROUTER, STACK, Driver, World


class SimulatedHypervisor:
    def __init__(self, world: World, driver: Driver, gateway: Gateway) -> None:
        self._world, self._driver, self._at = world, driver, gateway

    @property
    def gateway(self) -> str:
        return self._at.name

    @property
    def capabilities(self) -> Capabilities:
        return self._at.capabilities

    # looking
    def look(self, instance: Instance) -> Seen:
        self._world.ask(self._driver, self._at.name, "look", instance)
        return self._at.look(instance)

    def inventory(self) -> tuple[Seen, ...]:
        return self._at.inventory()

    def probe(self, instance: Instance) -> bool:
        self._world.ask(self._driver, self._at.name, "probe", instance)
        return self._at.probe(instance, self._world.now)

    def endpoint(self, instance: Instance) -> str:
        self._world.ask(self._driver, self._at.name, "endpoint", instance)
        return f"{self._at.name}:80"

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        return iter(())

    def close(self) -> None:
        return

    # changing
    def hold(self, instance: Instance, claim: Lease, *, writer: bool | None = None) -> None:
        self._change("hold", instance, claim, writer)

    def define(self, instance: Instance, claim: Lease) -> None:
        self._change("define", instance, claim)

    def start(self, instance: Instance, claim: Lease) -> None:
        self._change("start", instance, claim)

    def stop(self, instance: Instance, claim: Lease) -> None:
        self._change("stop", instance, claim)

    def pause(self, instance: Instance, claim: Lease) -> str:
        way: str = self._change("pause", instance, claim)
        return way

    def resume(self, instance: Instance, claim: Lease) -> None:
        self._change("resume", instance, claim)

    def remove(self, instance: Instance, claim: Lease) -> None:
        self._change("remove", instance, claim)

    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return self._at.travelling(instance)

    def make_disk(self, instance: Instance, disk: Disk, claim: Lease) -> None:
        self._change("make_disk", instance, claim, disk)

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Lease, *, final: bool = False
    ) -> Copied:
        there = self._world.gateways[source.gateway]
        copied: Copied = self._change("copy_disk", instance, claim, disk, there, final, other=there.name)
        return copied

    def attach(self, instance: Instance, disk: Disk, claim: Lease) -> None:
        self._change("attach", instance, claim, disk)

    def detach(self, instance: Instance, disk: Disk, claim: Lease) -> None:
        self._change("detach", instance, claim, disk)

    def version(self, instance: Instance, files: Files) -> Version | None:
        self._world.ask(self._driver, self._at.name, "version", instance)
        return self._at.version(instance, files)

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        self._world.ask(self._driver, self._at.name, "read_files", instance)
        return self._at.read_files(instance, files)

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Lease
    ) -> None:
        self._change("put_files", instance, claim, files, contents, version)

    def migrate(self, instance: Instance, target: Hypervisor, claim: Lease) -> None:
        there = self._world.gateways[target.gateway]
        self._change("migrate", instance, claim, there, other=there.name)

    def _change(self, act: str, instance: Instance, claim: Lease, *arguments: Any, other: str = "") -> Any:
        return self._world.change(self._driver, self._at, act, instance, claim, arguments, other)


class SimulatedJournal:
    """The journal as one driver reaches it; it judges what is written, whoever let it through."""

    def __init__(self, world: World, driver: Driver) -> None:
        self._world, self._driver = world, driver

    def begin(self, operation: Operation, owner: str) -> tuple[Operation, Lease]:
        return self._claimed("begin", lambda: self._world.journal.begin(operation, owner), operation.instance)

    def resume(self, operation_id: str, owner: str) -> tuple[Operation, Lease]:
        name = self._world.journal.operations[operation_id].instance
        return self._claimed("resume", lambda: self._world.journal.resume(operation_id, owner), name)

    def _claimed(self, act: str, work: Any, instance: str) -> tuple[Operation, Lease]:
        world = self._world
        before = world.journal.row(instance).epoch

        def judged() -> tuple[Operation, Lease]:
            operation, lease = work()
            world.promise(lease.epoch > before, f"the epoch of {instance} did not grow: {before}, {lease.epoch}")
            self._driver.lease, self._driver.renew_at = lease, world.now + LEASE_S / 3
            return operation, lease

        operation, lease = world.transact(self._driver, act, judged)
        return operation, lease

    def entries(self, operation_id: str) -> Sequence[Entry]:
        entries: Sequence[Entry] = self._world.transact(
            self._driver, "entries", lambda: self._world.journal.entries(operation_id)
        )
        return entries

    def write(self, operation_id: str, entries: Sequence[Entry], claim: Lease) -> None:
        self._write("write", operation_id, lambda: self._world.journal.write(operation_id, entries, claim), entries)

    def place(self, instance: str, gateway: str | None, claim: Lease) -> None:
        world = self._world

        def judged() -> None:
            world.journal.place(instance, gateway, claim)
            newest = world.journal.row(instance).epoch
            world.promise(claim.epoch == newest, f"epoch {claim.epoch} placed {instance} after epoch {newest} had it")

        world.transact(self._driver, "place", judged)

    def halt(self, instance: str, stopped: bool, claim: Lease) -> None:
        self._world.transact(self._driver, "halt", lambda: self._world.journal.halt(instance, stopped, claim))

    def fence(self, operation_id: str, fenced: Fenced, claim: Lease) -> None:
        self._write("fence", operation_id, lambda: self._world.journal.fence(operation_id, fenced, claim))

    def wait(self, operation_id: str, error: str, claim: Lease) -> None:
        self._write("wait", operation_id, lambda: self._world.journal.wait(operation_id, error, claim))

    def end(self, operation_id: str, status: str, entries: Sequence[Entry], claim: Lease) -> None:
        self._write("end", operation_id, lambda: self._world.journal.end(operation_id, status, entries, claim), entries)

    def _write(self, act: str, operation_id: str, work: Any, entries: Sequence[Entry] = ()) -> None:
        world = self._world

        def judged() -> None:
            over = world.journal.operations[operation_id].status
            work()
            world.promise(over in ("running", "waiting"), f"{operation_id} was changed after it was {over}")
            lines = world.journal.lines[operation_id]
            if len(lines) > len(entries) > 0:
                old, new = lines[-len(entries) - 1], lines[-len(entries)]
                world.promise(old.epoch <= new.epoch, f"epoch {new.epoch} wrote to {operation_id} after {old.epoch}")
            if world.tracing:
                world.tell("  ".join(f"{entry.step} {entry.phase} {dict(entry.detail) or ''}" for entry in entries))

        world.transact(self._driver, act, judged)


class SimulatedRouter:
    def __init__(self, world: World, driver: Driver) -> None:
        self._world, self._driver = world, driver

    def point(self, instance: Instance, gateway: str, address: str | None, endpoint: str) -> None:
        def work() -> None:
            serves = self._world.now >= self._world.gateways[gateway].deaf_until
            self._world.promise(serves, f"subscribers were sent to {gateway}, where {instance.name} is not ready")
            self._world.routes[instance.name] = gateway

        self._world.outside(self._driver, ROUTER, "point", instance, work)

    def withdraw(self, instance: Instance) -> None:
        self._world.outside(
            self._driver, ROUTER, "withdraw", instance, lambda: self._world.routes.pop(instance.name, None) and None
        )


class SimulatedStack:
    def __init__(self, world: World, driver: Driver) -> None:
        self._world, self._driver = world, driver

    def place(self, instance: Instance, gateway: str | None) -> None:
        def work() -> None:
            self._world.picture[instance.name] = gateway

        self._world.outside(self._driver, STACK, "place", instance, work)


class DriverClock:
    def __init__(self, world: World, driver: Driver) -> None:
        self._world, self._driver = world, driver

    def now(self) -> float:
        return self._world.now

    def sleep(self, seconds: float) -> None:
        self._world.sleep(self._driver, seconds)
