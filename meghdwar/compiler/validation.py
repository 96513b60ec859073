"""The functions of TOSCA 2.0 that need nothing but their arguments, so that a validation clause can be judged now."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias, cast

from meghdwar.compiler.constraints import compare, same
from meghdwar.compiler.patterns import compile_pattern
from meghdwar.compiler.units import Version

Convert: TypeAlias = Callable[[str], object]


class Unknown:
    """What cannot be known before the stack is built, or is no value at all."""


UNKNOWN = Unknown()
_ENTRIES_MAX = 2000  # entries are compared each with each


@dataclass(frozen=True, slots=True)
class Function:
    """A function of values. `most` is None for any number of arguments; `boolean` when it gives true or false."""

    call: Callable[..., object]
    least: int
    most: int | None
    boolean: bool = False


def evaluate(expression: object, value: object, convert: Convert | None = None) -> bool | None:
    """Whether a value fulfils a validation clause; None when that cannot be known now.

    The expression is plain data in which `$value` stands for the value and a map with one `$` key for a call.
    `convert` reads a text such as "4 GB" as a value of the type that is validated.
    """
    result = _evaluate(expression, value, convert or _as_it_is)
    return result if isinstance(result, bool) else None


def function_name(expression: object) -> str | None:
    """The name of the function that an expression calls, without its $; None when it is no call."""
    if isinstance(expression, Mapping) and len(expression) == 1:
        key = next(iter(expression))
        if isinstance(key, str) and key.startswith("$") and not key.startswith("$$"):
            return key[1:]
    return None


def _evaluate(expression: object, value: object, convert: Convert) -> object:
    name = function_name(expression)
    if name is not None:
        written = cast("Mapping[str, object]", expression)["$" + name]
        if name == "value":
            return _part(value, written if isinstance(written, list) else [] if written is None else [written])
        arguments = [_evaluate(item, value, convert) for item in (written if isinstance(written, list) else [written])]
        return call(name, arguments, convert)
    if isinstance(expression, Mapping):
        return {
            key.removeprefix("$") if key.startswith("$$") else key: _evaluate(item, value, convert)
            for key, item in expression.items()
        }
    if isinstance(expression, (list, tuple)):
        return [_evaluate(item, value, convert) for item in expression]
    if isinstance(expression, str) and expression.startswith("$"):
        return (
            value
            if expression == "$value"
            else expression.removeprefix("$")
            if expression.startswith("$$")
            else UNKNOWN
        )
    return expression


def _part(value: object, path: list[object]) -> object:
    """What stands at a path inside the value."""
    for step in path:
        try:
            value = value[step]  # type: ignore[index]
        except (TypeError, LookupError):
            return UNKNOWN
    return value


def call(name: str, arguments: list[object], convert: Convert | None = None) -> object:
    """What a function comes to; an Unknown when it cannot be told, or makes no sense of its arguments."""
    convert = convert or _as_it_is
    function = FUNCTIONS.get(name)
    if function is None or len(arguments) < function.least or len(arguments) > (function.most or len(arguments)):
        return UNKNOWN
    if name not in _LOGIC and any(isinstance(argument, Unknown) for argument in arguments):
        return UNKNOWN
    if name in _ALIKE and any(isinstance(argument, (int, float, Version)) for argument in arguments):
        arguments = [_alike(argument, convert) for argument in arguments]
    if name in _ARITHMETIC and not all(type(argument) in (int, float) for argument in arguments):
        return UNKNOWN
    if sum(len(argument) for argument in arguments if isinstance(argument, (list, tuple, Mapping))) > _ENTRIES_MAX:
        return UNKNOWN
    try:
        return function.call(*arguments)
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError):
        return UNKNOWN


def _alike(argument: object, convert: Convert) -> object:
    """A text beside a number is a scalar with a unit, or a version."""
    if isinstance(argument, list):
        return [_alike(item, convert) for item in argument]
    if isinstance(argument, str):
        converted = convert(argument)
        return argument if converted is None else converted
    return argument


def _as_it_is(text: str) -> object:
    return text


# true and false; UNKNOWN is neither
def _and(*arguments: object) -> object:
    return False if any(a is False for a in arguments) else UNKNOWN if any(a is not True for a in arguments) else True


def _or(*arguments: object) -> object:
    return True if any(a is True for a in arguments) else UNKNOWN if any(a is not False for a in arguments) else False


def _not(argument: object) -> object:
    return not argument if isinstance(argument, bool) else UNKNOWN


def _xor(a: object, b: object) -> object:
    return a is not b if isinstance(a, bool) and isinstance(b, bool) else UNKNOWN


def _equal(a: object, b: object) -> object:
    answer = same(a, b)
    return UNKNOWN if answer is None else answer


def _ordered(*allowed: int) -> Callable[[object, object], object]:
    def ordered(a: object, b: object) -> object:
        order = compare(a, b)
        return UNKNOWN if order is None else order in allowed

    return ordered


def _matches(text: str, pattern: str) -> object:
    compiled = compile_pattern(pattern)
    answer = None if isinstance(compiled, str) else compiled.matches(text, whole=False)
    return UNKNOWN if answer is None else answer


# texts, lists and maps
def _entries(collection: Any) -> list[object]:
    if isinstance(collection, (str, int, float)):
        raise TypeError
    return list(collection.values() if isinstance(collection, Mapping) else collection)


def _is_in(item: object, entries: list[object]) -> bool:
    return any(same(item, entry) is True for entry in entries)


def _run_at(whole: Any, part: Any, start: int) -> bool:
    return 0 <= start <= len(whole) - len(part) and same(whole[start : start + len(part)], part) is True


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str) or isinstance(part, str):
        return part in whole if isinstance(whole, str) and isinstance(part, str) else False
    return any(_run_at(whole, part, start) for start in range(len(whole) - len(part) + 1))


def _keys(collection: Any) -> list[object]:
    return list(collection.keys())


def _distinct(entries: list[object]) -> list[object]:
    found: list[object] = []
    for entry in entries:
        if not _is_in(entry, found):
            found.append(entry)
    return found


def _concat(*parts: Any) -> object:
    return "".join(parts) if isinstance(parts[0], str) else [entry for part in parts for entry in _entries(part)]


def _token(text: str, separators: str, index: int) -> str:
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    return text.split(separators[0])[index]


def _quotient(a: Any, b: Any) -> object:
    return a / b


def _round(number: float) -> int:
    return math.ceil(number - 0.5)  # a half goes down


_TWO = (2, 2, True)
FUNCTIONS: Mapping[str, Function] = {
    "and": Function(_and, 1, None, True),
    "or": Function(_or, 1, None, True),
    "not": Function(_not, 1, 1, True),
    "xor": Function(_xor, *_TWO),
    "equal": Function(_equal, *_TWO),
    "greater_than": Function(_ordered(1), *_TWO),
    "greater_or_equal": Function(_ordered(0, 1), *_TWO),
    "less_than": Function(_ordered(-1), *_TWO),
    "less_or_equal": Function(_ordered(-1, 0), *_TWO),
    "valid_values": Function(lambda a, b: _is_in(a, _entries(b)), *_TWO),
    "matches": Function(_matches, *_TWO),
    "has_suffix": Function(lambda a, b: _run_at(a, b, len(a) - len(b)), *_TWO),
    "has_prefix": Function(lambda a, b: _run_at(a, b, 0), *_TWO),
    "contains": Function(_contains, *_TWO),
    "has_entry": Function(lambda a, b: _is_in(b, _entries(a)), *_TWO),
    "has_key": Function(lambda a, b: _is_in(b, _keys(a)), *_TWO),
    "has_all_entries": Function(lambda a, b: all(_is_in(x, _entries(a)) for x in b), *_TWO),
    "has_all_keys": Function(lambda a, b: all(_is_in(x, _keys(a)) for x in b), *_TWO),
    "has_any_entry": Function(lambda a, b: any(_is_in(x, _entries(a)) for x in b), *_TWO),
    "has_any_key": Function(lambda a, b: any(_is_in(x, _keys(a)) for x in b), *_TWO),
    "length": Function(len, 1, 1),
    "concat": Function(_concat, 1, None),
    "join": Function(lambda parts, separator="": separator.join(map(str, parts)), 1, 2),
    "token": Function(_token, 3, 3),
    "union": Function(lambda *lists: _distinct([e for part in lists for e in _entries(part)]), 1, None),
    "intersection": Function(
        lambda *lists: _distinct([e for e in lists[0] if all(_is_in(e, x) for x in lists)]), 1, None
    ),
    "sum": Function(lambda *numbers: sum(numbers), 1, None),
    "difference": Function(lambda a, b: a - b, 2, 2),
    "product": Function(lambda *numbers: reduce(lambda a, b: a * b, numbers), 1, None),
    "quotient": Function(_quotient, 2, 2),
    "remainder": Function(lambda a, b: a % b, 2, 2),
    "round": Function(_round, 1, 1),
    "floor": Function(math.floor, 1, 1),
    "ceil": Function(math.ceil, 1, 1),
}
_LOGIC = ("and", "or", "not", "xor")
_ARITHMETIC = ("sum", "difference", "product", "quotient", "remainder", "round", "floor", "ceil")
_ALIKE = (
    "equal", "greater_than", "greater_or_equal", "less_than", "less_or_equal", "valid_values",
    "sum", "difference", "product", "quotient", "remainder",
)  # fmt: skip
