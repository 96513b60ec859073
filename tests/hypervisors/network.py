"""The network of the edge in namespaces: a subscriber, a core that routes, and two gateways behind it.

```
this machine -- core -- edge-1
subscriber   --/    \\-- edge-2
```

Its addresses are 10.N.0.0/16, where N is free on this machine. The core sends 10.N.50.0/24, where cloudlets have
their addresses, to no one until it is told to (`route`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.hypervisors.processes import run, tag

GATEWAYS = ("edge-1", "edge-2")
NODES = ("subscriber", "core", *GATEWAYS)


@dataclass(frozen=True)
class Network:
    """Names and addresses of one such network."""

    tag: str
    number: int

    def namespace(self, node: str) -> str:
        return f"mdw-{self.tag}-{node}"

    def address(self, node: str) -> str:
        """Where a node is reached: a gateway's is also the next hop of its cloudlets."""
        return f"10.{self.number}.{NODES.index(node)}.2"

    def cloudlet(self, number: int) -> str:
        return f"10.{self.number}.50.{number}"

    def inside(self, node: str, *argv: str) -> list[str]:
        """A command that runs in the namespace of a node."""
        return ["ip", "netns", "exec", self.namespace(node), *argv]

    def route(self, cloudlet: str, gateway: str) -> None:
        """From now on the core sends the traffic of this address to that gateway."""
        run(["ip", "-n", self.namespace("core"), "route", "replace", f"{cloudlet}/32", "via", self.address(gateway)])

    def unroute(self, cloudlet: str) -> None:
        run(["ip", "-n", self.namespace("core"), "route", "del", f"{cloudlet}/32"], check=False)


def missing() -> list[str]:
    return [] if Path("/usr/sbin/ip").exists() or Path("/sbin/ip").exists() else ["iproute2"]


def up(state: Path) -> Network:
    """The network of this folder, made when it is not there."""
    there = find(state)
    if there:
        return there
    state.mkdir(parents=True, exist_ok=True)
    for number in _candidates(state):
        network = Network(tag(state), number)
        _remove(network)
        try:
            _make(network)
        except RuntimeError:
            _remove(network)  # somebody else was quicker with this number
            continue
        (state / "network.json").write_text(json.dumps({"tag": network.tag, "number": number}))
        return network
    raise RuntimeError("cannot make the network of the edge: no 10.N.0.0/16 is free on this machine")


def down(state: Path) -> None:
    """Nothing of it is left."""
    _remove(Network(tag(state), 0))
    (state / "network.json").unlink(missing_ok=True)


def status(state: Path) -> list[str]:
    network = find(state)
    if not network:
        return ["network: down"]
    return [f"network: {node:10} {network.address(node):13} ip netns exec {network.namespace(node)}" for node in NODES]


def find(state: Path) -> Network | None:
    """The network of this folder, if it is up."""
    try:
        network = Network(**json.loads((state / "network.json").read_text()))
    except (OSError, ValueError):
        return None
    return network if all(Path("/run/netns", network.namespace(node)).exists() for node in NODES) else None


def _candidates(state: Path) -> list[int]:
    taken = run(["ip", "-4", "route", "show", "table", "all"]) + run(["ip", "-4", "-o", "addr"])
    first = int(tag(state), 16) % 120
    numbers = [100 + (first + step) % 120 for step in range(120)]
    return [number for number in numbers if f" 10.{number}." not in f" {taken}" and f"\n10.{number}." not in taken]


def _make(network: Network) -> None:
    for node in NODES:
        name = network.namespace(node)
        run(["ip", "netns", "add", name])
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        if node != "subscriber":
            for key, value in (("ip_forward", 1), ("conf.all.rp_filter", 0), ("conf.default.rp_filter", 0)):
                run(network.inside(node, "sysctl", "-qw", f"net.ipv4.{key}={value}"))
    core = network.namespace("core")
    for index, node in enumerate(NODES):
        if node == "core":
            continue
        name = network.namespace(node)
        prefix = f"10.{network.number}.{index}"
        run(["ip", "-n", core, "link", "add", f"to-{node}", "type", "veth", "peer", "name", "eth0", "netns", name])
        run(["ip", "-n", core, "addr", "add", f"{prefix}.1/24", "dev", f"to-{node}"])
        run(["ip", "-n", name, "addr", "add", f"{prefix}.2/24", "dev", "eth0"])
        run(["ip", "-n", core, "link", "set", f"to-{node}", "up"])
        run(["ip", "-n", name, "link", "set", "eth0", "up"])
        run(["ip", "-n", name, "route", "add", "default", "via", f"{prefix}.1"])
    _link_to_this_machine(network)


def _link_to_this_machine(network: Network) -> None:
    """The driver runs on this machine, outside of the namespaces, and reaches the gateways through the core."""
    core, here = network.namespace("core"), _here(network)
    prefix = f"10.{network.number}.{NODES.index('core')}"
    run(["ip", "link", "add", here, "type", "veth", "peer", "name", "to-driver", "netns", core])
    run(["ip", "-n", core, "addr", "add", f"{prefix}.2/24", "dev", "to-driver"])
    run(["ip", "-n", core, "link", "set", "to-driver", "up"])
    run(["ip", "addr", "add", f"{prefix}.1/24", "dev", here])
    run(["ip", "link", "set", here, "up"])
    run(["ip", "route", "add", f"10.{network.number}.0.0/16", "via", f"{prefix}.2"])


def _here(network: Network) -> str:
    return f"mdw-{network.tag}"


def _remove(network: Network) -> None:
    if os.path.exists(f"/sys/class/net/{_here(network)}"):
        run(["ip", "link", "del", _here(network)], check=False)
    for node in NODES:
        if Path("/run/netns", network.namespace(node)).exists():
            run(["ip", "netns", "del", network.namespace(node)], check=False)
