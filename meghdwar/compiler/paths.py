"""TOSCA paths: from a node over its requirements to other nodes, relationships and capabilities.

Source: TOSCA 2.0, section 10.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from meghdwar.compiler.service import Bound
from meghdwar.compiler.source import Node, empty

STEPS = ("RELATIONSHIP", "CAPABILITY", "SOURCE", "TARGET")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path leads: a node or relationship, perhaps one of its capabilities, and the steps that are left.

    Without a `bound` nobody can tell before deployment. `missing` is a step that names nothing.
    """

    bound: Bound | None
    capability: str | None = None
    rest: tuple[Node, ...] = ()
    missing: Node | None = None


def is_path(path: list[Node]) -> bool:
    """Whether these are steps of a path of 2.0 and not just the name of a property."""
    return bool(path) and (path[0].text in STEPS or _is_index(path[0]))


def follow(start: Bound, path: list[Node]) -> Spot:
    """Where the steps after the name of a node or relationship lead."""
    here: Bound | None = start
    rest = path[1:] if path and _is_index(path[0]) else list(path)  # which of several, and they are alike
    while here is not None and rest and rest[0].text in STEPS:
        step, rest = rest[0].text, rest[1:]
        if here.kind == "relationship":
            if step == "CAPABILITY":
                return _target_capability(here, rest)
            here = {"SOURCE": here.source, "TARGET": here.target}.get(step)
        elif step == "CAPABILITY":
            if len(rest) > 1 and rest[1].text == "RELATIONSHIP":
                return Spot(None)  # whoever comes in
            if not rest or here.type is None or here.type.broken:
                return Spot(None)
            name = rest[0].text
            if name not in here.type.capabilities:
                name = next((key for key, item in here.type.capabilities.items() if item.type_name == name), "")
            return Spot(here, name, tuple(rest[1:])) if name else Spot(here, missing=rest[0])
        elif step == "RELATIONSHIP" and rest:
            spot, rest = _relationship(here, rest)
            if spot.missing is not None:
                return spot
            here = spot.bound
        else:
            return Spot(None)
    return Spot(here, None, tuple(rest))


def _is_index(step: Node) -> bool:
    return step.is_map or step.text in ("ALL", "$node_index", "$relationship_index") or type(step.scalar) is int


def _relationship(here: Bound, rest: list[Node]) -> tuple[Spot, list[Node]]:
    """The relationship of a requirement, and the steps after it and its index."""
    name, after = rest[0], rest[1:]
    if here.type is not None and not here.type.broken and name.text not in here.type.requirements:
        return Spot(here, missing=name), after
    number = 0
    if after and _is_index(after[0]):
        number, after = (after[0].scalar if type(after[0].scalar) is int else 0), after[1:]
    fills = [fill for fill in here.fills if fill.name == name.text]
    if number >= len(fills):
        return Spot(None), after
    fill = fills[number]
    made = fill.relationship
    if made is None or made.target is not fill.target or made.source is not here:
        node = made.node if made is not None else empty(name.file)
        made = Bound("", "relationship", node, made.type if made else None, here.scope, source=here, target=fill.target)
    return Spot(made), after


def _target_capability(relationship: Bound, rest: list[Node]) -> Spot:
    """The capability that a relationship leads to."""
    if rest and rest[0].text == "RELATIONSHIP":
        return Spot(None)
    source, target = relationship.source, relationship.target
    fills = source.fills if source is not None else []
    fill = next((fill for fill in fills if fill.relationship is relationship), None)
    fill = fill or next((fill for fill in fills if fill.target is target and fill.capability is not None), None)
    if fill is None or fill.capability is None or target is None:
        return Spot(None)
    return Spot(target, fill.capability, tuple(rest))
