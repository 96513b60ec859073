"""Holds the inputs that are given to `mdw up` against what the stack says of its parameters: types and constraints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from meghdwar.bundle import BundleError
from meghdwar.diagnostics import nearest

# type of a parameter -> what its value may be; True and False are no numbers
KINDS: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "string": (str, int, float),
    "boolean": (bool,),
    "json": (dict, list),
    "comma_delimited_list": (list, str),
}


def check(plan_file: str, declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, object]) -> None:
    """Raises BundleError for an input that there is not, or whose value does not fit. `declared` are the parameters of
    the stack, by name, as its template has them."""
    for name, value in given.items():
        if name not in declared:
            raise BundleError(f"cannot use {plan_file}: it has no input {name!r}; {nearest(name, declared)}")
        kind = str(declared[name].get("type", "string"))
        if not isinstance(value, KINDS.get(kind, (object,))) or (isinstance(value, bool) and kind == "number"):
            raise BundleError(f"cannot use {plan_file}: the input {name} is a {kind}, and {value!r} is none")
        for constraint in declared[name].get("constraints", ()):
            for word, operand in constraint.items():
                if word in CONSTRAINTS and not CONSTRAINTS[word](value, operand):
                    why = constraint.get("description") or f"{word.replace('_', ' ')} {_shown(operand)}"
                    raise BundleError(f"cannot use {plan_file}: the input {name} is {value!r}, and has to fit: {why}")


def _range(value: Any, limits: Mapping[str, Any]) -> bool:
    return (limits.get("min") is None or value >= limits["min"]) and (
        limits.get("max") is None or value <= limits["max"]
    )


CONSTRAINTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "range": _range,
    "length": lambda value, limits: _range(len(value if isinstance(value, dict | list) else str(value)), limits),
    "allowed_values": lambda value, allowed: value in allowed,
    "allowed_pattern": lambda value, pattern: re.fullmatch(str(pattern), str(value)) is not None,
}


def _shown(operand: Any) -> str:
    if isinstance(operand, Mapping):
        return ", ".join(f"{key} {value}" for key, value in operand.items())
    return ", ".join(map(str, operand)) if isinstance(operand, list) else str(operand)
