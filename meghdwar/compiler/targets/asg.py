"""The edge as one scaling group of Heat's own: gateways that are all alike, for cloudlets that keep nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from meghdwar.bundle import Plan
from meghdwar.compiler import rules
from meghdwar.compiler.targets import edge as edges
from meghdwar.compiler.targets import static
from meghdwar.compiler.targets.build import Build, Row, Rows, build
from meghdwar.compiler.targets.edge import Edge
from meghdwar.compiler.targets.heat import ROWS as STANDARD
from meghdwar.compiler.targets.hot import Data, Stack
from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Application, Cloudlet, Cluster, ClusterPolicy, Gateway, Value, Volume

SIZE_MAX = 1000  # of a group without a limit of its own: Heat's limit of resources in a stack
ALIKE = ("hypervisor", "flavor", "image", "key_name", "networks")


def make(application: Application, heat: str) -> tuple[Stack, Plan, list[Diagnostic]]:
    """The stack, what is left for the driver, and what a scaling group cannot hold."""
    edge = Edge.of(application, "asg", RELEASES[heat], knows_servers=True)
    problems = list(check(edge))
    stack, diagnostics = build(application, {**STANDARD, **rows(edge)}, heat)
    return stack, edge.plan(), [*problems, *diagnostics]


def rows(edge: Edge) -> Rows:
    return {
        Gateway: Row(partial(add_gateway, edge), partial(attribute, edge), partial(reference, edge)),
        Cluster: Row(partial(add_cluster, edge)),
        ClusterPolicy: Row(partial(add_policy, edge)),
        Cloudlet: Row(partial(edges.add_cloudlet, edge), partial(edges.cloudlet_attribute, edge)),
        Volume: Row(partial(edges.add_volume, edge)),
    }


# what a group cannot hold
def check(edge: Edge) -> Iterator[Diagnostic]:
    for cluster in edge.site.clusters.values():
        members = edge.site.members(cluster)
        for cloudlet in edge.site.cloudlets.values():
            if cloudlet.cluster == cluster.name and cloudlet.state:
                yield Diagnostic(
                    rules.STATE_IN_A_GROUP,
                    cloudlet.origin,
                    f"cannot keep the state of {cloudlet.name!r}: a scaling group may take away its gateway",
                    "use --target senlin or static",
                )
        for gateway in members:
            if gateway.stands:
                yield Diagnostic(
                    rules.NOT_ALIKE,
                    gateway.origin,
                    f"cannot make {gateway.name!r}, which stands already: a scaling group makes all its machines",
                    "use --target senlin or static",
                )
            elif not members[0].stands:
                yield from _unlike(members[0], gateway)
        if len({str(gateway.zone) for gateway in members}) > 1:
            yield Diagnostic(
                rules.ZONES_DROPPED,
                cluster.origin,
                f"the gateways of {cluster.name!r} name different zones, which a scaling group does not keep",
                "use --target senlin or static to have each gateway in its zone",
            )


def _unlike(first: Gateway, other: Gateway) -> Iterator[Diagnostic]:
    for key in ALIKE:
        if getattr(first, key) != getattr(other, key):
            yield Diagnostic(
                rules.NOT_ALIKE,
                other.origin,
                f"cannot give {other.name!r} another {key} than {first.name!r}: a scaling group makes all alike",
                "use --target senlin or static, or make them alike",
                ((first.origin, f"{first.name} is here"),),
            )


# what there is in a group
def add_gateway(edge: Edge, gateway: Gateway, build: Build) -> Iterable[Diagnostic]:
    """A gateway of a cluster is one of the group's; which one is the driver's to know."""
    cluster = edge.site.cluster_of.get(gateway.name)
    if cluster is None:
        return static.add_gateway(edge, gateway, build)
    edge.became(gateway.name, group=build.names[cluster.name])
    return ()


def reference(edge: Edge, gateway: Gateway, build: Build) -> Data:
    return None if gateway.name in edge.site.cluster_of else static.reference(gateway, build)


def attribute(edge: Edge, gateway: Gateway, path: tuple[str | int, ...], build: Build) -> Data:
    return None if gateway.name in edge.site.cluster_of else static.attribute(edge, gateway, path, build)


def add_cluster(edge: Edge, cluster: Cluster, build: Build) -> Iterable[Diagnostic]:
    members = edge.site.members(cluster)
    if not members:
        return ()
    properties = edges.server_properties(edge, members[0], build)
    for own in ("name", "availability_zone", "metadata"):
        del properties[own]
    properties["scheduler_hints"] = static.hints(edge, cluster, build)
    name = build.names[cluster.name]
    batch = next((p for p in edge.site.policies.get(cluster.name, ()) if p.kind == "batch"), None)
    build.stack.resource(
        name,
        "OS::Heat::AutoScalingGroup",
        {
            "min_size": cluster.minimum,
            "max_size": SIZE_MAX if cluster.maximum < 0 else cluster.maximum,
            "desired_capacity": len(members),
            "resource": {
                "type": "OS::Nova::Server",
                "properties": {key: value for key, value in properties.items() if value is not None},
            },
            "rolling_updates": _rolling(batch.settings, build) if batch else None,
        },
        cluster.origin,
        f"the gateways of {edge.application.name}, all alike",
        depends_on=edges.subnets(members[0], build),
    )
    edge.became(cluster.name, group=name)
    build.stack.output(f"{cluster.name}_gateways", {"get_attr": [name, "refs_map"]}, "The members: the server of each.")
    return ()


def _rolling(settings: Mapping[str, Value], build: Build) -> Data:
    size = settings.get("max_batch_size")
    return {
        "min_in_service": build.value(settings.get("min_in_service", 1)),
        "max_batch_size": SIZE_MAX if size in (None, -1) else build.value(size),
        "pause_time": build.value(settings.get("pause_time", 60)),
    }


TYPES: Mapping[str, str] = {
    "EXACT_CAPACITY": "exact_capacity",
    "CHANGE_IN_CAPACITY": "change_in_capacity",
    "CHANGE_IN_PERCENTAGE": "percent_change_in_capacity",
}


def add_policy(edge: Edge, policy: ClusterPolicy, build: Build) -> Iterable[Diagnostic]:
    """A scaling policy is Heat's own; a batch policy is part of the group; the others are as without a group."""
    if policy.kind == "batch":
        edge.became(policy.name, group=build.names[policy.cluster])
        return ()
    if policy.kind != "scaling":
        return static.add_policy(edge, policy, build)
    adjustment = policy.settings.get("adjustment")
    given = adjustment if isinstance(adjustment, Mapping) else {}
    type_, number = given.get("type", "CHANGE_IN_CAPACITY"), given.get("number", 1)
    if isinstance(number, int | float) and type_ != "EXACT_CAPACITY":
        number = -number if policy.settings.get("event") == "CLUSTER_SCALE_IN" else number
    name = build.stack.resource(
        build.names[policy.name],
        "OS::Heat::ScalingPolicy",
        {
            "auto_scaling_group_id": {"get_resource": build.names[policy.cluster]},
            "adjustment_type": TYPES.get(str(type_), "change_in_capacity"),
            "scaling_adjustment": build.value(number),
            "min_adjustment_step": build.value(given.get("min_step")) if type_ == "CHANGE_IN_PERCENTAGE" else None,
            "cooldown": build.value(given.get("cooldown")),
        },
        policy.origin,
        f"a scaling policy of {policy.cluster}",
    )
    edge.became(policy.name, policy=name)
    build.stack.output(
        f"{policy.name}_channel",
        {"alarm_url": {"get_attr": [name, "alarm_url"]}},
        f"A POST to its alarm_url scales {policy.cluster}.",
    )
    return ()
