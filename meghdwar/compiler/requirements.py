"""Requirements: what fills them, whether it fits, and which template a type or a filter selects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from meghdwar.compiler import constraints, functions, rules, validation, values
from meghdwar.compiler.service import Bound, Fill, Here, Service
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import RequirementDef, TypeDef, names, resolve, unknown
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest


def select(service: Service) -> None:
    """Fill the requirements that name a type or a filter with the first template that answers to it."""
    for bound in service.templates.values():
        for fill in bound.fills:
            node = fill.node
            if fill.target is not None or not node.is_map:
                if fill.target is None and fill.target_type is not None:
                    fill.target = next(_candidates(service, bound, fill, None), None)
                continue
            node_filter = node.get("node_filter") or (fill.definition.node_filter if fill.definition else None)
            if fill.target_type is not None or (node.get("node") is None and node_filter is not None):
                fill.target = next(_candidates(service, bound, fill, node_filter), None)
            if fill.target is not None and fill.relationship is not None:
                fill.relationship.target = fill.target


def _candidates(service: Service, source: Bound, fill: Fill, node_filter: Node | None) -> Iterator[Bound]:
    wanted = fill.target_type
    if wanted is None and fill.definition is not None and fill.definition.target:
        raw = fill.definition.scope.lookup("node", fill.definition.target)
        wanted = resolve(raw) if raw else None
    capability = fill.definition.capability if fill.definition else None
    for bound in service.templates.values():
        if bound is source or bound.type is None:
            continue
        if wanted is not None and not bound.type.derives(wanted):
            continue
        if (
            wanted is None
            and capability
            and not any(c.type_name == capability or name == capability for name, c in bound.type.capabilities.items())
        ):
            continue
        if node_filter is None or satisfies(service, bound, node_filter):
            yield bound


def satisfies(service: Service, bound: Bound, node_filter: Node) -> bool:
    """Whether a template answers to a filter; what cannot be told before it runs counts as yes."""
    if service.major == "2":
        return validation.evaluate(_known(service, bound, node_filter), None) is not False
    wanted: list[tuple[Mapping[str, Node], str | None, Node | None]] = [
        (bound.assigned("properties"), None, node_filter.get("properties"))
    ]
    capabilities = node_filter.get("capabilities")
    for item in capabilities.list if capabilities is not None else ():
        for name, inner in item.map.items():
            given = bound.assigned("capabilities").get(name)
            wanted.append((given.section("properties") if given is not None else {}, name, inner.get("properties")))
    for given_values, capability, clauses in wanted:
        for item in (
            clauses.list if clauses is not None and clauses.is_list else [clauses] if clauses is not None else []
        ):
            for name, clause in item.map.items():
                if _breaks(bound, capability, name, given_values.get(name), clause):
                    return False
    return True


def _breaks(bound: Bound, capability: str | None, name: str, given: Node | None, clause: Node) -> bool:
    assert bound.type is not None  # noqa: S101 - candidates have a type
    definition = bound.type.capabilities.get(capability) if capability else None
    schema = (definition.properties if definition else bound.type.properties).get(name)
    value_node = given if given is not None else (schema.default if schema else None)
    if schema is None or value_node is None:
        return schema is None
    value = values.datum(value_node, schema)
    for item in clause.list if clause.is_list else [clause]:
        parsed, _ = (
            constraints.parse_clause(item, lambda operand: values.datum(operand, schema))
            if item.is_map
            else (None, None)
        )
        if parsed is not None and constraints.violation(parsed, value) is not None:
            return True
        if item.is_scalar and values.datum(item, schema) != value:
            return True
    return False


def _known(service: Service, bound: Bound, node: Node) -> object:
    """A 2.0 condition as data, with the properties of the candidate put in where they are known."""
    here = Here(service, service.scope, bound)
    call = functions.call(node, here)
    if call is not None and call.name in ("get_property", "get_attribute"):
        path = [item.text for item in call.arguments]
        if path[:1] == ["SELF"] and bound.type is not None:
            if path[1:2] == ["CAPABILITY"] and len(path) == 4:
                given = bound.assigned("capabilities").get(path[2])
                definition = bound.type.capabilities.get(path[2])
                schema = definition.properties.get(path[3]) if definition else None
                value = given.section("properties").get(path[3]) if given is not None else None
            else:
                schema, value = bound.type.properties.get(path[-1]), bound.assigned("properties").get(path[-1])
            value = value if value is not None else (schema.default if schema else None)
            if schema is not None and value is not None and functions.call(value, here) is None:
                return values.datum(value, schema)
        return node.data()
    if node.is_map:
        return {key: _known(service, bound, item) for key, item in node.map.items()}
    if node.is_list:
        return [_known(service, bound, item) for item in node.list]
    return node.scalar


def check(service: Service, bound: Bound, here: Here) -> Iterator[Diagnostic]:
    """The requirements of one template."""
    type_ = bound.type
    for fill in bound.fills:
        if service.major == "2":
            yield from _written(fill, here)
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
    inner = Here(service, service.scope, relationship)
    if named is not None and named.is_map:
        given = named.get("properties")
        if given is not None and given.is_map:
            yield from values.members(
                given, relationship.type.properties, inner, f"relationship type {relationship.type.name}", named
            )
        for value in named.section("attributes").values():
            yield from values.free(value, inner)
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
