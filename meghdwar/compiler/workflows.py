"""Workflows, and the triggers of policies that start them.

Source: TOSCA Simple Profile in YAML 1.3, sections 3.6.19 to 3.6.27 and chapter 7; TOSCA 2.0, chapters 14 and 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from meghdwar.compiler import check_functions, check_schemas, functions, operations, rules, values
from meghdwar.compiler.scope import Scope
from meghdwar.compiler.service import Bound, Here, Service
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import Schema, TypeDef, is_definition
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest

_SAID = (rules.UNKNOWN_REFERENCE, rules.UNKNOWN_INPUT)  # of the value as it stands


def condition(node: Node | None, here: Here) -> Iterator[Diagnostic]:
    """2.0: a condition is made of functions; whatever they refer to is there when the condition is looked at."""
    if node is not None and here.major == "2":
        yield from check_functions.names(node, here)


def check(service: Service, here: Here) -> Iterator[Diagnostic]:
    workflows = service.node.section("workflows")
    above = service
    for node in workflows.values():
        own = {name: Schema(item, here.scope) for name, item in node.section("inputs").items() if item.is_map}
        for name, schema in own.items():
            yield from check_schemas.check(schema, None, here, f"input {name!r}")
        # what its steps get as inputs are those of the workflow
        service = replace(above, inputs={**above.inputs, **own}) if own else above
        here = replace(here, service=service)
        implementation = node.get("implementation")
        if implementation is not None:
            yield from operations.operation(node, here, service.files, {})
        yield from condition(node.get("precondition"), here)
        steps = node.section("steps")
        for step in steps.values():
            yield from _step(service, step, steps, here)
        preconditions = node.get("preconditions")
        for item in preconditions.list if preconditions is not None else ():
            target = item.get("target")
            if target is not None:
                _, wrong = _target(service, target)
                yield from wrong


def _step(service: Service, step: Node, steps: dict[str, Node], here: Here) -> Iterator[Diagnostic]:
    target = step.get("target")
    bound: Bound | None = None
    if target is not None and target.is_scalar:
        bound, wrong = _target(service, target)
        yield from wrong
    yield from condition(step.get("filter"), here)
    related = step.get("target_relationship")
    type_ = bound.type if bound is not None and bound.kind == "node" else None
    if related is not None and type_ is not None and not type_.broken and related.text not in type_.requirements:
        yield Diagnostic(
            rules.BAD_WORKFLOW,
            related.span,
            f"cannot find requirement {related.text!r} in {type_.name}",
            nearest(related.text, type_.requirements),
        )
    for key in ("on_success", "on_failure"):
        named = step.get(key)
        for item in (named.list if named.is_list else [named]) if named is not None else ():
            if item.text not in steps:
                yield Diagnostic(
                    rules.BAD_WORKFLOW,
                    item.span,
                    f"cannot find step {item.text!r} in this workflow",
                    nearest(item.text, steps),
                )
    activities = step.get("activities")
    if activities is not None:
        yield from activity_list(service, activities, bound, here)


def _target(service: Service, target: Node) -> tuple[Bound | None, list[Diagnostic]]:
    bound = service.templates.get(target.text) or service.groups.get(target.text)
    if bound is not None:
        return bound, []
    help_ = did_you_mean(target.text, [*service.templates, *service.groups]) or "name a node template or a group"
    return None, [Diagnostic(rules.BAD_WORKFLOW, target.span, f"cannot find {target.text!r} to work on", help_)]


def activity_list(service: Service, node: Node, bound: Bound | None, here: Here) -> Iterator[Diagnostic]:
    for item in node.list:
        if not item.is_map:
            continue
        for key, value in item.map.items():
            if key == "call_operation":
                yield from _operation(value, bound, here)
            elif key in ("inline", "delegate"):
                yield from _workflow(service, key, value)
            for inner in value.section("inputs").values():
                yield from values.free(inner, here)


def _operation(value: Node, bound: Bound | None, here: Here) -> Iterator[Diagnostic]:
    """The operation that is called is there, and 2.0: it gets the inputs that it defines."""
    named = value.get("operation") if value.is_map else value
    if (
        named is None
        or not named.is_scalar
        or bound is None
        or bound.type is None
        or bound.type.broken
        or bound.kind != "node"
    ):
        return
    interface, _, operation = named.text.rpartition(".")
    type_: TypeDef = bound.type
    found = type_.interfaces.get(interface) or next(
        (i for i in type_.interfaces.values() if i.type is not None and i.type.raw.name == interface), None
    )
    if found is None:
        if interface not in bound.assigned("interfaces"):
            yield Diagnostic(
                rules.BAD_WORKFLOW,
                named.span,
                f"cannot call {named.text!r}: {bound.name!r} has no interface {interface!r}",
                did_you_mean(interface, type_.interfaces) or "write INTERFACE.OPERATION",
            )
    elif operation not in found.operations and operation not in bound.assigned("interfaces").get(interface, value).map:
        yield Diagnostic(
            rules.BAD_WORKFLOW,
            named.span,
            f"cannot call {named.text!r}: interface {interface!r} has no operation {operation!r}",
            nearest(operation, found.operations),
        )
    elif here.major == "2":
        yield from _given(value, named, {**found.inputs, **_defined(found.operations.get(operation, ()))}, bound, here)


def _defined(places: Iterable[tuple[Node, Scope]]) -> dict[str, Schema]:
    """The inputs that an operation defines, from the farthest definition to the nearest."""
    return {
        name: Schema(item, scope)
        for place, scope in places
        for name, item in place.section("inputs").items()
        if is_definition(item)
    }


def _given(value: Node, named: Node, wanted: Mapping[str, Schema], bound: Bound, here: Here) -> Iterator[Diagnostic]:
    """2.0: every input is one that is defined, of its type, and none that is required is missing."""
    given = value.section("inputs")
    for name, item in given.items():
        if name not in wanted:
            yield Diagnostic(
                rules.BAD_WORKFLOW,
                item.key_span,
                f"cannot give {named.text!r} an input {name!r}: it has none of that name",
                nearest(name, wanted),
            )
            continue
        yield from (wrong for wrong in values.check(item, wanted[name], here) if wrong.rule not in _SAID)
        call = functions.call(item, here)
        input_ = functions.result(call, here)[1] if call is not None and call.name == "get_input" else None
        if input_ is not None and wanted[name].required and not input_.required and input_.default is None:
            yield Diagnostic(
                rules.BAD_WORKFLOW,
                item.span,
                f"cannot fill {name!r}, which {named.text!r} requires, from an input that may be left out",
                "make the input required, or give it a default",
            )
    for name, schema in wanted.items():
        if name in given or not schema.required or schema.default is not None or schema.fixed is not None:
            continue
        interface, _, operation = named.text.rpartition(".")
        assigned = bound.assigned("interfaces").get(interface, value)
        inner = assigned.section("operations").get(operation, value)
        if name not in assigned.section("inputs") and name not in inner.section("inputs"):
            yield Diagnostic(
                rules.BAD_WORKFLOW,
                named.span,
                f"cannot call {named.text!r} without its input {name!r}",
                f"add `inputs: {{{name}: ...}}`",
            )


def _workflow(service: Service, key: str, value: Node) -> Iterator[Diagnostic]:
    named = value.get("workflow") if value.is_map else value
    workflows = service.node.section("workflows")
    if key == "inline" and named is not None and named.is_scalar and named.text not in workflows:
        yield Diagnostic(
            rules.BAD_WORKFLOW,
            named.span,
            f"cannot find workflow {named.text!r}",
            did_you_mean(named.text, workflows) or "define it under `workflows`",
        )


def trigger(service: Service, name: str, node: Node, here: Here) -> Iterator[Diagnostic]:
    """A trigger of a policy: what it watches and what it does."""
    if not node.is_map:
        return
    yield from condition(node.get("condition"), here)
    target_filter = node.get("target_filter")
    if target_filter is not None and target_filter.is_map:
        named = target_filter.get("node")
        if named is not None and named.text not in service.templates and here.scope.lookup("node", named.text) is None:
            wrong = Diagnostic(
                rules.BAD_TRIGGER,
                named.span,
                f"cannot find node {named.text!r} for trigger {name!r}",
                nearest(named.text, service.templates),
            )
            # in 1.x the filter only narrows down what the policy's targets have named
            yield wrong if here.major == "2" else wrong.as_warning()
    action = node.get("action")
    if action is not None and action.is_list:
        yield from activity_list(service, action, None, here)
    schedule = node.get("schedule")
    if schedule is not None and schedule.is_map:
        for key in ("start_time", "end_time"):
            moment = schedule.get(key)
            if moment is not None and moment.is_scalar and not _is_time(moment.text):
                yield Diagnostic(
                    rules.BAD_TIMESTAMP,
                    moment.span,
                    f"cannot read {moment.text[:40]!r} as a timestamp",
                    "write it as 2026-01-31T12:00:00Z",
                )


def _is_time(text: str) -> bool:
    from meghdwar.compiler import units

    return units.timestamp(text) is not None
