"""Inputs: what a template declares, and the values that come from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from meghdwar.compiler import rules, values
from meghdwar.compiler.service import Here, Service
from meghdwar.compiler.source import LIST, MAP, PLAIN, QUOTED, Node
from meghdwar.compiler.types import Schema
from meghdwar.diagnostics import Diagnostic, did_you_mean
from meghdwar.model import Constraint, Input, Value

GIB = 1 << 30
UNITS: Mapping[str, str] = {
    "scalar-unit.size": "GiB",
    "scalar-unit.time": "s",
    "scalar-unit.frequency": "Hz",
    "scalar-unit.bitrate": "bit/s",
}
_KINDS: Mapping[str, str] = {
    "string": "string", "integer": "integer", "float": "float", "boolean": "boolean", "map": "map", "complex": "map",
    "list": "list", "range": "list", "scalar-unit.size": "integer", "scalar-unit.time": "float",
    "scalar-unit.frequency": "float", "scalar-unit.bitrate": "float", "scalar": "float",
}  # fmt: skip


def declared(name: str, schema: Schema, evaluate: Callable[[Node, Schema | None, Here], Value]) -> Input:
    """The model's input; sizes are counted in GiB, as the parameter of a stack has to."""
    description, required = schema.node.get("description"), schema.node.get("required")
    metadata = schema.node.get("metadata")
    default = schema.default if schema.default is not None else schema.fixed
    here = Here(None, schema.scope)
    return Input(
        name=name,
        kind=_KINDS.get(schema.base, "string"),
        origin=schema.node.key_span,
        default=counted(evaluate(default, schema, here), schema) if default is not None else None,
        description=" ".join(description.text.split()) if description is not None else "",
        constraints=tuple(
            Constraint(clause.operator, counted(_operand(clause.operand, clause.words), schema))
            for clause in values.clauses(schema)
        ),
        secret=_is_secret(name, schema, metadata),
        required=required is None or required.scalar is not False,
        unit=UNITS.get(measure(schema), ""),
        entry=schema.entry.base if schema.entry is not None else "",
    )


_SECRET = ("password", "passwd", "passphrase", "secret", "private_key", "privatekey")


def _is_secret(name: str, schema: Schema, metadata: Node | None) -> bool:
    """What `metadata: {secret: true}` says; without it the name and the type tell."""
    said = metadata.get("secret") if metadata is not None else None
    if said is not None:
        return said.text == "true"
    credential = schema.data is not None and schema.data.is_a("tosca.datatypes.Credential")
    return credential or any(word in name.lower().replace("-", "_") for word in _SECRET)


def measure(schema: Schema) -> str:
    """The type with units that an input has, by its name in 1.x; in 2.0 a type says which of them it equals."""
    if schema.base in UNITS or schema.data is None:
        return schema.base
    return next((name for name in UNITS if schema.data.is_a(name)), schema.base)


def counted(value: Value, schema: Schema) -> Value:
    """A value in the measure of its input: GiB instead of bytes."""
    if measure(schema) != "scalar-unit.size":
        return value
    if isinstance(value, tuple):
        return tuple(counted(item, schema) for item in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value // GIB) if value % GIB == 0 else value / GIB
    return value


def _operand(operand: object, words: str) -> Value:
    if isinstance(operand, (list, tuple)):
        return tuple(_operand(item, "") for item in operand)
    if operand is None or isinstance(operand, (str, int, float, bool, dict)):
        return cast(Value, operand)
    return getattr(operand, "text", None) or words.strip("'") or str(operand)


def given(service: Service, wanted: Mapping[str, object]) -> tuple[dict[str, Node], list[Diagnostic]]:
    """The values from outside as nodes, checked against what the template declares."""
    found: dict[str, Node] = {}
    problems: list[Diagnostic] = []
    for name, value in wanted.items():
        node = value if isinstance(value, Node) else node_of(value, f"input {name}")
        schema = service.inputs.get(name)
        if schema is None:
            help_ = did_you_mean(name, service.inputs) or (
                f"it declares {', '.join(service.inputs)}" if service.inputs else "it declares none"
            )
            problems.append(
                Diagnostic(
                    rules.INPUT_NOT_DECLARED,
                    node.key_span,
                    f"cannot set input {name!r}: the template declares none of that name",
                    help_,
                )
            )
            continue
        if schema.base == "string" and node.is_scalar:
            node = Node(QUOTED, node.text, node.at, node.file, node.key_at)
        wrong = [
            Diagnostic(
                rules.INPUT_BAD_VALUE,
                item.span,
                f"cannot set input {name!r}: {item.message.removeprefix('cannot use this value: ')}",
                item.help,
                ((schema.node.key_span, "declared here"),),
            )
            for item in values.check(node, schema, Here(None, schema.scope))
            if item.is_error
        ]
        problems.extend(wrong)
        if not wrong:
            found[name] = node
    return found, problems


def node_of(data: object, file: str) -> Node:
    """Plain data as if it had been read from a file."""
    if isinstance(data, Mapping):
        return Node(MAP, {str(key): node_of(item, file).under(0) for key, item in data.items()}, 0, file)
    if isinstance(data, (list, tuple)):
        return Node(LIST, [node_of(item, file) for item in data], 0, file)
    if data is None:
        return Node(PLAIN, "null", 0, file)
    if isinstance(data, bool):
        return Node(PLAIN, "true" if data else "false", 0, file)
    return Node(PLAIN, str(data), 0, file)
