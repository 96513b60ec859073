"""The inventory in a database: gateways, applications, instances and subscribers by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Select, bindparam, delete, exists, func, select, union_all, update

from meghdwar.driver.inventory import (
    ApplicationRecord,
    GatewayRecord,
    InstanceRecord,
    SubscriberRecord,
    Taken,
    Task,
    Unknown,
)
from meghdwar.driver.plain import fit, to_access, to_instance, to_text
from meghdwar.driver.statements import insert_of
from meghdwar.driver.tables import (
    applications,
    claims,
    gateways,
    instances,
    leavings,
    now,
    operations,
    subscribers,
    tasks,
)
from meghdwar.driver.transactions import ALL, Prepared, Several, Transactions

PATIENCE_S = 10.0
_INSTANCES = select(instances, claims.c.epoch, claims.c.owner, claims.c.lease_until).outerjoin(
    claims, claims.c.instance == instances.c.name
)
_name: Any = bindparam("name")
_application_is = subscribers.c.application == bindparam("application")
_SUBSCRIBER = select(subscribers).where(_application_is, subscribers.c.name == _name)
_PUT_SUBSCRIBER = (
    update(subscribers)
    .where(_application_is, subscribers.c.name == _name, subscribers.c.seen_at == bindparam("expected"))
    .values(seen_at=bindparam("new_seen_at"), state=bindparam("new_state"))
)
_NEW_SUBSCRIBER = {
    "application": bindparam("application"),
    "name": _name,
    "seen_at": bindparam("new_seen_at"),
    "state": bindparam("new_state"),
}
_at = instances.c.gateway == bindparam("gateway")
_COUNT_AT = select(
    (
        select(func.count()).select_from(instances).where(_at).scalar_subquery()
        + select(func.count())
        .select_from(operations)
        .where(
            operations.c.target == bindparam("gateway"),
            operations.c.ended_at.is_(None),
            ~exists().where(instances.c.name == operations.c.instance, _at),
        )
        .scalar_subquery()
    ).label("there")
)


_ON_THE_WAY = (
    select(operations.c.target.label("gateway"), func.count().label("there"))
    .where(
        operations.c.target.is_not(None),
        operations.c.ended_at.is_(None),
        ~exists().where(instances.c.name == operations.c.instance, instances.c.gateway == operations.c.target),
    )
    .group_by(operations.c.target)
)
_COUNTS = union_all(
    select(instances.c.gateway.label("gateway"), func.count().label("there"))
    .where(instances.c.gateway.is_not(None))
    .group_by(instances.c.gateway),
    _ON_THE_WAY,
)


def _instances_of(dialect: Dialect, *, at_gateway: bool) -> Callable[[Sequence[Any]], Any]:
    # the order of Python's text, whatever the order of the database
    ordered: Any = instances.c.name if dialect.name == "sqlite" else instances.c.name.collate("C")
    query = _INSTANCES.where(ordered > bindparam("after")).order_by(ordered).limit(bindparam("most"))
    if at_gateway:
        query = query.where(_at)
    return lambda names: query.where(instances.c.application.in_(names)) if names else query


def _homes_of(names: Sequence[Any]) -> Any:
    query = select(instances.c.application, instances.c.name, instances.c.gateway).order_by(instances.c.name)
    return query.where(instances.c.application.in_(names)) if names else query


class SqlInventory:
    """Each call is one transaction. What is asked for by a name that nobody has raises Unknown; JournalError is raised
    when the database cannot be used. To add what is there already changes nothing; another value under its name is
    Taken, unless it is to `replace` it. To remove what is not there is done."""

    def __init__(self, engine: Engine) -> None:
        self._transactions = Transactions(engine, PATIENCE_S)
        self._insert = insert_of(engine.dialect.name)
        # what every move and sighting asks for
        self._gateway = Prepared(select(gateways).where(gateways.c.name == _name), engine.dialect)
        self._applications = Prepared(select(applications), engine.dialect)
        self._application = Prepared(select(applications).where(applications.c.name == _name), engine.dialect)
        self._instance = Prepared(_INSTANCES.where(instances.c.name == _name), engine.dialect)
        self._subscriber = Prepared(_SUBSCRIBER, engine.dialect)
        self._put_subscriber = Prepared(_PUT_SUBSCRIBER, engine.dialect)
        new = self._insert(subscribers).values(_NEW_SUBSCRIBER).on_conflict_do_nothing()
        self._add_subscriber = Prepared(new, engine.dialect)
        self._count_at = Prepared(_COUNT_AT, engine.dialect)
        # what lists are made of
        self._gateways = Prepared(select(gateways), engine.dialect)
        self._counts = Prepared(_COUNTS, engine.dialect)
        self._tasks = Prepared(select(tasks).order_by(tasks.c.asked_at, tasks.c.application), engine.dialect)
        mine = applications.c.project == bindparam("project")
        self._applications_of = Prepared(select(applications).where(mine), engine.dialect)
        self._names_of = Prepared(select(applications.c.name).where(mine), engine.dialect)
        self._homes_of = Several(_homes_of, engine.dialect)
        self._instances_of = {
            at_gateway: Several(_instances_of(engine.dialect, at_gateway=at_gateway), engine.dialect)
            for at_gateway in (False, True)
        }

    # gateways
    def gateways(self) -> list[GatewayRecord]:
        return [_gateway(row) for row in self._all(self._gateways)]

    def gateway(self, name: str) -> GatewayRecord:
        return _gateway(self._one("gateway", self._gateway, select(gateways.c.name), name))

    def add_gateway(self, record: GatewayRecord, *, replace: bool = False) -> None:
        def work(connection: Connection, _: bool) -> None:
            row = connection.execute(select(gateways).where(gateways.c.name == record.name)).first()
            if row is None:
                at = record.added_at or now()
                values = {"name": record.name, "access": to_text(record.access), "added_at": at}
                connection.execute(self._insert(gateways).values(values).on_conflict_do_nothing())
            elif to_access(row.access) != record.access:
                _may_replace("gateway", record.name, replace, "mdw gateway remove")
                changed = {"access": to_text(record.access)}
                connection.execute(update(gateways).where(gateways.c.name == record.name).values(changed))

        self._transactions.write(work)

    def remove_gateway(self, name: str) -> None:
        """Taken while instances are there, or on their way to it."""

        def work(connection: Connection, _: bool) -> None:
            if there := self._count_at.all(connection, {"gateway": name})[0].there:
                raise Taken(f"cannot remove gateway {name}: {there} instances are there; move them elsewhere first")
            connection.execute(delete(gateways).where(gateways.c.name == name))

        self._transactions.write(work)

    def count_at(self, gateway: str) -> int:
        """How many instances are at the gateway, or on their way to it."""
        given = {"gateway": gateway}
        return int(self._transactions.read(lambda connection: self._count_at.all(connection, given)[0].there))

    def counts(self) -> Mapping[str, int]:
        """The same of every gateway where there are any."""
        found: dict[str, int] = {}
        for row in self._transactions.read(lambda connection: self._counts.all(connection, {})):
            found[row.gateway] = found.get(row.gateway, 0) + int(row.there)
        return found

    # applications
    def applications(self, project: str | None = None) -> list[ApplicationRecord]:
        """All of them, or those of one project."""
        query = self._applications if project is None else self._applications_of
        return [_application(row) for row in self._all(query, {} if project is None else {"project": project})]

    def application_names(self, project: str) -> list[str]:
        """Those of one project, without their plans."""
        return [row.name for row in self._all(self._names_of, {"project": project})]

    def application(self, name: str) -> ApplicationRecord:
        return _application(self._one("application", self._application, select(applications.c.name), name))

    def add_application(self, record: ApplicationRecord, *, replace: bool = False) -> None:
        values = {name: getattr(record, name) for name in ApplicationRecord.__dataclass_fields__}

        def work(connection: Connection, _: bool) -> None:
            row = connection.execute(select(applications).where(applications.c.name == record.name)).first()
            if row is None:
                connection.execute(self._insert(applications).values(values).on_conflict_do_nothing())
            elif _application(row) != record:
                _may_replace("application", record.name, replace, "mdw down")
                connection.execute(update(applications).where(applications.c.name == record.name).values(values))

        self._transactions.write(work)

    def remove_application(self, name: str) -> None:
        """Its subscribers go with it. Taken while it has instances."""

        def work(connection: Connection, _: bool) -> None:
            count = select(func.count()).select_from(instances).where(instances.c.application == name)
            if there := connection.execute(count).scalar_one():
                raise Taken(f"cannot remove application {name}: {there} instances of it are left; mdw down ends them")
            connection.execute(delete(subscribers).where(subscribers.c.application == name))
            connection.execute(delete(tasks).where(tasks.c.application == name))
            connection.execute(delete(leavings).where(leavings.c.application == name))
            connection.execute(delete(applications).where(applications.c.name == name))

        self._transactions.write(work)

    def leavings(self, application: str) -> list[str]:
        """The policies that the stack of an application leaves behind, by id."""
        query = select(leavings.c.policy).where(leavings.c.application == application)
        return sorted(self._names(query))

    def add_leavings(self, application: str, policies: Sequence[str]) -> None:
        rows = [{"application": application, "policy": policy} for policy in policies]
        if rows:
            add = self._insert(leavings).values(rows).on_conflict_do_nothing()
            self._transactions.write(lambda connection, _: connection.execute(add))

    # tasks
    def tasks(self) -> list[Task]:
        """The oldest first."""
        rows = self._transactions.read(lambda connection: self._tasks.all(connection, {}))
        return [Task(**row._asdict()) for row in rows]

    def find_task(self, application: str) -> Task | None:
        query = select(tasks).where(tasks.c.application == application)
        row = self._transactions.read(lambda connection: connection.execute(query).first())
        return None if row is None else Task(**row._asdict())

    def put_task(self, task: Task) -> None:
        """Instead of the one that the application has."""
        values = {"act": task.act, "error": fit(task.error), "asked_at": task.asked_at or now()}
        new = self._insert(tasks).values(application=task.application, **values)
        put = new.on_conflict_do_update(index_elements=[tasks.c.application], set_=values)
        self._transactions.write(lambda connection, _: connection.execute(put))

    def fail_task(self, application: str, act: str, error: str) -> None:
        """Notes why it was not done, unless something else was asked for since."""
        same = (tasks.c.application == application, tasks.c.act == act)
        note = update(tasks).where(*same).values(error=fit(error))
        self._transactions.write(lambda connection, _: connection.execute(note))

    def end_task(self, application: str, act: str) -> None:
        """It is done. Whatever else was asked for since stays."""
        done = delete(tasks).where(tasks.c.application == application, tasks.c.act == act)
        self._transactions.write(lambda connection, _: connection.execute(done))

    # instances
    def instances(self, application: str | None = None, gateway: str | None = None) -> list[InstanceRecord]:
        query = _INSTANCES
        if application is not None:
            query = query.where(instances.c.application == application)
        if gateway is not None:
            query = query.where(instances.c.gateway == gateway)
        return [_instance(row) for row in self._all(query)]

    def instances_of(
        self,
        applications: Collection[str] | None,
        *,
        gateway: str | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> list[InstanceRecord]:
        """Those of some applications (None: of all) in the order of their names; from the one after `after` on."""
        query = self._instances_of[gateway is not None]
        given = {"after": after, "most": ALL if limit is None else limit, "gateway": gateway}
        return [_instance(row) for row in self._transactions.read(lambda c: query.all(c, applications, given))]

    def homes_of(self, applications: Collection[str]) -> list[tuple[str, str, str | None]]:
        """Application, name and gateway of each instance of these applications."""
        rows = self._transactions.read(lambda c: self._homes_of.all(c, applications, {}))
        return [(row.application, row.name, row.gateway) for row in rows]

    def instance(self, name: str) -> InstanceRecord:
        return _instance(self._one("instance", self._instance, select(instances.c.name), name))

    def find_instance(self, name: str) -> InstanceRecord | None:
        """The same, or None: quicker than Unknown where nobody has misspelt anything."""
        row = self._transactions.read(lambda connection: self._instance.first(connection, {"name": name}))
        return None if row is None else _instance(row)

    def add_instance(self, record: InstanceRecord, *, replace: bool = False) -> None:
        """Its epoch and its lease are the journal's, and not taken from the record; its gateway is, when it is new."""
        values = {"application": record.instance.application, "instance": to_text(record.instance)}

        def work(connection: Connection, _: bool) -> None:
            row = connection.execute(select(instances).where(instances.c.name == record.name)).first()
            if row is None:
                whole = values | {"name": record.name, "gateway": record.gateway}
                connection.execute(self._insert(instances).values(whole).on_conflict_do_nothing())
            elif to_instance(row.instance) != record.instance:
                _may_replace("instance", record.name, replace, "mdw down")
                connection.execute(update(instances).where(instances.c.name == record.name).values(values))

        self._transactions.write(work)

    def remove_instance(self, name: str) -> None:
        """Taken while an operation of it is not ended. Its epoch is kept for whatever may be built under its name."""

        def work(connection: Connection, _: bool) -> None:
            query = select(operations.c.id).where(operations.c.instance == name, operations.c.ended_at.is_(None))
            if (unfinished := connection.execute(query).scalar()) is not None:
                raise Taken(
                    f"cannot remove instance {name}: {unfinished} is not ended; mdw resume {unfinished} ends it"
                )
            connection.execute(delete(instances).where(instances.c.name == name))

        self._transactions.write(work)

    # subscribers
    def subscribers(self, application: str) -> list[SubscriberRecord]:
        return [
            _subscriber(row) for row in self._all(select(subscribers).where(subscribers.c.application == application))
        ]

    def subscriber(self, application: str, name: str) -> SubscriberRecord:
        found = self.find_subscriber(application, name)
        if found is None:
            query = select(subscribers.c.name).where(subscribers.c.application == application)
            raise Unknown("subscriber", name, self._names(query))
        return found

    def find_subscriber(self, application: str, name: str) -> SubscriberRecord | None:
        given = {"application": application, "name": name}
        row = self._transactions.read(lambda connection: self._subscriber.first(connection, given))
        return None if row is None else _subscriber(row)

    def put_subscriber(self, record: SubscriberRecord, *, expected_seen_at: float | None) -> bool:
        """Compare and set: whether the record was put in the place of one that was seen at exactly that time; None, or
        0.0, stands for one that is not there yet."""
        [done] = self.put_subscribers([(record, expected_seen_at)])
        return done

    def put_subscribers(self, records: Sequence[tuple[SubscriberRecord, float | None]]) -> list[bool]:
        """The same with several, each with the time that is expected; the one has nothing to do with the other."""
        # in the same order for everybody: two who wait for each other's rows would wait for ever
        order = sorted(
            range(len(records)), key=lambda number: (records[number][0].application, records[number][0].name)
        )

        def work(connection: Connection, again: bool) -> list[bool]:
            done = {number: self._put(connection, *records[number], again) for number in order}
            return [done[number] for number in range(len(records))]

        return self._transactions.write(work) if records else []

    def _put(self, connection: Connection, record: SubscriberRecord, expected: float | None, again: bool) -> bool:
        key = {"application": record.application, "name": record.name}
        given = key | {"new_seen_at": record.seen_at, "new_state": record.state}
        if self._put_subscriber.run(connection, given | {"expected": expected or 0.0}):
            return True
        if not expected and self._add_subscriber.run(connection, given):
            return True
        there = self._subscriber.first(connection, key) if again else None
        return there is not None and _subscriber(there) == record

    def _all(self, query: Select[Any] | Prepared, given: Mapping[str, Any] = MappingProxyType({})) -> list[Any]:
        def read(connection: Connection) -> list[Any]:
            found = query.all(connection, given) if isinstance(query, Prepared) else connection.execute(query).all()
            return list(found)

        rows = self._transactions.read(read)
        return sorted(rows, key=lambda row: str(row.name))  # every database sorts text in its own way

    def _one(self, what: str, query: Prepared, names: Select[Any], name: str) -> Any:
        row = self._transactions.read(lambda connection: query.first(connection, {"name": name}))
        if row is None:
            raise Unknown(what, name, self._names(names))
        return row

    def _names(self, query: Select[Any]) -> list[str]:
        return self._transactions.read(lambda connection: list(connection.execute(query).scalars()))


def _may_replace(what: str, name: str, replace: bool, way_out: str) -> None:
    if not replace:
        raise Taken(f"cannot add {what} {name}: there is another one of that name; {way_out} {name} removes it")


def _gateway(row: Any) -> GatewayRecord:
    return GatewayRecord(to_access(row.access), row.added_at)


def _application(row: Any) -> ApplicationRecord:
    return ApplicationRecord(**row._asdict())


def _instance(row: Any) -> InstanceRecord:
    return InstanceRecord(
        to_instance(row.instance), row.gateway, row.epoch or 0, row.owner, row.lease_until, bool(row.stopped)
    )


def _subscriber(row: Any) -> SubscriberRecord:
    return SubscriberRecord(**row._asdict())
