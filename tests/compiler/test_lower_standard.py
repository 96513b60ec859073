"""The normative types and SOL001's as elements of the model, from topologies made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from meghdwar.compiler.lower import lower
from meghdwar.compiler.topology import (
    Artifact,
    Capability,
    Group,
    Operation,
    Policy,
    Relationship,
    Requirement,
    Template,
    Topology,
    Trigger,
    Type,
)
from meghdwar.diagnostics import Severity, Span
from meghdwar.model import (
    Alarm,
    Application,
    Attachment,
    Attribute,
    BlockStorage,
    FloatingAddress,
    Input,
    LoadBalancer,
    Network,
    ObjectStorage,
    Output,
    Parameter,
    Placement,
    Port,
    Server,
    ServerScaling,
    Software,
)

AT = Span("a.yaml", 1, 1)
COMPUTE = "tosca.nodes.Compute"
VDU = "tosca.nodes.nfv.Vdu.Compute"
VOLUME = "tosca.nodes.nfv.Vdu.VirtualBlockStorage"


def a_type(name: str) -> Type:
    above = [name]
    if name.startswith("tosca.policies.Scaling."):
        above.append("tosca.policies.Scaling")
    if name.startswith("tosca.policies.tacker."):
        above.append("tosca.policies." + name.rpartition(".")[2])
    return Type(name, (*above, "tosca.policies.Root" if ".policies." in name else "tosca.nodes.Root"))


CAPABILITIES = ("host", "os", "scalable", "virtual_compute", "client", "nfv_compute")


def node(name: str, type_: str = COMPUTE, *requirements: Requirement, **more: Any) -> Template:
    """A node template; what is named like a capability is the properties of that."""
    capabilities = {}
    for key in CAPABILITIES:
        if key in more:
            capabilities[key] = Capability(key, a_type(f"tosca.capabilities.{key}"), AT, more.pop(key))
    return Template(name, a_type(type_), AT, capabilities=capabilities, requirements=list(requirements), **more)


def needs(name: str, target: str, relationship: Relationship | None = None) -> Requirement:
    return Requirement(name, AT, target, relationship=relationship)


def attaches(**properties: Any) -> Relationship:
    return Relationship("", a_type("tosca.relationships.AttachesTo"), AT, properties)


def script(*names: str, **inputs: Any) -> Mapping[str, Operation]:
    return {
        name: Operation(name, AT, Artifact(name, None, f"{name}.sh", f"{name}.sh", AT), inputs=inputs) for name in names
    }


def policy(name: str, type_: str, *targets: str, triggers: Any = None, **properties: Any) -> Policy:
    return Policy(name, a_type(type_), AT, properties, targets=targets, triggers=triggers or {})


def topology(*templates: Template, policies: tuple[Policy, ...] = (), **more: Any) -> Topology:
    return Topology("t", AT, templates={t.name: t for t in templates}, policies={p.name: p for p in policies}, **more)


def lowered(*templates: Template, **more: Any) -> Application:
    application, diagnostics = lower(topology(*templates, **more))
    assert not diagnostics
    return application


def problems(*templates: Template, **more: Any) -> list[str]:
    return [d.rule.code for d in lower(topology(*templates, **more))[1]]


# nodes
def test_a_server() -> None:
    application = lowered(
        node(
            "web",
            host={"num_cpus": Parameter("cpus"), "mem_size": 2**30, "disk_size": 10**10},
            os={"architecture": "x86_64", "type": "linux", "distribution": "rhel", "version": 6.5},
            properties={"key_name": "k", "availability_zone": "z"},
        ),
        inputs={"cpus": Input("cpus", "integer", AT, default=1)},
        given={"cpus": 2},
    )
    assert application.elements == (
        Server(
            "web", AT, cpus=Parameter("cpus"), memory_bytes=2**30, disk_bytes=10**10, architecture="x86_64",
            os_type="linux", distribution="rhel", os_version=6.5, key_name="k", zone="z",
        ),
    )  # fmt: skip
    assert (application.inputs[0].default, application.inputs[0].given) == (1, 2)


def test_sizes_as_text() -> None:
    (server,) = lowered(node("v", "tosca.nodes.nfv.VDU", nfv_compute={"num_cpus": 1, "mem_size": "512 MB"})).elements
    assert isinstance(server, Server)
    assert server.memory_bytes == 512 * 10**6


@pytest.mark.parametrize("type_", ["tosca.nodes.BlockStorage", "tosca.nodes.Storage.BlockStorage"])
def test_storage_and_its_attachments(type_: str) -> None:
    application = lowered(
        node("web", COMPUTE, needs("local_storage", "disk", attaches(location="/data")), needs("more", "old")),
        node("disk", type_, properties={"size": 10**10, "snapshot_id": Parameter("s")}),
        node("old", type_, properties={"volume_id": "x"}),
    )
    assert application.elements[1:] == (
        Attachment("disk_at_web", "web", "disk", AT, location="/data"),
        Attachment("old_at_web", "web", "old", AT),
        BlockStorage("disk", AT, size_bytes=10**10, snapshot=Parameter("s")),
        BlockStorage("old", AT, existing="x"),
    )


def test_a_volume_at_two_servers_is_said_once() -> None:
    disk = node("disk", "tosca.nodes.BlockStorage", properties={"size": 1})
    servers = [node(name, COMPUTE, needs("local_storage", "disk")) for name in ("a", "b")]
    assert problems(*servers, disk) == ["MDW452"]


def test_object_storage() -> None:
    (store,) = lowered(node("o", "tosca.nodes.Storage.ObjectStorage", properties={"name": "c", "maxsize": 5})).elements
    assert store == ObjectStorage("o", AT, container="c", size_max_bytes=5)


def test_networks_and_ports() -> None:
    application = lowered(
        node("web"),
        node("net", "tosca.nodes.network.Network", properties={"network_name": "n", "cidr": "10.0.0.0/24"}),
        node("there", "tosca.nodes.network.Network", properties={"network_name": "n"}),
        node("p", "tosca.nodes.network.Port", needs("binding", "web"), needs("link", "net"), properties={"order": 1}),
        node("f", "tosca.nodes.network.FloatingIP", needs("link", "p"), properties={"floating_network": "public"}),
    )
    assert application.elements[1:] == (
        Network("net", AT, label="n", cidr="10.0.0.0/24"),
        Network("there", AT, existing="n"),
        Port("p", AT, network="net", server="web", order=1),
        FloatingAddress("f", AT, network="public", port="p"),
    )


def test_a_load_balancer_finds_the_servers_of_its_applications() -> None:
    application = lowered(
        node("lb", "tosca.nodes.LoadBalancer", needs("application", "app"), client={"port": 443, "protocol": "https"}),
        node("app", "tosca.nodes.WebApplication", needs("host", "web")),
        node("web", "tosca.nodes.WebServer", needs("host", "server")),
        node("server"),
    )
    assert application.elements[0] == LoadBalancer("lb", AT, ("server",), 443, 443, "HTTPS")


def test_a_type_of_nobody() -> None:
    stranger = node("x", "example.Nothing")
    assert problems(stranger) == ["MDW450"]
    application, diagnostics = lower(topology(stranger), skip_unmapped=True)
    assert [d.rule.severity for d in diagnostics] == [Severity.WARNING]
    assert application.elements == ()


def test_a_type_of_nobody_with_scripts_and_a_server() -> None:
    application = lowered(
        node("server"), node("x", "example.Nothing", needs("host", "server"), interfaces={"Standard": script("create")})
    )
    assert [s.name for s in application.each(Software)] == ["x_create"]


# life cycles
def steps(*templates: Template, **more: Any) -> dict[str, tuple[str, ...]]:
    return {step.name: step.after for step in lowered(*templates, **more).each(Software)}


def test_a_life_cycle_in_its_order() -> None:
    assert steps(
        node(
            "app",
            "tosca.nodes.WebApplication",
            needs("host", "web"),
            interfaces={"Standard": script("start", "create")},
        ),
        node(
            "web", "tosca.nodes.WebServer", needs("host", "s"), interfaces={"Standard": script("configure", "create")}
        ),
        node("s", COMPUTE, needs("local_storage", "disk")),
        node("disk", "tosca.nodes.BlockStorage", properties={"size": 1}),
    ) == {
        "app_create": ("web_configure",),
        "app_start": ("app_create",),
        "web_create": ("disk_at_s",),
        "web_configure": ("web_create",),
    }


def test_what_it_requires_runs_first_and_hosts_without_scripts_pass_it_on() -> None:
    assert steps(
        node(
            "app",
            "tosca.nodes.WebApplication",
            needs("host", "bare"),
            needs("db", "db"),
            interfaces={"S": script("create")},
        ),
        node("bare", "tosca.nodes.WebServer", needs("host", "s")),
        node("db", "tosca.nodes.Database", needs("host", "dbms")),
        node("dbms", "tosca.nodes.DBMS", needs("host", "s2"), interfaces={"Standard": script("create", "start")}),
        node("s"),
        node("s2"),
    ) == {"app_create": ("dbms_start",), "dbms_create": (), "dbms_start": ("dbms_create",)}


def test_scripts_of_a_relationship_run_on_their_sides() -> None:
    connects = Relationship(
        "",
        a_type("tosca.relationships.ConnectsTo"),
        AT,
        interfaces={"Configure": script("pre_configure_source", "post_configure_target", "add_source")},
    )
    application = lowered(
        node("a", "tosca.nodes.WebServer", needs("host", "sa"), needs("to", "b", connects),
             interfaces={"S": script("create", "configure")}),
        node("b", "tosca.nodes.WebServer", needs("host", "sb"), interfaces={"S": script("configure", "start")}),
        node("sa"),
        node("sb"),
    )  # fmt: skip
    assert [(s.name, s.server, s.after) for s in application.each(Software)] == [
        ("a_create", "sa", ("b_start",)),
        ("a_pre_configure_source_b", "sa", ("a_create",)),
        ("a_configure", "sa", ("a_pre_configure_source_b",)),
        ("b_configure", "sb", ()),
        ("b_post_configure_target_a", "sb", ("b_configure",)),
        ("b_start", "sb", ("b_post_configure_target_a",)),
        ("b_add_source_a", "sb", ("b_start", "a_configure")),
    ]


def test_a_circle_of_requirements_orders_nothing() -> None:
    found = steps(
        node("a", "tosca.nodes.WebServer", needs("host", "s"), needs("to", "b"), interfaces={"S": script("create")}),
        node("b", "tosca.nodes.WebServer", needs("host", "s"), needs("to", "a"), interfaces={"S": script("create")}),
        node("s"),
    )
    assert found == {"a_create": ("b_create",), "b_create": ()}


def test_several_servers_and_leaving() -> None:
    found = steps(
        node("a", "tosca.nodes.WebServer", needs("host", "s"), needs("host", "t"),
             interfaces={"S": script("create", "stop", "delete")}),
        node("s"),
        node("t"),
    )  # fmt: skip
    assert found == {
        "a_create_s": (), "a_delete_s": (), "a_stop_s": ("a_delete_s",),
        "a_create_t": (), "a_delete_t": (), "a_stop_t": ("a_delete_t",),
    }  # fmt: skip


def test_scripts_without_a_server() -> None:
    assert problems(node("a", "tosca.nodes.WebServer", interfaces={"S": script("create")})) == ["MDW451"]


def test_outputs_of_operations() -> None:
    asked = Attribute("make", ("Standard", "create", "key"))
    application = lowered(
        node("make", "tosca.nodes.SoftwareComponent", needs("host", "s"), interfaces={"Standard": script("create")}),
        node(
            "use",
            "tosca.nodes.SoftwareComponent",
            needs("host", "s"),
            interfaces={"Standard": script("create", key=asked)},
        ),
        node("s"),
        outputs={"key": Output("key", asked, AT)},
    )
    make, use = application.each(Software)
    assert make.outputs == ("key",)
    assert use.inputs == {"key": Attribute("make_create", ("key",))}
    assert application.outputs[0].value == Attribute("make_create", ("key",))


def test_attributes_that_are_known_already() -> None:
    application = lowered(
        node("app", "tosca.nodes.WebServer", needs("host", "s"), attributes={"url": "http://x"}, properties={"p": 1}),
        node("s"),
        outputs={
            key: Output(key, Attribute("app", (key,)), AT)
            for key in ("url", "p", "tosca_name", "private_address", "state")
        },
    )
    assert {o.name: o.value for o in application.outputs} == {
        "url": "http://x",
        "p": 1,
        "tosca_name": "app",
        "private_address": Attribute("s", ("private_address",)),
        "state": Attribute("app", ("state",)),
    }


# policies
def test_placement() -> None:
    servers = (node("a"), node("b"))
    soft = policy("p", "tosca.policies.tacker.Placement", "g", policy="anti-affinity", strict=False)
    groups = {"g": Group("g", a_type("tosca.groups.Root"), AT, members=("a", "b"))}
    application = lowered(*servers, policies=(soft,), groups=groups)
    assert application.elements[-1] == Placement("p", "soft-anti-affinity", ("a", "b"), AT)
    plain = lowered(*servers, policies=(policy("p", "tosca.policies.Placement", "a"),))
    assert plain.elements[-1] == Placement("p", "affinity", ("a",), AT)
    apart = policy("p", "tosca.policies.nfv.AntiAffinityRule", "a", "b", scope="nfvi_node")
    assert lowered(*servers, policies=(apart,)).elements[-1] == Placement("p", "anti-affinity", ("a", "b"), AT)


def by_zone(name: str, rule: str, *targets: str) -> Policy:
    return policy(name, f"tosca.policies.nfv.{rule}", *targets, scope="zone")


def test_zones_are_asked_for_by_parameters() -> None:
    rules = by_zone("apart", "AntiAffinityRule", "a", "b", "c"), by_zone("near", "AffinityRule", "b", "d")
    application = lowered(*map(node, "abcde"), policies=rules)
    zones = {each.name: each.zone for each in application.elements if isinstance(each, Server)}
    near = Parameter("near_zone")
    assert zones == {"a": Parameter("a_zone"), "b": near, "c": Parameter("c_zone"), "d": near, "e": None}
    assert {(each.name, each.default) for each in application.inputs} == {
        ("a_zone", None),
        ("near_zone", None),
        ("c_zone", None),
    }


def test_who_is_together_twice_is_in_one_zone() -> None:
    rules = by_zone("p", "AffinityRule", "a", "b"), by_zone("q", "AffinityRule", "b", "c")
    application = lowered(*map(node, "abc"), policies=rules)
    assert {each.zone for each in application.elements if isinstance(each, Server)} == {Parameter("p_zone")}
    assert [each.name for each in application.inputs] == ["p_zone"]


def test_one_stack_is_in_one_point_of_presence() -> None:
    near = policy("p", "tosca.policies.nfv.AffinityRule", "a", "b", scope="nfvi_pop")
    assert problems(node("a"), node("b"), policies=(near,)) == []
    apart = policy("p", "tosca.policies.nfv.AntiAffinityRule", "a", "b", scope="nfvi_pop")
    assert problems(node("a"), node("b"), policies=(apart,)) == ["MDW453"]


def test_policies_that_nothing_can_keep_are_said() -> None:
    wide = policy("p", "tosca.policies.nfv.AntiAffinityRule", "a", scope="zone")
    other = policy("q", "tosca.policies.Performance", "a")
    assert problems(node("a"), policies=(wide, other)) == ["MDW453", "MDW453"]


def test_scaling_with_an_alarm() -> None:
    condition: dict[str, Any] = {"threshold": 60, "comparison_operator": "gt", "granularity": 600}
    trigger = Trigger("hot", None, AT, condition=condition, extra={"metric": "cpu_util"})
    watch = policy("m", "tosca.policies.Monitoring", triggers={"hot": trigger})
    grow = policy(
        "grow", "tosca.policies.tacker.Scaling", targets=("a",), min_instances=1, max_instances=3, default_instances=2,
        increment=1, cooldown=60,
    )  # fmt: skip
    application = lowered(node("a"), policies=(grow, watch))
    assert application.elements[-1] == ServerScaling(
        "grow", ("a",), AT, 1, 3, 2, 1, 60, (Alarm("m_hot", "cpu_util", AT, 60, "gt", 600, action="grow"),)
    )
    clustered = policy("c", "tosca.policies.Scaling.Cluster", "a", min_instances=1, max_instances=3)
    scaling = lowered(node("a"), policies=(clustered,)).elements[-1]
    assert isinstance(scaling, ServerScaling)
    assert scaling.clustered


def test_scaling_that_contradicts_itself() -> None:
    bad = policy("grow", "tosca.policies.Scaling", "a", min_instances=3, max_instances=1, default_instances=2)
    assert problems(node("a"), policies=(bad,)) == ["MDW454"]


def test_a_server_scaled_twice() -> None:
    twice = tuple(policy(name, "tosca.policies.Scaling", "a", min_instances=1, max_instances=2) for name in ("x", "y"))
    assert problems(node("a"), policies=twice) == ["MDW454"]


def test_a_scalable_server() -> None:
    application = lowered(node("a", scalable={"min_instances": 1, "max_instances": 4, "default_instances": 2}))
    assert application.elements[-1] == ServerScaling("a_scaling", ("a",), AT, 1, 4, 2)
    assert len(lowered(node("a", scalable={"min_instances": 1, "max_instances": 1})).elements) == 1


def test_counts() -> None:
    three = {"count": 3}
    port = node("p", "tosca.nodes.network.Port", needs("binding", "a"), **three)
    assert lowered(node("a", **three), port).elements[1] == ServerScaling("a_scaling", ("a",), AT, 3, 3, 3)
    assert problems(node("a"), port) == ["MDW461"]
    assert problems(node("d", "tosca.nodes.BlockStorage", properties={"size": 1}, **three)) == ["MDW461"]


def test_names_of_policies_do_not_hide_nodes() -> None:
    application = lowered(node("a"), policies=(policy("a", "tosca.policies.Placement", "a"),))
    assert [e.name for e in application.elements] == ["a", "a_"]


# SOL001
def test_a_vnf() -> None:
    memory = {"virtual_memory": {"virtual_mem_size": 2**30}, "virtual_cpu": {"num_virtual_cpu": 2}}
    wanted = {"x": {"requested_additional_capability_name": "m1.tiny", "support_mandatory": True}}
    local = ({"size_of_storage": 2**31},)
    volume = {"virtual_block_storage_data": {"size_of_storage": 2**30}}
    protocols = ({"l3_protocol_data": {"ip_version": "ipv4", "cidr": "10.0.0.0/24"}},)
    application = lowered(
        node("VNF", "tosca.nodes.nfv.VNF"),
        node("VDU1", VDU, needs("virtual_storage", "vs"), virtual_compute={**memory, "virtual_local_storage": local}),
        node(
            "VDU2",
            VDU,
            needs("virtual_storage", "data"),
            properties={"sw_image_data": {"name": "cirros"}},
            virtual_compute={"requested_additional_capabilities": wanted},
        ),
        node("vs", VOLUME, properties={**volume, "sw_image_data": {"name": "i"}}),
        node("data", VOLUME, properties=volume),
        node("cp", "tosca.nodes.nfv.VduCp", needs("virtual_binding", "VDU1"), needs("virtual_link", "vl")),
        node(
            "vl", "tosca.nodes.nfv.VnfVirtualLink", properties={"vl_profile": {"virtual_link_protocol_data": protocols}}
        ),
    )
    assert application.elements == (
        Server("VDU1", AT, cpus=2, memory_bytes=2**30, disk_bytes=2**31, boot_volume="vs"),
        Server("VDU2", AT, image="cirros", flavor="m1.tiny"),
        Attachment("data_at_VDU2", "VDU2", "data", AT),
        BlockStorage("vs", AT, size_bytes=2**30, image="i"),
        BlockStorage("data", AT, size_bytes=2**30),
        Port("cp", AT, network="vl", server="VDU1"),
        Network("vl", AT, cidr="10.0.0.0/24"),
    )
