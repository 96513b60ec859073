"""Requirements: what fills them, whether it fits, and which template a type or a filter selects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from meghdwar.compiler import check_functions, functions, operations, rules, values
from meghdwar.compiler.filters import satisfies
from meghdwar.compiler.service import Bound, Fill, Here, Service, capability_of
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import RequirementDef, TypeDef, names, resolve, unknown
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest


def select(service: Service) -> None:
    """Fill the requirements that name a type or a filter with the first template that answers to it."""
    for bound in service.templates.values():
        for fill in bound.fills:
            node = fill.node
            if fill.target is not None:
                continue
            filters = [item for item in (node.get("node_filter"), _inherited(fill)) if item is not None]
            if fill.target_type is not None or (node.is_map and node.get("node") is None and filters):
                fill.target = next(_candidates(service, bound, fill, filters), None)
            if fill.target is not None and fill.capability is None:
                fill.capability = capability_of(service, node, fill)
            if fill.target is not None and fill.relationship is not None:
                fill.relationship.target = fill.target


def _inherited(fill: Fill) -> Node | None:
    return fill.definition.node_filter if fill.definition is not None else None


def _candidates(service: Service, source: Bound, fill: Fill, filters: list[Node]) -> Iterator[Bound]:
    wanted = fill.target_type
    if wanted is None and fill.definition is not None and fill.definition.target:
        raw = fill.definition.scope.lookup("node", fill.definition.target)
        wanted = resolve(raw) if raw else None
    fitting: dict[TypeDef, tuple[bool, str | None]] = {}  # of each type, once: there may be thousands of templates
    for bound in service.templates.values():
        if bound is source or bound.type is None:
            continue
        if bound.type not in fitting:
            capability = capability_of(service, fill.node, replace(fill, target=bound))
            fits = capability is not None if wanted is None else bound.type.derives(wanted)
            fitting[bound.type] = (fits, capability)
        fits, capability = fitting[bound.type]
        if fits and all(satisfies(service, source, bound, capability, item) for item in filters):
            yield bound


def check(service: Service, bound: Bound, here: Here) -> Iterator[Diagnostic]:
    """The requirements of one template."""
    type_ = bound.type
    for fill in bound.fills:
        if service.major == "2":
            yield from _written(fill, here)
            node_filter = fill.node.get("node_filter")
            if node_filter is not None:
                yield from check_functions.names(node_filter, here)
        if fill.definition is None:
            if type_ is not None and not type_.broken:
                if (
                    service.major == "1"
                    and fill.target is not None
                    and fill.relationship is not None
                    and fill.relationship.type is not None
                ):
                    yield Diagnostic(
                        rules.LOOSE_REQUIREMENT,
                        fill.node.key_span,
                        f"{type_.name} declares no requirement {fill.name!r}: its relationship says what is meant",
                        nearest(fill.name, type_.requirements),
                    )
                    yield from _relationship(service, fill, here)
                    continue
                help_ = (
                    did_you_mean(fill.name, type_.requirements) or f"it has {', '.join(type_.requirements) or 'none'}"
                )
                yield Diagnostic(
                    rules.UNKNOWN_REQUIREMENT,
                    fill.node.key_span,
                    f"cannot find requirement {fill.name!r} in {type_.name}",
                    help_,
                )
            continue
        yield from _target(service, bound, fill, fill.definition)
        yield from _relationship(service, fill, here)
    if type_ is None or type_.broken:
        return
    filled = _filled(bound, here)
    for name, definition in type_.requirements.items():
        count = filled[name]
        if count > definition.high:
            last = next(fill for number, fill in _numbered(bound, name, here) if number > definition.high)
            rule = rules.FILLED_AGAIN if service.major == "1" else rules.TOO_MANY
            yield Diagnostic(
                rule,
                last.node.key_span,
                f"cannot fill requirement {name!r} of {bound.name!r} {count} times: its type allows {definition.high}",
                "remove one",
            )
        elif count < definition.low and definition.low > 0 and not service.node.get("substitution_mappings"):
            yield Diagnostic(
                rules.REQUIREMENT_OPEN,
                bound.node.key_span,
                f"requirement {name!r} of {bound.name!r} is not filled",
                f"add `- {name}: ...`, or leave it to whoever uses this template",
            )


def _written(fill: Fill, here: Here) -> Iterator[Diagnostic]:
    """2.0: the node with its index, how often, and whether it may be left open."""
    node = fill.node
    target = node.get("node") if node.is_map else node
    if target is not None and (target.is_map or target.is_list):
        good = len(target.list) == 2 and target.list[0].is_scalar and _is_count(target.list[1], here)
        if not good:
            yield Diagnostic(
                rules.WRONG_SHAPE,
                target.span,
                f"cannot read the node of requirement {fill.name!r} from this {target.kind}",
                "write the name of a node template, or [NAME, INDEX]",
            )
    count, optional = node.get("count"), node.get("optional")
    if count is not None and not _is_count(count, here):
        yield Diagnostic(
            rules.WRONG_SHAPE, count.span, "cannot read this count: it is an integer from 0", "write a number"
        )
    if optional is not None and not isinstance(optional.scalar, bool) and functions.call(optional, here) is None:
        yield Diagnostic(
            rules.WRONG_SHAPE, optional.span, "cannot read `optional`: it is true or false", "write true or false"
        )


def _is_count(node: Node, here: Here) -> bool:
    return functions.call(node, here) is not None or (type(node.scalar) is int and node.scalar >= 0)


def _filled(bound: Bound, here: Here) -> Counter[str]:
    """How often each requirement is filled; 2.0 says so by `count`, and what only an input says counts once."""
    return Counter({name: max(n for n, _ in _numbered(bound, name, here)) for name in {f.name for f in bound.fills}})


def _numbered(bound: Bound, name: str, here: Here) -> Iterator[tuple[int, Fill]]:
    """The assignments of a requirement, each with how often it was filled up to there."""
    total = 0
    for fill in bound.fills:
        if fill.name == name:
            count = fill.node.get("count") if here.major == "2" else None
            number = count.scalar if count is not None else 1
            total += number if type(number) is int else 1
            yield total, fill


def _target(service: Service, bound: Bound, fill: Fill, definition: RequirementDef) -> Iterator[Diagnostic]:
    node = fill.node
    target_node = node.get("node") if node.is_map else node
    if target_node is not None and target_node.is_list and target_node.list:
        target_node = target_node.list[0]
    if (
        target_node is not None
        and target_node.is_scalar
        and not target_node.is_null
        and fill.target is None
        and fill.target_type is None
    ):
        help_ = did_you_mean(target_node.text, service.templates) or "name a node template or a node type"
        yield Diagnostic(
            rules.UNKNOWN_NODE,
            target_node.span,
            f"cannot find node {target_node.text!r} for requirement {fill.name!r}",
            help_,
        )
        return
    if fill.target is None and fill.target_type is not None:
        yield Diagnostic(
            rules.NOTHING_MATCHES,
            (target_node or node).span,
            f"nothing here is a {fill.target_type.raw.name} that fills requirement {fill.name!r} of {bound.name!r}",
            "whoever uses this template may fill it",
        )
    type_ = fill.target.type if fill.target is not None else fill.target_type
    span = (target_node or node).span
    if type_ is None or type_.broken:
        return
    if definition.target:
        raw = definition.scope.lookup("node", definition.target)
        wanted = resolve(raw) if raw else None
        if wanted is not None and not type_.derives(wanted) and not wanted.broken:
            wrong = Diagnostic(
                rules.REQUIREMENT_MISMATCH,
                span,
                f"cannot fill requirement {fill.name!r} of {bound.name!r} with {_what(fill, type_)}: "
                f"it wants a {definition.target}",
                f"name a node template that is a {definition.target}",
            )
            # in 1.x the capability is what counts: real files put a database straight on a machine
            yield wrong.as_warning() if service.major == "1" and fill.capability is not None else wrong
            return
    named = node.get("capability") if node.is_map else None
    if named is not None and named.is_scalar:
        if named.text not in type_.capabilities:
            raw = service.scope.lookup("capability", named.text)
            if raw is None:
                yield Diagnostic(
                    rules.UNKNOWN_CAPABILITY,
                    named.span,
                    f"cannot find capability {named.text!r} in {_what(fill, type_)}",
                    nearest(named.text, type_.capabilities),
                )
            elif fill.capability is None:
                yield Diagnostic(
                    rules.REQUIREMENT_MISMATCH,
                    named.span,
                    f"cannot fill requirement {fill.name!r}: "
                    f"{_what(fill, type_)} has no capability of type {named.text}",
                    "name another node or capability",
                )
    elif definition.capability and fill.capability is None:
        raw = definition.scope.lookup("capability", definition.capability)
        if raw is not None and not resolve(raw).broken:
            yield Diagnostic(
                rules.REQUIREMENT_MISMATCH,
                span,
                f"cannot fill requirement {fill.name!r} of {bound.name!r} with {_what(fill, type_)}: "
                f"it has no capability of type {definition.capability}",
                "name a node template that has one",
            )


def _what(fill: Fill, type_: TypeDef) -> str:
    return f"{fill.target.name!r} ({type_.name})" if fill.target is not None else type_.name


def _relationship(service: Service, fill: Fill, here: Here) -> Iterator[Diagnostic]:
    named = fill.node.get("relationship") if fill.node.is_map else None
    relationship = fill.relationship
    if named is not None:
        word = named if named.is_scalar else named.get("type")
        if (
            word is not None
            and word.is_scalar
            and (relationship is None or relationship.type is None)
            and word.text not in service.relationships
        ):
            if word.text == fill.capability or (
                fill.definition is not None and word.text == fill.definition.relationship
            ):
                return
            raw = service.scope.lookup("relationship", word.text)
            if raw is None:
                wrong = unknown("relationship", word, service.scope)
                near = did_you_mean(word.text, [*service.relationships, *service.scope.known("relationship")])
                yield Diagnostic(wrong.rule, wrong.span, wrong.message, near or wrong.help)
            return
    if relationship is None or relationship.type is None or relationship.type.broken:
        return
    definition = fill.definition
    raw = (
        definition.scope.lookup("relationship", definition.relationship)
        if definition and definition.relationship
        else None
    )
    if named is not None and raw is not None and service.major == "2" and not relationship.type.derives(resolve(raw)):
        yield Diagnostic(
            rules.REQUIREMENT_MISMATCH,
            named.span,
            f"cannot fill requirement {fill.name!r} by a {relationship.type.name}: its type wants a {raw.name}",
            f"use {raw.name} or a type derived from it",
        )
    inner = Here(service, service.scope, relationship)
    if named is not None and named.is_map:
        given = named.get("properties")
        if given is not None and given.is_map:
            yield from values.members(
                given, relationship.type.properties, inner, f"relationship type {relationship.type.name}", named
            )
        for value in named.section("attributes").values():
            yield from values.free(value, inner)
        yield from operations.assigned(relationship, inner, service.files)
    yield from _valid_target(service, fill, relationship.type, named)


def _valid_target(service: Service, fill: Fill, type_: TypeDef, named: Node | None) -> Iterator[Diagnostic]:
    valid = names(type_.node.get("valid_target_types") or type_.node.get("valid_capability_types"))
    target = fill.target.type if fill.target is not None else None
    if not valid or target is None or target.broken or fill.capability is None:
        return
    capability = target.capabilities[fill.capability].type
    for name in valid:
        raw, node_raw = type_.scope.lookup("capability", name), type_.scope.lookup("node", name)
        if raw is not None and (capability is None or capability.derives(resolve(raw))):
            return
        if node_raw is not None and target.derives(resolve(node_raw)):
            return
    if fill.definition is not None and fill.definition.relationship and named is None:
        return  # the node type asks for this pair itself
    span = (named or fill.node).span
    yield Diagnostic(
        rules.REQUIREMENT_MISMATCH,
        span,
        f"cannot use relationship {type_.name} to reach capability {fill.capability!r} of {_what(fill, target)}: "
        f"it is for {', '.join(valid)}",
        "use another relationship, or leave it to the node type",
    )
