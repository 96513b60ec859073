"""What the edge becomes in a stack whatever makes the gateways: where cloudlets are, and their state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from meghdwar.bundle import EDGE, Plan, Step
from meghdwar.compiler.site import Site
from meghdwar.compiler.targets import cloud_init, heat, hot
from meghdwar.compiler.targets.build import GIB, Build
from meghdwar.compiler.targets.hot import Data
from meghdwar.compiler.targets.releases import Release
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import (
    Application,
    Cloudlet,
    Cluster,
    Gateway,
    Network,
    Parameter,
    Receiver,
    Value,
    Volume,
    expressions,
    renamed,
)

NAMES_MAX = 5000  # of gateways in the parameters of cloudlets; more would fill the template with them

# A policy has to be bound before the nodes come that it should place or watch; a lower limit only after them.
ORDER = (
    "give-certificate", "bind-policy", "create-node", "make-volume", "set-limits", "set-parameter", "delete-policy",
)  # fmt: skip


@dataclass(slots=True)
class Edge:
    """The edge of an application on its way into a stack. `made` and `complete` grow into the plan.

    `knows_servers`: the stack itself can say which server a gateway is, so that state follows `<cloudlet>_at`
    alone; otherwise the driver says it.
    """

    application: Application
    target: str
    release: Release
    knows_servers: bool
    site: Site
    parameters: Mapping[str, str]  # of cloudlets: <cloudlet>_at -> the name of the parameter
    made: dict[str, dict[str, str]] = field(default_factory=dict)
    complete: list[Step] = field(default_factory=list)
    names_gateways: bool = True  # each parameter lists the gateways that it may name
    starts: dict[str, str] = field(default_factory=dict)  # hypervisor -> what its gateways do at their first start

    @classmethod
    def of(cls, application: Application, target: str, release: Release, knows_servers: bool) -> Edge:
        site = Site.of(application.elements)
        names = sum(len(site.reach(cloudlet)) for cloudlet in site.cloudlets.values())
        return cls(
            application,
            target,
            release,
            knows_servers,
            site,
            _parameters(application),
            names_gateways=names <= NAMES_MAX,
        )

    def became(self, name: str, **parts: str) -> None:
        self.made.setdefault(name, {}).update(parts)

    def left(self, act: str, when: str, resource: str, reason: str, **arguments: object) -> None:
        """Something that is left for the driver."""
        self.complete.append(Step(act, when, resource, reason, cast("Mapping[str, Value]", arguments)))

    def plan(self) -> Plan:
        items = tuple(element for element in self.application.elements if isinstance(element, EDGE))
        names = hot.parameter_names(input_.name for input_ in self.application.inputs)
        if any(name != known for name, known in names.items()):  # the driver asks the stack, not the descriptor
            items = renamed(items, names)
        steps = sorted(self.complete, key=lambda step: ORDER.index(step.act))
        sizes = {names[input_.name]: input_.unit for input_ in self.application.inputs if input_.unit == "GiB"}
        asked = {e.name for e in expressions(items) if isinstance(e, Parameter)} if sizes else set()
        units = {name: unit for name, unit in sizes.items() if name in asked}
        return Plan(self.application.name, self.target, self.release.name, items, self.made, tuple(steps), units)


def _parameters(application: Application) -> dict[str, str]:
    """The parameters of the cloudlets. Heat refuses one that has the name of a resource."""
    taken = {hot.parameter_name(input_.name) for input_ in application.inputs}
    taken |= {hot.resource_name(element.name) for element in application.elements}
    result = {}
    for wanted in (f"{c.name}{suffix}" for c in application.each(Cloudlet) for suffix in ("_at", "_server")):
        name = hot.parameter_name(wanted)
        while name in taken:
            name += "_"
        result[wanted] = name
        taken.add(name)
    return result


# gateways
def server_properties(edge: Edge, gateway: Gateway, build: Build) -> dict[str, Data]:
    """A gateway as OS::Nova::Server."""
    user_data_ = user_data(edge, gateway, build)
    return {
        "name": gateway.name,
        "flavor": build.value(gateway.flavor),
        "image": build.value(gateway.image),
        "key_name": build.value(gateway.key_name),
        "availability_zone": build.value(gateway.zone),
        "networks": networks(gateway, build),
        "user_data_format": "RAW",
        "user_data": user_data_,
        "user_data_update_policy": None if user_data_ is None else "IGNORE",  # a gateway in use is not made anew for it
        "metadata": metadata(gateway, build),
    }


def metadata(gateway: Gateway, build: Build) -> Data:
    return {**{key: build.value(value) for key, value in gateway.metadata.items()}, "meghdwar_gateway": gateway.name}


def networks(gateway: Gateway, build: Build) -> Data:
    """Its networks by name or id; one that the same descriptor makes is that resource."""
    found: list[Data] = []
    for network in gateway.networks:
        own = isinstance(network, str) and isinstance(build.elements.get(network), Network)
        found.append({"network": build.reference(cast(str, network)) if own else heat.outside_network(network, build)})
    return found or None


def subnets(gateway: Gateway, build: Build) -> list[str]:
    """What has to be there before the gateway is, where Heat does not see to it: the addresses of its networks."""
    own = (n for n in gateway.networks if isinstance(n, str) and isinstance(build.elements.get(n), Network))
    return [build.part(network, "subnet") for network in own]


def user_data(edge: Edge, gateway: Gateway, build: Build) -> Data:
    """What turns the machine into a gateway. Gateways with the same hypervisor share it."""
    parameter = cloud_init.PARAMETERS.get(gateway.hypervisor)
    if parameter is None:
        return None
    if gateway.hypervisor not in edge.starts:
        given = cast(
            "dict[str, str]", build.parameter(parameter, default="", description=cloud_init.DESCRIPTIONS[parameter])
        )
        why = "without it the gateways let nobody in but who logs in"
        edge.left("give-certificate", "create", given["get_param"], why)
        edge.starts[gateway.hypervisor] = build.stack.resource(
            build.part(gateway.hypervisor, "gateway"),
            "OS::Heat::SoftwareConfig",
            {"group": "ungrouped", "config": cloud_init.config(gateway.hypervisor, {**given})},
            gateway.origin,
            f"what a machine does at its first start to become a gateway with {gateway.hypervisor}",
        )
    return {"get_attr": [edge.starts[gateway.hypervisor], "config"]}


def add_servers(edge: Edge, cluster: Cluster, build: Build) -> None:
    """One value that says which server each gateway of a cluster is, and the output that tells it."""
    name = servers(edge, cluster, build)
    build.stack.resource(
        name,
        "OS::Heat::Value",
        {
            "type": "json",
            "value": {gateway.name: build.reference(gateway.name) for gateway in edge.site.members(cluster)},
        },
        cluster.origin,
        "so that state can be attached to the server of a gateway that is known by its name only",
    )
    output = f"{cluster.name}_gateways"
    build.stack.output(
        output,
        {"get_attr": [name, "value"]},
        "The gateways: the server of each that the stack built, else its endpoint.",
    )


def servers(edge: Edge, cluster: Cluster, build: Build) -> str:
    """The resource that maps the gateways of a cluster to their servers."""
    name = build.part(cluster.name, "servers")
    edge.became(cluster.name, servers=name)
    return name


def gateway_endpoint(gateway: Gateway) -> Data:
    """The host part of an endpoint that is known."""
    if not isinstance(gateway.endpoint, str):
        return None
    rest = gateway.endpoint.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = rest.partition("]")[0].removeprefix("[") if rest.startswith("[") else rest.partition(":")[0]
    return host or gateway.endpoint


# cloudlets
def add_cloudlet(edge: Edge, cloudlet: Cloudlet, build: Build) -> Iterable[Diagnostic]:
    """Where a cloudlet is, as a parameter that only the driver changes, and what follows from it."""
    stack, at = build.stack, edge.parameters[f"{cloudlet.name}_at"]
    reach = [gateway.name for gateway in edge.site.reach(cloudlet)]
    edge.became(cloudlet.name, at=at)
    if cloudlet.instances == "per_subscriber":
        stack.parameter(at, "json", default={}, description=f"Instance of {cloudlet.name} -> gateway. The driver's.")
    else:
        stack.parameter(
            at,
            "string",
            default=cloudlet.host or "",
            description=f"The gateway where {cloudlet.name} is. The driver's.",
            constraints=[{"allowed_values": [*reach]}] if reach and _only_named(edge, cloudlet) else None,
        )
    for mount in edge.site.volumes_of(cloudlet):
        _attach(edge, cloudlet, mount.state, build)
    _outputs(edge, cloudlet, build)
    return ()


def _only_named(edge: Edge, cloudlet: Cloudlet) -> bool:
    """Whether a cloudlet can only be at gateways that the descriptor names: not when its cluster adds others, unless
    the stack itself has to find the server of a gateway by its name."""
    looked_up = edge.knows_servers and any(edge.site.volumes_of(cloudlet))
    grows = any(r.action == "grow" and r.cluster == cloudlet.cluster for r in edge.application.each(Receiver))
    return edge.names_gateways and (looked_up or not (grows and edge.target == "senlin"))


def _outputs(edge: Edge, cloudlet: Cloudlet, build: Build) -> None:
    at = edge.parameters[f"{cloudlet.name}_at"]
    build.stack.output(f"{cloudlet.name}_at", {"get_param": at}, f"The gateway where {cloudlet.name} is.")
    if cloudlet.address is not None:
        build.stack.output(
            f"{cloudlet.name}_address", build.value(cloudlet.address), f"The address that goes with {cloudlet.name}."
        )


def _attach(edge: Edge, cloudlet: Cloudlet, state: str, build: Build) -> None:
    """The volume is where its cloudlet is. Its server comes from the stack, or from the driver where it cannot."""
    stack, cluster = build.stack, edge.site.clusters.get(cloudlet.cluster or "")
    condition = None
    after: list[str] = []
    server: Data
    if edge.knows_servers or cluster is None:
        server = build.reference(cloudlet.host or "")
        if cluster is not None:
            value = servers(edge, cluster, build)
            server = {"get_attr": [value, "value", {"get_param": edge.parameters[f"{cloudlet.name}_at"]}]}
    else:
        parameter = edge.parameters[f"{cloudlet.name}_server"]
        stack.parameter(
            parameter,
            "string",
            default="",
            description=f"The server of the gateway where {cloudlet.name} is, empty while there is none. The driver's.",
        )
        condition = f"{parameter}_known"
        stack.conditions[condition] = {"not": {"equals": [{"get_param": parameter}, ""]}}
        server = {"get_param": parameter}
        after = [build.names[cluster.name]] if cluster is not None else []
        if "server" not in edge.made[cloudlet.name]:
            edge.left(
                "set-parameter",
                "moved",
                parameter,
                f"{edge.release.title} makes no nodes, so that the stack cannot know the server of a gateway",
                cloudlet=cloudlet.name,
            )
        edge.became(cloudlet.name, server=parameter)
    name = stack.resource(
        build.part(cloudlet.name, state),
        "OS::Cinder::VolumeAttachment",
        # no mountpoint: the device of the mount is the cloudlet's, and its gateway may have several
        {"volume_id": build.reference(state), "instance_uuid": server},
        cloudlet.origin,
        f"{cloudlet.name} keeps {state}: it is attached to the server of the gateway where {cloudlet.name} is",
        condition=condition,
        depends_on=after,
    )
    edge.became(state, attachment=name)


def cloudlet_attribute(edge: Edge, cloudlet: Cloudlet, path: tuple[str | int, ...], build: Build) -> Data:
    if path == ("at",):
        return {"get_param": edge.parameters[f"{cloudlet.name}_at"]}
    return build.value(cloudlet.address) if path == ("address",) else None


# state
def add_volume(edge: Edge, volume: Volume, build: Build) -> Iterable[Diagnostic]:
    """A volume of the cloud, unless its gateways are not all the stack's or each subscriber has one."""
    if not edge.site.has_volume(volume.name):
        keeper = edge.site.keeper.get(volume.name)
        if keeper is not None:
            own = keeper.instances != "shared"
            edge.left(
                "make-volume",
                "created",
                edge.parameters[f"{keeper.name}_at"],
                f"{keeper.name} has one for each subscriber"
                if own
                else f"{keeper.name} may be at a gateway that stands already, where the cloud cannot attach a volume",
                volume=volume.name,
                cloudlet=keeper.name,
            )
        return ()
    given = isinstance(volume.size_bytes, Parameter)  # it asks for whole GiB
    size = build.known_bytes(volume.size_bytes)
    edge.became(volume.name, volume=build.names[volume.name])
    build.stack.resource(
        build.names[volume.name],
        "OS::Cinder::Volume",
        {
            "name": volume.name,
            "size": build.value(volume.size_bytes) if given or size is None else max(1, -(-size // GIB)),
            "volume_type": build.value(volume.volume_type),
        },
        volume.origin,
        f"the state of {edge.site.keeper[volume.name].name}, in whole GiB as the cloud has them",
    )
    return ()
