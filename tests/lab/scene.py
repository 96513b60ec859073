"""What the tests of a real cloud have in common: an application, its stack, and what an outsider sees of them."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import heat
from meghdwar.driver.cloud_api import Cloud
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.plan import instance_name

HERE = Path(__file__).parent


@dataclass
class Scene:
    """One application on one cloud. `times` are seconds by what took them."""

    cloud: Cloud
    bundle: Bundle
    name: str
    times: dict[str, float] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)  # the servers that were its own at some time
    _floating: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, cloud: str, release: str, name: str, folder: Path) -> Scene:
        assert compile_main(["--heat", release, "-o", str(folder), str(HERE / "arena.tosca.yaml")]) == 0
        return cls(Cloud.connect(cloud), bundles.read(folder / "arena.plan.yaml"), name)

    def timed(self, what: str, work: Callable[[], Any]) -> Any:
        since = time.monotonic()
        try:
            return work()
        finally:
            self.times[what] = round(time.monotonic() - since, 1)
            print(f"{what}: {self.times[what]} s", flush=True)

    # as a person would
    def stack_create(self) -> heat.Found:
        """Plain `openstack stack create`, which knows nothing of plans."""
        request = heat._request(self.bundle, {})
        self.cloud.ask("orchestration", "POST", "/stacks", {**request, "stack_name": self.name, "timeout_mins": 30})
        found = heat.await_stack(self.cloud, heat.the(self.cloud, self.name).id, print)
        assert found.state == "CREATE_COMPLETE", found.reason
        return found

    def instance(self) -> Instance:
        return Instance(instance_name("arena", "arena"), "arena", "arena", "vm", "counter")

    def call(self, output: str) -> int:
        """POSTs to a webhook of the stack, as an alarm does."""
        url = heat.the(self.cloud, self.name, outputs=True).outputs[output]["alarm_url"]
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:  # noqa: S310
            return int(answer.status)

    # as an outsider sees it
    def cluster(self) -> str:
        return heat.resources(self.cloud, self.name)["edges"]

    def nodes(self) -> list[dict[str, Any]]:
        found = heat.Senlin(self.cloud).nodes(self.cluster())
        self.seen |= {node["physical_id"] for node in found if node["physical_id"]}
        return found

    def server(self, gateway: str) -> str:
        return heat.server_of(self.cloud, self.bundle, self.name, gateway)

    def volume_at(self) -> list[str]:
        """The servers that the volume is attached to."""
        volume = heat.resources(self.cloud, self.name)["saves"]
        found = self.cloud.ask("block_storage", "GET", f"/volumes/{volume}")["volume"]
        return [attachment["server_id"] for attachment in found["attachments"]]

    def servers(self) -> set[str]:
        return {server["id"] for server in self.cloud.ask("compute", "GET", "/servers")["servers"]}

    def move(self, picture: heat.Picture, gateway: str, within_s: float = 600) -> None:
        """A move as the driver does it: what may go well another time is tried again."""
        end = time.monotonic() + within_s
        while True:
            try:
                return picture.place(self.instance(), gateway)
            except HypervisorError as error:
                print(error, flush=True)
                if not error.retry or time.monotonic() > end:
                    raise
                time.sleep(2)

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


def get(address: str, path: str, timeout_s: float = 2) -> tuple[int, str]:
    """The status and the text of an answer; 0 without one."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=timeout_s) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""
