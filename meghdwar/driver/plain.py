"""Instances and how gateways are reached as JSON text for the database, and back exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from meghdwar.driver.hypervisor import Access
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.operation import Fenced
from meghdwar.model import Ready


def to_text(value: object) -> str:
    """Plain data, or a dataclass of plain data, as JSON. What JSON has no word for is written as its text."""
    return json.dumps(_data(value), separators=(",", ":"), default=str)


@lru_cache(4096)  # a list of instances is asked for again and again
def to_instance(text: str) -> Instance:
    data = json.loads(text)
    data["ready"] = Ready(**_tuples(data["ready"], "command"))
    data["disks"] = tuple(Disk(**disk) for disk in data["disks"])
    data["files"] = tuple(Files(**_tuples(files, "paths")) for files in data["files"])
    return Instance(**_tuples(data, "ports", "command", "quiesce"))


def to_access(text: str) -> Access:
    data = json.loads(text)
    for name in ("client_certificate", "client_key", "images"):
        if data[name] is not None:
            data[name] = Path(data[name])
    return Access(**data)


def to_fenced(text: str | None) -> Fenced | None:
    return None if text is None else Fenced(**json.loads(text))


def _data(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _data(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _data(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_data(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _tuples(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return data | {name: tuple(data[name]) for name in names}


def fit(text: str) -> str:
    """The text without what no database takes (half of a surrogate pair, NUL): no error message may break the
    journal that it is to be written to."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
