"""Scalars: whether a text is one of the type that is wanted, and the datum that it stands for.

Source: TOSCA Simple Profile in YAML 1.3, section 3.3; TOSCA 2.0, section 9.1. 1.x is read as generously as real files
are written: what is understood although it is written loosely is only warned of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from meghdwar.compiler import rules, units
from meghdwar.compiler.source import PLAIN, Node
from meghdwar.compiler.types import Schema, TypeDef
from meghdwar.diagnostics import Diagnostic, did_you_mean

SCALAR_UNITS = ("scalar-unit.size", "scalar-unit.time", "scalar-unit.frequency", "scalar-unit.bitrate")
_INTEGER = re.compile(r"\s*[-+]?[0-9]{1,4000}\s*", re.ASCII)  # Python reads no longer number from a text
_UNIT = re.compile(r"(?<=[0-9.])\s*([^0-9.eE+\s-]|[eE](?![0-9+-])).*", re.DOTALL)
_A = {
    "integer": "an integer", "scalar-unit.size": "a size", "scalar-unit.time": "a time",
    "scalar-unit.frequency": "a frequency", "scalar-unit.bitrate": "a bit rate",
}  # fmt: skip
_LOOSE_BOOLEANS = {
    "yes": True, "no": False, "on": True, "off": False, "Yes": True, "No": False, "YES": True, "NO": False,
}  # fmt: skip


def a(schema: Schema) -> str:
    """The words for a schema: "a string", "an integer", "a list"."""
    base = schema.base
    return f"a map of type {schema.type_name}" if base == "complex" else _A.get(base, f"a {base}")


def wrong(node: Node, schema: Schema, help_: str = "") -> Diagnostic:
    """A value of another kind than the schema's."""
    shown = f" {node.text[:40]!r}" if node.is_scalar and not node.is_null else ""
    kind = "nothing" if node.is_null else ("an " if node.kind == "integer" else "a ") + node.kind
    message = f"cannot use {kind}{shown} where {a(schema)} is expected"
    return Diagnostic(rules.WRONG_TYPE, node.span, message, help_ or f"write {a(schema)}")


def check(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    """What is wrong with a scalar of a primitive type; a warning when it is understood all the same."""
    checker = CHECKS.get(schema.base)
    return checker(node, schema, major) if checker is not None else None


def _loose(node: Node, message: str, help_: str) -> Diagnostic:
    return Diagnostic(rules.LOOSE_TYPE, node.span, f"{node.text!r} is read as {message}", help_)


def _string(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    if isinstance(node.scalar, str):
        return None
    help_ = f'put it in quotes: "{node.text}"'
    if major == "2" and schema.type_name == "string":
        return wrong(node, schema, help_)
    return _loose(node, f"text although it looks like {_A.get(node.kind, 'a ' + node.kind)}", help_)


def _integer(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    value = node.scalar
    if type(value) is int and (major == "1" or -(1 << 63) <= value < 1 << 63):
        return None
    if isinstance(value, str) and node.form != PLAIN and major == "1" and is_integer(node.text):
        return _loose(node, "an integer although it is in quotes", "remove the quotes")
    return wrong(node, schema)


def _float(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    value = node.scalar
    if type(value) in (int, float):
        return None
    if isinstance(value, str) and node.form != PLAIN and major == "1" and is_float(node.text):
        return _loose(node, "a float although it is in quotes", "remove the quotes")
    return wrong(node, schema)


def _boolean(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    text = node.text
    if isinstance(node.scalar, bool) and (major == "1" or text in ("true", "false")):
        return None
    if major == "1" and (text in _LOOSE_BOOLEANS or text.lower() in ("true", "false")):
        word = "true" if boolean(text) else "false"
        return _loose(node, word, f"write {word}")
    return wrong(node, schema, "write " + (text.lower() if isinstance(node.scalar, bool) else "true or false"))


def _bytes(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    if units.base64(node.text) is not None and isinstance(node.scalar, str):
        return None
    message = f"cannot read {node.text[:40]!r} as bytes: they are written in base64"
    help_ = "use letters, digits, + and /, and = to fill up to a multiple of four"
    return Diagnostic(rules.BAD_BYTES, node.span, message, help_)


def _nil(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    return wrong(node, schema)


def _timestamp(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    if units.timestamp(node.text, space=major == "1") is not None:
        return None
    message = f"cannot read {node.text[:40]!r} as a timestamp"
    return Diagnostic(rules.BAD_TIMESTAMP, node.span, message, "write it as 2026-01-31T12:00:00Z")


def _version(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    if units.version(node.text) is not None and (major == "1" or isinstance(node.scalar, str)):
        return None
    message = f"cannot read {node.text[:40]!r} as a version"
    return Diagnostic(rules.BAD_VERSION_VALUE, node.span, message, "write it as 1.0, 1.0.0 or 1.0.0.alpha-10")


def _unit(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    if units.parse(schema.base, node.text) is not None:
        return None
    return _bad_unit(node, _A[schema.base], units.unit_names(schema.base))


def _user_unit(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    """2.0: a scalar of a type with units of its own."""
    type_ = schema.data
    if type_ is None or type_.units is None or user_number(node.text, type_) is not None:
        return None
    return _bad_unit(node, type_.name, tuple(type_.units))


def _bad_unit(node: Node, what: str, known: tuple[str, ...]) -> Diagnostic:
    unit = node.text.strip().lstrip("+-0123456789.eE ")
    message = f"cannot read {node.text[:40]!r} as {what}: it is a number and a unit"
    return Diagnostic(rules.BAD_UNIT, node.span, message, did_you_mean(unit, known) or "units are " + ", ".join(known))


CHECKS: Mapping[str, Callable[[Node, Schema, str], Diagnostic | None]] = {
    "string": _string,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "bytes": _bytes,
    "nil": _nil,
    "null": _nil,
    "timestamp": _timestamp,
    "version": _version,
    "scalar": _user_unit,
    **dict.fromkeys(SCALAR_UNITS, _unit),
}


def is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None


def is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def boolean(text: str) -> bool:
    return _LOOSE_BOOLEANS.get(text, text.lower() == "true")


def user_number(text: str, type_: TypeDef) -> float | int | None:
    """2.0: the number of a scalar in the type's own measure."""
    factors = {name: node.scalar for name, node in (type_.units or {}).items() if isinstance(node.scalar, (int, float))}
    return units.scale(prefixed(factors, type_), text)


def prefixed(factors: Mapping[str, int | float], type_: TypeDef) -> dict[str, int | float]:
    """2.0: the units of a scalar type, also with each of its prefixes."""
    found = dict(factors)
    for prefix, node in type_.prefixes.items():
        multiplier = node.scalar
        if isinstance(multiplier, (int, float)):
            found = {prefix + unit: multiplier * factor for unit, factor in factors.items()} | found
    return found


def number_of(node: Node) -> Node:
    """2.0: the number in a scalar that has a unit, at its place."""
    text = node.text.lstrip()
    return Node(PLAIN, _UNIT.sub("", text), node.at + len(node.text) - len(text), node.file, node.key_at)


def datum(node: Node, schema: Schema) -> object:
    """The plain value for comparisons: numbers for scalars with units; None when it cannot be told."""
    if not node.is_scalar:
        return node.data()
    base, text = schema.base, node.text
    if base in SCALAR_UNITS:
        return units.parse(base, text)
    if base == "scalar" and schema.data is not None:
        return user_number(text, schema.data)
    if base in ("string", "bytes"):
        return text
    if base == "version":
        return units.version(text)
    if base == "timestamp":
        return units.timestamp(text)
    if base == "integer":
        return int(text) if is_integer(text) else node.scalar
    if base == "float":
        return float(text) if is_float(text) else node.scalar
    if base == "boolean":
        return boolean(text)
    return node.scalar


def read(text: str, schema: Schema) -> object:
    """A text beside a value of this schema, as such a value: "4 GB" beside a size."""
    return None if schema.base == "string" else datum(Node(PLAIN, text, 0, ""), schema)
