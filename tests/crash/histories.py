"""One cloudlet that is moved to and fro while its drivers die, and what somebody outside sees of it meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy import update

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Hypervisor, Power, Seen
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import InstanceRecord, Unknown
from meghdwar.driver.operation import COMPENSATED, COMPLETED, ENDED, Operation
from meghdwar.driver.tables import claims
from meghdwar.driver.transactions import Transactions
from tests.contract.pairs import Pair, eventually, numbers
from tests.crash.driver import AFTER, BEFORE, Drivers, Task

Point = tuple[int, str]
RESUMES_MAX = 10


class Observer:
    """A subscriber: follows the router's table, asks for the next number over and over and notes what it was told.

    It is a witness as well: of two copies that both have their state at one time.
    """

    def __init__(self, pair: Pair, instance: Instance, table: Path, every_s: float = 0.005) -> None:
        self._pair, self._instance, self._every_s = pair, instance, every_s
        self._route = table / f"{instance.name}.json"
        self._gateways = {each.gateway: each for each in (pair.source, pair.target)}
        self.acknowledged: list[tuple[float, str, int]] = []
        self.overlaps: list[tuple[float, str | None, str | None, str | None]] = []
        self._done = Event()
        self._thread = Thread(target=self._watch, name="observer", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.is_set():
            gateway = json.loads(self._route.read_bytes())["gateway"]
            answer = self._ask(gateway, "/next")
            if answer is not None:
                self.acknowledged.append((time.monotonic(), gateway, int(answer)))
            self._witness()
            self._done.wait(self._every_s)

    def _witness(self) -> None:
        """One that answered before and after the other did was there all the time."""
        here, there = self._gateways
        answers = [self._ask(gateway, "/n") for gateway in (here, there, here)]
        if None not in answers:
            self.overlaps.append((time.monotonic(), *answers))

    def _ask(self, gateway: str, path: str) -> str | None:
        return self._pair.ask(self._gateways[gateway], self._instance, path)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def last(self) -> int:
        return self.acknowledged[-1][2] if self.acknowledged else 0

    def check(self) -> None:
        """Each number was acknowledged once, each was greater than the one before: nothing was forgotten or forked."""
        values = [value for _, _, value in self.acknowledged]
        wrong = [(a, b) for a, b in zip(self.acknowledged, self.acknowledged[1:], strict=False) if b[2] <= a[2]]
        assert not self.overlaps, f"two copies had their state: {self.overlaps[:3]}"
        assert not wrong, f"acknowledged out of order: {wrong[:3]}"
        assert len(set(values)) == len(values)


class Edge:
    """The two gateways of a pair with one instance at one of them, a database (at `url`, or of its own), and drivers
    to be killed."""

    def __init__(self, pair: Pair, instance: Instance, folder: Path, *, lease_s: float = 15.0, url: str = "") -> None:
        self.pair, self.instance, self.folder, self.lease_s = pair, instance, folder, lease_s
        self.gateways: Mapping[str, Hypervisor] = {each.gateway: each for each in (pair.source, pair.target)}
        self.url = url or str(folder / "crash.db")
        self.database = database.open(self.url, lease_s=lease_s)
        self.database.inventory.add_instance(InstanceRecord(instance))
        self.kind = pair.source.capabilities.kind
        self.drivers = Drivers([self.kind], folder / "errors")
        self._numbers = count(1)
        self.home = pair.source.gateway
        built = self.operate(Operation(self._id(), "build", "test", instance.name, target=self.home))
        assert built == COMPLETED
        self.observer = Observer(pair, instance, folder / "routes")

    def _id(self) -> str:
        return f"operation-{next(self._numbers)}"

    def close(self) -> None:
        self.observer.stop()
        self.drivers.close()
        self.database.close()

    # driving
    def task(self, operation: Operation, **changes: Any) -> Task:
        result = str(self.folder / f"result-{next(self._numbers)}")
        return Task(
            self.url,
            self.pair.accesses,
            self.instance,
            operation,
            str(self.folder / "routes"),
            result,
            lease_s=self.lease_s,
            **changes,
        )

    def drive(self, operation: Operation, **changes: Any) -> Mapping[str, Any] | None:
        """One driver works on it; None when it was killed."""
        task = self.task(operation, **changes)
        return self.drivers.wait(self.drivers.start(task), task)

    def operate(self, operation: Operation, kills: Sequence[Point] = (), fail: str = "") -> str:
        """Works it to its end, through drivers that are killed at these points, one after the other."""
        for number, kill in enumerate([*kills, *[None] * RESUMES_MAX]):
            begins = not self.is_begun(operation.id)
            if not begins and self.database.journal.operation(operation.id).status in ENDED:
                break
            if number:
                self.let_lapse()
            self.drive(operation, begins=begins, kill=kill, fail=fail)
        return self.database.journal.operation(operation.id).status

    def is_begun(self, operation_id: str) -> bool:
        try:
            self.database.journal.operation(operation_id)
        except Unknown:
            return False
        return True

    def let_lapse(self) -> None:
        """The time of a lease passes: in the database, so that nobody has to wait for it."""
        lapsed = update(claims).where(claims.c.instance == self.instance.name).values(lease_until=0.0)
        Transactions(self.database.engine, 60.0).write(lambda connection, _: connection.execute(lapsed))

    def next_move(self, strategy: str) -> Operation:
        other = next(name for name in self.gateways if name != self.home)
        return Operation(self._id(), "move", "test", self.instance.name, self.home, other, strategy)

    def move(self, strategy: str, kills: Sequence[Point] = (), fail: str = "") -> str:
        """A move to the other gateway, and what must be so after it."""
        operation = self.next_move(strategy)
        status = self.operate(operation, kills, fail)
        self.check(operation, status, COMPENSATED if fail else COMPLETED)
        return status

    def writes(self, strategy: str, fail: str = "") -> int:
        """How many writes to the journal such a move takes when nobody dies."""
        operation = self.next_move(strategy)
        result = self.drive(operation, fail=fail)
        assert result is not None
        self.check(operation, result["status"], COMPENSATED if fail else COMPLETED)
        return int(result["writes"])

    def signal(self, pid: int, what: signal.Signals) -> None:
        """A driver that has ended already is no longer there to be told."""
        with suppress(ProcessLookupError):
            os.kill(pid, what)

    def stop(self, pid: int) -> None:
        """It stands still, but not in a transaction: that would keep everybody out of an SQLite database."""
        while True:
            self.signal(pid, signal.SIGSTOP)
            with closing(sqlite3.connect(self.folder / "crash.db", timeout=0.02, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("ROLLBACK")
                    return
                except sqlite3.OperationalError:
                    self.signal(pid, signal.SIGCONT)
                    time.sleep(0.002)

    def kill(self, pid: int) -> None:
        self.signal(pid, signal.SIGKILL)

    # what must be so
    def check(self, operation: Operation, status: str, expected: str) -> None:
        """It ended; the one place where it is serves, with all that was acknowledged; nothing is anywhere else."""
        name = self.instance.name
        assert status == expected, (status, self.database.journal.operation(operation.id).error)
        home = self.database.inventory.instance(name).gateway
        assert home == (operation.target if status == COMPLETED else operation.source)
        self.home = str(home)
        before = self.observer.last()
        eventually(lambda: self.observer.last() > before, self.pair.patience_s)
        for gateway in self.gateways.values():
            seen = gateway.look(self.instance)
            if gateway.gateway == self.home:
                assert (seen.power, seen.writer) == (Power.RUNNING, True)
                assert set(seen.attached) == {disk.name for disk in self.instance.disks}
            else:
                assert seen == Seen(name)
                assert name not in [each.name for each in gateway.inventory()]
        self.observer.check()
        self.check_log()

    def check_log(self) -> None:
        acknowledged = self.observer.last()
        written = numbers(self.pair.log(self.gateways[self.home], self.instance))
        assert written == list(range(1, len(written) + 1)), "the log has a gap or a number twice"
        assert acknowledged <= len(written), "something that was acknowledged is not in the log"


def points(writes: int) -> list[Point]:
    """Before and after each of so many writes to the journal."""
    return [(number, when) for number in range(1, writes + 1) for when in (BEFORE, AFTER)]
