"""The workers of a server: whatever was asked for is in the database, and done by whoever is free, here or elsewhere.

Nothing is handed from a request to a worker but a nudge to look. So whatever was answered with 202 outlives the server:
the same process after a restart, another one beside it, or `mdw watch` goes on with it.
"""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event as Flag
from threading import Thread
from typing import cast

from flask import Flask, current_app

from meghdwar.bundle import BundleError
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.control import Driver
from meghdwar.driver.follow import Noted
from meghdwar.driver.hypervisor import HypervisorError, Stale
from meghdwar.driver.inventory import Task, Unknown
from meghdwar.driver.lanes import Lanes
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.operation import ENDED, Busy, DriverError, JournalError, Operation
from meghdwar.driver.tending import Tending
from meghdwar.driver.watch import HandedOver, Settings, Watch

LOG = logging.getLogger(__name__)
APPLICATIONS = 4  # that are brought up or down at once
LOOK_S = 2.0
BACK_OFF_S = 30.0  # the longest until a task that could not be done is tried again
STOP_S = 8.0
_KEY = "meghdwar.works"
EXPECTED = (BundleError, CloudError, DriverError, HypervisorError, JournalError)  # what they say is for the caller
ACTS: Mapping[str, Callable[[Driver, str], Sequence[Operation]]] = {
    "up": lambda driver, application: driver.bring_up(application, "asked for by its project"),
    "down": lambda driver, application: driver.down(application),
}


class Works:
    """The workers of one process: `workers` cloudlets at once. `gone` hears of applications that are no more."""

    def __init__(self, driver: Driver, workers: int, gone: Callable[[str], object] = lambda application: None) -> None:
        self.driver = driver
        self._gone = gone
        self.watch = Watch(driver, Settings(workers=workers, grace_s=STOP_S / 2), tends=Tending(driver))
        driver.listener = self.watch.hear
        self._tasks = Lanes(APPLICATIONS)
        self._look = Flag()
        self._ending = Flag()
        self._next_at: dict[str, tuple[int, float]] = {}  # application -> tries, and when the next one is
        self._threads = [
            Thread(target=self.watch.run, args=(None,), name="watch", daemon=True),
            Thread(target=self._run, name="tasks", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What is under way is handed over between two steps; what was not begun is found by others."""
        self._ending.set()
        self._look.set()
        self.watch.stop()
        self.watch.stop()  # at once
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_S)

    def nudge(self) -> None:
        """There is something new to do."""
        self.watch.nudge()
        self._look.set()

    def heed(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        """A sighting was taken in: what follows from it is done."""
        self.watch.heed(sighting, noted)

    # whole applications
    def _run(self) -> None:
        while not self._ending.is_set():
            self._look.wait(LOOK_S)
            self._look.clear()
            try:
                tasks = self.driver.inventory.tasks()
            except JournalError as error:  # the database is away for a while
                LOG.warning("cannot look what there is to do: %s", error)
                continue
            except Exception:  # the thread goes on: nobody else would begin what was answered with 202
                LOG.exception("a mistake of ours")
                continue
            self._next_at = {task.application: self._next_at.get(task.application, (0, 0.0)) for task in tasks}
            for task in tasks:
                ripe = time.monotonic() >= self._next_at[task.application][1]
                if ripe and not self._tasks.has(task.application) and not self._ending.is_set():
                    self._tasks.put(task.application, lambda task=task: self._work(task))  # type: ignore[misc]

    def _work(self, task: Task) -> None:
        try:
            why = self._done(task)
        except HandedOver:
            return
        except (Busy, Stale) as error:
            why = str(error)  # somebody else is at it
        except EXPECTED as error:
            LOG.warning("cannot bring %s %s: %s", task.application, task.act, error)
            why = str(error)
        except Exception as error:
            LOG.exception("a mistake of ours: cannot bring %s %s", task.application, task.act)
            why = f"a mistake of ours: {type(error).__name__}; see the log"
        tries = self._next_at.get(task.application, (0, 0.0))[0] + 1
        self._next_at[task.application] = (tries, time.monotonic() + min(0.5 * 2.0**tries, BACK_OFF_S))
        if why != task.error:
            self.driver.inventory.fail_task(task.application, task.act, why)

    def _done(self, task: Task) -> str:
        """Does it; why it is not done yet, or "" when it is. One server does it at a time."""
        journal, inventory = self.driver.journal, self.driver.inventory
        claim = journal.claim(f"application/{task.application}", self.driver.owner)
        try:
            with journal.keep(claim):
                for operation in ACTS[task.act](self.driver, task.application):
                    if operation.status not in ENDED:
                        return operation.error
                if task.act == "down":
                    self._gone(task.application)
                inventory.end_task(task.application, task.act)
        except Unknown:
            self._gone(task.application)
            inventory.end_task(task.application, task.act)  # it is gone
        finally:
            journal.release(claim)
        return ""


def install(app: Flask, works: Works) -> None:
    app.extensions[_KEY] = works


def works() -> Works:
    """Those of the application that answers the request."""
    return cast(Works, current_app.extensions[_KEY])


def begin(app: Flask, driver: Driver, workers: int, gone: Callable[[str], object]) -> None:
    """Starts the workers of this process; with none, others work what is asked for here."""
    made = Works(driver, workers, gone)
    install(app, made)
    if workers:
        made.start()
        atexit.register(made.stop)
