"""Databases that are locked, full, gone or refuse: short outages are waited for, and what lasts is an error that says
which database it is and what to do; nothing is half written, and no password is ever shown."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import event

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.journal import SqlJournal
from meghdwar.driver.operation import COMPENSATED, DOING, DONE, Entry, JournalError, Operation
from meghdwar.driver.transactions import Prepared
from tests import postgresql

SPAWN = multiprocessing.get_context("spawn")
MOVE = Operation("m-1", "move", "game", "arena", "edge-1", "edge-2")
LINES = [Entry("stage", DOING), Entry("stage", DONE)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meghdwar.db"


@pytest.fixture
def opened(path: Path) -> Iterator[database.Database]:
    found = database.open(str(path), lease_s=1.0)
    yield known(found)
    found.close()


def known(opened: database.Database) -> database.Database:
    opened.inventory.add_instance(InstanceRecord(Instance("arena", "game", "arena", "container", "counter"), "edge-1"))
    return opened


# SQLite
def test_a_lock_that_passes_is_waited_for(path: Path) -> None:
    opened = known(database.open(str(path)))
    _, claim = opened.journal.begin(MOVE, "one")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    Timer(0.3, lambda: other.execute("ROLLBACK")).start()
    with opened.journal.keep(claim):
        opened.journal.write("m-1", LINES, claim)
    assert len(opened.journal.entries("m-1")) == 2
    other.close()
    opened.close()


def test_a_lock_that_lasts_is_told(opened: database.Database, path: Path) -> None:
    _, claim = opened.journal.begin(MOVE, "one")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    said = f"cannot use the database sqlite:///{path}: database is locked; another process has it locked; end that one"
    with pytest.raises(JournalError, match=said):
        opened.journal.write("m-1", LINES, claim)
    assert list(opened.journal.entries("m-1")) == []
    other.execute("ROLLBACK")
    other.close()
    opened.journal.write("m-1", LINES, claim)
    assert len(opened.journal.entries("m-1")) == 2


def test_a_file_that_was_removed_takes_nothing_more(opened: database.Database, path: Path) -> None:
    _, claim = opened.journal.begin(MOVE, "one")
    elsewhere = path.with_name("elsewhere.db")
    path.rename(elsewhere)
    with pytest.raises(JournalError, match=r"No such file or directory; put it back$"):
        opened.journal.write("m-1", LINES, claim)
    assert not path.exists(), "it does not come back empty"
    elsewhere.rename(path)
    opened.journal.write("m-1", LINES, claim)


def test_a_file_that_was_replaced_takes_nothing_more(opened: database.Database, path: Path) -> None:
    _, claim = opened.journal.begin(MOVE, "one")
    path.rename(path.with_name("elsewhere.db"))
    database.open(str(path)).close()
    with pytest.raises(JournalError, match=r"it was replaced while in use; start again$"):
        opened.journal.write("m-1", LINES, claim)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("query_only=ON", "attempt to write a readonly database; it may not be written; give this user the right"),
        ("max_page_count=1", "database or disk is full; there is no room left for it; make room and try again"),
    ],
)
def test_a_disk_that_takes_nothing_is_told_at_once(path: Path, setting: str, why: str) -> None:
    opened = known(database.open(str(path)))
    _, claim = opened.journal.begin(MOVE, "one")

    @event.listens_for(opened.engine, "begin")
    def begin(connection: Any) -> None:
        connection.connection.dbapi_connection.execute(f"PRAGMA {setting}")

    begun, lines = time.monotonic(), [Entry("stage", DOING, {"long": "x" * 100_000})] * 5
    with pytest.raises(JournalError, match=f"cannot use the database sqlite:///{path}: {why}"):
        opened.journal.write("m-1", lines, claim)
    assert time.monotonic() - begun < 10
    event.remove(opened.engine, "begin", begin)
    opened.engine.dispose()
    assert opened.journal.entries("m-1") == []
    opened.journal.end("m-1", COMPENSATED, [], claim)
    opened.close()


def test_what_is_no_database_is_left_alone(path: Path) -> None:
    path.write_text("a letter to anna\n" * 100)
    with pytest.raises(JournalError, match="file is not a database; it is no SQLite database; name another one"):
        database.open(str(path))
    assert path.read_text() == "a letter to anna\n" * 100


def test_a_folder_that_cannot_be_made_is_told() -> None:
    with pytest.raises(JournalError, match=r"(Not a directory|File exists); name another one with --database or MEGH"):
        database.open("/dev/null/meghdwar.db")


# which database
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://anna:geheim@db/x", "cannot use a mysql database: it has to be sqlite:///PATH or postgresql"),
        ("postgresql://anna:geheim@db:port/x", "cannot read the URL of the database"),
        ("sqlite://", "it has to name a file"),
        ("sqlite:///:memory:", "it has to name a file"),
        (
            "postgresql://anna:geheim@127.0.0.1:1/x",
            r"cannot use the database postgresql://anna@127.0.0.1:1/x: .*; start it",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OPEN_S", 0.0)
    with pytest.raises(JournalError, match=why) as caught:
        database.open(url)
    assert "geheim" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# several at once
def opens(url: str, failed: Any) -> None:
    try:
        database.open(url).close()
    except BaseException:
        failed.value += 1
        raise


def test_drivers_that_start_at_once_make_the_tables_once(url: str) -> None:
    failed = SPAWN.Value("i", 0)
    processes = [SPAWN.Process(target=opens, args=(url, failed)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert failed.value == 0
    opened = database.open(url)
    assert known(opened).inventory.instance("arena").gateway == "edge-1"
    opened.close()


# PostgreSQL
@pytest.fixture
def own() -> Iterator[postgresql.Server]:
    """A server that may be stopped."""
    try:
        found = postgresql.Server()
    except postgresql.MissingError as missing:
        pytest.skip(str(missing))
    yield found
    found.close()


@pytest.mark.real
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_started_again_is_waited_for(own: postgresql.Server, how: signal.Signals) -> None:
    opened = known(database.open(own.database()))
    _, claim = opened.journal.begin(MOVE, "one")
    with opened.journal.keep(claim):
        opened.journal.write("m-1", LINES, claim)
        own.stop(how)
        with ThreadPoolExecutor() as pool:
            written = pool.submit(opened.journal.write, "m-1", LINES, claim)
            time.sleep(1)
            assert not written.done()
            own.start()
            written.result()
        assert len(opened.journal.entries("m-1")) == 4
        opened.journal.end("m-1", COMPENSATED, [], claim)
    opened.close()


@pytest.mark.real
def test_a_server_that_stays_away_is_told(own: postgresql.Server) -> None:
    url = own.database()
    opened = known(database.open(url, lease_s=2.0))
    _, claim = opened.journal.begin(MOVE, "one")
    own.stop()
    with opened.journal.keep(claim):
        with pytest.raises(JournalError, match=r"cannot use the database postgresql.*; it does not answer; start it"):
            opened.journal.write("m-1", LINES, claim)
        time.sleep(2)
        with pytest.raises(Stale):
            claim.check()
    own.start()
    assert list(opened.journal.entries("m-1")) == []
    opened.journal.resume("m-1", "one")
    opened.close()


@pytest.mark.real
def test_a_server_that_does_not_know_us_says_so_at_once(own: postgresql.Server) -> None:
    url = own.database()
    begun = time.monotonic()
    with pytest.raises(JournalError, match=r'role "anna" does not exist; it does not let this user in'):
        database.open(url.replace(f"{postgresql.USER}@", "anna:geheim@"))
    with pytest.raises(JournalError, match=r'database "no1" does not exist; there is no such database; make it with'):
        database.open(url.replace("/meghdwar1", "/no1"))
    assert time.monotonic() - begun < database.OPEN_S


def stands_still(url: str) -> None:
    """Stops in the middle of a transaction, with a row locked."""
    opened = database.open(url, lease_s=2.0)
    operation, claim = opened.journal.resume("m-1", "one")
    execute = Prepared._execute

    def stop_after(self: Prepared, connection: Any, given: Any) -> Any:
        result = execute(self, connection, given)
        if "step" in given:
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    Prepared._execute = stop_after  # type: ignore[method-assign]
    try:
        opened.journal.end(operation.id, COMPENSATED, LINES, claim)
    except (JournalError, Stale):
        os._exit(3)


@pytest.mark.real
def test_a_driver_that_stands_still_in_a_transaction_does_not_stop_the_others(own: postgresql.Server) -> None:
    url = own.database()
    opened = known(database.open(url, lease_s=2.0))
    _, claim = opened.journal.begin(MOVE, "one")
    opened.journal.wait("m-1", "", claim)
    process = SPAWN.Process(target=stands_still, args=(url,))
    process.start()
    pid = process.pid or 0
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.02)
    time.sleep(2.2)  # its lease
    journal = SqlJournal(opened.engine, 10.0)
    _, later = journal.resume("m-1", "two")
    journal.write("m-1", LINES, later)
    os.kill(pid, signal.SIGCONT)
    process.join(30)
    assert process.exitcode == 3, "it finds out that its time is over"
    assert len(journal.entries("m-1")) == 2
    journal.end("m-1", COMPENSATED, [], later)
    opened.close()
