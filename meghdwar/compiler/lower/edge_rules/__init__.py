"""What has to hold between the parts of an edge application, so that no move is ever asked for in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from meghdwar.compiler.lower.edge_rules import cloudlets, clusters, gateways, mobility, state
from meghdwar.compiler.lower.edge_rules.view import Edge
from meghdwar.compiler.site import Site
from meghdwar.compiler.topology import Topology
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Element


def check(topology: Topology, elements: Iterable[Element]) -> Iterator[Diagnostic]:
    """Every rule of the edge that the elements break, those of one rule together."""
    edge = Edge(topology, Site.of(elements))
    for rule in CHECKS:
        yield from rule(edge)


CHECKS: tuple[Callable[[Edge], Iterator[Diagnostic]], ...] = (
    gateways.built_or_standing,
    gateways.endpoints,
    gateways.networks,
    clusters.clusters,
    clusters.cells,
    cloudlets.hosts,
    state.state_owners,
    state.state_travels,
    state.mounts,
    cloudlets.addresses,
    cloudlets.readiness,
    cloudlets.capacity,
    cloudlets.parameters,
    mobility.mobility_targets,
    mobility.strategies,
    mobility.triggers,
    clusters.policy_targets,
    clusters.shrinking,
)
