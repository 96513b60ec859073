"""What the elements of a data centre are in a stack, from applications made by hand; Heat judges in tests/oracle."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from meghdwar.compiler.targets import heat, hot, limits
from meghdwar.compiler.targets.build import Rows, build
from meghdwar.compiler.targets.hot import Stack
from meghdwar.diagnostics import Span
from meghdwar.model import (
    Alarm,
    Application,
    Attachment,
    Attribute,
    BlockStorage,
    Constraint,
    Element,
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
    Value,
)

AT = Span("a.yaml", 1, 1)
GIB = 2**30


def made(
    *elements: Element,
    inputs: tuple[Input, ...] = (),
    rows: Rows = heat.ROWS,
    release: str = "2024.1",
    codes: list[str] | None = None,
    **outputs: Value,
) -> Stack:
    said = tuple(Output(name, value, AT) for name, value in outputs.items())
    stack, diagnostics = build(Application("s", AT, inputs=inputs, elements=elements, outputs=said), rows, release)
    assert [d.rule.code for d in diagnostics] == (codes or [])
    return stack


def read(stack: Stack) -> Any:
    """The template as Heat would read it."""
    return yaml.safe_load(hot.emit(stack.data()))


def properties(stack: Stack, name: str) -> Any:
    return read(stack)["resources"][name].get("properties", {})


# servers
def test_servers_with_the_same_need_share_a_flavor_and_an_image() -> None:
    need: dict[str, Any] = {"cpus": 2, "memory_bytes": 4 * GIB, "disk_bytes": 10 * GIB, "distribution": "Ubuntu"}
    stack = made(Server("a", AT, **need), Server("b", AT, **need), Server("c", AT, image="i", flavor="f"))
    flavor, image = {"get_param": "flavor_2cpu_4096mib_10gib"}, {"get_param": "image_ubuntu"}
    assert properties(stack, "a") == properties(stack, "b") == {"flavor": flavor, "image": image}
    assert properties(stack, "c") == {"flavor": "f", "image": "i"}
    assert read(stack)["parameters"]["flavor_2cpu_4096mib_10gib"]["default"] == "m1.medium"
    assert "default" not in read(stack)["parameters"]["image_ubuntu"]


@pytest.mark.parametrize(
    ("cpus", "mib", "gib", "flavor"),
    [
        (1, 1, 1, "m1.tiny"),
        (1, 513, None, "m1.small"),
        (2, None, 41, "m1.large"),
        (8, 16384, 160, "m1.xlarge"),
        (9, None, None, None),
    ],
)
def test_the_smallest_flavor_that_fits(cpus: int, mib: int | None, gib: int | None, flavor: str | None) -> None:
    memory, disk = mib * 2**20 if mib else None, gib * GIB if gib else None
    stack = made(Server("a", AT, image="i", cpus=cpus, memory_bytes=memory, disk_bytes=disk))
    (parameter,) = read(stack)["parameters"].values()
    assert parameter.get("default") == flavor


def test_a_flavor_that_the_stack_chooses_by_an_input() -> None:
    cpus = Input("cpus", "integer", AT, constraints=(Constraint("valid_values", (1, 2, 4)),))
    stack = made(Server("a", AT, image="i", cpus=Parameter("cpus"), memory_bytes=GIB), inputs=(cpus,))
    assert read(stack)["parameters"]["flavors_1024mib_by_cpus"]["default"] == {
        "1": "m1.small", "2": "m1.medium", "4": "m1.large",
    }  # fmt: skip
    assert properties(stack, "a")["flavor"]["get_param"][0] == "flavors_1024mib_by_cpus"


def test_an_input_that_could_not_wait_is_said() -> None:
    memory = Input("memory", "integer", AT, default=4, unit="GiB")
    stack = made(Server("a", AT, image="i", memory_bytes=Parameter("memory")), inputs=(memory,), codes=["MDW457"])
    assert properties(stack, "a")["flavor"] == {"get_param": "flavor_4096mib"}


def test_names_of_ours_give_way_to_those_of_inputs_and_elements() -> None:
    stack = made(
        Server("web", AT, cpus=1, image=Parameter("web")),
        Server("flavor_1cpu", AT, cpus=1),
        inputs=(Input("web", "string", AT),),
    )
    assert set(read(stack)["resources"]) == {"web_2", "flavor_1cpu"}
    assert set(read(stack)["parameters"]) == {"web", "flavor_1cpu_", "image"}


def test_ports_in_their_order_and_server_groups() -> None:
    stack = made(
        Server("web", AT, image="i", flavor="f"),
        Port("second", AT, network="there", server="web", order=1, address="10.0.0.7"),
        Port("first", AT, network="net", server="web"),
        Network("net", AT, label="n", cidr="10.0.0.0/24", network_type="vxlan", segmentation_id=7),
        Network("there", AT, existing="PRIVATE"),
        Placement("apart", "anti-affinity", ("web",), AT),
        ip=Attribute("web", ("private_address",)),
    )
    assert properties(stack, "web")["networks"] == [
        {"port": {"get_resource": "first"}},
        {"port": {"get_resource": "second"}},
    ]
    assert properties(stack, "web")["scheduler_hints"] == {"group": {"get_resource": "apart"}}
    assert properties(stack, "second") == {
        "network": {"get_param": "private_network"},
        "fixed_ips": [{"ip_address": "10.0.0.7"}],
    }
    assert read(stack)["resources"]["first"]["depends_on"] == ["net_subnet"]
    assert properties(stack, "net")["value_specs"] == {"provider:network_type": "vxlan", "provider:segmentation_id": 7}
    assert "there" not in read(stack)["resources"]
    assert read(stack)["outputs"]["ip"]["value"] == {"get_attr": ["first", "fixed_ips", 0, "ip_address"]}


def test_floating_addresses_bring_a_port_or_a_router() -> None:
    stack = made(
        Server("a", AT, image="i", flavor="f", networks=("n",)),
        FloatingAddress("fa", AT, server="a", network="out"),
        Network("net", AT, cidr="10.0.0.0/24"),
        Server("b", AT, image="i", flavor="f"),
        Port("p", AT, network="net", server="b"),
        FloatingAddress("fb", AT, port="p"),
        ip=Attribute("b", ("public_address",)),
    )
    assert properties(stack, "a")["networks"] == [{"port": {"get_resource": "a_port"}}]
    assert properties(stack, "fa") == {"floating_network": "out", "port_id": {"get_resource": "a_port"}}
    assert read(stack)["resources"]["fb"]["depends_on"] == ["net_router_interface"]
    assert read(stack)["outputs"]["ip"]["value"] == {"get_attr": ["fb", "floating_ip_address"]}


# storage
def test_volumes_and_attachments() -> None:
    stack = made(
        Server("web", AT, flavor="f", boot_volume="root"),
        BlockStorage("root", AT, size_bytes=GIB + 1, image="i"),
        BlockStorage("data", AT, size_bytes=Parameter("size")),
        BlockStorage("old", AT, existing="x"),
        Attachment("at", "web", "data", AT, location="/data"),
        Attachment("ot", "web", "old", AT, device="/dev/vdc"),
        inputs=(Input("size", "integer", AT, default=0.93, unit="GiB"),),
        volume=Attribute("old", ("volume_id",)),
    )
    assert properties(stack, "root") == {"size": 2, "image": "i"}
    assert properties(stack, "data") == {"size": {"get_param": "size"}}
    assert read(stack)["parameters"]["size"]["default"] == 1
    assert "image" not in properties(stack, "web")
    assert properties(stack, "ot")["mountpoint"] == "/dev/vdc"
    assert read(stack)["resources"]["at"]["metadata"] == {"location": "/data"}
    assert read(stack)["outputs"]["volume"]["value"] == "x"


def test_a_container() -> None:
    stack = made(ObjectStorage("o", AT, container="c", size_max_bytes=10))
    assert properties(stack, "o") == {"name": "c", "X-Container-Meta": {"Quota-Bytes": "10"}}


# software
def test_scripts_run_one_after_another() -> None:
    stack = made(
        Server("s", AT, image="i", flavor="f"),
        Software("a_create", "s", "a", "create", "a/create.sh", AT, {"x": 1, "m": {"k": "v"}}, ("key",)),
        Software("a_start", "s", "a", "start", "http://x/start.sh", AT, after=("a_create", "nothing")),
        Software("a_stop", "s", "a", "stop", "a/stop.sh", AT),
        key=Attribute("a_create", ("key",)),
    )
    assert properties(stack, "a_create_config") == {
        "group": "script",
        "config": {"get_file": "a/create.sh"},
        "inputs": [{"name": "x"}, {"name": "m", "type": "Json"}],
        "outputs": [{"name": "key"}],
    }
    assert properties(stack, "a_create")["input_values"] == {"x": 1, "m": {"k": "v"}}
    assert read(stack)["resources"]["a_start"]["depends_on"] == ["a_create"]
    assert properties(stack, "a_stop")["actions"] == ["DELETE"]
    assert properties(stack, "s")["user_data_format"] == "SOFTWARE_CONFIG"
    assert read(stack)["outputs"]["key"]["value"] == {"get_attr": ["a_create", "key"]}
    assert stack.files == {"a/create.sh": "a/create.sh", "a/stop.sh": "a/stop.sh"}


def test_a_script_on_two_servers_is_one_config() -> None:
    servers = [Server(name, AT, image="i", flavor="f") for name in ("s", "t")]
    runs = [Software(f"a_create_{s.name}", s.name, "a", "create", "a.sh", AT) for s in servers]
    assert [name for name in read(made(*servers, *runs))["resources"] if name.endswith("config")] == ["a_create_config"]


def test_attributes_that_nobody_knows() -> None:
    server = Server("s", AT, image="i", flavor="f")
    asks = Software("a_create", "s", "a", "create", "a.sh", AT, {"x": Attribute("s", ("mood",))})
    made(server, asks, codes=["MDW455"])
    assert "outputs" not in read(made(server, codes=["MDW456"], mood=Attribute("s", ("mood",))))


# what scales
NAME = Attribute("db", ("name",))
WORKER = (
    Server("worker", AT, image="i", cpus=1),
    Network("net", AT, cidr="10.0.0.0/24"),
    Port("port", AT, network="net", server="worker"),
    BlockStorage("data", AT, size_bytes=GIB),
    Attachment("at", "worker", "data", AT),
    Software("w_start", "worker", "w", "start", "w.sh", AT, {"p": Parameter("p"), "db": NAME}, after=("db",)),
    Server("db", AT, image="i", flavor="f"),
)
HOT = Alarm("hot", "cpu_util", AT, 80)


def test_what_scales_goes_into_a_template_of_its_own() -> None:
    stack = made(
        *WORKER,
        ServerScaling("grow", ("worker",), AT, 1, 3, 2, 1, 60, (HOT,)),
        inputs=(Input("p", "string", AT),),
        ip=Attribute("worker", ("private_address",)),
    )
    assert set(read(stack)["resources"]) == {
        "net", "net_subnet", "db", "grow", "grow_scale_out", "grow_scale_in", "hot",
    }  # fmt: skip
    group = read(stack)["resources"]["grow"]
    assert group["depends_on"] == ["net_subnet", "db"]
    assert group["properties"]["resource"] == {
        "type": "s.grow.yaml",
        "properties": {
            "p": {"get_param": "p"},
            "flavor_1cpu": {"get_param": "flavor_1cpu"},
            "metering_server_group": {"get_param": "OS::stack_id"},
            "net_id": {"get_resource": "net"},
            "db_name": {"get_attr": ["db", "name"]},
        },
    }
    inner = stack.nested["s.grow.yaml"]
    assert set(read(inner)["resources"]) == {"worker", "port", "data", "at", "w_start_config", "w_start"}
    assert set(read(inner)["parameters"]) == set(group["properties"]["resource"]["properties"])
    assert properties(inner, "port") == {"network": {"get_param": "net_id"}}
    assert read(stack)["outputs"]["ip"]["value"] == {"get_attr": ["grow", "outputs_list", "worker_private_address"]}
    assert "worker_private_address" in read(inner)["outputs"]
    assert limits.count(stack) == 7 + 2 * (1 + 6)


def test_a_fixed_number_needs_no_policies() -> None:
    stack = made(Server("w", AT, image="i", flavor="f"), ServerScaling("two", ("w",), AT, 2, 2, 2))
    assert list(read(stack)["resources"]) == ["two"]
    assert read(stack)["resources"]["two"]["type"] == "OS::Heat::ResourceGroup"
    assert properties(stack, "two") == {"count": 2, "resource_def": {"type": "s.two.yaml", "properties": {}}}


def test_copies_cannot_share_an_address() -> None:
    server = Server("w", AT, image="i", flavor="f")
    port = Port("p", AT, server="w", address="10.0.0.7")
    stack = made(server, port, ServerScaling("g", ("w",), AT, 1, 2, 1), codes=["MDW458"])
    assert "fixed_ips" not in properties(stack.nested["s.g.yaml"], "p")


def test_a_load_balancer_before_servers_that_scale() -> None:
    stack = made(
        LoadBalancer("lb", AT, ("w", "v"), 443, 8443, "HTTPS", "least-connections"),
        Server("w", AT, image="i", flavor="f"),
        Server("v", AT, image="i", flavor="f"),
        ServerScaling("g", ("w",), AT, 1, 2, 1),
    )
    assert properties(stack, "lb_pool")["lb_algorithm"] == "LEAST_CONNECTIONS"
    assert properties(stack, "lb_v_member")["pool"] == {"get_resource": "lb_pool"}
    assert properties(stack.nested["s.g.yaml"], "lb_w_member")["pool"] == {"get_param": "lb_pool"}


def test_a_cluster_of_the_cluster_manager() -> None:
    scaling = ServerScaling("g", ("w",), AT, 1, 3, 2, 1, 60, (HOT,), clustered=True)
    server, port = Server("w", AT, image="i", flavor="f"), Port("p", AT, network="n", server="w")
    stack = made(server, port, Network("n", AT, existing="net0"), scaling, rows=heat.SENLIN_ROWS)
    assert properties(stack, "g_profile")["properties"] == {
        "flavor": "f", "image": "i", "networks": [{"network": "net0"}],
        "metadata": {"metering.server_group": {"get_param": "OS::stack_id"}},
    }  # fmt: skip
    assert len(properties(stack, "g")["policies"]) == 2
    assert properties(stack, "hot")["alarm_actions"] == [{"get_attr": ["g_scale_out", "channel", "alarm_url"]}]
    old = made(server, scaling, rows=heat.SENLIN_ROWS, release="zed")
    assert "policies" not in properties(old, "g")
    plain = made(server, scaling)
    assert read(plain)["resources"]["g"]["type"] == "OS::Heat::AutoScalingGroup"


def test_what_a_cluster_cannot_do_is_an_error() -> None:
    scaling = ServerScaling("g", ("w",), AT, 1, 3, 2, clustered=True)
    server = Server("w", AT, image="i", flavor="f")
    made(server, scaling, rows=heat.SENLIN_ROWS, release="2024.2", codes=["MDW520"])
    script = Software("a_start", "w", "a", "start", "a.sh", AT)
    made(server, script, scaling, rows=heat.SENLIN_ROWS, codes=["MDW459"])


# circles
def test_what_waits_for_itself_is_an_error() -> None:
    one = Server("one", AT, image="i", flavor="f", user_data=Attribute("two", ("private_address",)))
    two = Server("two", AT, image="i", flavor="f", user_data=Attribute("one", ("private_address",)))
    made(one, two, codes=["MDW462"])
    inside = Software("inside", "w", "a", "create", "a.sh", AT, after=("outside",))
    outside = Software("outside", "s", "b", "create", "a.sh", AT, after=("within",))
    within = Software("within", "w", "c", "create", "a.sh", AT)
    servers = (Server("s", AT, image="i", flavor="f"), Server("w", AT, image="i", flavor="f"))
    made(*servers, inside, outside, within, ServerScaling("g", ("w",), AT, 1, 2, 1), codes=["MDW462"])


# limits
def test_limits() -> None:
    stack = Stack("s")
    for number in range(1001):
        stack.resource(f"r{number}", "OS::Heat::None", {}, AT, "")
    assert [d.rule.code for d in limits.check(stack, {"a": "x" * 10}, AT)] == ["MDW551"]
    assert [d.rule.code for d in limits.check(Stack("s"), {"a": "x" * 524289}, AT)] == ["MDW550"]
    many = dict.fromkeys("abc", "x" * 524288)
    assert [d.rule.code for d in limits.check(Stack("s"), many, AT)] == ["MDW552"]
    assert not list(limits.check(Stack("s"), {"a": "x" * 524288}, AT))
