"""Scaling, placement and monitoring policies as elements of the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.known import number
from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.lower.standard import read
from meghdwar.compiler.topology import Policy, Trigger
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import EXPRESSIONS, Alarm, Element, Placement, ServerScaling, Value

AFFINITY, ANTI_AFFINITY = "tosca.policies.nfv.AffinityRule", "tosca.policies.nfv.AntiAffinityRule"


# placement
def placement(policy: Policy, scope: Scope) -> Iterator[Item]:
    """Servers that stay together or apart; together when the policy does not say."""
    said = read(policy, scope, "policy", "kind", "placement")
    apart = "anti" in str(said or policy.type.name).lower()
    soft = read(policy, scope, "strict") is False
    yield from _placement(policy, ("soft-" if soft else "") + ("anti-affinity" if apart else "affinity"), scope)


def affinity(policy: Policy, scope: Scope) -> Iterator[Item]:
    """The same in the words of NFV: between hosts by a group of servers, between zones by parameters of the stack. All
    that is in one stack is in one point of presence."""
    reach, members = read(policy, scope, "scope"), servers_of(policy, scope)
    if reach in (None, "nfvi_node"):
        yield from _placement(policy, "anti-affinity" if is_apart(policy) else "affinity", scope)
    elif not members:
        yield left_out(policy, "none of its targets is a server")
    elif reach == "zone" and is_apart(policy) and len(members) == 1:
        yield left_out(policy, f"all servers of {members[0]!r} are in one zone", "name others that it is apart from")
    elif reach != "zone" and (reach != "nfvi_pop" or is_apart(policy)):
        where = "apart" if reach == "nfvi_pop" else "together or apart"
        yield left_out(policy, f"the servers of a stack cannot be {where} by {reach!r}", "use nfvi_node or zone")


def by_zone(policy: Policy, scope: Scope) -> bool:
    """Whether it is about the zones that servers are in."""
    of_nfv = any(policy.type.is_a(rule) for rule in (AFFINITY, ANTI_AFFINITY))
    return of_nfv and read(policy, scope, "scope") == "zone"


def is_apart(policy: Policy) -> bool:
    return policy.type.is_a(ANTI_AFFINITY)


def _placement(policy: Policy, kind: str, scope: Scope) -> Iterator[Item]:
    members = servers_of(policy, scope)
    if members:
        yield Placement(name=scope.unused(policy.name), kind=kind, members=members, origin=policy.origin)
    else:
        yield left_out(policy, "none of its targets is a server")


def servers_of(policy: Policy, scope: Scope) -> tuple[str, ...]:
    """The servers among the targets, and the ones that the others of them run on."""
    found: dict[str, None] = {}
    for name in scope.members(policy):
        found.update(dict.fromkeys(scope.servers(name)))
    return tuple(found)


# scaling
def scaling(policy: Policy, scope: Scope) -> Iterator[Item]:
    yield from _scaling(policy, scope, clustered=False)


def cluster_scaling(policy: Policy, scope: Scope) -> Iterator[Item]:
    """A group of servers in the hands of the cluster manager."""
    yield from _scaling(policy, scope, clustered=True)


_MAXIMUM = ("max_instances", "max_size", "maximum")


def _scaling(policy: Policy, scope: Scope, *, clustered: bool) -> Iterator[Item]:
    members = servers_of(policy, scope)
    if not members:
        yield left_out(policy, "none of its targets is a server")
        return

    if scope.known(read(policy, scope, *_MAXIMUM)) is None:
        yield left_out(policy, "it does not say how many servers there may be", "give it max_instances")
        return

    def figure(fallback: int, *names: str) -> int:
        found = number(scope.known(read(policy, scope, *names)))
        return fallback if found is None else found

    minimum = figure(0, "min_instances", "min_size", "minimum")
    default = figure(max(minimum, 1), "default_instances", "desired", "default")
    maximum = figure(max(default, minimum), *_MAXIMUM)
    if not 0 <= minimum <= default <= maximum:
        yield Diagnostic(
            rules.BAD_SCALING,
            policy.origin,
            f"cannot scale {policy.name!r} between {minimum} and {maximum} and start with {default}",
            "let min_instances <= default_instances <= max_instances",
        )
        return
    alarms = list(_alarms_of(policy, scope))
    for alarm in alarms:
        if alarm.threshold is None:
            yield Diagnostic(
                rules.POLICY_LEFT_OUT,
                alarm.origin,
                f"this trigger of {policy.name!r} is left out: its condition is no comparison with a threshold",
                f"give it one, such as condition: [{{{alarm.metric}: [{{greater_than: 80}}]}}]",
            )
    yield ServerScaling(
        name=scope.unused(policy.name),
        members=members,
        origin=policy.origin,
        minimum=minimum,
        maximum=maximum,
        default=default,
        step=max(figure(1, "increment"), 1),
        cooldown_s=figure(0, "cooldown"),
        alarms=tuple(alarm for alarm in alarms if alarm.threshold is not None),
        clustered=clustered,
    )


def check(elements: Iterable[Element]) -> Iterator[Diagnostic]:
    """Two policies cannot both say how many of a server there are."""
    first: dict[str, ServerScaling] = {}
    for element in (e for e in elements if isinstance(e, ServerScaling)):
        for member in element.members:
            before = first.setdefault(member, element)
            if before is not element:
                yield Diagnostic(
                    rules.BAD_SCALING,
                    element.origin,
                    f"cannot let {element.name!r} scale {member!r}: {before.name!r} does already",
                    "scale a server by one policy only",
                    ((before.origin, "the other one"),),
                )


# monitoring
def monitoring(policy: Policy, scope: Scope) -> Iterator[Item]:
    """Readings that make a group grow or shrink belong to the group; others have nobody to tell."""
    if not any(_concerns(policy, trigger, p, scope) for trigger in _triggers(policy) for p in _scalings(scope)):
        yield left_out(policy, "it makes nothing grow or shrink", "name a scaling policy as the action of its triggers")


def _scalings(scope: Scope) -> Iterator[Policy]:
    return scope.policies("tosca.policies.Scaling")


def _alarms_of(policy: Policy, scope: Scope) -> Iterator[Alarm]:
    for trigger in _triggers(policy):
        yield _alarm(policy, trigger, scope)
    for other_ in scope.policies("tosca.policies.Monitoring"):
        for trigger in _triggers(other_):
            if _concerns(other_, trigger, policy, scope):
                yield _alarm(other_, trigger, scope)


def _triggers(policy: Policy) -> list[Trigger]:
    return [trigger for trigger in policy.triggers.values() if _part(trigger, "metric") or trigger.event is not None]


def _concerns(watching: Policy, trigger: Trigger, scaled: Policy, scope: Scope) -> bool:
    """Whether a trigger is about a scaling policy: it names it, or its targets, or there is no other."""
    named = set(_words(trigger.action))
    if named & set(scope.topology.policies):
        return scaled.name in named
    targets = set(scope.members(watching))
    if targets:
        return bool(targets & set(scope.members(scaled)))
    return len(list(_scalings(scope))) == 1


def _words(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield key
            yield from _words(entry)
    elif isinstance(value, tuple):
        for entry in value:
            yield from _words(entry)


_COMPARISONS = {
    "greater_than": "gt", "greater_or_equal": "ge", "less_than": "lt", "less_or_equal": "le", "equal": "eq",
    "gt": "gt", "ge": "ge", "lt": "lt", "le": "le", "eq": "eq", "ne": "ne",
}  # fmt: skip


def _alarm(policy: Policy, trigger: Trigger, scope: Scope) -> Alarm:
    """A trigger as real files write it: a metric, and a condition with a threshold or a sentence that holds one."""
    found = list(_assertions(trigger.condition))
    metric, operator, operand = found[0] if len(found) == 1 else ("", "", None)
    said = str(_part(trigger, "constraint") or "") if not found else ""
    threshold = _part(trigger, "threshold")
    if threshold is None:
        threshold = operand if operand is not None else said
    if isinstance(threshold, str):
        threshold = _last_number(threshold)
    elif isinstance(threshold, bool) or not isinstance(threshold, (int, float, *EXPRESSIONS)):
        threshold = None
    comparison = str(
        _part(trigger, "comparison_operator") or operator or next((w for w in said.split() if w in _COMPARISONS), "gt")
    )
    comparison = _COMPARISONS.get(comparison, "gt")
    return Alarm(
        name=scope.unused(f"{policy.name}_{trigger.name}"),
        metric=str(_part(trigger, "metric") or _part(trigger, "meter_name") or metric or "cpu_util"),
        origin=trigger.origin,
        threshold=threshold,
        comparison=comparison,
        granularity_s=number(_part(trigger, "granularity")) or number(_part(trigger, "period")) or 60,
        evaluations=number(_part(trigger, "evaluations")) or 1,
        aggregation=str(_part(trigger, "aggregation_method") or _part(trigger, "method") or "mean"),
        action=_direction(trigger, comparison),
    )


def _last_number(text: str) -> int | float | None:
    found = re.search(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*%?\s*$", text[-80:])
    return (float(found[1]) if "." in found[1] else int(found[1])) if found else None


def _assertions(condition: Value) -> Iterator[tuple[str, str, Value]]:
    """What a condition compares, how and with what: [{cpu_util: [{greater_than: 80}]}]."""
    if isinstance(condition, tuple):
        for entry in condition:
            yield from _assertions(entry)
    elif isinstance(condition, Mapping):
        for name, entry in condition.items():
            clauses = entry if isinstance(entry, tuple) else (entry,)
            compared = [clause for clause in clauses if isinstance(clause, Mapping) and _COMPARISONS.keys() & clause]
            for clause in compared:
                yield from (
                    ("" if name == "constraint" else name, word, clause[word])
                    for word in clause
                    if word in _COMPARISONS
                )
            if not compared and name != "not":  # an alarm cannot turn a comparison round
                yield from _assertions(entry)


def _direction(trigger: Trigger, comparison: str) -> str:
    words = " ".join(_words(trigger.action)).lower()
    if "out" in words or "grow" in words:
        return "grow"
    if "scale_in" in words or "scale-in" in words or "shrink" in words:
        return "shrink"
    return "shrink" if comparison in ("lt", "le") else "grow"


def _part(trigger: Trigger, name: str) -> Value:
    """A part of a trigger, wherever the file has it."""
    for place in (trigger.condition, trigger.extra, trigger.event):
        if isinstance(place, Mapping) and place.get(name) is not None:
            return place[name]
    return None


# what is left
def spoken_for(policy: Policy, scope: Scope) -> Iterator[Item]:
    """A policy that others read."""
    yield from ()


def other(policy: Policy, scope: Scope) -> Iterator[Item]:
    """A policy that nothing in a stack can keep. The stack is what it would be without it."""
    yield left_out(policy, f"{policy.type.name} has no mapping")


def left_out(policy: Policy, why: str, help_: str = "") -> Diagnostic:
    return Diagnostic(rules.POLICY_LEFT_OUT, policy.origin, f"{policy.name!r} is left out: {why}", help_)
