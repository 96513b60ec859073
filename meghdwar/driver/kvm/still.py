"""Makes a guest that is emulated stand still before its memory goes over.

QEMU without KVM does not notice every write to memory while it copies it: seen with 7.2 on a busy machine, where some
guests went on at the target with pages that were too old, and their kernels broke. So nothing of a guest's memory may
be sent while it runs. Its disks may: they are copied by another way. It runs while they are copied, and stands still
from when little of them is left until all of it is there. Where its memory began to go first, the move is ended and
begun anew with a guest that stands still from the beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.kvm.connection import Domain, State

if TYPE_CHECKING:
    from meghdwar.driver.kvm import Kvm

LEFT_BYTES = 24 * 2**20
AHEAD_S = 1.0  # as long as it may take until it stands still: what is under way to its disks is waited for
EVERY_S = 0.01


def marker(instance: Instance) -> str:
    return f"{instance.name}.still"


def end(side: Kvm, instance: Instance) -> None:
    """A guest that was made to stand still, and did not move, goes on; whoever did it may have died over it."""
    if marker(instance) not in side.pool.names():
        return
    there = side.connection.domain(instance.name)
    if side.connection.state(there) is State.PAUSED:
        side.connection.resume(there)
    side.pool.delete([marker(instance)])


class Still:
    """Watches one live move of a guest that is emulated."""

    def __init__(self, source: Kvm, target: Kvm, instance: Instance, *, at_once: bool = False) -> None:
        self._source, self._target, self._instance, self._at_once = source, target, instance, at_once
        self._seen = (0, time.monotonic())  # bytes of disks that were left, and when
        self.late = False  # some of its memory went while it ran, and the move was ended
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="still", daemon=True)

    def begin(self) -> None:
        """Called before the move; with `at_once` it stands still from now on."""
        self._source.pool.make(marker(self._instance))
        if self._at_once:
            self._source.connection.suspend(self._domain())
        else:
            self._thread.start()

    def over(self) -> None:
        """Called after it, however it ended: a guest that is still here goes on."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        end(self._source, self._instance)

    def _domain(self) -> Domain | None:
        return self._source.connection.domain(self._instance.name)

    def _disk_bytes(self) -> int:
        disks = self._source.travelling(self._instance)
        return sum(self._source.pool.allocation(self._source._volume(self._instance, disk)) for disk in disks)

    def _watch(self) -> None:
        connection, there = self._source.connection, self._domain()
        little = self._disk_bytes() <= LEFT_BYTES
        try:
            while not self._over.wait(EVERY_S):
                if self._is_time(connection.job(there), little):
                    connection.suspend(there)
                    if connection.job(there).get("memory_processed", 0):
                        self.late = True
                        connection.abort(there)
                    return
        except HypervisorError:
            self._give_up()

    def _is_time(self, job: Mapping[str, Any], little: bool) -> bool:
        if job.get("memory_total", 0):
            return True
        if little:  # as soon as there is somebody at the target to send it to
            arriving = self._target.connection.domain(self._instance.name)
            return self._target.connection.state(arriving) in (State.ARRIVING, State.LEFT)
        left, now = job.get("disk_remaining", 0), time.monotonic()
        if not job.get("disk_total", 0):
            return False
        (before, then), self._seen = self._seen, (left, now)
        rate = (before - left) / (now - then) if before > left else 0
        return bool(left <= max(LEFT_BYTES, rate * AHEAD_S))

    def _give_up(self) -> None:
        """Nobody knows whether it stands still: then it does not move."""
        try:
            self._source.connection.abort(self._domain())
        except HypervisorError:
            return
