"""The node and policy types of ETSI SOL001 as elements of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from meghdwar.compiler.known import at, number
from meghdwar.compiler.lower.policies import left_out
from meghdwar.compiler.lower.scope import Item, Scope, is_server, is_storage
from meghdwar.compiler.lower.software import steps
from meghdwar.compiler.lower.standard import attachments, image_of, port, read, scalable, size
from meghdwar.compiler.topology import Policy, Template
from meghdwar.model import (
    Attachment,
    BlockStorage,
    Network,
    ObjectStorage,
    Port,
    Server,
    ServerScaling,
    Value,
)


# nodes
def vdu(template: Template, scope: Scope) -> Iterator[Item]:
    """A VDU boots from its software image, or else from the first of its volumes that holds one."""
    compute = template.capabilities.get("virtual_compute")
    wanted = read(compute, scope, "requested_additional_capabilities")
    image = _image(template, scope)
    boot = None if image is not None else _boot_volume(template, scope)
    yield Server(
        name=template.name,
        origin=template.origin,
        image=image,
        flavor=_flavor(wanted),
        cpus=at(read(compute, scope, "virtual_cpu"), ("num_virtual_cpu",)),
        memory_bytes=size(at(read(compute, scope, "virtual_memory"), ("virtual_mem_size",))),
        disk_bytes=size(_local_disk(read(compute, scope, "virtual_local_storage"))),
        architecture=at(read(compute, scope, "virtual_cpu"), ("cpu_architecture",)),
        user_data=at(read(template, scope, "boot_data"), ("content_or_file_data", "content")),
        boot_volume=boot,
    )
    for item in attachments(template, scope):
        if not (isinstance(item, Attachment) and item.storage == boot):
            yield item
    yield from scalable(template, scope)
    yield from steps(template, scope)


def _image(template: Template, scope: Scope) -> Value:
    named = at(read(template, scope, "sw_image_data"), ("name",))
    if named is not None:
        return named
    if any(a.type is not None and a.type.is_a("tosca.artifacts.nfv.SwImage") for a in template.artifacts.values()):
        return next(a.name for a in template.artifacts.values() if a.type is not None)
    return image_of(template)


def _boot_volume(template: Template, scope: Scope) -> str | None:
    for requirement in template.requirements:
        target = scope.template(requirement.target)
        if target is not None and is_storage(target) and _image(target, scope) is not None:
            return target.name
    return None


def _flavor(wanted: Value) -> Value:
    """A flavor by name, which descriptors ask for as an additional capability that has to be there."""
    for entry in wanted.values() if isinstance(wanted, Mapping) else ():
        name = at(entry, ("requested_additional_capability_name",))
        if name is not None and at(entry, ("support_mandatory",)) is True:
            return name
    return None


def _local_disk(value: Value) -> Value:
    return at(value, (0, "size_of_storage")) if isinstance(value, tuple) else at(value, ("size_of_storage",))


def storage(template: Template, scope: Scope) -> Iterator[Item]:
    data = read(template, scope, "virtual_block_storage_data")
    yield BlockStorage(
        name=template.name,
        origin=template.origin,
        size_bytes=size(at(data, ("size_of_storage",))),
        image=_image(template, scope),
    )


def object_storage(template: Template, scope: Scope) -> Iterator[Item]:
    data = read(template, scope, "virtual_object_storage_data")
    yield ObjectStorage(
        name=template.name, origin=template.origin, size_max_bytes=size(at(data, ("max_size_of_storage",)))
    )


def connection_point(template: Template, scope: Scope) -> Iterator[Item]:
    for item in port(template, scope):
        asked = read(template, scope, "virtual_network_interface_requirements")
        if isinstance(item, Port) and item.vnic_type is None and isinstance(asked, tuple):
            kinds = (at(entry, ("network_interface_requirements", "vnic_type")) for entry in asked)
            yield replace(item, vnic_type=next((kind for kind in kinds if kind is not None), None))
        else:
            yield item


def virtual_link(template: Template, scope: Scope) -> Iterator[Item]:
    """A network of the VNF's own; its first layer 3 protocol makes the subnet."""
    protocols = at(read(template, scope, "vl_profile"), ("virtual_link_protocol_data",))
    listed = protocols if isinstance(protocols, tuple) else ()
    l2 = next((found for p in listed if (found := at(p, ("l2_protocol_data",))) is not None), None)
    l3 = next((found for p in listed if (found := at(p, ("l3_protocol_data",))) is not None), None)
    version = at(l3, ("ip_version",))
    yield Network(
        name=template.name,
        origin=template.origin,
        label=at(l2, ("name",)) or at(l3, ("name",)),
        ip_version=6 if version == "ipv6" else 4,
        cidr=at(l3, ("cidr",)),
        start_address=at(l3, ("ip_allocation_pools", 0, "start_ip_address")),
        end_address=at(l3, ("ip_allocation_pools", 0, "end_ip_address")),
        gateway_address=at(l3, ("gateway_ip",)),
        dhcp=at(l3, ("dhcp_enabled",)) is not False,
        network_type=at(l2, ("network_type",)),
        physical_network=at(l2, ("physical_network",)),
        segmentation_id=at(l2, ("segmentation_id",)),
    )


# policies
def initial_delta(policy: Policy, scope: Scope) -> Iterator[Item]:
    """How many of a VDU there are, for the VDUs that no aspect scales."""
    scaled = {name for p in scope.policies("tosca.policies.nfv.VduScalingAspectDeltas") for name in scope.members(p)}
    instances = number(scope.known(at(read(policy, scope, "initial_delta"), ("number_of_instances",))))
    for name in _vdus(policy, scope):
        if name not in scaled and instances is not None and instances != 1:
            yield ServerScaling(
                name=scope.unused(f"{name}_scaling"),
                members=(name,),
                origin=policy.origin,
                minimum=instances,
                maximum=instances,
                default=instances,
            )


def scaling(policy: Policy, scope: Scope) -> Iterator[Item]:
    """A VDU between its first delta and the last level of its aspect; it starts at the default level."""
    aspect = read(policy, scope, "aspect")
    deltas = read(policy, scope, "deltas")
    found = [at(read(p, scope, "aspects"), (str(aspect),)) for p in scope.policies("tosca.policies.nfv.ScalingAspects")]
    said = next((entry for entry in found if entry is not None), None)
    levels = number(at(said, ("max_scale_level",))) or 1
    order = at(said, ("step_deltas",))
    amounts = {key: number(at(entry, ("number_of_instances",))) or 0 for key, entry in _map(deltas).items()}
    listed = [amounts[str(key)] for key in order if str(key) in amounts] if isinstance(order, tuple) else []
    listed = listed or list(amounts.values())
    if not listed:
        yield left_out(policy, "it says by how much only in deltas that do not exist")
        return
    steps_ = [listed[min(level, len(listed) - 1)] for level in range(min(levels, 1000))]
    for name in _vdus(policy, scope):
        first = _initial(name, scope)
        highest = first + sum(steps_)
        level = _default_level(name, scope)
        yield ServerScaling(
            name=scope.unused(f"{name}_scaling"),
            members=(name,),
            origin=policy.origin,
            minimum=first,
            maximum=max(highest, first),
            default=min(max(level if level is not None else first, first), max(highest, first)),
            step=max(steps_[0], 1),
        )


def _map(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _vdus(policy: Policy, scope: Scope) -> Iterator[str]:
    return (name for name in scope.members(policy) if is_server(scope.topology.templates[name]))


def _initial(name: str, scope: Scope) -> int:
    for policy in scope.policies("tosca.policies.nfv.VduInitialDelta"):
        if name in scope.members(policy):
            found = number(scope.known(at(read(policy, scope, "initial_delta"), ("number_of_instances",))))
            return found if found is not None else 1
    return 1


def _default_level(name: str, scope: Scope) -> int | None:
    """How many of a VDU the default instantiation level wants."""
    named = [read(p, scope, "default_level") for p in scope.policies("tosca.policies.nfv.InstantiationLevels")]
    default = next((entry for entry in named if entry is not None), None)
    for policy in scope.policies("tosca.policies.nfv.VduInstantiationLevels"):
        if default is not None and name in scope.members(policy):
            return number(at(read(policy, scope, "levels"), (str(default), "number_of_instances")))
    return None
