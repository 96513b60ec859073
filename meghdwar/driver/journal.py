"""The journal in a database: every operation, every step of it before it is done, and who may work on what."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, delete, select

from meghdwar.driver.hypervisor import Claim, Stale
from meghdwar.driver.identifier import new_id
from meghdwar.driver.inventory import Unknown
from meghdwar.driver.lease import MARGIN, Keeper, Lease
from meghdwar.driver.operation import (
    ENDED,
    FENCED,
    RUNNING,
    WAITING,
    Busy,
    Changed,
    Entry,
    Fenced,
    JournalError,
    Operation,
)
from meghdwar.driver.plain import fit, to_fenced, to_text
from meghdwar.driver.statements import Statements
from meghdwar.driver.tables import entries, operations
from meghdwar.driver.transactions import ALL, Prepared, Transactions, alive_s

T = TypeVar("T")
_PRUNED_AT_ONCE = 500  # operations in one transaction, so that others get their turn


class SqlJournal:
    """See Journal in operation.py. Leases are of `lease_s` seconds and by the clock of the database; whoever works
    longer keeps its claim with `keep`."""

    def __init__(self, engine: Engine, lease_s: float = 15.0, clock: Callable[[], float] = alive_s) -> None:
        self.lease_s = lease_s
        self._clock = clock
        self._transactions = Transactions(engine, lease_s * (1 - MARGIN))
        self._sql = Statements(engine.dialect)
        self._taken: type[Exception] = engine.dialect.loaded_dbapi.IntegrityError
        self._keeper = Keeper(self._renew, lease_s)
        self._mine: dict[str, Lease] = {}  # the leases that we took and did not give back

    def close(self) -> None:
        """Ends the keeping of leases; they run out by themselves."""
        self._keeper.close()

    # claims
    def claim(self, instance: str, owner: str, *, above: int = 0) -> Lease:
        """Claims it without an operation. The epoch is greater than `above` as well, for a gateway that has seen newer
        ones than this database. Raises Busy when it is claimed."""
        return self._claimed(instance, owner, lambda connection, epoch, at: None, above)[0]

    @contextmanager
    def keep(self, claim: Claim) -> Iterator[Claim]:
        """Renews the lease until left. When that is refused, or fails until it has run out, its `check` raises."""
        lease = _lease(claim)
        self._keeper.add(lease)
        try:
            yield claim
        finally:
            self._keeper.remove(lease)

    def release(self, claim: Claim) -> None:
        """Gives it back, so that others need not wait until it runs out. One that somebody else has is left alone."""
        lease = _lease(claim)
        given = {"name": lease.instance, "mine": lease.epoch}
        self._transactions.write(lambda connection, _: self._sql.release.run(connection, given))
        self._forget(lease)

    def _renew(self, lease: Lease) -> None:
        deadline = self._deadline()
        given = {"name": lease.instance, "mine": lease.epoch, "lease_s": self.lease_s}

        def work(connection: Connection, _: bool) -> None:
            if self._sql.hold_instance.first(connection, given) is None:
                raise self._stale(connection, lease.instance, lease.epoch)

        self._transactions.write(work, patience_s=0)
        lease.extend(deadline)

    # operations
    def begin(self, operation: Operation, owner: str, *, expected: int | None = None) -> tuple[Operation, Lease]:
        """With `expected`, raises Changed when the epoch was another one before."""
        begun = operation

        def write(connection: Connection, epoch: int, at: float) -> None:
            nonlocal begun
            if expected is not None and epoch != expected + 1:
                why = f"it has changed since (epoch {epoch - 1}, not {expected}); look at it again"
                raise Changed(f"cannot {operation.kind} {operation.instance}: {why}")
            self._must_be_at(connection, operation)
            begun = self._add(connection, replace(operation, status=RUNNING, created_at=at))

        lease, _ = self._claimed(operation.instance, owner, write)
        return begun, lease

    def _must_be_at(self, connection: Connection, operation: Operation) -> None:
        """Whoever wanted the operation may have looked before another one ended."""
        row = self._sql.home.first(connection, {"name": operation.instance})
        if row is None:
            raise Unknown(
                "instance", operation.instance, [r.name for r in self._sql.instance_names.all(connection, {})]
            )
        if row.gateway != operation.source:
            home, source = row.gateway or "nowhere", operation.source or "nowhere"
            why = f"it is at {home} by now, and not at {source}; look again with mdw status"
            raise Busy(f"cannot {operation.kind} {operation.instance}: {why}")

    def _add(self, connection: Connection, operation: Operation) -> Operation:
        """Writes it down, with an id of its own unless it has one."""
        while True:
            found = replace(operation, id=operation.id or new_id(operation.kind, operation.created_at))
            row = {
                name: getattr(found, name)
                for name in ("id", "kind", "application", "instance", "source", "target", "strategy", "status")
            }
            row |= {
                "reason": fit(found.reason),
                "error": fit(found.error),
                "created_at": found.created_at,
                "ended_at": None,
            }
            row["fenced"] = to_text(found.fenced) if found.fenced else None
            try:
                added = self._sql.add_operation.first(connection, row)
            except self._taken:
                connection.rollback()
                raise self._unfinished(connection, operation.instance) from None
            if added:
                return replace(found, created_at=added.created_at)
            if operation.id:
                raise JournalError(f"cannot begin {operation.id}: there is an operation with that id")

    def _unfinished(self, connection: Connection, instance: str) -> Busy:
        row = self._sql.unfinished.first(connection, {"name": instance})
        if row is None:
            return Busy(f"cannot work on {instance}: another operation has only just ended; try again", 0.0)
        doing = f"{row.kind} {row.id} of it is not ended ({row.status})"
        return Busy(f"cannot work on {instance}: {doing}; finish it with mdw resume {row.id}")

    def resume(self, operation_id: str, owner: str) -> tuple[Operation, Lease]:
        found = self.operation(operation_id)
        if found.status in ENDED:
            raise JournalError(f"cannot resume {operation_id}: it has ended, {found.status}")

        def write(connection: Connection, epoch: int, at: float) -> None:
            nonlocal found
            row = self._sql.resume.first(connection, {"op": operation_id})
            if row is None:
                raise Busy(f"cannot resume {operation_id}: another driver has only just ended it", 0.0)
            found = _operation(row)

        lease, _ = self._claimed(found.instance, owner, write)
        return found, lease

    def _claimed(
        self, instance: str, owner: str, write: Callable[[Connection, int, float], None], above: int = 0
    ) -> tuple[Lease, float]:
        """Takes the claim and writes what goes with it, in one transaction."""
        mine = self._mine.get(instance)
        ours = mine.epoch if mine and mine.owner == owner and not self._keeper.keeps(instance) else -1
        given = {"name": instance, "owner": owner, "lease_s": self.lease_s, "ours": ours, "above": above}
        deadline, tried = 0.0, (-1, 0.0)

        def work(connection: Connection, again: bool) -> tuple[int, float]:
            nonlocal deadline, tried
            asked = self._deadline()
            row = self._sql.take.first(connection, given)
            if row is None:
                held = {"name": instance, "mine": tried[0], "owner": owner}
                if again and self._sql.is_held.first(connection, held):
                    return tried  # it was done, and only the answer was lost
                raise self._busy(connection, instance)
            deadline, tried = asked, (row.epoch, row.at)
            write(connection, row.epoch, row.at)
            return tried

        epoch, at = self._transactions.write(work)
        lease = Lease(instance, epoch, owner, deadline, clock=self._clock)
        if mine:
            mine.lose(f"cannot go on with {instance}: {owner} has claimed it again")
        self._mine[instance] = lease
        return lease, at

    def _busy(self, connection: Connection, instance: str) -> Busy:
        row = self._sql.holder.first(connection, {"name": instance})
        if row is None or row.owner is None or row.left is None:
            return Busy(f"cannot claim {instance}: somebody has only just had it; try again", 0.0)
        left_s = max(row.left, 0.0)
        why = f"{row.owner} works on it, for {left_s:.1f} s more unless it goes on; wait for it, or try again then"
        return Busy(f"cannot claim {instance}: {why}", left_s)

    # what an operation writes
    def write(self, operation_id: str, entries: Sequence[Entry], claim: Claim) -> None:
        self._append(operation_id, entries, claim)

    def fence(self, operation_id: str, fenced: Fenced, claim: Claim) -> None:
        detail = {"by": fenced.by, "at": fenced.at, "because": fenced.because}

        def also(connection: Connection, at: float) -> None:
            self._sql.set_fenced.run(connection, {"op": operation_id, "new_fenced": to_text(fenced)})

        self._append(operation_id, [Entry("", FENCED, detail)], claim, also)

    def wait(self, operation_id: str, error: str, claim: Claim) -> None:
        def also(connection: Connection, at: float) -> None:
            given = {"op": operation_id, "new_status": WAITING, "new_error": fit(error), "at": None}
            self._sql.set_status.run(connection, given)

        self._append(operation_id, [], claim, also, give_back=WAITING)

    def end(self, operation_id: str, status: str, entries: Sequence[Entry], claim: Claim) -> None:
        if status not in ENDED:
            raise ValueError(f"cannot end {operation_id} as {status!r}")

        def also(connection: Connection, at: float) -> None:
            given = {"op": operation_id, "new_status": status, "new_error": "", "at": at}
            self._sql.set_status.run(connection, given)

        self._append(operation_id, entries, claim, also, give_back=status)

    def place(self, instance: str, gateway: str | None, claim: Claim) -> None:
        self._change(instance, self._sql.place, {"name": instance, "new_gateway": gateway}, claim)

    def halt(self, instance: str, stopped: bool, claim: Claim) -> None:
        self._change(instance, self._sql.halt, {"name": instance, "new_stopped": stopped}, claim)

    def _change(self, instance: str, statement: Prepared, changed: Mapping[str, object], claim: Claim) -> None:
        given = {"name": instance, "mine": claim.epoch, "lease_s": self.lease_s}
        deadline = self._deadline()

        def work(connection: Connection, _: bool) -> None:
            if self._sql.hold_instance.first(connection, given) is None:
                raise self._stale(connection, instance, claim.epoch)
            if not statement.run(connection, changed):
                raise JournalError(f"cannot change {instance}: there is no such instance; see mdw status")

        self._transactions.write(work, patience_s=self._patience_s(claim))
        _extend(claim, deadline)

    def _append(
        self,
        operation_id: str,
        new: Sequence[Entry],
        claim: Claim,
        also: Callable[[Connection, float], object] = lambda connection, at: None,
        *,
        give_back: str = "",
    ) -> None:
        """Appends them where the claim still holds; `also` is done with them, and then the claim is given back when
        that is the status to end with."""
        hold = self._sql.give_back if give_back else self._sql.hold
        given = {"op": operation_id, "mine": claim.epoch, "lease_s": self.lease_s}
        deadline, first = self._deadline(), 0

        def work(connection: Connection, again: bool) -> None:
            nonlocal first
            row = hold.first(connection, given)
            if again and self._is_done(connection, operation_id, claim.epoch, first, give_back):
                return
            if row is None:
                raise self._not_held(connection, operation_id, claim.epoch)
            first = (row.last or 0) + 1
            for line in _rows(operation_id, new, claim.epoch, first, row.at):
                self._sql.add_entry.run(connection, line)
            also(connection, row.at)

        self._transactions.write(work, patience_s=self._patience_s(claim))
        if give_back:
            self._forget(claim)
        else:
            _extend(claim, deadline)

    def _is_done(self, connection: Connection, operation_id: str, epoch: int, first: int, status: str) -> bool:
        """Whether an earlier try was done after all, and only its answer was lost."""
        if status:
            found = self._sql.given_back.first(connection, {"op": operation_id, "mine": epoch})
            return found is not None and found.status == status
        given = {"op": operation_id, "mine": epoch, "first": first}
        return self._sql.entry.first(connection, given) is not None

    def _not_held(self, connection: Connection, operation_id: str, epoch: int) -> Exception:
        row = self._sql.instance_of.first(connection, {"op": operation_id})
        if row is None:
            return self._unknown(connection, operation_id)
        return self._stale(connection, row.instance, epoch)

    def _stale(self, connection: Connection, instance: str, epoch: int) -> Stale:
        row = self._sql.holder.first(connection, {"name": instance})
        if row is None or (row.epoch == epoch and row.owner is None):
            return Stale(f"cannot go on with {instance}: the claim was given back")
        who = f"{row.owner} has taken over" if row.owner else "somebody has taken over, and ended"
        return Stale(f"cannot go on with {instance}: {who} (epoch {row.epoch}, ours is {epoch})")

    # reading
    def entries(self, operation_id: str) -> list[Entry]:
        rows = self._transactions.read(lambda connection: self._sql.entries.all(connection, {"op": operation_id}))
        return [_entry(row) for row in rows]

    def entries_of(self, operation_ids: Collection[str]) -> Mapping[str, Sequence[Entry]]:
        """The same of several operations."""
        found: dict[str, list[Entry]] = {each: [] for each in operation_ids}
        for row in self._transactions.read(lambda c: self._sql.entries_of.all(c, operation_ids, {})):
            found[row.operation].append(_entry(row))
        return found

    def operation(self, operation_id: str) -> Operation:
        """Raises Unknown."""

        def find(connection: Connection) -> Operation:
            row = self._sql.operation.first(connection, {"op": operation_id})
            if row is None:
                raise self._unknown(connection, operation_id)
            return _operation(row)

        return self._transactions.read(find)

    def operations(
        self,
        *,
        application: str | None = None,
        applications: Collection[str] | None = None,
        instance: str | None = None,
        status: str | None = None,
        kind: str | None = None,
        before: Operation | None = None,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> list[Operation]:
        """Those that are all of what is given, in the order of their beginning; of any of the `applications`; and that
        began `before` another one."""
        wanted = {"application": application, "instance": instance, "status": status, "kind": kind}
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        unended = status is not None and status not in ENDED  # few, and found by an index
        query = self._sql.operations(*given, unended=unended, later=before is not None, newest_first=newest_first)
        if before is not None:
            given |= {"before_at": before.created_at, "before_id": before.id}
        given["most"] = ALL if limit is None else limit
        rows = self._transactions.read(lambda connection: query.all(connection, applications, given))
        return [_operation(row) for row in rows]

    def unended(self, instances: Collection[str]) -> Mapping[str, Operation]:
        """By instance, the operation of it that is not ended; there is one at most."""
        rows = self._transactions.read(lambda connection: self._sql.unended.all(connection, instances, {}))
        return {row.instance: _operation(row) for row in rows}

    def abandoned(self) -> list[Operation]:
        """Those that are not ended and that nobody works on: what waits, what was handed over, and what somebody died
        over, once the lease has run out. Oldest first."""
        rows = self._transactions.read(lambda connection: self._sql.abandoned.all(connection, {}))
        return [_operation(row) for row in rows]

    def _unknown(self, connection: Connection, operation_id: str) -> Unknown:
        known = select(operations.c.id).order_by(operations.c.created_at.desc()).limit(500)
        return Unknown("operation", operation_id, connection.execute(known).scalars())

    # keeping house
    def prune(self, before: float) -> int:
        """Forgets the operations that ended before that time (seconds since 1970); how many they were."""
        ended = select(operations.c.id).where(operations.c.ended_at < before).limit(_PRUNED_AT_ONCE)

        def work(connection: Connection, _: bool) -> int:
            ids = list(connection.execute(ended).scalars())
            connection.execute(delete(entries).where(entries.c.operation.in_(ids)))
            connection.execute(delete(operations).where(operations.c.id.in_(ids)))
            return len(ids)

        pruned = 0
        while some := self._transactions.write(work):
            pruned += some
        return pruned

    # leases
    def _deadline(self) -> float:
        return self._clock() + self.lease_s * (1 - MARGIN)

    def _patience_s(self, claim: Claim) -> float | None:
        return claim.deadline - self._clock() if isinstance(claim, Lease) else None

    def _forget(self, claim: Claim) -> None:
        if isinstance(claim, Lease):
            claim.lose(f"cannot go on with {claim.instance}: the claim was given back")
            if self._mine.get(claim.instance) is claim:
                del self._mine[claim.instance]


def _lease(claim: Claim) -> Lease:
    if not isinstance(claim, Lease):
        raise TypeError(f"cannot keep or release {claim!r}: it is no lease of this journal")
    return claim


def _extend(claim: Claim, deadline: float) -> None:
    if isinstance(claim, Lease):
        claim.extend(deadline)


def _rows(operation_id: str, new: Sequence[Entry], epoch: int, first: int, at: float) -> list[dict[str, Any]]:
    return [
        {
            "operation": operation_id,
            "seq": first + number,
            "step": entry.step,
            "phase": entry.phase,
            "detail": to_text(entry.detail),
            "epoch": epoch,
            "at": at,
        }
        for number, entry in enumerate(new)
    ]


def _entry(row: Any) -> Entry:
    return Entry(row.step, row.phase, {} if row.detail == "{}" else json.loads(row.detail), row.epoch, row.at)


def _operation(row: Row[Any]) -> Operation:
    values = row._asdict()
    return Operation(**values | {"fenced": to_fenced(row.fenced)})
