"""Finds out whether a gateway's KVM runs guests, by running one: /dev/kvm that answers is no proof.

Under some nested hypervisors a guest begins and never gets through its kernel. The guest here is one sector: it goes
from real mode to 64 bits with paging, uses SSE2, counts to a million, asks CPUID, and powers itself off by ACPI. That
it is gone a moment later is the proof; one that faults is started again and again, one that hangs stays.
"""

from __future__ import annotations

import time

from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.kvm.connection import Connection, State
from meghdwar.driver.kvm.domain import render
from meghdwar.driver.kvm.pool import Pool

WITHIN_S = 4.0
SECTOR = (
    bytes.fromhex(
        # cli; segments 0, stack below 0x7c00; "R" to the serial line
        # page tables at 0x1000, 0x2000, 0x3000: the first 2 MiB as they are; CR3, CR4.PAE and OSFXSR, EFER.LME, CR0.PG
        # far jump to 64 bits; "L"; CR0.EM off; movq and pxor on xmm0; "S"; a million times round; "C"
        # cpuid; "I"; 0x2000 to port 0x604: the machine is off
        "fa31c08ed88ec08ed0bc007cbaf803b052ee66bf001000000f22df6631c066b9000c0000fc66f3ab66c7060010032000"
        "0066c70600200330000066c7060030830000000f20e0660d200200000f22e066b9800000c00f32660d000100000f300f"
        "20c0660d010000800f22c00f0116d87cea757c080066b810008ed866baf803b04cee0f20c06683e0fb6683c8020f22c0"
        "66480f6ec0660fefc0b053eeb940420f00ffc975fcb043ee31c00fa2b04966baf803ee66ba040666b8002066eff4ebfd"
        "000000000000000000000000009a200000000000009200001700c07c"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


def choose(connection: Connection, pool: Pool) -> str:
    """The word kvm when it runs guests there, else qemu. Tried once: what came out is remembered in the pool."""
    version = connection.version()
    names = pool.names()
    for virt in ("kvm", "qemu"):
        if _memo(virt, version) in names:
            return virt
    virt = "kvm" if connection.can_run("pc", "kvm") and _runs(connection, pool, "kvm") else "qemu"
    pool.make(_memo(virt, version))
    return virt


def remembered(connection: Connection, pool: Pool) -> str | None:
    """What came out when it was tried, None when nobody has."""
    version, names = connection.version(), pool.names()
    return next((virt for virt in ("kvm", "qemu") if _memo(virt, version) in names), None)


def _memo(virt: str, version: int) -> str:
    return f"_boots.{virt}.{version}"  # no instance's name begins so


def _runs(connection: Connection, pool: Pool, virt: str) -> bool:
    name = f"meghdwar-probe-{time.time_ns():x}"
    volume = f"_{name}"
    pool.make(volume, len(SECTOR))
    try:
        pool.write(volume, 0, SECTOR)
        guest = connection.start_once(
            name, render("probe", virt=virt, name=name, path=pool.path(volume), cache="default")
        )
        try:
            end = time.monotonic() + WITHIN_S
            while connection.state(guest) is not State.ABSENT:
                if time.monotonic() > end:
                    return False
                time.sleep(0.05)
            return True
        finally:
            if connection.state(guest) is not State.ABSENT:
                connection.destroy(guest)
    except HypervisorError as error:
        if error.retry:
            raise
        return False
    finally:
        pool.delete([volume])
