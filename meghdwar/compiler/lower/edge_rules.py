"""What has to hold between the parts of an edge application, so that no move is ever asked for in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from meghdwar.compiler import rules
from meghdwar.compiler.site import Site
from meghdwar.compiler.topology import Topology
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import (
    Cloudlet,
    Cluster,
    Element,
    Gateway,
    Mobility,
    StateFiles,
    Value,
    Volume,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """The edge of one application, and where its parts were written."""

    topology: Topology
    site: Site

    def place(self, name: str, *path: str | int) -> Span:
        """Where a property of an element was written, or the element."""
        topology = self.topology
        placed = topology.templates.get(name) or topology.groups.get(name) or topology.policies.get(name)
        return placed.place(*path) if placed else topology.origin

    def requirement(self, cloudlet: str, name: str, target: str | None) -> Span:
        """Where a requirement of a cloudlet was written, or the cloudlet."""
        template = self.topology.templates.get(cloudlet)
        found = (r.origin for r in template.requirements if r.name == name and r.target == target) if template else ()
        return next(iter(found), self.place(cloudlet))


def check(topology: Topology, elements: Iterable[Element]) -> Iterator[Diagnostic]:
    """Every rule of the edge that the elements break, those of one rule together."""
    edge = Edge(topology, Site.of(elements))
    for rule in CHECKS:
        yield from rule(edge)


# gateways
def built_or_standing(edge: Edge) -> Iterator[Diagnostic]:
    """A gateway without an endpoint is built from a flavor and an image; one with an endpoint is left alone."""
    for gateway in edge.site.gateways.values():
        given = [key for key in ("flavor", "image") if getattr(gateway, key) is not None]
        if not gateway.stands and len(given) < 2:
            missing = " and ".join(key for key in ("flavor", "image") if key not in given)
            yield Diagnostic(
                rules.NOTHING_TO_BUILD_FROM,
                gateway.origin,
                f"cannot build {gateway.name!r}: it has no {missing}",
                "give it flavor and image, or the endpoint at which it stands already",
            )
        if gateway.stands:
            for key in ("flavor", "image", "key_name"):
                if getattr(gateway, key) is not None:
                    yield Diagnostic(
                        rules.NOT_BUILT,
                        edge.place(gateway.name, key),
                        f"{key} of {gateway.name!r} counts for nothing: it stands already",
                        "leave it out, or leave the endpoint out so that the stack builds the gateway",
                    )
        elif gateway.certificate is not None:
            yield Diagnostic(
                rules.NOT_BUILT,
                edge.place(gateway.name, "certificate"),
                f"the certificate of {gateway.name!r} counts for nothing: it is made when the stack builds the gateway",
                "leave it out, or name the endpoint at which the gateway stands",
            )


SCHEMES: Mapping[str, tuple[str, ...]] = {
    "lxd": ("https",),
    "kvm": ("qemu+tls", "qemu+ssh", "qemu+unix", "qemu+tcp", "qemu"),
    "local": ("local", "file"),
}
_EXAMPLES = {
    "lxd": "https://edge-b.example:8443",
    "kvm": "qemu+tls://edge-b.example/system",
    "local": "local:edge_b or file:///srv/edge-b",
}


def endpoints(edge: Edge) -> Iterator[Diagnostic]:
    """An endpoint speaks the language of the hypervisor, and no two gateways are the same host."""
    seen: dict[Value, Gateway] = {}
    for gateway in edge.site.gateways.values():
        endpoint = gateway.endpoint
        if not isinstance(endpoint, str):
            continue
        span = edge.place(gateway.name, "endpoint")
        wanted = SCHEMES.get(gateway.hypervisor, ())
        scheme, colon, rest = endpoint.partition(":")
        path = gateway.hypervisor == "local" and endpoint.startswith("/")
        if wanted and not path and (scheme not in wanted or not colon or not rest.strip("/")):
            yield Diagnostic(
                rules.ENDPOINT_DOES_NOT_FIT,
                span,
                f"cannot reach {gateway.hypervisor} on {gateway.name!r} at {endpoint!r}",
                f"write it as {_EXAMPLES[gateway.hypervisor]}",
            )
        if endpoint.rstrip("/") in seen:
            other = seen[endpoint.rstrip("/")]
            yield Diagnostic(
                rules.ONE_HOST_TWICE,
                span,
                f"{gateway.name!r} and {other.name!r} are the same host: {endpoint}",
                "one gateway is one host with one hypervisor",
                ((edge.place(other.name, "endpoint"), f"{other.name} is here"),),
            )
        seen.setdefault(endpoint.rstrip("/"), gateway)


def networks(edge: Edge) -> Iterator[Diagnostic]:
    """A machine without a network cannot be reached by the driver."""
    for gateway in edge.site.gateways.values():
        if not gateway.stands and not gateway.networks and None not in (gateway.flavor, gateway.image):
            yield Diagnostic(
                rules.NO_NETWORK,
                gateway.origin,
                f"{gateway.name!r} is built without a network: the driver could not reach it",
                "name one in networks",
            )


# clusters
def clusters(edge: Edge) -> Iterator[Diagnostic]:
    """A gateway is in one cluster; a cluster has gateways and an application; its limits leave room for them."""
    first: dict[str, Cluster] = {}
    for cluster in edge.site.clusters.values():
        for name in cluster.gateways:
            if name in first:
                yield Diagnostic(
                    rules.IN_TWO_CLUSTERS,
                    cluster.origin,
                    f"{name!r} is in two clusters, {first[name].name!r} and {cluster.name!r}",
                    "one cluster serves one application, and a gateway is in one cluster",
                    ((first[name].origin, "the first one"),),
                )
            first.setdefault(name, cluster)
        size = len(cluster.gateways)
        if not size:
            yield Diagnostic(
                rules.EMPTY_CLUSTER, cluster.origin, f"{cluster.name!r} has no gateways", "name them in members"
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
        f"the limits of {cluster.name!r} do not fit: {what}",
        "the cluster starts with the gateways that it names",
    )


def cells(edge: Edge) -> Iterator[Diagnostic]:
    """A subscriber in a cell is served by one gateway of the cluster."""
    for cluster in edge.site.clusters.values():
        serving: dict[str, Gateway] = {}
        for gateway in edge.site.members(cluster):
            for index, cell in enumerate(gateway.serves):
                other = serving.get(cell)
                if other is not None:
                    twice = "twice" if other is gateway else f"by {other.name!r} too"
                    yield Diagnostic(
                        rules.CELL_TWICE,
                        edge.place(gateway.name, "serves", index),
                        f"cell {cell!r} is served by {gateway.name!r} and {twice}"
                        if other is not gateway
                        else f"cell {cell!r} stands twice in {gateway.name!r}",
                        "a subscriber in a cell has to be served by one gateway of the cluster",
                        () if other is gateway else ((edge.place(other.name, "serves"), f"{other.name} is here"),),
                    )
                serving.setdefault(cell, gateway)


# cloudlets
HYPERVISORS: Mapping[str, tuple[str, ...]] = {"container": ("lxd", "local"), "vm": ("kvm", "local")}


def hosts(edge: Edge) -> Iterator[Diagnostic]:
    """A cloudlet starts at one gateway, and every gateway that it may move to can run it."""
    for cloudlet in edge.site.cloudlets.values():
        template = edge.topology.templates.get(cloudlet.name)
        found = list(template.targets("host")) if template else []
        if len(found) != 1 and (cloudlet.state or len(found) > 1):
            kept = " and keeps state" if cloudlet.state else ""
            yield Diagnostic(
                rules.NOT_ONE_HOST,
                found[1].origin if len(found) > 1 else cloudlet.origin,
                f"{cloudlet.name!r} has {len(found) or 'no'} hosts{kept}; it has to start at exactly one",
                "keep one host requirement: the cloudlet moves from there by itself",
            )
        wrong = [g for g in edge.site.reach(cloudlet) if g.hypervisor not in HYPERVISORS[cloudlet.kind]]
        if wrong:
            wanted = HYPERVISORS[cloudlet.kind][0]
            yield Diagnostic(
                rules.WRONG_HYPERVISOR,
                edge.requirement(cloudlet.name, "host", cloudlet.host),
                f"{cloudlet.name!r} is a {_KIND[cloudlet.kind]} and wants {wanted}, but {_list(g.name for g in wrong)} "
                f"{'has' if len(wrong) == 1 else 'have'} {_list({g.hypervisor: 1 for g in wrong}, quoted=False)}",
                f"every gateway that it may move to has to run {wanted}: put others into a cluster of their own",
                tuple((edge.place(g.name, "hypervisor"), f"{g.name} runs {g.hypervisor}") for g in wrong[:3]),
            )


_KIND = {"container": "container", "vm": "virtual machine"}


def state_owners(edge: Edge) -> Iterator[Diagnostic]:
    """State belongs to one cloudlet, and somebody keeps it."""
    owners: dict[str, str] = {}
    for cloudlet in edge.site.cloudlets.values():
        for mount in cloudlet.state:
            other = owners.get(mount.state)
            if other is not None:
                yield Diagnostic(
                    rules.STATE_OF_TWO,
                    edge.requirement(cloudlet.name, "state", mount.state),
                    f"{mount.state!r} is kept by {other!r} and by {cloudlet.name!r}"
                    if other != cloudlet.name
                    else f"{cloudlet.name!r} keeps {mount.state!r} twice",
                    "state moves with one cloudlet: give each its own",
                    ((edge.requirement(other, "state", mount.state), "the first one"),),
                )
            owners.setdefault(mount.state, cloudlet.name)
    states: list[Volume | StateFiles] = [*edge.site.volumes.values(), *edge.site.files.values()]
    for state in states:
        if state.name not in owners:
            yield Diagnostic(
                rules.STATE_OF_NOBODY,
                state.origin,
                f"no cloudlet keeps {state.name!r}",
                "name it in a state requirement of a cloudlet",
            )


def state_travels(edge: Edge) -> Iterator[Diagnostic]:
    """A volume can be carried between hypervisors of one kind only; files can be carried anywhere."""
    for cloudlet in edge.site.cloudlets.values():
        kinds = sorted({gateway.hypervisor for gateway in edge.site.reach(cloudlet)})
        if len(kinds) < 2 or any(kind not in HYPERVISORS[cloudlet.kind] for kind in kinds):
            continue
        for mount in cloudlet.state:
            if mount.state in edge.site.volumes:
                yield Diagnostic(
                    rules.STATE_CANNOT_TRAVEL,
                    edge.requirement(cloudlet.name, "state", mount.state),
                    f"cannot carry volume {mount.state!r} of {cloudlet.name!r} between {_list(kinds, quoted=False)}",
                    "let all gateways of its cluster run the same hypervisor, or keep its state as StateFiles",
                )


def mounts(edge: Edge) -> Iterator[Diagnostic]:
    """State is seen at an absolute path of its own."""
    for cloudlet in edge.site.cloudlets.values():
        seen: dict[str, str] = {}
        for mount in cloudlet.state:
            span = _location(edge, cloudlet, mount.state)
            clean = _clean(mount.location)
            if clean is None or clean == "/":
                shown = repr(mount.location) if mount.location else "no path"
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    span,
                    f"{cloudlet.name!r} cannot see {mount.state!r} at {shown}",
                    "write an absolute path below /, such as /data",
                )
                continue
            if mount.state in edge.site.files:
                continue  # files lie among the others; only a volume covers what is below it
            if clean in seen:
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    span,
                    f"{cloudlet.name!r} sees both {seen[clean]!r} and {mount.state!r} at {clean}",
                    "give each a path of its own",
                )
            seen.setdefault(clean, mount.state)
    for files in edge.site.files.values():
        listed = Counter(path.rstrip("/") for path in files.paths)
        for index, path in enumerate(files.paths):
            parts = path.split("/")
            if not path.strip("/") or ".." in parts or listed[path.rstrip("/")] > 1:
                why = "twice" if listed[path.rstrip("/")] > 1 else "as a file"
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    edge.place(files.name, "paths", index),
                    f"{files.name!r} cannot name {path!r} {why}",
                    "name each file once, without ..",
                )


def _location(edge: Edge, cloudlet: Cloudlet, state: str) -> Span:
    template = edge.topology.templates.get(cloudlet.name)
    for requirement in template.requirements if template else ():
        if requirement.name == "state" and requirement.target == state and requirement.relationship:
            place = requirement.relationship.place("location")
            return place if "location" in requirement.relationship.nodes else requirement.origin
    return cloudlet.origin


def _clean(location: str) -> str | None:
    parts = [part for part in location.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts) if location.startswith("/") and ".." not in parts else None


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
                f"every instance of {cloudlet.name!r} would have the same address",
                "leave address out when instances is per_subscriber: each gets one of its own",
            )
        if not isinstance(cloudlet.address, str):
            continue
        address = _address(cloudlet.address)
        if address is None:
            yield Diagnostic(
                rules.ADDRESS_CLASH,
                span,
                f"{cloudlet.address!r} is no address for {cloudlet.name!r}",
                "write a plain IP address without a mask",
            )
            continue
        if address in seen:
            yield Diagnostic(
                rules.ADDRESS_CLASH,
                span,
                f"{cloudlet.name!r} and {seen[address].name!r} have the same address {cloudlet.address}",
                "an address goes with one cloudlet from gateway to gateway",
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
    for gateway in edge.site.gateways.values():
        if gateway.capacity is None:
            continue
        shared = [c for c in edge.site.cloudlets.values() if c.instances == "shared"]
        starting = [c.name for c in shared if c.host == gateway.name]
        coming = [c.name for c in shared if gateway in edge.site.reach(c)]
        span = edge.place(gateway.name, "capacity")
        if len(starting) > gateway.capacity:
            yield Diagnostic(
                rules.OVER_CAPACITY,
                span,
                f"{gateway.name!r} takes {gateway.capacity} cloudlets, and {len(starting)} start there: "
                f"{_list(starting)}",
                "let some of them start elsewhere",
            )
        elif len(coming) > gateway.capacity:
            yield Diagnostic(
                rules.TIGHT_CAPACITY,
                span,
                f"{gateway.name!r} takes {gateway.capacity} cloudlets, and {len(coming)} may be there at once: "
                f"{_list(coming)}",
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
                    f"{taken.name!r} cannot be an input: the driver says with it where {name!r} is",
                    "give the input another name",
                )


# mobility
def mobility_targets(edge: Edge) -> Iterator[Diagnostic]:
    """A mobility policy is about cloudlets that have somewhere to go, and each has one at most."""
    first: dict[str, Mobility] = {}
    for mobility in edge.site.mobilities:
        if not mobility.cloudlets:
            yield Diagnostic(
                rules.NOTHING_TO_MOVE,
                mobility.origin,
                f"{mobility.name!r} moves nothing: it has no targets",
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
                    f"{name!r} has two mobility policies, {first[name].name!r} and {mobility.name!r}",
                    "keep one",
                    ((first[name].origin, "the first one"),),
                )
            first.setdefault(name, mobility)
            if cloudlet.cluster is None:
                yield Diagnostic(
                    rules.NO_CLUSTER,
                    mobility.origin,
                    f"{name!r} cannot move: {_host(cloudlet)} is in no cluster",
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


# the policies of clusters
def policy_targets(edge: Edge) -> Iterator[Diagnostic]:
    """A policy without a cluster would do nothing at all, without a word."""
    for name, policy in edge.topology.policies.items():
        if policy.type.is_a("meghdwar.policies.ClusterPolicy") and not any(
            t in edge.site.clusters for t in policy.targets
        ):
            yield Diagnostic(
                rules.NO_TARGET,
                policy.origin,
                f"{name!r} is about no cluster",
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
                f"{policy.name!r} may take away the gateway where {_list(stateful)} keeps its state",
                f"set min_size of {cluster.name!r} to {len(cluster.gateways)}: then only added members leave",
                ((edge.place(cluster.name, "min_size"), f"the limits of {cluster.name}"),),
            )


CHECKS: tuple[Callable[[Edge], Iterator[Diagnostic]], ...] = (
    built_or_standing,
    endpoints,
    networks,
    clusters,
    cells,
    hosts,
    state_owners,
    state_travels,
    mounts,
    addresses,
    readiness,
    capacity,
    parameters,
    mobility_targets,
    strategies,
    triggers,
    policy_targets,
    shrinking,
)


def _list(names: Iterable[str], quoted: bool = True) -> str:
    shown = [repr(name) if quoted else name for name in names]
    if len(shown) > 4:
        shown = [*shown[:3], f"{len(shown) - 3} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
