"""Values as far as they are known while compiling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from meghdwar.model import Attribute, Join, Parameter, Token, Value


def known(value: Value, inputs: Mapping[str, Value]) -> Value:
    """`value` as plain data when the inputs say all that it needs, else None."""
    match value:
        case Parameter(name, path):
            return at(inputs.get(name), path)
        case Join(parts, separator):
            texts = [known(part, inputs) for part in parts]
            return None if None in texts else separator.join(str(text) for text in texts)
        case Token(text, separator, index):
            whole = known(text, inputs)
            pieces = whole.split(separator) if isinstance(whole, str) and separator else []
            return pieces[index] if -len(pieces) <= index < len(pieces) else None
        case Attribute():
            return None
        case Mapping():
            entries = {key: known(entry, inputs) for key, entry in value.items()}
            return None if any(entries[key] is None and value[key] is not None for key in entries) else entries
        case tuple():
            items = tuple(known(item, inputs) for item in value)
            return (
                None if any(new is None and old is not None for new, old in zip(items, value, strict=True)) else items
            )
    return value


def at(value: Value, path: Iterable[str | int]) -> Value:
    """What stands at a path inside a value, or None."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, tuple) and str(step).isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def number(value: Value) -> int | None:
    """A whole number, also when it was written as a float or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(cast("float | str", value))
    except (ValueError, OverflowError):
        return None
