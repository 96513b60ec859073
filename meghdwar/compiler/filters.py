"""Node filters: which templates answer to the condition that a requirement sets.

Source: TOSCA Simple Profile in YAML 1.3, section 3.6.5; TOSCA 2.0, section 8.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from meghdwar.compiler import constraints, functions, paths, scalars, validation
from meghdwar.compiler.service import Bound, Here, Service
from meghdwar.compiler.source import PLAIN, Node
from meghdwar.compiler.types import Schema


def satisfies(service: Service, source: Bound, bound: Bound, capability: str | None, node_filter: Node) -> bool:
    """Whether a template answers to the filter of a requirement that leads from `source` to one of its capabilities;
    what cannot be told before it runs counts as yes."""
    if service.major == "1":
        return _keeps(bound, node_filter)
    condition = _Condition(service, source, bound, capability)
    return validation.evaluate(condition.known(node_filter), None, condition.read) is not False


# 1.x: limits on properties
def _keeps(bound: Bound, node_filter: Node) -> bool:
    wanted: list[tuple[Mapping[str, Node], str | None, Node | None]] = [
        (bound.assigned("properties"), None, node_filter.get("properties"))
    ]
    capabilities = node_filter.get("capabilities")
    for item in capabilities.list if capabilities is not None else ():
        for name, inner in item.map.items():
            given = bound.assigned("capabilities").get(name)
            wanted.append((given.section("properties") if given is not None else {}, name, inner.get("properties")))
    for given_values, capability, clauses in wanted:
        for item in (
            clauses.list if clauses is not None and clauses.is_list else [clauses] if clauses is not None else []
        ):
            for name, clause in item.map.items():
                if _breaks(bound, capability, name, given_values.get(name), clause):
                    return False
    return True


def _breaks(bound: Bound, capability: str | None, name: str, given: Node | None, clause: Node) -> bool:
    assert bound.type is not None  # noqa: S101 - candidates have a type
    definition = bound.type.capabilities.get(capability) if capability else None
    schema = (definition.properties if definition else bound.type.properties).get(name)
    value_node = given if given is not None else (schema.default if schema else None)
    if schema is None or value_node is None:
        return schema is None
    value = scalars.datum(value_node, schema)
    for item in clause.list if clause.is_list else [clause]:
        parsed = _clause(item, schema) if item.is_map else None
        if parsed is not None and constraints.violation(parsed, value) is not None:
            return True
        if item.is_scalar and scalars.datum(item, schema) != value:
            return True
    return False


@lru_cache(maxsize=64)  # one filter is held against many templates of one type
def _clause(item: Node, schema: Schema) -> constraints.Clause | None:
    return constraints.parse_clause(item, lambda operand: scalars.datum(operand, schema))[0]


# 2.0: a condition in which SELF is the relationship
class _Condition:
    """A condition with what is known of one candidate put in; texts beside a number are read as values like it."""

    def __init__(self, service: Service, source: Bound, bound: Bound, capability: str | None) -> None:
        self.here = Here(service, service.scope, bound)
        self.source = source
        self.bound = bound
        self.capability = capability
        self.measures: list[Schema] = []

    def known(self, node: Node) -> object:
        call = functions.call(node, self.here)
        if call is not None and call.name in functions.REFERENCES:
            found = self.referred(call.arguments)
            return node.data() if found is None else found
        if node.is_map:
            return {key: self.known(item) for key, item in node.map.items()}
        if node.is_list:
            return [self.known(item) for item in node.list]
        return node.scalar

    def referred(self, path: list[Node]) -> object:
        """What a path that begins with SELF comes to, or None."""
        if len(path) < 2 or path[0].text != "SELF" or self.bound.type is None:
            return None
        first, rest = path[1].text, path[2:]
        if first == "CAPABILITY" and rest and rest[0].text not in self.bound.type.capabilities:
            spot = paths.Spot(self.bound, self.capability, tuple(rest))
        elif first in ("SOURCE", "TARGET"):
            spot = paths.follow(self.source if first == "SOURCE" else self.bound, rest)
        else:
            spot = paths.follow(self.bound, path[1:])
        found = _given(spot)
        if found is None or functions.call(found[0], self.here) is not None:
            return None
        self.measures.append(found[1])
        return scalars.datum(*found)

    def read(self, text: str) -> object:
        for schema in self.measures:
            if schema.base != "string":
                return scalars.datum(Node(PLAIN, text, 0, ""), schema)
        return None


def _given(spot: paths.Spot) -> tuple[Node, Schema] | None:
    """The value at the end of a path, or the default for it."""
    bound = spot.bound
    if bound is None or bound.type is None or not spot.rest:
        return None
    name = spot.rest[0].text
    if spot.capability is not None:
        schema = bound.type.capabilities[spot.capability].properties.get(name)
        assigned = bound.assigned("capabilities").get(spot.capability)
        value = assigned.section("properties").get(name) if assigned is not None else None
    else:
        schema, value = bound.type.properties.get(name), bound.assigned("properties").get(name)
    if schema is None:
        return None
    value = value if value is not None else (schema.fixed or schema.default)
    return None if value is None else (value, schema)
