"""VDUs that follow their subscriber: what a mobility policy targets is a cloudlet at the gateways of the cluster.

SOL001 says what a VDU needs, and nothing of where it is: it starts at the first gateway of the cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.known import at, number
from meghdwar.compiler.lower.edge_table import CLUSTER
from meghdwar.compiler.lower.scope import Item, Scope, is_storage
from meghdwar.compiler.lower.sol001 import boot_volume, image_of, local_disk, volume_size
from meghdwar.compiler.lower.standard import read, size
from meghdwar.compiler.topology import Group, Requirement, Template
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Cloudlet, Mount, Value, Volume

UNIT, CONTAINER = "tosca.nodes.nfv.Vdu.OsContainerDeployableUnit", "tosca.nodes.nfv.Vdu.OsContainer"
_RULE = "tosca.policies.nfv.SecurityGroupRule"
_PORTS_MAX = 64  # a range that is wider says what may be reached, not what serves


def moving_machine(template: Template, scope: Scope) -> Cloudlet:
    """A Vdu.Compute is a virtual machine wherever it goes; a volume with an image is its own disk."""
    compute = template.capabilities.get("virtual_compute")
    image = image_of(template, scope)
    disk: Value = size(local_disk(compute, scope))
    boot = scope.template(boot_volume(template, scope)) if image is None else None
    if boot is not None:
        image, disk = image_of(boot, scope), volume_size(boot, scope)
    memory = size(at(read(compute, scope, "virtual_memory"), ("virtual_mem_size",)))
    cpus = at(read(compute, scope, "virtual_cpu"), ("num_virtual_cpu",))
    return _cloudlet(template, scope, "vm", image, cpus, memory, disk)


def moving_unit(template: Template, scope: Scope) -> Iterator[Item]:
    """A unit of one container; it gets what its container may use at most."""
    found = [scope.template(r.target) for r in template.targets("container")]
    containers = [container for container in found if container is not None]
    if template.name not in scope.moving or len(containers) != 1:
        yield _no_container(template, len(containers) if template.name in scope.moving else 0)
        return
    (container,) = containers
    milli = number(scope.known(read(container, scope, "cpu_resource_limit", "requested_cpu_resources")))
    memory = size(read(container, scope, "memory_resource_limit", "requested_memory_resources"))
    disk = size(read(container, scope, "ephemeral_storage_resource_limit", "requested_ephemeral_storage_resources"))
    cpus = max(math.ceil((milli or 0) / 1000), 1)
    yield _cloudlet(template, scope, "container", image_of(container, scope), cpus, memory, disk)


def container(template: Template, scope: Scope) -> Iterator[Item]:
    """Part of its unit; without one nobody would build it."""
    if not scope.sources.get(template.name):
        yield _no_container(template, 0)


def _no_container(template: Template, count: int) -> Diagnostic:
    if count:
        message = f"cannot tell what to build for {template.name!r}: it has {count} containers, and a cloudlet is one"
        return Diagnostic(rules.UNMAPPED, template.origin, message, "make a unit of each")
    message = f"cannot tell what to build for {template.name!r}: a stack has servers, and no containers"
    help_ = "let a meghdwar.policies.Mobility target its unit (docs/how-to/move-a-vnf.md)"
    return Diagnostic(rules.UNMAPPED, template.origin, message, help_)


def _cloudlet(
    template: Template, scope: Scope, kind: str, image: Value, cpus: Value, memory: Value, disk: Value
) -> Cloudlet:
    cluster = _cluster(template, scope)
    gateways = cluster.members if cluster is not None else ()
    return Cloudlet(
        name=template.name,
        kind=kind,
        image=image,
        origin=template.origin,
        host=gateways[0] if gateways else None,
        cluster=cluster.name if cluster is not None else None,
        cpus=1 if cpus is None else cpus,
        memory_bytes=128 * 2**20 if memory is None else memory,
        disk_bytes=disk,
        ports=tuple(_ports(template, scope)),
        state=tuple(_mounts(template, scope)),
        metadata=template.metadata,
    )


def _cluster(template: Template, scope: Scope) -> Group | None:
    """The cluster among the targets of its policy, else the only one that there is."""
    clusters = {name: group for name, group in scope.topology.groups.items() if group.type.is_a(CLUSTER)}
    for policy in scope.policies("meghdwar.policies.Mobility"):
        if template.name in scope.members(policy):
            named = [clusters[target] for target in policy.targets if target in clusters]
            found = named or list(clusters.values())
            return found[0] if named or len(found) == 1 else None
    return None


def _ports(template: Template, scope: Scope) -> Iterator[int]:
    """The TCP ports that security group rules open at its connection points."""
    points = {source.name for source, _ in scope.sources.get(template.name, ())}
    seen: set[int] = set()
    for policy in scope.policies(_RULE):
        first, last = (number(scope.known(read(policy, scope, f"port_range_{end}"))) for end in ("min", "max"))
        wanted = read(policy, scope, "direction") != "egress" and read(policy, scope, "protocol") in (None, "tcp")
        if not wanted or first is None or last is None or points.isdisjoint(scope.members(policy)):
            continue
        for port in range(max(first, 1), last + 1) if last - first < _PORTS_MAX else ():
            if port not in seen:
                seen.add(port)
                yield port


# state
def _mounts(template: Template, scope: Scope) -> Iterator[Mount]:
    for requirement in template.requirements:
        target = scope.template(requirement.target)
        if target is not None and is_storage(target) and image_of(target, scope) is None:
            yield Mount(target.name, _location(requirement, target, scope))


def _location(requirement: Requirement, storage: Template, scope: Scope) -> str:
    """SOL001 has no word for it: a relationship that has one, the storage's metadata, or a place of its name."""
    said = scope.known(read(requirement.relationship, scope, "location")) or storage.metadata.get("location")
    return said if isinstance(said, str) else f"/var/lib/{storage.name}"


def moving_volume(template: Template, scope: Scope) -> Iterator[Item]:
    """The volume of a VDU that moves; the one that it boots from is part of its machine."""
    if image_of(template, scope) is None:
        yield Volume(template.name, volume_size(template, scope), template.origin)
