"""The edge without a cluster manager: a server for each gateway, for every Heat up to today's."""

from __future__ import annotations

from collections.abc import Iterable
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
        ClusterPolicy: Row(partial(leave_out, edge)),
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


def leave_out(edge: Edge, policy: ClusterPolicy, _build: Build) -> Iterable[Diagnostic]:
    yield Diagnostic(
        rules.POLICY_NOT_IN_TARGET,
        policy.origin,
        f"{policy.name!r} is left out: the target {edge.target} has nobody to keep a {policy.kind} policy",
        "use --target senlin, or take the policy out of the descriptor",
    )
