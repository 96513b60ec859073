"""Remembers when to look at whom again: what may become ripe without a further sighting."""

from __future__ import annotations

import heapq
from threading import Lock

Key = tuple[str, str, str]  # application, subscriber, cloudlet


class Ripening:
    """Times by the clock of the sightings; of each key only the last one that was said counts. For several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._queue: list[tuple[float, Key]] = []
        self._times: dict[Key, float] = {}  # the entry of the queue that counts

    def __len__(self) -> int:
        return len(self._times)

    def at(self, key: Key, at: float | None) -> None:
        """Then, and no longer when it was said before; None is never."""
        with self._lock:
            if at is None:
                self._times.pop(key, None)
            elif self._times.get(key) != at:
                self._times[key] = at
                heapq.heappush(self._queue, (at, key))

    def soon(self, key: Key, at: float) -> None:
        """Then at the latest."""
        if self._times.get(key, at + 1) > at:
            self.at(key, at)

    def ripe(self, now: float) -> dict[str, set[str]]:
        """Those whose time has come, application -> subscribers; they are forgotten here."""
        found: dict[str, set[str]] = {}
        with self._lock:
            while self._queue and self._queue[0][0] <= now:
                at, key = heapq.heappop(self._queue)
                if self._times.get(key) == at:
                    del self._times[key]
                    found.setdefault(key[0], set()).add(key[1])
        return found
