"""Driver processes to be killed. One process has everything imported and forks a new driver for each task.

python -m tests.crash.driver        tasks come pickled on stdin, answers go pickled to stdout
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from meghdwar.driver import database
from meghdwar.driver.gateways import HYPERVISORS, connect
from meghdwar.driver.handoff import STEPS, NoStack, Scene
from meghdwar.driver.hypervisor import Access, HypervisorError, Stale
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import Busy, Operation
from meghdwar.driver.router import Table
from meghdwar.driver.saga import Act, Step, run

WRITES = ("begin", "resume", "write", "place", "fence", "wait", "end")
BEFORE, AFTER = "before", "after"
TRIES = 20


@dataclass(frozen=True, slots=True)
class Task:
    """What one driver is to do: begin the operation, or resume the one that is written down.

    `kill` is the number of a write to the journal, from 1, and BEFORE or AFTER: there the driver gets the signal `by`,
    of which it dies, or stands still until it is told to go on. `fail` names a
    step that fails after it has acted, as often as it is tried. `table` is the folder of the router; the result is
    pickled into the file `result`.
    """

    database: str
    accesses: Sequence[Access]
    instance: Instance
    operation: Operation
    table: str
    result: str
    begins: bool = True
    kill: tuple[int, str] | None = None
    by: int = signal.SIGKILL
    fail: str = ""
    lease_s: float = 15.0


class Killing:
    """A journal that sends its process a signal before or after one of the writes to it."""

    def __init__(self, journal: Any, kill: tuple[int, str] | None, by: int) -> None:
        self._journal, self._kill, self._by = journal, kill, by
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name not in WRITES:
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self.writes += 1
            self._die(BEFORE)
            result = method(*arguments, **named)
            self._die(AFTER)
            return result

        return call

    def _die(self, when: str) -> None:
        if self._kill == (self.writes, when):
            os.kill(os.getpid(), self._by)


class Clock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def work(task: Task) -> Mapping[str, Any]:
    """What a driver does; says how it ended and how many writes to the journal it took."""
    gateways = {access.gateway: connect(access) for access in task.accesses}
    opened = database.open(task.database, lease_s=task.lease_s)
    journal: Any = Killing(opened.journal, task.kill, task.by)
    owner = f"driver-{os.getpid()}"
    try:
        if task.begins:
            operation, claim = journal.begin(task.operation, owner)
        else:
            operation, claim = journal.resume(task.operation.id, owner)
        scene = Scene(
            operation,
            task.instance,
            gateways.get(operation.source or ""),
            gateways.get(operation.target or ""),
            None,
            Table(task.table),
            NoStack(),
            journal,
            claim,
            Clock(),
        )
        with opened.journal.keep(claim):
            status = run(operation.id, steps(operation.kind, task.fail), scene, journal, claim, again)
        return {"status": status, "writes": journal.writes, "error": opened.journal.operation(operation.id).error}
    except Stale as stale:
        return {"status": "stale", "writes": journal.writes, "error": str(stale)}
    except Busy as busy:
        return {"status": "busy", "writes": journal.writes, "error": str(busy)}
    finally:
        opened.close()
        for gateway in gateways.values():
            gateway.close()


def again(act: Act[Scene], error: HypervisorError, tries: int) -> bool:
    time.sleep(0.05)
    return tries < TRIES


def steps(kind: str, fail: str) -> Sequence[Step[Scene]]:
    return [replace(step, do=failing(step.name, step.do)) if step.name == fail else step for step in STEPS[kind]]


def failing(name: str, do: Callable[[Scene], Any]) -> Callable[[Scene], Any]:
    def acts_and_fails(scene: Scene) -> Any:
        do(scene)
        raise HypervisorError("somewhere", name, "it was told to fail")

    return acts_and_fails


# one process that makes many
class Drivers:
    """Starts driver processes quickly and tells how each ended."""

    def __init__(self, kinds: Sequence[str], errors: Path) -> None:
        self.errors = errors
        with errors.open("ab") as log:
            self._process = Popen(
                [sys.executable, "-m", "tests.crash.driver", *kinds], stdin=PIPE, stdout=PIPE, stderr=log
            )

    def start(self, task: Task) -> int:
        """The number of the process."""
        return int(self._call(("start", task)))

    def wait(self, pid: int, task: Task) -> Mapping[str, Any] | None:
        """What it said in the end; None when it was killed. Whatever else happens to a driver fails the test."""
        code = int(self._call(("wait", pid)))
        if code == -signal.SIGKILL:
            return None
        assert code == 0, f"a driver ended with {code}: {self.errors.read_text()[-4000:]}"
        result: Mapping[str, Any] = pickle.loads(Path(task.result).read_bytes())  # noqa: S301 - our own
        return result

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _call(self, what: tuple[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)  # noqa: S301 - our own


def child(task: Task) -> None:
    """Never returns."""
    code = 1
    try:
        result = work(task)
        Path(task.result).write_bytes(pickle.dumps(result))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(kinds: Sequence[str]) -> None:
    for kind in kinds:
        import_module(HYPERVISORS[kind][0])
    while True:
        try:
            what, given = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own
        except EOFError:
            return
        if what == "start":
            answer = os.fork()
            if answer == 0:
                child(given)
        else:
            _, status = os.waitpid(given, 0)
            answer = os.waitstatus_to_exitcode(status)
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
