"""Applications of the edge made by hand, for the tests of targets."""

from __future__ import annotations

from collections.abc import Mapping

from meghdwar.diagnostics import Span
from meghdwar.model import (
    Application,
    Attribute,
    Cloudlet,
    Cluster,
    ClusterPolicy,
    Element,
    Gateway,
    Input,
    Mobility,
    Mount,
    Output,
    Parameter,
    Receiver,
    StateFiles,
    Value,
    Volume,
)

HERE = Span("arena.tosca.yaml")
MIB = 1024**2

SPECIFICATIONS: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "scaling": (
        "1.0",
        {"event": "CLUSTER_SCALE_OUT", "adjustment": {"type": "CHANGE_IN_CAPACITY", "number": 1, "cooldown": 60}},
    ),
    "deletion": ("1.1", {"criteria": "OLDEST_FIRST", "grace_period": 5, "hooks": {"params": {"queue": "leaving"}}}),
    "batch": ("1.0", {"max_batch_size": 1, "min_in_service": 1, "pause_time": 10}),
    "health": (
        "1.1",
        {
            "detection": {"interval": 60, "detection_modes": ({"type": "NODE_STATUS_POLLING"},)},
            "recovery": {"actions": ({"name": "RECREATE"},)},
        },
    ),
    "loadbalance": ("1.3", {"pool": {"subnet": "edge-subnet"}, "vip": {"subnet": "edge-subnet"}}),
    "affinity": ("1.0", {"servergroup": {"policies": "anti-affinity"}}),
    "zone_placement": ("1.0", {"zones": ({"name": "edge-1", "weight": 100},)}),
    "region_placement": ("1.0", {"regions": ({"name": "RegionOne", "weight": 100, "cap": 10},)}),
}


def policy(kind: str, name: str = "", cluster: str = "edges", **settings: Value) -> ClusterPolicy:
    version, specification = SPECIFICATIONS[kind]
    return ClusterPolicy(name or kind, kind, version, cluster, {**specification, **settings}, HERE)


def gateway(name: str, number: int = 1, hypervisor: str = "lxd", **more: object) -> Gateway:
    given = {
        "zone": f"edge-{number}",
        "serves": (f"cell-{number}",),
        "flavor": Parameter("flavor"),
        "image": "edge-lxd",
        "networks": ("edge-net",),
    } | more
    return Gateway(name, hypervisor, HERE, **given)  # type: ignore[arg-type]


def standing(name: str, number: int = 2, hypervisor: str = "lxd") -> Gateway:
    endpoint = {"lxd": f"https://{name}.example:8443", "kvm": f"qemu+tls://{name}.example/system"}[hypervisor]
    return gateway(name, number, hypervisor, endpoint=endpoint, flavor=None, image=None, networks=())


def application(*elements: Element, name: str = "arena", outputs: tuple[Output, ...] = ()) -> Application:
    flavor = Input("flavor", "string", HERE, default="m1.tiny", description="The flavor of the gateways.")
    return Application(name, HERE, "A game arena.", (flavor,), elements, outputs)


def arena(*more: Element, gateways: tuple[Gateway, ...] = (), **cloudlet: object) -> Application:
    """Two gateways, a container that keeps a volume and follows its player, a cluster; and whatever is added."""
    found = gateways or (gateway("edge_a", 1), gateway("edge_b", 2))
    given = {
        "kind": "container",
        "image": "cloudlet",
        "host": found[0].name,
        "cluster": "edges",
        "memory_bytes": 128 * MIB,
        "ports": (80,),
        "address": "10.50.0.80",
        "state": (Mount("saves", "/data"),),
    } | cloudlet
    return application(
        *found,
        Cloudlet("arena", origin=HERE, **given),  # type: ignore[arg-type]
        Volume("saves", 100 * MIB, HERE),
        Cluster("edges", tuple(g.name for g in found), HERE, maximum=-1 if len(found) > 4 else 4),
        Mobility("follow", ("arena",), HERE),
        *more,
        outputs=(Output("where", Attribute("arena", ("at",)), HERE),),
    )


def everything() -> Application:
    """The arena with a policy of each kind that binds to servers, and a webhook."""
    policies = [policy(kind) for kind in SPECIFICATIONS]
    shrink = policy("scaling", "shrink", event="CLUSTER_SCALE_IN")
    return arena(
        *policies, shrink, Receiver("scaling_receiver", "edges", "grow", HERE), StateFiles("notes", ("/a",), HERE)
    )


def many(number: int) -> Application:
    return arena(policy("health"), gateways=tuple(gateway(f"edge_{i:03}", i) for i in range(number)))
