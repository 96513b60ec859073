"""Substitution mappings: what of a template stands for what of the node type that it can take the place of.

Source: TOSCA Simple Profile in YAML 1.3, section 3.8.13; TOSCA 2.0, chapter 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import check_functions, rules
from meghdwar.compiler.service import Here, Service
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import TypeDef, named_items, resolve, unknown
from meghdwar.diagnostics import Diagnostic, nearest


def check(service: Service, here: Here) -> Iterator[Diagnostic]:
    node = service.node.map.get("substitution_mappings")
    if node is None:
        return
    if node.is_null:
        yield Diagnostic(
            rules.BAD_SUBSTITUTION,
            node.key_span,
            "cannot read substitution mappings from nothing",
            "name the `node_type` that this template stands for",
        )
        return
    filter_ = node.get("substitution_filter")
    if filter_ is not None and service.major == "2":
        yield from check_functions.names(filter_, here)
    named = node.get("node_type")
    if named is None or not named.is_scalar:
        return
    raw = here.scope.lookup("node", named.text)
    if raw is None:
        yield unknown("node", named, here.scope)
        return
    type_ = resolve(raw)
    if type_.broken:
        return
    for section, known, parts in (
        ("properties", type_.properties, None),
        ("attributes", type_.attributes, None),
        ("capabilities", type_.capabilities, "capabilities"),
        ("requirements", type_.requirements, "requirements"),
    ):
        given = node.get(section)
        for key, item in (
            named_items(given)
            if given is not None and given.is_list
            else (given.map.items() if given is not None else ())
        ):
            if key.startswith("["):  # 2.0: [requirement, how often]
                key = key[1:].partition(",")[0].strip()
            if key not in known:
                word = section[:-3] + "y" if section.endswith("ies") else section[:-1]
                message = f"cannot map {word} {key!r}: {named.text} has none of that name"
                wrong = Diagnostic(rules.BAD_SUBSTITUTION, item.key_span, message, nearest(key, known))
                # published 1.x packages map what their node type forgot to declare
                yield wrong.as_warning() if service.major == "1" and section == "requirements" else wrong
            elif parts is not None:
                yield from _mapped(service, parts, item)
            elif section == "properties":
                yield from _mapped_to("input", service.inputs, item, service)
            elif section == "attributes" and service.major == "2":
                yield from _mapped_to("output", service.node.section("outputs"), item, service)
    if service.major == "2":
        yield from _interfaces(service, node, type_)


def _interfaces(service: Service, node: Node, type_: TypeDef) -> Iterator[Diagnostic]:
    """Operations of the node type, each done by a workflow."""
    workflows = service.node.section("workflows")
    for name, operations in node.section("interfaces").items():
        known = type_.interfaces.get(name)
        if known is None:
            message = f"cannot map interface {name!r}: {type_.name} has none of that name"
            yield Diagnostic(rules.BAD_SUBSTITUTION, operations.key_span, message, nearest(name, type_.interfaces))
            continue
        if not operations.is_map:
            message = f"cannot map interface {name!r} to a {operations.kind}: it has to be a map"
            yield Diagnostic(rules.BAD_SUBSTITUTION, operations.span, message, "write OPERATION: WORKFLOW")
        for operation, workflow in operations.map.items():
            if operation not in known.operations:
                message = f"cannot map operation {operation!r}: interface {name!r} has none of that name"
                yield Diagnostic(
                    rules.BAD_SUBSTITUTION, workflow.key_span, message, nearest(operation, known.operations)
                )
            elif workflow.text not in workflows:
                message = f"cannot find workflow {workflow.text!r} to map to"
                yield Diagnostic(rules.BAD_SUBSTITUTION, workflow.span, message, nearest(workflow.text, workflows))


def _mapped(service: Service, parts: str, item: Node) -> Iterator[Diagnostic]:
    """[template, capability or requirement] in one of the forms that the versions have."""
    path = item.list if item.is_list else (item.get("mapping") or item).list
    if path and path[0].is_list and service.major == "2":  # one requirement goes to several
        for inner in path:
            yield from _mapped(service, parts, inner)
        return
    if not path and item.is_scalar and service.major == "2" and parts == "requirements":
        path = [item]  # a node that is selected from elsewhere
    if not path or not path[0].is_scalar:
        if service.major == "2":
            message = "cannot read this mapping: it has to be a list of a node template and what it has"
            yield Diagnostic(rules.BAD_SUBSTITUTION, item.span, message, "write [NODE, NAME]")
        return
    bound = service.templates.get(path[0].text)
    if bound is None:
        yield Diagnostic(
            rules.BAD_SUBSTITUTION,
            path[0].span,
            f"cannot find node {path[0].text!r} to map to",
            nearest(path[0].text, service.templates),
        )
        return
    if len(path) > 1 and path[1].is_scalar and bound.type is not None and not bound.type.broken:
        known: list[str] = list(getattr(bound.type, parts))
        if path[1].text not in known and path[1].text not in ("CAPABILITY", "RELATIONSHIP"):
            word = "capability" if parts == "capabilities" else "requirement"
            yield Diagnostic(
                rules.BAD_SUBSTITUTION,
                path[1].span,
                f"cannot find {word} {path[1].text!r} in {bound.name!r}",
                nearest(path[1].text, known),
            )


def _mapped_to(what: str, known: Mapping[str, object], item: Node, service: Service) -> Iterator[Diagnostic]:
    path = item.list if item.is_list else ((item.get("mapping") or item).list if item.is_map else [item])
    if (
        len(path) == 1
        and path[0].is_scalar
        and not path[0].is_null
        and path[0].text not in known
        and service.major == "2"
    ):
        yield Diagnostic(
            rules.BAD_SUBSTITUTION,
            path[0].span,
            f"cannot find {what} {path[0].text!r} to map to",
            nearest(path[0].text, known),
        )
