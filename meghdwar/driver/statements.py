"""What the journal says to its database, made once: an operation's writes are two or three of these each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from sqlalchemy import Dialect, Float, bindparam, case, func, insert, or_, select, tuple_, update

from meghdwar.driver.operation import RUNNING
from meghdwar.driver.tables import claims, entries, instances, now, operations
from meghdwar.driver.transactions import Prepared, Several

_mine: Any = bindparam("mine")
_op: Any = bindparam("op")
_name: Any = bindparam("name")
_until = now() + bindparam("lease_s")
TICK_S = 1e-6
STEP_S = 1.0  # a clock that was set back by more than this is believed


def insert_of(dialect: str) -> Any:
    """Each dialect has an INSERT of its own; importing one that is not used takes longer than using it."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert


# claims
def take(dialect: str) -> Any:
    """Compare and set: one epoch more, where nobody holds it, or the lease has run out, or we hold it as `ours`."""
    new = insert_of(dialect)(claims).values(
        instance=_name, epoch=bindparam("above") + 1, owner=bindparam("owner"), lease_until=_until
    )
    free = or_(claims.c.owner.is_(None), claims.c.lease_until < now(), claims.c.epoch == bindparam("ours"))
    epoch = func.max if dialect == "sqlite" else func.greatest
    return new.on_conflict_do_update(
        index_elements=[claims.c.instance],
        set_={
            "epoch": epoch(claims.c.epoch + 1, new.excluded.epoch),
            "owner": new.excluded.owner,
            "lease_until": now() + bindparam("lease_s"),
        },
        where=free,
    ).returning(claims.c.epoch, now().label("at"))


HOLDER = select(claims.c.epoch, claims.c.owner, (claims.c.lease_until - now()).label("left")).where(
    claims.c.instance == _name
)
IS_HELD = select(claims.c.epoch).where(
    claims.c.instance == _name, claims.c.epoch == _mine, claims.c.owner == bindparam("owner")
)
PLACE = update(instances).where(instances.c.name == _name).values(gateway=bindparam("new_gateway"), stopped=False)
HALT = update(instances).where(instances.c.name == _name).values(stopped=bindparam("new_stopped"))
RELEASE = update(claims).where(claims.c.instance == _name, claims.c.epoch == _mine).values(owner=None, lease_until=None)

# Each write begins with one of these: it locks the row of the claim, and finds it only where the claim still holds.
_of_operation = select(operations.c.instance).where(operations.c.id == _op).scalar_subquery()
_last = select(func.max(entries.c.seq)).where(entries.c.operation == _op).scalar_subquery().label("last")
_held = update(claims).where(claims.c.epoch == _mine, claims.c.owner.is_not(None))
HOLD_INSTANCE = _held.where(claims.c.instance == _name).values(lease_until=_until).returning(now().label("at"))
HOLD = _held.where(claims.c.instance == _of_operation).values(lease_until=_until).returning(now().label("at"), _last)
GIVE_BACK = (
    _held.where(claims.c.instance == _of_operation)
    .values(owner=None, lease_until=None)
    .returning(now().label("at"), _last)
)
GIVEN_BACK = select(operations.c.status).where(
    operations.c.id == _op,
    claims.c.instance == operations.c.instance,
    claims.c.epoch == _mine,
    claims.c.owner.is_(None),
)


# operations
def add_operation(dialect: str) -> Any:
    """It returns a row where the id was free. What begins later has a later time, also within the millisecond that is
    all that the clock of SQLite tells apart."""
    at: Any = bindparam("created_at", type_=Float())
    after: Any = select(func.coalesce(func.max(operations.c.created_at), 0.0) + TICK_S).scalar_subquery()
    row: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in operations.c}
    row["created_at"] = case((or_(at > after, at < after - STEP_S), at), else_=after)
    new = insert_of(dialect)(operations).values(row).on_conflict_do_nothing(index_elements=[operations.c.id])
    return new.returning(operations.c.created_at)


HOME = select(instances.c.gateway).where(instances.c.name == _name)
INSTANCE_NAMES = select(instances.c.name)
UNFINISHED = select(operations).where(operations.c.instance == _name, operations.c.ended_at.is_(None))
OPERATION = select(operations).where(operations.c.id == _op)
RESUME = (
    update(operations)
    .where(operations.c.id == _op, operations.c.ended_at.is_(None))
    .values(status=RUNNING, error="")
    .returning(*operations.c)
)
SET_FENCED = update(operations).where(operations.c.id == _op).values(fenced=bindparam("new_fenced"))
SET_STATUS = (
    update(operations)
    .where(operations.c.id == _op)
    .values(status=bindparam("new_status"), error=bindparam("new_error"), ended_at=bindparam("at"))
)
ABANDONED = (
    select(operations)
    .join(claims, claims.c.instance == operations.c.instance)
    .where(operations.c.ended_at.is_(None), or_(claims.c.owner.is_(None), claims.c.lease_until < now()))
    .order_by(operations.c.created_at, operations.c.id)
)

# entries
ADD_ENTRY = insert(entries)
ENTRIES = select(entries).where(entries.c.operation == _op).order_by(entries.c.seq)
INSTANCE_OF = select(operations.c.instance).where(operations.c.id == _op)
ENTRY = select(entries.c.seq).where(
    entries.c.operation == _op, entries.c.epoch == _mine, entries.c.seq == bindparam("first")
)


def entries_of(names: Sequence[Any]) -> Any:
    return select(entries).where(entries.c.operation.in_(names)).order_by(entries.c.operation, entries.c.seq)


def unended(names: Sequence[Any]) -> Any:
    return select(operations).where(operations.c.instance.in_(names), operations.c.ended_at.is_(None))


def operations_that(
    given: Sequence[str], names: Sequence[Any], *, unended: bool, later: bool, newest_first: bool
) -> Any:
    """Those that are all of what is `given`, columns by name, of the applications with these `names`; with `later`,
    that began before another one."""
    order: list[Any] = [operations.c.created_at, operations.c.id]
    query = select(operations).where(*(operations.c[name] == bindparam(name) for name in given))
    if unended:
        query = query.where(operations.c.ended_at.is_(None))
    if names:
        query = query.where(operations.c.application.in_(names))
    if later:
        query = query.where(tuple_(*order) < tuple_(bindparam("before_at"), bindparam("before_id")))
    return query.order_by(*(column.desc() if newest_first else column for column in order)).limit(bindparam("most"))


class Statements:
    """Each of them, compiled for one database."""

    def __init__(self, dialect: Dialect) -> None:
        def prepared(statement: Any) -> Prepared:
            return Prepared(statement, dialect)

        # claims
        self.take, self.release = prepared(take(dialect.name)), prepared(RELEASE)
        self.holder, self.is_held = prepared(HOLDER), prepared(IS_HELD)
        self.hold, self.hold_instance = prepared(HOLD), prepared(HOLD_INSTANCE)
        self.give_back, self.given_back = prepared(GIVE_BACK), prepared(GIVEN_BACK)
        # operations
        self.add_operation, self.operation = prepared(add_operation(dialect.name)), prepared(OPERATION)
        self.set_status, self.set_fenced = prepared(SET_STATUS), prepared(SET_FENCED)
        self.unended = Several(unended, dialect)

        def listed(*given: str, unended: bool, later: bool, newest_first: bool) -> Several:
            wanted = partial(operations_that, given, unended=unended, later=later, newest_first=newest_first)
            return Several(wanted, dialect)

        self.operations = lru_cache(64)(listed)
        self.resume, self.unfinished, self.abandoned = prepared(RESUME), prepared(UNFINISHED), prepared(ABANDONED)
        # entries
        self.add_entry, self.entry, self.entries = prepared(ADD_ENTRY), prepared(ENTRY), prepared(ENTRIES)
        self.entries_of = Several(entries_of, dialect)
        # instances
        self.home, self.place, self.halt = prepared(HOME), prepared(PLACE), prepared(HALT)
        self.instance_of = prepared(INSTANCE_OF)
        self.instance_names = prepared(INSTANCE_NAMES)
