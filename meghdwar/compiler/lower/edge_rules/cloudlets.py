"""What has to hold for each cloudlet: where it can run, and what it needs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_rules.view import Edge, listed
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Cloudlet

HYPERVISORS: Mapping[str, tuple[str, ...]] = {"container": ("lxd", "local"), "vm": ("kvm", "local")}


_KIND = {"container": "container", "vm": "virtual machine"}


def hosts(edge: Edge) -> Iterator[Diagnostic]:
    """A cloudlet starts at one gateway, and every gateway that it may move to can run it."""
    for cloudlet in edge.site.cloudlets.values():
        template = edge.topology.templates.get(cloudlet.name)
        found = list(template.targets("host")) if template else []
        if len(found) > 1 or (cloudlet.host is None and cloudlet.state):
            where = f"at {len(found)} hosts" if found else "without a host"
            why = "it keeps state and" if cloudlet.state else "it"
            yield Diagnostic(
                rules.NOT_ONE_HOST,
                found[1].origin if len(found) > 1 else cloudlet.origin,
                f"cannot start {cloudlet.name!r} {where}: {why} has to start at exactly one",
                "give it one host requirement: it moves from there by itself",
            )
        wrong = [g for g in edge.site.reach(cloudlet) if g.hypervisor not in HYPERVISORS[cloudlet.kind]]
        if wrong:
            wanted = HYPERVISORS[cloudlet.kind][0]
            yield Diagnostic(
                rules.WRONG_HYPERVISOR,
                edge.requirement(cloudlet.name, "host", cloudlet.host),
                f"cannot run {cloudlet.name!r} on {listed(g.name for g in wrong)}: "
                f"a {_KIND[cloudlet.kind]} wants {wanted}, not "
                f"{listed({g.hypervisor: 1 for g in wrong}, quoted=False)}",
                f"every gateway that it may move to has to run {wanted}: put others into a cluster of their own",
                tuple((edge.place(g.name, "hypervisor"), f"{g.name} runs {g.hypervisor}") for g in wrong[:3]),
            )


def addresses(edge: Edge) -> Iterator[Diagnostic]:
    """An address goes with one instance of one cloudlet."""
    seen: dict[str, Cloudlet] = {}
    for cloudlet in edge.site.cloudlets.values():
        if cloudlet.address is None:
            continue
        span = edge.place(cloudlet.name, "address")
        if cloudlet.instances == "per_subscriber":
            yield Diagnostic(
                rules.ADDRESS_CLASH,
                span,
                f"cannot give every instance of {cloudlet.name!r} the same address",
                "leave address out when instances is per_subscriber: each gets one of its own",
            )
        if not isinstance(cloudlet.address, str):
            continue
        address = _address(cloudlet.address)
        if address is None:
            yield Diagnostic(
                rules.ADDRESS_CLASH,
                span,
                f"cannot give {cloudlet.name!r} the address {cloudlet.address!r}",
                "write a plain IP address without a mask",
            )
            continue
        if address in seen:
            yield Diagnostic(
                rules.ADDRESS_CLASH,
                span,
                f"cannot give {cloudlet.name!r} the address {cloudlet.address}: {seen[address].name!r} has it",
                "give it another one: an address goes with one cloudlet from gateway to gateway",
                ((edge.place(seen[address].name, "address"), "the first one"),),
            )
        seen.setdefault(address, cloudlet)


def _address(text: str) -> str | None:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def readiness(edge: Edge) -> Iterator[Diagnostic]:
    """An HTTP path can only be asked for on a port."""
    for cloudlet in edge.site.cloudlets.values():
        if cloudlet.ready.http is not None and not cloudlet.ports and cloudlet.ready.port is None:
            yield Diagnostic(
                rules.READY_WITHOUT_PORT,
                edge.place(cloudlet.name, "ready", "http"),
                f"cannot ask {cloudlet.name!r} for {cloudlet.ready.http}: it has no ports",
                "add the port at which it serves to ports",
            )


def capacity(edge: Edge) -> Iterator[Diagnostic]:
    """The cloudlets that start at a gateway fit there, and so do those that may come."""
    starts: dict[str | None, list[str]] = {}
    comes: dict[str | None, list[str]] = {}
    for cloudlet in edge.site.cloudlets.values():
        if cloudlet.instances == "shared":
            starts.setdefault(cloudlet.host, []).append(cloudlet.name)
            comes.setdefault(cloudlet.cluster, []).append(cloudlet.name)
    for gateway in edge.site.gateways.values():
        if gateway.capacity is None:
            continue
        cluster = edge.site.cluster_of.get(gateway.name)
        starting = starts.get(gateway.name, [])
        coming = starting if cluster is None else comes.get(cluster.name, [])
        span = edge.place(gateway.name, "capacity")
        if len(starting) > gateway.capacity:
            yield Diagnostic(
                rules.OVER_CAPACITY,
                span,
                f"cannot start {len(starting)} cloudlets on {gateway.name!r}, which takes {gateway.capacity}: "
                f"{listed(starting)}",
                "let some of them start elsewhere",
            )
        elif len(coming) > gateway.capacity:
            yield Diagnostic(
                rules.TIGHT_CAPACITY,
                span,
                f"{gateway.name!r} takes {gateway.capacity} cloudlet{'s' * (gateway.capacity != 1)}, "
                f"and {len(coming)} may be there at once: "
                f"{listed(coming)}",
                "a move to a full gateway waits until another cloudlet has left",
            )


def parameters(edge: Edge) -> Iterator[Diagnostic]:
    """`<cloudlet>_at` is the driver's."""
    for name in edge.site.cloudlets:
        for suffix in ("_at", "_server"):
            taken = edge.topology.inputs.get(f"{name}{suffix}")
            if taken is not None:
                yield Diagnostic(
                    rules.RESERVED_INPUT,
                    taken.origin,
                    f"cannot take {taken.name!r} as an input: the driver says with it where {name!r} is",
                    "give the input another name",
                )
