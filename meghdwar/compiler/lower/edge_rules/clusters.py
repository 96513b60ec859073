"""What has to hold for a cluster: whose it is, how big it may be, whom it serves, which policies it keeps."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_rules.view import Edge, listed
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Cluster, Gateway


def clusters(edge: Edge) -> Iterator[Diagnostic]:
    """A gateway is in one cluster; a cluster has gateways and an application; its limits leave room for them."""
    first: dict[str, Cluster] = {}
    for cluster in edge.site.clusters.values():
        for name in cluster.gateways:
            if name in first:
                yield Diagnostic(
                    rules.IN_TWO_CLUSTERS,
                    cluster.origin,
                    f"cannot put {name!r} into two clusters, {first[name].name!r} and {cluster.name!r}",
                    "take it out of one: a cluster serves one application, and a gateway is in one cluster",
                    ((first[name].origin, "the first one"),),
                )
            first.setdefault(name, cluster)
        size = len(cluster.gateways)
        if not size:
            yield Diagnostic(
                rules.EMPTY_CLUSTER,
                cluster.origin,
                f"cannot make cluster {cluster.name!r} without gateways",
                "name them in members",
            )
            continue
        if not any(cloudlet.cluster == cluster.name for cloudlet in edge.site.cloudlets.values()):
            yield Diagnostic(
                rules.NO_APPLICATION,
                cluster.origin,
                f"no cloudlet starts in {cluster.name!r}: it serves no application",
                "give a cloudlet a host among its gateways",
            )
        if cluster.maximum != -1 and cluster.minimum > cluster.maximum:
            yield _size(
                edge, cluster, "min_size", f"min_size {cluster.minimum} is more than max_size {cluster.maximum}"
            )
        elif 0 <= cluster.maximum < size:
            yield _size(edge, cluster, "max_size", f"max_size is {cluster.maximum}, but it names {size} gateways")
        elif cluster.minimum > size:
            yield _size(edge, cluster, "min_size", f"min_size is {cluster.minimum}, but it names {size} gateways")


def _size(edge: Edge, cluster: Cluster, key: str, what: str) -> Diagnostic:
    return Diagnostic(
        rules.SIZE_DOES_NOT_FIT,
        edge.place(cluster.name, key),
        f"cannot keep {cluster.name!r} within its limits: {what}",
        f"change {key} or members: the cluster starts with the gateways that it names",
    )


def cells(edge: Edge) -> Iterator[Diagnostic]:
    """A subscriber in a cell is served by one gateway of the cluster."""
    for cluster in edge.site.clusters.values():
        serving: dict[str, Gateway] = {}
        for gateway in edge.site.members(cluster):
            for index, cell in enumerate(gateway.serves):
                other = serving.get(cell)
                if other is not None:
                    yield Diagnostic(
                        rules.CELL_TWICE,
                        edge.place(gateway.name, "serves", index),
                        f"cannot serve cell {cell!r} from {gateway.name!r}: {other.name!r} serves it too"
                        if other is not gateway
                        else f"cannot name cell {cell!r} twice in {gateway.name!r}",
                        "remove one: a subscriber in a cell is served by one gateway of the cluster",
                        () if other is gateway else ((edge.place(other.name, "serves"), f"{other.name} is here"),),
                    )
                serving.setdefault(cell, gateway)


def policy_targets(edge: Edge) -> Iterator[Diagnostic]:
    """A policy without a cluster would do nothing at all, without a word."""
    for name, policy in edge.topology.policies.items():
        if policy.type.is_a("meghdwar.policies.ClusterPolicy") and not any(
            t in edge.site.clusters for t in policy.targets
        ):
            yield Diagnostic(
                rules.NO_TARGET,
                policy.origin,
                f"cannot apply {name!r}: no cluster is among its targets",
                "name a group of type meghdwar.groups.EdgeCluster in targets",
            )


def shrinking(edge: Edge) -> Iterator[Diagnostic]:
    """Shrinking takes gateways away, also the one where a cloudlet has its state."""
    for policy in (p for found in edge.site.policies.values() for p in found):
        cluster = edge.site.clusters.get(policy.cluster)
        if cluster is None or policy.kind != "scaling" or policy.settings.get("event") != "CLUSTER_SCALE_IN":
            continue
        stateful = [c.name for c in edge.site.cloudlets.values() if c.cluster == cluster.name and c.state]
        if stateful and cluster.minimum < len(cluster.gateways):
            yield Diagnostic(
                rules.SHRINKS_OVER_STATE,
                policy.origin,
                f"{policy.name!r} may take away the gateway where {listed(stateful)} keeps its state",
                f"set min_size of {cluster.name!r} to {len(cluster.gateways)}: then only added members leave",
                ((edge.place(cluster.name, "min_size"), f"the limits of {cluster.name}"),),
            )
