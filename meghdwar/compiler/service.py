"""A service template with its names tied together: what checking and building both walk over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meghdwar.compiler.documents import Document, Files
from meghdwar.compiler.scope import Scope
from meghdwar.compiler.source import Node, empty
from meghdwar.compiler.types import CapabilityDef, RequirementDef, Schema, TypeDef, named_items, resolve

ENTITIES = ("SELF", "SOURCE", "TARGET", "HOST")
HOSTED_ON = "tosca.relationships.HostedOn"


@dataclass(slots=True, eq=False)
class Bound:
    """Something of a type: a node template, a relationship, a group or a policy."""

    name: str
    kind: str
    node: Node
    type: TypeDef | None
    scope: Scope
    fills: list[Fill] = field(default_factory=list)
    source: Bound | None = None  # of a relationship: the node whose requirement it fills
    target: Bound | None = None

    def assigned(self, section: str) -> Mapping[str, Node]:
        return self.node.section(section)

    def schema(self, name: str) -> Schema | None:
        """The definition of a property, or else of an attribute."""
        if self.type is None:
            return None
        return self.type.properties.get(name) or self.type.attributes.get(name)

    @property
    def host(self) -> Bound | None:
        return next((fill.target for fill in self.fills if fill.name == "host" and fill.target is not None), None)

    @property
    def hosts(self) -> Iterator[Bound]:
        """What it stands on, and what that stands on, down to the machine."""
        seen, here = {id(self)}, self._under
        while here is not None and id(here) not in seen:
            yield here
            seen.add(id(here))
            here = here._under

    @property
    def _under(self) -> Bound | None:
        """What it stands on by a requirement of that name, or by one whose relationship says so."""
        return self.host or next(
            (f.target for f in self.fills if f.target is not None and _hosts(f.relationship)), None
        )

    def has(self, name: str) -> bool:
        """Whether a path may begin with this name here; of what is not known it may."""
        type_ = self.type
        return (
            type_ is None
            or type_.broken
            or self.schema(name) is not None
            or name in type_.capabilities
            or name in type_.requirements
            or name in self.assigned("properties")
            or name in self.assigned("attributes")
        )


def _hosts(relationship: Bound | None) -> bool:
    type_ = relationship.type if relationship is not None else None
    while type_ is not None and type_.name != HOSTED_ON:
        type_ = type_.parent
    return type_ is not None


@dataclass(slots=True, eq=False)
class Fill:
    """A requirement assignment, and what it was found to mean."""

    name: str
    node: Node
    definition: RequirementDef | None
    target: Bound | None = None
    target_type: TypeDef | None = None  # named by type instead of by template
    capability: str | None = None
    relationship: Bound | None = None


@dataclass(slots=True, eq=False)
class Service:
    """One service template. `inputs` are schemas, `given` the values from outside."""

    document: Document
    files: Files
    node: Node
    scope: Scope
    major: str
    inputs: dict[str, Schema] = field(default_factory=dict)
    templates: dict[str, Bound] = field(default_factory=dict)
    relationships: dict[str, Bound] = field(default_factory=dict)
    groups: dict[str, Bound] = field(default_factory=dict)
    policies: dict[str, Bound] = field(default_factory=dict)

    def entity(self, name: str, here: Here, part: str = "") -> Bound | None:
        """What the first argument of get_property and its like names; HOST is the nearest one that has the `part`."""
        if name in ENTITIES:
            return here.entity(name, part)
        return self.templates.get(name) or self.relationships.get(name) or self.groups.get(name)


@dataclass(frozen=True, slots=True, eq=False)
class Here:
    """Where a value stands: in a service template, and in something there that SELF means. In a type definition
    there is no service, and SELF is the type itself."""

    service: Service | None
    scope: Scope
    bound: Bound | None = None
    type: TypeDef | None = None

    @property
    def major(self) -> str:
        return self.scope.major

    @property
    def self_type(self) -> TypeDef | None:
        return self.bound.type if self.bound is not None else self.type

    def entity(self, name: str, part: str = "") -> Bound | None:
        bound = self.bound
        if bound is None:
            return None
        if name == "SELF":
            return bound
        if name == "SOURCE":
            return bound.source
        if name == "TARGET":
            return bound.target
        start = bound if bound.kind == "node" else bound.source or bound
        return next((host for host in start.hosts if host.has(part)), None) or next(start.hosts, None)


def bind(document: Document, files: Files) -> Service | None:
    """The service template of a document with types, requirements and relationships tied; None when it has none."""
    name = "topology_template" if document.major == "1" else "service_template"
    node = document.node.get(name)
    if node is None or not node.is_map:
        return None
    scope = document.scope
    service = Service(document, files, node, scope, document.major)
    service.inputs = {
        name: Schema(item if item.is_map else empty(item.file), scope) for name, item in node.section("inputs").items()
    }
    service.templates = dict(_bounds(copied(node.section("node_templates")).items(), "node", scope))
    service.relationships = dict(_bounds(copied(node.section("relationship_templates")).items(), "relationship", scope))
    service.groups = dict(_bounds(node.section("groups").items(), "group", scope))
    service.policies = dict(_bounds(named_items(node.get("policies")), "policy", scope))
    for bound in service.templates.values():
        for requirement, item in _assignments(bound):
            bound.fills.append(_fill(service, bound, requirement, item))
    return service


def copied(templates: Mapping[str, Node]) -> Mapping[str, Node]:
    """The templates with what `copy` takes from others put in; what a template says itself wins, key by key."""
    if not any("copy" in node.map for node in templates.values()):
        return templates
    return {name: _with_copied(node, templates) for name, node in templates.items()}


def _with_copied(node: Node, templates: Mapping[str, Node]) -> Node:
    named = node.get("copy")
    source = templates.get(named.text) if named is not None else None
    if source is None or source is node or "copy" in source.map:
        return node  # check says what is wrong with it
    merged: dict[str, Node] = {**source.map, **node.map}
    for key, own in node.map.items():
        other = source.map.get(key)
        if own.is_map and other is not None and other.is_map:
            merged[key] = Node(own.form, {**other.map, **own.map}, own.at, own.file, own.key_at)
    return Node(node.form, merged, node.at, node.file, node.key_at)


def _bounds(items: object, kind: str, scope: Scope) -> Iterator[tuple[str, Bound]]:
    for name, node in items:  # type: ignore[attr-defined]
        named = node.get("type")
        raw = scope.lookup(kind, named.text) if named is not None and named.is_scalar else None
        yield (
            name,
            Bound(
                name,
                kind,
                node if node.is_map else empty(node.file).under(node.key_at),
                resolve(raw) if raw else None,
                scope,
            ),
        )


def _assignments(bound: Bound) -> Iterator[tuple[str, Node]]:
    requirements = bound.node.get("requirements")
    if requirements is not None and requirements.is_list:
        yield from named_items(requirements)


def _fill(service: Service, bound: Bound, name: str, node: Node) -> Fill:
    definition = bound.type.requirements.get(name) if bound.type else None
    fill = Fill(name, node, definition)
    target = node if not node.is_map else node.get("node")
    if target is not None and target.is_list and target.list:
        target = target.list[0]  # 2.0: [template, index]
    if target is not None and target.is_scalar and not target.is_null:
        fill.target = service.templates.get(target.text)
        if fill.target is None:
            raw = service.scope.lookup("node", target.text)
            fill.target_type = resolve(raw) if raw else None
    fill.capability = capability_of(service, node, fill)
    fill.relationship = _relationship(service, bound, node, fill)
    return fill


def capability_of(service: Service, node: Node, fill: Fill) -> str | None:
    """The name of the capability of the target that is meant, when it can be told."""
    type_ = fill.target.type if fill.target else fill.target_type
    if type_ is None:
        return None
    named = node.get("capability") if node.is_map else None
    wanted = named.text if named is not None else (fill.definition.capability if fill.definition else None)
    scope = service.scope if named is not None or fill.definition is None else fill.definition.scope
    if wanted is None:
        return None
    if wanted in type_.capabilities:
        return wanted
    raw = scope.lookup("capability", wanted)
    return matching(type_.capabilities, resolve(raw), fill.name) if raw else None


def matching(capabilities: Mapping[str, CapabilityDef], wanted: TypeDef, hint: str) -> str | None:
    """The capability of that type; of several the one named like the requirement, else the first."""
    found = [name for name, item in capabilities.items() if item.type is None or item.type.derives(wanted)]
    return hint if hint in found else (found[0] if found else None)


def _relationship(service: Service, bound: Bound, node: Node, fill: Fill) -> Bound | None:
    """The relationship that fills a requirement: a template, a type by name, or written in place."""
    named = node.get("relationship") if node.is_map else None
    scope, name, place = service.scope, "", named
    if named is not None and named.is_scalar:
        template = service.relationships.get(named.text)
        if template is not None:
            template.source, template.target = bound, fill.target
            return template
        name, place = named.text, None
    elif named is not None and named.get("type") is not None:
        inner = named.map["type"]
        template = service.relationships.get(inner.text)
        if template is not None:  # a common slip: the name of a template as a type
            template.source, template.target = bound, fill.target
            return template
        name = inner.text
    elif fill.definition is not None and fill.definition.relationship:
        name, scope = fill.definition.relationship, fill.definition.scope
    raw = scope.lookup("relationship", name) if name else None
    if raw is None and place is None:
        return None
    return Bound(
        "",
        "relationship",
        place if place is not None and place.is_map else empty(node.file),
        resolve(raw) if raw else None,
        service.scope,
        source=bound,
        target=fill.target,
    )
