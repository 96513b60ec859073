"""Whether the types of a file hold together: what they derive from, what they name, what they refine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meghdwar.compiler import (
    check_functions,
    check_scalars,
    check_schemas,
    operations,
    refinements,
    rules,
    scalars,
    units,
    values,
)
from meghdwar.compiler.documents import Document, Files
from meghdwar.compiler.scope import TYPE_KINDS, RawType, Scope
from meghdwar.compiler.service import Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import CHAIN_MAX, Schema, TypeDef, find, named_items, names, primitive, resolve, unknown
from meghdwar.diagnostics import Diagnostic, nearest


def check_types(document: Document, files: Files) -> Iterator[Diagnostic]:
    """Every type that a document defines."""
    for section, kind in TYPE_KINDS.items():
        for name, node in document.node.section(section).items():
            raw = document.scope.names[kind].get(name)
            if raw is None or raw.node is not node:
                continue
            if (
                document.major == "2"
                and raw.kind == "data"
                and primitive(name, document.scope) == name
                and name in ("string", "integer", "float", "boolean", "list", "map")
            ):
                yield Diagnostic(
                    rules.BAD_REFINEMENT,
                    node.key_span,
                    f"cannot define the data type {name!r}: it is built in",
                    "choose another name",
                )
            if node.is_map or (document.major == "2" and node.is_null and kind == "data"):
                yield from _type(raw, resolve(raw), files)
            elif document.major == "2" and kind != "group" and node.is_scalar and not node.is_null:
                continue  # said by the grammar
    for node in document.node.section("functions").values():
        signatures = node.get("signatures")
        for signature in signatures.list if signatures is not None else ():
            for key in ("arguments", "optional_arguments"):
                for item in (signature.get(key) or node).list:
                    yield from check_schemas.check(
                        Schema(item, document.scope), None, Here(None, document.scope), "an argument"
                    )
            result = signature.get("result")
            if result is not None:
                yield from check_schemas.check(
                    Schema(result, document.scope), None, Here(None, document.scope), "a result"
                )


def _type(raw: RawType, type_: TypeDef, files: Files) -> Iterator[Diagnostic]:
    here = Here(None, raw.scope, None, type_)
    derived = type_.node.get("derived_from")
    if type_.cyclic:
        span = derived.span if derived is not None else raw.node.key_span
        yield Diagnostic(
            rules.TYPE_CYCLE,
            span,
            f"cannot derive {raw.name!r}: its parents lead back to it or go on for more than {CHAIN_MAX}",
            "cut the circle at one of its types",
        )
        return
    if derived is not None and type_.parent is None and not type_.primitive:
        yield unknown(raw.kind, derived, raw.scope)
    empty_ = type_.node.map.get("derived_from")
    if here.major == "2" and derived is None and empty_ is not None:
        yield Diagnostic(
            rules.WRONG_SHAPE,
            empty_.key_span,
            f"cannot derive {raw.name!r} from nothing",
            "name the parent, or leave derived_from out",
        )
    version = type_.node.get("version")
    if version is not None and version.is_scalar and here.major == "2" and units.version(version.text) is None:
        yield Diagnostic(
            rules.BAD_VERSION_VALUE,
            version.span,
            f"cannot read {version.text[:40]!r} as a version",
            "write it as 1.0, 1.0.0 or 1.0.0.alpha-10",
        )
    for section in ("properties", "attributes", "inputs"):
        own = type_.node.section(section)
        if not own:
            continue
        above = getattr(type_.parent, section, {}) if type_.parent is not None and section != "inputs" else {}
        made = getattr(type_, section)
        for name in own:
            yield from check_schemas.check(
                made[name],
                above.get(name),
                here,
                f"{section[:-3] + 'y' if section == 'properties' else section[:-1]} {name!r}",
            )
    yield from refinements.of_lists(type_, here)
    yield from MEMBERS.get(raw.kind, _nothing)(type_, here, files)


def _nothing(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    return iter(())


# what each kind of type has besides
def _node_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    yield from _capabilities(type_, here)
    yield from _requirements(type_, here, files)
    yield from operations.of_type(type_, here, files)


def _capabilities(type_: TypeDef, here: Here) -> Iterator[Diagnostic]:
    scope = here.scope
    above = type_.parent.capabilities if type_.parent is not None else {}
    for name, node in type_.node.section("capabilities").items():
        item = type_.capabilities[name]
        named = node.get("type") if node.is_map else node
        if named is None or named.is_null:
            if name not in above:
                yield Diagnostic(
                    rules.MISSING_KEY,
                    node.key_span,
                    f"cannot read capability {name!r} without its 'type'",
                    "add `type: ...`",
                )
        elif item.type is None:
            yield unknown("capability", named, scope)
        elif item.type.kind != "capability":
            yield unknown("capability", named, scope).as_warning()
        elif name in above and above[name].type is not None and not item.type.derives(above[name].type):  # type: ignore[arg-type]
            wrong = Diagnostic(
                rules.BAD_REFINEMENT,
                named.span,
                f"cannot make capability {name!r} a {item.type_name}: a parent type says {above[name].type_name}",
                f"use a type derived from {above[name].type_name}",
            )
            yield wrong if here.major == "2" else wrong.as_warning()
        yield from known_types("node", node.get("valid_source_types") or node.get("valid_source_node_types"), scope)
        yield from known_types("relationship", node.get("valid_relationship_types"), scope)
        base = item.type.properties if item.type is not None else {}
        for section, made in (("properties", item.properties), ("attributes", item.attributes)):
            for key, inner in node.section(section).items():
                if key in made and made[key].node is inner:
                    inherited = (
                        base.get(key)
                        if section == "properties"
                        else (item.type.attributes.get(key) if item.type else None)
                    )
                    yield from check_schemas.check(made[key], inherited, here, f"property {key!r}")
                elif key in base:
                    yield from values.check(inner, base[key], here)
                elif item.type is not None and not item.type.broken and section == "properties":
                    yield Diagnostic(
                        rules.UNKNOWN_PROPERTY,
                        inner.key_span,
                        f"cannot find property {key!r} in capability {name!r}",
                        nearest(key, base),
                    )


def _requirements(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    scope = here.scope
    seen: dict[str, Node] = {}
    above = type_.parent.requirements if type_.parent is not None else {}
    for name, node in named_items(type_.node.get("requirements")):
        if name in seen:
            twice = Diagnostic(
                rules.DEFINED_TWICE,
                node.key_span,
                f"requirement {name!r} is defined twice in one type: the last one counts",
                "rename one",
                ((seen[name].key_span, "first defined here"),),
            )
            yield twice if here.major == "1" else twice.as_error()
        seen[name] = node
        yield from refinements.of_requirement(name, type_, node, here)
        capability = node.get("capability") if node.is_map else node
        target = node.get("node")
        target_type: TypeDef | None = None
        if target is not None and target.is_scalar:
            target_type, missing = find("node", target, scope)
            if missing is not None:
                yield missing
        if capability is not None and capability.is_scalar and not capability.is_null:
            raw = scope.lookup("capability", capability.text)
            if raw is None and not (
                target_type is not None and (target_type.broken or capability.text in target_type.capabilities)
            ):
                wrong = unknown("capability", capability, scope)
                yield wrong if here.major == "2" else wrong.as_warning()
        elif here.major == "2" and name not in above:
            yield Diagnostic(
                rules.MISSING_KEY,
                node.key_span,
                f"cannot read requirement {name!r} without its 'capability'",
                "add `capability: ...`",
            )
        if here.major == "2" and name not in above and node.is_map and node.get("relationship") is None:
            yield Diagnostic(
                rules.MISSING_KEY,
                node.key_span,
                f"cannot read requirement {name!r} without its 'relationship'",
                "add `relationship: ...`, the type of the relationship",
            )
        node_filter = node.get("node_filter")
        if node_filter is not None and here.major == "2":
            yield from check_functions.names(node_filter, here)
        relationship = node.get("relationship")
        if relationship is not None:
            named = relationship.get("type") if relationship.is_map else relationship
            if named is not None and named.is_scalar:
                found, missing = find("relationship", named, scope)
                if missing is not None:
                    yield missing
                elif found is not None and relationship.is_map and here.major == "2":
                    yield from _refined(relationship, found, here)


def _refined(node: Node, type_: TypeDef, here: Here) -> Iterator[Diagnostic]:
    """2.0: what a requirement says of the properties and attributes of its relationship."""
    for section, above in (("properties", type_.properties), ("attributes", type_.attributes)):
        for name, item in node.section(section).items():
            if name in above:
                yield from check_schemas.check(
                    Schema(item, here.scope, above[name]), above[name], here, f"property {name!r}"
                )
            elif not type_.broken:
                message = f"cannot find property {name!r} in {type_.name}"
                yield Diagnostic(rules.UNKNOWN_PROPERTY, item.key_span, message, nearest(name, above))


def _relationship_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    node, scope = type_.node, here.scope
    yield from known_types(
        "capability", node.get("valid_target_types") or node.get("valid_capability_types"), scope, also="node"
    )
    yield from known_types("node", node.get("valid_target_node_types"), scope)
    yield from known_types("node", node.get("valid_source_node_types"), scope)
    yield from operations.of_type(type_, here, files)


def _capability_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    yield from known_types(
        "node", type_.node.get("valid_source_types") or type_.node.get("valid_source_node_types"), here.scope
    )
    yield from known_types("relationship", type_.node.get("valid_relationship_types"), here.scope)


def _interface_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    yield from operations.definitions(type_.node, here, files)


def _data_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    node = type_.node
    above = type_.parent
    for key in ("entry_schema", "key_schema"):
        inner = node.get(key)
        if inner is not None:
            inherited = (above.entry if key == "entry_schema" else above.key) if above is not None else None
            part = Schema(inner, here.scope, inherited, is_entry=True)
            yield from check_schemas.check(part, inherited, here, f"the {key}")
            if type_.base or here.major == "2":
                yield from check_schemas.in_place(key, inner, part, type_.base, here, f"data type {type_.name!r}")
    base = type_.base
    if here.major == "2":
        yield from check_scalars.check(type_, here)
    if here.major == "2" and node.get("derived_from") is None and not node.section("properties"):
        yield Diagnostic(
            rules.MISSING_KEY,
            type_.raw.node.key_span,
            f"cannot read data type {type_.name!r}: it has neither a parent nor properties",
            "add `derived_from` or `properties`",
        )
    if node.section("properties") and type_.primitive:
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            node.map["properties"].key_span,
            f"cannot give properties to a data type that is a {type_.primitive}",
            "derive it from nothing, or leave the properties out",
        )
    yield from check_schemas.clauses(
        node.get("constraints"), lambda operand: scalars.datum(operand, _as_schema(type_)), base
    )
    yield from check_schemas.validation_of(node, here)


def _as_schema(type_: TypeDef) -> Schema:
    made = Schema(type_.node, type_.scope)
    made.data, made.base = type_, type_.base
    return made


def _group_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    yield from known_types("node", type_.node.get("members"), here.scope, also="group")


def _policy_members(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    yield from known_types("node", type_.node.get("targets"), here.scope, also="group")


def known_types(kind: str, node: Node | None, scope: Scope, also: str = "") -> Iterator[Diagnostic]:
    """Each name of a list is a type of that kind, or of the other kind that may stand there too."""
    wanted = names(node)
    for item in node.list if node is not None and node.is_list else [node] if node is not None else []:
        if (
            item.text in wanted
            and scope.lookup(kind, item.text) is None
            and not (also and scope.lookup(also, item.text))
        ):
            wrong = unknown(kind, item, scope)
            yield wrong if scope.major == "2" else wrong.as_warning()  # it only narrows what may be named


MEMBERS: dict[str, Callable[[TypeDef, Here, Files], Iterator[Diagnostic]]] = {
    "node": _node_members,
    "relationship": _relationship_members,
    "capability": _capability_members,
    "interface": _interface_members,
    "data": _data_members,
    "group": _group_members,
    "policy": _policy_members,
}
