"""A pair of `local` gateways: two folders."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from meghdwar.driver.hypervisor import Access, Hypervisor, HypervisorError, Unbounded
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.local import Local
from meghdwar.model import Ready
from meghdwar.resources import tosca

IMAGES = Path(str(tosca())) / "examples" / "images"
PORT = 8080
ASK_S = 10.0  # nobody there refuses at once


def ask(address: str, port: int, path: str, within_s: float = ASK_S) -> str | None:
    """The body of the answer, if it is 200; None for any other answer and for none."""
    with suppress(OSError, ValueError), socket.create_connection((address, port), within_s) as connection:
        connection.settimeout(within_s)
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
        head, _, body = answer.decode().partition("\r\n\r\n")
        if head.split()[1:2] == ["200"]:
            return body
    return None


class LocalPair:
    patience_s = 10.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.accesses = (self._access("source"), self._access("target"))
        for access in self.accesses:
            Path(access.endpoint).mkdir(exist_ok=True)
        self.source, self.target = (Local(access) for access in self.accesses)

    def _access(self, name: str) -> Access:
        return Access(name, "local", os.fspath(self._folder / name), images=IMAGES, timeout_s=10.0)

    def again(self, hypervisor: Hypervisor) -> Hypervisor:
        return Local(self._access(hypervisor.gateway))

    def nowhere(self) -> Hypervisor:
        return Local(self._access("nowhere"))

    def instance(self, name: str, **changes: Any) -> Instance:
        counter = Instance(
            name,
            application="test",
            cloudlet="counter",
            kind="container",
            image="counter",
            ports=(PORT,),
            ready=Ready(http="/n", within_s=10.0),
            disks=(Disk(f"{name}-data", 16 * 2**20, "/data"),),
        )
        return replace(counter, **changes)

    def files_instance(self, name: str) -> Instance:
        environment = {"COUNTER_STATE": "state", "COUNTER_MAKES_STATE": "yes"}
        return self.instance(
            name, disks=(), environment=environment, files=(Files(f"{name}-files", ("/state/log",), 4096),)
        )

    def ask(
        self, hypervisor: Hypervisor, instance: Instance, path: str, *, timeout_s: float | None = None
    ) -> str | None:
        try:
            address, _, port = hypervisor.endpoint(instance).partition(":")
        except HypervisorError:
            return None
        return ask(address, int(port), path, timeout_s or ASK_S)

    def log(self, hypervisor: Hypervisor, instance: Instance) -> list[str]:
        return self._log(hypervisor, instance).read_text().splitlines()

    def _log(self, hypervisor: Hypervisor, instance: Instance) -> Path:
        folder = self._folder / hypervisor.gateway / "instances" / instance.name
        if instance.disks:
            return folder / "disks" / instance.disks[0].name / "log"
        return folder / "root" / "state" / "log"

    def damage(self, hypervisor: Hypervisor, instance: Instance) -> None:
        log = self._log(hypervisor, instance)
        status = log.stat()
        with open(log, "r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
        os.utime(log, ns=(status.st_atime_ns, status.st_mtime_ns))

    def clean(self) -> None:
        for gateway in (self.source, self.target):
            for seen in gateway.inventory():
                gateway.remove(self.instance(seen.name), Unbounded(seen.epoch))
            assert gateway.inventory() == ()

    def close(self) -> None:
        self.source.close()
        self.target.close()


def pair(folder: Path) -> LocalPair:
    return LocalPair(folder)
