"""Filters and selectors of SOL013, such as filter=(eq,onboardingState,ONBOARDED);(cont,vnfProductName,'a,b'). Pure.

A filter is a tuple of conditions that all have to hold; each looks at a path of attributes, and at every element of the
lists on its way. What cannot be read raises ValueError, which says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LETTERS_MAX, CONDITIONS_MAX, VALUES_MAX = 4096, 32, 256
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_PLAIN = re.compile(r"[^',()]*")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")

# operator -> whether one value of the attribute fits one of those that were given
_FITS: Mapping[str, Callable[[Any, str], bool]] = {
    "eq": lambda found, given: _same(found, given),
    "in": lambda found, given: _same(found, given),
    "gt": lambda found, given: _compared(found, given, {1}),
    "gte": lambda found, given: _compared(found, given, {0, 1}),
    "lt": lambda found, given: _compared(found, given, {-1}),
    "lte": lambda found, given: _compared(found, given, {-1, 0}),
    "cont": lambda found, given: given in str(found),
}
_OPPOSITES = {"neq": "eq", "nin": "in", "ncont": "cont"}
_ONE_VALUE = ("eq", "neq", "gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Condition:
    operator: str
    path: tuple[str, ...]
    values: tuple[str, ...]

    def holds(self, data: Mapping[str, Any]) -> bool:
        """An attribute that is not there fits no value: then only neq, nin and ncont hold."""
        fits = _FITS[_OPPOSITES.get(self.operator, self.operator)]
        found = any(fits(value, given) for value in _at(data, self.path) for given in self.values)
        return not found if self.operator in _OPPOSITES else found


Filter = tuple[Condition, ...]


def holds(filter_: Filter, data: Mapping[str, Any]) -> bool:
    return all(condition.holds(data) for condition in filter_)


def parse(text: str, known: Collection[str]) -> Filter:
    """The conditions of a filter; `known` are the attributes that may stand first in a path."""
    if len(text) > LETTERS_MAX:
        raise ValueError(f"cannot read the filter: it has more than {LETTERS_MAX} letters")
    found, place = [], 0
    while True:
        condition, place = _condition(text, place)
        if condition.path[0] not in known:
            raise ValueError(f"cannot filter by {condition.path[0]!r}: there are {', '.join(sorted(known))}")
        found.append(condition)
        if place == len(text):
            return tuple(found)
        if len(found) == CONDITIONS_MAX:
            raise ValueError(f"cannot read the filter: it has more than {CONDITIONS_MAX} conditions")
        place = _expected(text, place, ";")


def _condition(text: str, place: int) -> tuple[Condition, int]:
    """(operator,path,value,value...)"""
    start = place
    operator, place = _name(text, _expected(text, place, "("))
    if operator not in _FITS and operator not in _OPPOSITES:
        known = ", ".join(sorted((*_FITS, *_OPPOSITES)))
        raise ValueError(
            f"cannot read the filter at letter {start + 1}: {operator!r} is no operator; there are {known}"
        )
    path, place = _path(text, _expected(text, place, ","))
    values: list[str] = []
    while text[place : place + 1] != ")":
        value, place = _value(text, _expected(text, place, ","))
        values.append(value)
        if len(values) > (1 if operator in _ONE_VALUE else VALUES_MAX):
            raise ValueError(f"cannot read the filter at letter {start + 1}: {operator!r} has too many values")
    if not values:
        raise ValueError(f"cannot read the filter at letter {start + 1}: {operator!r} has no value")
    return Condition(operator, path, tuple(values)), place + 1


def _expected(text: str, place: int, letter: str) -> int:
    if text[place : place + 1] != letter:
        raise ValueError(f"cannot read the filter at letter {place + 1}: {letter!r} is expected there")
    return place + 1


def _name(text: str, place: int) -> tuple[str, int]:
    found = _NAME.match(text, place)
    if found is None:
        raise ValueError(f"cannot read the filter at letter {place + 1}: a name is expected there")
    return found[0], found.end()


def _path(text: str, place: int) -> tuple[tuple[str, ...], int]:
    name, place = _name(text, place)
    path = [name]
    while text[place : place + 1] == "/":
        name, place = _name(text, place + 1)
        path.append(name)
    return tuple(path), place


def _value(text: str, place: int) -> tuple[str, int]:
    if (quoted := _QUOTED.match(text, place)) is not None:
        return quoted[1].replace("''", "'"), quoted.end()
    plain = _PLAIN.match(text, place)
    assert plain is not None  # noqa: S101 - it fits nothing as well
    if not plain[0] or text[plain.end() : plain.end() + 1] == "'":
        raise ValueError(f"cannot read the filter at letter {place + 1}: a value, or one in '...', is expected there")
    return plain[0], plain.end()


def _at(data: Any, path: Sequence[str]) -> Iterator[Any]:
    """The plain values at a path, of each element of the lists on the way."""
    if isinstance(data, list | tuple):
        for element in data:
            yield from _at(element, path)
    elif path:
        if isinstance(data, Mapping) and path[0] in data:
            yield from _at(data[path[0]], path[1:])
    elif not isinstance(data, Mapping) and data is not None:
        yield data


def _same(found: Any, given: str) -> bool:
    if isinstance(found, bool):
        return given.lower() == str(found).lower()
    if isinstance(found, int | float):
        number = _number(given)
        return number is not None and found == number
    return str(found) == given


def _compared(found: Any, given: str, wanted: Collection[int]) -> bool:
    """Numbers as numbers, everything else as text: times are written so that this is their order."""
    number = _number(given)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return number is not None and _order(found, number) in wanted
    return _order(str(found), given) in wanted


def _order(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# which attributes are shown
@dataclass(frozen=True, slots=True)
class Selector:
    """What a client asked for by ?all_fields, ?fields=a,b/c, ?exclude_fields=a and ?exclude_default."""

    all_fields: bool = False
    fields: tuple[tuple[str, ...], ...] = ()
    exclude_fields: tuple[tuple[str, ...], ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether no complex attribute is asked for."""
        return self == Selector()

    def show(self, data: Mapping[str, Any], complex_: Collection[str], always: Collection[str]) -> dict[str, Any]:
        """The data without its complex attributes, unless they are asked for; what is `always` there stays."""
        if self.all_fields:
            return dict(data)
        if self.exclude_fields:
            paths = [path for path in self.exclude_fields if path[0] not in always]
            return _without(data, paths)
        shown = {name: value for name, value in data.items() if name not in complex_}
        for path in self.fields:
            _add(shown, data, path)
        return shown


def selector(arguments: Mapping[str, str], known: Collection[str]) -> Selector:
    """Raises ValueError for what does not go together, or names an attribute that there is not."""
    given = {name for name in ("all_fields", "fields", "exclude_fields", "exclude_default") if name in arguments}
    if len(given) > 1 and given != {"fields", "exclude_default"}:
        raise ValueError(f"cannot select by {' and '.join(sorted(given))} together")
    paths = {name: _paths(name, arguments[name], known) for name in ("fields", "exclude_fields") if name in given}
    return Selector("all_fields" in given, paths.get("fields", ()), paths.get("exclude_fields", ()))


def _paths(name: str, text: str, known: Collection[str]) -> tuple[tuple[str, ...], ...]:
    paths = tuple(tuple(part.split("/")) for part in text.split(","))
    for path in paths:
        if path[0] not in known:
            raise ValueError(f"cannot select {name} {path[0]!r}: there are {', '.join(sorted(known))}")
    return paths


def _add(shown: dict[str, Any], data: Any, path: Sequence[str]) -> None:
    """Puts what is at the path of `data` into `shown` as well."""
    name, rest = path[0], path[1:]
    if not isinstance(data, Mapping) or name not in data:
        return
    value = data[name]
    if not rest or not isinstance(value, Mapping | list):
        shown[name] = value
    elif isinstance(value, list):
        inner: list[dict[str, Any]] = shown.setdefault(name, [{} for _ in value])
        for into, element in zip(inner, value, strict=True):
            _add(into, element, rest)
    else:
        _add(shown.setdefault(name, {}), value, rest)


def _without(data: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    shown = {}
    for name, value in data.items():
        inner = [path[1:] for path in paths if path[0] == name]
        if any(not path for path in inner):
            continue
        if inner and isinstance(value, Mapping):
            value = _without(value, inner)
        elif inner and isinstance(value, list):
            value = [_without(each, inner) if isinstance(each, Mapping) else each for each in value]
        shown[name] = value
    return shown
