"""YAML in which every value knows where it was written, read by libyaml without recursion.

Values are resolved by the YAML 1.2 core schema, which TOSCA demands, and lazily: most scalars are
only ever looked at as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias, cast

import yaml

from meghdwar.compiler import rules
from meghdwar.diagnostics import Diagnostic, Span

DEPTH_MAX = 64
NODES_MAX = 4_000_000
ALIASED_NODES_MAX = 200_000

MAP, LIST, PLAIN, QUOTED = range(4)
Scalar: TypeAlias = "str | int | float | bool | None"

_COLUMN_BITS = 20
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1
_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TAGS = {
    "tag:yaml.org,2002:" + name
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "binary", "merge")
}


class Node:
    """A YAML value and its place. `value` is dict[str, Node], list[Node] or the scalar's text."""

    __slots__ = ("at", "file", "form", "key_at", "value")

    def __init__(self, form: int, value: object, at: int, file: str, key_at: int = -1) -> None:
        self.form = form
        self.value = value
        self.at = at
        self.key_at = key_at
        self.file = file

    def __repr__(self) -> str:
        return f"Node({self.data()!r} at {self.span})"

    # what it is
    @property
    def is_map(self) -> bool:
        return self.form == MAP

    @property
    def is_list(self) -> bool:
        return self.form == LIST

    @property
    def is_scalar(self) -> bool:
        return self.form >= PLAIN

    @property
    def is_null(self) -> bool:
        return self.form == PLAIN and _WORDS.get(cast(str, self.value), 0) is None

    @property
    def kind(self) -> str:
        """The word for people: map, list, string, integer, float, boolean, null."""
        if self.form == MAP:
            return "map"
        if self.form == LIST:
            return "list"
        return {str: "string", bool: "boolean", int: "integer", float: "float"}.get(type(self.scalar), "null")

    # what it holds
    @property
    def map(self) -> dict[str, Node]:
        """The entries of a map; of anything else (a null section, a wrong kind) nothing."""
        return cast("dict[str, Node]", self.value) if self.form == MAP else {}

    @property
    def list(self) -> list[Node]:
        return cast("list[Node]", self.value) if self.form == LIST else []

    @property
    def text(self) -> str:
        """A scalar as it was written, whatever YAML would make of it; "" for collections."""
        return cast(str, self.value) if self.form >= PLAIN else ""

    @property
    def scalar(self) -> Scalar:
        """A scalar as the core schema resolves it: a quoted one is always a string."""
        text = self.text
        if self.form != PLAIN:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[:1] in "+-.0123456789":
            if _INTEGER.match(text) and len(text) <= 4000:
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            if _FLOAT.match(text):
                return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").replace(".nan", "nan").replace(".NaN", "nan").replace(".NAN", "nan"))
        return text

    def data(self) -> object:
        """The value as plain Python data."""
        if self.form == MAP:
            return {key: node.data() for key, node in self.map.items()}
        if self.form == LIST:
            return [node.data() for node in self.list]
        return self.scalar

    def get(self, key: str) -> Node | None:
        """The entry of a map; a null entry counts as absent."""
        if self.form != MAP:
            return None
        node = cast("dict[str, Node]", self.value).get(key)
        return None if node is None or node.is_null else node

    def section(self, key: str) -> dict[str, Node]:
        """The entries of a map below `key`; absent and null mean empty."""
        node = self.get(key)
        return node.map if node is not None else {}

    # where it is
    @property
    def span(self) -> Span:
        length = len(self.text.split("\n", 1)[0]) + (2 if self.form == QUOTED else 0) if self.form >= PLAIN else 1
        return Span(self.file, (self.at >> _COLUMN_BITS) + 1, (self.at & _COLUMN_MASK) + 1, max(length, 1))

    @property
    def key_span(self) -> Span:
        """The place of the key that this value stands under, or of the value itself."""
        if self.key_at < 0:
            return self.span
        return Span(self.file, (self.key_at >> _COLUMN_BITS) + 1, (self.key_at & _COLUMN_MASK) + 1)

    def under(self, key_at: int) -> Node:
        """The same value under another key, as an alias or a merge puts it."""
        return Node(self.form, self.value, self.at, self.file, key_at)

    def walk(self) -> Iterator[Node]:
        """Every node from here down, this one first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.form == MAP:
                stack.extend(reversed(node.map.values()))
            elif node.form == LIST:
                stack.extend(reversed(node.list))


def empty(file: str) -> Node:
    return Node(MAP, {}, 0, file)
