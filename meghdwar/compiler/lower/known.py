"""Values that have to be known while compiling: inputs replaced by what was given for them, or by their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from meghdwar.compiler.topology import Topology
from meghdwar.model import EXPRESSIONS, Join, Parameter, Token, Value, expressions


def known(topology: Topology, value: Value) -> Value:
    """The value with every input that has a value replaced by it. What is still open stays an expression."""
    match value:
        case Parameter(name, path):
            return _input(topology, value, name, path)
        case Join(parts, separator):
            pieces = tuple(known(topology, part) for part in parts)
            if any(isinstance(piece, EXPRESSIONS) for piece in pieces):
                return Join(pieces, separator)
            return separator.join(text_of(piece) for piece in pieces)
        case Token(text, separator, index):
            whole = known(topology, text)
            if isinstance(whole, EXPRESSIONS):
                return Token(whole, separator, index)
            pieces_ = text_of(whole).split(separator) if separator else [text_of(whole)]
            return pieces_[index] if -len(pieces_) <= index < len(pieces_) else ""
        case Mapping():
            return {key: known(topology, entry) for key, entry in value.items()}
        case tuple():
            return tuple(known(topology, entry) for entry in value)
    return value


def is_known(value: Value) -> bool:
    return next(expressions(value), None) is None


def text_of(value: Value) -> str:
    """A plain value as the text that it would be in a descriptor."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _input(topology: Topology, parameter: Parameter, name: str, path: tuple[str | int, ...]) -> Value:
    found: Value = topology.given.get(name)
    if found is None:
        declared = topology.inputs.get(name)
        found = declared.default if declared else None
    if found is None:
        return parameter
    for step in path:
        if isinstance(found, Mapping) and step in found:
            found = found[cast(str, step)]
        elif isinstance(found, tuple) and isinstance(step, int) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return parameter
    return found if isinstance(found, EXPRESSIONS) else known(topology, found)
