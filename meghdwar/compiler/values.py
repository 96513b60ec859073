"""Whether a value is what its schema asks for.

Source: TOSCA Simple Profile in YAML 1.3, sections 3.3 and 3.6; TOSCA 2.0, chapter 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import check_functions, constraints, functions, rules, scalars, units, validation
from meghdwar.compiler.constraints import Clause
from meghdwar.compiler.service import Here
from meghdwar.compiler.source import CALL_KEY, PLAIN, Node
from meghdwar.compiler.types import Schema
from meghdwar.diagnostics import Diagnostic, did_you_mean


def check(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    """What is wrong with a value, and with the functions in it."""
    call = functions.call(node, here)
    if call is not None:
        yield from check_call(call, here)
        yield from _call_fits(call, schema, here)
        return
    if node.is_null:
        if here.major == "2" and schema.base not in ("nil", "") and schema.required:
            yield Diagnostic(
                rules.WRONG_TYPE,
                node.key_span,
                f"cannot use nothing where {scalars.a(schema)} is expected",
                "give a value or leave the key out",
            )
        return
    base = schema.base
    if base == "complex":
        yield from _complex(node, schema, here)
    elif base == "list":
        yield from _list(node, schema, here)
    elif base == "map":
        yield from _map(node, schema, here)
    elif base == "range":
        yield from _range(node)
    elif base:
        if not node.is_scalar:
            yield from _not_scalar(node, schema, here)
            return
        wrong = scalars.check(node, schema, here.major)
        if wrong is not None:
            yield wrong
            if wrong.is_error:
                return
        if base == "scalar" and schema.data is not None and schema.data.counted_in is not None:
            yield from check(scalars.number_of(node), schema.data.counted_in, here)
    else:
        yield from free(node, here)
        return
    yield from constrained(node, schema, here)


def free(node: Node, here: Here) -> Iterator[Diagnostic]:
    """The functions in a value whose type is not known, and what looks like one; everything else is let pass."""
    stack = [node]
    while stack:
        item = stack.pop()
        call = functions.call(item, here)
        if call is not None:
            yield from check_call(call, here)
        elif item.is_map and len(item.map) == 1 and next(iter(item.map)).startswith("get_"):
            yield _unknown_function(item, here)
        elif item.is_map:
            yield from check_functions.malformed(item, here)
            stack.extend(reversed(item.map.values()))
        elif item.is_list:
            stack.extend(reversed(item.list))


def check_call(call: functions.Call, here: Here) -> Iterator[Diagnostic]:
    """A call and the calls among its arguments."""
    stack = [call]
    while stack:
        top = stack.pop()
        yield from check_functions.check(top, here)
        below = [top.argument] if top.argument is not None else []
        while below:
            item = below.pop()
            inner = functions.call(item, here) if item is not top.node else None
            if inner is not None:
                stack.append(inner)
            elif item.is_map:
                below.extend(item.map.values())
            elif item.is_list:
                below.extend(item.list)


def _not_scalar(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if node.is_map and len(node.map) == 1:
        name = next(iter(node.map))
        if name.startswith(("get_", "$")) or did_you_mean(name, _functions(here)):
            yield _unknown_function(node, here)
            return
    yield scalars.wrong(node, schema)


def _functions(here: Here) -> list[str]:
    return [*functions.FUNCTIONS_1] if here.major == "1" else [f"${name}" for name in functions.FUNCTIONS_2]


def _unknown_function(node: Node, here: Here) -> Diagnostic:
    name, known = next(iter(node.map)), _functions(here)
    help_ = did_you_mean(name, known) or "known are " + ", ".join(known)
    return Diagnostic(rules.UNKNOWN_FUNCTION, node.map[name].key_span, f"cannot find a function {name!r}", help_)


def _call_fits(call: functions.Call, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    """A function gives what is asked for, as far as that can be told before it runs."""
    given, behind = functions.result(call, here)
    wanted = schema.base
    if not given or not wanted or given == wanted or behind is schema:
        return
    collections = ("list", "map", "complex", "range")
    if given in collections or wanted in collections:
        if given == "map" and wanted == "complex":
            return
        if wanted == "range" and given == "list":
            return
        yield Diagnostic(
            rules.TYPES_DIFFER,
            call.node.span,
            f"cannot use the {given} that {call.name} gives where {scalars.a(schema)} is expected",
            "use a function or an input that gives one",
        )
    elif (
        {given, wanted} <= {"string", "integer", "float", "boolean"} and (given, wanted) != ("integer", "float")
        if here.major == "2"
        else {given, wanted} & {"boolean"} and not {given, wanted} & {"string"}
    ):
        yield Diagnostic(
            rules.TYPES_DIFFER,
            call.node.span,
            f"cannot use the {given} that {call.name} gives where {scalars.a(schema)} is expected",
            "use a function or an input that gives one",
        )


# collections
def _complex(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if schema.data is None:
        return
    if not node.is_map:
        yield scalars.wrong(node, schema)
        return
    yield from members(node, schema.data.properties, here, f"type {schema.type_name}", node)


def members(node: Node, wanted: Mapping[str, Schema], here: Here, what: str, place: Node) -> Iterator[Diagnostic]:
    """A map against named schemas: unknown names, missing ones, wrong values."""
    for name, value in node.map.items():
        schema = wanted.get(name)
        if schema is None:
            help_ = did_you_mean(name, wanted) or (f"it has {', '.join(wanted)}" if wanted else "")
            yield Diagnostic(rules.UNKNOWN_PROPERTY, value.key_span, f"cannot find property {name!r} in {what}", help_)
            yield from free(value, here)
            continue
        if schema.fixed is not None and schema.fixed.data() != value.data():
            yield Diagnostic(
                rules.FIXED_PROPERTY,
                value.span,
                f"cannot give {name!r} a value: {what} fixes it",
                "leave it out",
                ((schema.fixed.span, "fixed here"),),
            )
        yield from check(value, schema, here)
    yield from missing(node, wanted, what, place)


def missing(node: Node, wanted: Mapping[str, Schema], what: str, place: Node) -> Iterator[Diagnostic]:
    for name, schema in wanted.items():
        if schema.required and schema.default is None and schema.fixed is None and node.get(name) is None:
            if name in node.map and schema.base in ("nil", "null", ""):
                continue
            if name in node.map and node.map[name].is_null and schema.scope.major == "2":
                continue  # said where the value stands
            yield Diagnostic(
                rules.MISSING_PROPERTY,
                place.key_span,
                f"cannot do without property {name!r} of {what}",
                f"add `{name}: ...`",
                ((schema.node.key_span, "declared here"),) if schema.scope.library else (),
            )


def _list(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if not node.is_list:
        yield scalars.wrong(node, schema, "put it in brackets: [...]" if node.is_scalar else "")
        return
    entry = schema.entry
    for item in node.list:
        if entry is not None:
            yield from check(item, entry, here)
        else:
            yield from free(item, here)


def _map(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if not node.is_map:
        yield scalars.wrong(node, schema)
        return
    entry, key = schema.entry, schema.key
    yield from check_functions.malformed(node, here)
    for name, value in node.map.items():
        if key is not None and key.base and key.base != "complex" and not name.startswith(CALL_KEY):
            named = Node(PLAIN, name, value.key_at if value.key_at >= 0 else value.at, value.file)
            if key.base != "string":
                wrong = scalars.check(named, key, here.major)
                if wrong is not None and wrong.is_error:
                    yield wrong
                    continue
            yield from constrained(named, key, here)
        if entry is not None:
            yield from check(value, entry, here)
        else:
            yield from free(value, here)


def _range(node: Node) -> Iterator[Diagnostic]:
    if units.bounds(node.data()) is None:
        yield Diagnostic(
            rules.BAD_RANGE,
            node.span,
            "cannot read this as a range: it is a list of two integers, the lower first",
            "write [1, 4] or [1, UNBOUNDED]",
        )


# constraints
def clauses(schema: Schema) -> list[Clause]:
    """The constraints of a schema and of its data type, with operands as numbers where they have units."""
    found: list[Clause] = []
    data = schema.data
    for node, owner in schema.constraints:
        clause, _ = constraints.parse_clause(node, lambda operand, owner=owner: scalars.datum(operand, owner))  # type: ignore[misc]
        if clause is not None:
            found.append(clause)
    for node, _type in data.constraints if data is not None else ():
        clause, _ = constraints.parse_clause(node, lambda operand: scalars.datum(operand, schema))
        if clause is not None:
            found.append(clause)
    return found


def constrained(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    """The constraints that a value breaks; a value with functions in it cannot be judged yet."""
    data = schema.data
    if schema.constraints or (data is not None and data.constraints):
        if "clauses" not in schema.parsed:
            schema.parsed["clauses"] = clauses(schema)
        value = scalars.datum(node, schema)
        for clause in schema.parsed["clauses"] if value is not None else ():
            words = constraints.violation(clause, value, node.text if node.is_scalar else "")
            if words is not None:
                wrong = Diagnostic(
                    rules.VIOLATED_CONSTRAINT,
                    node.span,
                    f"cannot use this value: it {words}",
                    "change it, or the limit where the property is declared",
                    ((clause.origin, "the constraint"),),
                )
                # published 1.x packages break the patterns of list entries, which no tool ever looked at
                yield (
                    wrong.as_warning()
                    if clause.operator == "pattern" and schema.is_entry and here.major == "1"
                    else wrong
                )
    for expression in (*schema.validation, *(data.validation if data is not None else ())):
        if any(functions.call(inner, here) for inner in node.walk()):
            return
        if (
            validation.evaluate(expression.data(), scalars.datum(node, schema), lambda text: scalars.read(text, schema))
            is False
        ):
            yield Diagnostic(
                rules.VIOLATED_CONSTRAINT,
                node.span,
                f"cannot use this value: {_shown(node)} does not pass its validation",
                "change it, or the validation where the property is declared",
                ((expression.span, "the validation"),),
            )


def _shown(node: Node) -> str:
    return repr(node.text[:60]) if node.is_scalar else f"this {node.kind}"
