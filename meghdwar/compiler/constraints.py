"""Limits on values: the constraint clauses of 1.x, as they are written and as they are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from meghdwar.compiler import rules
from meghdwar.compiler.patterns import Pattern, compile_pattern
from meghdwar.compiler.source import Node
from meghdwar.compiler.units import Version
from meghdwar.diagnostics import Diagnostic, Span, did_you_mean
from meghdwar.model import EXPRESSIONS

UNBOUNDED = "UNBOUNDED"

# operator: the shape of its operand, and the words for "but has to ..."
OPERATORS: Mapping[str, tuple[str, str]] = {
    "equal": ("value", "be {}"),
    "greater_than": ("value", "be greater than {}"),
    "greater_or_equal": ("value", "be at least {}"),
    "less_than": ("value", "be less than {}"),
    "less_or_equal": ("value", "be at most {}"),
    "in_range": ("range", "be in range {}"),
    "valid_values": ("values", "be one of {}"),
    "length": ("count", "have length {}"),
    "min_length": ("count", "have at least length {}"),
    "max_length": ("count", "have at most length {}"),
    "pattern": ("pattern", "match the pattern {}"),
    "schema": ("schema", "follow the schema {}"),
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One limit. `words` is the operand as it was written; the operand itself can be compared with values."""

    operator: str
    operand: object
    origin: Span
    words: str = ""


def parse_clause(node: Node, convert: Callable[[Node], object] = Node.data) -> tuple[Clause | None, list[Diagnostic]]:
    """The clause that a map with one key is. `convert` makes an operand a value of the constrained type, or None."""
    if len(node.map) != 1:
        message = f"cannot read this {node.kind} as a constraint"
        return None, [_bad(node, message, "write one operator and its operand, such as {in_range: [1, 4]}")]
    operator, operand = next(iter(node.map.items()))
    if operator not in OPERATORS:
        help_ = did_you_mean(operator, OPERATORS) or "it is one of " + ", ".join(OPERATORS)
        span = operand.key_span
        span = Span(span.file, span.line, span.column, max(len(operator), 1))
        return None, [
            Diagnostic(rules.BAD_CONSTRAINT, span, f"cannot find the constraint operator {operator!r}", help_)
        ]
    value, problems = _OPERANDS[OPERATORS[operator][0]](operator, operand, convert)
    if problems:
        return None, problems
    joined = {"in_range": " to ", "valid_values": ", "}.get(operator)
    words = joined.join(item.text for item in operand.list[:20]) if joined else _written(operand)
    words += ", ..." if joined and len(operand.list) > 20 else ""
    return Clause(operator, value, operand.key_span, words), []


def violation(clause: Clause, value: object, shown: str = "") -> str | None:
    """How a value breaks a limit, such as "is 9 but has to be in range 1 to 4"; None when it does not.

    What cannot be known before the stack is built does not break anything. `shown` is the value as it was written.
    """
    if isinstance(value, EXPRESSIONS) or value is None:
        return None
    broken = _BROKEN[clause.operator](value, clause.operand)
    if broken is None or not broken:
        return None
    what = (
        f"has length {len(value)}"
        if "length" in clause.operator and isinstance(value, _SIZED)
        else f"is {shown or show(value)}"
    )
    return f"{what} but has to {OPERATORS[clause.operator][1].format(clause.words or show(clause.operand))}"


def show(value: object) -> str:
    """A value in a sentence."""
    text = str(value) if isinstance(value, (Version, int, float)) and not isinstance(value, bool) else _plain(value)
    return text if len(text) <= 60 else text[:57] + "..."


# operands
_Parsed = tuple[object, list[Diagnostic]]
_Convert = Callable[[Node], object]
_SIZED = (str, list, tuple, Mapping)


def _value(operator: str, node: Node, convert: _Convert) -> _Parsed:
    value = convert(node)
    if value is None or (operator != "equal" and isinstance(value, (bool, list, tuple, dict))):
        help_ = "give a value of the same type as the one that is constrained"
        return None, [_bad(node, f"cannot compare with {_written(node)}: it is no value for {operator!r} here", help_)]
    return value, []


def _range(operator: str, node: Node, convert: _Convert) -> _Parsed:
    help_ = "write [low, high]; either may be UNBOUNDED"
    if len(node.list) != 2:
        return None, [_bad(node, "cannot read this as a range", help_)]
    ends: list[object] = []
    for item in node.list:
        if item.text == UNBOUNDED:
            ends.append(None)
            continue
        end, problems = _value(operator, item, convert)
        if problems:
            return None, problems
        ends.append(end)
    low, high = ends
    if low is not None and high is not None and compare(high, low) == -1:
        message = f"cannot have a range that runs backwards, from {_written(node.list[0])} to {_written(node.list[1])}"
        return None, [_bad(node, message, "put the lower end first")]
    return (low, high), []


def _values(operator: str, node: Node, convert: _Convert) -> _Parsed:
    if not node.is_list or not node.list:
        return None, [_bad(node, f"cannot read this {node.kind} as valid values", "write a list of at least one value")]
    values = [convert(item) for item in node.list]
    problems = [
        _bad(item, f"cannot use {_written(item)} as a valid value: it has another type", "give values of the type")
        for item, value in zip(node.list, values, strict=True)
        if value is None
    ]
    return tuple(values), problems


def _count(operator: str, node: Node, convert: _Convert) -> _Parsed:
    count = node.scalar if node.is_scalar else None
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        return None, [_bad(node, f"cannot use {_written(node)} as a length", "give an integer that is not negative")]
    return count, []


def _pattern(operator: str, node: Node, convert: _Convert) -> _Parsed:
    if not node.is_scalar or node.is_null:
        return None, [_bad(node, f"cannot use this {node.kind} as a pattern", "give a regular expression as a string")]
    pattern = compile_pattern(node.text)
    if isinstance(pattern, str):
        message = f"cannot use this regular expression: {pattern}"
        return None, [
            Diagnostic(rules.BAD_PATTERN, node.span, message, "mind that \\ needs single quotes or none in YAML")
        ]
    return pattern, []


def _schema(operator: str, node: Node, convert: _Convert) -> _Parsed:
    return node.data(), []


_OPERANDS: Mapping[str, Callable[[str, Node, _Convert], _Parsed]] = {
    "value": _value,
    "range": _range,
    "values": _values,
    "count": _count,
    "pattern": _pattern,
    "schema": _schema,
}


def _bad(node: Node, message: str, help_: str) -> Diagnostic:
    return Diagnostic(rules.BAD_CONSTRAINT, node.span, message, help_)


def _written(node: Node) -> str:
    if node.is_list:
        return (
            "[" + ", ".join(_written(item) for item in node.list[:20]) + (", ..." if len(node.list) > 20 else "") + "]"
        )
    if node.is_map:
        return "this map"
    if node.is_null:
        return "nothing"
    return show(node.text) if isinstance(node.scalar, str) else node.text


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value)
    return f"a {'map' if isinstance(value, Mapping) else 'list'}" if isinstance(value, _SIZED) else str(value)


# comparing: True and False are answers, None says that it cannot be known
def same(a: object, b: object) -> bool | None:
    """Whether two values are equal; true is not 1, and a list is its items."""
    if isinstance(a, EXPRESSIONS) or isinstance(b, EXPRESSIONS):
        return None
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return _all(same(a[key], b[key]) for key in a) if a.keys() == b.keys() else False
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return _all(same(x, y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) else False
    return a == b


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = set(answers)
    return False if False in found else None if None in found else True


def compare(a: object, b: object) -> int | None:
    """-1, 0 or 1; None when they cannot be compared, or not yet."""
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    if not numbers and not (type(a) is type(b) and isinstance(a, (str, Version))):
        return None
    if a == b:
        return 0
    return -1 if a < b else 1  # type: ignore[operator]  # both are numbers, texts or versions


def _order(*allowed: int) -> Callable[[object, object], bool | None]:
    def broken(value: object, operand: object) -> bool | None:
        if isinstance(operand, EXPRESSIONS):
            return None
        return compare(value, operand) not in allowed

    return broken


def _outside(value: object, operand: object) -> bool | None:
    if isinstance(value, (list, tuple)):  # a range, whose two ends have to be inside
        answers = {_outside(item, operand) for item in value}
        return True if True in answers else None if None in answers else False
    low, high = cast("tuple[object, object]", operand)
    below = low is not None and _order(0, 1)(value, low)
    above = high is not None and _order(-1, 0)(value, high)
    return True if below or above else None if None in (below, above) else False


def _length(*allowed: int) -> Callable[[object, object], bool | None]:
    def broken(value: object, operand: object) -> bool | None:
        return not isinstance(value, _SIZED) or compare(len(value), operand) not in allowed

    return broken


def _mismatch(value: object, operand: object) -> bool | None:
    matched = cast(Pattern, operand).matches(value if isinstance(value, str) else show(value))
    return None if matched is None else not matched


def _none_of(value: object, operand: object) -> bool | None:
    answers = {same(value, item) for item in cast("tuple[object, ...]", operand)}
    return False if True in answers else None if None in answers else True


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


_BROKEN: Mapping[str, Callable[[object, object], bool | None]] = {
    "equal": lambda value, operand: _not(same(value, operand)),
    "greater_than": _order(1),
    "greater_or_equal": _order(0, 1),
    "less_than": _order(-1),
    "less_or_equal": _order(-1, 0),
    "in_range": _outside,
    "valid_values": _none_of,
    "length": _length(0),
    "min_length": _length(0, 1),
    "max_length": _length(-1, 0),
    "pattern": _mismatch,
    "schema": lambda value, operand: None,
}
