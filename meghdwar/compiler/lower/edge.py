"""The vocabulary of the edge, meghdwar.*, as elements of the model.

Each function takes one template, group or policy and what is round it, and yields elements and problems.
What is wrong only between elements is found by `edge_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_table import CLUSTER
from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.topology import Group, Placed, Policy, Template
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import (
    Cloudlet,
    Cluster,
    ClusterPolicy,
    Gateway,
    Mobility,
    Mount,
    Ready,
    Receiver,
    StateFiles,
    Value,
    Volume,
)

Path: TypeAlias = tuple[str | int, ...]

CLOUDLET = "meghdwar.nodes.Cloudlet"
SCALING = "tosca.policies.Scaling"


# nodes
def gateway(template: Template, scope: Scope) -> Iterator[Item]:
    """A gateway that stands has an endpoint; a `local` one that nobody builds stands in the driver's own folder."""
    read = _Reader(template, scope)
    location = read.known("location", {})
    latitude, longitude = (
        location.get(k) if isinstance(location, Mapping) else None for k in ("latitude", "longitude")
    )
    properties = template.properties
    hypervisor = read.text("hypervisor", "lxd")
    endpoint = _known(scope, properties.get("endpoint"))
    if (
        endpoint is None
        and hypervisor == "local"
        and properties.get("flavor") is None
        and properties.get("image") is None
    ):
        endpoint = f"local:{template.name}"
    yield Gateway(
        name=template.name,
        hypervisor=hypervisor,
        origin=template.origin,
        zone=properties.get("zone"),
        serves=read.texts("serves"),
        latitude=_float(latitude),
        longitude=_float(longitude),
        endpoint=endpoint,
        certificate=_fingerprint(_known(scope, properties.get("certificate"))),
        flavor=properties.get("flavor"),
        image=properties.get("image"),
        key_name=properties.get("key_name"),
        networks=_several(_known(scope, properties.get("networks"))),
        capacity=read.integer("capacity"),
        metadata=template.metadata,
    )
    yield from read.problems
    yield from _left_out(template)


def cloudlet(template: Template, scope: Scope) -> Iterator[Item]:
    """A plain Cloudlet is what its host runs: a virtual machine on KVM, else a container."""
    read = _Reader(template, scope)
    properties = template.properties
    host = next((r.target for r in template.targets("host")), None)
    mounts = []
    for requirement in template.targets("state"):
        relationship = requirement.relationship
        values = relationship.properties if relationship else {}
        location, device = (_known(scope, values.get(key)) for key in ("location", "device"))
        mounts.append(
            Mount(
                state=requirement.target or "",
                location=location if isinstance(location, str) else "",
                device=device if isinstance(device, str) else None,
            )
        )
    yield Cloudlet(
        name=template.name,
        kind=_kind(template, scope, host),
        image=properties.get("image"),
        origin=template.origin,
        host=host,
        cluster=next(
            (g.name for g in scope.topology.groups.values() if g.type.is_a(CLUSTER) and host in g.members), None
        ),
        cpus=properties.get("cpus", 1),
        memory_bytes=_whole(properties.get("memory")),
        disk_bytes=_whole(properties.get("disk")),
        ports=tuple(port for port in _several(read.known("ports", ())) if isinstance(port, int)),
        address=properties.get("address"),
        command=read.texts("command"),
        environment=_map(properties.get("environment")),
        quiesce=read.texts("quiesce"),
        ready=_ready(read.known("ready", None)),
        instances=read.text("instances", "shared"),
        state=tuple(mounts),
        metadata=template.metadata,
    )
    yield from read.problems
    yield from _left_out(template)


def _kind(template: Template, scope: Scope, host: str | None) -> str:
    if template.type.is_a(f"{CLOUDLET}.VM"):
        return "vm"
    gateway = scope.topology.templates.get(host or "")
    if template.type.is_a(f"{CLOUDLET}.Container") or gateway is None:
        return "container"
    return "vm" if gateway.properties.get("hypervisor") == "kvm" else "container"


def _ready(value: Value) -> Ready:
    if not isinstance(value, Mapping):
        return Ready()
    http, port, within = value.get("http"), value.get("port"), value.get("within", 30.0)
    return Ready(
        http=http if isinstance(http, str) else None,
        port=port if isinstance(port, int) else None,
        command=tuple(str(word) for word in _several(value.get("command"))),
        within_s=float(within) if isinstance(within, int | float) else 30.0,
    )


def volume(template: Template, _scope: Scope) -> Iterator[Item]:
    properties = template.properties
    yield from _left_out(template)
    yield Volume(template.name, _whole(properties.get("size")), template.origin, properties.get("volume_type"))


def state_files(template: Template, scope: Scope) -> Iterator[Item]:
    read = _Reader(template, scope)
    yield StateFiles(template.name, read.texts("paths"), template.origin, read.integer("size_max"))
    yield from read.problems
    yield from _left_out(template)


def _left_out(template: Template) -> Iterator[Item]:
    """What a descriptor may say of any node, and nobody does it for the edge."""
    for operations in template.interfaces.values():
        for name, operation in operations.items():
            if operation.primary is not None:
                yield Diagnostic(
                    rules.OPERATION_LEFT_OUT,
                    operation.origin,
                    f"the operation {name!r} of {template.name!r} is left out: nothing runs it",
                    "put it into the image, or into the command of the cloudlet",
                )


def _triggers_left_out(policy: Policy, way_out: str) -> Iterator[Item]:
    for trigger in policy.triggers.values():
        yield Diagnostic(
            rules.TRIGGER_LEFT_OUT,
            trigger.origin,
            f"the trigger {trigger.name!r} of {policy.name!r} is left out: nothing watches for it",
            way_out,
        )


# groups
def cluster(group: Group, scope: Scope) -> Iterator[Item]:
    """The limits are the group's own, or where it has none those of a tosca.policies.Scaling over it."""
    read = _Reader(group, scope)
    minimum, maximum = read.integer("min_size"), read.integer("max_size")
    for policy in scope.topology.policies.values():
        if is_edge_scaling(policy, scope) and group.name in policy.targets:
            limits = _Reader(policy, scope)
            if "min_size" not in group.nodes:
                minimum = _first(limits.integer("min_instances"), minimum)
            if "max_size" not in group.nodes:
                maximum = _first(limits.integer("max_instances"), maximum)
    yield Cluster(
        name=group.name,
        gateways=tuple(dict.fromkeys(group.members)),
        origin=group.origin,
        minimum=0 if minimum is None else minimum,
        maximum=-1 if maximum is None else maximum,
        timeout_s=read.integer("timeout"),
        metadata=group.metadata,
    )
    yield from read.problems


# policies
def mobility(policy: Policy, scope: Scope) -> Iterator[Item]:
    read = _Reader(policy, scope)
    yield Mobility(
        name=policy.name,
        cloudlets=tuple(name for name in dict.fromkeys(policy.targets) if name not in scope.topology.groups),
        origin=policy.origin,
        strategy=read.text("strategy", "precopy"),
        trigger=read.text("trigger", "serving-cell"),
        hysteresis_s=read.number("hysteresis", 30.0),
        cooldown_s=read.number("cooldown", 0.0),
        margin_ms=read.number("margin", 0.0) * 1000,
        max_downtime_s=_float(read.known("max_downtime", None)),
    )
    yield from read.problems
    yield from _triggers_left_out(policy, "its property trigger says what makes a cloudlet move")


def cluster_policy(policy: Policy, scope: Scope) -> Iterator[Item]:
    """One of the eight policies of a cluster manager, once for each cluster that it targets."""
    name = next(a for a in policy.type.ancestors if a in _SPECIFICATIONS)
    kind, version, specify, places = _SPECIFICATIONS[name]
    settings = _without_none(specify(policy.properties))
    yield from _triggers_left_out(policy, "let whatever measures it call the webhook of a scaling policy")
    for target in _clusters(policy, scope):
        label = policy.name if len(policy.targets) == 1 else f"{policy.name}_{target}"
        yield ClusterPolicy(
            name=label,
            kind=kind,
            version=version,
            cluster=target,
            settings=settings,
            origin=policy.origin,
            places={path: policy.place(*places(path)) for path in _paths(settings)} | {(): policy.origin},
        )
        if kind == "scaling" and policy.properties.get("receiver", True):
            yield Receiver(f"{label}_receiver", target, _ACTIONS.get(str(settings.get("event")), "grow"), policy.origin)


_ACTIONS = {"CLUSTER_SCALE_OUT": "grow", "CLUSTER_SCALE_IN": "shrink"}


def is_edge_scaling(policy: Policy, scope: Scope) -> bool:
    """Whether a tosca.policies.Scaling is about clusters of gateways."""
    return policy.type.is_a(SCALING) and any(
        target in scope.topology.groups and scope.topology.groups[target].type.is_a(CLUSTER)
        for target in policy.targets
    )


def edge_scaling(policy: Policy, scope: Scope) -> Iterator[Item]:
    """The scaling of TOSCA is two of a cluster manager's: one that grows and one that shrinks, each with its door."""
    read = _Reader(policy, scope)
    adjustment = {
        "type": "CHANGE_IN_CAPACITY",
        "number": _first(read.integer("increment"), read.integer("step"), 1),
        "cooldown": _first(read.integer("cooldown"), 0),
        "best_effort": True,
    }
    written = {("adjustment", "number"): "increment", ("adjustment", "cooldown"): "cooldown"}
    for target in _clusters(policy, scope):
        label = policy.name if len(policy.targets) == 1 else f"{policy.name}_{target}"
        for direction, event, action in (("out", "CLUSTER_SCALE_OUT", "grow"), ("in", "CLUSTER_SCALE_IN", "shrink")):
            yield ClusterPolicy(
                name=f"{label}_{direction}",
                kind="scaling",
                version="1.0",
                cluster=target,
                settings={"event": event, "adjustment": adjustment},
                origin=policy.origin,
                places={path: policy.place(key) for path, key in written.items()} | {(): policy.origin},
            )
            yield Receiver(f"{label}_{direction}_receiver", target, action, policy.origin)
    default = read.integer("default_instances")
    for target in _clusters(policy, scope):
        members = len(scope.topology.groups[target].members)
        if default is not None and default != members:
            yield Diagnostic(
                rules.SIZE_IS_ITS_GATEWAYS,
                policy.place("default_instances"),
                f"default_instances is {default}, but {target!r} starts with the {members} gateways that it names",
                "leave default_instances out",
            )
    yield from read.problems
    yield from _triggers_left_out(policy, "let whatever measures it call one of its webhooks")


def _clusters(policy: Policy, scope: Scope) -> Iterator[str]:
    return (t for t in policy.targets if t in scope.topology.groups and scope.topology.groups[t].type.is_a(CLUSTER))


# the specifications of the eight policies, and where their parts stand in the descriptor
def _scaling(given: Mapping[str, Value]) -> Mapping[str, Value]:
    adjustment = {"type": "CHANGE_IN_CAPACITY", "number": 1, **_map(given.get("adjustment"))}
    return {
        "event": given.get("event"),
        "adjustment": {
            **adjustment,
            "number": _whole(adjustment.get("number")),  # Senlin refuses 1.0 when it comes to act on it
            "cooldown": _whole(adjustment.get("cooldown")),
        },
    }


def _deletion(given: Mapping[str, Value]) -> Mapping[str, Value]:
    hooks = _map(given.get("hooks"))
    return {
        "criteria": given.get("criteria"),
        "destroy_after_deletion": given.get("destroy_after_deletion"),
        "grace_period": _whole(given.get("grace_period")),
        "reduce_desired_capacity": given.get("reduce_desired_capacity"),
        "hooks": {
            "type": hooks.get("type"),
            "timeout": _whole(hooks.get("timeout")),
            "params": {"queue": hooks.get("queue"), "url": hooks.get("url")},
        }
        if hooks
        else None,
    }


def _batch(given: Mapping[str, Value]) -> Mapping[str, Value]:
    return {
        "max_batch_size": given.get("max_batch_size"),
        "min_in_service": given.get("min_in_service"),
        "pause_time": _whole(given.get("pause_time")),
    }


_POLL_OPTIONS = (
    "poll_url", "poll_url_healthy_response", "poll_url_ssl_verify",
    "poll_url_conn_error_as_unhealthy", "poll_url_retry_limit", "poll_url_retry_interval",
)  # fmt: skip
_DETECTION: Mapping[str, Value] = {"interval": 60, "modes": ({"type": "NODE_STATUS_POLLING"},)}
_RECOVERY: Mapping[str, Value] = {"actions": ("RECREATE",)}


def _health(given: Mapping[str, Value]) -> Mapping[str, Value]:
    detection = _map(given.get("detection")) or _DETECTION
    recovery = _map(given.get("recovery")) or _RECOVERY
    modes = tuple(
        {"type": mode.get("type"), "options": {key: _whole(mode.get(key)) for key in _POLL_OPTIONS}}
        for mode in _several(detection.get("modes", _DETECTION["modes"]))
        if isinstance(mode, Mapping)
    )
    return {
        "detection": {
            "interval": _whole(detection.get("interval")),
            "node_update_timeout": _whole(detection.get("node_update_timeout")),
            "detection_modes": modes,
            "recovery_conditional": detection.get("when"),
        },
        "recovery": {
            "actions": tuple({"name": action} for action in _several(recovery.get("actions", _RECOVERY["actions"]))),
            "fencing": _several(recovery.get("fencing")) or None,
            "node_delete_timeout": _whole(recovery.get("node_delete_timeout")),
            "node_force_recreate": recovery.get("node_force_recreate"),
        },
    }


def _load_balance(given: Mapping[str, Value]) -> Mapping[str, Value]:
    monitor = _map(given.get("health_monitor"))
    return {
        "pool": given.get("pool"),
        "vip": given.get("vip"),
        "health_monitor": {**monitor, "delay": _whole(monitor.get("delay")), "timeout": _whole(monitor.get("timeout"))}
        if monitor
        else None,
        "loadbalancer": given.get("loadbalancer"),
        "lb_status_timeout": _whole(given.get("lb_status_timeout")),
        "availability_zone": given.get("availability_zone"),
        "flavor_id": given.get("flavor_id"),
    }


def _affinity(given: Mapping[str, Value]) -> Mapping[str, Value]:
    return {
        "servergroup": {"name": given.get("servergroup"), "policies": given.get("policy", "anti-affinity")},
        "availability_zone": given.get("availability_zone"),
        "enable_drs_extension": given.get("enable_drs_extension"),
    }


def _zones(given: Mapping[str, Value]) -> Mapping[str, Value]:
    return {"zones": tuple(_pick(zone, "name", "weight") for zone in _several(given.get("zones")))}


def _regions(given: Mapping[str, Value]) -> Mapping[str, Value]:
    return {"regions": tuple(_pick(region, "name", "weight", "cap") for region in _several(given.get("regions")))}


def _as_written(path: Path) -> Path:
    return path


def _health_as_written(path: Path) -> Path:
    names: Mapping[str | int, str] = {"detection_modes": "modes", "recovery_conditional": "when"}
    kept = tuple(names.get(step, step) for step in path if step != "options")
    return kept[:-1] if path[:2] == ("recovery", "actions") and path[-1] == "name" else kept


def _affinity_as_written(path: Path) -> Path:
    return ("servergroup",) if path[-1] == "name" else ("policy",) if path[0] == "servergroup" else path


def _hooks_as_written(path: Path) -> Path:
    return tuple(step for step in path if step != "params")


_SPECIFICATIONS: Mapping[
    str, tuple[str, str, Callable[[Mapping[str, Value]], Mapping[str, Value]], Callable[[Path], Path]]
] = {
    "meghdwar.policies.Scaling": ("scaling", "1.0", _scaling, _as_written),
    "meghdwar.policies.Deletion": ("deletion", "1.1", _deletion, _hooks_as_written),
    "meghdwar.policies.Batch": ("batch", "1.0", _batch, _as_written),
    "meghdwar.policies.Health": ("health", "1.1", _health, _health_as_written),
    "meghdwar.policies.LoadBalance": ("loadbalance", "1.3", _load_balance, _as_written),
    "meghdwar.policies.Affinity": ("affinity", "1.0", _affinity, _affinity_as_written),
    "meghdwar.policies.ZonePlacement": ("zone_placement", "1.0", _zones, _as_written),
    "meghdwar.policies.RegionPlacement": ("region_placement", "1.0", _regions, _as_written),
}


# values
def _known(scope: Scope, value: Value) -> Value:
    """The value as far as it is known by now, else as it is."""
    found = scope.known(value)
    return value if found is None else found


class _Reader:
    """Reads the properties that have to be known while compiling, and keeps what was wrong with them."""

    def __init__(self, placed: Placed, scope: Scope) -> None:
        self._placed = placed
        self._scope = scope
        self.problems: list[Diagnostic] = []

    def known(self, name: str, otherwise: Value) -> Value:
        """The property, with every input in it replaced; `otherwise` when it is absent or not known yet."""
        given = self._placed.properties.get(name)
        if given is None:
            return otherwise
        value = self._scope.known(given)
        if value is not None:
            return value
        self.problems.append(_not_known(self._placed.name, name, self._placed.place(name)))
        return otherwise

    def text(self, name: str, otherwise: str) -> str:
        value = self.known(name, otherwise)
        return value if isinstance(value, str) else otherwise

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(str(entry) for entry in _several(self.known(name, ())))

    def integer(self, name: str) -> int | None:
        value = _whole(self.known(name, None))
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, name: str, otherwise: float) -> float:
        value = _float(self.known(name, otherwise))
        return otherwise if value is None else value


def _not_known(element: str, name: str, span: Span) -> Diagnostic:
    return Diagnostic(
        rules.NOT_KNOWN_YET,
        span,
        f"cannot compile without knowing {name} of {element!r}",
        "give its input a default, or a value with --input",
    )


def _whole(value: Value) -> Value:
    """A number of seconds or bytes as an integer where it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _float(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _several(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()


def _map(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _pick(value: Value, *keys: str) -> Value:
    return {key: value.get(key) for key in keys} if isinstance(value, Mapping) else value


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _fingerprint(value: Value) -> Value:
    return value.replace(":", "").lower() if isinstance(value, str) else value


def _without_none(value: Mapping[str, Value]) -> Mapping[str, Value]:
    """Without what was not said: absent entries, and maps that are empty without them."""
    kept = {}
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            entry = _without_none(entry) or None
        elif isinstance(entry, tuple):
            entry = tuple(_without_none(item) if isinstance(item, Mapping) else item for item in entry)
        if entry is not None:
            kept[key] = entry
    return kept


def _paths(value: Value, path: Path = ()) -> Iterator[Path]:
    """The path of every part of a value."""
    parts: Iterator[tuple[str | int, Value]] = iter(())
    if isinstance(value, Mapping):
        parts = iter(value.items())
    elif isinstance(value, tuple):
        parts = iter(enumerate(value))
    for step, entry in parts:
        yield (*path, step)
        yield from _paths(entry, (*path, step))
