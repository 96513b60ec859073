"""What the edge becomes in a stack, target by target and release by release, and what is left for the driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from meghdwar.bundle import Plan
from meghdwar.compiler.targets import cloud_init, hot, target
from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.model import (
    Application,
    Attribute,
    Cloudlet,
    Cluster,
    Input,
    Network,
    Output,
    Parameter,
    Receiver,
    Volume,
)
from tests.compiler.applications import HERE, application, arena, everything, gateway, many, policy, standing


def made(
    application_: Application, target_: str = "senlin", heat: str = "plugin"
) -> tuple[dict[str, Any], Plan, list[str]]:
    stack, plan, diagnostics = target(target_)(application_, heat)
    data: dict[str, Any] = yaml.safe_load(hot.emit(stack.data()))
    return data, plan, [d.rule.code for d in diagnostics]


def types(data: dict[str, Any]) -> dict[str, str]:
    return {name: resource["type"] for name, resource in data["resources"].items()}


def steps(plan: Plan, act: str) -> list[str]:
    return [step.resource for step in plan.complete if step.act == act]


# the senlin target
def test_with_the_plug_in_the_stack_does_it_all() -> None:
    data, plan, codes = made(arena(policy("health"), policy("scaling"), Receiver("grow", "edges", "grow", HERE)))
    assert codes == []
    assert types(data) == {
        "lxd_gateway": "OS::Heat::SoftwareConfig",
        "edge_a_profile": "OS::Senlin::Profile",
        "edge_a": "OS::Senlin::Node",
        "edge_b_profile": "OS::Senlin::Profile",
        "edge_b": "OS::Senlin::Node",
        "arena_saves": "OS::Cinder::VolumeAttachment",
        "saves": "OS::Cinder::Volume",
        "edges_profile": "OS::Senlin::Profile",
        "edges": "OS::Senlin::Cluster",
        "edges_servers": "OS::Heat::Value",
        "health": "OS::Senlin::Policy",
        "scaling": "OS::Senlin::Policy",
        "grow": "OS::Senlin::Receiver",
    }
    cluster = data["resources"]["edges"]["properties"]
    assert [p["policy"]["get_resource"] for p in cluster["policies"]] == ["health", "scaling"]
    assert (cluster["desired_capacity"], cluster["min_size"], cluster["max_size"]) == (0, 0, 4)
    assert data["resources"]["edge_b"]["properties"] == {
        "name": "edge_b", "profile": {"get_resource": "edge_b_profile"}, "cluster": {"get_resource": "edges"},
    }  # fmt: skip
    assert [step.act for step in plan.complete] == ["give-certificate"]


def test_state_follows_the_parameter_of_its_cloudlet() -> None:
    data, _plan, _codes = made(arena())
    attachment = data["resources"]["arena_saves"]["properties"]
    assert attachment["instance_uuid"] == {"get_attr": ["edges_servers", "value", {"get_param": "arena_at"}]}
    servers = data["resources"]["edges_servers"]["properties"]["value"]
    assert servers == {name: {"get_attr": [name, "details", "id"]} for name in ("edge_a", "edge_b")}
    at = data["parameters"]["arena_at"]
    assert (at["default"], at["constraints"]) == ("edge_a", [{"allowed_values": ["edge_a", "edge_b"]}])
    assert data["outputs"]["arena_at"]["value"] == data["outputs"]["where"]["value"] == {"get_param": "arena_at"}


@pytest.mark.parametrize("heat", ["2023.2", "2024.1"])
def test_without_working_nodes_the_driver_makes_them(heat: str) -> None:
    data, plan, codes = made(arena(policy("health")), heat=heat)
    assert codes == []
    assert "OS::Senlin::Node" not in types(data).values()
    assert steps(plan, "create-node") == ["edge_a_profile", "edge_b_profile"]
    assert steps(plan, "set-parameter") == ["arena_server"]
    assert steps(plan, "bind-policy") == []
    assert steps(plan, "delete-policy") == ["health"]
    attachment = data["resources"]["arena_saves"]
    assert attachment["properties"]["instance_uuid"] == {"get_param": "arena_server"}
    assert data["conditions"][attachment["condition"]] == {"not": {"equals": [{"get_param": "arena_server"}, ""]}}
    assert attachment["depends_on"] == ["edges"]  # so that it goes before the servers do


@pytest.mark.parametrize("heat", ["zed", "2023.1"])
def test_before_2023_2_the_driver_binds_the_policies_too(heat: str) -> None:
    data, plan, _codes = made(arena(policy("health")), heat=heat)
    assert "policies" not in data["resources"]["edges"]["properties"]
    assert data["resources"]["health"]["type"] == "OS::Senlin::Policy"
    assert steps(plan, "bind-policy") == ["health"]


def test_what_is_left_comes_in_an_order_that_works() -> None:
    _data, plan, _codes = made(arena(policy("health"), policy("batch")), heat="zed")
    assert [step.act for step in plan.complete] == [
        "give-certificate", "bind-policy", "bind-policy", "create-node", "create-node",
        "set-parameter", "delete-policy", "delete-policy",
    ]  # fmt: skip


def test_a_gateway_in_no_cluster_is_a_server_on_every_heat() -> None:
    elements = [e for e in arena(cluster=None).elements if not isinstance(e, Cluster)]
    data, plan, codes = made(application(*elements), heat="2024.1")
    assert codes == []
    assert types(data)["edge_a"] == "OS::Nova::Server"
    assert data["resources"]["arena_saves"]["properties"]["instance_uuid"] == {"get_resource": "edge_a"}
    assert [step.act for step in plan.complete] == ["give-certificate"]


@pytest.mark.parametrize("heat", [name for name, release in RELEASES.items() if not release.senlin])
def test_a_heat_whose_senlin_is_an_empty_shell_is_refused(heat: str) -> None:
    _data, _plan, codes = made(arena(), heat=heat)
    assert codes == ["MDW520"]
    assert made(arena(), "static", heat)[2] == []


def test_a_cluster_goes_before_the_profiles_of_its_nodes() -> None:
    data, _plan, _codes = made(arena(), heat="2024.1")
    assert data["resources"]["edges"]["depends_on"] == ["edge_a_profile", "edge_b_profile"]


def test_a_lower_limit_comes_when_the_gateways_are_there() -> None:
    elements = [replace(e, minimum=2) if isinstance(e, Cluster) else e for e in arena().elements]
    data, plan, _codes = made(application(*elements))
    assert data["resources"]["edges"]["properties"]["min_size"] == 0
    (step,) = [step for step in plan.complete if step.act == "set-limits"]
    assert (step.resource, step.when, step.arguments) == ("edges", "created", {"min_size": 2})


def test_a_profile_pins_its_gateway() -> None:
    data, _plan, _codes = made(arena())
    assert data["resources"]["edge_b_profile"]["properties"] == {
        "type": "os.nova.server-1.0",
        "properties": {
            "availability_zone": "edge-2",
            "flavor": {"get_param": "flavor"},
            "image": "edge-lxd",
            "metadata": {"meghdwar_gateway": "edge_b"},
            "name": "edge_b",
            "networks": [{"network": "edge-net"}],
            "user_data": {"get_attr": ["lxd_gateway", "config"]},
        },
    }


def test_a_member_that_is_added_is_like_a_gateway_and_nobody_takes_it_for_one() -> None:
    data, _plan, _codes = made(arena())
    gateways = data["resources"]["edge_a_profile"]["properties"]["properties"]
    added = data["resources"]["edges_profile"]["properties"]["properties"]
    assert gateways.keys() - added.keys() == {"availability_zone", "metadata", "name"}
    assert {key: gateways[key] for key in added} == added


def test_a_cluster_with_a_standing_gateway_has_stacks_for_nodes() -> None:
    data, plan, codes = made(arena(gateways=(gateway("edge_a"), standing("edge_b"))))
    assert codes == []
    profiles = {n: data["resources"][f"{n}_profile"]["properties"] for n in ("edge_a", "edge_b")}
    assert {p["type"] for p in profiles.values()} == {"os.heat.stack-1.0"}
    assert profiles["edge_b"]["properties"]["template"] == {"get_param": "standing_gateway_template"}
    assert profiles["edge_b"]["properties"]["parameters"] == {"endpoint": "https://edge_b.example:8443"}
    built = data["parameters"]["built_gateway_template"]
    assert built["type"] == "json"
    assert built["default"]["resources"]["gateway"]["type"] == "OS::Nova::Server"
    assert set(built["default"]["parameters"]) == set(profiles["edge_a"]["properties"]["parameters"])
    assert "saves" not in data["resources"]
    (step,) = [step for step in plan.complete if step.act == "make-volume"]
    assert step.arguments == {"volume": "saves", "cloudlet": "arena"}


def test_a_growing_cluster_adds_members_that_nobody_takes_for_a_gateway_by_name() -> None:
    for gateways in ((gateway("edge_a"), gateway("edge_b")), (standing("edge_a", 1), gateway("edge_b"))):
        data, _plan, _codes = made(arena(gateways=gateways))
        assert data["resources"]["edges"]["properties"]["profile"] == {"get_resource": "edges_profile"}
        spec = data["resources"]["edges_profile"]["properties"]["properties"]
        said = spec.get("parameters", spec)
        assert said["image"] == "edge-lxd"
        assert not {"name", "availability_zone", "metadata"} & set(said)


def test_a_cluster_of_gateways_that_stand_has_one_of_their_profiles() -> None:
    data, _plan, _codes = made(arena(gateways=(standing("edge_a"), standing("edge_b", 1))))
    assert data["resources"]["edges"]["properties"]["profile"] == {"get_resource": "edge_a_profile"}


def test_policies_that_senlin_takes_in_vain_are_said() -> None:
    assert made(everything())[2] == ["MDW511", "MDW511"]
    mixed = (gateway("edge_a"), standing("edge_b"))
    assert made(arena(policy("health"), gateways=mixed))[2] == ["MDW512"]
    assert made(arena(policy("affinity"), gateways=mixed))[2] == ["MDW507"]
    alone = (standing("edge_a", 1), standing("edge_b"))
    assert made(arena(policy("scaling"), gateways=alone))[2] == ["MDW513", "MDW457"]


def test_one_for_each_subscriber_has_a_place_for_each() -> None:
    data, plan, _codes = made(arena(instances="per_subscriber", address=None))
    assert data["parameters"]["arena_at"]["type"] == "json"
    assert data["parameters"]["arena_at"]["default"] == {}
    assert "OS::Cinder::VolumeAttachment" not in types(data).values()
    assert steps(plan, "make-volume") == ["arena_at"]


def test_a_webhook_says_by_how_much_only_when_asked_to() -> None:
    data, _plan, _codes = made(
        arena(Receiver("one", "edges", "grow", HERE), Receiver("two", "edges", "shrink", HERE, count=2))
    )
    one, two = (data["resources"][name]["properties"] for name in ("one", "two"))
    assert (one["action"], "params" in one) == ("CLUSTER_SCALE_OUT", False)  # a count would silence the policy
    assert (two["action"], two["params"]) == ("CLUSTER_SCALE_IN", {"count": 2})
    assert data["outputs"]["one_channel"]["value"] == {"get_attr": ["one", "channel"]}


def test_attributes_of_gateways() -> None:
    outputs = tuple(
        Output(f"{name}_{what}", Attribute(name, (what,)), HERE)
        for name in ("edge_a", "edge_b")
        for what in ("address", "id")
    )
    gateways = (gateway("edge_a"), gateway("edge_b", 2))
    asked = application(*arena(gateways=gateways).elements, outputs=outputs)
    data, _plan, codes = made(asked)
    assert codes == []
    assert data["outputs"]["edge_a_id"]["value"] == {"get_attr": ["edge_a", "details", "id"]}
    data, _plan, codes = made(asked, heat="2024.1")
    assert codes == ["MDW456"] * 4  # a stock Heat knows no nodes
    data, _plan, _codes = made(asked, "static")
    assert data["outputs"]["edge_b_address"]["value"] == {"get_attr": ["edge_b", "first_address"]}


def test_senlin_gets_names_that_it_takes() -> None:
    hosts = (gateway("erste Kante"), gateway("2ème", 2))
    data, plan, _codes = made(arena(policy("health", "heil!"), gateways=hosts))
    assert not [d for d in data["resources"] if "name" not in data["resources"][d]["properties"] and "!" in d]
    named = {name: body["properties"].get("name") for name, body in data["resources"].items()}
    assert (named["erste Kante"], named["2ème"], named["heil!"]) == ("erste_Kante", "n2_me", "heil_")
    assert (named["erste Kante_profile"], named["edges"]) == ("erste_Kante_profile", "edges")
    assert made(arena(gateways=hosts), "static")[0]["resources"]["2ème"]["properties"]["name"] == "2ème"
    _data, plan, _codes = made(arena(gateways=hosts), heat="zed")
    assert [s.arguments["name"] for s in plan.complete if s.act == "create-node"] == ["erste_Kante", "n2_me"]


def test_a_specification_counts_with_the_values_of_its_inputs() -> None:
    every = Input("every", "integer", HERE, default=20, unit="s")
    detection = {"interval": Parameter("every"), "detection_modes": ({"type": "NODE_STATUS_POLLING"},)}
    asked = replace(arena(policy("health", detection=detection)), inputs=(every, Input("flavor", "string", HERE)))
    assert made(asked)[2] == ["MDW506"]
    assert made(replace(asked, inputs=(replace(every, given=60), asked.inputs[1])))[2] == []
    assert made(replace(asked, inputs=(replace(every, default=None), asked.inputs[1])))[2] == []


# static
def test_static_has_a_server_for_each_gateway() -> None:
    data, plan, codes = made(arena(policy("health")), "static", "2026.2")
    assert codes == ["MDW522"]
    assert types(data) == {
        "lxd_gateway": "OS::Heat::SoftwareConfig",
        "edge_a": "OS::Nova::Server",
        "edge_b": "OS::Nova::Server",
        "arena_saves": "OS::Cinder::VolumeAttachment",
        "saves": "OS::Cinder::Volume",
        "edges_servers": "OS::Heat::Value",
    }
    assert data["resources"]["edges_servers"]["properties"]["value"]["edge_a"] == {"get_resource": "edge_a"}
    assert data["resources"]["edge_a"]["properties"] == {
        "name": "edge_a",
        "flavor": {"get_param": "flavor"},
        "image": "edge-lxd",
        "availability_zone": "edge-1",
        "networks": [{"network": "edge-net"}],
        "user_data_format": "RAW",
        "user_data": {"get_attr": ["lxd_gateway", "config"]},
        "user_data_update_policy": "IGNORE",  # a gateway in use is not made anew when this compiler learns something
        "metadata": {"meghdwar_gateway": "edge_a"},
    }
    assert [step.act for step in plan.complete] == ["give-certificate"]


@pytest.mark.parametrize("target_", ["static", "asg"])
def test_affinity_needs_no_cluster_manager(target_: str) -> None:
    alike = tuple(gateway(f"edge_{n}", 1) for n in "ab")
    data, _plan, codes = made(arena(policy("affinity"), gateways=alike, state=()), target_)
    assert codes == []
    assert data["resources"]["affinity"] == {
        "type": "OS::Nova::ServerGroup", "properties": {"policies": ["anti-affinity"]},
    }  # fmt: skip
    made_ = data["resources"]["edges" if target_ == "asg" else "edge_b"]["properties"]
    server = made_["resource"]["properties"] if target_ == "asg" else made_
    assert server["scheduler_hints"] == {"group": {"get_resource": "affinity"}}
    named = policy("affinity", servergroup={"name": "theirs"})
    assert made(arena(named, gateways=alike, state=()), target_)[2] == ["MDW522"]


def test_static_knows_the_endpoint_of_a_standing_gateway() -> None:
    data, _plan, _codes = made(arena(gateways=(gateway("edge_a"), standing("edge_b"))), "static")
    assert data["resources"]["edge_b"] == {
        "type": "OS::Heat::Value",
        "properties": {"type": "string", "value": "https://edge_b.example:8443"},
    }
    assert data["resources"]["edges_servers"]["properties"]["value"]["edge_b"] == {"get_attr": ["edge_b", "value"]}


# asg
def test_asg_is_one_group_for_cloudlets_that_keep_nothing() -> None:
    alike = tuple(gateway(f"edge_{n}", 1) for n in "ab")
    shrink = policy("scaling", "shrink", event="CLUSTER_SCALE_IN")
    data, _plan, codes = made(arena(policy("batch"), shrink, gateways=alike, state=()), "asg")
    assert codes == []
    group = data["resources"]["edges"]
    assert group["type"] == "OS::Heat::AutoScalingGroup"
    assert (group["properties"]["desired_capacity"], group["properties"]["max_size"]) == (2, 4)
    assert group["properties"]["rolling_updates"] == {"min_in_service": 1, "max_batch_size": 1, "pause_time": 10}
    assert data["resources"]["shrink"]["properties"]["scaling_adjustment"] == -1


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("MDW523", arena(gateways=(gateway("edge_a"), gateway("edge_b")))),
        ("MDW524", arena(gateways=(gateway("edge_a"), standing("edge_b")), state=())),
        ("MDW524", arena(gateways=(gateway("edge_a"), gateway("edge_b", image="other")), state=())),
        ("MDW525", arena(gateways=(gateway("edge_a"), gateway("edge_b", 2)), state=())),
        ("MDW522", arena(policy("health"), gateways=(gateway("edge_a"), gateway("edge_b")), state=())),
    ],
)
def test_asg_says_what_it_cannot_hold(code: str, changed: Application) -> None:
    assert code in made(changed, "asg")[2]


# what all share
@pytest.mark.parametrize(("size", "gibibytes"), [(1, 1), (1024**3, 1), (1024**3 + 1, 2), (5 * 10**9, 5)])
def test_a_volume_has_whole_gibibytes(size: int, gibibytes: int) -> None:
    elements = [Volume("saves", size, HERE) if isinstance(e, Volume) else e for e in arena().elements]
    assert made(application(*elements))[0]["resources"]["saves"]["properties"]["size"] == gibibytes


def test_a_volume_as_big_as_an_input_says() -> None:
    elements = [Volume("saves", Parameter("room"), HERE) if isinstance(e, Volume) else e for e in arena().elements]
    room = Input("room", "integer", HERE, default=2, unit="GiB")
    flavor = Input("flavor", "string", HERE, default="f")
    asked = Application("arena", HERE, inputs=(room, flavor), elements=tuple(elements))
    assert made(asked)[0]["resources"]["saves"]["properties"]["size"] == {"get_param": "room"}


def test_a_network_of_the_same_descriptor_is_that_resource() -> None:
    elements = arena(gateways=(gateway("edge_a", networks=("own",)), gateway("edge_b"))).elements
    data, _plan, _codes = made(application(*elements, Network("own", HERE, cidr="10.1.0.0/24")), "static")
    assert data["resources"]["edge_a"]["properties"]["networks"] == [{"network": {"get_resource": "own"}}]


@pytest.mark.parametrize("number", [2, 100, 300])
def test_gateways_share_what_they_do_at_their_first_start(number: int) -> None:
    stack, _plan, _diagnostics = target("senlin")(many(number), "plugin")
    text = hot.emit(stack.data())
    assert text.count("#cloud-config") == 1
    assert len(text) < 524288
    assert len(stack.resources) == 2 * number + 7


def test_many_cloudlets_do_not_fill_the_template_with_names() -> None:
    hosts = tuple(gateway(f"edge_{i:03}", i) for i in range(300))
    cloudlets = [Cloudlet(f"c{i}", "container", "i", HERE, host="edge_000", cluster="edges") for i in range(100)]
    data, _plan, _codes = made(application(*hosts, *cloudlets, Cluster("edges", tuple(g.name for g in hosts), HERE)))
    assert "constraints" not in data["parameters"]["c0_at"]
    assert len(yaml.safe_dump(data)) < 524288


@pytest.mark.parametrize("target_", ["senlin", "static"])
@pytest.mark.parametrize("heat", ["zed", "2024.1", "plugin"])
def test_the_same_application_gives_the_same_bytes(target_: str, heat: str) -> None:
    first, second = (hot.emit(target(target_)(everything(), heat)[0].data()) for _ in range(2))
    assert first == second


def test_every_resource_says_where_it_comes_from() -> None:
    for heat in ("zed", "plugin"):
        stack, _plan, _diagnostics = target("senlin")(everything(), heat)
        assert set(stack.origins) == set(stack.resources)


# cloud-init
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n+/==\n-----END CERTIFICATE-----\n"


def resolved(data: Any, parameters: dict[str, str]) -> Any:
    """What Heat makes of the functions in a user data."""
    match data:
        case {"get_param": name}:
            return parameters[name]
        case {"str_split": [separator, text]}:
            return resolved(text, parameters).split(separator)
        case {"list_join": [separator, parts]}:
            return separator.join(resolved(parts, parameters))
        case {"str_replace": {"template": text, "params": params}}:
            for key, value in params.items():
                text = text.replace(key, resolved(value, parameters))
            return text
    return data


@pytest.mark.parametrize("hypervisor", ["lxd", "kvm"])
@pytest.mark.parametrize("certificate", [PEM, ""])
def test_the_certificate_arrives_whole(hypervisor: str, certificate: str) -> None:
    name = cloud_init.PARAMETERS[hypervisor]
    text = resolved(cloud_init.config(hypervisor, {"get_param": name}), {name: certificate})
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    assert document["write_files"][0]["content"].strip() == certificate.strip()
    assert document["runcmd"] == [["/usr/local/sbin/meghdwar-gateway"]]
    assert "KEY-----" not in text


@pytest.mark.parametrize("hypervisor", ["lxd", "kvm"])
def test_the_script_of_a_gateway_is_a_script(hypervisor: str) -> None:
    import shutil
    import subprocess

    document = yaml.safe_load(cloud_init.script(hypervisor))
    script = document["write_files"][-1]["content"]
    shell = shutil.which("sh")
    assert shell is not None
    subprocess.run([shell, "-n"], input=script, text=True, check=True)
