"""Claims and writes of SqlJournal under stress: kept and lost leases, racing processes, processes killed in the middle
of a transaction, and answers of the database that are lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import InstanceRecord, SubscriberRecord, Unknown
from meghdwar.driver.journal import SqlJournal
from meghdwar.driver.operation import COMPENSATED, COMPLETED, DOING, DONE, RUNNING, WAITING, Busy, Entry, Operation
from meghdwar.driver.transactions import Prepared, Transactions
from tests.driver.journals import WRITES

SPAWN = multiprocessing.get_context("spawn")
MOVE = Operation("m-1", "move", "game", "arena", "edge-1", "edge-2")


@pytest.fixture
def opened(url: str) -> Iterator[database.Database]:
    found = database.open(url)
    known(found, "arena")
    yield found
    found.close()


def known(opened: database.Database, *names: str) -> None:
    for name in names:
        instance = Instance(name, "game", "arena", "container", "counter")
        opened.inventory.add_instance(InstanceRecord(instance, "edge-1"))


def short(opened: database.Database, lease_s: float) -> SqlJournal:
    return SqlJournal(opened.engine, lease_s)


# leases that are kept
def test_a_kept_lease_does_not_run_out(opened: database.Database) -> None:
    journal = short(opened, 2.0)
    operation, claim = journal.begin(MOVE, "one")
    with journal.keep(claim):
        end = time.monotonic() + 4
        while time.monotonic() < end:
            claim.check()
            with pytest.raises(Busy):
                short(opened, 2.0).resume(operation.id, "two")
            time.sleep(0.02)
    time.sleep(2.1)
    with pytest.raises(Stale, match="cannot go on with arena: the lease of one has run out"):
        claim.check()
    short(opened, 2.0).resume(operation.id, "two")
    journal.close()


def test_one_thread_keeps_many_leases(opened: database.Database) -> None:
    journal = short(opened, 2.0)
    names = [f"arena-{number}" for number in range(10)]
    leases = [journal.claim(name, "one") for name in names]
    for lease in leases:
        journal._keeper.add(lease)
    time.sleep(4)
    for lease in leases:
        lease.check()
    journal.close()


def test_keeping_ends_whenever_the_journal_is_closed(opened: database.Database) -> None:
    journal = short(opened, 0.015)  # it is always renewing
    for _ in range(100):
        journal._keeper.add(journal.claim("arena", "one"))
        time.sleep(0.005)
        journal.close()
        journal._mine.clear()
        with opened.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE claims SET lease_until = 0")


def test_a_kept_lease_that_somebody_else_took_is_lost(opened: database.Database) -> None:
    journal = short(opened, 6.0)
    operation, claim = journal.begin(MOVE, "one")
    with journal.keep(claim):
        with opened.engine.begin() as connection:  # as if we had stood still
            connection.exec_driver_sql("UPDATE claims SET lease_until = 0")
        short(opened, 15.0).resume(operation.id, "two")
        end = time.monotonic() + 30
        while not claim.lost and time.monotonic() < end:
            time.sleep(0.01)
        assert time.monotonic() < claim.deadline, "it is told before it would have found out by itself"
        with pytest.raises(Stale, match=r"two has taken over \(epoch 2, ours is 1\)"):
            claim.check()
    journal.close()


def test_the_same_driver_may_take_it_again_unless_it_is_at_work(opened: database.Database) -> None:
    journal = opened.journal
    operation, claim = journal.begin(MOVE, "one")
    with journal.keep(claim), pytest.raises(Busy):
        journal.resume(operation.id, "one")
    _, again = journal.resume(operation.id, "one")
    assert again.epoch == claim.epoch + 1
    with pytest.raises(Stale, match="one has claimed it again"):
        claim.check()
    with pytest.raises(Busy):
        short(opened, 15.0).resume(operation.id, "one")  # another process that calls itself the same


def test_a_gateway_that_has_seen_newer_epochs_is_overtaken(opened: database.Database) -> None:
    assert opened.journal.claim("arena", "one", above=7).epoch == 8
    opened.journal.release(opened.journal.claim("arena", "one"))
    assert opened.journal.claim("arena", "one", above=3).epoch == 10


def test_the_epoch_grows_over_the_end_of_an_instance(opened: database.Database) -> None:
    _, claim = opened.journal.begin(MOVE, "one")
    opened.journal.end("m-1", COMPLETED, [], claim)
    opened.inventory.remove_instance("arena")
    known(opened, "arena")
    assert opened.inventory.instance("arena").epoch == claim.epoch
    assert opened.journal.claim("arena", "one").epoch == claim.epoch + 1


# what is asked of operations
def test_an_id_says_what_and_when_and_is_sorted_by_time(opened: database.Database) -> None:
    ids = []
    for _ in range(30):
        operation, claim = opened.journal.begin(Operation("", "move", "game", "arena", "edge-1", "edge-2"), "one")
        ids.append(operation.id)
        opened.journal.end(operation.id, COMPENSATED, [], claim)
        time.sleep(0.01)
    day = time.strftime("%Y%m%d", time.gmtime(operation.created_at))
    assert all(found.startswith(f"m-{day}-") and len(found) == 17 for found in ids)
    assert [found[:15] for found in ids] == sorted(found[:15] for found in ids)
    assert len(set(ids)) == len(ids)


def test_ids_that_are_taken_are_not_given_again(opened: database.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aa", "aa", "bb"])
    monkeypatch.setattr("meghdwar.driver.journal.new_id", lambda kind, at: f"m-20261122-0000{next(drawn)}")
    known(opened, "other")
    first, _ = opened.journal.begin(Operation("", "move", "game", "arena", "edge-1", "edge-2"), "one")
    second, _ = opened.journal.begin(Operation("", "move", "game", "other", "edge-1", "edge-2"), "one")
    assert (first.id, second.id) == ("m-20261122-0000aa", "m-20261122-0000bb")


def test_operations_are_found_by_what_they_are(opened: database.Database) -> None:
    journal = opened.journal
    known(opened, "other", "third")
    first, claim = journal.begin(Operation("", "move", "game", "arena", "edge-1", "edge-2"), "one")
    journal.end(first.id, COMPLETED, [], claim)
    second, claim = journal.begin(Operation("", "terminate", "game", "other", "edge-1"), "one")
    journal.wait(second.id, "no answer", claim)
    third, _ = journal.begin(Operation("", "move", "film", "third", "edge-1", "edge-2"), "one")

    def ids(**wanted: Any) -> list[str]:
        return [operation.id for operation in journal.operations(**wanted)]

    assert ids() == [third.id, second.id, first.id]
    assert ids(newest_first=False, limit=2) == [first.id, second.id]
    assert ids(application="game", kind="move") == [first.id]
    assert ids(instance="third") == [third.id]
    assert (ids(status=RUNNING), ids(status=WAITING), ids(status=COMPLETED)) == ([third.id], [second.id], [first.id])
    with pytest.raises(Unknown, match="did you mean"):
        journal.operation(first.id[:-1])


def test_operations_of_one_millisecond_have_an_order(opened: database.Database) -> None:
    begun = []
    for _ in range(50):
        operation, claim = opened.journal.begin(replace(MOVE, id=""), "one")
        opened.journal.end(operation.id, COMPLETED, [], claim)
        begun.append(operation)
    assert [operation.id for operation in opened.journal.operations(newest_first=False)] == [o.id for o in begun]
    assert [o.created_at for o in begun] == sorted({o.created_at for o in begun})


def test_what_nobody_works_on_is_abandoned(opened: database.Database) -> None:
    journal = opened.journal
    known(opened, "other", "third")
    waiting, claim = journal.begin(Operation("", "move", "game", "arena", "edge-1", "edge-2"), "one")
    journal.wait(waiting.id, "no answer", claim)
    dead, _ = journal.begin(Operation("", "move", "game", "other", "edge-1", "edge-2"), "one")
    handed, claim = journal.begin(Operation("", "move", "game", "third", "edge-1", "edge-2"), "one")
    journal.release(claim)
    assert [operation.id for operation in journal.abandoned()] == [waiting.id, handed.id]
    with opened.engine.begin() as connection:  # as if its lease had run out
        connection.exec_driver_sql("UPDATE claims SET lease_until = 0")
    assert [operation.id for operation in journal.abandoned()] == [waiting.id, dead.id, handed.id]
    opened.journal.resume(dead.id, "two")
    assert [operation.id for operation in journal.abandoned()] == [waiting.id, handed.id]


def test_old_operations_are_forgotten(opened: database.Database) -> None:
    journal = opened.journal
    for number in range(7):
        operation, claim = journal.begin(Operation(f"m-{number}", "move", "game", "arena", "edge-1", "edge-2"), "one")
        journal.write(operation.id, [Entry("stage", DOING)], claim)
        journal.end(operation.id, COMPENSATED, [], claim)
    journal.begin(Operation("m-open", "move", "game", "arena", "edge-1", "edge-2"), "one")
    cut = journal.operation("m-4").ended_at
    assert cut is not None
    assert journal.prune(cut) == 4
    assert [operation.id for operation in journal.operations()] == ["m-open", "m-6", "m-5", "m-4"]
    assert journal.entries("m-3") == []
    assert len(journal.entries("m-4")) == 1
    assert journal.prune(time.time() + 60) == 3
    assert opened.journal.operation("m-open").status == RUNNING


# several at once
def test_threads_share_one_journal(opened: database.Database) -> None:
    names = [f"arena-{number}" for number in range(8)]
    known(opened, *names)

    def work(name: str) -> list[int]:
        epochs = []
        for _ in range(10):
            operation, claim = opened.journal.begin(Operation("", "move", "game", name, "edge-1", "edge-2"), name)
            with opened.journal.keep(claim):
                opened.journal.write(operation.id, [Entry("stage", DOING), Entry("stage", DONE)], claim)
                opened.journal.end(operation.id, COMPENSATED, [Entry("stage", "undone")], claim)
            assert [entry.phase for entry in opened.journal.entries(operation.id)] == [DOING, DONE, "undone"]
            epochs.append(claim.epoch)
        return epochs

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(work, names)) == [list(range(1, 11))] * len(names)
    assert len(opened.journal.operations()) == 80


ROUNDS = 300


def race(url: str, who: int, at: Any, won: Connection) -> None:
    """Both claim the same instance at the same moment, again and again; sends what this one got."""
    opened = database.open(url)
    mine, owner = [], f"driver-{who}"
    for number in range(ROUNDS):
        at[who] = number + 1
        while at[1 - who] <= number:  # until the other one is there
            time.sleep(0)
        try:
            mine.append((number, opened.journal.claim(f"arena-{number}", owner).epoch))
        except Busy:
            continue
    won.send(mine)
    opened.close()


def test_of_two_processes_that_race_for_a_claim_exactly_one_wins(opened: database.Database, url: str) -> None:
    at = SPAWN.RawArray("i", 2)
    runners = []
    for number in (0, 1):
        receiver, sender = SPAWN.Pipe(False)
        process = SPAWN.Process(target=race, args=(url, number, at, sender))
        process.start()
        runners.append((process, receiver))
    won = []
    for process, receiver in runners:
        assert receiver.poll(120)
        won.append(receiver.recv())
        process.join(30)
    both = sorted(won[0] + won[1])
    assert both == [(number, 1) for number in range(ROUNDS)]
    assert min(len(won[0]), len(won[1])) > 0, "they did not race"


# killed in the middle of a transaction
def killed(url: str, call: str, statement: int) -> None:
    """Makes one call of a journal and dies before its statement of that number."""
    opened = database.open(url)
    operation, claim = opened.journal.resume("m-1", "one")
    left, execute = [statement], Prepared._execute

    def count(self: Prepared, connection: Any, given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, connection, given)

    Prepared._execute = count  # type: ignore[method-assign]

    @event.listens_for(opened.engine, "commit")
    def last(connection: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    WRITES[call](opened.journal, operation, claim)


@pytest.mark.parametrize("statement", [1, 2, 9])
@pytest.mark.parametrize("call", ["end", "fence"])
def test_a_driver_that_is_killed_in_a_transaction_leaves_nothing_half_written(
    opened: database.Database, url: str, call: str, statement: int
) -> None:
    _, claim = opened.journal.begin(MOVE, "one")
    opened.journal.wait("m-1", "", claim)
    process = SPAWN.Process(target=killed, args=(url, call, statement))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert opened.journal.entries("m-1") == []
    found = opened.journal.operation("m-1")
    assert (found.status, found.fenced, found.ended_at) == (RUNNING, None, None)
    with pytest.raises(Busy):
        opened.journal.resume("m-1", "two")  # the dead one has the lease still
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE claims SET lease_until = 0")
    _, claim = opened.journal.resume("m-1", "two")
    opened.journal.end("m-1", COMPENSATED, [], claim)


# answers that are lost
@contextmanager
def answers_lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The next commit is done, and then looks as if the database had gone away."""
    write, lost = Transactions._write, [0]

    def once(self: Transactions, work: Any, again: bool) -> Any:
        result = write(self, work, again)
        if not lost[0]:
            lost[0] += 1
            raise OperationalError("", {}, Exception("server closed the connection"), connection_invalidated=True)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Transactions, "_write", once)
        yield lost


CALLS: dict[str, Callable[[database.Database], object]] = {
    "begin": lambda opened: opened.journal.begin(MOVE, "one")[1].epoch,
    "claim": lambda opened: opened.journal.claim("arena", "one").epoch,
    "put_subscriber": lambda opened: opened.inventory.put_subscriber(
        SubscriberRecord("game", "anna", 5.0), expected_seen_at=None
    ),
}


@pytest.mark.parametrize("call", [*WRITES, *CALLS, "resume"])
def test_a_lost_answer_changes_nothing(opened: database.Database, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whatever was committed although nobody heard of it is not done twice, and is no error."""
    journal = opened.journal
    if call in CALLS:
        with answers_lost(monkeypatch) as lost:
            assert CALLS[call](opened) == 1
        assert lost == [1]
        return
    operation, claim = journal.begin(MOVE, "one")
    journal.write("m-1", [Entry("fence", DOING)], claim)
    if call == "resume":
        with answers_lost(monkeypatch) as lost:
            assert journal.resume("m-1", "one")[1].epoch == 2
        assert lost == [1]
        return
    with answers_lost(monkeypatch) as lost:
        WRITES[call](journal, operation, claim)
    assert lost == [1]
    steps = {"write": ["stage"], "fence": [""], "end": ["stage"]}.get(call, [])
    assert [entry.step for entry in journal.entries("m-1")] == ["fence", *steps]
    assert journal.operation("m-1").status == {"wait": WAITING, "end": COMPLETED}.get(call, RUNNING)
