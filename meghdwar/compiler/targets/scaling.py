"""Groups of servers that grow and shrink: by Heat itself, or by the cluster manager."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler.targets.build import Build
from meghdwar.compiler.targets.hot import Data
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Alarm, Network, ServerScaling

GROUP = "metering.server_group"  # the mark by which the readings of a group's servers are found


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
            build.stack.resource(
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
        for alarm in element.alarms:
            policy = build.part(name, "scale_in" if alarm.action == "shrink" else "scale_out")
            url: Data = {"get_attr": [policy, "signal_url"]}
            watch(alarm, [{"list_join": ["", ["trust+", url]]}], build)


def _needs(inner: Build) -> list[str]:
    """What the copies need of the template round them and cannot say by a reference."""
    outer = inner.outer
    if outer is None:
        return []
    subnets = [
        outer.part(port.network, "subnet")
        for name in inner.elements
        for port in inner.wiring.ports.get(name, ())
        if port.network is not None and isinstance(outer.elements.get(port.network), Network)
    ]
    software = [s for name in inner.elements for s in inner.wiring.software.get(name, ())]
    waited = [outer.after(name) for s in software for name in s.after if outer.wiring.unit.get(name) != inner.unit]
    return [*subnets, *waited]


def group_attribute(element: ServerScaling, path: tuple[str | int, ...], build: Build) -> Data:
    """A list with what each of the copies says."""
    if element.minimum == element.maximum:
        return {"get_attr": [build.names[element.name], *path]}
    return {"get_attr": [build.names[element.name], "outputs_list", *path]}


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
