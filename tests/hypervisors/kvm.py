"""Two KVM gateways and the counter on them, for the suites over all hypervisors."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meghdwar.driver.hypervisor import Access, Hypervisor
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.kvm import Kvm
from meghdwar.model import Ready
from tests.contract.pairs import MissingError
from tests.hypervisors import STATE, libvirtd, network, processes
from tests.hypervisors.libvirtd import GATEWAYS, IMAGE

SIZE_BYTES = 16 * 2**20
MEMORY_BYTES = 128 * 2**20
ASK_S = 3.0


class KvmPair:
    """The pair of `tests.contract`. Its gateways are brought up when they are not, and stay."""

    patience_s = 40.0

    def __init__(self, state: Path, **options: str) -> None:
        self.state = state
        self.accesses = libvirtd.accesses(state, **options)
        self.source, self.target = Kvm(self.accesses[0]), Kvm(self.accesses[1])
        self._numbers: dict[str, int] = {}

    def again(self, hypervisor: Hypervisor) -> Hypervisor:
        return Kvm(self._access(hypervisor))

    def nowhere(self) -> Hypervisor:
        endpoint = "qemu+unix:///system?socket=/nowhere/libvirt-sock"
        return Kvm(replace(self.accesses[0], gateway="nowhere", endpoint=endpoint, timeout_s=5))

    def instance(self, name: str, **changes: Any) -> Instance:
        number = self._numbers.setdefault(name, 2 + len(self._numbers) % 250)
        lab = network.find(self.state)
        assert lab
        given = Instance(
            name=name,
            application="counting",
            cloudlet="counter",
            kind="vm",
            image=IMAGE,
            memory_bytes=MEMORY_BYTES,
            address=lab.cloudlet(number),
            ports=(80,),
            ready=Ready(http="/n", port=80, within_s=self.patience_s),
            disks=(Disk(f"{name}-data", SIZE_BYTES, "/data"),),
        )
        return replace(given, **changes)

    def files_instance(self, name: str) -> Instance:
        return self.instance(name, disks=(), files=(Files(f"{name}-files", ("/state/log",), 4096),))

    def ask(
        self, hypervisor: Hypervisor, instance: Instance, path: str, *, timeout_s: float | None = None
    ) -> str | None:
        return ask(self._access(hypervisor), instance, path, timeout_s or ASK_S, timeout_s or 0.0)

    def log(self, hypervisor: Hypervisor, instance: Instance) -> list[str]:
        with self._copy(hypervisor, instance) as copied:
            read = subprocess.run(["debugfs", "-R", "cat /log", copied], capture_output=True, text=True)
        return read.stdout.splitlines()

    def damage(self, hypervisor: Hypervisor, instance: Instance) -> None:
        """In a block of the log; the log is found by its first line."""
        volume = self._volume(hypervisor, instance)
        before = volume.stat()
        content = volume.read_bytes()
        at = content.rindex(b"1 83dcefb7\n2 ") + len(b"1 8")
        with open(volume, "r+b") as file:
            file.seek(at)
            file.write(b"0")
        os.utime(volume, ns=(before.st_atime_ns, before.st_mtime_ns))

    def clean(self) -> None:
        for gateway in GATEWAYS:
            sweep(self.state, gateway)

    def close(self) -> None:
        self.source.close()
        self.target.close()

    def _access(self, hypervisor: Hypervisor) -> Access:
        return next(access for access in self.accesses if access.gateway == hypervisor.gateway)

    def _volume(self, hypervisor: Hypervisor, instance: Instance) -> Path:
        disk = instance.disks[0].name
        return libvirtd.pool(self.state, hypervisor.gateway) / f"{instance.name}.{disk}.raw"

    @contextmanager
    def _copy(self, hypervisor: Hypervisor, instance: Instance) -> Iterator[Path]:
        """The disk as it would be found after a power cut: its journal is worked first."""
        copied = self.state / f"look-{os.getpid()}-{time.monotonic_ns()}.raw"
        try:
            processes.run(["cp", "--sparse=always", self._volume(hypervisor, instance), copied])
            subprocess.run(["e2fsck", "-fy", copied], capture_output=True)
            yield copied
        finally:
            copied.unlink(missing_ok=True)


def pair(folder: Path) -> KvmPair:
    """The pair of this checkout, or of a worker of pytest-xdist. `folder` is not used: what the gateways keep stays for
    the next run."""
    if os.geteuid():
        raise MissingError("two libvirt daemons in namespaces take root")
    if libvirtd.missing():
        raise MissingError(f"not installed: {', '.join(libvirtd.missing())}")
    state = STATE / os.environ.get("PYTEST_XDIST_WORKER", "")
    libvirtd.up(state)
    found = KvmPair(state)
    found.clean()
    return found


def ask(access: Access, instance: Instance, path: str, answer_s: float = ASK_S, unreached_s: float = 0.0) -> str | None:
    """What the counter answers at a gateway, asked from beside it; None when nobody does, or 503.

    While nobody can be reached there at all it is tried again, for `unreached_s`.
    """
    end = time.monotonic() + unreached_s
    while True:
        answer = _answer(access, f"{instance.address}:80", path, answer_s)
        if not answer.startswith(b"HTTP/1.0 502") or time.monotonic() > end:
            break
        time.sleep(0.05)
    found = re.search(rb"HTTP/1.0 200 OK\r\nContent-Length: \d+\r\n\r\n(.*)", answer, re.S)
    return found[1].decode() if found else None


def _answer(access: Access, host: str, path: str, answer_s: float) -> bytes:
    """What the proxy at the gateway and the counter behind it say; nothing where that takes too long."""
    by = urlsplit(access.options["proxy"])
    try:
        with socket.create_connection((by.hostname, by.port), timeout=answer_s) as there:
            there.sendall(f"CONNECT {host} HTTP/1.0\r\n\r\nGET {path} HTTP/1.0\r\n\r\n".encode())
            return b"".join(iter(lambda: there.recv(4096), b""))
    except OSError:
        return b""


def sweep(state: Path, gateway: str) -> None:
    """Nothing of any instance is left there, past the driver; images and what is known of the gateway stay."""
    for name in libvirtd.virsh(state, gateway, "list", "--all", "--name").split():
        libvirtd.virsh(state, gateway, "destroy", name, check=False)
        words = ("--managed-save", "--snapshots-metadata", "--checkpoints-metadata")
        libvirtd.virsh(state, gateway, "undefine", name, *words, check=False)
    left = [
        file
        for file in libvirtd.pool(state, gateway).glob("*")
        if not re.match(r"_boots\.|_direct|[0-9a-f]{64}\.", file.name)
    ]
    for file in left:
        file.unlink()
    if left:
        libvirtd.virsh(state, gateway, "pool-refresh", "meghdwar", check=False)
    lab = network.find(state)
    if lab:  # the next guest with that address has another hardware address
        processes.run(["ip", "-n", lab.namespace(gateway), "neigh", "flush", "dev", libvirtd.BRIDGE], check=False)
