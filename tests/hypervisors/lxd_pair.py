"""Two real LXDs as a pair of gateways for the suites that run over every hypervisor."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from meghdwar.driver.hypervisor import Access, Hypervisor
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.lxd import Lxd
from meghdwar.model import Ready
from tests.contract.pairs import MissingError
from tests.hypervisors import lxd, network

CLONE_NEWNET = 0x40000000
DISK_BYTES = 200 * 2**20
ASK_S = 1.0


class LxdPair:
    """Everything is kept in `state`, where `tests.hypervisors.lxd` has brought both up."""

    patience_s = 30.0

    def __init__(self, state: Path) -> None:
        lab = network.find(state)
        assert lab is not None
        self.state, self.lab = state, lab
        self.accesses = lxd.accesses(state)
        self.source: Hypervisor = Lxd(self.accesses[0])
        self.target: Hypervisor = Lxd(self.accesses[1])
        self._others: list[Hypervisor] = []

    def again(self, hypervisor: Hypervisor) -> Hypervisor:
        return self._other(self.access(hypervisor))

    def nowhere(self) -> Hypervisor:
        return self._other(replace(self.accesses[0], gateway="nowhere", endpoint="https://127.0.0.1:1", timeout_s=2.0))

    def instance(self, name: str, **changes: Any) -> Instance:
        wanted = Instance(
            name=name,
            application="counting",
            cloudlet="counter",
            kind="container",
            image=lxd.IMAGE,
            address=self.lab.cloudlet(80),
            ports=(80,),
            ready=Ready(http="/n", within_s=self.patience_s),
            disks=(Disk(f"{name}-saves", DISK_BYTES, "/data"),),
        )
        return replace(wanted, **changes)

    def files_instance(self, name: str) -> Instance:
        files = (Files(f"{name}-files", ("/state/log",), 4096),)
        return self.instance(name, disks=(), files=files, environment={"STATE": "/state"})

    def ask(
        self, hypervisor: Hypervisor, instance: Instance, path: str, *, timeout_s: float | None = None
    ) -> str | None:
        assert instance.address is not None
        return ask(self.lab.namespace(hypervisor.gateway), instance.address, path, timeout_s or ASK_S)

    def log(self, hypervisor: Hypervisor, instance: Instance) -> list[str]:
        try:
            return self.log_file(hypervisor, instance).read_text().splitlines()
        except FileNotFoundError:
            return []

    def damage(self, hypervisor: Hypervisor, instance: Instance) -> None:
        file = self.log_file(hypervisor, instance)
        times = file.stat()
        with open(file, "r+b") as opened:
            first = opened.read(1)
            opened.seek(0)
            opened.write(bytes([first[0] ^ 1]))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def clean(self) -> None:
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda access: lxd.sweep(self.state, access.gateway), self.accesses))
        while self._others:
            self._others.pop().close()

    def close(self) -> None:
        for each in (self.source, self.target):
            each.close()
        lxd.down(self.state)
        network.down(self.state)

    # past the driver
    def access(self, hypervisor: Hypervisor) -> Access:
        return next(access for access in self.accesses if access.gateway == hypervisor.gateway)

    def log_file(self, hypervisor: Hypervisor, instance: Instance) -> Path:
        pools = lxd.pools(self.state, hypervisor.gateway)
        if instance.disks:
            return pools / "default/custom" / f"default_{instance.disks[0].name}" / "log"
        return pools / "default/containers" / instance.name / "rootfs/state/log"

    def _other(self, access: Access) -> Hypervisor:
        self._others.append(Lxd(access))
        return self._others[-1]


def pair(folder: Path) -> LxdPair:
    """Brings both up in the folder. Raises MissingError where that cannot be."""
    if os.geteuid():
        raise MissingError("real LXDs take root")
    packages = lxd.missing()
    if packages:
        raise MissingError(f"apt-get install {' '.join(packages)}")
    try:
        lxd.up(folder)
    except RuntimeError as error:
        lxd.down(folder)
        network.down(folder)
        raise MissingError(str(error)) from None
    return LxdPair(folder)


def ask(namespace: str, address: str, path: str, timeout_s: float) -> str | None:
    """What the counter answers to who asks from a network namespace; None for 503 and for no answer."""
    try:
        with _connect(namespace, address, timeout_s) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return None
    head, _, body = answer.decode().partition("\r\n\r\n")
    return body.strip() if " 200 " in head.partition("\r\n")[0] else None


def _connect(namespace: str, address: str, timeout_s: float) -> socket.socket:
    """A socket keeps the network namespace that it was made in, and a thread can be in another one than its process."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def connect() -> None:
        try:
            with open(f"/run/netns/{namespace}") as there:
                if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "cannot enter the network namespace")
            made.append(socket.create_connection((address, 80), timeout_s))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
