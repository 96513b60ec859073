"""Whether a value is what its schema asks for, and the plain datum that it stands for.

Source: TOSCA Simple Profile in YAML 1.3, sections 3.3 and 3.6; TOSCA 2.0, chapter 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import check_functions, constraints, functions, rules, units, validation
from meghdwar.compiler.constraints import Clause
from meghdwar.compiler.service import Here
from meghdwar.compiler.source import PLAIN, Node
from meghdwar.compiler.types import Schema, TypeDef
from meghdwar.diagnostics import Diagnostic, did_you_mean

SCALAR_UNITS = ("scalar-unit.size", "scalar-unit.time", "scalar-unit.frequency", "scalar-unit.bitrate")
_PLAIN_BASES = (
    "string",
    "integer",
    "float",
    "boolean",
    "timestamp",
    "version",
    "bytes",
    "nil",
    "null",
    "scalar",
    *SCALAR_UNITS,
)
_A = {
    "integer": "an integer",
    "scalar-unit.size": "a size",
    "scalar-unit.time": "a time",
    "scalar-unit.frequency": "a frequency",
    "scalar-unit.bitrate": "a bit rate",
}
_LOOSE_BOOLEANS = {
    "yes": True,
    "no": False,
    "on": True,
    "off": False,
    "Yes": True,
    "No": False,
    "YES": True,
    "NO": False,
}


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
                f"cannot use nothing where {a(schema)} is expected",
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
        wrong = _scalar(node, schema, here.major)
        if wrong is not None:
            yield wrong
            if wrong.is_error:
                return
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


def a(schema: Schema) -> str:
    """The words for a schema: "a string", "an integer", "a list"."""
    base = schema.base
    if base == "complex":
        return f"a map of type {schema.type_name}"
    return _A.get(base, f"a {base}")


def _wrong(node: Node, schema: Schema, help_: str = "") -> Diagnostic:
    help_ = help_ or f"write {a(schema)}"
    shown = f" {node.text[:40]!r}" if node.is_scalar and not node.is_null else ""
    kind = "nothing" if node.is_null else ("an " if node.kind == "integer" else "a ") + node.kind
    return Diagnostic(rules.WRONG_TYPE, node.span, f"cannot use {kind}{shown} where {a(schema)} is expected", help_)


def _not_scalar(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if node.is_map and len(node.map) == 1:
        name = next(iter(node.map))
        if name.startswith(("get_", "$")) or did_you_mean(name, _functions(here)):
            yield _unknown_function(node, here)
            return
    yield _wrong(node, schema)


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
            f"cannot use the {given} that {call.name} gives where {a(schema)} is expected",
            "use a function or an input that gives one",
        )
    elif {given, wanted} & {"boolean"} and not {given, wanted} & {"string"}:
        yield Diagnostic(
            rules.TYPES_DIFFER,
            call.node.span,
            f"cannot use the {given} that {call.name} gives where {a(schema)} is expected",
            "use a function or an input that gives one",
        )


# scalars
def _scalar(node: Node, schema: Schema, major: str) -> Diagnostic | None:
    base, text = schema.base, node.text
    value = node.scalar
    plain = node.form == PLAIN
    if base == "string":
        if isinstance(value, str):
            return None
        if major == "2" and schema.type_name == "string":
            return _wrong(node, schema, f'put it in quotes: "{text}"')
        return Diagnostic(
            rules.LOOSE_TYPE,
            node.span,
            f"{text!r} is read as text although it looks like {_A.get(node.kind, 'a ' + node.kind)}",
            f'put it in quotes: "{text}"',
        )
    if base == "integer":
        if type(value) is int and (major == "1" or -(1 << 63) <= value < 1 << 63):
            return None
        if isinstance(value, str) and not plain and major == "1" and _is_integer(text):
            return Diagnostic(
                rules.LOOSE_TYPE,
                node.span,
                f"{text!r} is read as an integer although it is in quotes",
                "remove the quotes",
            )
        return _wrong(node, schema)
    if base == "float":
        if type(value) in (int, float):
            return None
        if isinstance(value, str) and not plain and major == "1" and _is_float(text):
            return Diagnostic(
                rules.LOOSE_TYPE,
                node.span,
                f"{text!r} is read as a float although it is in quotes",
                "remove the quotes",
            )
        return _wrong(node, schema)
    if base == "boolean":
        if isinstance(value, bool) and (major == "1" or text in ("true", "false")):
            return None
        if major == "1" and (text in _LOOSE_BOOLEANS or text.lower() in ("true", "false")):
            return Diagnostic(
                rules.LOOSE_TYPE,
                node.span,
                f"{text!r} is read as {'true' if boolean(text) else 'false'}",
                f"write {'true' if boolean(text) else 'false'}",
            )
        return _wrong(node, schema, "write true or false")
    if base == "bytes":
        return (
            None
            if units.base64(text) is not None and isinstance(value, str)
            else Diagnostic(
                rules.BAD_BYTES,
                node.span,
                f"cannot read {text[:40]!r} as bytes: they are written in base64",
                "use letters, digits, + and /, and = to fill up to a multiple of four",
            )
        )
    if base in ("nil", "null"):
        return _wrong(node, schema)
    if base == "timestamp":
        return (
            None
            if units.timestamp(text, space=major == "1") is not None
            else Diagnostic(
                rules.BAD_TIMESTAMP,
                node.span,
                f"cannot read {text[:40]!r} as a timestamp",
                "write it as 2026-01-31T12:00:00Z",
            )
        )
    if base == "version":
        return (
            None
            if units.version(text) is not None and (major == "1" or isinstance(value, str))
            else Diagnostic(
                rules.BAD_VERSION_VALUE,
                node.span,
                f"cannot read {text[:40]!r} as a version",
                "write it as 1.0, 1.0.0 or 1.0.0.alpha-10",
            )
        )
    if base in SCALAR_UNITS:
        if units.parse(base, text) is not None:
            return None
        known = units.unit_names(base)
        return Diagnostic(
            rules.BAD_UNIT,
            node.span,
            f"cannot read {text[:40]!r} as {_A[base]}: it is a number and a unit",
            did_you_mean(text.strip().lstrip("+-0123456789. "), known) or "units are " + ", ".join(known),
        )
    if base == "scalar" and schema.data is not None:
        return _user_scalar(node, schema.data)
    return None


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def boolean(text: str) -> bool:
    return _LOOSE_BOOLEANS.get(text, text.lower() == "true")


def _user_scalar(node: Node, type_: TypeDef) -> Diagnostic | None:
    """2.0: a scalar of a type with units of its own."""
    if type_.units is None or scalar_number(node.text, type_) is not None:
        return None
    known = list(type_.units)
    unit = node.text.strip().lstrip("+-0123456789.eE ")
    return Diagnostic(
        rules.BAD_UNIT,
        node.span,
        f"cannot read {node.text[:40]!r} as {type_.name}: it is a number and a unit",
        did_you_mean(unit, known) or "units are " + ", ".join(known),
    )


def scalar_number(text: str, type_: TypeDef) -> float | int | None:
    """2.0: the number of a scalar in the type's own measure."""
    factors = {name: node.scalar for name, node in (type_.units or {}).items() if isinstance(node.scalar, (int, float))}
    prefixes = {name: node.scalar for name, node in type_.node.section("prefixes").items()}
    for prefix, multiplier in prefixes.items():
        if isinstance(multiplier, (int, float)):
            factors.update(
                {prefix + unit: multiplier * factor for unit, factor in factors.items() if prefix + unit not in factors}
            )
    number = units.scale(factors, text)
    whole = type_.setting("data_type") or type_.setting("data_value_type")
    if whole == "integer" and isinstance(number, float) and "." in text:
        return None
    return number


# collections
def _complex(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if schema.data is None:
        return
    if not node.is_map:
        yield _wrong(node, schema)
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
        yield _wrong(node, schema, "put it in brackets: [...]" if node.is_scalar else "")
        return
    entry = schema.entry
    for item in node.list:
        if entry is not None:
            yield from check(item, entry, here)
        else:
            yield from free(item, here)


def _map(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    if not node.is_map:
        yield _wrong(node, schema)
        return
    entry, key = schema.entry, schema.key
    yield from check_functions.malformed(node, here)
    for name, value in node.map.items():
        if key is not None and key.base and key.base != "complex":
            named = Node(PLAIN, name, value.key_at if value.key_at >= 0 else value.at, value.file)
            if key.base != "string":
                wrong = _scalar(named, key, here.major)
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
        clause, _ = constraints.parse_clause(node, lambda operand, owner=owner: datum(operand, owner))  # type: ignore[misc]
        if clause is not None:
            found.append(clause)
    for node, _type in data.constraints if data is not None else ():
        clause, _ = constraints.parse_clause(node, lambda operand: datum(operand, schema))
        if clause is not None:
            found.append(clause)
    return found


def constrained(node: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    """The constraints that a value breaks; a value with functions in it cannot be judged yet."""
    data = schema.data
    if schema.constraints or (data is not None and data.constraints):
        if "clauses" not in schema.parsed:
            schema.parsed["clauses"] = clauses(schema)
        value = datum(node, schema)
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
        if validation.evaluate(expression.data(), datum(node, schema), lambda text: _read(text, schema)) is False:
            yield Diagnostic(
                rules.VIOLATED_CONSTRAINT,
                node.span,
                f"cannot use this value: {_shown(node)} does not pass its validation",
                "change it, or the validation where the property is declared",
                ((expression.span, "the validation"),),
            )


def _shown(node: Node) -> str:
    return repr(node.text[:60]) if node.is_scalar else f"this {node.kind}"


def datum(node: Node, schema: Schema) -> object:
    """The plain value for comparisons: numbers for scalars with units; None when it cannot be told."""
    base = schema.base
    if node.is_scalar:
        if base in SCALAR_UNITS:
            return units.parse(base, node.text)
        if base == "scalar" and schema.data is not None:
            return scalar_number(node.text, schema.data)
        if base in ("string", "bytes"):
            return node.text
        if base == "version":
            return units.version(node.text)
        if base == "timestamp":
            return units.timestamp(node.text)
        if base == "integer":
            return int(node.text) if _is_integer(node.text) else node.scalar
        if base == "float":
            return float(node.text) if _is_float(node.text) else node.scalar
        if base == "boolean":
            return boolean(node.text)
        return node.scalar
    return node.data()


def _read(text: str, schema: Schema) -> object:
    """A text beside a value of this schema, as such a value: "4 GB" beside a size."""
    return None if schema.base == "string" else datum(Node(PLAIN, text, 0, ""), schema)
