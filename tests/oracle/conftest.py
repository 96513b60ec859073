"""heat22, heat27 and senlin16: real classes as judges. Every test in this folder is marked `real`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oracle import judge, venvs

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


def start(make: Callable[[str], judge.Process], environment: str) -> Iterator[judge.Process]:
    try:
        process = make(environment)
    except venvs.CannotMakeError as error:
        pytest.skip(str(error))
    yield process
    process.close()


@pytest.fixture(scope="session")
def heat22() -> Iterator[judge.Process]:
    yield from start(judge.Heat, "heat-22")


@pytest.fixture(scope="session")
def heat27() -> Iterator[judge.Process]:
    yield from start(judge.Heat, "heat-27")


@pytest.fixture(scope="session")
def senlin16() -> Iterator[judge.Process]:
    yield from start(judge.Senlin, "senlin-16")
