"""Whether the definition of a property, an attribute, an input or an entry holds together, and its default fits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meghdwar.compiler import constraints, functions, rules, scalars, validation, values
from meghdwar.compiler.service import Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import Schema, unknown
from meghdwar.diagnostics import Diagnostic


def check(item: Schema, above: Schema | None, here: Here, what: str, depth: int = 0) -> Iterator[Diagnostic]:
    """One definition of a property, attribute, input or entry, and its default against it."""
    node = item.node
    if above is not None and item.fixed is node:  # 2.0: refined by its value alone
        yield from values.check(node, above, here)
        return
    if depth > 16 or (node.is_list and here.major == "1"):
        return
    named = node if node.is_scalar else node.get("type")
    if named is None or not named.is_scalar or named.is_null:
        if (
            above is None
            and item.parent is None
            and (not node.is_null or here.major == "2")
            and node.get("value") is None
            and here.type is not None
        ):
            yield Diagnostic(
                rules.MISSING_KEY,
                node.key_span,
                f"cannot read {what} without its 'type'",
                "add `type: string` or another type",
            )
    elif not item.base and here.scope.lookup("data", named.text) is None:
        yield unknown("data", named, here.scope)
    if item.base == "scalar" and item.data is None and named is not None:
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            named.span,
            f"cannot make {what} a {named.text} as it is: it has no units",
            "derive a data type with `units` from it",
        )
    if above is not None and named is not None:
        yield from _refines(item, above, named, what)
    required = node.get("required")
    if above is not None and above.required and required is not None and not item.required and here.major == "2":
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            required.span,
            f"cannot do without {what}: a parent type requires it",
            "leave out the `required`",
            ((above.node.key_span, "declared here"),),
        )
    again = node.get("value")
    if above is not None and above.fixed is not None and again is not None and again.data() != above.fixed.data():
        yield Diagnostic(
            rules.FIXED_PROPERTY,
            again.span,
            f"cannot give {what} another value: a parent type fixes it",
            "leave it out",
            ((above.fixed.span, "fixed here"),),
        )
    for key, part in (("entry_schema", item.entry), ("key_schema", item.key)):
        inner = node.get(key)
        if inner is None or part is None or part.node is not inner:
            continue
        yield from in_place(key, inner, part, item.base, here, what)
        yield from check(
            part, above.entry if above and key == "entry_schema" else None, here, f"the {key} of {what}", depth + 1
        )
    yield from clauses(node.get("constraints"), lambda operand: scalars.datum(operand, item), item.base)
    yield from validation_of(node, here)
    for key in ("default", "value"):
        given = node.get(key)
        if given is not None and item.base:
            yield from values.check(given, item, here)


def in_place(key: str, node: Node, part: Schema, base: str, here: Here, what: str) -> Iterator[Diagnostic]:
    """Only lists and maps have schemas for what is in them, and only texts are keys."""
    if base and base not in ("list", "map"):
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            node.key_span,
            f"cannot give {what} an {key}: only lists and maps have one",
            f"remove the {key}, or make it a list or a map",
        )
    elif key == "key_schema" and here.major == "2" and part.base not in ("string", ""):
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            node.span,
            f"cannot make the keys of {what} a {part.type_name}: the keys of a map are strings",
            "use string or a type derived from it",
        )


def _refines(item: Schema, above: Schema, named: Node, what: str) -> Iterator[Diagnostic]:
    if not item.base or not above.base or item.type_name == above.type_name:
        return
    fits = (
        item.data.derives(above.data)
        if item.data is not None and above.data is not None
        else item.base == above.base and above.data is None
    )
    if not fits:
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            named.span,
            f"cannot make {what} a {item.type_name}: a parent type says {above.type_name}",
            f"use {above.type_name} or a type derived from it",
            ((above.node.key_span, "declared here"),),
        )


_ORDERED = (
    "integer",
    "float",
    "timestamp",
    "version",
    "string",
    "scalar",
    "scalar-unit.size",
    "scalar-unit.time",
    "scalar-unit.frequency",
    "scalar-unit.bitrate",
)
_SIZED = ("string", "list", "map", "bytes", "complex")
_CONSTRAINED = {
    **dict.fromkeys(("greater_than", "greater_or_equal", "less_than", "less_or_equal"), _ORDERED),
    "in_range": (*_ORDERED, "range"),
    **dict.fromkeys(("length", "min_length", "max_length"), _SIZED),
    "pattern": ("string", "version"),
}


def clauses(node: Node | None, convert: Callable[[Node], object], base: str) -> Iterator[Diagnostic]:
    """The constraint clauses of a schema."""
    for clause in node.list if node is not None else ():
        parsed, problems = constraints.parse_clause(clause, convert)
        yield from problems
        if parsed is not None and base:
            allowed = _CONSTRAINED.get(parsed.operator)
            if allowed is not None and base not in allowed:
                yield Diagnostic(
                    rules.BAD_CONSTRAINT,
                    clause.span,
                    f"cannot limit a {base} by {parsed.operator}",
                    f"it is for {', '.join(allowed)}",
                )


def validation_of(node: Node, here: Here) -> Iterator[Diagnostic]:
    """2.0: the validation clause of a definition is a call that gives true or false."""
    clause = node.get("validation")
    if clause is None:
        return
    call = functions.call(clause, here)
    known = validation.FUNCTIONS.get(call.name) if call is not None else None
    if call is None or (known is not None and not known.boolean):
        what = f"${call.name}" if call is not None else f"a {clause.kind}"
        yield Diagnostic(
            rules.BAD_VALIDATION,
            clause.span,
            f"cannot validate with {what}: it does not give true or false",
            "call a function that does, such as {$greater_than: [$value, 0]}",
        )
    yield from values.free(clause, here)
