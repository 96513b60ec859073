"""Heat's template language as data: what a stack is made of, what our values look like in it, and its text.

Nothing here knows what a server or a cluster is; the targets do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil, isfinite
from typing import TypeAlias, cast

from meghdwar.diagnostics import Span
from meghdwar.model import EXPRESSIONS, Attribute, Constraint, Input, Join, Parameter, Token, Value

VERSION = "2018-08-31"

Data: TypeAlias = "bool | int | float | str | Sequence[Data] | Mapping[str, Data] | None"
Attributes: TypeAlias = Callable[[Attribute], "Data"]
"""What an attribute of an element is in the stack; None when the stack cannot tell."""

FUNCTIONS = frozenset(
    {
        "contains", "digest", "filter", "get_attr", "get_file", "get_param", "get_resource", "if", "list_concat",
        "list_concat_unique", "list_join", "make_url", "map_merge", "map_replace", "repeat", "resource_facade",
        "str_replace", "str_replace_strict", "str_replace_vstrict", "str_split", "yaql", "Fn::Base64", "Fn::GetAZs",
        "Fn::Join", "Fn::MemberListToMap", "Fn::Replace", "Fn::ResourceFacade", "Fn::Select", "Fn::Split", "Ref",
    }
)  # fmt: skip
"""A map whose only key is one of these is a function call to Heat."""


# the stack
@dataclass(slots=True)
class Stack:
    """A template under construction, and what travels with it.

    `origins` tells for each resource which place of the descriptor asked for it and why. `files` are the files
    that `get_file` names: their name beside the template -> their path in the descriptor's folder or package.
    `nested` are the templates that resources of this one have as their type, by file name.
    """

    name: str
    description: str = ""
    parameters: dict[str, dict[str, Data]] = field(default_factory=dict)
    conditions: dict[str, Data] = field(default_factory=dict)
    resources: dict[str, dict[str, Data]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Data]] = field(default_factory=dict)
    origins: dict[str, tuple[Span, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    nested: dict[str, Stack] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()  # resource names that are spoken for

    def unused(self, name: str) -> str:
        """`name` made fit for a resource, with a number behind it when a resource or parameter has it."""
        fit = resource_name(name)
        return fit if self._is_free(fit) else next(n for i in count(2) if self._is_free(n := f"{fit}_{i}"))

    def _is_free(self, name: str) -> bool:
        return name not in self.resources and name not in self.reserved and name not in self.parameters

    def resource(
        self,
        name: str,
        type_: str,
        properties: Mapping[str, Data],
        origin: Span,
        reason: str,
        *,
        depends_on: Iterable[str] = (),
        condition: str | None = None,
        metadata: Mapping[str, Data] | None = None,
        deletion_policy: str | None = None,
    ) -> str:
        """Adds a resource and returns its name. Properties that are None are left out. The name must be free."""
        body: dict[str, Data] = {"type": type_}
        if condition:
            body["condition"] = condition
        if after := dict.fromkeys(depends_on):
            body["depends_on"] = [*after]
        if deletion_policy:
            body["deletion_policy"] = deletion_policy
        if metadata:
            body["metadata"] = dict(metadata)
        if given := {key: value for key, value in properties.items() if value is not None}:
            body["properties"] = given
        self.resources[name] = body
        self.origins[name] = (origin, reason)
        return name

    def parameter(self, name: str, type_: str, **more: Data) -> Data:
        """Adds a parameter, or finds the same one again, and returns the function that reads it."""
        said = {key: more[key] for key in _SAID if more.get(key) is not None}
        self.parameters.setdefault(name, {"type": type_, **said})
        return {"get_param": name}

    def output(self, name: str, value: Data, description: str = "") -> None:
        self.outputs[name] = {"description": description, "value": value} if description else {"value": value}

    def data(self) -> dict[str, Data]:
        """The template in the order in which people read it; empty sections are left out."""
        head: dict[str, Data] = {"heat_template_version": VERSION}
        if self.description:
            head["description"] = self.description
        sections = (
            ("parameters", self.parameters),
            ("conditions", self.conditions),
            ("resources", self.resources),
            ("outputs", self.outputs),
        )
        for name, section in sections:
            if section:
                head[name] = section
        return head


_SAID = ("label", "description", "hidden", "default", "constraints")  # of a parameter, in this order


# names
def resource_name(name: str) -> str:
    """Heat takes any name for a resource that has no slash and at most 255 characters."""
    return name.replace("/", "_")[:255] or "_"


def resource_names(names: Iterable[str], parameters: Container[str] = ()) -> dict[str, str]:
    """A resource name for each element: all different, not those of parameters, and the same every time."""
    return _distinct(names, resource_name, parameters)


def parameter_names(names: Iterable[str]) -> dict[str, str]:
    """A parameter name for each input: letters, digits and underscores only, all different, the same every time."""
    return _distinct(names, parameter_name, ())


def parameter_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name) or "_"


def _distinct(names: Iterable[str], fit: Callable[[str], str], spoken_for: Container[str]) -> dict[str, str]:
    """Names that are fit already keep theirs; the others get what is left, with a number behind it if need be."""
    wanted = list(names)
    result = {name: name for name in wanted if fit(name) == name and name not in spoken_for}
    taken = set(result)
    for name in wanted:
        if name not in result:
            result[name] = candidate = fit(name)
            number = 2
            while result[name] in taken or result[name] in spoken_for:
                result[name], number = f"{candidate}_{number}", number + 1
            taken.add(result[name])
    return {name: result[name] for name in wanted}


# inputs
_KINDS = {"string": "string", "integer": "number", "float": "number", "boolean": "boolean", "map": "json"}


def kind(input_: Input) -> str:
    """The type of the parameter that asks for an input."""
    if input_.kind != "list":
        return _KINDS.get(input_.kind, "string")
    entries = [entry for value in (input_.default, input_.given) if isinstance(value, tuple) for entry in value]
    plain = input_.entry in ("", "string") and all(isinstance(entry, str) for entry in entries)
    return "comma_delimited_list" if plain else "json"


def declare(stack: Stack, inputs: Iterable[Input], names: Mapping[str, str]) -> None:
    """The parameters that ask for the inputs. What Heat cannot hold someone to is said in the description."""
    for input_ in inputs:
        type_ = kind(input_)
        constraints: list[Data] = []
        words = [input_.description.strip()] if input_.description.strip() else []
        if input_.unit:
            words.append(f"In {_UNITS.get(input_.unit, input_.unit)}.")
        for constraint in input_.constraints:
            said = _constraint(constraint, type_, input_.kind == "integer")
            if isinstance(said, str):
                words.append(said)
            else:
                constraints.append(said)
        parameter: dict[str, Data] = {"type": type_}
        if input_.name != names[input_.name]:
            parameter["label"] = input_.name
        if words:
            parameter["description"] = " ".join(words)
        if input_.secret:
            parameter["hidden"] = True
        if input_.default is not None or not input_.required:
            parameter["default"] = (
                _EMPTY[type_] if input_.default is None else whole(plain(input_.default), input_.unit)
            )
        if constraints and (input_.required or input_.default is not None):
            parameter["constraints"] = list(constraints)
        stack.parameters[names[input_.name]] = parameter


def whole(value: Data, unit: str) -> Data:
    """Clouds count volumes in whole GiB."""
    return ceil(value) if unit == "GiB" and isinstance(value, float) and isfinite(value) else value


_UNITS: Mapping[str, str] = {"s": "seconds", "Hz": "hertz", "bit/s": "bits per second"}
_EMPTY: Mapping[str, Data] = {
    "string": "", "number": 0, "boolean": False, "json": {}, "comma_delimited_list": [],
}  # fmt: skip
_WORDS = {
    "equal": "equal to", "greater_than": "greater than", "greater_or_equal": "at least", "less_than": "less than",
    "less_or_equal": "at most", "in_range": "in the range", "valid_values": "one of", "length": "of length",
    "min_length": "of length at least", "max_length": "of length at most", "pattern": "like the pattern",
}  # fmt: skip


def _constraint(constraint: Constraint, type_: str, whole: bool) -> dict[str, Data] | str:
    """The constraint in Heat's words, or a sentence when Heat has none for it."""
    operator, operand = constraint.operator, constraint.operand
    number = isinstance(operand, int | float) and not isinstance(operand, bool)
    sized = type_ in ("string", "json", "comma_delimited_list")
    match operator:
        case "equal" if type_ != "json":
            return {"allowed_values": [plain(operand)]}
        case "valid_values" if type_ != "json" and isinstance(operand, tuple):
            return {"allowed_values": plain(operand)}
        case "greater_or_equal" if number and type_ == "number":
            return {"range": {"min": plain(operand)}}
        case "less_or_equal" if number and type_ == "number":
            return {"range": {"max": plain(operand)}}
        case "greater_than" if whole and isinstance(operand, int):
            return {"range": {"min": operand + 1}}
        case "less_than" if whole and isinstance(operand, int):
            return {"range": {"max": operand - 1}}
        case "in_range" if type_ == "number" and isinstance(operand, tuple) and len(operand) == 2:
            limits = {
                key: plain(limit)
                for key, limit in zip(("min", "max"), operand, strict=True)
                if not isinstance(limit, str)
            }
            if limits:
                return {"range": dict(limits)}
        case "length" if sized and isinstance(operand, int):
            return {"length": {"min": operand, "max": operand}}
        case "min_length" if sized and isinstance(operand, int):
            return {"length": {"min": operand}}
        case "max_length" if sized and isinstance(operand, int):
            return {"length": {"max": operand}}
        case "pattern" if type_ == "string" and isinstance(operand, str) and _is_regex(operand):
            return {"allowed_pattern": operand}
    return f"It has to be {_WORDS.get(operator, operator)} {_say(operand)}."


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _say(operand: Value) -> str:
    if isinstance(operand, tuple):
        return ", ".join(_say(part) for part in operand)
    return operand.name if isinstance(operand, Parameter) else str(operand)


# values
def plain(value: Value) -> Data:
    """A value without expressions as data, for the places where Heat looks for no functions."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return None if isinstance(value, EXPRESSIONS) else value


@dataclass(frozen=True, slots=True)
class Values:
    """Turns model values into what stands for them in a template.

    `names` are the parameters of the inputs, `kinds` the types of those parameters, by input. `used` grows with
    the inputs that something asked for.
    """

    names: Mapping[str, str]
    kinds: Mapping[str, str]
    attributes: Attributes
    used: set[str]

    @classmethod
    def of(cls, inputs: Iterable[Input], attributes: Attributes, used: set[str] | None = None) -> Values:
        listed = list(inputs)
        names = parameter_names(i.name for i in listed)
        return cls(names, {i.name: kind(i) for i in listed}, attributes, set() if used is None else used)

    def __call__(self, value: Value) -> Data:
        """The same value; a plain map that Heat would take for a function call is protected from that."""
        if value is None or isinstance(value, str | int | float):
            return value
        match value:
            case Parameter(name, path):
                self.used.add(name)
                known = self.names.get(name, name)
                return {"get_param": [known, *path] if path else known}
            case Attribute():
                return self.attributes(value)
            case Join(parts, separator):
                return self._join(parts, separator)
            case Token(text, separator, index):
                inner = self.text(text)
                if isinstance(inner, str):
                    pieces = inner.split(separator) if separator else [inner]
                    return pieces[index] if -len(pieces) <= index < len(pieces) else ""
                return {"str_split": [separator, inner, index]}
            case Mapping():
                return protect({str(key): self(entry) for key, entry in value.items()})
            case tuple() | list():
                return [self(entry) for entry in value]
        return value

    def _join(self, parts: tuple[Value, ...], separator: str) -> Data:
        """list_join of as few pieces as possible; a list parameter joins entry by entry."""
        lists: list[list[Data] | Mapping[str, Data]] = []
        for part in parts:
            if isinstance(part, Parameter) and not part.path and self.kinds.get(part.name) == "comma_delimited_list":
                self.used.add(part.name)
                lists.append({"get_param": self.names[part.name]})
                continue
            if not lists or isinstance(lists[-1], dict):
                lists.append([])
            last, text = lists[-1], self.text(part)
            assert isinstance(last, list)  # noqa: S101 - for the type checker: made above
            if isinstance(text, str) and last and isinstance(last[-1], str):
                last[-1] += separator + text
            else:
                last.append(text)
        if not lists:
            return ""
        if len(lists) == 1 and isinstance(lists[0], list) and len(lists[0]) == 1:
            return lists[0][0]
        return {"list_join": [separator, *lists]}

    def text(self, part: Value) -> Data:
        """A piece of a text. Heat joins texts only, so that a number has to go through str_replace first."""
        if isinstance(part, bool):
            return "true" if part else "false"
        if part is None or isinstance(part, int | float):
            return "" if part is None else str(part)
        if isinstance(part, Parameter) and (part.path or self.kinds.get(part.name) not in ("string", None)):
            return {"str_replace": {"template": "value", "params": {"value": self(part)}}}
        return self(part)


def protect(data: dict[str, Data]) -> Data:
    """A map as Heat will see it also when its only key is the name of a function."""
    if len(data) != 1:
        return data
    key, entry = next(iter(data.items()))
    if key not in FUNCTIONS:
        return data
    return {"map_replace": [{f"{key}_": entry}, {"keys": {f"{key}_": key}}]}


# text
_NUMBERISH = re.compile(r"[-+.0-9][-+.0-9_:eExXoOa-fA-F,TtZz ]*\Z")
_TRAPS = frozenset(
    {"", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "~", "=", "<<", "---", "..."}
    | {sign + word for sign in ("", "-", "+") for word in (".inf", ".nan")}
)


def emit(data: Data) -> str:
    """YAML that reads back the same with YAML 1.1 and 1.2: block style, entries in their order, no anchors.

    Only a function call that fits is written on one line: {get_param: flavor}."""
    from io import StringIO

    import yaml

    stream = StringIO()
    emitter = getattr(yaml, "CDumper", yaml.Dumper)(stream, allow_unicode=True, width=1 << 30)
    events: dict[str, yaml.Event] = {}  # equal texts share one event: most of a big stack is repetition
    map_start = yaml.MappingStartEvent(None, None, True, flow_style=False)
    flow_map_start = yaml.MappingStartEvent(None, None, True, flow_style=True)
    map_end = yaml.MappingEndEvent()
    list_start = yaml.SequenceStartEvent(None, None, True, flow_style=False)
    flow_list_start = yaml.SequenceStartEvent(None, None, True, flow_style=True)
    list_end = yaml.SequenceEndEvent()
    write = emitter.emit

    def text(value: str) -> yaml.Event:
        event = events.get(value)
        if event is None:
            event = events[value] = yaml.ScalarEvent(None, None, (True, True), value, style=_style(value))
        return event

    def walk(item: Data) -> None:
        if isinstance(item, str):
            write(text(item))
        elif isinstance(item, Mapping):
            brief = len(item) == 1 and _is_brief(item)
            write(flow_map_start if brief else map_start)
            for key, entry in item.items():
                write(text(key))
                if brief and isinstance(entry, list | tuple):
                    write(flow_list_start)
                    for part in entry:
                        walk(part)
                    write(list_end)
                else:
                    walk(entry)
            write(map_end)
        elif isinstance(item, list | tuple):
            write(list_start)
            for entry in item:
                walk(entry)
            write(list_end)
        else:
            write(yaml.ScalarEvent(None, None, (True, False), _scalar(cast(_Scalar, item))))

    write(yaml.StreamStartEvent(encoding=None))
    write(yaml.DocumentStartEvent(explicit=False))
    walk(data)
    write(yaml.DocumentEndEvent(explicit=False))
    write(yaml.StreamEndEvent())
    return stream.getvalue()


def _style(value: str) -> str | None:
    """How a text is written: several lines as they are, what another reader might take for no text in quotes."""
    if "\n" in value:
        return "|" if "\n" in value.strip() else '"'
    return "'" if value.lower() in _TRAPS or _NUMBERISH.match(value) else None


def _is_brief(item: Mapping[str, Data]) -> bool:
    """A function call without anything deeper in it stands on one line, as people write it."""
    key, entry = next(iter(item.items()))
    if key not in FUNCTIONS:
        return False
    parts = entry if isinstance(entry, list | tuple) else (entry,)
    return not any(
        isinstance(part, Mapping | list | tuple) or (isinstance(part, str) and "\n" in part) for part in parts
    )


_Scalar: TypeAlias = bool | int | float | None


def _scalar(value: _Scalar) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        words = {float("inf"): ".inf", float("-inf"): "-.inf"}
        if value != value:
            return ".nan"
        number = words.get(value) or repr(value)
        # YAML 1.1 wants a point in a number with an exponent and a sign behind the e
        return re.sub(r"^(-?\d+)e", r"\1.0e", number)
    return str(value)
