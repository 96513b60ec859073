"""Which types a service template leads to: what is wrong with the others does not stand in its way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from meghdwar.compiler.documents import Document
from meghdwar.compiler.scope import TYPE_KINDS, RawType
from meghdwar.compiler.service import Service
from meghdwar.compiler.types import Schema, TypeDef, resolve
from meghdwar.diagnostics import Diagnostic


def demote(found: list[Diagnostic], document: Document, service: Service) -> list[Diagnostic]:
    """Problems inside imported types that the service template never comes to, as warnings."""
    if not any(item.is_error for item in found):
        return found
    used = reached(service)
    starts: list[tuple[int, bool]] = [(0, True)]
    for key, node in document.node.map.items():
        starts.append((node.key_span.line, True))
        kind = TYPE_KINDS.get(key)
        if kind is not None:
            for name, item in node.map.items():
                raw = document.scope.names[kind].get(name)
                starts.append((item.key_span.line, raw is None or raw.node is not item or raw in used))
    starts.sort()
    lines = [line for line, _ in starts]
    return [item if starts[bisect_right(lines, item.span.line) - 1][1] else item.as_warning() for item in found]


def reached(service: Service) -> set[RawType]:
    """Every type that a template, relationship, group or policy is of, and all that those types name."""
    bounds = [
        *service.templates.values(),
        *service.relationships.values(),
        *service.groups.values(),
        *service.policies.values(),
    ]
    stack = [bound.type for bound in bounds if bound.type is not None]
    stack += [
        fill.relationship.type
        for bound in bounds
        for fill in bound.fills
        if fill.relationship is not None and fill.relationship.type is not None
    ]
    stack += [schema.data for schema in service.inputs.values() if schema.data is not None]
    seen: set[RawType] = set()
    while stack:
        type_ = stack.pop()
        if type_.raw in seen:
            continue
        seen.add(type_.raw)
        stack.extend(_named(type_))
    return seen


def _named(type_: TypeDef) -> Iterator[TypeDef]:
    if type_.parent is not None:
        yield type_.parent
    for schema in (*type_.properties.values(), *type_.attributes.values()):
        yield from _of_schema(schema)
    if type_.kind == "data":
        for part in (type_.entry, type_.key):
            if part is not None:
                yield from _of_schema(part)
    if type_.kind in ("node", "group"):
        for capability in type_.capabilities.values():
            if capability.type is not None:
                yield capability.type
        for requirement in type_.requirements.values():
            for kind, name in (("relationship", requirement.relationship), ("capability", requirement.capability)):
                raw = requirement.scope.lookup(kind, name) if name else None
                if raw is not None:
                    yield resolve(raw)
    if type_.kind in ("node", "relationship"):
        for interface in type_.interfaces.values():
            if interface.type is not None:
                yield interface.type


def _of_schema(schema: Schema) -> Iterator[TypeDef]:
    here: Schema | None = schema
    for _ in range(16):
        if here is None:
            return
        if here.data is not None:
            yield here.data
        here = here.entry
