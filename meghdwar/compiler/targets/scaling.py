"""Groups of servers that grow and shrink: by Heat itself, or by the cluster manager."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.targets import choices, ports
from meghdwar.compiler.targets.build import Build
from meghdwar.compiler.targets.hot import Data, protect
from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Alarm, Network, Server, ServerScaling

GROUP = "metering.server_group"  # the mark by which the readings of a group's servers are found


# by the stack
def group(element: ServerScaling, build: Build) -> Iterator[Diagnostic]:
    """As many copies of a nested template as there shall be; a fixed number needs no group that scales."""
    yield from build.build_nested(element.name)
    inner = build.nested(element.name)
    here, name = build.names[element.name], element.name
    resource: dict[str, Data] = {"type": f"{inner.stack.name}.yaml", "properties": inner.passed}
    if element.minimum == element.maximum:
        properties: dict[str, Data] = {"count": element.default, "resource_def": resource}
        type_ = "OS::Heat::ResourceGroup"
    else:
        properties = {
            "min_size": element.minimum,
            "max_size": element.maximum,
            "desired_capacity": element.default,
            "cooldown": element.cooldown_s or None,
            "resource": resource,
        }
        type_ = "OS::Heat::AutoScalingGroup"
    build.stack.resource(here, type_, properties, element.origin, f"the servers of {name}", depends_on=_needs(inner))
    if element.minimum != element.maximum:
        for action, amount in (("out", element.step), ("in", -element.step)):
            policy = build.stack.resource(
                build.part(name, f"scale_{action}"),
                "OS::Heat::ScalingPolicy",
                {
                    "adjustment_type": "change_in_capacity",
                    "auto_scaling_group_id": {"get_resource": here},
                    "scaling_adjustment": amount,
                    "cooldown": element.cooldown_s or None,
                },
                element.origin,
                f"{name} scales {action}",
            )
            channel(element, policy, action, {"alarm_url": {"get_attr": [policy, "alarm_url"]}}, build)
        for alarm in element.alarms:
            policy = build.part(name, "scale_in" if alarm.action == "shrink" else "scale_out")
            url: Data = {"get_attr": [policy, "signal_url"]}
            watch(alarm, [{"list_join": ["", ["trust+", url]]}], build)


def _needs(inner: Build) -> list[str]:
    """What the copies need of the template round them and cannot say by a reference."""
    outer = inner.outer
    if outer is None:
        return []
    software = [s for name in inner.elements for s in inner.wiring.software.get(name, ())]
    waited = [outer.after(name) for s in software for name in s.after if outer.wiring.unit.get(name) != inner.unit]
    return [*_subnets(inner.elements, outer), *waited]


def _subnets(servers: Iterable[str], build: Build) -> list[str]:
    """The subnets that servers get their addresses from."""
    networks = (port.network for name in servers for port in build.wiring.ports.get(name, ()))
    return [build.part(n, "subnet") for n in networks if n is not None and isinstance(build.elements.get(n), Network)]


def cluster_attribute(element: ServerScaling, path: tuple[str | int, ...], build: Build) -> Data:
    """The members of a cluster come and go without the stack; it cannot tell of them."""
    return None if element.clustered else group_attribute(element, path, build)


def group_attribute(element: ServerScaling, path: tuple[str | int, ...], build: Build) -> Data:
    """A list with what each of the copies says."""
    if element.minimum == element.maximum:
        return {"get_attr": [build.names[element.name], *path]}
    return {"get_attr": [build.names[element.name], "outputs_list", *path]}


# by the cluster manager
def cluster(element: ServerScaling, build: Build) -> Iterator[Diagnostic]:
    """A Senlin cluster of servers with one profile, webhooks that make it grow and shrink, alarms that call them."""
    if not element.clustered:
        yield from group(element, build)
        return
    if not RELEASES[build.heat].senlin:
        yield Diagnostic(
            rules.HEAT_WITHOUT_SENLIN,
            element.origin,
            f"cannot scale {element.name!r} with {RELEASES[build.heat].title}: its OS::Senlin types are empty shells",
            "use --target static, or install Meghdwar's plug-in into that Heat and say --heat plugin",
        )
        return
    servers = [server for name in element.members if isinstance(server := build.elements.get(name), Server)]
    for server in servers:
        kept = [*build.wiring.attachments.get(server.name, ()), *build.wiring.software.get(server.name, ())]
        if kept or server.boot_volume is not None:
            what = kept[0].name if kept else str(server.boot_volume)
            yield Diagnostic(
                rules.NOT_IN_A_CLUSTER,
                element.origin,
                f"cannot let {element.name!r} scale {server.name!r} with {what!r}: a cluster makes bare servers",
                "use tosca.policies.Scaling, which lets the stack itself scale them",
            )
            return
        yield from _cluster_of(element, server, f"{element.name}_{server.name}" if len(servers) > 1 else "", build)


def _cluster_of(element: ServerScaling, server: Server, own: str, build: Build) -> Iterator[Diagnostic]:
    name, stack, origin = element.name, build.stack, element.origin
    here = build.part(name, server.name) if own else build.names[name]
    profile = stack.resource(
        build.part(own or name, "profile"),
        "OS::Senlin::Profile",
        {"type": "os.nova.server-1.0", "properties": _profile(element, server, build)},
        server.origin,
        f"how the servers of {name} are made",
    )
    yield from choices.fixed(server, build)
    bound: list[Data] = []
    for way, event in (("out", "CLUSTER_SCALE_OUT"), ("in", "CLUSTER_SCALE_IN")):
        if RELEASES[build.heat].cluster_policies:
            policy = stack.resource(
                build.part(own or name, f"scale_{way}_policy"),
                "OS::Senlin::Policy",
                {"type": "senlin.policy.scaling-1.0", "properties": _adjustment(element, event)},
                origin,
                f"how {name} scales {way}",
            )
            bound.append({"policy": {"get_resource": policy}, "enabled": True})
    stack.resource(
        here,
        "OS::Senlin::Cluster",
        {
            "profile": {"get_resource": profile},
            "min_size": element.minimum,
            "max_size": element.maximum,
            "desired_capacity": element.default,
            "policies": bound or None,
        },
        origin,
        f"the servers of {name}",
        depends_on=_subnets([server.name], build),
    )
    for way, event in (("out", "CLUSTER_SCALE_OUT"), ("in", "CLUSTER_SCALE_IN")):
        receiver = stack.resource(
            build.part(own or name, f"scale_{way}"),
            "OS::Senlin::Receiver",
            {
                "cluster": {"get_resource": here},
                "action": event,
                "type": "webhook",
                "params": {"count": str(element.step)},
            },
            origin,
            f"the webhook that scales {name} {way}",
        )
        channel(element, receiver, way, {"get_attr": [receiver, "channel"]}, build)
    for alarm in element.alarms:
        receiver = build.part(own or name, "scale_in" if alarm.action == "shrink" else "scale_out")
        watch(alarm, [{"get_attr": [receiver, "channel", "alarm_url"]}], build)


def _adjustment(element: ServerScaling, event: str) -> dict[str, Data]:
    adjustment: dict[str, Data] = {"type": "CHANGE_IN_CAPACITY", "number": element.step}
    if element.cooldown_s:
        adjustment["cooldown"] = element.cooldown_s
    return {"event": event, "adjustment": adjustment}


def _profile(element: ServerScaling, server: Server, build: Build) -> dict[str, Data]:
    groups = build.wiring.placements.get(server.name, ())
    networks: list[Data] = [{"network": ports.network(port, build)} for port in build.wiring.ports.get(server.name, ())]
    networks += [{"network": build.value(named)} for named in server.networks]
    metadata = {key: build.value(value) for key, value in server.metadata.items()}
    if element.alarms:
        metadata[GROUP] = {"get_param": "OS::stack_id"}
    spec: dict[str, Data] = {
        "flavor": choices.flavor(server, build),
        "image": choices.image(server, build),
        "key_name": build.value(server.key_name),
        "availability_zone": build.value(server.zone),
        "networks": networks or None,
        "metadata": protect(metadata) or None,
        "user_data": build.value(server.user_data),
        "scheduler_hints": {"group": build.reference(groups[0].name)} if groups else None,
    }
    return {key: value for key, value in spec.items() if value is not None}


def channel(element: ServerScaling, door: str, way: str, value: Data, build: Build) -> None:
    """Tells how to make a group grow or shrink from outside, unless an alarm does it."""
    if not any((alarm.action == "shrink") is (way == "in") for alarm in element.alarms):
        build.stack.output(f"{door}_channel", value, f"A POST to its alarm_url scales {element.name} {way}.")


# alarms
def mark(build: Build) -> dict[str, Data]:
    """The metadata of a server that an alarm of its group has to find."""
    element = build.outer.elements.get(build.unit or "") if build.outer is not None else None
    if not isinstance(element, ServerScaling) or not element.alarms:
        return {}
    return {GROUP: build.handed("metering_server_group", {"get_param": "OS::stack_id"})}


def watch(alarm: Alarm, actions: list[Data], build: Build) -> str:
    """An alarm over the readings of all servers of a group."""
    query: Data = {
        "str_replace": {
            "template": '{"=": {"server_group": "stack_id"}}',
            "params": {"stack_id": {"get_param": "OS::stack_id"}},
        }
    }
    return build.stack.resource(
        build.stack.unused(alarm.name),
        "OS::Aodh::GnocchiAggregationByResourcesAlarm",
        {
            "metric": alarm.metric,
            "query": query,
            "resource_type": "instance",
            "aggregation_method": alarm.aggregation,
            "comparison_operator": alarm.comparison,
            "threshold": build.value(alarm.threshold),
            "granularity": alarm.granularity_s,
            "evaluation_periods": alarm.evaluations,
            "alarm_actions": actions or None,
            "repeat_actions": True,
        },
        alarm.origin,
        f"the alarm {alarm.name}",
    )
