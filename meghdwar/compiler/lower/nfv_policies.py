"""The policies of ETSI SOL001 that say how many of a VDU there are, and how its ports are guarded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler.known import at, number
from meghdwar.compiler.lower.policies import left_out
from meghdwar.compiler.lower.scope import Item, Scope, is_server
from meghdwar.compiler.lower.standard import read
from meghdwar.compiler.topology import Policy
from meghdwar.model import ServerScaling, Value

DELTAS = "tosca.policies.nfv.VduScalingAspectDeltas"
INITIAL = "tosca.policies.nfv.VduInitialDelta"
LEVELS = "tosca.policies.nfv.VduInstantiationLevels"


def fixed(policy: Policy, scope: Scope) -> Iterator[Item]:
    """How many of a VDU there are, for the VDUs that no aspect scales: as the default level says, else at first."""
    scaled = {name for p in scope.policies(DELTAS) for name in scope.members(p)}
    for name in _vdus(policy, scope):
        level = _default_level(name, scope)
        instances = _initial(name, scope) if level is None else level
        if name not in scaled and instances != 1 and policy is _first(name, scope, INITIAL, LEVELS):
            yield ServerScaling(
                name=scope.unused(f"{name}_scaling"),
                members=(name,),
                origin=policy.origin,
                minimum=instances,
                maximum=instances,
                default=instances,
            )
    yield from _one_of_it(policy, scope)


def scaling(policy: Policy, scope: Scope) -> Iterator[Item]:
    """A VDU between its first delta and the last level of all its aspects; it starts at the default level.

    A call scales it by the first step of its first aspect.
    """
    steps = _steps(policy, scope)
    if not steps:
        yield left_out(policy, "it says by how much only in deltas that do not exist")
        return
    for name in _vdus(policy, scope):
        if policy is not _first(name, scope, DELTAS):
            continue
        amounts = [step for p in scope.policies(DELTAS) if name in scope.members(p) for step in _steps(p, scope)]
        first = _initial(name, scope)
        highest = max(first + sum(amounts), first)
        level = _default_level(name, scope)
        yield ServerScaling(
            name=scope.unused(f"{name}_scaling"),
            members=(name,),
            origin=policy.origin,
            minimum=first,
            maximum=highest,
            default=min(max(level if level is not None else first, first), highest),
            step=max(steps[0], 1),
            cluster_if_bare=True,
        )
        if len(set(amounts)) > 1:
            why = f"a call scales {name!r} by {max(steps[0], 1)}, and its levels are not all as far apart"
            yield left_out(policy, f"in part: {why}", "give its aspects one delta")
    yield from _one_of_it(policy, scope)


def security_rule(policy: Policy, scope: Scope) -> Iterator[Item]:
    """Part of the ports that it is about."""
    if not any(scope.topology.templates[name].type.is_a("tosca.nodes.nfv.VduCp") for name in scope.members(policy)):
        yield left_out(policy, "none of its targets is a port of a server", "name connection points of VDUs")


def _vdus(policy: Policy, scope: Scope) -> Iterator[str]:
    servers = (name for name in scope.members(policy) if is_server(scope.topology.templates[name]))
    return (name for name in servers if name not in scope.moving)


def _one_of_it(policy: Policy, scope: Scope) -> Iterator[Item]:
    """What moves is one thing: that there are to be more of it is said to nobody."""
    for name in scope.members(policy):
        if name in scope.moving and (policy.type.is_a(DELTAS) or (_default_level(name, scope) or 1) != 1):
            yield left_out(policy, f"{name!r} follows a subscriber, and there is one of it")


def _first(name: str, scope: Scope, *types: str) -> Policy | None:
    """The first policy of one of the types that is about a VDU."""
    policies = (p for p in scope.topology.policies.values() if any(p.type.is_a(type_) for type_ in types))
    return next((policy for policy in policies if name in scope.members(policy)), None)


def _steps(policy: Policy, scope: Scope) -> list[int]:
    """By how much each level of an aspect is more than the one before."""
    aspect, deltas = read(policy, scope, "aspect"), read(policy, scope, "deltas")
    found = [at(read(p, scope, "aspects"), (str(aspect),)) for p in scope.policies("tosca.policies.nfv.ScalingAspects")]
    said = next((entry for entry in found if entry is not None), None)
    levels = number(at(said, ("max_scale_level",))) or 1
    order = at(said, ("step_deltas",))
    amounts = {key: number(at(entry, ("number_of_instances",))) or 0 for key, entry in _map(deltas).items()}
    listed = [amounts[str(key)] for key in order if str(key) in amounts] if isinstance(order, tuple) else []
    listed = listed or list(amounts.values())
    return [listed[min(level, len(listed) - 1)] for level in range(min(levels, 1000))] if listed else []


def _map(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _initial(name: str, scope: Scope) -> int:
    policy = _first(name, scope, INITIAL)
    found = number(scope.known(at(read(policy, scope, "initial_delta"), ("number_of_instances",))))
    return 1 if found is None else found


def _default_level(name: str, scope: Scope) -> int | None:
    """How many of a VDU the default instantiation level wants, or the only one that there is."""
    for levels in scope.policies("tosca.policies.nfv.InstantiationLevels"):
        known = _map(read(levels, scope, "levels"))
        default = read(levels, scope, "default_level") or (next(iter(known)) if len(known) == 1 else None)
        if default is None:
            continue
        for policy in scope.policies(LEVELS):
            if name in scope.members(policy):
                return number(at(read(policy, scope, "levels"), (str(default), "number_of_instances")))
        return _at_scale(name, _map(at(known.get(str(default)), ("scale_info",))), scope)
    return None


def _at_scale(name: str, scale: Mapping[str, Value], scope: Scope) -> int | None:
    """The same for a level that says it by the levels of aspects."""
    aspects = [p for p in scope.policies(DELTAS) if name in scope.members(p) and str(read(p, scope, "aspect")) in scale]
    if not aspects:
        return None
    reached = [
        sum(_steps(p, scope)[: number(at(scale[str(read(p, scope, "aspect"))], ("scale_level",))) or 0])
        for p in aspects
    ]
    return _initial(name, scope) + sum(reached)
