"""Opens the database of a driver: finds it, makes and upgrades its tables, and says what is wrong when it cannot.

SQLite is a file of its own, durable at each commit; PostgreSQL is shared by drivers of several hosts.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from errno import EACCES, EISDIR
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from meghdwar.driver.journal import SqlJournal
from meghdwar.driver.operation import JournalError
from meghdwar.driver.sql_inventory import SqlInventory
from meghdwar.driver.transactions import Transactions, shown

SCHEMA = "0004"  # the newest of meghdwar/driver/migrations
OLDER = frozenset({"0001", "0002", "0003"})  # those before it, which are upgraded
_UPGRADE_LOCK = 0x6D656768  # of PostgreSQL: any number that nobody else has
OPEN_S = 5.0  # the longest that `open` waits for a database that is locked or just starting


@dataclass(frozen=True, slots=True)
class Database:
    """Everything that a driver remembers. For threads as well; a process that was forked has to open its own."""

    url: str  # without the password
    journal: SqlJournal
    inventory: SqlInventory
    engine: Engine

    def close(self) -> None:
        self.journal.close()
        self.engine.dispose()


def open(url: str = "", *, upgrade: bool = True, lease_s: float = 15.0) -> Database:  # noqa: A001 - it is what it does
    """The database with that URL, or that file, or else the one of $MEGHDWAR_DATABASE, or else of this user.

    A file that is missing is made. Tables that are missing or old are made or upgraded, unless `upgrade` is False.
    Raises JournalError: nothing was changed then.
    """
    engine = make_engine(_url(url or os.environ.get("MEGHDWAR_DATABASE", "") or _own()), lease_s)
    try:
        if engine.dialect.name == "sqlite":
            _make_file(Path(engine.url.database or ""))
        Transactions(engine, OPEN_S).write(lambda connection, _: _fit(connection, upgrade))
    except BaseException:
        engine.dispose()
        raise
    return Database(shown(engine.url), SqlJournal(engine, lease_s), SqlInventory(engine), engine)


# which one
def state_folder() -> Path:
    """Where this user's own things are kept."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "meghdwar"


def _own() -> str:
    return str(state_folder() / "meghdwar.db")


def _url(given: str) -> URL:
    if "://" not in given:
        return URL.create("sqlite", database=given)
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise JournalError("cannot read the URL of the database; see docs/how-to/postgresql.md for one") from None
    kind = url.get_backend_name()
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise JournalError(f"cannot use a {kind} database: it has to be sqlite:///PATH or postgresql://HOST/NAME")
    if url.database in (None, "", ":memory:") or url.query:
        raise JournalError(f"cannot use the database {shown(url)}: it has to name a file: sqlite:///PATH")
    return url


def make_engine(url: URL, lease_s: float) -> Engine:
    """Connections to a database that is there, set up so that what is committed stays."""
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, answer_s=max(1.0, lease_s / 2))
    return _sqlite(url)


# SQLite
def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "").absolute()
    # Never made by a connection: a file that was deleted must not come back empty.
    file = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, uri=True, timeout=2.0, isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        return connection

    engine = create_engine(
        url.set(database=str(path)), creator=connect, poolclass=QueuePool, pool_size=10, max_overflow=20,
        pool_timeout=10, hide_parameters=True,
    )  # fmt: skip

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        _must_be_the_same(path, connection)
        raw.execute("BEGIN IMMEDIATE")

    return engine


def _must_be_the_same(path: Path, connection: Connection) -> None:
    """A file that was removed or replaced still takes writes through connections to it, and they would be lost."""
    kept = connection.info
    try:
        found = os.stat(path)
    except OSError as error:
        raise JournalError(f"cannot use the database sqlite:///{path}: {error.strerror}; put it back") from None
    seen = (found.st_dev, found.st_ino)
    if kept.setdefault("file", seen) != seen:
        connection.invalidate()
        raise JournalError(f"cannot use the database sqlite:///{path}: it was replaced while in use; start again")


def _make_file(path: Path) -> None:
    """Makes it when it is missing. One that is there is not even opened: closing it again would take away the locks
    that other connections of this process have on it, and then another process may remove what they write to
    (https://www.sqlite.org/howtocorrupt.html, 2.2)."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        way_out = "name another one with --database or MEGHDWAR_DATABASE"
        raise JournalError(f"cannot use the database sqlite:///{path}: {error.strerror}; {way_out}") from None


# PostgreSQL
_SETTINGS = """
    SELECT set_config('lock_timeout', %(answer)s, false), set_config('statement_timeout', %(answer)s, false),
        -- a driver that stands still in a transaction does not keep the others from taking over
        set_config('idle_in_transaction_session_timeout', %(answer)s, false),
        CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


def _postgresql(url: URL, answer_s: float) -> Engine:
    """`answer_s` is the longest that one answer may take, or a lock be held: less than a lease."""
    answer_ms = f"{answer_s * 1000:.0f}"
    noticing = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    options = {"tcp_user_timeout": answer_ms, "application_name": "meghdwar", **noticing}
    given = {name: value for name, value in options.items() if name not in url.query}
    try:
        engine = create_engine(
            url, connect_args=given, pool_size=5, max_overflow=20, pool_timeout=10, pool_use_lifo=True,
            hide_parameters=True,
        )  # fmt: skip
    except ModuleNotFoundError:
        raise JournalError("cannot use PostgreSQL: psycopg is missing; pip install 'meghdwar[postgresql]'") from None

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS, {"answer": answer_ms})
        connection.commit()

    return engine


# the tables
def _fit(connection: Connection, upgrade: bool) -> None:
    """Makes or upgrades the tables, where needed, in the transaction of this connection."""
    name = shown(connection.engine.url)
    found = _schema(connection)
    if found != SCHEMA and upgrade:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        found = _schema(connection)  # another driver may have been quicker
    if found == SCHEMA:
        return
    if found is not None and found not in OLDER:
        why = f"its tables are of a newer Meghdwar ({found}, this one knows {SCHEMA}); use that one"
        raise JournalError(f"cannot use the database {name}: {why}")
    if not upgrade:
        why = "it has no tables" if found is None else f"its tables are old ({found}, this one needs {SCHEMA})"
        raise JournalError(f"cannot use the database {name}: {why}; open it once with the right to upgrade it")
    _migrate(connection)


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("meghdwar_schema"):
        return None
    return connection.execute(text("SELECT version_num FROM meghdwar_schema")).scalar()


def _migrate(connection: Connection) -> None:
    from alembic import command  # slow, and rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "meghdwar.driver:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
