"""Servers of one zone, or each in a zone of its own (AffinityRule and AntiAffinityRule of SOL001, with scope zone).

What the zones of a cloud are called no descriptor knows: the stack asks for them by parameters, one for servers that
belong together, and one for each that has to be apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from meghdwar.compiler.lower import policies
from meghdwar.compiler.lower.scope import Scope
from meghdwar.compiler.topology import Policy
from meghdwar.model import Element, Input, Parameter, Server


def asked(scope: Scope) -> dict[str, Input]:
    """Server -> the parameter that is its zone. Who belongs together stays so beside others that it is to be apart
    from."""
    rules = [policy for policy in scope.topology.policies.values() if policies.by_zone(policy, scope)]
    found: dict[str, Input] = {}
    for policy in sorted(rules, key=policies.is_apart):
        members = policies.servers_of(policy, scope)
        if policies.is_apart(policy):
            for member in members if len(members) > 1 else ():
                if member not in found:
                    others = ", ".join(other for other in members if other != member)
                    found[member] = _input(f"{member}_zone", policy, f"The zone of {member}, none of {others}", scope)
        elif members:
            together = next((found[member] for member in members if member in found), None)
            shared = together or _input(f"{policy.name}_zone", policy, f"The zone of {', '.join(members)}", scope)
            found |= dict.fromkeys(members, shared)
    return found


def _input(name: str, policy: Policy, description: str, scope: Scope) -> Input:
    while name in scope.topology.inputs:
        name += "_"
    return Input(name, "string", policy.origin, description=description)


def placed(elements: Iterable[Element], scope: Scope) -> tuple[list[Element], list[Input]]:
    """The elements, with each server in its zone unless it says one itself, and the parameters that this takes."""
    zones, used, result = asked(scope), dict[str, Input](), list[Element]()
    for element in elements:
        if isinstance(element, Server) and element.zone is None and element.name in zones:
            zone = used.setdefault(zones[element.name].name, zones[element.name])
            result.append(replace(element, zone=Parameter(zone.name)))
        else:
            result.append(element)
    return result, list(used.values())
