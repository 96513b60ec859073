"""A whole site in a folder: two `local` gateways, a database, and the counter as an application to bring up."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.compiler import compile_file
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.hypervisor import Access, Hypervisor, Unbounded
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.local import Local
from tests.hypervisors.local import ASK_S, IMAGES, ask

DESCRIPTOR = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [meghdwar.yaml]
topology_template:
  inputs:
    lives: {{type: integer, default: 3}}
  node_templates:
    edge_a: {{type: meghdwar.nodes.EdgeGateway, properties: {{hypervisor: local, serves: [cell-1, cell-2]{a}}}}}
    edge_b: {{type: meghdwar.nodes.EdgeGateway, properties: {{hypervisor: local, serves: [cell-3]{b}}}}}
    arena:
      type: meghdwar.nodes.Cloudlet
      properties:
        image: {image}
        ports: [8080]
        environment: {{LIVES: {{get_input: lives}}}}
        instances: {instances}
        ready: {{http: /n, within: {within}}}
      requirements:
        - host: edge_a
        - state: {{node: saves, relationship: {{type: meghdwar.relationships.Keeps, properties: {{location: /data}}}}}}
    saves: {{type: meghdwar.nodes.StatefulVolume, properties: {{size: 16 MiB}}}}
  groups:
    edges: {{type: meghdwar.groups.EdgeCluster, members: [edge_a, edge_b]}}
  policies:
    - follow:
        type: meghdwar.policies.Mobility
        targets: [arena]
        properties: {{strategy: {strategy}, hysteresis: {hysteresis}, max_downtime: 500 ms}}
"""
DEFAULTS = {
    "a": "",
    "b": "",
    "image": "counter",
    "instances": "shared",
    "within": "5 s",
    "strategy": "warm",
    "hysteresis": "0 s",
}


@cache
def _compiled(folder: Path, changes: tuple[tuple[str, str], ...]) -> Bundle:
    path = folder / "arena.tosca.yaml"
    path.write_text(DESCRIPTOR.format(**DEFAULTS | dict(changes)))
    result = compile_file(str(path))
    assert result.bundle is not None, [f"{d.span} {d.message}" for d in result.diagnostics]
    return result.bundle


class Site:
    """`home` is where everything of it lies."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"sqlite:///{home}/meghdwar.db"
        self.gateways = {name: self._gateway(name) for name in ("edge_a", "edge_b")}
        self._drivers: list[Driver] = []

    def _gateway(self, name: str) -> Local:
        (self.home / name).mkdir()
        return Local(Access(name, "local", str(self.home / name), images=IMAGES))

    # the application
    def bundle(self, **changes: str) -> Bundle:
        return _compiled(self.home, tuple(sorted(changes.items())))

    def plan(self, **changes: str) -> Path:
        """The plan in a file, with the other files beside it."""
        bundle = self.bundle(**changes)
        bundles.write(bundle, self.home / "out")
        return self.home / "out" / bundle.plan_file

    # the driver
    def driver(self, **options: Any) -> Driver:
        opened = database.open(self.url, lease_s=options.pop("lease_s", 15.0))
        driver = Driver(opened, **{"patience_s": 1.0} | options)
        self._drivers.append(driver)
        return driver

    def reading(self) -> Driver:
        """One that is only asked; the same each time."""
        return self._drivers[0] if self._drivers else self.driver()

    def known(self, driver: Driver) -> Driver:
        """The driver, with both gateways made known."""
        for name in self.gateways:
            access = Access(name, "local", str(self.home / name), images=IMAGES)
            driver.inventory.add_gateway(GatewayRecord(access))
        return driver

    def up(self, driver: Driver | None = None, **changes: str) -> Driver:
        """A driver with the application up through it."""
        driver = self.known(driver or self.driver())
        operations = driver.up(self.bundle(**changes), router=f"table:{self.home}/routes", images=IMAGES)
        assert [operation.status for operation in operations] in ([], ["completed"]), operations
        return driver

    # what is there
    def ask(self, gateway: str, instance: Instance, path: str, within_s: float = ASK_S) -> str | None:
        address, _, port = self.gateways[gateway].endpoint(instance).partition(":")
        return ask(address, int(port), path, within_s)

    def log(self, gateway: str, instance: Instance) -> list[str]:
        folder = self.home / gateway / "instances" / instance.name / "disks" / instance.disks[0].name
        return (folder / "log").read_text().splitlines()

    def at(self, hypervisor: Hypervisor, instance: Instance) -> str:
        return hypervisor.look(instance).power.value

    def environment(self) -> dict[str, str]:
        return os.environ | {"MEGHDWAR_DATABASE": self.url, "HOME": str(self.home)}

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()
            driver.database.close()
        for gateway in self.gateways.values():
            (self.home / gateway.gateway).chmod(0o755)
            for seen in gateway.inventory():
                instance = Instance(seen.name, seen.application, "", "container", "")
                gateway.hold(instance, Unbounded(seen.epoch), writer=False)
                gateway.remove(instance, Unbounded(seen.epoch))
