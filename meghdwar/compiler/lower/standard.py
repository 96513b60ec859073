"""The normative node types of TOSCA as elements of the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.known import number
from meghdwar.compiler.lower.scope import Item, Scope, is_server, is_storage
from meghdwar.compiler.lower.software import steps
from meghdwar.compiler.topology import Placed, Requirement, Template
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import (
    Attachment,
    BlockStorage,
    FloatingAddress,
    LoadBalancer,
    Network,
    ObjectStorage,
    Port,
    Server,
    ServerScaling,
    Value,
)

SKIPPABLE = frozenset({rules.UNMAPPED})
NETWORKS = ("tosca.nodes.network.Network", "tosca.nodes.nfv.VL", "tosca.nodes.nfv.VnfVirtualLink")
PORTS = ("tosca.nodes.network.Port", "tosca.nodes.nfv.CP", "tosca.nodes.nfv.VduCp")


# reading
def read(placed: Placed | None, scope: Scope, *names: str) -> Value:
    """The first of the properties that is given."""
    if placed is None or not placed.properties:
        return None
    for name in names:
        value = placed.properties.get(name)
        if value is not None:
            return scope.value(value)
    return None


def target_of(template: Template, types: tuple[str, ...], scope: Scope) -> str | None:
    """The first template of one of the types that fills a requirement."""
    return next((r.target for r in template.requirements if is_one(scope.template(r.target), types)), None)


def server_of(template: Template, scope: Scope) -> str | None:
    for requirement in template.requirements:
        found = scope.template(requirement.target)
        if found is not None and is_server(found):
            return found.name
    return None


def is_one(template: Template | None, types: tuple[str, ...]) -> bool:
    return template is not None and any(template.type.is_a(name) for name in types)


_UNITS = {"": 1, "b": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {"ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}


def size(value: Value) -> Value:
    """A size in bytes; some types have it as text, such as "512 MB"."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?i?)b?\s*", value.lower())
        scale = {**_UNITS, **_BINARY}.get(found[2]) if found else None
        try:
            return int(float(found[1]) * scale) if found and scale else None
        except (ValueError, OverflowError):
            return None
    return value


def strings(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


# servers
def server(template: Template, scope: Scope) -> Iterator[Item]:
    """A machine, what is attached to it, and the scripts of its own life cycle."""
    host = template.capabilities.get("host") or template.capabilities.get("nfv_compute")
    compute = template.capabilities.get("nfv_compute") or host
    system = template.capabilities.get("os")
    yield Server(
        name=template.name,
        origin=template.origin,
        image=read(template, scope, "image") or image_of(template),
        flavor=read(template, scope, "flavor", "instance_type"),
        cpus=read(compute, scope, "num_cpus"),
        memory_bytes=size(read(compute, scope, "mem_size")),
        disk_bytes=size(read(compute, scope, "disk_size")),
        architecture=read(system, scope, "architecture"),
        os_type=read(system, scope, "type"),
        distribution=read(system, scope, "distribution"),
        os_version=read(system, scope, "version"),
        key_name=read(template, scope, "key_name"),
        zone=read(template, scope, "availability_zone"),
        user_data=read(template, scope, "user_data"),
        networks=networks_of(template, scope),
        metadata=strings(read(template, scope, "metadata")),
    )
    yield from attachments(template, scope)
    yield from scalable(template, scope)
    yield from steps(template, scope)


def image_of(template: Template) -> str | None:
    """The image that an artifact of the template is: named like the artifact's file."""
    for artifact in template.artifacts.values():
        if artifact.type is not None and artifact.type.is_a("tosca.artifacts.Deployment.Image"):
            return artifact.path.rpartition("/")[2]
    return None


def networks_of(template: Template, scope: Scope) -> tuple[Value, ...]:
    value = read(template, scope, "networks")
    return value if isinstance(value, tuple) else ()


def attachments(template: Template, scope: Scope) -> Iterator[Item]:
    for requirement in template.requirements:
        target = scope.template(requirement.target)
        if target is None or not is_storage(target):
            continue
        others = {source.name for source, _ in scope.sources.get(target.name, ()) if is_server(source)}
        if len(others) > 1 and min(others) == template.name:
            yield Diagnostic(
                rules.SHARED_VOLUME,
                requirement.origin,
                f"{target.name!r} is attached to {len(others)} servers: the cloud has to allow that",
                "give it a volume type with multiattach, or a volume to each server",
            )
        yield attachment(template, requirement, target, scope)


def attachment(template: Template, requirement: Requirement, target: Template, scope: Scope) -> Attachment:
    relationship = requirement.relationship
    return Attachment(
        name=scope.attachment(template, requirement),
        server=template.name,
        storage=target.name,
        origin=requirement.origin,
        location=read(relationship, scope, "location"),
        device=read(relationship, scope, "device"),
    )


def scalable(template: Template, scope: Scope) -> Iterator[Item]:
    """A server that there is more than one of: by its count, or by its scalable capability."""
    if template.name in scope.scaled:
        return
    if template.count > 1:
        name, many = scope.unused(f"{template.name}_scaling"), template.count
        yield ServerScaling(name, (template.name,), template.origin, minimum=many, maximum=many, default=many)
        return
    capability = template.capabilities.get("scalable")
    minimum = number(scope.known(read(capability, scope, "min_instances")))
    maximum = number(scope.known(read(capability, scope, "max_instances")))
    default = number(scope.known(read(capability, scope, "default_instances")))
    if capability is None or max(minimum or 1, maximum or 1, default or 1) <= 1:
        return
    low = minimum or 0
    high = max(maximum or low, low)
    yield ServerScaling(
        name=scope.unused(f"{template.name}_scaling"),
        members=(template.name,),
        origin=capability.origin,
        minimum=low,
        maximum=high,
        default=min(max(default if default is not None else low, low), high),
    )


def counted(template: Template, scope: Scope) -> Iterator[Item]:
    """What there is more than one of has to be a server, or to come with each of the servers that it is for."""
    if template.count == 1 or is_server(template):
        return
    users = [source.name for source, _ in scope.sources.get(template.name, ()) if is_server(source)]
    servers = {*scope.servers(template.name), *users, *filter(None, [server_of(template, scope)])}
    if not servers or any(scope.topology.templates[name].count != template.count for name in servers):
        yield Diagnostic(
            rules.COUNT_NOT_KEPT,
            template.origin,
            f"cannot make {template.count} of {template.name!r}: only servers come in numbers, with what is theirs",
            "write a node template for each, or give its server the same count",
        )


# storage
def block_storage(template: Template, scope: Scope) -> Iterator[Item]:
    yield BlockStorage(
        name=template.name,
        origin=template.origin,
        size_bytes=size(read(template, scope, "size")),
        existing=read(template, scope, "volume_id"),
        snapshot=read(template, scope, "snapshot_id"),
        image=read(template, scope, "image"),
        volume_type=read(template, scope, "volume_type"),
        metadata=strings(read(template, scope, "metadata")),
    )


def object_storage(template: Template, scope: Scope) -> Iterator[Item]:
    yield ObjectStorage(
        name=template.name,
        origin=template.origin,
        container=read(template, scope, "name"),
        size_max_bytes=size(read(template, scope, "maxsize")),
        metadata=strings(read(template, scope, "metadata")),
    )


# networks
def network(template: Template, scope: Scope) -> Iterator[Item]:
    """A network to make, or one that stands already: an id, or a name with nothing to make it from."""
    name = read(template, scope, "network_name")
    makes = ("cidr", "start_ip", "end_ip", "gateway_ip", "network_type", "physical_network", "segmentation_id")
    existing = read(template, scope, "network_id")
    dhcp = read(template, scope, "dhcp_enabled")
    made = any(read(template, scope, property_) not in (None, "") for property_ in makes)
    if existing is None and name is not None and not made:
        existing = name
    yield Network(
        name=template.name,
        origin=template.origin,
        label=name if existing is None else None,
        existing=existing,
        ip_version=read(template, scope, "ip_version") or 4,
        cidr=read(template, scope, "cidr"),
        start_address=read(template, scope, "start_ip"),
        end_address=read(template, scope, "end_ip"),
        gateway_address=read(template, scope, "gateway_ip"),
        dhcp=True if dhcp is None else dhcp,
        network_type=read(template, scope, "network_type"),
        physical_network=read(template, scope, "physical_network"),
        segmentation_id=read(template, scope, "segmentation_id"),
        mtu=read(template, scope, "mtu"),
    )


_VNIC = {"sriov": "direct", "vnic": "normal"}


def port(template: Template, scope: Scope) -> Iterator[Item]:
    kind = read(template, scope, "vnic_type") or read(template, scope, "type")
    security: Value = read(template, scope, "security_groups")
    if security is None and read(template, scope, "anti_spoofing_protection") is False:
        security = False
    order = read(template, scope, "order")
    yield Port(
        name=template.name,
        origin=template.origin,
        network=target_of(template, NETWORKS, scope),
        server=server_of(template, scope),
        address=read(template, scope, "ip_address"),
        order=order if order is not None else 0,
        vnic_type=_VNIC.get(kind, kind) if isinstance(kind, str) else kind,
        mac_address=read(template, scope, "mac_address"),
        security=security,
    )


def floating_address(template: Template, scope: Scope) -> Iterator[Item]:
    outside = scope.template(target_of(template, NETWORKS, scope))
    yield FloatingAddress(
        name=template.name,
        origin=template.origin,
        network=read(template, scope, "floating_network") or read(outside, scope, "network_id", "network_name"),
        port=target_of(template, PORTS, scope),
        server=server_of(template, scope),
        address=read(template, scope, "floating_ip_address"),
    )


def load_balancer(template: Template, scope: Scope) -> Iterator[Item]:
    """Spreads what comes in at `client` over the servers of the nodes that its requirements name."""
    client = template.capabilities.get("client")
    members: dict[str, None] = {}
    member_port: Value = None
    for requirement in template.requirements:
        target = scope.template(requirement.target)
        if target is None:
            continue
        members.update(dict.fromkeys(scope.servers(target.name)))
        capability = target.capabilities.get(requirement.capability or "")
        endpoints = [
            capability,
            *(c for c in target.capabilities.values() if c.type.is_a("tosca.capabilities.Endpoint")),
        ]
        for endpoint in endpoints:
            member_port = member_port if member_port is not None else read(endpoint, scope, "port")
    listening = read(client, scope, "port")
    protocol = read(client, scope, "protocol")
    yield LoadBalancer(
        name=template.name,
        origin=template.origin,
        members=tuple(members),
        port=listening if listening is not None else 80,
        member_port=member_port if member_port is not None else listening if listening is not None else 80,
        protocol=protocol.upper() if isinstance(protocol, str) else protocol,
        algorithm=read(template, scope, "algorithm"),
        network=target_of(template, NETWORKS, scope),
    )


# software, and what is left
def software(template: Template, scope: Scope) -> Iterator[Item]:
    """A component becomes the scripts of its life cycle; without any it is a name and no more."""
    yield from steps(template, scope)


def frame(template: Template, scope: Scope) -> Iterator[Item]:
    """The node that stands for the whole, such as a VNF: nothing of its own to build."""
    yield from ()


def other(template: Template, scope: Scope) -> Iterator[Item]:
    """A type of nobody's: scripts to run on a server, or nothing that we can build."""
    if scope.servers(template.name) and any(template.interfaces.values()):
        yield from steps(template, scope)
        return
    yield Diagnostic(
        rules.UNMAPPED,
        template.origin,
        f"cannot tell what to build for {template.name!r}: {template.type.name} has no mapping",
        "derive its type from one that has (docs/reference/mapping.md), or leave it out with --skip-unmapped",
    )
