"""Two gateways of one hypervisor and the one test application on them, so that every suite runs over all of them.

The application is the counter. Its state is a log with one line `N CRC` for each value; `GET /next` appends a line,
makes it durable and only then answers N; `GET /n` answers the last N and changes nothing. While its state is not
there it answers 503 to everything and goes on waiting.

For these suites it knows two more: `GET /mark?TEXT` puts TEXT into the file `mark` beside the log, in place (the file
is written over, not replaced) and durably, and `GET /mark` answers it; `GET /fill?N` makes a file `fill` of N random
bytes there. Both answer something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from meghdwar.driver.hypervisor import Access, Hypervisor
from meghdwar.driver.instance import Instance


class MissingError(Exception):
    """This machine cannot run such a pair; the message says what is missing."""


class Pair(Protocol):
    """A source and a target. What is asked here goes past the driver: it is what an outside observer sees."""

    source: Hypervisor
    target: Hypervisor
    accesses: tuple[Access, Access]  # of source and target: another driver process makes the same two from them
    patience_s: float  # the longest time from a start to the first answer of the counter

    def again(self, hypervisor: Hypervisor) -> Hypervisor:
        """The same gateway as a driver sees it that has only just been started."""
        ...

    def nowhere(self) -> Hypervisor:
        """A gateway of this kind that does not answer; its name is "nowhere"."""
        ...

    def instance(self, name: str, **changes: Any) -> Instance:
        """The counter with one disk, at /data; `changes` are other values for fields of Instance."""
        ...

    def files_instance(self, name: str) -> Instance:
        """The counter with its log as a state file, /state/log, and size_max_bytes of 4096; no disk."""
        ...

    def ask(
        self, hypervisor: Hypervisor, instance: Instance, path: str, *, timeout_s: float | None = None
    ) -> str | None:
        """What the counter there answers; None when it answers 503, or nobody answers. Never raises.

        Without `timeout_s` nobody is soon taken for nobody: who has to have the answer says `patience_s`.
        """
        ...

    def log(self, hypervisor: Hypervisor, instance: Instance) -> list[str]:
        """The lines of its log there, read past the application, which may be paused, stopped or running."""
        ...

    def damage(self, hypervisor: Hypervisor, instance: Instance) -> None:
        """Changes a byte of its log there, past the driver, so that neither size nor time tells."""
        ...

    def clean(self) -> None:
        """Nothing of any instance is left at either gateway, whatever the test left."""
        ...

    def close(self) -> None: ...


def local(folder: Path) -> Pair:
    return import_module("tests.hypervisors.local").pair(folder)  # type: ignore[no-any-return]


def lxd(folder: Path) -> Pair:
    return import_module("tests.hypervisors.lxd").pair(folder)  # type: ignore[no-any-return]


def kvm(folder: Path) -> Pair:
    return import_module("tests.hypervisors.kvm").pair(folder)  # type: ignore[no-any-return]


# Each makes a pair, which keeps what it needs in the empty folder that it is given, or raises MissingError.
PAIRS: Mapping[str, Callable[[Path], Pair]] = {"local": local, "lxd": lxd, "kvm": kvm}


# what the counter left
def cksum(text: str) -> int:
    """The checksum of POSIX cksum over the text: what a system with nothing but busybox has."""
    crc = 0
    length = len(text)
    tail = []
    while length:
        tail.append(length & 0xFF)
        length >>= 8
    for byte in [*text.encode(), *tail]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
            crc &= 0xFFFFFFFF
    return ~crc & 0xFFFFFFFF


def numbers(lines: list[str]) -> list[int]:
    """The values in a log, in order. A line whose checksum is wrong fails the test."""
    values = []
    for line in lines:
        number, checksum = line.split(" ")
        assert checksum in (f"{crc32(number.encode()):08x}", f"{cksum(number):08x}"), f"a damaged line: {line!r}"
        values.append(int(number))
    return values


def eventually(what: Callable[[], object], within_s: float, *, every_s: float = 0.02) -> Any:
    """The first answer that is neither None nor False; fails when there is none in time."""
    end = time.monotonic() + within_s
    while True:
        answer = what()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < end, f"nothing came within {within_s} s"
        time.sleep(every_s)
