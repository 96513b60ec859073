"""Two drivers on one PostgreSQL: either dies or stands still at any write to the journal, the other takes over; and the
server itself is started again in the middle of a move."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meghdwar.driver.operation import COMPLETED, Operation
from tests import postgresql
from tests.contract.pairs import PAIRS, Pair
from tests.crash.driver import AFTER, BEFORE
from tests.crash.histories import Edge, Point, points

pytestmark = pytest.mark.real
STRATEGY = "precopy"


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    try:
        found = postgresql.Server()
    except postgresql.MissingError as missing:
        pytest.skip(str(missing))
    yield found
    found.close()


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Processes alone: what the drivers do to each other is the same on every hypervisor."""
    made = PAIRS["local"](tmp_path_factory.mktemp("local"))
    yield made
    made.close()


@pytest.fixture
def edge(server: postgresql.Server, pair: Pair, name: str, tmp_path: Path) -> Iterator[Edge]:
    made = Edge(pair, pair.instance(name), tmp_path, url=server.database())
    yield made
    made.close()


def stopped(pid: int) -> bool:
    """Whether it stands still, or has ended, which it may do before it comes to its point."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ"
    except FileNotFoundError:
        return True


def stand_still(edge: Edge, operation: Operation, point: Point, writes: int) -> None:
    """The first driver stands still there past its lease, the second finishes the move; then the first one goes on."""
    task = edge.task(operation, kill=point, by=signal.SIGSTOP)
    first = edge.drivers.start(task)
    end = time.monotonic() + 60
    while not stopped(first):
        assert time.monotonic() < end, f"it never came to {point}"
        time.sleep(0.005)
    edge.let_lapse()
    status = edge.operate(operation)  # by others, until it has ended
    assert status == COMPLETED
    edge.signal(first, signal.SIGCONT)
    result = edge.drivers.wait(first, task)
    assert result is not None
    # It lost everything but the one write that it had already made, or was too late even to begin.
    assert result["status"] in ("stale", "busy", COMPLETED), result
    assert result["status"] != COMPLETED or point == (writes, AFTER) or point == (1, BEFORE), result
    edge.check(operation, status, COMPLETED)


def test_either_may_die_at_any_write(edge: Edge) -> None:
    writes = edge.writes(STRATEGY)
    seconds = random.Random(1).sample(points(writes), 2 * writes)
    for number, first in enumerate(points(writes)):
        edge.move(STRATEGY, [first, seconds[number]])


def test_either_may_stand_still_at_any_write(edge: Edge) -> None:
    writes = edge.writes(STRATEGY)
    for point in points(writes):
        stand_still(edge, edge.next_move(STRATEGY), point, writes)


def test_the_second_may_die_while_the_first_stands_still(edge: Edge) -> None:
    writes = edge.writes(STRATEGY)
    chance = random.Random(2)
    for point in chance.sample(points(writes)[1:], 6):
        operation = edge.next_move(STRATEGY)
        task = edge.task(operation, kill=point, by=signal.SIGSTOP)
        first = edge.drivers.start(task)
        while not stopped(first):
            time.sleep(0.005)
        edge.let_lapse()
        status = edge.operate(operation, [chance.choice(points(writes)) for _ in range(2)])
        edge.signal(first, signal.SIGCONT)
        edge.drivers.wait(first, task)
        edge.check(operation, status, COMPLETED)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_the_server_is_started_again_in_the_middle_of_a_move(
    edge: Edge, server: postgresql.Server, how: signal.Signals
) -> None:
    began = time.monotonic()
    edge.writes(STRATEGY)
    usual_s = time.monotonic() - began
    chance = random.Random(3)
    for _ in range(5):
        operation = edge.next_move(STRATEGY)
        task = edge.task(operation)
        driver = edge.drivers.start(task)
        time.sleep(chance.uniform(0, usual_s))
        server.stop(how)
        server.start()
        result = edge.drivers.wait(driver, task)
        assert result is not None
        assert result["status"] == COMPLETED, result
        edge.check(operation, COMPLETED, COMPLETED)


def test_leases_that_really_run_out(server: postgresql.Server, pair: Pair, name: str, tmp_path: Path) -> None:
    """By the clocks alone: a short lease, a driver that stands still for longer, another that waits for it."""
    edge = Edge(pair, pair.instance(name), tmp_path, url=server.database(), lease_s=1.5)
    edge.let_lapse = lambda: time.sleep(1.6)  # type: ignore[method-assign]
    try:
        for point in [(1, AFTER), (4, BEFORE), (6, AFTER), (9, BEFORE)]:
            operation = edge.next_move(STRATEGY)
            task = edge.task(operation, kill=point, by=signal.SIGSTOP)
            first = edge.drivers.start(task)
            while not stopped(first):
                time.sleep(0.005)
            edge.let_lapse()
            status = edge.operate(operation)
            edge.signal(first, signal.SIGCONT)
            result = edge.drivers.wait(first, task)
            assert result is not None
            assert result["status"] == "stale", result
            edge.check(operation, status, COMPLETED)
    finally:
        edge.close()
