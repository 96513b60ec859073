"""Types with their inheritance resolved: each type once, when it is first needed.

Resolving never fails and never complains: what cannot be found is left out and the type is marked `broken`, so
that one mistake gives one diagnostic, from `check_types`, and not another at each use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from meghdwar.compiler import rules
from meghdwar.compiler.grammar import slipped_name
from meghdwar.compiler.scope import RawType, Scope
from meghdwar.compiler.source import MAP, PLAIN, Node, empty
from meghdwar.diagnostics import Diagnostic, did_you_mean

PRIMITIVES_1 = (
    "string", "integer", "float", "boolean", "timestamp", "null", "version", "range", "list", "map",
    "scalar-unit.size", "scalar-unit.time", "scalar-unit.frequency", "scalar-unit.bitrate",
)  # fmt: skip
PRIMITIVES_2 = (
    "string",
    "integer",
    "float",
    "boolean",
    "timestamp",
    "bytes",
    "nil",
    "version",
    "scalar",
    "list",
    "map",
)
_ALSO: Mapping[str, str] = {  # names that mean a primitive
    "tosca:version": "version", "tosca:range": "range", "tosca:timestamp": "timestamp", "tosca:list": "list",
    "tosca:map": "map", "tosca:string": "string", "tosca:integer": "integer", "tosca:float": "float",
    "tosca:boolean": "boolean", "json": "string", "xml": "string", "number": "float",
}  # fmt: skip
UNBOUNDED = 1 << 62
CHAIN_MAX = 64


def primitive(name: str, scope: Scope) -> str:
    """The primitive that a name means, or ""."""
    if scope.major == "2" and name == "scalar-unit":  # what drafts call it
        return "scalar"
    if scope.major == "1":
        return name if name in PRIMITIVES_1 else _ALSO.get(name, "")
    # the profile of 1.3 for 2.0 has ranges, and drafts have the scalar units of 1.x
    old = name == "range" or name.startswith("scalar-unit.")
    return name if name in PRIMITIVES_2 or (old and name in PRIMITIVES_1) else ""


class Schema:
    """What a value has to be. `base` is its primitive, "complex" for a type with properties, "" when unknown."""

    __slots__ = (
        "base",
        "constraints",
        "data",
        "default",
        "fixed",
        "is_entry",
        "metadata",
        "node",
        "parent",
        "parsed",
        "parts",
        "required",
        "scope",
        "type_name",
        "validation",
    )

    def __init__(self, node: Node, scope: Scope, parent: Schema | None = None, is_entry: bool = False) -> None:
        get = node.get
        by_value = parent is not None and scope.major == "2" and not is_entry and _is_value(node)
        type_ = None if by_value else get("type") if node.is_map else node
        self.node = node
        self.scope = scope
        self.parent = parent
        self.is_entry = is_entry
        self.parts: dict[str, Schema | None] = {}
        self.parsed: dict[str, Any] = {}  # what values.py makes of the constraints, once
        self.data: TypeDef | None = parent.data if parent else None
        self.base: str = parent.base if parent else ""
        self.type_name: str = parent.type_name if parent else ""
        if type_ is not None and type_.text:
            self.type_name = type_.text
            raw = scope.lookup("data", self.type_name)
            self.data = resolve(raw) if raw else None
            self.base = self.data.base if self.data else primitive(self.type_name, scope)
        constraints = get("constraints")
        # 1.x: the constraints of a refinement take the place of the parent's
        above = parent.constraints if parent is not None and constraints is None else ()
        self.constraints: list[tuple[Node, Schema]] = [
            *above,
            *((clause, self) for clause in (constraints.list if constraints else ())),
        ]
        validation = get("validation")
        self.validation: list[Node] = [*(parent.validation if parent else ()), *([validation] if validation else ())]
        required = get("required")
        self.required: bool = (
            required.scalar is not False and required.text != "no"
            if required
            else (parent.required if parent else True)
        )
        default, fixed = get("default"), node if by_value else get("value")
        self.default: Node | None = default if default is not None else (parent.default if parent else None)
        self.fixed: Node | None = fixed if fixed is not None else (parent.fixed if parent else None)
        self.metadata = get("metadata")

    @property
    def entry(self) -> Schema | None:
        """The schema of the entries of a list or map."""
        return self._part("entry_schema")

    @property
    def key(self) -> Schema | None:
        """The schema of the keys of a map."""
        return self._part("key_schema")

    def _part(self, name: str) -> Schema | None:
        if name not in self.parts:
            own = self.node.get(name)
            above = self.parent._part(name) if self.parent else None
            if own is not None:
                above = Schema(own, self.scope, above, is_entry=True)
            elif above is None and self.data is not None:
                above = self.data.entry if name == "entry_schema" else self.data.key
            self.parts[name] = above
        return self.parts[name]


@dataclass(slots=True)
class CapabilityDef:
    """A capability that a node type declares; its type's properties with its own refinements."""

    name: str
    type: TypeDef | None
    type_name: str
    properties: dict[str, Schema]
    attributes: dict[str, Schema]
    assigned: Mapping[str, Node]  # 1.x: values given in the definition itself
    sources: tuple[str, ...]
    node: Node
    scope: Scope


@dataclass(slots=True)
class RequirementDef:
    """A requirement that a node type declares; names are as written, None where nothing was."""

    name: str
    capability: str | None
    target: str | None
    relationship: str | None
    interfaces: Node | None
    low: int
    high: int
    node_filter: Node | None
    node: Node
    scope: Scope


@dataclass(slots=True)
class InterfaceDef:
    name: str
    type: TypeDef | None
    inputs: dict[str, Schema]
    operations: dict[str, list[tuple[Node, Scope]]]  # from the farthest definition to the nearest
    node: Node


class TypeDef:
    """A type of any kind with everything that it inherits."""

    def __init__(self, raw: RawType) -> None:
        self.raw = raw
        self.kind = raw.kind
        self.node = raw.node if raw.node.is_map else empty(raw.node.file)
        self.scope = raw.scope
        self.parent: TypeDef | None = None
        self.primitive = ""
        self.broken = False
        self.cyclic = False

    @cached_property
    def name(self) -> str:
        """Its own name, or for types of a packaged profile the normative name that they stand for."""
        canonical = self.node.get("metadata")
        named = canonical.get("canonical") if canonical is not None else None
        return named.text if named is not None else self.raw.name

    @cached_property
    def ancestors(self) -> tuple[str, ...]:
        names = [self.name]
        type_ = self.parent
        while type_ is not None:
            names.append(type_.name)
            type_ = type_.parent
        if self.primitive:
            names.append(self.primitive)
        return tuple(names)

    def is_a(self, name: str) -> bool:
        return name in self.ancestors or name in (f"tosca.{_PLURAL[self.kind]}.Root", "Root")

    def derives(self, other: TypeDef) -> bool:
        """Whether it is `other` or inherits from it; a broken type is given the benefit of the doubt."""
        type_: TypeDef | None = self
        while type_ is not None:
            if type_.raw is other.raw or type_.broken or type_.name == other.name:
                return True
            type_ = type_.parent
        return other.name.endswith(".Root") and other.parent is None

    # data types
    @cached_property
    def base(self) -> str:
        if self.primitive:
            return self.primitive
        if self.parent is not None and self.parent.base != "complex" and not self.node.section("properties"):
            return self.parent.base
        return "" if self.broken else "complex"

    @cached_property
    def entry(self) -> Schema | None:
        node = self.node.get("entry_schema")
        if node is not None:
            return Schema(node, self.scope)
        return self.parent.entry if self.parent else None

    @cached_property
    def key(self) -> Schema | None:
        node = self.node.get("key_schema")
        if node is not None:
            return Schema(node, self.scope)
        return self.parent.key if self.parent else None

    @cached_property
    def constraints(self) -> list[tuple[Node, TypeDef]]:
        own = self.node.get("constraints")
        above = self.parent.constraints if self.parent else []
        return [*above, *((clause, self) for clause in (own.list if own else ()))]

    @cached_property
    def validation(self) -> list[Node]:
        own = self.node.get("validation")
        return [*(self.parent.validation if self.parent else ()), *([own] if own else ())]

    @cached_property
    def units(self) -> Mapping[str, Node] | None:
        """2.0: the units of a scalar type."""
        own = self.node.get("units") or self.node.get("unit_symbol_map")
        above = self.parent.units if self.parent else None
        suffix = self.setting("unit_suffix") if own is not None and "unit_symbol_map" in self.node.map else ""
        base = {suffix: Node(PLAIN, "1", own.at, own.file)} if own is not None and suffix else {}
        return {**(above or {}), **base, **{name + suffix: item for name, item in own.map.items()}} if own else above

    @cached_property
    def prefixes(self) -> Mapping[str, Node]:
        """2.0: the prefixes that the unit of a scalar type takes."""
        own = self.node.section("prefixes")
        return {**(self.parent.prefixes if self.parent else {}), **own}

    @cached_property
    def counted_in(self) -> Schema | None:
        """2.0: what the numbers of a scalar type have to be; None when it is not said."""
        own = self.node.get("data_type") or self.node.get("data_value_type")
        if own is not None and own.is_scalar:
            return Schema(own, self.scope, is_entry=True)
        return self.parent.counted_in if self.parent else None

    def setting(self, key: str) -> str:
        """A text of the definition that is inherited, such as data_type, prefixes' unit or mime_type."""
        own = self.node.get(key)
        return own.text if own is not None else (self.parent.setting(key) if self.parent else "")

    # members
    @cached_property
    def properties(self) -> dict[str, Schema]:
        return self._schemas("properties", self.parent.properties if self.parent else {})

    @cached_property
    def attributes(self) -> dict[str, Schema]:
        return self._schemas("attributes", self.parent.attributes if self.parent else {})

    def _schemas(self, section: str, above: dict[str, Schema]) -> dict[str, Schema]:
        own = self.node.section(section)
        return schemas(own, self.scope, above) if own else above

    @cached_property
    def capabilities(self) -> dict[str, CapabilityDef]:
        above = self.parent.capabilities if self.parent else {}
        own = self.node.section("capabilities")
        return (
            {**above, **{name: self._capability(name, node, above.get(name)) for name, node in own.items()}}
            if own
            else above
        )

    def _capability(self, name: str, node: Node, above: CapabilityDef | None) -> CapabilityDef:
        named = node.get("type") if node.is_map else node
        type_name = named.text if named is not None else (above.type_name if above else "")
        raw = self.scope.lookup("capability", type_name)
        if raw is None and self.scope.major == "1":
            raw = self.scope.lookup("data", type_name)  # real files name a data type here
        type_ = resolve(raw) if raw else (above.type if above and not named else None)
        base = above.properties if above and not named else (type_.properties if type_ else {})
        attributes = above.attributes if above and not named else (type_.attributes if type_ else {})
        own = node.section("properties")
        values = {key: value for key, value in own.items() if not _is_schema(value)}
        sources = node.get("valid_source_types") or node.get("valid_source_node_types")
        return CapabilityDef(
            name,
            type_,
            type_name,
            schemas({key: value for key, value in own.items() if key not in values}, self.scope, base),
            schemas(node.section("attributes"), self.scope, attributes),
            {**(above.assigned if above else {}), **values},
            names(sources) if sources is not None else (above.sources if above else ()),
            node,
            self.scope,
        )

    @cached_property
    def requirements(self) -> dict[str, RequirementDef]:
        found = dict(self.parent.requirements) if self.parent else {}
        for name, node in named_items(self.node.get("requirements")):
            found[name] = self._requirement(name, node, found.get(name))
        return found

    def _requirement(self, name: str, node: Node, above: RequirementDef | None) -> RequirementDef:
        def text(key: str, inherited: str | None) -> str | None:
            value = node.get(key)
            return (value.text or inherited) if value is not None else inherited

        capability = (
            node.text
            if node.is_scalar and not node.is_null
            else text("capability", above.capability if above else None)
        )
        relationship = node.get("relationship")
        rel_name = above.relationship if above else None
        if relationship is not None:
            named = relationship.get("type") if relationship.is_map else relationship
            rel_name = (named.text or rel_name) if named is not None else rel_name
        low, high = (1, 1) if self.scope.major == "1" else (0, UNBOUNDED)
        if above is not None:
            low, high = above.low, above.high
        occurrences = node.get("occurrences") or node.get("count_range")
        if occurrences is not None and len(occurrences.list) == 2:
            first, last = (item.scalar for item in occurrences.list)
            low, high = first if isinstance(first, int) else low, last if isinstance(last, int) else UNBOUNDED
        return RequirementDef(
            name,
            capability,
            text("node", above.target if above else None),
            rel_name or None,
            relationship.get("interfaces") if relationship is not None else (above.interfaces if above else None),
            low,
            high,
            node.get("node_filter") or (above.node_filter if above else None),
            node,
            self.scope,
        )

    @cached_property
    def interfaces(self) -> dict[str, InterfaceDef]:
        above = self.parent.interfaces if self.parent else {}
        own = self.node.section("interfaces")
        return merge_interfaces(above, own, self.scope) if own else above

    @cached_property
    def artifacts(self) -> dict[str, tuple[Node, Scope]]:
        above = self.parent.artifacts if self.parent else {}
        own = self.node.section("artifacts")
        return {**above, **{name: (node, self.scope) for name, node in own.items()}} if own else above

    @cached_property
    def operations(self) -> dict[str, Node]:
        """Of an interface type: its operations, also those written straight below it as 1.0 has them."""
        above = self.parent.operations if self.parent else {}
        return {**above, **operation_nodes(self.node)}

    @cached_property
    def inputs(self) -> dict[str, Schema]:
        return self._schemas("inputs", self.parent.inputs if self.parent else {})


_PLURAL = {
    "artifact": "artifacts", "data": "datatypes", "capability": "capabilities", "interface": "interfaces",
    "relationship": "relationships", "node": "nodes", "group": "groups", "policy": "policies",
}  # fmt: skip
_NOT_OPERATIONS = {
    "type",
    "inputs",
    "operations",
    "notifications",
    "description",
    "metadata",
    "derived_from",
    "version",
}


_DEFINITION = {
    "type", "default", "required", "description", "value", "entry_schema", "constraints", "status", "key_schema",
    "validation", "metadata",
}  # fmt: skip


def _is_value(node: Node) -> bool:
    """2.0: whether a refinement gives a value and not a definition."""
    return not node.is_null and (not node.is_map or (len(node.map) == 1 and next(iter(node.map)).startswith("$")))


def is_definition(node: Node) -> bool:
    """Whether an input of an operation is a definition, which says its type, and not a value."""
    return node.is_map and "type" in node.map and set(node.map) <= _DEFINITION


def operation_nodes(node: Node) -> dict[str, Node]:
    """The operations below an interface, in the form of 1.3 and 2.0 and in that of 1.0."""
    direct = {name: value for name, value in node.map.items() if name not in _NOT_OPERATIONS}
    return {**direct, **node.section("operations"), **node.section("notifications")}


def schemas(own: Mapping[str, Node], scope: Scope, above: dict[str, Schema]) -> dict[str, Schema]:
    if not own:
        return above
    found = dict(above)
    for name, node in own.items():
        found[name] = Schema(node, scope, above.get(name))
    return found


def _is_schema(node: Node) -> bool:
    """Whether a property of a capability definition is a definition and not, as 1.x allows, a value."""
    keys = {
        "type",
        "default",
        "required",
        "constraints",
        "validation",
        "value",
        "description",
        "entry_schema",
        "status",
        "key_schema",
        "metadata",
    }
    return node.is_map and bool(node.map) and set(node.map) <= keys


def names(node: Node | None) -> tuple[str, ...]:
    """A list of names; 1.x files write one name without the brackets."""
    if node is None:
        return ()
    return tuple(item.text for item in (node.list if node.is_list else [node]) if item.is_scalar and not item.is_null)


def named_items(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The items of a list of maps with one key each, as requirements and policies are written."""
    if node is None:
        return
    for item in node.list if node.is_list else [node]:
        slipped = slipped_name(item) if node.is_list else None
        if slipped is not None:
            rest = {key: value for key, value in item.map.items() if key != slipped}
            yield slipped, Node(MAP, rest, item.at, item.file, item.map[slipped].key_at)
        else:
            yield from item.map.items()


def merge_interfaces(above: dict[str, InterfaceDef], own: Mapping[str, Node], scope: Scope) -> dict[str, InterfaceDef]:
    found = dict(above)
    for name, node in own.items():
        inherited = found.get(name)
        named = node.get("type")
        raw = scope.lookup("interface", named.text if named is not None else name)
        type_ = resolve(raw) if raw else (inherited.type if inherited else None)
        operations = {op: list(places) for op, places in inherited.operations.items()} if inherited else {}
        if type_ is not None:
            for op, definition in type_.operations.items():
                operations.setdefault(op, [(definition, type_.scope)])
        for op, definition in operation_nodes(node).items():
            operations.setdefault(op, []).append((definition, scope))
        base = inherited.inputs if inherited else (type_.inputs if type_ else {})
        given = node.section("inputs")
        defined = {key: value for key, value in given.items() if value.is_map and _is_schema(value)}
        inputs = schemas(defined, scope, base)
        assigned = {
            key: _with_default(value, scope, base.get(key)) for key, value in given.items() if key not in defined
        }
        inputs = {**inputs, **assigned} if assigned else inputs
        found[name] = InterfaceDef(name, type_, inputs, operations, node)
    return found


def _with_default(value: Node, scope: Scope, above: Schema | None) -> Schema:
    """An input that a type gives a value instead of a definition."""
    made = Schema(empty(value.file), scope, above)
    made.default = value
    return made


_BUSY = object()


def resolve(raw: RawType) -> TypeDef:
    """The type with its parents; a cycle is cut and marked."""
    done = raw.resolved
    if isinstance(done, TypeDef):
        return done
    chain: list[RawType] = []
    here: RawType | None = raw
    while here is not None and not isinstance(here.resolved, TypeDef):
        if here.resolved is _BUSY:
            break
        here.resolved = _BUSY
        chain.append(here)
        here = parent_of(here)
    cyclic = here is not None and here.resolved is _BUSY
    if len(chain) > CHAIN_MAX:  # deeper than anybody writes: cut, and said by check_types
        cyclic = True
    above = here.resolved if here is not None and isinstance(here.resolved, TypeDef) else None
    for item in reversed(chain):
        type_ = TypeDef(item)
        named = type_.node.get("derived_from")
        type_.parent = above
        if above is None and named is not None:
            type_.primitive = primitive(named.text, item.scope) if item.kind == "data" else ""
            type_.broken = not type_.primitive
        elif above is not None:
            type_.broken = above.broken
        if cyclic:
            type_.cyclic = type_.broken = True
            type_.parent = None
        item.resolved = above = type_
    assert isinstance(raw.resolved, TypeDef)  # noqa: S101 - raw is in the chain
    return raw.resolved


def parent_of(raw: RawType) -> RawType | None:
    named = raw.node.get("derived_from") if raw.node.is_map else None
    if named is None:
        return None
    found = raw.scope.lookup(raw.kind, named.text)
    if found is raw and raw.scope.library is not None:  # a type that refines the normative one of its own name
        found = raw.scope.library.lookup(raw.kind, named.text) or raw
    return found


def find(kind: str, node: Node, scope: Scope) -> tuple[TypeDef | None, Diagnostic | None]:
    """The type that a name in the text means, or what is wrong with the name."""
    raw = scope.lookup(kind, node.text)
    if raw is not None:
        return resolve(raw), None
    return None, unknown(kind, node, scope)


def unknown(kind: str, node: Node, scope: Scope) -> Diagnostic:
    extra = (PRIMITIVES_2 if scope.major == "2" else PRIMITIVES_1) if kind == "data" else ()
    help_ = did_you_mean(node.text, [*scope.known(kind), *extra]) or "define it or import the file that does"
    wrong = Diagnostic(rules.UNKNOWN_TYPE, node.span, f"cannot find {kind} type {node.text!r}", help_)
    return wrong.as_warning() if scope.incomplete else wrong  # the import that failed may have brought it
