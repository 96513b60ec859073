"""What the elements of a data centre are in a stack: Nova, Cinder, Swift, Neutron, Octavia and Heat's own software.

Every Heat from 2018 on takes these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil

from meghdwar.compiler import rules
from meghdwar.compiler.targets import choices, ports, scaling
from meghdwar.compiler.targets.build import GIB, Build, Row, Rows
from meghdwar.compiler.targets.hot import Data, protect
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import (
    EXPRESSIONS,
    Attachment,
    BlockStorage,
    FloatingAddress,
    LoadBalancer,
    Network,
    ObjectStorage,
    Placement,
    Port,
    Server,
    ServerScaling,
    Software,
    Value,
)

Path = tuple[str | int, ...]


# servers
def server(element: Server, build: Build) -> Iterator[Diagnostic]:
    wiring, name = build.wiring, element.name
    software = name in wiring.software
    properties: dict[str, Data] = {
        "flavor": choices.flavor(element, build),
        "image": None if element.boot_volume else choices.image(element, build),
        "key_name": build.value(element.key_name),
        "availability_zone": build.value(element.zone),
        "networks": [*networks(element, build)] or None,
        "metadata": protect({**scaling.mark(build), **fields(element.metadata, build)}) or None,
        "scheduler_hints": hints(element, build),
        "block_device_mapping_v2": boot_devices(element, build),
        "user_data_format": "SOFTWARE_CONFIG" if software else "RAW" if element.user_data is not None else None,
        "software_config_transport": "POLL_SERVER_HEAT" if software else None,
        "user_data": build.value(element.user_data),
    }
    build.stack.resource(build.names[name], "OS::Nova::Server", properties, element.origin, f"the server {name}")
    for balancer in wiring.balancers.get(name, ()):
        member(balancer, element, build)
    yield from choices.fixed(element, build)


def networks(element: Server, build: Build) -> Iterator[Data]:
    """The ports of a server in their order, then the networks that it names. A floating address wants a port."""
    ports = build.wiring.ports.get(element.name, ())
    for port_ in ports:
        yield {"port": build.reference(port_.name)}
    for index, named in enumerate(element.networks):
        if index == 0 and not ports and element.name in build.wiring.floating:
            yield {"port": {"get_resource": own_port(element, build)}}
        else:
            yield {"network": outside_network(named, build)}
    if not ports and not element.networks and element.name in build.wiring.floating:
        yield {"port": {"get_resource": own_port(element, build)}}


def own_port(element: Server, build: Build) -> str:
    """A port for a server that has none, so that a floating address can stand on it."""
    name = build.part(element.name, "port")
    if name not in build.stack.resources:
        network_ = outside_network(element.networks[0], build) if element.networks else private_network(build)
        build.stack.resource(
            name,
            "OS::Neutron::Port",
            {"network": network_},
            element.origin,
            f"a port for the address of {element.name}",
        )
    return name


def hints(element: Server, build: Build) -> Data:
    groups = build.wiring.placements.get(element.name, ())
    return {"group": build.reference(groups[0].name)} if groups else None


def boot_devices(element: Server, build: Build) -> Data:
    if element.boot_volume is None:
        return None
    return [{"volume_id": build.reference(element.boot_volume), "boot_index": 0, "delete_on_termination": False}]


def server_attribute(element: Server, path: Path, build: Build) -> Data:
    here = build.names[element.name]
    match path:
        case ("private_address",) | (_, "ip_address"):
            ports = build.wiring.ports.get(element.name, ())
            if ports:
                return {"get_attr": [build.names[ports[0].name], "fixed_ips", 0, "ip_address"]}
            if element.name in build.wiring.floating:
                return {"get_attr": [own_port(element, build), "fixed_ips", 0, "ip_address"]}
            return {"get_attr": [here, "first_address"]}
        case ("public_address",):
            names = [element.name, *(port_.name for port_ in build.wiring.ports.get(element.name, ()))]
            addresses = [address for name in names for address in build.wiring.floating.get(name, ())]
            if addresses:
                return {"get_attr": [build.names[addresses[0].name], "floating_ip_address"]}
            return server_attribute(element, ("private_address",), build)
        case ("networks",):
            return {"get_attr": [here, "networks"]}
        case ("networks", network_, "addresses", *rest):
            return {"get_attr": [here, "networks", network_, *rest]}
        case ("tosca_id",) | ("id",):
            return {"get_resource": here}
        case ("name",) | ("hostname",):
            return {"get_attr": [here, "name"]}
    return None


# storage
def block_storage(element: BlockStorage, build: Build) -> Iterable[Diagnostic]:
    if element.existing is not None:
        return ()
    properties: dict[str, Data] = {
        "size": gib(element.size_bytes, build),
        "snapshot_id": build.value(element.snapshot),
        "image": build.value(element.image),
        "volume_type": build.value(element.volume_type),
        "metadata": build.value(element.metadata) or None,
    }
    if properties["size"] is None and element.snapshot is None:
        properties["size"] = 1
    name = element.name
    build.stack.resource(build.names[name], "OS::Cinder::Volume", properties, element.origin, f"the volume {name}")
    return ()


def gib(size: Value, build: Build) -> Data:
    """A size in whole GiB, as Cinder counts."""
    if build.counts_gib(size):
        return build.value(size)
    known = build.known_bytes(size)
    return max(ceil(known / GIB), 1) if known is not None else build.value(size)


def storage_reference(element: BlockStorage, build: Build) -> Data:
    return (
        build.value(element.existing) if element.existing is not None else {"get_resource": build.names[element.name]}
    )


def storage_attribute(element: BlockStorage, path: Path, build: Build) -> Data:
    match path:
        case ("volume_id",) | ("tosca_id",) | ("id",):
            return build.reference(element.name)
        case ("size",) if element.existing is None:
            return {"get_attr": [build.names[element.name], "size"]}
    return None


def attachment(element: Attachment, build: Build) -> Iterable[Diagnostic]:
    """The place of a device is Nova's to know; a place in the file system is for whoever mounts it."""
    properties: dict[str, Data] = {
        "instance_uuid": build.reference(element.server),
        "volume_id": build.reference(element.storage),
    }
    metadata: dict[str, Data] = {}
    place = element.device if element.device is not None else element.location
    if isinstance(element.device, EXPRESSIONS) or (isinstance(place, str) and place.startswith("/dev/")):
        properties["mountpoint"] = build.value(place)
    if element.location is not None:
        metadata["location"] = build.value(element.location)
    build.stack.resource(
        build.names[element.name],
        "OS::Cinder::VolumeAttachment",
        properties,
        element.origin,
        f"{element.storage} at {element.server}",
        metadata=metadata,
    )
    return ()


def object_storage(element: ObjectStorage, build: Build) -> Iterable[Diagnostic]:
    size = build.known_bytes(element.size_max_bytes)
    headers: dict[str, Data] = {"Quota-Bytes": str(size)} if size is not None else {}
    properties: dict[str, Data] = {
        "name": build.value(element.container),
        "X-Container-Meta": protect({**headers, **fields(element.metadata, build)}) or None,
    }
    name = element.name
    build.stack.resource(build.names[name], "OS::Swift::Container", properties, element.origin, f"the container {name}")
    return ()


def object_storage_attribute(element: ObjectStorage, path: Path, build: Build) -> Data:
    here = build.names[element.name]
    match path:
        case ("tosca_id",) | ("id",):
            return {"get_resource": here}
        case ("endpoint",) | ("url",):
            return {"get_attr": [here, "WebsiteURL"]}
    return None


# networks
def network(element: Network, build: Build) -> Iterable[Diagnostic]:
    if element.existing is not None:
        return ()
    specs = {
        "provider:network_type": build.value(element.network_type),
        "provider:physical_network": build.value(element.physical_network),
        "provider:segmentation_id": build.value(element.segmentation_id),
        "mtu": build.value(element.mtu),
    }
    properties: dict[str, Data] = {
        "name": build.value(element.label),
        "value_specs": {key: value for key, value in specs.items() if value is not None} or None,
    }
    here, name = build.names[element.name], element.name
    build.stack.resource(here, "OS::Neutron::Net", properties, element.origin, f"the network {name}")
    if element.cidr is not None:
        build.stack.resource(
            build.part(name, "subnet"),
            "OS::Neutron::Subnet",
            {
                "network": {"get_resource": here},
                "cidr": build.value(element.cidr),
                "ip_version": version(element.ip_version, build),
                "gateway_ip": build.value(element.gateway_address),
                "enable_dhcp": build.value(element.dhcp),
                "allocation_pools": pools(element, build),
            },
            element.origin,
            f"the addresses of the network {name}",
        )
    return ()


def version(value: Value, build: Build) -> Data:
    return value if value in (4, 6) else None if build.known(value) in (None, 4) else build.value(value)


def pools(element: Network, build: Build) -> Data:
    if element.start_address is None or element.end_address is None:
        return None
    return [{"start": build.value(element.start_address), "end": build.value(element.end_address)}]


def network_reference(element: Network, build: Build) -> Data:
    return (
        outside_network(element.existing, build)
        if element.existing is not None
        else {"get_resource": build.names[element.name]}
    )


def outside_network(named: Value, build: Build) -> Data:
    """A network that is there already; the words PUBLIC and PRIVATE stand for whichever those are in the cloud."""
    if named == "PRIVATE":
        return private_network(build)
    if named == "PUBLIC":
        return public_network(build)
    return build.value(named)


def private_network(build: Build) -> Data:
    return build.parameter(
        "private_network", description="The network for servers.", default="private", constraints=ports.NETWORK
    )


def public_network(build: Build) -> Data:
    return build.parameter(
        "public_network", description="The network for floating addresses.", default="public", constraints=ports.NETWORK
    )


def network_attribute(element: Network, path: Path, build: Build) -> Data:
    match path:
        case ("network_id",) | ("tosca_id",) | ("id",):
            return build.reference(element.name)
        case ("network_name",) | ("name",):
            return (
                build.reference(element.name)
                if element.existing is not None
                else {"get_attr": [build.names[element.name], "name"]}
            )
        case ("segmentation_id",):
            return build.value(element.segmentation_id)
    return None


def port(element: Port, build: Build) -> Iterator[Diagnostic]:
    """A port; one that nothing links to a network asks for it when the stack is created."""
    name = element.name
    address: Data = [{"ip_address": build.value(element.address)}] if element.address is not None else None
    if address is not None and build.unit is not None:
        address = None
        yield Diagnostic(
            rules.ADDRESS_SHARED,
            element.origin,
            f"the address of {name!r} is left out: the servers of {build.unit!r} cannot share it",
            "let the network give the addresses",
        )
    properties: dict[str, Data] = {
        "network": ports.network(element, build),
        "fixed_ips": address,
        "mac_address": build.value(element.mac_address) if build.unit is None else None,
        "binding:vnic_type": build.value(element.vnic_type),
        "port_security_enabled": False if element.security is False else None,
        "security_groups": build.value(element.security) if isinstance(element.security, tuple) else None,
    }
    if element.rules:
        properties["security_groups"] = [{"get_resource": ports.guard(element, build)}]
    after = (build.part(element.network, "subnet"),) if element.network and element.network in build.elements else ()
    build.stack.resource(
        build.names[name], "OS::Neutron::Port", properties, element.origin, f"the port {name}", depends_on=after
    )


def port_attribute(element: Port, path: Path, build: Build) -> Data:
    here = build.names[element.name]
    match path:
        case ("ip_address",):
            return {"get_attr": [here, "fixed_ips", 0, "ip_address"]}
        case ("mac_address",):
            return {"get_attr": [here, "mac_address"]}
        case ("tosca_id",) | ("id",) | ("port_id",):
            return {"get_resource": here}
    return None


def floating_address(element: FloatingAddress, build: Build) -> Iterable[Diagnostic]:
    """A floating address on a port, and the router that leads to it when the port's network is ours."""
    outside = public_network(build) if element.network is None else outside_network(element.network, build)
    where: Data = None
    after: tuple[str, ...] = ()
    port_ = build.elements.get(element.port or "")
    if element.server is not None and not isinstance(port_, Port):
        ports = build.wiring.ports.get(element.server, ())
        port_ = ports[0] if ports else None
        server_ = build.elements.get(element.server)
        if port_ is None and isinstance(server_, Server):
            where = {"get_resource": own_port(server_, build)}
    if isinstance(port_, Port):
        where = build.reference(port_.name)
        after = router(port_, element, outside, build)
    build.stack.resource(
        build.names[element.name],
        "OS::Neutron::FloatingIP",
        {"floating_network": outside, "port_id": where, "floating_ip_address": build.value(element.address)},
        element.origin,
        f"the floating address {element.name}",
        depends_on=after,
    )
    return ()


def router(port_: Port, element: FloatingAddress, outside: Data, build: Build) -> tuple[str, ...]:
    """The way from a network of ours to the outside, made once for each."""
    inside = build.elements.get(port_.network or "")
    if not isinstance(inside, Network) or inside.existing is not None or inside.cidr is None:
        return ()
    name, interface = build.part(inside.name, "router"), build.part(inside.name, "router_interface")
    if name not in build.stack.resources:
        reason = f"floating addresses reach the network {inside.name} through it"
        gateway: dict[str, Data] = {"external_gateway_info": {"network": outside}}
        build.stack.resource(name, "OS::Neutron::Router", gateway, element.origin, reason)
        build.stack.resource(
            interface,
            "OS::Neutron::RouterInterface",
            {"router": {"get_resource": name}, "subnet": {"get_resource": build.part(inside.name, "subnet")}},
            element.origin,
            reason,
        )
    return (interface,)


def floating_attribute(element: FloatingAddress, path: Path, build: Build) -> Data:
    here = build.names[element.name]
    match path:
        case ("floating_ip_address",) | ("ip_address",) | ("public_address",):
            return {"get_attr": [here, "floating_ip_address"]}
        case ("tosca_id",) | ("id",):
            return {"get_resource": here}
    return None


# load balancers
_ALGORITHMS = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT")
_PROTOCOLS = ("HTTP", "HTTPS", "TCP", "UDP", "SCTP")


def load_balancer(element: LoadBalancer, build: Build) -> Iterable[Diagnostic]:
    """A load balancer with one listener and one pool; each server adds itself to the pool."""
    name, here = element.name, build.names[element.name]
    protocol = element.protocol if element.protocol in _PROTOCOLS else "TCP"
    algorithm = str(element.algorithm).upper().replace("-", "_").replace(" ", "_")
    listener = build.part(name, "listener")
    stack, origin = build.stack, element.origin
    stack.resource(
        here,
        "OS::Octavia::LoadBalancer",
        {"vip_subnet": balancer_subnet(element, build)},
        origin,
        f"the load balancer {name}",
    )
    stack.resource(
        listener,
        "OS::Octavia::Listener",
        {"loadbalancer": {"get_resource": here}, "protocol": protocol, "protocol_port": build.value(element.port)},
        origin,
        f"the port at which {name} is reached",
    )
    stack.resource(
        build.part(name, "pool"),
        "OS::Octavia::Pool",
        {
            "listener": {"get_resource": listener},
            "protocol": protocol,
            "lb_algorithm": algorithm if algorithm in _ALGORITHMS else "ROUND_ROBIN",
        },
        origin,
        f"the servers behind {name}",
    )
    return ()


def balancer_subnet(element: LoadBalancer, build: Build) -> Data:
    """The subnet of its own network, else that of the first server behind it, else one that is asked for."""
    ports = (port_.network for name in element.members for port_ in build.wiring.ports.get(name, ()))
    name = element.network or next((name for name in ports if name is not None), None)
    network_ = build.elements.get(name or "")
    if isinstance(network_, Network) and network_.existing is None and network_.cidr is not None:
        return {"get_resource": build.part(network_.name, "subnet")}
    return build.parameter(
        f"{element.name}_subnet",
        description=f"The subnet for the address of {element.name}.",
        constraints=[{"custom_constraint": "neutron.subnet"}],
    )


def member(element: LoadBalancer, behind: Server, build: Build) -> None:
    """A server in the pool of a load balancer, which may stand in the template round this one."""
    if build.outer is not None:
        pool = build.handed(f"{element.name}_pool", {"get_resource": build.outer.part(element.name, "pool")})
    else:
        pool = {"get_resource": build.part(element.name, "pool")}
    build.stack.resource(
        build.part(f"{element.name}_{behind.name}", "member"),
        "OS::Octavia::PoolMember",
        {
            "pool": pool,
            "address": server_attribute(behind, ("private_address",), build),
            "protocol_port": build.value(element.member_port),
        },
        element.origin,
        f"{behind.name} behind {element.name}",
    )


def balancer_attribute(element: LoadBalancer, path: Path, build: Build) -> Data:
    here = build.names[element.name]
    match path:
        case ("private_address",) | ("public_address",) | ("vip_address",) | (_, "ip_address"):
            return {"get_attr": [here, "vip_address"]}
        case ("tosca_id",) | ("id",):
            return {"get_resource": here}
    return None


# software
def software(element: Software, build: Build) -> Iterable[Diagnostic]:
    """A script as a config that servers share, and its run on one server as a deployment."""
    key = f"{element.component}_{element.action}"
    config = build.part(key, "config")
    if config not in build.stack.resources:
        if "://" not in element.script:
            build.stack.files[element.script] = element.script
        build.stack.resource(
            config,
            "OS::Heat::SoftwareConfig",
            {
                "group": element.group,
                "config": {"get_file": element.script},
                "inputs": [_input(name, value) for name, value in element.inputs.items()] or None,
                "outputs": [{"name": name} for name in element.outputs] or None,
            },
            element.origin,
            f"the script that {element.action}s {element.component}",
        )
    leaving = element.action in ("delete", "stop")
    build.stack.resource(
        build.names[element.name],
        "OS::Heat::SoftwareDeployment",
        {
            "config": {"get_resource": config},
            "server": build.reference(element.server),
            "input_values": build.value(element.inputs) or None,
            "actions": ["DELETE"] if leaving else None,
        },
        element.origin,
        f"{element.action} of {element.component} on {element.server}",
        depends_on=[build.after(name) for name in element.after],
    )
    return ()


def _input(name: str, value: Value) -> Data:
    return {"name": name, "type": "Json"} if isinstance(value, Mapping | tuple) else {"name": name}


def software_attribute(element: Software, path: Path, build: Build) -> Data:
    if path and path[0] in element.outputs:
        return {"get_attr": [build.names[element.name], *path]}
    return None


# placement
def placement(element: Placement, build: Build) -> Iterable[Diagnostic]:
    name = element.name
    build.stack.resource(
        build.names[name], "OS::Nova::ServerGroup", {"policies": [element.kind]}, element.origin, f"the policy {name}"
    )
    return ()


def fields(values: Mapping[str, Value], build: Build) -> dict[str, Data]:
    return {name: build.value(value) for name, value in values.items()}


ROWS: Rows = {
    Server: Row(server, server_attribute),
    BlockStorage: Row(block_storage, storage_attribute, storage_reference),
    Attachment: Row(attachment),
    ObjectStorage: Row(object_storage, object_storage_attribute),
    Network: Row(network, network_attribute, network_reference),
    Port: Row(port, port_attribute),
    FloatingAddress: Row(floating_address, floating_attribute),
    LoadBalancer: Row(load_balancer, balancer_attribute),
    Software: Row(software, software_attribute),
    Placement: Row(placement),
    ServerScaling: Row(scaling.group, scaling.group_attribute),
}

SENLIN_ROWS: Rows = {**ROWS, ServerScaling: Row(scaling.cluster, scaling.cluster_attribute)}
"""The same where the cluster manager scales what asks for it."""
