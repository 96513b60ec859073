"""What Senlin would refuse in the specification of a profile or a policy, found here and not at run time.

Heat passes these specifications on unseen; Senlin reads them when the stack is being built, some of them only when a
policy is bound, in a job that fails after Heat was told "accepted".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from meghdwar.compiler import rules
from meghdwar.compiler.targets.hot import FUNCTIONS
from meghdwar.compiler.targets.senlin_kinds import ANY, INTERVAL_MIN_S, KINDS, STACK, Field, Kind
from meghdwar.diagnostics import Diagnostic, Span, did_you_mean
from meghdwar.model import EXPRESSIONS

Path = tuple[str | int, ...]
Place = Callable[[Path], Span]


# one specification
def check(kind_version: str, spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    """Everything that Senlin would refuse in the specification of a profile or policy, at its place.

    `kind_version` is one of KINDS. Expressions pass: their values come when the stack is built.
    """
    yield from _map_problems(KINDS[kind_version].fields, spec, (), place)
    further = _FURTHER.get(kind_version.rpartition("-")[0])
    if further is not None:
        yield from further(spec, place)


def _map_problems(
    fields: Mapping[str, Field], given: Mapping[str, object], path: Path, place: Place
) -> Iterator[Diagnostic]:
    for key, value in given.items():
        if key not in fields:
            yield Diagnostic(
                rules.SPEC_UNKNOWN_KEY,
                place((*path, key)),
                f"cannot set {_name((*path, key))}: Senlin knows nothing of that name",
                did_you_mean(key, fields) or "it knows " + ", ".join(sorted(fields)),
            )
        elif value is not None:
            yield from _value_problems(fields[key], value, (*path, key), place)
    for key, wanted in fields.items():
        if wanted.required and given.get(key) is None:
            values = f", one of {', '.join(wanted.allowed)}" if wanted.allowed else ""
            yield Diagnostic(
                rules.SPEC_MISSING,
                place(path),
                f"cannot do without {_name((*path, key))}",
                f"give {_A[wanted.kind]}{values}",
            )


def _value_problems(wanted: Field, value: object, path: Path, place: Place) -> Iterator[Diagnostic]:
    if is_expression(value):
        return
    if not _fits(wanted.kind, value):
        yield Diagnostic(
            rules.SPEC_WRONG_KIND,
            place(path),
            f"cannot set {_name(path)} to {_show(value)}: Senlin wants {_A[wanted.kind]}",
            f"give {_A[wanted.kind]}",
        )
    elif isinstance(value, Mapping):
        if wanted.fields:
            yield from _map_problems(wanted.fields, value, path, place)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, entry in enumerate(value):
            if wanted.entry is not None:
                yield from _value_problems(wanted.entry, entry, (*path, index), place)
    elif wanted.allowed and value not in wanted.allowed:
        yield Diagnostic(
            rules.SPEC_NOT_ALLOWED,
            place(path),
            f"cannot set {_name(path)} to {_show(value)}",
            did_you_mean(str(value), wanted.allowed) or "it is one of " + ", ".join(wanted.allowed),
        )


_A = {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false",
      "map": "a map", "list": "a list"}  # fmt: skip
_BOOLEANS = frozenset({"t", "true", "on", "y", "yes", "1", "f", "false", "off", "n", "no", "0"})


def _fits(kind: str, value: object) -> bool:
    """As Senlin converts: numbers may be text; but a fraction, which it would cut off, is no integer to us."""
    if kind == "map":
        return isinstance(value, Mapping)
    if kind == "list":
        return isinstance(value, Sequence) and not isinstance(value, str)
    if isinstance(value, Mapping | list | tuple):
        return False
    if kind == "boolean":
        return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _BOOLEANS)
    if kind in ("integer", "number"):
        if isinstance(value, bool):
            return False
        if isinstance(value, str):
            return value.strip().removeprefix("-").replace(".", "", kind == "number").isdecimal()
        return isinstance(value, int) or (isinstance(value, float) and (kind == "number" or value.is_integer()))
    return True


def is_expression(value: object) -> bool:
    """Whether a value is known only when the stack is built: ours, or a call of one of Heat's functions."""
    return isinstance(value, EXPRESSIONS) or (
        isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in FUNCTIONS
    )


_WRITTEN: Mapping[str | int, str] = {"detection_modes": "modes", "recovery_conditional": "when"}


def _name(path: Path) -> str:
    """A part of a specification in the words of a descriptor, where those are fewer or others than Senlin's."""
    if path[:1] == ("servergroup",) and len(path) == 2:
        path = ("policy",) if path[1] == "policies" else path[:1]
    elif path[:2] == ("recovery", "actions") and path[-1] == "name":
        path = path[:-1]
    path = tuple(_WRITTEN.get(step, step) for step in path if step not in ("options", "params"))
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _show(value: object) -> str:
    return (
        f"a {'map' if isinstance(value, Mapping) else 'list'}"
        if isinstance(value, Mapping | list | tuple)
        else repr(value)
    )


# what is wrong only together
def _within(spec: Mapping[str, object], *path: str) -> object:
    here: object = spec
    for step in path:
        here = here.get(step) if isinstance(here, Mapping) else None
    return here


def _each(spec: Mapping[str, object], *path: str) -> Sequence[object]:
    found = _within(spec, *path)
    return found if isinstance(found, list | tuple) else ()


def _number(spec: Mapping[str, object], *path: str) -> float | None:
    found = _within(spec, *path)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _scaling(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    if spec.get("adjustment") is None:  # Senlin says that it is optional, and stumbles without
        yield Diagnostic(
            rules.SPEC_MISSING, place(()), "cannot do without adjustment", "write by how much, such as number: 1"
        )
    number = _number(spec, "adjustment", "number")
    if number is not None and number <= 0:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("adjustment", "number")),
            f"cannot grow or shrink by {number:g}",
            "write a number above 0: the event says which way it goes",
        )
    kind = _within(spec, "adjustment", "type")
    if number is not None and not float(number).is_integer() and kind != "CHANGE_IN_PERCENTAGE":
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("adjustment", "number")),
            f"cannot grow or shrink by {number:g} members",
            "write a whole number, or type: CHANGE_IN_PERCENTAGE",
        )
    for key in ("min_step", "cooldown"):
        found = _number(spec, "adjustment", key)
        if found is not None and found < 0:
            yield Diagnostic(
                rules.SPEC_CONTRADICTION,
                place(("adjustment", key)),
                f"cannot set {key} to {found:g}",
                "give 0 or more",
            )


def _health(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    interval = _number(spec, "detection", "interval")
    if interval is not None and interval < INTERVAL_MIN_S:
        yield Diagnostic(
            rules.SHORT_INTERVAL,
            place(("detection", "interval")),
            f"a stock Senlin refuses a detection.interval of {interval:g} s, less than {INTERVAL_MIN_S} s",
            f"write {INTERVAL_MIN_S} s, or have health_check_interval_min lowered in senlin.conf",
        )
    modes = [m.get("type") for m in _each(spec, "detection", "detection_modes") if isinstance(m, Mapping)]
    known = [m for m in modes if isinstance(m, str)]
    where = place(("detection", "detection_modes"))
    if isinstance(_within(spec, "detection"), Mapping) and not modes:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            where,
            "cannot notice a dead member: detection names no modes",
            "write modes: [{type: NODE_STATUS_POLLING}]",
        )
    if len(modes) > 1 and "LIFECYCLE_EVENTS" in known:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            where,
            "cannot have LIFECYCLE_EVENTS beside another way of detection",
            "take LIFECYCLE_EVENTS alone, or the polling ones without it",
        )
    for index, mode in enumerate(_each(spec, "detection", "detection_modes")):
        asks = isinstance(mode, Mapping) and mode.get("type") == "NODE_STATUS_POLL_URL"
        if isinstance(mode, Mapping) and asks and not _within(mode, "options", "poll_url"):
            yield Diagnostic(
                rules.SPEC_CONTRADICTION,
                place(("detection", "detection_modes", index)),
                "cannot ask for NODE_STATUS_POLL_URL without a poll_url",
                "add poll_url",
            )
    if isinstance(_within(spec, "recovery"), Mapping) and not _each(spec, "recovery", "actions"):
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("recovery", "actions")),
            "cannot recover a member: recovery names no actions",
            "write actions: [RECREATE]",
        )
    seen = [m for m in _each(spec, "detection", "detection_modes") if isinstance(m, Mapping)]
    if any(mode == other for i, mode in enumerate(seen) for other in seen[:i]):
        yield Diagnostic(rules.SPEC_CONTRADICTION, where, "cannot name the same detection mode twice", "remove one")
    actions = len(_each(spec, "recovery", "actions"))
    if actions > 1:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("recovery", "actions")),
            f"cannot take {actions} recovery actions: Senlin takes one",
            "keep the one that you want",
        )


def _loadbalance(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    for part in ("pool", "vip"):
        if spec.get(part) is None:
            yield Diagnostic(rules.SPEC_MISSING, place(()), f"cannot balance load without {part}", f"add {part}")
    vip = spec.get("vip")
    if isinstance(vip, Mapping) and vip.get("subnet") is None and vip.get("network") is None:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION, place(("vip",)), "cannot place vip", "name its subnet or its network"
        )
    delay, timeout = _number(spec, "health_monitor", "delay"), _number(spec, "health_monitor", "timeout")
    if delay is not None and timeout is not None and timeout >= delay:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("health_monitor", "timeout")),
            f"cannot set timeout to {timeout:g} s: it has to be less than delay, {delay:g} s",
            "shorten the timeout or lengthen the delay",
        )
    persistence = _within(spec, "pool", "session_persistence")
    if (
        isinstance(persistence, Mapping)
        and persistence.get("type") == "APP_COOKIE"
        and not persistence.get("cookie_name")
    ):
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("pool", "session_persistence")),
            "cannot have session_persistence of type APP_COOKIE without a cookie_name",
            "add cookie_name",
        )


def _deletion(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    hooks = spec.get("hooks")
    if isinstance(hooks, Mapping) and hooks:
        kind = hooks.get("type", "zaqar")
        wanted = {"zaqar": "queue", "webhook": "url"}.get(kind) if isinstance(kind, str) else None
        if wanted and not _within(hooks, "params", wanted):
            yield Diagnostic(
                rules.SPEC_CONTRADICTION,
                place(("hooks",)),
                f"cannot have hooks of type {kind} without {wanted}",
                f"add {wanted}",
            )
    grace = _number(spec, "grace_period")
    if grace is not None and grace < 0:
        yield Diagnostic(
            rules.SPEC_CONTRADICTION,
            place(("grace_period",)),
            f"cannot set grace_period to {grace:g}",
            "give 0 or more",
        )


def _affinity(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    if spec.get("servergroup") is None:  # optional to Senlin until the policy is bound
        yield Diagnostic(rules.SPEC_MISSING, place(()), "cannot do without policy", "write policy: anti-affinity")


def _weights(section: str) -> Callable[[Mapping[str, object], Place], Iterator[Diagnostic]]:
    def further(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
        entries = _each(spec, section)
        if not entries and not is_expression(spec.get(section)):
            yield Diagnostic(
                rules.SPEC_MISSING,
                place(()),
                f"cannot place members without {section}",
                f"name at least one in {section}",
            )
        seen: set[object] = set()
        for index, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if name is None:
                yield Diagnostic(
                    rules.SPEC_MISSING,
                    place((section, index)),
                    f"cannot do without {section}[{index}].name",
                    "add name",
                )
            elif not is_expression(name) and name in seen:
                yield Diagnostic(
                    rules.SPEC_CONTRADICTION,
                    place((section, index)),
                    f"cannot name {name!r} twice in {section}",
                    "remove one",
                )
            elif not is_expression(name):
                seen.add(name)

    return further


def _stack(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    if not spec.get("template") and not spec.get("template_url"):
        yield Diagnostic(rules.SPEC_MISSING, place(()), "cannot do without template", "give template or template_url")


def _server(spec: Mapping[str, object], place: Place) -> Iterator[Diagnostic]:
    for index, network in enumerate(_each(spec, "networks")):
        if isinstance(network, Mapping) and not is_expression(network):
            if network.get("network") is None and network.get("port") is None:
                yield Diagnostic(
                    rules.SPEC_MISSING,
                    place(("networks", index)),
                    f"cannot use networks[{index}]: it names no network and no port",
                    "add network or port",
                )
            if network.get("port") is not None and network.get("fixed_ip") is not None:
                yield Diagnostic(
                    rules.SPEC_CONTRADICTION,
                    place(("networks", index, "fixed_ip")),
                    f"cannot give networks[{index}] a port and a fixed_ip at once",
                    "leave fixed_ip out: a port has its address already",
                )


_FURTHER: Mapping[str, Callable[[Mapping[str, object], Place], Iterator[Diagnostic]]] = {
    "os.heat.stack": _stack,
    "os.nova.server": _server,
    "senlin.policy.affinity": _affinity,
    "senlin.policy.deletion": _deletion,
    "senlin.policy.health": _health,
    "senlin.policy.loadbalance": _loadbalance,
    "senlin.policy.region_placement": _weights("regions"),
    "senlin.policy.scaling": _scaling,
    "senlin.policy.zone_placement": _weights("zones"),
}


# the policies of one cluster
@dataclass(frozen=True, slots=True)
class Bound:
    """A policy that is to be bound to a cluster, and where that was written."""

    name: str
    kind_version: str
    spec: Mapping[str, object]
    origin: Span
    place: Place


def check_cluster(cluster: str, profile: str, policies: Iterable[Bound]) -> Iterator[Diagnostic]:
    """What Senlin would refuse when the policies are bound to a cluster whose nodes have a profile of this type."""
    first: dict[str, Bound] = {}
    events: dict[object, Bound] = {}
    for policy in policies:
        kind = KINDS[policy.kind_version]
        type_ = policy.kind_version.rpartition("-")[0]
        if not _binds(kind, profile):
            yield Diagnostic(
                rules.POLICY_CANNOT_BIND,
                policy.origin,
                f"cannot bind {_kind(type_)} {policy.name!r} to {cluster!r}: it wants nodes of type "
                f"{' or '.join(kind.profiles)}, and these are {profile}",
                "a cluster with a gateway that stands already has os.heat.stack nodes: "
                "let the stack build every gateway of the cluster, or leave the policy out"
                if profile == STACK
                else "leave the policy out",
            )
        if kind.single and type_ in first:
            yield Diagnostic(
                rules.POLICY_TWICE,
                policy.origin,
                f"cannot bind both {first[type_].name!r} and {policy.name!r} to {cluster!r}: "
                f"Senlin takes one {_kind(type_)}",
                "put both into one policy",
                ((first[type_].origin, "the first one"),),
            )
        first.setdefault(type_, policy)
        if type_ == "senlin.policy.health" and profile == STACK:
            yield from _recovery_of_stacks(policy)
        if type_ == "senlin.policy.scaling":
            event = policy.spec.get("event")
            if isinstance(event, str) and event in events:
                yield Diagnostic(
                    rules.EVENT_TWICE,
                    policy.origin,
                    f"{policy.name!r} answers {event} of {cluster!r} like {events[event].name!r}: "
                    "only the last one that Senlin asks counts",
                    "keep one policy for each event",
                    ((events[event].origin, "the other one"),),
                )
            events.setdefault(event, policy)


def _kind(type_: str) -> str:
    """senlin.policy.zone_placement in words."""
    return f"{type_.rpartition('.')[2].replace('_', ' ')} policy"


def _binds(kind: Kind, profile: str) -> bool:
    return any(wanted in (ANY, profile, profile.rpartition("-")[0]) for wanted in kind.profiles)


def _recovery_of_stacks(policy: Bound) -> Iterator[Diagnostic]:
    for index, action in enumerate(_each(policy.spec, "recovery", "actions")):
        name = action.get("name") if isinstance(action, Mapping) else None
        if name in ("REBOOT", "REBUILD"):
            yield Diagnostic(
                rules.RECOVERY_OF_STACKS,
                policy.place(("recovery", "actions", index)),
                f"cannot recover a node of type os.heat.stack by {name}",
                "use RECREATE, or let the stack build every gateway of the cluster",
            )
