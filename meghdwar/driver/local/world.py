"""What one instance of a `local` gateway finds where it runs: command, environment, address; and whether it serves."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from meghdwar.driver.instance import Instance
from meghdwar.driver.local import image
from meghdwar.driver.local.folder import Place, Record
from meghdwar.driver.local.process import MARK, beside

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED_ON = ("LANG", "LC_ALL", "TZ", "TMPDIR")  # of the driver's own environment: nothing that could be a secret
PROBE_S = 2.0
ADDRESSES_MAX = 1000  # that are tried


@dataclass(frozen=True, slots=True)
class World:
    """Of one instance; `images` is the gateway's folder of images."""

    instance: Instance
    place: Place
    record: Record
    images: Path

    @property
    def image(self) -> Path:
        return self.images / self.record.image

    @property
    def path(self) -> str:
        """Its image first, then the system, and last the Python that runs the driver."""
        return f"{self.image}:{self.image}/bin:{SYSTEM_PATH}:{os.path.dirname(sys.executable)}"

    def command(self) -> list[str]:
        """Raises ImageError when there is nothing to run."""
        own = self.instance.command
        if own:
            return [shutil.which(own[0], path=self.path) or own[0], *own[1:]]
        return image.command(self.image, self.instance.image)

    def environment(self) -> dict[str, str]:
        root = os.fspath(self.place.root)
        ours = {"HOME": root, MARK: root, "MEGHDWAR_NAME": self.instance.name}
        ours["MEGHDWAR_ADDRESS"] = self.record.address
        if self.instance.ports:
            ours["PORT"] = str(self.instance.ports[0])
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**passed, "PATH": self.path, **self.instance.environment, **ours}

    def runs(self, command: Sequence[str], within_s: float) -> bool:
        """Whether a command beside what runs of it ends well, and in time."""
        found = shutil.which(command[0], path=self.path) or command[0]
        with suppress(OSError, subprocess.TimeoutExpired), beside(self.place):
            done = subprocess.run(  # noqa: S603 - as its descriptor says
                [found, *command[1:]],
                cwd=self.place.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=within_s,
                check=False,
            )
            return done.returncode == 0
        return False

    def serves(self) -> bool:
        """By its Ready; whether it runs is known before."""
        ready = self.instance.ready
        port = ready.port or next(iter(self.instance.ports), None)
        if ready.http is not None and port is not None:
            return _answers(self.record.address, port, ready.http)
        if ready.port is not None:
            with suppress(OSError), socket.create_connection((self.record.address, ready.port), PROBE_S):
                return True
            return False
        return not ready.command or self.runs(ready.command, PROBE_S)


def _answers(address: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# addresses
def free_address(instance: Instance, place: Place, used: Collection[str]) -> str | None:
    """A loopback address that is not in `used` and at which nobody has its ports now; None when there is none. It
    follows from the folder, so that the gateways of one machine rarely meet; where they do, whoever starts moves."""
    for attempt in range(ADDRESSES_MAX):
        seed = sha256(f"{place.folder.resolve()} {attempt}".encode()).digest()
        address = f"127.{1 + seed[0] % 254}.{seed[1]}.{1 + seed[2] % 254}"
        if address not in used and is_free(address, instance.ports):
            return address
    return None


def is_free(address: str, ports: Sequence[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except PermissionError:
                continue  # a port below 1024: whether it is free is seen when it starts
            except OSError:
                return False
    return True
