"""Templates that use the packaged types in every version, and the examples, are right in the eyes of the checker."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

import pytest

from meghdwar.compiler import compile_file, documents
from meghdwar.compiler.check import check
from meghdwar.compiler.lower.scope import MOVABLE

TOSCA = Path(__file__).parents[2] / "tosca"
EXAMPLES = sorted(path.name for path in (TOSCA / "examples").glob("*.yaml"))


class Folder:
    """Files of a folder, or given as text."""

    def __init__(self, texts: Mapping[str, str], root: Path | None = None) -> None:
        self.texts = texts
        self.root = root

    def read(self, path: str) -> bytes | None:
        if path in self.texts:
            return self.texts[path].encode()
        file = self.root / path if self.root else None
        return file.read_bytes() if file is not None and file.is_file() else None

    def exists(self, path: str) -> bool:
        return self.read(posixpath.normpath(path)) is not None

    def names(self) -> list[str]:
        return sorted(self.texts)


def problems(folder: Folder, entry: str) -> list[str]:
    found, _, read = documents.load(folder, entry)
    _, diagnostics = check(found, folder, read)
    return [f"{d.span}: {d.rule.code} {d.message}" for d in diagnostics]


@pytest.mark.parametrize("target", ["senlin", "static"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_become_stacks(example: str, target: str) -> None:
    result = compile_file(str(TOSCA / "examples" / example), target=target)
    assert [str(d) for d in result.diagnostics if d.is_error] == []
    assert result.bundle is not None


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e != "arena-policies.tosca.yaml"])
def test_examples_leave_nothing_to_say(example: str) -> None:
    """But for the two placement policies, of which Senlin makes nothing. An input may be there for compiling only."""
    said = compile_file(str(TOSCA / "examples" / example)).diagnostics
    assert {diagnostic.rule.code for diagnostic in said} <= {"MDW457"}


@pytest.mark.parametrize("file", sorted(path.name for path in TOSCA.glob("*.yaml") if path.name != "profiles.yaml"))
def test_packaged_types_are_right(file: str) -> None:
    found = problems(Folder({}, TOSCA), file)
    # a connection point of NFV is a Port that may leave its link and binding open: it has its own beside them
    found = [each for each in found if "MDW152: cannot fill requirement" not in each]
    # VDUs can move, and the files of NFV come only with those who have them
    assert [each for each in found if not any(each.endswith(f"find node type {vdu!r}") for vdu in MOVABLE)] == []


SIMPLE = """
tosca_definitions_version: VERSION
node_types:
  my.Host:
    derived_from: tosca.nodes.Compute
    capabilities:
      host: {type: tosca.capabilities.Container}
  my.Guest:
    derived_from: tosca.nodes.SoftwareComponent
    requirements:
      - host: {capability: tosca.capabilities.Compute, node: my.Host, relationship: tosca.relationships.HostedOn}
  my.Store:
    derived_from: tosca.nodes.Root
    requirements:
      - disk: {capability: Attachment, node: tosca.nodes.Storage.BlockStorage, relationship: AttachesTo}
topology_template:
  node_templates:
    server:
      type: tosca.nodes.Compute
      capabilities:
        host: {properties: {num_cpus: 2, mem_size: 2 GB, disk_size: 10 GB, cpu_frequency: 1.5 GHz}}
        os: {properties: {architecture: x86_64, type: linux, distribution: debian, version: 12.1}}
        scalable: {properties: {min_instances: 1, max_instances: 3, default_instances: 1}}
        endpoint: {properties: {port: 22, protocol: ssh}}
      requirements:
        - local_storage: {node: old, relationship: {type: AttachesTo, properties: {location: /old}}}
        - local_storage: {node: new, relationship: {type: AttachesTo, properties: {location: /n, device: /dev/vdc}}}
    host: {type: my.Host, capabilities: {host: {properties: {num_cpus: 1}}}}
    guest: {type: my.Guest, requirements: [{host: host}]}
    store:
      type: my.Store
      requirements: [{disk: {node: old, relationship: {type: AttachesTo, properties: {location: /x}}}}]
    old: {type: tosca.nodes.BlockStorage, properties: {size: 1 GB, snapshot_id: abc}}
    new: {type: tosca.nodes.Storage.BlockStorage, properties: {volume_id: vol-1}}
    objects: {type: ObjectStorage, properties: {name: things, maxsize: 10 GB}}
    more: {type: tosca.nodes.Storage.ObjectStorage, properties: {name: more}}
    web: {type: tosca:WebServer, requirements: [{host: server}]}
    app:
      type: WebApplication
      properties: {context_root: app}
      capabilities:
        app_endpoint:
          properties: {port: 80, ports: {a: {protocol: tcp, target: 80, source_range: [1024, 2048]}}}
      requirements: [{host: web}]
    dbms: {type: DBMS, properties: {port: 3306, root_password: x}, requirements: [{host: server}]}
    db: {type: Database, properties: {name: db, port: 3306, user: u, password: p}, requirements: [{host: dbms}]}
    net: {type: tosca.nodes.network.Network, properties: {cidr: 10.0.0.0/24, network_name: net, dhcp_enabled: true}}
    port: {type: Port, properties: {order: 0}, requirements: [{link: net}, {binding: server}]}
    outside:
      type: tosca.nodes.network.FloatingIP
      properties: {floating_network: public}
      requirements: [{port: port}]
    balancer: {type: LoadBalancer, requirements: [{application: {node: app, capability: app_endpoint}}]}
    docker: {type: tosca.nodes.Container.Runtime, requirements: [{host: server}]}
    image: {type: tosca.nodes.Container.Application.Docker, requirements: [{host: docker}]}
  groups:
    both: {type: tosca.groups.Root, members: [server, host]}
  policies:
    - apart: {type: tosca.policies.Placement, targets: [both]}
    - grow: {type: tosca.policies.Scaling, targets: [server], properties: {max_instances: 3, increment: 1}}
"""


@pytest.mark.parametrize("version", ["1_0", "1_1", "1_2", "1_3", "1_0_0"])
def test_types_of_1_x_in_use(version: str) -> None:
    text = SIMPLE.replace("VERSION", f"tosca_simple_yaml_{version}")
    assert problems(Folder({"t.yaml": text}), "t.yaml") == []


NFV = """
tosca_definitions_version: tosca_simple_profile_for_NAME_1_0_0
topology_template:
  node_templates:
    vdu:
      type: tosca.nodes.NAME.VDU
      capabilities: {host: {properties: {num_cpus: 2}}}
      requirements: [{high_availability: twin}]
    twin: {type: tosca.nodes.NAME.VDU}
    cp:
      type: tosca.nodes.NAME.CP
      properties: {order: 0, type: vnic}
      requirements:
        - virtualBinding: {node: vdu, relationship: tosca.relationships.NAME.VirtualBindsTo}
        - binding: {node: vdu, relationship: tosca.relationships.NAME.VirtualBindsTo}
        - virtualLink: vl
        - link: {node: vl}
    vl: {type: tosca.nodes.NAME.VL, properties: {vendor: ACME, cidr: 10.0.0.0/24}}
    fp: {type: tosca.nodes.NAME.FP, properties: {policy: p}, requirements: [{forwarder: cp}]}
"""


@pytest.mark.parametrize("name", ["nfv", "mec"])
def test_the_nfv_and_mec_profiles_in_use(name: str) -> None:
    assert problems(Folder({"t.yaml": NFV.replace("NAME", name)}), "t.yaml") == []


VNFD = """
tosca_definitions_version: tosca_simple_yaml_1_2
imports: [etsi_nfv_sol001_common_types.yaml, etsi_nfv_sol001_vnfd_types.yaml]
topology_template:
  node_templates:
    vdu:
      type: tosca.nodes.nfv.Vdu.Compute
      properties:
        name: vdu
        description: the only one
        vdu_profile: {min_number_of_instances: 1, max_number_of_instances: 3}
        sw_image_data:
          name: cirros
          version: '0.5.2'
          checksum: {algorithm: sha-256, hash: '932fcae9'}
          container_format: bare
          disk_format: qcow2
          min_disk: 0 B
          size: 2 GB
        boot_data: |
          #!/bin/sh
          true
      capabilities:
        virtual_compute:
          properties:
            virtual_cpu: {num_virtual_cpu: 1}
            virtual_memory: {virtual_mem_size: 512 MB}
            virtual_local_storage: [{size_of_storage: 1 GB}]
      requirements: [{virtual_storage: disk}]
    disk:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties: {virtual_block_storage_data: {size_of_storage: 1 GB, rdma_enabled: false}}
    cp:
      type: tosca.nodes.nfv.VduCp
      properties: {layer_protocols: [ipv4], order: 0, vnic_type: direct}
      requirements: [{virtual_binding: vdu}, {virtual_link: vl}]
    vl:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties:
        connectivity_type: {layer_protocols: [ipv4]}
        vl_profile:
          max_bitrate_requirements: {root: 1048576}
          min_bitrate_requirements: {root: 1048576}
          virtual_link_protocol_data:
            - associated_layer_protocol: ipv4
              l3_protocol_data: {ip_version: ipv4, cidr: 10.0.0.0/24}
  policies:
    - scaling:
        type: tosca.policies.nfv.ScalingAspects
        properties: {aspects: {more: {name: more, description: more, max_scale_level: 2, step_deltas: [one]}}}
    - deltas:
        type: tosca.policies.nfv.VduScalingAspectDeltas
        properties: {aspect: more, deltas: {one: {number_of_instances: 1}}}
        targets: [vdu]
    - initial:
        type: tosca.policies.nfv.VduInitialDelta
        properties: {initial_delta: {number_of_instances: 1}}
        targets: [vdu]
    - apart:
        type: tosca.policies.nfv.AntiAffinityRule
        targets: [vdu]
        properties: {scope: nfvi_node}
"""


def test_sol001_in_use_without_its_files_beside_it() -> None:
    assert problems(Folder({"t.yaml": VNFD}), "t.yaml") == []


TOSCA_2 = """
tosca_definitions_version: tosca_2_0
imports:
  - {profile: "PROFILE"NAMESPACE}
data_types:
  Plan:
    properties:
      room: {type: P_size, default: 10 GiB}
      pause: {type: P_time, default: 1.5 h}
      speed: {type: P_bitrate, default: 100 Mbps}
node_types:
  Guest:
    derived_from: P_SoftwareComponent
    properties:
      plan: {type: Plan, required: false}
service_template:
  node_templates:
    server:
      type: P_Compute
      capabilities:
        host: {properties: {num_cpus: 2, mem_size: 2 GB, cpu_frequency: 1.5 GHz}}
        os: {properties: {type: linux, version: "12.1"}}
        endpoint: {properties: {port: 22, initiator: source}}
      requirements:
        - local_storage: {node: disk, relationship: {type: P_AttachesTo, properties: {location: /data}}}
    disk: {type: P_BlockStorage, properties: {size: 1 GiB}}
    guest: {type: Guest, properties: {plan: {room: 1 TB, pause: 5 ms}}, requirements: [{host: server}]}
    web: {type: P_WebServer, requirements: [{host: server}]}
    app: {type: P_WebApplication, properties: {context_root: a}, requirements: [{host: web}]}
    net: {type: P_Network, properties: {ip_version: 6}}
    port: {type: P_Port, requirements: [{link: net}, {binding: server}]}
    outside: {type: P_FloatingIP, requirements: [{port: port}]}
  policies:
    - grow: {type: P_Scaling, targets: [server], properties: {max_instances: 2}}
"""


def tosca_2(profile: str, namespace: str) -> str:
    import_ = TOSCA_2.replace("PROFILE", profile).replace("NAMESPACE", f", namespace: {namespace}" if namespace else "")
    return import_.replace("P_", f"{namespace}:" if namespace else "")


@pytest.mark.parametrize(
    "profile", ["org.oasis-open.simple:2.0", "org.oasis-open.tosca.simple:2.0", "tosca.simple:2.0"]
)
@pytest.mark.parametrize("namespace", ["", "tosca"])
def test_the_simple_profile_of_2_0_in_use(profile: str, namespace: str) -> None:
    assert problems(Folder({"t.yaml": tosca_2(profile, namespace)}), "t.yaml") == []


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("ip_version: 6", "ip_version: 5", "MDW2"),
        ("port: 22", "port: 70000", "MDW2"),
        ("initiator: source", "initiator: nobody", "MDW2"),
        ("num_cpus: 2", "num_cpus: 0", "MDW2"),
        ("mem_size: 2 GB", "mem_size: 2 pounds", "MDW2"),
        ("location: /data", "locaton: /data", "MDW23"),
        ("{link: net}", "{link: server}", "MDW304"),
    ],
)
def test_the_simple_profile_of_2_0_has_limits(right: str, wrong: str, code: str) -> None:
    text = tosca_2("org.oasis-open.simple:2.0", "")
    assert right in text
    found = problems(Folder({"t.yaml": text.replace(right, wrong)}), "t.yaml")
    assert any(f": {code}" in line for line in found), found
