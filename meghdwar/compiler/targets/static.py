"""The edge without a cluster manager: a server for each gateway, for every Heat up to today's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from meghdwar.bundle import Plan
from meghdwar.compiler import rules
from meghdwar.compiler.targets import edge as edges
from meghdwar.compiler.targets.build import Build, Row, Rows, build
from meghdwar.compiler.targets.edge import Edge
from meghdwar.compiler.targets.heat import ROWS as STANDARD
from meghdwar.compiler.targets.hot import Data, Stack
from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Application, Cloudlet, Cluster, ClusterPolicy, Gateway, Volume


def make(application: Application, heat: str) -> tuple[Stack, Plan, list[Diagnostic]]:
    """The stack, what is left for the driver, and what is lost without a cluster manager."""
    edge = Edge.of(application, "static", RELEASES[heat], knows_servers=True)
    stack, diagnostics = build(application, {**STANDARD, **rows(edge)}, heat)
    return stack, edge.plan(), diagnostics


def rows(edge: Edge) -> Rows:
    return {
        Gateway: Row(partial(add_gateway, edge), partial(attribute, edge), reference),
        Cluster: Row(partial(add_cluster, edge)),
        ClusterPolicy: Row(partial(add_policy, edge)),
        Cloudlet: Row(partial(edges.add_cloudlet, edge), partial(edges.cloudlet_attribute, edge)),
        Volume: Row(partial(edges.add_volume, edge)),
    }


def add_gateway(edge: Edge, gateway: Gateway, build: Build) -> Iterable[Diagnostic]:
    """A server, or for a gateway that stands a value that holds its endpoint."""
    name = build.names[gateway.name]
    if gateway.stands:
        build.stack.resource(
            name,
            "OS::Heat::Value",
            {"type": "string", "value": build.value(gateway.endpoint)},
            gateway.origin,
            "it stands already: the stack only knows its endpoint",
        )
        edge.became(gateway.name, endpoint=name)
        return ()
    properties = edges.server_properties(edge, gateway, build)
    cluster = edge.site.cluster_of.get(gateway.name)
    properties["scheduler_hints"] = None if cluster is None else hints(edge, cluster, build)
    build.stack.resource(name, "OS::Nova::Server", properties, gateway.origin, "a gateway that the stack builds")
    edge.became(gateway.name, server=name)
    return ()


def reference(gateway: Gateway, build: Build) -> Data:
    name = build.names[gateway.name]
    return {"get_attr": [name, "value"]} if gateway.stands else {"get_resource": name}


def attribute(_edge: Edge, gateway: Gateway, path: tuple[str | int, ...], build: Build) -> Data:
    if path == ("address",):
        return (
            edges.gateway_endpoint(gateway)
            if gateway.stands
            else {"get_attr": [build.names[gateway.name], "first_address"]}
        )
    return {"get_resource": build.names[gateway.name]} if path == ("id",) and not gateway.stands else None


def add_cluster(edge: Edge, cluster: Cluster, build: Build) -> Iterable[Diagnostic]:
    edges.add_servers(edge, cluster, build)
    return ()


def add_policy(edge: Edge, policy: ClusterPolicy, build: Build) -> Iterable[Diagnostic]:
    """Affinity needs no cluster manager: a server group does the same."""
    if not _is_group(policy):
        return leave_out(edge, policy)
    group = policy.settings["servergroup"]
    assert isinstance(group, Mapping)  # noqa: S101 - for the type checker: asked above
    name = build.stack.resource(
        build.names[policy.name],
        "OS::Nova::ServerGroup",
        {"policies": [build.value(group.get("policies", "anti-affinity"))]},
        policy.origin,
        f"the gateways of {policy.cluster} stay together or apart",
    )
    edge.became(policy.name, group=name)
    return ()


def _is_group(policy: ClusterPolicy) -> bool:
    """Whether a policy is all that a server group of its own can be."""
    group = policy.settings.get("servergroup")
    named = isinstance(group, Mapping) and group.get("name") is not None
    return policy.kind == "affinity" and isinstance(group, Mapping) and not named


def hints(edge: Edge, cluster: Cluster, build: Build) -> Data:
    """Which server group the servers of a cluster are in, if any."""
    found = next((policy for policy in edge.site.policies.get(cluster.name, ()) if _is_group(policy)), None)
    return {"group": {"get_resource": build.names[found.name]}} if found else None


def leave_out(edge: Edge, policy: ClusterPolicy) -> Iterable[Diagnostic]:
    yield Diagnostic(
        rules.POLICY_NOT_IN_TARGET,
        policy.origin,
        f"{policy.name!r} is left out: the target {edge.target} has nobody to keep a {policy.kind} policy",
        "use --target senlin, or take the policy out of the descriptor",
    )
