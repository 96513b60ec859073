"""The rows of the edge in the table of lowerings. The edge itself is loaded when a descriptor has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.topology import Policy, Topology
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Cloudlet, Cluster, Element, Gateway, Mobility, StateFiles, Volume

Lowering: TypeAlias = Callable[[Any, Scope], Iterable[Item]]
CLUSTER = "meghdwar.groups.EdgeCluster"


def _late(name: str) -> Lowering:
    """The function of that name in `edge`."""

    def lowering(placed: Any, scope: Scope) -> Iterable[Item]:
        from meghdwar.compiler.lower import edge

        found: Lowering = getattr(edge, name)
        return found(placed, scope)

    return lowering


NODES: Mapping[str, Lowering] = {
    "meghdwar.nodes.EdgeGateway": _late("gateway"),
    "meghdwar.nodes.Cloudlet": _late("cloudlet"),
    "meghdwar.nodes.StatefulVolume": _late("volume"),
    "meghdwar.nodes.StateFiles": _late("state_files"),
}
GROUPS: Mapping[str, Lowering] = {CLUSTER: _late("cluster")}
POLICIES: Mapping[str, Lowering] = {
    "meghdwar.policies.Mobility": _late("mobility"),
    "meghdwar.policies.ClusterPolicy": _late("cluster_policy"),
}


def scaling_or(otherwise: Lowering) -> Lowering:
    """The lowering of tosca.policies.Scaling: ours when it is about clusters of gateways."""
    ours = _late("edge_scaling")

    def scaling(policy: Policy, scope: Scope) -> Iterable[Item]:
        groups = (scope.topology.groups.get(target) for target in policy.targets)
        about_edge = any(group is not None and group.type.is_a(CLUSTER) for group in groups)
        return (ours if about_edge else otherwise)(policy, scope)

    return scaling


def check(topology: Topology, elements: list[Element]) -> Iterable[Diagnostic]:
    """What has to hold between the parts of an edge, if there is one."""
    if not any(isinstance(e, Gateway | Cloudlet | Cluster | Mobility | Volume | StateFiles) for e in elements):
        return ()
    from meghdwar.compiler.lower import edge_rules

    return edge_rules.check(topology, elements)
