"""What ./demo.sh needs of real gateways: brings them up, writes a descriptor for them, and prints how they are known.

    python -m tests.hypervisors.demonstration lxd|kvm DESCRIPTOR

It prints lines for a shell: `gateway ARGUMENTS` (tabs between them) for each `mdw gateway add`, `router`, `inside`
(the words before a command that runs where the subscriber is) and `at` (the address of the cloudlet).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from meghdwar.driver.hypervisor import Access
from tests.hypervisors import STATE, network
from tests.hypervisors.__main__ import KINDS

DESCRIPTOR = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [meghdwar.yaml]
topology_template:
  node_templates:
    edge_a: {{type: meghdwar.nodes.EdgeGateway, properties: {{hypervisor: {kind}, serves: [cell-1, cell-2], endpoint: "{a}"}}}}
    edge_b: {{type: meghdwar.nodes.EdgeGateway, properties: {{hypervisor: {kind}, serves: [cell-3], endpoint: "{b}"}}}}
    arena:
      type: {type}
      properties: {{image: {image}, memory: 128 MiB, ports: [80], address: {address}, ready: {{http: /n, within: 60 s}}}}
      requirements:
        - host: edge_a
        - state: {{node: saves, relationship: {{type: meghdwar.relationships.Keeps, properties: {{location: /data}}}}}}
    saves: {{type: meghdwar.nodes.StatefulVolume, properties: {{size: 64 MiB}}}}
  groups:
    edges: {{type: meghdwar.groups.EdgeCluster, members: [edge_a, edge_b]}}
  policies:
    - follow: {{type: meghdwar.policies.Mobility, targets: [arena], properties: {{strategy: {strategy}, hysteresis: 0 s}}}}
"""  # noqa: E501 - one line for each element
# kind -> what the descriptor says of the cloudlet
CLOUDLETS: Mapping[str, Mapping[str, str]] = {
    "lxd": {"type": "meghdwar.nodes.Cloudlet.Container", "strategy": "warm"},
    "kvm": {"type": "meghdwar.nodes.Cloudlet.VM", "strategy": "live"},
}


def main() -> int:
    kind, file = sys.argv[1:]
    module = import_module(KINDS[kind])
    if os.geteuid():
        return _cannot(f"real {kind} gateways take root: sudo ./demo.sh {kind}")
    if module.missing():
        return _cannot(f"not installed: apt-get install {' '.join(module.missing())}")
    module.up(STATE)
    lab = network.find(STATE)
    assert lab is not None  # `up` made it
    accesses, address = module.accesses(STATE), lab.cloudlet(80)
    Path(file).write_text(descriptor(kind, accesses, address, module.IMAGE))
    for name, access in zip(("edge_a", "edge_b"), accesses, strict=True):
        print("gateway", "\t".join(arguments(name, access)))
    print(f"router iproute:{lab.namespace('core')}")
    print("inside", shlex.join(lab.inside("subscriber")))
    print(f"at {address}:80")
    return 0


def descriptor(kind: str, accesses: Sequence[Access], address: str, image: str) -> str:
    """An arena on these two gateways, which stand already."""
    one, two = accesses
    said = {"kind": kind, "a": one.endpoint, "b": two.endpoint, "address": address, "image": image}
    return DESCRIPTOR.format(**said, **CLOUDLETS[kind])


def arguments(name: str, access: Access) -> list[str]:
    """What is typed after `mdw gateway add` for such a gateway."""
    given = {
        "--hypervisor": access.hypervisor,
        "--endpoint": access.endpoint,
        "--certificate": access.certificate,
        "--client-certificate": access.client_certificate,
        "--client-key": access.client_key,
        "--address": access.address,
        "--images": access.images,
    }
    words = [name]
    for option, value in given.items():
        words += [option, str(value)] if value is not None else []
    for key, value in access.options.items():
        words += ["--option", f"{key}={value}"]
    return words


def _cannot(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
