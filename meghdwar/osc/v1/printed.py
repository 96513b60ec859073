"""How things are printed: the columns of lists, and one thing as names and values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Rows = tuple[Sequence[str], Iterable[Sequence[Any]]]


def rows(found: Iterable[Mapping[str, Any]], *columns: str) -> Rows:
    return tuple(each.replace("_", " ").capitalize() for each in columns), [
        tuple(_value(each.get(column)) for column in columns) for each in found
    ]


def one(found: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Any]]:
    return tuple(found), tuple(_value(each) for each in found.values())


def _value(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def pairs(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, each value as YAML has it. Raises CommandError."""
    import yaml
    from osc_lib import exceptions

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise exceptions.CommandError(f"cannot read {text!r}: it has to be NAME=VALUE")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            found[name] = value
    return found
