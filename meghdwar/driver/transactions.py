"""One transaction after the other on the database, through its short outages; what lasts is a JournalError that says
which database it is and what to do."""

from __future__ import annotations

import sqlite3
import time
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, Dialect, Engine, bindparam
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from meghdwar.driver.operation import JournalError

T = TypeVar("T")
ALL = 2**31 - 1  # rows

# what SQLite says (the low byte of its code) -> whether waiting may help, and what to do
_SQLITE: dict[int, tuple[bool, str]] = {
    sqlite3.SQLITE_BUSY: (True, "another process has it locked; end that one, or try again"),
    sqlite3.SQLITE_LOCKED: (True, "another process has it locked; end that one, or try again"),
    sqlite3.SQLITE_FULL: (False, "there is no room left for it; make room and try again"),
    sqlite3.SQLITE_READONLY: (False, "it may not be written; give this user the right to write it and its folder"),
    sqlite3.SQLITE_CANTOPEN: (False, "it is not there, or this user may not read it"),
    sqlite3.SQLITE_PERM: (False, "this user may not use it"),
    sqlite3.SQLITE_IOERR: (False, "its disk does not work; see the log of the system"),
    sqlite3.SQLITE_CORRUPT: (False, "it is damaged; put a backup in its place and run mdw fsck"),
    sqlite3.SQLITE_NOTADB: (False, "it is no SQLite database; name another one"),
}
# what PostgreSQL says (the beginning of its code) -> the same
_POSTGRESQL: dict[str, tuple[bool, str]] = {
    "08": (True, "it does not answer; start it, or see that it can be reached"),
    "57P": (True, "it is shut down or just starting; start it"),
    "57014": (True, "it took too long"),
    "53300": (True, "it takes no more connections; raise its max_connections"),
    "53": (False, "it has no room left; make room and try again"),
    "40": (True, "others were at the same rows; try again"),
    "55P03": (True, "another driver keeps a row locked; end that one, or try again"),
    "25P03": (True, "it closed a transaction that stood still"),
    "25006": (True, "it may only be read (a standby?); name the one that may be written"),
    "28": (False, "it does not let this user in; see the user, the password and its pg_hba.conf"),
    "42501": (False, "this user may not do that; give it the rights on the schema"),
    "3D000": (False, "there is no such database; make it with createdb"),
}


def alive_s() -> float:
    """Seconds that only grow, also while the machine sleeps, where the system can tell."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def shown(url: URL) -> str:
    """The database as it may be shown: without password and options."""
    return URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database).render_as_string()


class Prepared:
    """A statement that was compiled once. The journal's few statements run a dozen times in every move; through all of
    SQLAlchemy each would take several times as long as in the database."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._text: str = compiled.string
        self._fixed: Mapping[str, Any] = {
            name: value for name, value in compiled.params.items() if not compiled.binds[name].required
        }
        self._order: Sequence[str] | None = compiled.positiontup
        self._row: Callable[..., Any] | None = None

    def run(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """How many rows it changed."""
        return int(self._execute(connection, given).rowcount)

    def all(self, connection: Connection, given: Mapping[str, Any]) -> list[Any]:
        """Its rows, whose values are attributes."""
        cursor = self._execute(connection, given)
        if self._row is None:
            fields = [column[0] for column in cursor.description]
            self._row = cast(Any, namedtuple)("Row", fields)
        return [self._row(*row) for row in cursor.fetchall()]

    def first(self, connection: Connection, given: Mapping[str, Any]) -> Any | None:
        return next(iter(self.all(connection, given)), None)

    def _execute(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        cursor = connection.connection.cursor()
        values = {**self._fixed, **given}
        cursor.execute(self._text, values if self._order is None else [values[name] for name in self._order])
        return cursor


class Several:
    """A statement about as many names as are given, compiled once for each power of two of them. `made` makes it of
    their parameters; without any it is about everything."""

    def __init__(self, made: Callable[[Sequence[Any]], Any], dialect: Dialect) -> None:
        def prepared(count: int) -> Prepared:
            return Prepared(made([bindparam(f"name_{number}") for number in range(count)]), dialect)

        self._prepared = lru_cache(16)(prepared)

    def all(self, connection: Connection, names: Collection[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """As of Prepared; None stands for everything, and nothing is found of no names."""
        every = list(names or ())
        if names is not None and not every:
            return []
        count = 1 << (len(every) - 1).bit_length() if every else 0
        every += every[-1:] * (count - len(every))
        return self._prepared(count).all(connection, {**given, **{f"name_{n}": name for n, name in enumerate(every)}})


class Transactions:
    """What to do in a transaction is a function of its connection and of whether it is tried again: then an earlier
    try may have been done after all (its answer was lost), and the function has to find out."""

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self._engine = engine
        self._errors: tuple[type[Any], ...] = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        self._patience_s = patience_s
        # SQLite lets one write at a time: threads that queue here need not poll for its lock.
        self._turn: AbstractContextManager[Any] = Lock() if engine.dialect.name == "sqlite" else nullcontext()

    def write(self, work: Callable[[Connection, bool], T], *, patience_s: float | None = None) -> T:
        """Durable when it returns; nothing is changed when it raises JournalError, or what `work` raises."""
        return self._persist(lambda again: self._write(work, again), patience_s)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._persist(lambda _: self._read(work), None)

    def _write(self, work: Callable[[Connection, bool], T], again: bool) -> T:
        with self._turn, self._engine.connect() as connection:
            try:
                connection.begin()
                result = work(connection, again)
                connection.commit()
            except self._errors as error:
                self._notice(error, connection)
                raise
            return result

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            try:
                return work(connection)
            except self._errors as error:
                self._notice(error, connection)
                raise

    def _notice(self, error: Any, connection: Connection) -> None:
        """A connection that is dead is not used again, nor are the others of its age."""
        if isinstance(error, SQLAlchemyError) or connection.invalidated:
            return  # then SQLAlchemy has seen it
        if self._engine.dialect.is_disconnect(error, connection.connection.dbapi_connection, None):
            connection.invalidate(error)
            self._engine.dispose()

    def _persist(self, attempt: Callable[[bool], T], patience_s: float | None) -> T:
        end = alive_s() + (self._patience_s if patience_s is None else patience_s)
        pause_s, again = 0.01, False
        while True:
            try:
                return attempt(again)
            except self._errors as error:
                passing, why = diagnosis(error)
                if not passing or alive_s() + pause_s > end:
                    raise JournalError(f"cannot use the database {shown(self._engine.url)}: {why}") from None
            time.sleep(pause_s)
            pause_s, again = min(pause_s * 2, 0.5), True


def diagnosis(error: Exception) -> tuple[bool, str]:
    """Whether it may pass by itself, and why it is and what to do, for a message."""
    if isinstance(error, NoneFreeError):
        return True, "all its connections are in use; start fewer threads"
    cause: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig
    said = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    passing, advice = _known(cause, said)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return passing or lost, f"{said}; {advice}" if advice else said


def _known(cause: BaseException, said: str) -> tuple[bool, str]:
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, (False, ""))
    code = str(getattr(cause, "sqlstate", None) or "")
    if not code and type(cause).__name__ in ("OperationalError", "ConnectionTimeout"):
        code = _unanswered(said)
    for length in (5, 3, 2):
        if code[:length] in _POSTGRESQL:
            return _POSTGRESQL[code[:length]]
    return False, ""


def _unanswered(said: str) -> str:
    """The code for what libpq says, which has none when no connection came about."""
    for words, code in (("password", "28"), ("pg_hba", "28"), ("role", "28"), ("does not exist", "3D000")):
        if words in said and "No such file" not in said:
            return code
    return "08"
