"""Every journal that there is, for the suite that holds them all to the same rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from sqlalchemy import text

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Claim
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.journal import SqlJournal
from meghdwar.driver.operation import COMPLETED, DOING, DONE, Entry, Fenced, Journal, Operation
from meghdwar.driver.transactions import alive_s

LEASE_S = 15.0


class Claiming(Journal, Protocol):
    """What the journals have in common beyond Journal."""

    def claim(self, instance: str, owner: str) -> Any: ...

    def release(self, claim: Any) -> None: ...


class Journals(Protocol):
    """One database, and drivers that share it."""

    def driver(self) -> Claiming:
        """The journal as one more driver sees it."""
        ...

    def instance(self, name: str, gateway: str | None = None) -> None:
        """Makes it known, with its home there."""
        ...

    def home(self, name: str) -> str | None: ...

    def operation(self, operation_id: str) -> Operation: ...

    def later(self, seconds: float) -> None:
        """So much time passes, for the database and for every driver."""
        ...


class Sql:
    """On SQLite or PostgreSQL. Time passes at the drivers by a clock that we set; in the database we make every lease
    end so much earlier instead."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._passed_s = 0.0
        self._opened = [database.open(url)]

    def driver(self) -> SqlJournal:
        journal = SqlJournal(self._opened[0].engine, LEASE_S, clock=lambda: alive_s() + self._passed_s)
        self._opened.append(database.Database(self.url, journal, self._opened[0].inventory, self._opened[0].engine))
        return journal

    def instance(self, name: str, gateway: str | None = None) -> None:
        instance = Instance(name, "game", "arena", "container", "counter")
        self._opened[0].inventory.add_instance(InstanceRecord(instance, gateway))

    def home(self, name: str) -> str | None:
        return self._opened[0].inventory.instance(name).gateway

    def operation(self, operation_id: str) -> Operation:
        return self._opened[0].journal.operation(operation_id)

    def later(self, seconds: float) -> None:
        self._passed_s += seconds
        with self._opened[0].engine.begin() as connection:
            connection.execute(text("UPDATE claims SET lease_until = lease_until - :s"), {"s": seconds})

    def close(self) -> None:
        for opened in self._opened:
            opened.close()


class Memory:
    """The simulator's."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._journal: Any = import_module("tests.simulator.journal").MemoryJournal(lambda: self._now)

    def driver(self) -> Any:
        return self._journal

    def instance(self, name: str, gateway: str | None = None) -> None:
        self._journal.row(name).home = gateway

    def home(self, name: str) -> str | None:
        return self._journal.row(name).home  # type: ignore[no-any-return]

    def operation(self, operation_id: str) -> Operation:
        return self._journal.operations[operation_id]  # type: ignore[no-any-return]

    def later(self, seconds: float) -> None:
        self._now += seconds

    def close(self) -> None:
        return


# every call that takes the claim of an operation
WRITES: Mapping[str, Callable[[Journal, Operation, Claim], None]] = {
    "write": lambda journal, operation, claim: journal.write(operation.id, [Entry("stage", DOING)], claim),
    "place": lambda journal, operation, claim: journal.place(operation.instance, "edge-9", claim),
    "fence": lambda journal, operation, claim: journal.fence(operation.id, Fenced("anna", 5.0, "burnt"), claim),
    "wait": lambda journal, operation, claim: journal.wait(operation.id, "no answer", claim),
    "end": lambda journal, operation, claim: journal.end(operation.id, COMPLETED, [Entry("stage", DONE)], claim),
}
