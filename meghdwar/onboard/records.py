"""The catalogue in the driver's database: each call is one transaction, and what subscribers are to be told of a change
is written down in the same one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from meghdwar.driver.database import Database
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.driver.tables import (
    now,
    package_notifications,
    package_subscriptions,
    package_uses,
    packages,
)
from meghdwar.driver.transactions import Prepared, Transactions
from meghdwar.onboard import wishes
from meghdwar.onboard.record import UNFINISHED, Event, Found, PackageRecord, Subscription

PATIENCE_S = 10.0
LETTERS_KEPT_MAX = 2**14  # of what was found in a package
_USED = exists().where(package_uses.c.package == packages.c.id).label("in_use")
_SELECT = select(packages, _USED)
_ONE = _SELECT.where(packages.c.id == bindparam("name"))
_PAGE = (
    _SELECT.where(
        packages.c.project == bindparam("project"),
        or_(
            packages.c.created_at > bindparam("at"),
            (packages.c.created_at == bindparam("at")) & (packages.c.id > bindparam("name")),
        ),
    )
    .order_by(packages.c.created_at, packages.c.id)
    .limit(bindparam("count"))
)
_FIRST = (-1.0, "")  # before every package

# an event and who wants to hear of it -> what they are told, as JSON
Body = Callable[[Event, Subscription], str]


class Records:
    def __init__(self, database: Database, body: Body) -> None:
        self._transactions = Transactions(database.engine, PATIENCE_S)
        self._body = body
        # what every request asks for
        self._one, self._page = Prepared(_ONE, database.engine.dialect), Prepared(_PAGE, database.engine.dialect)

    # packages
    def add(self, project: str, user_data: Mapping[str, Any]) -> PackageRecord:
        name = str(uuid4())
        values = {
            "id": name, "project": project, "onboarding_state": "CREATED", "operational_state": "DISABLED",
            "user_data": json.dumps(user_data), "created_at": now(),
        }  # fmt: skip

        def work(connection: Connection, again: bool) -> PackageRecord:
            found = self._find(connection, name) if again else None
            if found is None:
                connection.execute(insert(packages).values(values))
            return found or self._known(connection, name)

        return self._transactions.write(work)

    def get(self, name: str, project: str | None = None) -> PackageRecord:
        """Raises Unknown, also for what is another project's."""
        found = self._transactions.read(lambda connection: self._find(connection, name))
        if found is None or project not in (None, found.project):
            raise Unknown("package", name, ())
        return found

    def page(self, project: str, after: tuple[float, str] | None, limit: int) -> list[PackageRecord]:
        """The next ones after (created_at, id), oldest first."""
        at, name = after or _FIRST
        given = {"project": project, "at": at, "name": name, "count": limit}
        return [_record(row) for row in self._transactions.read(lambda c: self._page.all(c, given))]

    def unfinished(self) -> list[PackageRecord]:
        """Of all projects: what is on its way in."""
        query = _SELECT.where(packages.c.onboarding_state.in_(UNFINISHED)).order_by(packages.c.created_at)
        return [_record(row) for row in self._transactions.read(lambda c: c.execute(query).all())]

    def is_referred_to(self, digest: str) -> bool:
        query = select(packages.c.id).where(packages.c.digest == digest).limit(1)
        return self._transactions.read(lambda connection: connection.execute(query).first()) is not None

    def change(
        self, record: PackageRecord, changed: PackageRecord, event: str = "", *, taken: str = ""
    ) -> PackageRecord:
        """Writes what was changed; raises Taken, and changes nothing, when the package is not as `record` says any
        more, or another one has its vnfd id: then with the words of `taken`."""

        def work(connection: Connection, again: bool) -> PackageRecord:
            statement = update(packages).where(*_as(record)).values(_values(changed))
            if connection.execute(statement).rowcount == 0:
                found = self._find(connection, record.id)
                if again and found is not None and replace(found, in_use=changed.in_use) == changed:
                    return found
                if found is None:
                    raise Unknown("package", record.id, ())
                raise Taken(f"cannot change package {record.id}: it is {_state(found)} by now")
            found = self._known(connection, record.id)
            self._note(connection, event, found)
            return found

        try:
            return self._transactions.write(_told(work, taken))
        except _AnotherError as error:
            raise Taken(str(error)) from None

    def remove(self, record: PackageRecord, event: str) -> None:
        """Raises Taken when it is not as `record` says any more, or in use."""

        def work(connection: Connection, again: bool) -> None:
            unused = ~exists().where(package_uses.c.package == record.id)
            if connection.execute(delete(packages).where(*_as(record), unused)).rowcount:
                self._note(connection, event, record)
                return
            found = self._find(connection, record.id)
            if found is None and not again:
                raise Unknown("package", record.id, ())
            if found is not None:
                raise Taken(f"cannot delete package {record.id}: it is {_state(found)} by now")

        self._transactions.write(work)

    # who uses them
    def use(self, record: PackageRecord, application: str) -> None:
        """An application is made of it; raises Taken when it is not as `record` says any more."""

        def work(connection: Connection, _: bool) -> None:
            locked = select(packages.c.id).where(*_as(record)).with_for_update()
            if connection.execute(locked).first() is None:
                raise Taken(f"cannot use package {record.id}: it has changed; look at it again")
            used = select(package_uses).where(
                package_uses.c.package == record.id, package_uses.c.application == application
            )
            if connection.execute(used).first() is None:
                connection.execute(insert(package_uses).values(package=record.id, application=application))

        self._transactions.write(work)

    def unuse(self, application: str) -> None:
        statement = delete(package_uses).where(package_uses.c.application == application)
        self._transactions.write(lambda connection, _: connection.execute(statement))

    # subscriptions
    def subscribe(self, subscription: Subscription) -> Subscription:
        values = {
            "id": subscription.id, "project": subscription.project, "callback": subscription.callback,
            "filter": json.dumps(subscription.filter, sort_keys=True),
            "authentication": json.dumps(subscription.authentication), "created_at": now(),
        }  # fmt: skip

        def work(connection: Connection, again: bool) -> None:
            same = select(package_subscriptions.c.id).where(
                package_subscriptions.c.project == subscription.project,
                package_subscriptions.c.callback == subscription.callback,
                package_subscriptions.c.filter == values["filter"],
            )
            found = connection.execute(same).scalar()
            if found is not None and not (again and found == subscription.id):
                raise AlreadyThere(found)
            if found is None:
                connection.execute(insert(package_subscriptions).values(values))

        self._transactions.write(work)
        return self.subscription(subscription.id, subscription.project)

    def subscription(self, name: str, project: str) -> Subscription:
        query = select(package_subscriptions).where(
            package_subscriptions.c.id == name, package_subscriptions.c.project == project
        )
        row = self._transactions.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise Unknown("subscription", name, ())
        return _subscription(row)

    def subscriptions(self, project: str, after: tuple[float, str] | None, limit: int) -> list[Subscription]:
        table = package_subscriptions
        query = select(table).where(table.c.project == project).order_by(table.c.created_at, table.c.id)
        if after is not None:
            at, name = after
            query = query.where(or_(table.c.created_at > at, (table.c.created_at == at) & (table.c.id > name)))
        rows = self._transactions.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [_subscription(row) for row in rows]

    def unsubscribe(self, name: str, project: str) -> None:
        def work(connection: Connection, again: bool) -> None:
            table = package_subscriptions
            gone = connection.execute(delete(table).where(table.c.id == name, table.c.project == project)).rowcount
            if not gone and not again:
                raise Unknown("subscription", name, ())
            connection.execute(delete(package_notifications).where(package_notifications.c.subscription == name))

        self._transactions.write(work)

    # notifications
    def due(self, for_s: float, limit: int = 20) -> list[tuple[str, str, int, Subscription]]:
        """Takes up notifications that are due: (id, body, tries, subscription). Nobody else takes them up for so many
        seconds; then they are due again."""
        table = package_notifications

        def work(connection: Connection, _: bool) -> list[tuple[str, str, int, Subscription]]:
            at = float(connection.execute(select(now())).scalar_one())
            joined = table.c.subscription == package_subscriptions.c.id
            query = select(table.c.id, table.c.body, table.c.tries, table.c.due_at, package_subscriptions).join_from(
                table, package_subscriptions, joined
            )
            found = []
            for row in connection.execute(query.where(table.c.due_at <= at).order_by(table.c.due_at).limit(limit)):
                name, body, tries, due_at = row[:4]
                mine = update(table).where(table.c.id == name, table.c.due_at == due_at)
                if connection.execute(mine.values(due_at=at + for_s, tries=tries + 1)).rowcount:
                    found.append((name, body, tries + 1, _subscription_of(row[4:])))
            return found

        if not self._transactions.read(lambda c: c.execute(select(table.c.id).where(table.c.due_at <= now())).first()):
            return []
        return self._transactions.write(work)

    def told(self, name: str) -> None:
        """A notification has arrived, or nobody wants it any more."""
        statement = delete(package_notifications).where(package_notifications.c.id == name)
        self._transactions.write(lambda connection, _: connection.execute(statement))

    def later(self, name: str, wait_s: float) -> None:
        statement = update(package_notifications).where(package_notifications.c.id == name)
        self._transactions.write(lambda connection, _: connection.execute(statement.values(due_at=now() + wait_s)))

    # inside of a transaction
    def _find(self, connection: Connection, name: str) -> PackageRecord | None:
        row = self._one.first(connection, {"name": name})
        return None if row is None else _record(row)

    def _known(self, connection: Connection, name: str) -> PackageRecord:
        found = self._find(connection, name)
        assert found is not None  # noqa: S101 - this transaction has just written it
        return found

    def _note(self, connection: Connection, kind: str, record: PackageRecord) -> None:
        if not kind:
            return
        query = select(package_subscriptions).where(package_subscriptions.c.project == record.project)
        event = Event(kind, record)
        for subscription in map(_subscription, connection.execute(query).all()):
            if wishes.wanted(subscription.filter, event):
                body = self._body(event, subscription)
                values = {"id": str(uuid4()), "subscription": subscription.id, "body": body, "tries": 0}
                connection.execute(insert(package_notifications).values(**values, due_at=now()))


class AlreadyThere(Exception):
    """There is such a subscription; the argument is its id."""


class _AnotherError(Exception):
    """Another package has the same vnfd id."""


def _told(work: Callable[[Connection, bool], PackageRecord], taken: str) -> Callable[[Connection, bool], PackageRecord]:
    def told(connection: Connection, again: bool) -> PackageRecord:
        try:
            return work(connection, again)
        except IntegrityError:
            raise _AnotherError(taken) from None

    return told


def _state(record: PackageRecord) -> str:
    use = ", in use" if record.in_use else ""
    return f"{record.onboarding_state}, {record.operational_state}{use}"


def _as(record: PackageRecord) -> Sequence[Any]:
    """The package, and that it is still as it was seen."""
    return (
        packages.c.id == record.id,
        packages.c.onboarding_state == record.onboarding_state,
        packages.c.operational_state == record.operational_state,
        packages.c.user_data == json.dumps(record.user_data),
    )


def _values(record: PackageRecord) -> dict[str, Any]:
    return {
        "onboarding_state": record.onboarding_state,
        "operational_state": record.operational_state,
        "user_data": json.dumps(record.user_data),
        "vnfd_id": None if record.found is None else record.found.vnfd_id,
        "digest": record.digest,
        "size": record.size,
        "found": None if record.found is None else json.dumps(asdict(record.found)),
        "failure": None if record.failure is None else json.dumps(record.failure),
    }


def _record(row: Any) -> PackageRecord:
    return PackageRecord(
        id=row.id,
        project=row.project,
        onboarding_state=row.onboarding_state,
        operational_state=row.operational_state,
        user_data={} if row.user_data == "{}" else json.loads(row.user_data),
        digest=row.digest,
        size=row.size,
        found=None if row.found is None else _found_in(row.found),
        failure=None if row.failure is None else json.loads(row.failure),
        created_at=row.created_at,
        in_use=bool(row.in_use),
    )


def _found_in(text: str) -> Found:
    return _found_again(text) if len(text) < LETTERS_KEPT_MAX else _found(text)


def _found(text: str) -> Found:
    """It is the same for the same text: what was found in a package changes no more."""
    data = json.loads(text).items()
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data}
    return Found(**given)


_found_again = lru_cache(512)(_found)


def _subscription(row: Row[Any]) -> Subscription:
    return _subscription_of(row)


def _subscription_of(row: Sequence[Any]) -> Subscription:
    name, project, callback, filter_, authentication, created_at = row
    return Subscription(name, project, callback, json.loads(filter_), json.loads(authentication), created_at)
