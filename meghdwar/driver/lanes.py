"""A bounded number of threads that work one thing at a time for each name, in the order in which it came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

Job = Callable[[], None]


class Lanes:
    """Jobs by name: at most one of a name is worked at a time. A job that has not begun when the next one of its name
    comes is replaced by it, in its place: what is wanted now counts, and not what was.

    A job must not raise; `close` and `wait` are of the thread that made the lanes.
    """

    def __init__(self, workers: int) -> None:
        self._changed = Condition()
        self._waiting: dict[str, Job] = {}
        self._order: deque[str] = deque()
        self._working: set[str] = set()
        self._closed = False
        # daemons: a job that never ends must not keep the process from ending
        self._threads = [Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def put(self, name: str, job: Job) -> bool:
        """Takes a job in; whether it did, which it does not after `close`."""
        with self._changed:
            if self._closed:
                return False
            if name not in self._waiting:
                self._order.append(name)
            self._waiting[name] = job
            self._changed.notify_all()  # one alone could wake who waits for the end instead of a worker
            return True

    def has(self, name: str) -> bool:
        """Whether a job of that name waits or is worked."""
        with self._changed:
            return name in self._waiting or name in self._working

    def wait_for(self, name: str, timeout_s: float | None = None) -> bool:
        """Waits until no job of that name waits or is worked; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: name not in self._waiting and name not in self._working, timeout_s)

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._waiting)

    @property
    def working(self) -> int:
        with self._changed:
            return len(self._working)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until there is nothing left to do; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._working, timeout_s)

    def close(self) -> int:
        """Takes nothing more in, and forgets what has not begun; how many that were. What is worked goes on."""
        with self._changed:
            self._closed = True
            left = len(self._waiting)
            self._waiting.clear()
            self._order.clear()
            self._changed.notify_all()
            return left

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            name, job = taken
            try:
                job()
            finally:
                with self._changed:
                    self._working.discard(name)
                    self._changed.notify_all()

    def _next(self) -> tuple[str, Job] | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                for _ in range(len(self._order)):
                    name = self._order.popleft()
                    if name not in self._working:
                        self._working.add(name)
                        return name, self._waiting.pop(name)
                    self._order.append(name)  # its turn comes when the one before it is done
                self._changed.wait()
