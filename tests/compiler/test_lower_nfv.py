"""How many of a VDU there are, what guards its ports, and VDUs that follow their subscriber."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meghdwar.compiler import Result, compile_file
from meghdwar.compiler.published import packaged
from meghdwar.compiler.topology import Policy
from meghdwar.model import Cloudlet, Mount, Port, SecurityRule, Server, ServerScaling, Volume
from tests.compiler.test_lower_standard import AT, VDU, lowered, needs, node, policy, problems

NFV = "tosca.policies.nfv"
ONE, TWO = {"one": {"number_of_instances": 1}}, {"two": {"number_of_instances": 2}}


def aspects(**steps: tuple[int, str]) -> Policy:
    said = {name: {"max_scale_level": level, "step_deltas": (delta,)} for name, (level, delta) in steps.items()}
    return policy("aspects", f"{NFV}.ScalingAspects", aspects=said)


def deltas(aspect: str, amounts: dict[str, Any], *targets: str) -> Policy:
    return policy(f"by_{aspect}", f"{NFV}.VduScalingAspectDeltas", *targets, aspect=aspect, deltas=amounts)


def initial(number: int, *targets: str) -> Policy:
    return policy(f"first_{number}", f"{NFV}.VduInitialDelta", *targets, initial_delta={"number_of_instances": number})


def levels(default: str | None, **known: Any) -> Policy:
    return policy("levels", f"{NFV}.InstantiationLevels", default_level=default, levels=known)


def vdu_levels(*targets: str, **known: int) -> Policy:
    said = {name: {"number_of_instances": number} for name, number in known.items()}
    return policy("vdu_levels", f"{NFV}.VduInstantiationLevels", *targets, levels=said)


def scalings(*policies: Policy) -> list[ServerScaling]:
    return list(lowered(node("a", VDU), node("b", VDU), policies=policies).each(ServerScaling))


UP = ServerScaling("a_scaling", ("a",), AT, 1, 4, 1, 1, cluster_if_bare=True)
TWO_OF_B = ServerScaling("b_scaling", ("b",), AT, 2, 2, 2)


# how many
def test_an_aspect_scales_a_vdu_and_others_have_their_first_number() -> None:
    up = (aspects(w=(3, "one")), deltas("w", ONE, "a"))
    assert scalings(*up, initial(1, "a"), initial(2, "b")) == [UP, TWO_OF_B]
    assert scalings(*up, levels("large"), vdu_levels("a", large=3)) == [replace(UP, default=3)]


def test_a_level_may_be_said_by_the_levels_of_aspects() -> None:
    large = {"scale_info": {"w": {"scale_level": 2}}}
    assert scalings(aspects(w=(3, "one")), deltas("w", ONE, "a"), levels("large", small={}, large=large)) == [
        replace(UP, default=3)
    ]


def test_a_vdu_of_two_aspects_goes_to_the_end_of_both() -> None:
    both = (aspects(w=(1, "one"), h=(2, "one")), deltas("w", ONE, "a"), deltas("h", ONE, "a"))
    assert scalings(*both) == [UP]


def test_levels_without_aspects_are_fixed_numbers() -> None:
    assert scalings(levels("large", small={}, large={}), vdu_levels("b", small=1, large=2)) == [TWO_OF_B]
    assert scalings(levels(None, only={}), vdu_levels("b", only=2)) == [TWO_OF_B]
    assert scalings(initial(1, "b"), levels("large"), vdu_levels("b", large=2)) == [TWO_OF_B]
    assert scalings(levels(None, only={}), vdu_levels("b", only=1)) == []


def test_deltas_that_are_not_alike_are_said() -> None:
    policies = (aspects(w=(1, "one"), h=(1, "two")), deltas("w", ONE, "a"), deltas("h", TWO, "a"))
    assert problems(node("a", VDU), policies=policies) == ["MDW453"]
    assert problems(node("a", VDU), policies=(deltas("w", {}, "a"),)) == ["MDW453"]


# ports
def test_security_group_rules_guard_the_ports_that_they_are_about() -> None:
    rule = policy("r", f"{NFV}.SecurityGroupRule", "cp", protocol="udp", port_range_min=53, port_range_max=53)
    point = node("cp", "tosca.nodes.nfv.VduCp", needs("virtual_binding", "a"))
    application = lowered(node("a", VDU), point, policies=(rule,))
    assert application.elements[-1] == Port(
        "cp", AT, server="a", rules=(SecurityRule("ingress", "ipv4", "udp", 53, 53),)
    )
    assert problems(node("a", VDU), policies=(replace_targets(rule, "a"),)) == ["MDW453"]


def replace_targets(rule: Policy, *targets: str) -> Policy:
    return policy(rule.name, rule.type.name, *targets, **rule.properties)


@pytest.mark.parametrize(
    ("said", "user_data", "metadata"),
    [
        ("#!/bin/sh\ntrue\n", "#!/bin/sh\ntrue\n", {}),
        ({"content_or_file_data": {"content": "true"}, "kvp_data": {"data": {"a": "b"}}}, "true", {"a": "b"}),
    ],
)
def test_boot_data_is_text_or_data_of_several_kinds(said: Any, user_data: str, metadata: dict[str, str]) -> None:
    (server,) = lowered(node("a", VDU, properties={"boot_data": said})).each(Server)
    assert (server.user_data, server.metadata) == (user_data, metadata)


# from a file
HEAD = """
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [etsi_nfv_sol001_vnfd_types_2_7.yaml, meghdwar.yaml]
topology_template:
  node_templates:
    one: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, serves: [a], endpoint: "https://one:8443"}}
    two: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, serves: [b], endpoint: "https://two:8443"}}
    unit:
      type: tosca.nodes.nfv.Vdu.OsContainerDeployableUnit
      properties: {name: u, description: d, vdu_profile: {min_number_of_instances: 1, max_number_of_instances: 1}}
      requirements: [{container: inner}, {virtual_storage: kept}MORE]
    inner: &container
      type: tosca.nodes.nfv.Vdu.OsContainer
      properties: {name: c, description: d, requested_cpu_resources: 1500, memory_resource_limit: 64 MiB}
    kept:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties: {virtual_block_storage_data: {size_of_storage: 1 MiB}}
    cp:
      type: tosca.nodes.nfv.VduCp
      properties: {layer_protocols: [ipv4]}
      requirements: [{virtual_binding: unit}]
"""
MOVES = """
  groups:
    edge: {type: meghdwar.groups.EdgeCluster, members: [two, one]}
  policies:
    - follow: {type: meghdwar.policies.Mobility, targets: [unit]}
    - open:
        type: tosca.policies.nfv.SecurityGroupRule
        targets: [cp]
        properties: {protocol: tcp, port_range_min: 80, port_range_max: 81}
"""


def compiled(tmp_path: Path, text: str) -> Result:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    return compile_file(str(path))


def told(result: Result) -> list[str]:
    return [f"{d.rule.code} {d.message}" for d in result.diagnostics if d.is_error]


def test_a_unit_that_moves_is_a_cloudlet(tmp_path: Path) -> None:
    result = compiled(tmp_path, HEAD.replace("MORE", "") + MOVES)
    assert told(result) == []
    assert result.application is not None
    (unit,) = result.application.each(Cloudlet)
    assert (unit.kind, unit.host, unit.cluster, unit.cpus, unit.ports) == ("container", "two", "edge", 2, (80, 81))
    assert unit.memory_bytes == 64 * 2**20
    assert unit.state == (Mount("kept", "/var/lib/kept"),)
    assert [(v.name, v.size_bytes) for v in result.application.each(Volume)] == [("kept", 2**20)]
    assert not [*result.application.each(Server), *result.application.each(Port)]


def test_a_unit_that_stays_cannot_be_built(tmp_path: Path) -> None:
    stays = HEAD.replace("MORE", "").replace("lxd, serves: [a]", "lxd")
    problems_ = told(compiled(tmp_path, stays))
    assert problems_[0].startswith("MDW450 cannot tell what to build for 'unit': a stack has servers")
    two = HEAD.replace("MORE", ", {container: other}") + "    other: *container\n" + MOVES
    assert any("it has 2 containers" in problem for problem in told(compiled(tmp_path, two)))


def test_a_unit_needs_one_cluster_or_the_name_of_its_own(tmp_path: Path) -> None:
    third = (
        "    three: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, endpoint: 'https://three:8443'}}\n"
    )
    text = HEAD.replace("MORE", "") + third + MOVES
    text = text.replace("  policies:", "    far: {type: meghdwar.groups.EdgeCluster, members: [three]}\n  policies:")
    assert any("cannot move 'unit'" in problem for problem in told(compiled(tmp_path, text)))
    named = compiled(tmp_path, text.replace("targets: [unit]", "targets: [unit, edge]"))
    assert not any("'unit'" in problem for problem in told(named))


# where types are published
@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("nfv/SOL001/raw/v2.6.1/etsi_nfv_sol001_vnfd_types.yaml", "etsi_nfv_sol001_vnfd_types.yaml"),
        ("nfv/SOL001/raw/v2.7.1/etsi_nfv_sol001_vnfd_types.yaml", "etsi_nfv_sol001_vnfd_types_2_7.yaml"),
        ("nfv/SOL001/raw/v4.4.1/etsi_nfv_sol001_common_types.yaml", "etsi_nfv_sol001_common_types.yaml"),
        ("mec/gs037-pkg-format/raw/v3.1.1/MecAppDTypes.yaml", "MecAppDTypes.yaml"),
        ("mec/gs037-pkg-format/raw/v3.1.1/MecAppDTypes.yaml.bak", None),
        ("nfv/SOL001/raw/v4.4.1/../etsi_nfv_sol001_vnfd_types.yaml", None),
    ],
)
def test_published_addresses(path: str, file: str | None) -> None:
    assert packaged(f"https://forge.etsi.org/rep/{path}") == file
    assert packaged(f"https://elsewhere.example/rep/{path}") is None
