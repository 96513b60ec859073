"""What has to hold for a mobility policy: that it moves something, somewhere, in a way that works."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_rules.view import Edge
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Cloudlet, Gateway, Mobility


def mobility_targets(edge: Edge) -> Iterator[Diagnostic]:
    """A mobility policy is about cloudlets that have somewhere to go, and each has one at most."""
    first: dict[str, Mobility] = {}
    for mobility in edge.site.mobilities:
        if not mobility.cloudlets:
            yield Diagnostic(
                rules.NOTHING_TO_MOVE,
                mobility.origin,
                f"cannot move anything by {mobility.name!r}: it has no targets",
                "name cloudlets in targets",
            )
        for name in mobility.cloudlets:
            cloudlet = edge.site.cloudlets.get(name)
            if cloudlet is None:
                continue
            if name in first:
                yield Diagnostic(
                    rules.TWO_MOBILITIES,
                    mobility.origin,
                    f"cannot move {name!r} by two policies, {first[name].name!r} and {mobility.name!r}",
                    "keep one",
                    ((first[name].origin, "the first one"),),
                )
            first.setdefault(name, mobility)
            if cloudlet.cluster is None:
                yield Diagnostic(
                    rules.NO_CLUSTER,
                    mobility.origin,
                    f"cannot move {name!r}: {_host(cloudlet)} is in no cluster",
                    "put the gateways that it may move to into one group of type meghdwar.groups.EdgeCluster",
                    ((cloudlet.origin, f"{name} is here"),),
                )
            elif len(edge.site.reach(cloudlet)) == 1:
                yield Diagnostic(
                    rules.NOWHERE_TO_GO,
                    mobility.origin,
                    f"{name!r} has nowhere to move to: {cloudlet.cluster!r} has one gateway",
                    "add another one",
                )


def _host(cloudlet: Cloudlet) -> str:
    return f"its host {cloudlet.host!r}" if cloudlet.host else "it has no host and"


def strategies(edge: Edge) -> Iterator[Diagnostic]:
    """The way in which state travels fits what there is to carry and what carries it."""
    for mobility in edge.site.mobilities:
        for name in mobility.cloudlets:
            cloudlet = edge.site.cloudlets.get(name)
            if cloudlet is None:
                continue
            problem = _misfit(edge, mobility.strategy, cloudlet)
            if problem is not None:
                what, way_out = problem
                yield Diagnostic(
                    rules.STRATEGY_DOES_NOT_FIT,
                    edge.place(mobility.name, "strategy"),
                    f"cannot move {name!r} with strategy {mobility.strategy}: {what}",
                    way_out,
                    ((cloudlet.origin, f"{name} is here"),),
                )


def _misfit(edge: Edge, strategy: str, cloudlet: Cloudlet) -> tuple[str, str] | None:
    states = [mount.state for mount in cloudlet.state]
    volumes = [state for state in states if state in edge.site.volumes]
    if strategy == "live":
        other = next((g for g in edge.site.reach(cloudlet) if g.hypervisor != "kvm"), None)
        if cloudlet.kind != "vm":
            return "only a virtual machine moves live", "use precopy or warm"
        if other is not None:
            return f"{other.name!r} runs {other.hypervisor}, and only KVM moves live", "use precopy or warm"
    if strategy == "files":
        if volumes:
            return f"it keeps the volume {volumes[0]!r}, which would stay behind", "use precopy, or StateFiles"
        if not states:
            return "it keeps no StateFiles", "use precopy, or give it a state requirement to StateFiles"
    if strategy == "warm" and not volumes:
        return "it keeps no volume to hand over", "use precopy, or give it a StatefulVolume"
    return None


def triggers(edge: Edge) -> Iterator[Diagnostic]:
    """What makes a cloudlet move can be known for every gateway."""
    for mobility in edge.site.mobilities:
        reach: dict[str, Gateway] = {}
        for name in mobility.cloudlets:
            if name in edge.site.cloudlets:
                reach.update((gateway.name, gateway) for gateway in edge.site.reach(edge.site.cloudlets[name]))
        if len(reach) < 2:
            continue
        for gateway in reach.values():
            if mobility.trigger == "serving-cell" and not gateway.serves:
                what, way_out = "serves no cell", "name the cells that it serves in serves"
            elif mobility.trigger == "nearer-site" and gateway.latitude is None:
                what, way_out = "has no location", "give it latitude and longitude"
            else:
                continue
            yield Diagnostic(
                rules.NEVER_REACHED,
                gateway.origin,
                f"{mobility.name!r} never moves anything to {gateway.name!r}: it {what}",
                way_out,
                ((mobility.origin, f"its trigger is {mobility.trigger}"),),
            )
