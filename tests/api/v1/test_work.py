"""The workers of a server: what they cannot do is told to whoever asked, and a mistake of ours is in the log whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meghdwar.api.v1 import work
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.inventory import Task
from meghdwar.driver.operation import DriverError, Operation

Act = Callable[[Driver, str], list[Operation]]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Act], str]]:
    """Has the workers bring an application up in that way once; what is told to whoever asked."""
    opened = database.open(str(tmp_path / "mdw.db"))
    driver = Driver(opened)
    works = work.Works(driver, 1)

    def once(act: Act) -> str:
        monkeypatch.setitem(work.ACTS, "up", act)  # type: ignore[arg-type]
        opened.inventory.put_task(Task("game", "up"))
        works._work(opened.inventory.tasks()[0])
        return opened.inventory.tasks()[0].error

    yield once
    driver.close()
    opened.close()


def _raises(error: Exception) -> Act:
    def act(*_: Any) -> list[Operation]:
        raise error

    return act


def test_what_cannot_be_done_is_told(tried: Callable[[Act], str], caplog: pytest.LogCaptureFixture) -> None:
    assert tried(_raises(DriverError("cannot bring game up: no room"))) == "cannot bring game up: no room"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_mistake_of_ours_is_in_the_log_and_not_in_the_answer(
    tried: Callable[[Act], str], caplog: pytest.LogCaptureFixture
) -> None:
    assert tried(_raises(KeyError("a secret place"))) == "a mistake of ours: KeyError; see the log"
    assert [record.exc_info is not None for record in caplog.records] == [True]
