"""YAML in which every value knows where it was written, read by libyaml without recursion.

Values are resolved by the YAML 1.2 core schema, which TOSCA demands, and lazily: most scalars are
only ever looked at as text.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from typing import Any, NoReturn, TypeAlias, cast

import yaml
from yaml._yaml import CParser

from meghdwar.compiler import rules, syntax
from meghdwar.diagnostics import Diagnostic, Rule, Span, did_you_mean

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
_TAG_DIRECTIVE, _TAG_DIRECTIVES_MAX = re.compile(rb"^%TAG", re.MULTILINE), 100
_TAG_PREFIX = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),),
    "str": (), "timestamp": (), "binary": (), "merge": (),
}  # fmt: skip
# keys that no key can be spelt like: a merge to do, a value to forget, a list that will be the key
_MERGE, _DROPPED, _LIST_KEY = "\0<<", "\0", "\0["
_PROBLEMS_MAX = 1000
CALL_KEY = "{$"  # how a key that is a call begins


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
        return self.form == PLAIN and _WORDS.get(self.value, 0) is None  # type: ignore[call-overload]

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
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
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
        node: Node | None = self.value.get(key)  # type: ignore[attr-defined]
        if node is None or (node.form == PLAIN and _WORDS.get(node.value, 0) is None):  # type: ignore[call-overload]
            return None
        return node

    def section(self, key: str) -> dict[str, Node]:
        """The entries of a map below `key`; absent and null mean empty."""
        node: Node | None = self.value.get(key) if self.form == MAP else None  # type: ignore[attr-defined]
        return node.value if node is not None and node.form == MAP else {}  # type: ignore[return-value]

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


def read(text: bytes | str, file: str) -> tuple[Node | None, list[Diagnostic]]:
    """The one document in a file and what is wrong with it as YAML; None when it cannot be used at all."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    reading = _Reading(file)
    collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage before it is whole, and looking for some takes as long as the reading
    try:
        root = reading.document(data)
    except yaml.YAMLError as error:
        return None, [*reading.problems, syntax.explain(error, data, file)]
    except _Refused:
        return None, reading.problems
    finally:
        if collecting:
            gc.enable()
    return root, reading.problems


class _Refused(Exception):
    """The file asks for more than we are willing to build."""


class _Anchor:
    """A value with a name. `size` counts its nodes, those behind aliases too; 0 until it is whole."""

    __slots__ = ("_height", "node", "size")

    def __init__(self, node: Node, size: int) -> None:
        self.node = node
        self.size = size
        self._height = 0

    @property
    def height(self) -> int:
        if not self._height:
            level = [self.node]
            while level:
                self._height += 1
                level = [below for node in level for below in (node.map.values() if node.is_map else node.list)]
        return self._height


class _Reading:
    """One pass over the events of a file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Diagnostic] = []
        self.anchors: dict[str, _Anchor] = {}
        self.aliased = 0
        self.key_places: list[int] = []  # of the lists and maps that are keys, where we are in one

    def document(self, data: bytes) -> Node | None:
        if data.count(b"%TAG") > _TAG_DIRECTIVES_MAX and len(_TAG_DIRECTIVE.findall(data)) > _TAG_DIRECTIVES_MAX:
            self.refuse(0, "cannot read so many %TAG directives")  # libyaml compares each with each
        parser: Any = CParser(data)
        parser.get_event()  # the start of the stream
        event = parser.get_event()
        if event.__class__ is not yaml.DocumentStartEvent:
            self.problem(rules.EMPTY_DOCUMENT, 0, "cannot find anything in this file", "write a service template")
            return None
        root = self.value(parser)
        parser.get_event()  # the end of the document
        event = parser.get_event()
        if event.__class__ is not yaml.StreamEndEvent:
            self.problem(
                rules.SEVERAL_DOCUMENTS,
                _place(event.start_mark),
                "cannot read a second document in one file",
                "keep one document in a file and remove the '---' between them",
            )
        if root.is_null:
            self.problem(rules.EMPTY_DOCUMENT, 0, "cannot find anything in this document", "write a service template")
            return None
        return root

    def value(self, parser: Any) -> Node:
        """The next value with all that is in it. One loop for speed: it runs once for each scalar of a file."""
        get, file = parser.get_event, self.file
        scalar, alias, end_map, end_list = (
            yaml.ScalarEvent,
            yaml.AliasEvent,
            yaml.MappingEndEvent,
            yaml.SequenceEndEvent,
        )
        start_map, bits, mask, intern = yaml.MappingStartEvent, _COLUMN_BITS, _COLUMN_MASK, sys.intern
        holder: list[Node] = []
        here: Any = holder  # the collection that we are in
        in_map, key, key_at = False, None, -1  # in a map, key is None when a key comes next
        stack: list[tuple[Any, bool, str | None]] = []
        unfinished: list[tuple[int, int, _Anchor]] = []  # anchors of collections that we are in
        untidy: set[int] = set()  # maps with a key that is not a plain entry
        count = 0
        while True:
            event = get()
            kind = event.__class__
            if kind is end_map or kind is end_list:
                if untidy and id(here) in untidy:
                    untidy.discard(id(here))
                    self.tidy(here)
                if unfinished and unfinished[-1][0] == len(stack):
                    _, start, anchor = unfinished.pop()
                    anchor.size = count - start + 1
                inner = here
                here, in_map, key = stack.pop()
                if key == _LIST_KEY:
                    key_at = self.key_places.pop()
                    key = self.made_key(inner, key_at, here)
                    untidy.add(id(here))
            else:
                mark = event.start_mark
                column = mark.column
                at = mark.line << bits | (column if column < mask else mask)
                count += 1
                if kind is scalar:
                    text, form = event.value, QUOTED if event.style else PLAIN
                    if event.tag is not None:
                        text, form = self.tagged(event.tag, text, form, at)
                    if in_map and key is None:
                        if event.anchor is not None:
                            self.anchors[event.anchor] = _Anchor(Node(form, text, at, file), 1)
                        key, key_at = intern(text), at
                        if key in here or (form == PLAIN and (key == "<<" or _WORDS.get(key, 0) is None)):
                            key = self.special_key(key, form, at, here)
                            untidy.add(id(here))
                        continue
                    node = Node(form, text, at, file, key_at)
                    if event.anchor is not None:
                        self.anchors[event.anchor] = _Anchor(node, 1)
                elif kind is alias:
                    anchor = self.alias(event.anchor, at, len(stack))
                    count += anchor.size
                    if in_map and key is None:
                        key, key_at = self.alias_key(anchor.node, at, here), at
                        untidy.add(id(here))
                        continue
                    node = anchor.node.under(key_at)
                else:
                    inside: Any = {} if kind is start_map else []
                    node = Node(MAP if kind is start_map else LIST, inside, at, file, key_at)
                    if event.tag is not None:
                        self.tagged_collection(event.tag, node)
                    if len(stack) >= DEPTH_MAX:
                        self.refuse(at, f"cannot read more than {DEPTH_MAX} levels of nesting")
                    if count > NODES_MAX:
                        self.refuse(at, f"cannot read more than {NODES_MAX} values in one file")
                    if in_map and key is None:
                        self.key_places.append(at)
                        stack.append((here, in_map, _LIST_KEY))
                    else:
                        if in_map:
                            here[key] = node
                            key_at = -1
                        else:
                            here.append(node)
                        stack.append((here, in_map, None))
                    if event.anchor is not None:
                        anchor = self.anchors[event.anchor] = _Anchor(node, 0)
                        unfinished.append((len(stack), count, anchor))
                    here, in_map, key = inside, kind is start_map, None
                    continue
                if in_map:
                    here[key] = node
                    key, key_at = None, -1
                else:
                    here.append(node)
            if not stack:
                return holder[0]

    # what is not a plain entry
    def special_key(self, key: str, form: int, at: int, here: dict[str, Node]) -> str:
        """The key under which to keep the entry of a merge, or of a key that cannot be used."""
        first = here.get(key)
        if form == PLAIN and key == "<<":
            first = here.get(_MERGE)
            if first is None:
                return _MERGE
        elif form == PLAIN and _WORDS.get(key, 0) is None:
            return self.bad_key(at, f"cannot use {key or 'nothing'} as a key")
        if first is not None:
            help_ = "merge a list: <<: [*a, *b]" if key == "<<" else "remove one of the two; the first one counts"
            before = self.span(first.key_at, len(key))
            if first.is_null:  # as good as not written
                message = f"the key {key!r} stands here twice: the first one is empty and does not count"
                self.problem(
                    rules.DUPLICATE_KEY,
                    at,
                    message,
                    "remove the empty one",
                    len(key),
                    ((before, "first written here"),),
                )
                self.problems[-1] = self.problems[-1].as_warning()
                return key
            message = f"cannot have the key {key!r} twice in one map"
            self.problem(rules.DUPLICATE_KEY, at, message, help_, len(key), ((before, "first written here"),))
            return _DROPPED
        return key

    def alias_key(self, node: Node, at: int, here: dict[str, Node]) -> str:
        if not node.is_scalar:
            return self.bad_key(at, f"cannot use a {node.kind} as a key")
        return self.special_key(sys.intern(node.text), node.form, at, here)

    def made_key(self, items: list[Node] | dict[str, Node], at: int, here: dict[str, Node]) -> str:
        """The key that a list of names is, as TOSCA 2.0 has them in requirement mappings: [service, UNBOUNDED]; or
        a call of a function, which is known by its text."""
        if isinstance(items, dict):
            ((name, argument),) = items.items() if len(items) == 1 else (("", None),)
            if argument is None or name[:1] != "$" or name[:2] == "$$":
                return self.bad_key(at, "cannot use a map as a key")
            return self.special_key(sys.intern(f"{CALL_KEY}{name[1:]}: {argument.data()}}}"), QUOTED, at, here)
        if not items or not all(item.is_scalar for item in items):
            return self.bad_key(at, "cannot use this list as a key")
        return self.special_key(sys.intern(f"[{', '.join(item.text for item in items)}]"), QUOTED, at, here)

    def bad_key(self, at: int, message: str) -> str:
        self.problem(
            rules.BAD_KEY, at, message, "a key is text; put quotes round a key or value that starts with {, [ or ~"
        )
        return _DROPPED

    def tidy(self, here: dict[str, Node]) -> None:
        """Forget entries that cannot be used and do the merge; entries of the map itself win over merged ones."""
        here.pop(_DROPPED, None)
        merge = here.pop(_MERGE, None)
        if merge is None or merge.is_null:
            return
        merged: dict[str, Node] = {}
        for source in merge.list if merge.is_list else [merge]:
            if not source.is_map:
                message = f"cannot merge this {source.kind}: '<<' takes a map or a list of maps"
                self.problem(rules.BAD_MERGE, source.at, message, "merge an anchored map: <<: *name")
            for key, node in source.map.items():
                merged.setdefault(key, node)
        merged.update(here)
        here.clear()
        here.update(merged)

    def alias(self, name: str, at: int, depth: int) -> _Anchor:
        """The value that an alias stands for; a null when there is none."""
        anchor = self.anchors.get(name)
        if anchor is None:
            help_ = did_you_mean(name, self.anchors) or f"write &{name} before the value that is meant"
            self.problem(rules.BAD_ALIAS, at, f"cannot find the anchor &{name} before this alias", help_, len(name) + 1)
        elif not anchor.size:
            message = f"cannot use the alias *{name} inside the value that it stands for"
            self.problem(rules.BAD_ALIAS, at, message, "a value cannot hold itself; write it out", len(name) + 1)
        else:
            self.aliased += anchor.size
            if self.aliased > ALIASED_NODES_MAX:
                self.refuse(at, f"cannot read aliases that stand for more than {ALIASED_NODES_MAX} values in all")
            if depth + anchor.height > DEPTH_MAX + 1:
                self.refuse(at, f"cannot read more than {DEPTH_MAX} levels of nesting")
            return anchor
        return _Anchor(Node(PLAIN, "", at, self.file), 1)

    # tags
    def tagged(self, tag: str, text: str, form: int, at: int) -> tuple[str, int]:
        """The text and form of a scalar with a tag."""
        if tag == "!":
            return text, QUOTED
        name = tag.removeprefix(_TAG_PREFIX)
        if name == tag or name not in _TAGGED:
            self.unknown_tag(tag, at)
            return text, form
        kinds = _TAGGED[name]
        if not kinds:
            return text, form if name == "merge" else QUOTED
        scalar = Node(PLAIN, text, at, self.file).scalar
        if type(scalar) not in kinds:
            self.problem(
                rules.UNKNOWN_TAG, at, f"cannot read {text[:40]!r} as !!{name}", "remove the tag or change the value"
            )
        if name == "float" and isinstance(scalar, int):
            return f"{text}.0" if text.lstrip("+-").isdecimal() else f"{scalar}.0", PLAIN
        return text, PLAIN

    def tagged_collection(self, tag: str, node: Node) -> None:
        if tag not in ("!", _TAG_PREFIX + ("map" if node.is_map else "seq")):
            self.unknown_tag(tag, node.at)

    def unknown_tag(self, tag: str, at: int) -> None:
        word = "!!" + tag.removeprefix(_TAG_PREFIX) if tag.startswith(_TAG_PREFIX) else tag
        message = f"cannot use the tag {word} here"
        self.problem(
            rules.UNKNOWN_TAG, at, message, "remove it; a value takes its type from the type definitions", len(word)
        )

    # problems
    def span(self, at: int, length: int = 1) -> Span:
        return Span(self.file, (at >> _COLUMN_BITS) + 1, (at & _COLUMN_MASK) + 1, max(length, 1))

    def problem(
        self,
        rule: Rule,
        at: int,
        message: str,
        help_: str,
        length: int = 1,
        related: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        self.problems.append(Diagnostic(rule, self.span(at, length), message, help_, related))
        if len(self.problems) >= _PROBLEMS_MAX:
            raise _Refused

    def refuse(self, at: int, message: str) -> NoReturn:
        self.problem(rules.TOO_MUCH, at, message, "split the file, or write less in it")
        raise _Refused


def _place(mark: Any) -> int:
    return cast(int, mark.line << _COLUMN_BITS | min(mark.column, _COLUMN_MASK))
