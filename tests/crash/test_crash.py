"""Drivers killed before and after every write to the journal, again while resuming, and at any moment."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from meghdwar.driver.operation import COMPENSATED, COMPLETED, ENDED
from tests.contract.pairs import Pair
from tests.crash.driver import AFTER, BEFORE
from tests.crash.histories import Edge, points

STRATEGIES = ("cold", "precopy", "warm", "files", "live")
FAILURES = ("stage", "fence", "pause", "transfer", "attach", "wake")
# What takes seconds on real gateways is tried everywhere on `local`, and there at these:
THOROUGH = {"lxd": ("warm",), "kvm": ("live", "cold")}  # every point; of the other strategies one in so many
SPARSE = 6
BACK = {"lxd": [("warm", "wake"), ("precopy", "transfer")], "kvm": [("live", "wake"), ("cold", "transfer")]}
Make = Callable[[str], Edge]


@pytest.fixture
def make(pair: Pair, name: str, tmp_path: Path) -> Iterator[Make]:
    """Makes the edge with an instance that can be moved so, or skips what its hypervisor cannot."""
    made: list[Edge] = []

    def edge(strategy: str) -> Edge:
        if strategy not in pair.source.capabilities.strategies:
            pytest.skip(f"{kind(pair)} does not move {strategy}, and says so")
        instance = pair.files_instance(name) if strategy == "files" else pair.instance(name)
        instance = replace(instance, files=tuple(replace(each, size_max_bytes=2**20) for each in instance.files))
        made.append(Edge(pair, instance, tmp_path))
        return made[-1]

    yield edge
    for each in made:
        each.close()


def kind(pair: Pair) -> str:
    return pair.source.capabilities.kind


def always(strategy: str) -> list[object]:
    """One strategy is tried whenever tests are run, the others with what is real."""
    return [each if each == strategy else pytest.param(each, marks=pytest.mark.real) for each in STRATEGIES]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_some_points(pair: Pair, make: Make, strategy: str) -> None:
    """A sample that is run always; test_killed_at_each_point has them all."""
    if kind(pair) != "local":
        pytest.skip("the sample is for when nothing else is run")
    edge = make(strategy)
    all_points = points(edge.writes(strategy))
    for point in random.Random(strategy).sample(all_points, 3):
        edge.move(strategy, [point])


@pytest.mark.real
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_each_point(make: Make, strategy: str) -> None:
    """Each point, and on `local`, which is quick, whoever resumes is killed too: at each of its points in turn."""
    edge = make(strategy)
    all_points = points(edge.writes(strategy))
    seconds = random.Random(strategy).sample(all_points, len(all_points))
    for number, first in enumerate(all_points):
        if edge.kind == "local":
            edge.move(strategy, [first, seconds[number]])
        elif strategy in THOROUGH[edge.kind] or number % SPARSE == 0:
            edge.move(strategy, [first])


@pytest.mark.real
@pytest.mark.parametrize("fail", FAILURES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_on_the_way_back(pair: Pair, make: Make, strategy: str, fail: str) -> None:
    """A step fails after it has acted, so that the move goes back, and the drivers die on the way."""
    if kind(pair) != "local" and (strategy, fail) not in BACK[kind(pair)]:
        pytest.skip(f"{kind(pair)} is tried at {', '.join(f'{s} {f}' for s, f in BACK[kind(pair)])}")
    edge = make(strategy)
    all_points = points(edge.writes(strategy, fail))
    whole = edge.kind == "local" and fail == "wake"
    for point in all_points if whole else random.Random(fail).sample(all_points, 2):
        edge.move(strategy, [point], fail)


@pytest.mark.parametrize("strategy", always("precopy"))
def test_a_step_that_fails(make: Make, strategy: str) -> None:
    edge = make(strategy)
    for fail in FAILURES if edge.kind == "local" or strategy in THOROUGH[edge.kind] else FAILURES[-1:]:
        assert edge.move(strategy, fail=fail) == COMPENSATED
    assert edge.move(strategy) == COMPLETED


@pytest.mark.real
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_any_moment(make: Make, strategy: str, request: pytest.FixtureRequest) -> None:
    """Not only at writes to the journal: anywhere in a step, by the clock. The seed is in the name of what failed."""
    edge = make(strategy)
    began = time.monotonic()
    edge.move(strategy)
    usual_s = time.monotonic() - began
    chance = random.Random(request.config.getoption("--fuzz-seed"))
    for _ in range(20 if edge.kind == "local" else 2):
        operation = edge.next_move(strategy)
        for _ in range(2):
            begins = not edge.is_begun(operation.id)
            if not begins and edge.database.journal.operation(operation.id).status in ENDED:
                break
            edge.let_lapse()
            task = edge.task(operation, begins=begins)
            driver = edge.drivers.start(task)
            time.sleep(chance.uniform(0, usual_s))
            edge.kill(driver)
            edge.drivers.wait(driver, task)
        edge.check(operation, edge.operate(operation), COMPLETED)


@pytest.mark.parametrize("strategy", always("warm"))
def test_a_driver_that_stood_still(make: Make, strategy: str, request: pytest.FixtureRequest) -> None:
    """Stopped past its lease at any moment, while another driver finishes its move; then it goes on, and may not."""
    edge = make(strategy)
    began = time.monotonic()
    edge.move(strategy)
    usual_s = time.monotonic() - began
    chance = random.Random(request.config.getoption("--fuzz-seed"))
    for _ in range(2 if edge.kind == "local" else 1):
        operation = edge.next_move(strategy)
        task = edge.task(operation)
        first = edge.drivers.start(task)
        time.sleep(chance.uniform(0.02, usual_s))
        edge.stop(first)
        begun = edge.is_begun(operation.id)
        status = edge.operate(operation) if begun else COMPLETED
        edge.signal(first, signal.SIGCONT)
        result = edge.drivers.wait(first, task)
        edge.check(operation, edge.operate(operation), COMPLETED)
        assert status == COMPLETED
        assert result is None or result["status"] in ("stale", COMPLETED)


def test_the_killing_kills(make: Make) -> None:
    """The points are where they are said to be: dead before the first write nothing is begun, after it something is."""
    edge = make("cold")
    operation = edge.next_move("cold")
    assert edge.drive(operation, kill=(1, BEFORE)) is None
    assert not edge.is_begun(operation.id)
    assert edge.drive(operation, kill=(1, AFTER)) is None
    assert edge.is_begun(operation.id)
    assert edge.database.journal.entries(operation.id) == []
    edge.check(operation, edge.operate(operation), COMPLETED)
