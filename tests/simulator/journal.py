"""A journal in memory that keeps the rules of `Journal` to the letter; time is whatever its clock says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.operation import ENDED, FENCED, RUNNING, WAITING, Busy, Entry, Fenced, JournalError, Operation

LEASE_S = 15.0


@dataclass(slots=True)
class Lease:
    """A claim, as the driver holds it: its own clock says when it has run out, a little before the journal's does."""

    instance: str
    epoch: int
    owner: str
    deadline: float
    now: Callable[[], float]

    def check(self) -> None:
        if self.now() >= self.deadline:
            raise Stale(f"the lease of {self.owner} on {self.instance} has run out")


@dataclass(slots=True)
class Row:
    """An instance: its home, its epoch, who holds it and until when, and its operation that is not ended."""

    home: str | None = None
    epoch: int = 0
    owner: str | None = None
    until: float = 0.0
    open: str | None = None


@dataclass(slots=True)
class MemoryJournal:
    now: Callable[[], float]
    lease_s: float = LEASE_S
    rows: dict[str, Row] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    lines: dict[str, list[Entry]] = field(default_factory=dict)

    def row(self, instance: str) -> Row:
        return self.rows.setdefault(instance, Row())

    # claims
    def claim(self, instance: str, owner: str) -> Lease:
        row, now = self.row(instance), self.now()
        if row.owner is not None and now < row.until:
            raise Busy(f"cannot claim {instance}: {row.owner} has it")
        row.epoch += 1
        row.owner, row.until = owner, now + self.lease_s
        return Lease(instance, row.epoch, owner, now + self.lease_s - 1, self.now)

    def renew(self, lease: Lease) -> None:
        row = self._held(lease)
        row.until = self.now() + self.lease_s
        lease.deadline = row.until - 1

    def release(self, lease: Lease) -> None:
        row = self.row(lease.instance)
        if row.epoch == lease.epoch:
            row.owner = None

    def _held(self, lease: Lease) -> Row:
        row = self.row(lease.instance)
        if row.epoch != lease.epoch or row.owner is None:
            raise Stale(f"{lease.instance} was claimed by somebody else, or given back")
        return row

    # operations
    def begin(self, operation: Operation, owner: str) -> tuple[Operation, Lease]:
        row = self.row(operation.instance)
        if row.open is not None:
            raise Busy(f"cannot begin {operation.id}: {row.open} is not ended")
        if operation.source != row.home:
            raise Busy(f"cannot begin {operation.id}: {operation.instance} is at {row.home}")
        lease = self.claim(operation.instance, owner)
        operation = replace(operation, status=RUNNING)
        row.open = operation.id
        self.operations[operation.id] = operation
        self.lines[operation.id] = []
        return operation, lease

    def resume(self, operation_id: str, owner: str) -> tuple[Operation, Lease]:
        operation = self.operations[operation_id]
        if operation.status in ENDED:
            raise JournalError(f"cannot resume {operation_id}: it is {operation.status}")
        lease = self.claim(operation.instance, owner)
        operation = self.operations[operation_id] = replace(operation, status=RUNNING, error="")
        return operation, lease

    def entries(self, operation_id: str) -> Sequence[Entry]:
        return tuple(self.lines[operation_id])

    def write(self, operation_id: str, entries: Sequence[Entry], claim: Lease) -> None:
        self._held(claim)
        self.lines[operation_id].extend(entries)

    def place(self, instance: str, gateway: str | None, claim: Lease) -> None:
        self._held(claim).home = gateway

    def halt(self, instance: str, stopped: bool, claim: Lease) -> None:
        self._held(claim)

    def fence(self, operation_id: str, fenced: Fenced, claim: Lease) -> None:
        self._held(claim)
        self.operations[operation_id] = replace(self.operations[operation_id], fenced=fenced)
        self.lines[operation_id].append(Entry("", FENCED, {"by": fenced.by}, claim.epoch))

    def wait(self, operation_id: str, error: str, claim: Lease) -> None:
        row = self._held(claim)
        self.operations[operation_id] = replace(self.operations[operation_id], status=WAITING, error=error)
        row.owner = None

    def end(self, operation_id: str, status: str, entries: Sequence[Entry], claim: Lease) -> None:
        row = self._held(claim)
        self.lines[operation_id].extend(entries)
        self.operations[operation_id] = replace(self.operations[operation_id], status=status, ended_at=self.now())
        row.owner = row.open = None
