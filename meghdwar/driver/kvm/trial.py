"""Finds out by a volume that is there for a moment what libvirt does not say of a gateway: whether its pool takes
direct I/O, past the page cache, as guests' disks are written; and what its clock says.

A guest that never runs is given the volume as its disk. That the pool takes it is remembered in the pool.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.kvm.connection import NO_DIRECT, Connection, State
from meghdwar.driver.kvm.domain import render
from meghdwar.driver.kvm.pool import Pool

SIZE_BYTES = 4096
TAKES_DIRECT = "_direct"  # no instance's name begins so


def refuse_indirect(connection: Connection, pool: Pool) -> None:
    """Raises HypervisorError where no guest could have its disks; tried once."""
    if TAKES_DIRECT not in pool.names():
        with trial_volume(pool) as volume:
            if direct(connection, pool, volume) is None:
                pool.make(TAKES_DIRECT)


def direct(connection: Connection, pool: Pool, volume: str) -> HypervisorError | None:
    """Why it cannot be tried. Raises what is wrong where the pool does not take direct I/O."""
    name = volume.removeprefix("_")
    try:
        xml = render("probe", virt="qemu", name=name, path=pool.path(volume), cache="none")
        guest = connection.start_once(name, xml, runs=False)
        if connection.state(guest) is not State.ABSENT:
            connection.destroy(guest)
    except HypervisorError as error:
        if NO_DIRECT.search(error.why):
            raise
        return error
    return None


def skew_s(pool: Pool, begun_at: float, volume: str) -> float | None:
    """How far the gateway's clock is off ours, by the time that it gave the volume; None when it says none."""
    made_at = pool.made_at(volume)
    return None if made_at is None else max(begun_at - made_at, made_at - time.time(), 0.0)


@contextmanager
def trial_volume(pool: Pool) -> Iterator[str]:
    """One that is gone afterwards; its name."""
    name = f"_meghdwar-trial-{time.time_ns():x}"
    pool.make(name, SIZE_BYTES)
    try:
        yield name
    finally:
        pool.delete([name])
