"""From the vocabulary of the edge to the model, and what has to hold between its parts."""

# ruff: noqa: E501 - a descriptor is a line or two

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from meghdwar.compiler import Result, compile_file
from meghdwar.model import (
    Cloudlet,
    Cluster,
    ClusterPolicy,
    Gateway,
    Mobility,
    Mount,
    Parameter,
    Receiver,
    StateFiles,
    Volume,
)
from meghdwar.resources import tosca

MIB = 1024**2
EXAMPLE = Path(str(tosca())) / "examples" / "arena.tosca.yaml"


# a descriptor that is right, and changes to it
def gateway(name: str, hypervisor: str = "lxd", **more: object) -> dict[str, Any]:
    endpoint = {"lxd": f"https://{name}:8443", "kvm": f"qemu+tls://{name}/system", "local": f"local:{name}"}[hypervisor]
    given = {"hypervisor": hypervisor, "serves": [f"cell-{name}"], "endpoint": endpoint} | more
    return {"type": "meghdwar.nodes.EdgeGateway", "properties": {k: v for k, v in given.items() if v is not None}}


def built(name: str, hypervisor: str = "lxd", **more: object) -> dict[str, Any]:
    return gateway(name, hypervisor, endpoint=None, flavor="m1.tiny", image="edge", networks=["net"], **more)


def cloudlet(host: str | None = "a", kind: str = "Container", state: Mapping[str, str] = {}, **more: object) -> Any:
    keeps = "meghdwar.relationships.Keeps"
    requirements: list[Any] = [{"host": host}] if host else []
    for name, location in state.items():
        requirements.append(
            {"state": {"node": name, "relationship": {"type": keeps, "properties": {"location": location}}}}
        )
    return {
        "type": f"meghdwar.nodes.Cloudlet.{kind}".rstrip("."),
        "properties": {"image": "cloudlet", **more},
        "requirements": requirements,
    }


def policy(kind: str, *targets: str, **properties: object) -> dict[str, Any]:
    return {"type": f"meghdwar.policies.{kind}", "targets": list(targets), "properties": properties}


VOLUME = {"type": "meghdwar.nodes.StatefulVolume", "properties": {"size": "100 MiB"}}
FILES = {"type": "meghdwar.nodes.StateFiles", "properties": {"paths": ["/srv/score"]}}


def cluster(*members: str, **properties: object) -> dict[str, Any]:
    return {"type": "meghdwar.groups.EdgeCluster", "members": list(members), "properties": properties}


def descriptor(
    nodes: Mapping[str, Any] = {},
    groups: Mapping[str, Any] = {},
    policies: Mapping[str, Any] = {},
    **more: Any,
) -> dict[str, Any]:
    """Two LXD gateways in a cluster and a container; a value of None takes something away."""
    all_nodes = {"a": gateway("a"), "b": gateway("b"), "arena": cloudlet()} | dict(nodes)
    all_groups = {"edges": cluster("a", "b")} | dict(groups)
    return {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "imports": ["meghdwar.yaml"],
        **{key: value for key, value in more.items() if key != "inputs"},
        "topology_template": {
            "inputs": more.get("inputs", {}),
            "node_templates": {k: v for k, v in all_nodes.items() if v is not None},
            "groups": {k: v for k, v in all_groups.items() if v is not None},
            "policies": [{name: value} for name, value in policies.items()],
        },
    }


def compiled(document: dict[str, Any], folder: Path, **options: Any) -> Result:
    path = folder / "service.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(document), sort_keys=False))
    return compile_file(str(path), **options)


def codes(result: Result) -> list[str]:
    return sorted({d.rule.code for d in result.diagnostics if "MDW400" <= d.rule.code < "MDW450"})


# what comes out
def test_the_example_becomes_the_model() -> None:
    application = compile_file(str(EXAMPLE)).application
    assert application is not None
    first, second = application.each(Gateway)
    assert (first.name, first.hypervisor, first.zone, first.serves) == ("edge_a", "lxd", "edge-1", ("cell-1", "cell-2"))
    assert (first.latitude, first.longitude) == (41.409, 2.218)
    assert (first.flavor, first.image, first.networks) == (Parameter("flavor"), "edge-lxd", ("edge-net",))
    assert not first.stands
    assert second.serves == ("cell-3",)
    (arena,) = application.each(Cloudlet)
    assert (arena.kind, arena.host, arena.cluster, arena.instances) == ("container", "edge_a", "edges", "shared")
    assert (arena.cpus, arena.memory_bytes, arena.ports, arena.address) == (1, 128 * MIB, (80,), "10.50.0.80")
    assert (arena.ready.http, arena.ready.within_s) == ("/n", 10.0)
    assert arena.state == (Mount("saves", "/data"),)
    assert [(v.name, v.size_bytes) for v in application.each(Volume)] == [("saves", 100 * MIB)]
    assert [(c.name, c.gateways, c.minimum, c.maximum) for c in application.each(Cluster)] == [
        ("edges", ("edge_a", "edge_b"), 0, 4)
    ]
    (follow,) = application.each(Mobility)
    assert (follow.cloudlets, follow.strategy, follow.hysteresis_s, follow.max_downtime_s) == (
        ("arena",),
        "precopy",
        30.0,
        2.0,
    )
    grow, heal = application.each(ClusterPolicy)
    assert (grow.kind, grow.cluster, grow.settings["event"]) == ("scaling", "edges", "CLUSTER_SCALE_OUT")
    assert heal.settings == {
        "detection": {
            "interval": 60,
            "node_update_timeout": 60,
            "detection_modes": ({"type": "NODE_STATUS_POLLING"},),
            "recovery_conditional": "ANY_FAILED",
        },
        "recovery": {"actions": ({"name": "RECREATE"},), "node_delete_timeout": 20, "node_force_recreate": False},
    }
    assert [(r.name, r.cluster, r.action) for r in application.each(Receiver)] == [("grow_receiver", "edges", "grow")]


def test_the_scaling_of_tosca_becomes_a_way_out_and_a_way_in(tmp_path: Path) -> None:
    scaling = {
        "Mine": {
            "derived_from": "tosca.policies.Scaling",
            "properties": {
                k: {"type": "integer", "required": False}
                for k in ("increment", "cooldown", "min_instances", "max_instances", "default_instances")
            },
        }
    }
    given = {"increment": 2, "cooldown": 60, "min_instances": 2, "max_instances": 6, "default_instances": 2}
    document = descriptor(
        {"a": built("a"), "b": built("b")},
        policies={"scale": {"type": "Mine", "targets": ["edges"], "properties": given}},
        policy_types=scaling,
    )
    result = compiled(document, tmp_path)
    assert result.application is not None
    assert codes(result) == []
    out, in_ = result.application.each(ClusterPolicy)
    assert (out.name, out.settings["event"], in_.name, in_.settings["event"]) == (
        "scale_out", "CLUSTER_SCALE_OUT", "scale_in", "CLUSTER_SCALE_IN",
    )  # fmt: skip
    assert out.settings["adjustment"] == in_.settings["adjustment"]
    assert isinstance(out.settings["adjustment"], Mapping)
    assert (out.settings["adjustment"]["number"], out.settings["adjustment"]["cooldown"]) == (2, 60)
    assert [r.action for r in result.application.each(Receiver)] == ["grow", "shrink"]
    assert [(c.minimum, c.maximum) for c in result.application.each(Cluster)] == [(2, 6)]


def test_a_plain_cloudlet_is_what_its_host_runs(tmp_path: Path) -> None:
    for hypervisor, kind in (("lxd", "container"), ("kvm", "vm"), ("local", "container")):
        nodes = {"a": gateway("a", hypervisor), "b": gateway("b", hypervisor), "arena": cloudlet(kind="")}
        result = compiled(descriptor(nodes), tmp_path)
        assert result.application is not None
        assert [c.kind for c in result.application.each(Cloudlet)] == [kind]


def test_a_local_gateway_that_nobody_builds_stands_in_a_folder(tmp_path: Path) -> None:
    nodes = {name: gateway(name, "local", endpoint=None) for name in ("a", "b")}
    result = compiled(descriptor(nodes), tmp_path)
    assert result.application is not None
    assert [(g.endpoint, g.stands) for g in result.application.each(Gateway)] == [("local:a", True), ("local:b", True)]


def test_state_files_and_limits_of_a_cluster(tmp_path: Path) -> None:
    notes = {"type": "meghdwar.nodes.StateFiles", "properties": {"paths": ["/srv/a", "/srv/b"], "size_max": "1 MiB"}}
    nodes = {"arena": cloudlet(state={"notes": "/srv"}), "notes": notes}
    result = compiled(descriptor(nodes, {"edges": cluster("a", "b", min_size=1, timeout="10 m")}), tmp_path)
    assert result.application is not None
    assert [(f.paths, f.size_max_bytes) for f in result.application.each(StateFiles)] == [(("/srv/a", "/srv/b"), MIB)]
    assert [(c.minimum, c.maximum, c.timeout_s) for c in result.application.each(Cluster)] == [(1, -1, 600)]


# what has to hold
MANY = {name: gateway(name) for name in "abcdef"}
RIGHT = {
    "as it is": descriptor(),
    "virtual machines on kvm": descriptor(
        {"a": gateway("a", "kvm"), "b": gateway("b", "kvm"), "arena": cloudlet(kind="VM", state={"saves": "/data"}), "saves": VOLUME},
        policies={"follow": policy("Mobility", "arena", strategy="live")},
    ),
    "both kinds in clusters of their own": descriptor(
        {"c": gateway("c", "kvm"), "d": gateway("d", "kvm"), "machine": cloudlet("c", "VM")}, {"others": cluster("c", "d")}
    ),
    "local and lxd, with files": descriptor(
        {"b": gateway("b", "local"), "arena": cloudlet(state={"notes": "/srv"}), "notes": FILES},
        policies={"follow": policy("Mobility", "arena", strategy="files")},
    ),
    "the same cell in two clusters": descriptor(
        {"c": gateway("c", serves=["cell-a"]), "radio": cloudlet("c")}, {"others": cluster("c")}
    ),
    "two volumes": descriptor(
        {"arena": cloudlet(state={"saves": "/data", "more": "/data/more"}), "saves": VOLUME, "more": VOLUME}
    ),
    "one for each subscriber": descriptor(
        {"arena": cloudlet(instances="per_subscriber", state={"saves": "/data"}), "saves": VOLUME},
        policies={"follow": policy("Mobility", "arena", strategy="warm")},
    ),
    "a host in no cluster that never moves": descriptor({"c": gateway("c"), "radio": cloudlet("c")}),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right(name: str, tmp_path: Path) -> None:
    result = compiled(RIGHT[name], tmp_path)
    assert codes(result) == []
    assert result.bundle is not None


WRONG = {
    "two hypervisors in one cluster": ("MDW402", descriptor({"b": gateway("b", "kvm")})),
    "a machine on lxd": ("MDW402", descriptor({"arena": cloudlet(kind="VM")})),
    "a volume between local and lxd": (
        "MDW403", descriptor({"b": gateway("b", "local"), "arena": cloudlet(state={"s": "/d"}), "s": VOLUME}),
    ),
    "a volume of two": (
        "MDW405", descriptor({"arena": cloudlet(state={"s": "/d"}), "radio": cloudlet(state={"s": "/d"}), "s": VOLUME}),
    ),
    "live with a container": ("MDW406", descriptor(policies={"m": policy("Mobility", "arena", strategy="live")})),
    "live on local": (
        "MDW406", descriptor(
            {"a": gateway("a", "local"), "b": gateway("b", "local"), "arena": cloudlet(kind="VM")},
            policies={"m": policy("Mobility", "arena", strategy="live")},
        ),
    ),
    "files with a volume": (
        "MDW406", descriptor(
            {"arena": cloudlet(state={"s": "/d"}), "s": VOLUME}, policies={"m": policy("Mobility", "arena", strategy="files")}
        ),
    ),
    "files without files": ("MDW406", descriptor(policies={"m": policy("Mobility", "arena", strategy="files")})),
    "warm without a volume": ("MDW406", descriptor(policies={"m": policy("Mobility", "arena", strategy="warm")})),
    "a cell twice in one gateway": ("MDW407", descriptor({"b": gateway("b", serves=["x", "x"])})),
    "an image without a flavor": ("MDW408", descriptor({"b": gateway("b", endpoint=None, image="edge")})),
    "kvm over https": ("MDW409", descriptor({n: gateway(n, "kvm", endpoint=f"https://{n}") for n in "ab"} | {"arena": cloudlet(kind="VM")})),
    "an endpoint that is only a scheme": ("MDW409", descriptor({"b": gateway("b", endpoint="https://")})),
    "state above its folder": ("MDW411", descriptor({"arena": cloudlet(state={"s": "/d/../.."}), "s": VOLUME})),
    "state at the root": ("MDW411", descriptor({"arena": cloudlet(state={"s": "/"}), "s": VOLUME})),
    "two volumes at one place": (
        "MDW411", descriptor({"arena": cloudlet(state={"s": "/d", "t": "/d/"}), "s": VOLUME, "t": VOLUME}),
    ),
    "a file named twice": (
        "MDW411", descriptor(
            {"arena": cloudlet(state={"f": "/srv"}), "f": {**FILES, "properties": {"paths": ["/srv/a", "/srv/a"]}}}
        ),
    ),
    "an address for all subscribers": (
        "MDW412", descriptor({"arena": cloudlet(instances="per_subscriber", address="10.0.0.1")}),
    ),
    "an address with a mask": ("MDW412", descriptor({"arena": cloudlet(address="10.0.0.1/24")})),
    "the same address, written otherwise": (
        "MDW412", descriptor({"arena": cloudlet(address="fd00::1"), "radio": cloudlet(address="fd00:0::1")}),
    ),
    "more at the start than fit": (
        "MDW413", descriptor({"a": gateway("a", capacity=1), "radio": cloudlet(), "b": gateway("b")}),
    ),
    "limits the wrong way round": ("MDW416", descriptor(groups={"edges": cluster("a", "b", min_size=3, max_size=2)})),
    "more asked for than named": ("MDW416", descriptor(groups={"edges": cluster("a", "b", min_size=3)})),
    "nowhere to measure from": (
        "MDW423", descriptor(policies={"m": policy("Mobility", "arena", trigger="nearer-site")}),
    ),
    "a cluster with the name of a cloudlet": ("MDW431", descriptor(groups={"edges": None, "arena": cluster("a", "b")})),
    "a trigger that nothing watches": (
        "MDW432", descriptor(
            {"a": built("a"), "b": built("b")},
            policies={"grow": policy("Scaling", "edges", event="CLUSTER_SCALE_OUT") | {"triggers": {"busy": {"event": "cpu", "action": [{"call_operation": "Standard.start"}]}}}},
        ),
    ),
    "an operation that nothing runs": (
        "MDW433", descriptor({"arena": cloudlet() | {"interfaces": {"Standard": {"operations": {"start": "start.sh"}}}}}),
    ),
    "a machine that nobody can reach": (
        "MDW429", descriptor({"b": {"type": "meghdwar.nodes.EdgeGateway", "properties": {"hypervisor": "lxd", "serves": ["x"], "flavor": "f", "image": "i"}}}),
    ),
    "an input that is the driver's": ("MDW426", descriptor(inputs={"arena_server": {"type": "string", "default": ""}})),
    "a cloudlet in no cluster": ("MDW401", descriptor(groups={"edges": None}, policies={"m": policy("Mobility", "arena")})),
    "two policies for one cloudlet": (
        "MDW410", descriptor(policies={"m": policy("Mobility", "arena"), "n": policy("Mobility", "arena")}),
    ),
    "a cluster of one": ("MDW419", descriptor({"b": None}, {"edges": cluster("a")}, {"m": policy("Mobility", "arena")})),
    "nothing to move": ("MDW420", descriptor(policies={"m": policy("Mobility")})),
    "a policy about no cluster": ("MDW421", descriptor(policies={"heal": policy("Health")})),
    "a shrinking that may take the state": (
        "MDW422", descriptor(
            {"a": built("a"), "b": built("b"), "arena": cloudlet(state={"s": "/d"}), "s": VOLUME},
            {"edges": cluster("a", "b", min_size=1)},
            {"shrink": policy("Scaling", "edges", event="CLUSTER_SCALE_IN")},
        ),
    ),
    "a certificate before there is one": (
        "MDW428", descriptor({"a": built("a", certificate="ab" * 32), "b": built("b")}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str, tmp_path: Path) -> None:
    code, document = WRONG[name]
    assert codes(compiled(document, tmp_path)) == [code]


def test_problems_stand_where_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text("""\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [meghdwar.yaml]
topology_template:
  node_templates:
    a:
      type: meghdwar.nodes.EdgeGateway
      properties: {hypervisor: lxd, serves: [cell-1], endpoint: "https://a:8443"}
    b:
      type: meghdwar.nodes.EdgeGateway
      properties:
        hypervisor: lxd
        serves: [cell-2, cell-1]
        endpoint: "qemu:///system"
        capacity: 1
    arena:
      type: meghdwar.nodes.Cloudlet.Container
      properties: {image: cloudlet, address: 10.0.0.1}
      requirements:
        - host: a
        - state:
            node: saves
            relationship:
              type: meghdwar.relationships.Keeps
              properties: {location: data}
    radio:
      type: meghdwar.nodes.Cloudlet.Container
      properties: {image: cloudlet, address: 10.0.0.1, ready: {http: /}}
      requirements: [{host: a}]
    saves:
      type: meghdwar.nodes.StatefulVolume
      properties: {size: 1 GiB}
  groups:
    edges: {type: meghdwar.groups.EdgeCluster, members: [a, b], properties: {max_size: 1}}
  policies:
    - follow: {type: meghdwar.policies.Mobility, targets: [arena], properties: {strategy: live}}
""")
    found = {(d.rule.code, d.span.line, d.span.column) for d in compile_file(str(path)).diagnostics}
    assert found == {
        ("MDW407", 12, 26),
        ("MDW409", 13, 19),
        ("MDW414", 14, 19),
        ("MDW411", 24, 38),
        ("MDW412", 27, 46),
        ("MDW424", 27, 70),
        ("MDW416", 33, 88),
        ("MDW406", 35, 91),
    }


def test_a_problem_in_a_specification_stands_where_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text("""\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [meghdwar.yaml]
topology_template:
  node_templates:
    a: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, flavor: f, image: i, networks: [n]}}
    arena: {type: meghdwar.nodes.Cloudlet.Container, properties: {image: c}, requirements: [{host: a}]}
  groups:
    edges: {type: meghdwar.groups.EdgeCluster, members: [a]}
  policies:
    - heal:
        type: meghdwar.policies.Health
        targets: [edges]
        properties:
          detection:
            interval: 20 s
            node_update_timeout: 90500 ms
            modes: [{type: LIFECYCLE_EVENTS}, {type: NODE_STATUS_POLL_URL}]
          recovery: {actions: [REBOOT, RECREATE]}
    - leave:
        type: meghdwar.policies.Deletion
        targets: [edges]
        properties: {hooks: {type: webhook}}
    - apart:
        type: meghdwar.policies.LoadBalance
        targets: [edges]
        properties:
          pool: {subnet: s, session_persistence: {type: COOKIE}}
          vip: {protocol: TCP}
""")
    found = {(d.rule.code, d.span.line) for d in compile_file(str(path)).diagnostics}
    assert found == {
        ("MDW506", 15),
        ("MDW502", 16),
        ("MDW504", 17),
        ("MDW504", 18),
        ("MDW504", 22),
        ("MDW503", 27),
        ("MDW504", 28),
    }


def test_a_number_of_gateways_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text("""\
tosca_definitions_version: tosca_2_0
imports: [meghdwar.yaml]
service_template:
  node_templates:
    a:
      type: meghdwar.nodes.EdgeGateway
      count: 2
      properties: {hypervisor: lxd, endpoint: "https://a:8443"}
""")
    assert [d.rule.code for d in compile_file(str(path)).diagnostics] == ["MDW461"]
