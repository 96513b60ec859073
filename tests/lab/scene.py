"""What the tests of a real cloud have in common: an application, its stack, and what an outsider sees of them."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import heat
from meghdwar.driver.cloud_api import Cloud
from meghdwar.driver.senlin import Senlin
from tests.lab.mdw import WITHIN_S, Mdw

ARENA = (Path(__file__).parent / "arena.tosca.yaml").read_text()


@dataclass
class Scene:
    """One application on one cloud. `times` are seconds by what took them."""

    cloud: Cloud
    plan: Path
    bundle: Bundle
    name: str
    mdw: Mdw
    times: dict[str, float] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)  # the servers that were its own at some time
    _floating: list[str] = field(default_factory=list)
    _made: dict[str, str] = field(default_factory=dict)  # resource -> id

    @classmethod
    def make(cls, cloud: str, release: str, name: str, folder: Path, descriptor: str = ARENA) -> Scene:
        """Compiles the descriptor into the folder; nothing is made in the cloud yet."""
        file = folder / "arena.tosca.yaml"
        file.write_text(descriptor)
        assert compile_main(["--heat", release, "-o", str(folder), str(file)]) == 0
        plan = folder / "arena.plan.yaml"
        return cls(Cloud.connect(cloud), plan, bundles.read(plan), name, Mdw(folder))

    def timed(self, what: str, work: Callable[[], Any]) -> Any:
        since = time.monotonic()
        try:
            return work()
        finally:
            self.times[what] = round(time.monotonic() - since, 1)
            print(f"{what}: {self.times[what]} s", flush=True)

    # as a person would
    def openstack(self, *words: str) -> str:
        """What the cloud's own client says. Raises AssertionError when it ends with another status than 0."""
        command = [str(Path(sys.executable).parent / "openstack"), "--os-cloud", self.cloud.name, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        assert done.returncode == 0, f"openstack {' '.join(words)} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def stack_create(self) -> heat.Found:
        """The command that the compiler prints, which knows nothing of plans."""
        bundle, folder = self.bundle, self.plan.parent
        files = "-t", str(folder / bundle.template), "-e", str(folder / bundle.environment)
        self.openstack("stack", "create", *files, "--wait", self.name)
        return heat.the(self.cloud, self.name)

    def up(self, *more: str) -> None:
        """Stack and cloudlets, by the command."""
        self.mdw("up", str(self.plan), "--cloud", self.cloud.name, "--stack", self.name, *more)

    def adopt(self) -> None:
        self.mdw("adopt", self.name, str(self.plan), "--cloud", self.cloud.name)

    def move(self, gateway: str) -> str:
        """What the command said."""
        return self.mdw("move", "arena", "--to", gateway)

    def down(self) -> str:
        return self.mdw("down", "arena")

    def call(self, output: str) -> int:
        """POSTs to a webhook of the stack, as an alarm does."""
        url = heat.the(self.cloud, self.name, outputs=True).outputs[output]["alarm_url"]
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:  # noqa: S310
            return int(answer.status)

    def counting(self) -> dict[str, str]:
        """The addresses of both gateways, once the arena counts at edge_a and edge_b waits."""
        at = {gateway: self.floating(self.server(gateway)) for gateway in ("edge_a", "edge_b")}
        self.until("the counter counts", lambda: get(at["edge_a"], "/next")[0] == 200)
        self.until("the other waits", lambda: get(at["edge_b"], "/next")[0] == 503)
        return at

    # as an outsider sees it
    def cluster(self) -> str:
        return heat.resources(self.cloud, self.name)["edges"]

    def nodes(self) -> list[dict[str, Any]]:
        found = Senlin(self.cloud).nodes(self.cluster())
        self.seen |= {node["physical_id"] for node in found if node["physical_id"]}
        return found

    def server(self, gateway: str) -> str:
        return heat.server_of(self.cloud, self.bundle, self.name, gateway)

    def volume_at(self) -> list[str]:
        """The servers that the volume is attached to."""
        volume = heat.resources(self.cloud, self.name)["saves"]
        found = self.cloud.ask("block_storage", "GET", f"/volumes/{volume}")["volume"]
        return [attachment["server_id"] for attachment in found["attachments"]]

    def note(self) -> None:
        """Writes down what the stack has made by now, so that `left` knows what to look for."""
        self.nodes()
        self._made |= heat.resources(self.cloud, self.name)

    def left(self) -> list[str]:
        """What is still there of all that was noted."""
        found = list(heat._leftovers(self.cloud, self.bundle, self._made))
        if heat.find(self.cloud, self.name) is not None:
            found.append(f"stack {self.name}")
        for server in self.seen:
            if self.cloud.ask("compute", "GET", f"/servers/{server}", missing=True):
                found.append(f"server {server}")
            ports = self.cloud.ask("network", "GET", "/ports", device_id=server)["ports"]
            found += [f"port {port['id']} of server {server}" for port in ports]
        return found

    def lose(self, server: str) -> None:
        """The machine is gone, without a word to anybody."""
        self.cloud.ask("compute", "DELETE", f"/servers/{server}", missing=True)

    def until(self, what: str, there: Callable[[], bool], within_s: float = 180) -> None:
        def wait() -> None:
            end = time.monotonic() + within_s
            while not there():
                assert time.monotonic() < end, f"{what}: not within {within_s} s"
                time.sleep(1)

        self.timed(what, wait)

    # addresses from which this machine reaches a server
    def floating(self, server: str) -> str:
        """A floating address for a server."""
        outside = self.cloud.ask("network", "GET", "/networks", **{"router:external": "true"})["networks"][0]["id"]
        port = self.cloud.ask("network", "GET", "/ports", device_id=server)["ports"][0]["id"]
        body = {"floatingip": {"floating_network_id": outside, "port_id": port}}
        made = self.cloud.ask("network", "POST", "/floatingips", body)["floatingip"]
        self._floating.append(made["id"])
        return str(made["floating_ip_address"])

    def clear(self) -> None:
        for address in self._floating:
            self.cloud.ask("network", "DELETE", f"/floatingips/{address}", missing=True)
        heat.delete(self.cloud, self.bundle, self.name)


class MakeScene(Protocol):
    def __call__(self, cloud: str, release: str, descriptor: str = ARENA) -> Scene: ...


def get(address: str, path: str, timeout_s: float = 2) -> tuple[int, str]:
    """The status and the text of an answer; 0 without one."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=timeout_s) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""
