"""The functions of TOSCA: what they are called with, what they may refer to, and what they come to.

Source: TOSCA Simple Profile in YAML 1.3, chapter 4; TOSCA 2.0, chapter 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from meghdwar.compiler.service import Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import Schema, TypeDef

MANY = 1 << 16
_NAME = re.compile(r"[A-Za-z_][\w.:-]*")


@dataclass(frozen=True, slots=True)
class Signature:
    """How many arguments a function takes, the primitive that it gives ("" when it depends), and whether one
    argument may stand without a list round it."""

    low: int
    high: int
    result: str = ""
    bare: bool = False


FUNCTIONS_1: Mapping[str, Signature] = {
    "get_input": Signature(1, MANY, bare=True),
    "get_property": Signature(2, MANY),
    "get_attribute": Signature(2, MANY),
    "get_operation_output": Signature(4, MANY),
    "get_nodes_of_type": Signature(1, 1, "list", bare=True),
    "get_artifact": Signature(2, 4, "string"),
    "concat": Signature(1, MANY, "string"),
    "join": Signature(1, 2, "string"),
    "token": Signature(3, 3, "string"),
}

FUNCTIONS_2: Mapping[str, Signature] = {
    "get_input": Signature(1, MANY, bare=True),
    "get_property": Signature(2, MANY),
    "get_attribute": Signature(2, MANY),
    "get_artifact": Signature(2, 4, "string"),
    "value": Signature(0, MANY, bare=True),
    "node_index": Signature(0, MANY, "integer"),
    "relationship_index": Signature(0, MANY, "integer"),
    "available_allocation": Signature(2, MANY),
    "and": Signature(1, MANY, "boolean"),
    "or": Signature(1, MANY, "boolean"),
    "not": Signature(1, 1, "boolean", bare=True),
    "xor": Signature(2, 2, "boolean"),
    "equal": Signature(2, 2, "boolean"),
    "greater_than": Signature(2, 2, "boolean"),
    "greater_or_equal": Signature(2, 2, "boolean"),
    "less_than": Signature(2, 2, "boolean"),
    "less_or_equal": Signature(2, 2, "boolean"),
    "valid_values": Signature(2, 2, "boolean"),
    "matches": Signature(2, 2, "boolean"),
    "has_suffix": Signature(2, 2, "boolean"),
    "has_prefix": Signature(2, 2, "boolean"),
    "contains": Signature(2, 2, "boolean"),
    "has_entry": Signature(2, 2, "boolean"),
    "has_key": Signature(2, 2, "boolean"),
    "has_all_entries": Signature(2, 2, "boolean"),
    "has_all_keys": Signature(2, 2, "boolean"),
    "has_any_entry": Signature(2, 2, "boolean"),
    "has_any_key": Signature(2, 2, "boolean"),
    "length": Signature(1, 1, "integer", bare=True),
    "concat": Signature(1, MANY),
    "join": Signature(1, 2, "string"),
    "token": Signature(3, 3, "string"),
    "union": Signature(1, MANY, "list"),
    "intersection": Signature(1, MANY, "list"),
    "sum": Signature(1, MANY),
    "difference": Signature(2, 2),
    "product": Signature(1, MANY),
    "quotient": Signature(2, 2),
    "remainder": Signature(2, 2),
    "round": Signature(1, 1, "integer", bare=True),
    "floor": Signature(1, 1, "integer", bare=True),
    "ceil": Signature(1, 1, "integer", bare=True),
}

REFERENCES = ("get_property", "get_attribute")


@dataclass(frozen=True, slots=True)
class Call:
    """A function as it stands in a file; `arguments` are those of the list, or the one that stands without."""

    name: str
    node: Node
    argument: Node | None
    signature: Signature | None  # None: a function of the file's own, or one that nobody knows
    custom: Node | None = None

    @property
    def arguments(self) -> list[Node]:
        if self.argument is None or (self.argument.is_null and self.signature is not None and self.signature.low == 0):
            return []
        return self.argument.list if self.argument.is_list else [self.argument]


def call(node: Node, here: Here) -> Call | None:
    """The function call that a value is, or None when it is plain data."""
    if here.major == "1":
        if node.is_map and len(node.map) == 1:
            ((name, argument),) = node.map.items()
            signature = FUNCTIONS_1.get(name)
            if signature is not None:
                return Call(name, node, argument, signature)
        return None
    if node.is_map and len(node.map) == 1:
        ((name, argument),) = node.map.items()
        if name[:1] == "$" and name[:2] != "$$":
            name = name[1:].partition("$")[0]  # what follows a second $ only tells calls apart
            return Call(name, node, argument, FUNCTIONS_2.get(name), here.scope.functions.get(name))
    elif node.is_scalar and node.text[:1] == "$" and _NAME.fullmatch(node.text[1:]):
        name = node.text[1:]
        return Call(name, node, None, FUNCTIONS_2.get(name), here.scope.functions.get(name))
    return None


def value_of(output: Node, here: Here) -> Node | None:
    """The value of an output, which 2.0 may write without its `value` key."""
    if here.major == "2" and (not output.is_map or call(output, here) is not None):
        return None if output.is_null else output
    return output.get("value")


def is_through(type_: TypeDef, name: str) -> bool:
    """Whether a name leads on to a capability, or through a requirement to another node."""
    return name in type_.capabilities or name in type_.requirements


def result(found: Call, here: Here) -> tuple[str, Schema | None]:
    """The primitive that a call gives, as far as can be told, and the schema behind it."""
    if found.signature is None:
        return "", None
    if found.signature.result:
        return found.signature.result, None
    arguments = found.arguments
    if found.name == "get_input" and here.service is not None and arguments and arguments[0].is_scalar:
        schema = follow(here.service.inputs.get(arguments[0].text), arguments[1:])
        return (schema.base if schema else ""), schema
    if len(arguments) < 2:
        return "", None
    if found.name == "get_property" and here.service is not None and arguments[0].is_scalar and arguments[1].is_scalar:
        bound = here.service.entity(arguments[0].text, here, arguments[1].text)
        type_ = bound.type if bound is not None else None
        if type_ is not None and not is_through(type_, arguments[1].text):
            schema = follow(type_.properties.get(arguments[1].text), arguments[2:])
            return (schema.base if schema else ""), schema
    return "", None


def follow(schema: Schema | None, path: list[Node]) -> Schema | None:
    for step in path:
        if schema is None:
            return None
        if schema.base == "complex" and schema.data is not None:
            schema = schema.data.properties.get(step.text)
        elif schema.base in ("list", "map"):
            schema = schema.entry
        else:
            return None
    return schema
