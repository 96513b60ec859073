"""The node types of ETSI SOL001 and MEC 037 as elements of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from meghdwar.compiler import rules
from meghdwar.compiler.known import at
from meghdwar.compiler.lower.moving_vdu import moving_machine, moving_volume
from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.lower.software import steps
from meghdwar.compiler.lower.sol001 import boot_volume, image_of, local_disk, volume_size
from meghdwar.compiler.lower.standard import attachments, port, read, scalable, size, strings
from meghdwar.compiler.topology import Template
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Attachment, BlockStorage, Network, ObjectStorage, Port, SecurityRule, Server, Value


# nodes
def vdu(template: Template, scope: Scope) -> Iterator[Item]:
    """A VDU boots from its software image, or else from the first of its volumes that holds one."""
    if template.name in scope.moving:
        yield moving_machine(template, scope)
        return
    compute = template.capabilities.get("virtual_compute")
    said = read(template, scope, "boot_data")  # text to 2.6.1, then data of several kinds
    wanted = read(compute, scope, "requested_additional_capabilities")
    image = image_of(template, scope)
    boot = None if image is not None else boot_volume(template, scope)
    yield Server(
        name=template.name,
        origin=template.origin,
        image=image,
        flavor=_flavor(wanted),
        cpus=at(read(compute, scope, "virtual_cpu"), ("num_virtual_cpu",)),
        memory_bytes=size(at(read(compute, scope, "virtual_memory"), ("virtual_mem_size",))),
        disk_bytes=size(local_disk(compute, scope)),
        architecture=at(read(compute, scope, "virtual_cpu"), ("cpu_architecture",)),
        user_data=said if isinstance(said, str) else at(said, ("content_or_file_data", "content")),
        metadata=strings(at(said, ("kvp_data", "data"))),
        boot_volume=boot,
    )
    for item in attachments(template, scope):
        if not (isinstance(item, Attachment) and item.storage == boot):
            yield item
    yield from scalable(template, scope)
    yield from steps(template, scope)


def _flavor(wanted: Value) -> Value:
    """A flavor by name, which descriptors ask for as an additional capability that has to be there."""
    for entry in wanted.values() if isinstance(wanted, Mapping) else ():
        name = at(entry, ("requested_additional_capability_name",))
        if name is not None and at(entry, ("support_mandatory",)) is True:
            return name
    return None


def storage(template: Template, scope: Scope) -> Iterator[Item]:
    """A volume of the stack, or state that goes with what moves."""
    if scope.serves_moving(template.name):
        yield from moving_volume(template, scope)
        return
    yield BlockStorage(
        name=template.name,
        origin=template.origin,
        size_bytes=volume_size(template, scope),
        image=image_of(template, scope),
    )


def object_storage(template: Template, scope: Scope) -> Iterator[Item]:
    data = read(template, scope, "virtual_object_storage_data")
    yield ObjectStorage(
        name=template.name, origin=template.origin, size_max_bytes=size(at(data, ("max_size_of_storage",)))
    )


def connection_point(template: Template, scope: Scope) -> Iterator[Item]:
    """A port; what moves is reached through its gateways and has none."""
    if any(requirement.target in scope.moving for requirement in template.requirements):
        return
    for item in port(template, scope):
        if not isinstance(item, Port):
            yield item
            continue
        asked = read(template, scope, "virtual_network_interface_requirements")
        listed = asked if isinstance(asked, tuple) else ()
        kinds = (at(entry, ("network_interface_requirements", "vnic_type")) for entry in listed)
        vnic_type = item.vnic_type or next((kind for kind in kinds if kind is not None), None)
        yield replace(item, vnic_type=vnic_type, rules=tuple(_security_rules(template.name, scope)))


def _security_rules(name: str, scope: Scope) -> Iterator[SecurityRule]:
    for policy in scope.policies("tosca.policies.nfv.SecurityGroupRule"):
        if name in scope.members(policy):
            yield SecurityRule(
                direction=read(policy, scope, "direction") or "ingress",
                ether_type=read(policy, scope, "ether_type") or "ipv4",
                protocol=read(policy, scope, "protocol") or "tcp",
                port_min=read(policy, scope, "port_range_min"),
                port_max=read(policy, scope, "port_range_max"),
            )


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


# what a MEC platform does
_PLATFORM = (
    "app_service_required", "app_feature_required", "transport_dependencies", "app_traffic_rule", "app_dns_rule",
    "app_latency", "app_network_policy",
)  # fmt: skip


def mec_application(template: Template, scope: Scope) -> Iterator[Item]:
    """The frame of a MEC application (MEC 037); what it wants of the platform round it is no part of a stack."""
    wanted = [name for name in _PLATFORM if read(template, scope, name)]
    if wanted:
        yield Diagnostic(
            rules.LEFT_TO_PLATFORM,
            template.place(wanted[0]),
            f"{template.name!r} wants what the stack does not give: {', '.join(wanted)}",
            "see to it at the MEC platform that it runs beside",
        )
