"""Everything that a descriptor has to keep to, found in one pass: the whole list, not the first problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import (
    check_schemas,
    check_types,
    cycles,
    functions,
    grammar,
    operations,
    reach,
    requirements,
    rules,
    substitution,
    values,
    workflows,
)
from meghdwar.compiler.documents import Document, Files
from meghdwar.compiler.scope import TYPE_KINDS
from meghdwar.compiler.service import Bound, Here, Service, bind
from meghdwar.compiler.source import PLAIN, Node, empty
from meghdwar.compiler.types import Schema, TypeDef, names, resolve, unknown
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest

_DIRECTIVES = ("create", "select", "substitute", "internal", "external", "selectable", "substitutable")


def check(documents: list[Document], files: Files, read: list[Diagnostic]) -> tuple[Service | None, list[Diagnostic]]:
    """The service template of the first document, tied together, and what is wrong in any of them; `read` is what
    was wrong with reading them."""
    paths = {document.path for document in documents}
    found: list[Diagnostic] = [item for item in read if item.span.file not in paths]
    service = bind(documents[0], files) if documents else None
    for number, document in enumerate(documents):
        own = [item for item in read if item.span.file == document.path]
        own += grammar.check(document.node, "file", document.grammar)
        own.extend(_document(document))
        own.extend(check_types.check_types(document, files))
        if number and document.major == "1" and service is not None:
            own = reach.demote(own, document, service)
        found.extend(own)
    if service is not None:
        requirements.select(service)
        found.extend(check_service(service))
    return service, found


def _document(document: Document) -> Iterator[Diagnostic]:
    node = document.node
    profile, template = node.get("profile"), node.get("service_template")
    if profile is not None and template is not None:
        yield Diagnostic(
            rules.PROFILE_WITH_TEMPLATE,
            template.key_span,
            "cannot have a service template in a profile",
            "move the types into a file of their own and import it",
        )
    if document.major == "2":
        for key in (*TYPE_KINDS, "functions"):
            section = node.map.get(key)
            if section is not None and section.is_map and not section.map:
                yield Diagnostic(
                    rules.WRONG_SHAPE, section.key_span, f"cannot read {key} from an empty map", f"leave {key} out"
                )
            for name, item in section.map.items() if section is not None and key in TYPE_KINDS else ():
                if not isinstance(Node(PLAIN, name, item.at, item.file).scalar, str):
                    yield Diagnostic(
                        rules.WRONG_SHAPE,
                        item.key_span,
                        f"cannot name a type by {name}: a name is text that reads like nothing else",
                        "begin it with a letter",
                    )
        for key, section in (*node.map.items(), *(template.map.items() if template is not None else ())):
            if section.is_null and key not in ("description", "metadata", "substitution_mappings"):
                yield Diagnostic(
                    rules.WRONG_SHAPE, section.key_span, f"cannot read {key} from nothing", f"leave {key} out"
                )
        yield from _known_metadata(node.section("metadata"))
        if template is not None and template.is_map and "node_templates" not in template.map:
            yield Diagnostic(
                rules.MISSING_KEY,
                template.key_span,
                "cannot find any node template in this service template",
                "add `node_templates`",
            ).as_warning()
        macros = node.get("dsl_definitions")
        if macros is not None and not macros.is_map:
            yield Diagnostic(
                rules.WRONG_SHAPE,
                macros.span,
                f"cannot read dsl_definitions from a {macros.kind}: it has to be a map",
                "name each definition",
            )
        for name, item in macros.map.items() if macros is not None else ():
            if item.is_null or type(item.scalar) in (int, float, bool):
                yield Diagnostic(
                    rules.WRONG_SHAPE,
                    item.key_span,
                    f"cannot use {name!r} as a definition: there is nothing in it to refer to",
                    "write an anchor and what it stands for",
                )


def _known_metadata(metadata: Mapping[str, Node]) -> Iterator[Diagnostic]:
    """2.0: what the standard itself calls by name is text; everything else may be anything."""
    for key in ("template_name", "template_author"):
        item = metadata.get(key)
        if item is not None and not isinstance(item.scalar if item.is_scalar else None, str):
            yield Diagnostic(
                rules.WRONG_SHAPE,
                item.key_span if item.is_null else item.span,
                f"cannot read {key} from {'nothing' if item.is_null else f'a {item.kind}'}: it has to be text",
                f'put it in quotes: "{item.text}"' if item.is_scalar and not item.is_null else "write text",
            )
    version = metadata.get("template_version")
    if version is not None and not version.is_scalar:
        yield Diagnostic(
            rules.WRONG_SHAPE,
            version.span,
            f"cannot read template_version from a {version.kind}: it has to be a version",
            "write it as 1.0",
        )


def check_service(service: Service) -> Iterator[Diagnostic]:
    here = Here(service, service.scope)
    for name, schema in service.inputs.items():
        yield from _input(name, schema, here)
    for bound in service.templates.values():
        yield from _template(service, bound)
    for bound in service.relationships.values():
        yield from _relationship(service, bound)
    for bound in service.groups.values():
        yield from _group(service, bound)
    for bound in service.policies.values():
        yield from _policy(service, bound)
    for name, node in service.node.section("outputs").items():
        yield from _output(name, node, here)
    yield from substitution.check(service, here)
    yield from workflows.check(service, here)
    yield from cycles.hosts(service)
    yield from cycles.values(service)


def _input(name: str, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    inner = Here(here.service, here.scope)
    yield from check_schemas.check(schema, None, inner, f"input {name!r}")
    if here.major == "2" and schema.node.get("type") is None:
        yield Diagnostic(
            rules.MISSING_KEY,
            schema.node.key_span,
            f"cannot read input {name!r} without its 'type'",
            "add `type: string` or another type",
        )


def _output(name: str, node: Node, here: Here) -> Iterator[Diagnostic]:
    value = functions.value_of(node, here)
    if value is None:
        if not (node.is_map and node.get("type") is not None):
            yield Diagnostic(
                rules.MISSING_KEY, node.key_span, f"cannot read output {name!r} without its 'value'", "add `value: ...`"
            )
        return
    named = node.get("type")
    if named is not None and named.is_scalar:
        schema = Schema(node, here.scope)
        if not schema.base and here.scope.lookup("data", named.text) is None:
            yield unknown("data", named, here.scope)
        yield from values.check(value, schema, here)
    else:
        yield from values.free(value, here)


def _unknown_type(bound: Bound) -> Iterator[Diagnostic]:
    named = bound.node.get("type")
    if named is None:
        if not bound.node.map:  # an empty one; the grammar says it of all others
            yield Diagnostic(
                rules.MISSING_KEY,
                bound.node.key_span,
                f"cannot read {bound.kind} {bound.name!r} without its 'type'",
                "add `type: ...`",
            )
    elif named.is_scalar and bound.type is None:
        yield unknown(bound.kind, named, bound.scope)


def _properties(bound: Bound, here: Here) -> Iterator[Diagnostic]:
    type_ = bound.type
    given = bound.node.get("properties")
    if type_ is None or type_.broken:
        if given is not None:
            yield from values.free(given, here)
        return
    what = f"{type_.raw.name}"
    if given is not None and given.is_map:
        yield from values.members(given, type_.properties, here, what, bound.node)
    elif given is None:
        yield from values.missing(empty(bound.node.file), type_.properties, what, bound.node)


def _attributes(bound: Bound, here: Here) -> Iterator[Diagnostic]:
    for name, value in bound.assigned("attributes").items():
        schema = bound.type.attributes.get(name) or bound.type.properties.get(name) if bound.type else None
        if schema is not None:
            yield from values.check(value, schema, here)
            continue
        if bound.type is not None and not bound.type.broken:
            yield Diagnostic(
                rules.UNKNOWN_PROPERTY,
                value.key_span,
                f"cannot find attribute {name!r} in {bound.type.raw.name}",
                nearest(name, bound.type.attributes),
            )
        yield from values.free(value, here)


def _template(service: Service, bound: Bound) -> Iterator[Diagnostic]:
    here = Here(service, service.scope, bound)
    yield from _unknown_type(bound)
    yield from _properties(bound, here)
    node = bound.node.map
    if "attributes" in node:
        yield from _attributes(bound, here)
    if "capabilities" in node:
        yield from _capabilities(bound, here)
    yield from requirements.check(service, bound, here)
    if "interfaces" in node:
        yield from operations.assigned(bound, here, service.files)
    if "artifacts" in node:
        for item in bound.assigned("artifacts").values():
            yield from operations.artifact(item, here, service.files)
    if "directives" in node:
        directives = bound.node.get("directives")
        for item in directives.list if directives is not None else ():
            if item.text not in _DIRECTIVES:
                yield Diagnostic(
                    rules.BAD_DIRECTIVE,
                    item.span,
                    f"nobody knows the directive {item.text!r}",
                    did_you_mean(item.text, _DIRECTIVES) or "known are " + ", ".join(_DIRECTIVES),
                )
    if "node_filter" in node:
        yield from workflows.condition(bound.node.get("node_filter"), here)
    if "copy" in node:
        yield from _copy(bound, service.templates)
    count = bound.node.get("count")
    if (
        count is not None
        and functions.call(count, here) is None
        and (not isinstance(count.scalar, int) or count.scalar < 0)
    ):
        yield Diagnostic(
            rules.WRONG_TYPE,
            count.span,
            f"cannot make {count.text!r} of {bound.name!r}: the count is an integer from 0",
            "write a number, or $get_input of one",
        )
    elif count is not None:
        yield from values.free(count, here)


def _copy(bound: Bound, others: dict[str, Bound]) -> Iterator[Diagnostic]:
    named = bound.node.get("copy")
    if named is None:
        return
    other = others.get(named.text)
    if other is None or other is bound:
        yield Diagnostic(
            rules.BAD_COPY,
            named.span,
            f"cannot copy {named.text!r}: there is no other template of that name",
            nearest(named.text, others),
        )
    elif "copy" in other.node.map:
        yield Diagnostic(
            rules.BAD_COPY,
            named.span,
            f"cannot copy {named.text!r}: it is a copy itself",
            "copy the template that it copies",
        )


def _capabilities(bound: Bound, here: Here) -> Iterator[Diagnostic]:
    type_ = bound.type
    for name, node in bound.assigned("capabilities").items():
        definition = type_.capabilities.get(name) if type_ is not None else None
        if definition is None:
            if type_ is not None and not type_.broken:
                help_ = did_you_mean(name, type_.capabilities) or f"it has {', '.join(type_.capabilities) or 'none'}"
                yield Diagnostic(
                    rules.UNKNOWN_CAPABILITY,
                    node.key_span,
                    f"cannot find capability {name!r} in {type_.raw.name}",
                    help_,
                )
            continue
        if definition.type is None or definition.type.broken:
            continue
        given = node.get("properties")
        if given is not None and given.is_map:
            wanted = definition.properties
            if definition.assigned:
                wanted = {
                    key: schema for key, schema in wanted.items() if key not in definition.assigned or key in given.map
                }
            yield from values.members(given, wanted, here, f"capability {name!r} ({definition.type_name})", given)
        for key, value in node.section("attributes").items():
            schema = definition.attributes.get(key)
            if schema is not None:
                yield from values.check(value, schema, here)
            else:
                yield Diagnostic(
                    rules.UNKNOWN_PROPERTY,
                    value.key_span,
                    f"cannot find attribute {key!r} in capability {name!r}",
                    nearest(key, definition.attributes),
                )


def _relationship(service: Service, bound: Bound) -> Iterator[Diagnostic]:
    here = Here(service, service.scope, bound)
    yield from _unknown_type(bound)
    yield from _properties(bound, here)
    yield from _attributes(bound, here)
    yield from operations.assigned(bound, here, service.files)
    yield from _copy(bound, service.relationships)


def _fits(bound: Bound, allowed: tuple[str, ...], scope_of: TypeDef) -> bool:
    """Whether a template or group is of one of the types that a group or policy type is for."""
    if bound.type is None or bound.type.broken or not allowed:
        return True
    for name in allowed:
        raw = scope_of.scope.lookup(bound.kind, name)
        if raw is not None and bound.type.derives(resolve(raw)):
            return True
        if name.endswith(".Root") and raw is not None:
            return True
        if raw is None and bound.type.is_a(name):  # a type that comes from elsewhere, such as a VDU to our vocabulary
            return True
    return False


def _allowed(type_: TypeDef | None, key: str) -> tuple[tuple[str, ...], TypeDef | None]:
    """The nearest list of members or targets among a type and its parents."""
    while type_ is not None:
        own = names(type_.node.get(key))
        if own:
            return own, type_
        type_ = type_.parent
    return (), None


def _group(service: Service, bound: Bound) -> Iterator[Diagnostic]:
    here = Here(service, service.scope, bound)
    yield from _unknown_type(bound)
    for found in _properties(bound, here):
        # published 1.x packages leave out what a group only says of itself
        yield found.as_warning() if found.rule is rules.MISSING_PROPERTY and service.major == "1" else found
    yield from _attributes(bound, here)
    allowed, declared = _allowed(bound.type, "members")
    members = bound.node.get("members") or bound.node.get("targets")
    for item in _items(members):
        other = service.templates.get(item.text) or service.groups.get(item.text)
        if other is None:
            yield Diagnostic(
                rules.UNKNOWN_MEMBER,
                item.span,
                f"cannot find {item.text!r} for group {bound.name!r}",
                did_you_mean(item.text, service.templates) or "name a node template",
            )
        elif declared is not None and not _fits(other, allowed, declared):
            yield Diagnostic(
                rules.BAD_TARGET,
                item.span,
                f"cannot put {item.text!r} into group {bound.name!r}: it takes {', '.join(allowed)}",
                "take it out, or use another type of group",
            )


def _items(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return [item for item in (node.list if node.is_list else [node]) if item.is_scalar and not item.is_null]


def _policy(service: Service, bound: Bound) -> Iterator[Diagnostic]:
    here = Here(service, service.scope, bound)
    yield from _unknown_type(bound)
    yield from _properties(bound, here)
    allowed, declared = _allowed(bound.type, "targets")
    for item in _items(bound.node.get("targets")):
        other = service.templates.get(item.text) or service.groups.get(item.text)
        if other is None:
            help_ = did_you_mean(item.text, [*service.templates, *service.groups]) or "name a node template or a group"
            yield Diagnostic(
                rules.UNKNOWN_MEMBER, item.span, f"cannot find {item.text!r} for policy {bound.name!r}", help_
            )
        elif declared is not None and not _fits(other, allowed, declared):
            yield Diagnostic(
                rules.BAD_TARGET,
                item.span,
                f"cannot aim policy {bound.name!r} at {item.text!r}: it is for {', '.join(allowed)}",
                "name a target of such a type, or a group of such",
            )
    triggers = bound.node.get("triggers")
    for name, node in triggers.map.items() if triggers is not None else ():
        yield from workflows.trigger(service, name, node, here)
