"""The right to change one instance for a while, and the thread that keeps it as long as it is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.operation import JournalError
from meghdwar.driver.transactions import alive_s

LOG = logging.getLogger(__name__)
MARGIN = 0.1  # of a lease: we stop before others may begin, whatever the clocks do and an act still takes to arrive


@dataclass(slots=True, eq=False)
class Lease:
    """A claim (`Claim`) on an instance that `owner` has. `deadline` is by `alive_s`, our own clock: measured before
    the database was asked, so that it is over here before it is over there. `lost` says why it is over earlier."""

    instance: str
    epoch: int
    owner: str
    deadline: float
    lost: str = ""
    clock: Callable[[], float] = alive_s

    def check(self) -> None:
        if self.lost:
            raise Stale(self.lost)
        if self.clock() >= self.deadline:
            self.lost = f"cannot go on with {self.instance}: the lease of {self.owner} has run out"
            raise Stale(self.lost)

    def extend(self, deadline: float) -> None:
        self.deadline = max(self.deadline, deadline)

    def lose(self, why: str) -> None:
        self.lost = self.lost or why


class Keeper:
    """One thread for all leases that are kept. `renew(lease)` raises Stale when it is refused."""

    def __init__(self, renew: Callable[[Lease], None], lease_s: float) -> None:
        self._renew, self._lease_s = renew, lease_s
        self._kept: dict[int, Lease] = {}
        self._changed = Condition()
        self._thread: Thread | None = None

    def add(self, lease: Lease) -> None:
        with self._changed:
            self._kept[id(lease)] = lease
            if self._thread is None:
                self._thread = Thread(target=self._work, name="leases", daemon=True)
                self._thread.start()
            elif len(self._kept) == 1:
                self._changed.notify_all()

    def remove(self, lease: Lease) -> None:
        with self._changed:
            self._kept.pop(id(lease), None)

    def keeps(self, instance: str) -> bool:
        with self._changed:
            return any(lease.instance == instance and not lease.lost for lease in self._kept.values())

    def close(self) -> None:
        with self._changed:
            self._kept.clear()
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._thread is not None:  # it may have become None while we were renewing
                    self._changed.wait(self._lease_s / 15 if self._kept else None)
                if self._thread is None:
                    return
                due = [lease for lease in self._kept.values() if not lease.lost and self._due(lease)]
            for lease in due:
                self._renew_one(lease)

    def _due(self, lease: Lease) -> bool:
        """A third of it has passed."""
        return lease.clock() >= lease.deadline - self._lease_s * (2 / 3 - MARGIN)

    def _renew_one(self, lease: Lease) -> None:
        try:
            self._renew(lease)
        except Stale as stale:
            lease.lose(str(stale))
        except JournalError as error:  # asked again soon; when it lasts, the lease runs out by itself
            LOG.warning("cannot renew the lease on %s: %s", lease.instance, error)
