"""What a value comes to before the stack runs: plain data, and expressions where only the running stack can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from meghdwar.compiler import functions, paths, rules, scalars
from meghdwar.compiler.functions import Call
from meghdwar.compiler.operations import located
from meghdwar.compiler.service import Bound, Here, Service
from meghdwar.compiler.source import CALL_KEY, Node
from meghdwar.compiler.types import InterfaceDef, Schema, TypeDef, resolve
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import EXPRESSIONS, Attribute, Join, Parameter, Token, Value

DEPTH_MAX = 60
SIZE_MAX = 1_000_000  # of a text or a list that functions put together
WORK_MAX, WORK_PER_TEMPLATE = 200_000, 200  # values; references and defaults could double them at each step
Place: TypeAlias = tuple[str, int, int]


class Evaluator:
    """Works out values of one service template and keeps what could not be worked out.

    Values that stand at the places in `wrong` (file, line, column) count as absent.
    """

    def __init__(self, service: Service, wrong: frozenset[Place]) -> None:
        self.service = service
        self.wrong = wrong
        self.diagnostics: list[Diagnostic] = []
        self.refused: set[tuple[Span, str]] = set()
        self.depth = 0
        self.work = WORK_MAX + WORK_PER_TEMPLATE * len(service.templates)

    def value(self, node: Node, schema: Schema | None, here: Here) -> Value:
        """A value as data and expressions; `schema` says what scalars mean."""
        if self.wrong and (node.file, node.span.line, node.span.column) in self.wrong:
            return None
        if self.depth > DEPTH_MAX:
            self.refuse(node.span, "cannot work out this value: it is too deep", "nest it less")
            return None
        self.work -= 1
        if self.work <= 0:
            if self.work == 0:
                self.refuse(node.span, "cannot work out so many values", "refer to less, or give the values themselves")
            return None
        self.depth += 1
        try:
            call = functions.call(node, here)
            if call is not None:
                return self.called(call, here)
            if node.is_scalar:
                if node.is_null:
                    return None
                if schema is None or not schema.base:
                    return _unescape(node.scalar, here.major) if isinstance(node.scalar, str) else node.scalar
                return _plain(node, schema)
            if node.is_list:
                entry = schema.entry if schema is not None else None
                return tuple(self.value(item, entry, here) for item in node.list)
            if schema is not None and schema.base == "complex" and schema.data is not None:
                return self.complex(node, schema.data, here)
            entry = schema.entry if schema is not None and schema.base == "map" else None
            for key, item in node.map.items():
                if key.startswith(CALL_KEY) and here.major == "2":
                    self.refuse(item.key_span, "cannot work out a key before the stack runs", "give the key itself")
            return {_unescaped(key, here): self.value(item, entry, here) for key, item in node.map.items()}
        finally:
            self.depth -= 1

    def complex(self, node: Node, type_: TypeDef, here: Here) -> Value:
        found: dict[str, Value] = {}
        for name, schema in type_.properties.items():
            inner = node.get(name) or schema.fixed or schema.default
            if inner is not None:
                found[name] = self.value(inner, schema, here)
        return found

    def refuse(self, span: Span, message: str, help_: str) -> None:
        if (span, message) not in self.refused:
            self.refused.add((span, message))
            self.diagnostics.append(Diagnostic(rules.NOT_COMPUTABLE, span, message, help_))

    def called(self, call: Call, here: Here) -> Value:
        signature = call.signature
        if signature is not None and not signature.low <= len(call.arguments) <= signature.high:
            message = f"cannot call {call.name} with {len(call.arguments)} arguments"
            self.refuse(call.node.span, message, f"it takes at least {signature.low}")
            return None
        handler = FUNCTIONS.get(call.name) if signature is not None else None
        return handler(self, call, here) if handler is not None else self.computed(call, here)

    def computed(self, call: Call, here: Here) -> Value:
        """A function of 2.0 over plain values: it is worked out now or not at all."""
        from meghdwar.compiler import validation

        arguments = [self.value(item, None, here) for item in call.arguments]
        if not any(isinstance(item, EXPRESSIONS) for item in arguments):
            result = validation.call(call.name, [_thawed(item) for item in arguments])
            if not isinstance(result, validation.Unknown):
                return frozen(result)
        what = "it is defined in the file" if call.custom is not None else "it needs what is known only later"
        self.refuse(
            call.node.span, f"cannot work out ${call.name} before the stack runs: {what}", "give the value itself"
        )
        return None

    def get_input(self, call: Call, here: Here) -> Value:
        name, *path = [item.scalar if index else item.text for index, item in enumerate(call.arguments)]
        declared = self.service.inputs.get(str(name))
        if declared is not None and declared.fixed is not None:
            return _step(self.value(declared.fixed, declared, Here(self.service, here.scope)), path)
        return Parameter(str(name), tuple(step for step in path if isinstance(step, (str, int))))

    def get_property(self, call: Call, here: Here) -> Value:
        entity, *path = call.arguments
        bound = self.service.entity(entity.text, here, path[0].text)
        steps = [item.scalar if isinstance(item.scalar, int) else item.text for item in path]
        if bound is None or bound.type is None:
            return None
        if here.major == "2" and paths.is_path(path):
            return self.path(bound, path, call, attribute=False)
        return self.member(bound, steps, call, attribute=False)

    def get_attribute(self, call: Call, here: Here) -> Value:
        entity, *path = call.arguments
        bound = self.service.entity(entity.text, here, path[0].text)
        if bound is None and entity.text == "HOST" and here.bound is not None:
            bound = here.bound
        steps = [item.scalar if isinstance(item.scalar, int) else item.text for item in path]
        if bound is None:
            self.refuse(entity.span, f"cannot tell which node {entity.text} is here", "name the node template")
            return None
        if here.major == "2" and paths.is_path(path):
            return self.path(bound, path, call, attribute=True)
        return self.member(bound, steps, call, attribute=True)

    def path(self, start: Bound, path: list[Node], call: Call, attribute: bool) -> Value:
        """What stands at the end of a path of 2.0."""
        spot = paths.follow(start, path)
        steps = [step.scalar if isinstance(step.scalar, int) else step.text for step in spot.rest]
        if spot.bound is None or spot.bound.type is None or not steps:
            self.refuse(call.node.span, "cannot tell where this path leads before the stack runs", "name the node")
            return None
        if spot.capability is not None:
            return self.of_capability(spot.bound, spot.capability, [spot.capability, *steps], attribute)
        return self.member(spot.bound, steps, call, attribute)

    def member(self, bound: Bound, steps: list[str | int], call: Call, attribute: bool, hops: int = 0) -> Value:
        """A property or attribute of a template, of one of its capabilities, or through a requirement of another."""
        type_ = bound.type
        if steps[:1] in (["SELF"], ["CAPABILITY"]):
            steps = steps[1:]
        if type_ is None or not steps or hops > DEPTH_MAX:
            return None
        name = str(steps[0])
        here = Here(self.service, bound.scope, bound)
        if (
            name in type_.properties
            and (not attribute or name not in type_.attributes)
            and not (name in type_.capabilities and len(steps) > 1)
        ):
            schema = type_.properties[name]
            node = bound.assigned("properties").get(name) or schema.fixed or schema.default
            if node is not None:
                return _step(self.value(node, schema, here), steps[1:])
            return Attribute(bound.name, tuple(steps)) if attribute else None
        if name in type_.capabilities and len(steps) > 1:
            return self.of_capability(bound, name, steps, attribute)
        if name in type_.requirements and len(steps) > 1 and name not in type_.attributes:
            return self.through(bound, steps, call, attribute, hops)
        if bound.kind == "relationship" and bound.target is not None and attribute:
            return Attribute(bound.source.name if bound.source is not None else bound.target.name, tuple(steps))
        return Attribute(bound.name, tuple(steps))

    def of_capability(self, bound: Bound, name: str, steps: list[str | int], attribute: bool) -> Value:
        assert bound.type is not None  # noqa: S101 - the caller looked
        definition = bound.type.capabilities[name]
        assigned = bound.assigned("capabilities").get(name)
        schema = definition.properties.get(str(steps[1]))
        given = assigned.section("properties") if assigned is not None else {}
        node = (
            given.get(str(steps[1])) or definition.assigned.get(str(steps[1])) or (schema.default if schema else None)
        )
        if schema is not None and node is not None:
            return _step(self.value(node, schema, Here(self.service, bound.scope, bound)), steps[2:])
        return Attribute(bound.name, tuple(steps)) if attribute else None

    def through(self, bound: Bound, steps: list[str | int], call: Call, attribute: bool, hops: int) -> Value:
        fill = next((fill for fill in bound.fills if fill.name == steps[0] and fill.target is not None), None)
        if fill is None or fill.target is None:
            self.refuse(
                call.node.span,
                f"cannot tell what fills requirement {steps[0]!r} of {bound.name!r}",
                "name the node template",
            )
            return None
        target, rest = fill.target, steps[1:]
        if fill.capability is not None and target.type is not None:
            definition = target.type.capabilities[fill.capability]
            if str(rest[0]) in definition.properties or str(rest[0]) in definition.attributes:
                return self.of_capability(target, fill.capability, [fill.capability, *rest], attribute)
        return self.member(target, rest, call, attribute, hops + 1)

    def get_operation_output(self, call: Call, here: Here) -> Value:
        entity, interface, operation, *rest = call.arguments
        bound = self.service.entity(entity.text, here)
        if bound is None:
            self.refuse(entity.span, f"cannot tell which node {entity.text} is here", "name the node template")
            return None
        name = interface_name(interface.text, bound.type.interfaces if bound.type is not None else {})
        return Attribute(bound.name, (name, operation.text, *(item.text for item in rest)))

    def get_nodes_of_type(self, call: Call, here: Here) -> Value:
        raw = here.scope.lookup("node", call.arguments[0].text)
        wanted = resolve(raw) if raw is not None else None
        return tuple(
            name
            for name, bound in self.service.templates.items()
            if wanted is not None and bound.type is not None and bound.type.derives(wanted)
        )

    def get_artifact(self, call: Call, here: Here) -> Value:
        bound = self.service.entity(call.arguments[0].text, here)
        name = call.arguments[1].text
        if bound is None:
            return None
        inherited = bound.type.artifacts.get(name) if bound.type is not None else None
        node = bound.assigned("artifacts").get(name) or (inherited[0] if inherited is not None else None)
        file = node.get("file") if node is not None and node.is_map else node
        if node is None or file is None:
            return None
        return file.text if node.get("repository") is not None else located(node, file.text, self.service.files)

    def concat(self, call: Call, here: Here) -> Value:
        return self.joined(call, [self.value(item, None, here) for item in call.arguments], "", here)

    def join(self, call: Call, here: Here) -> Value:
        parts = self.value(call.arguments[0], None, here)
        separator = call.arguments[1].text if len(call.arguments) > 1 else ""
        return self.joined(call, list(parts) if isinstance(parts, tuple) else [parts], separator, here)

    def joined(self, call: Call, parts: list[Value], separator: str, here: Here) -> Value:
        lists = here.major == "2" and parts and all(isinstance(part, tuple) for part in parts)
        if not lists and any(_runs(part) for part in parts):
            return Join(tuple(parts), separator)
        pieces = cast("list[tuple[Value, ...] | str]", parts if lists else [_text(part) for part in parts])
        if sum(map(len, pieces)) + len(separator) * len(pieces) > SIZE_MAX:
            self.refuse(call.node.span, f"cannot make a value of more than {SIZE_MAX} parts", "put less together")
            return None
        if lists:
            return tuple(item for piece in pieces for item in piece)
        return separator.join(cast("list[str]", pieces))

    def token(self, call: Call, here: Here) -> Value:
        text, separator, index = (self.value(item, None, here) for item in call.arguments)
        if separator == "":
            self.refuse(call.arguments[1].span, "cannot cut a text at an empty separator", "give the separator")
            return None
        if isinstance(text, str) and isinstance(separator, str) and isinstance(index, int):
            pieces = text.split(separator)
            if 0 <= index < len(pieces):
                return pieces[index]
            self.refuse(
                call.node.span, f"cannot take part {index} of {text!r}: it has {len(pieces)}", "parts count from 0"
            )
            return None
        return Token(text, str(separator), index if isinstance(index, int) else 0)

    def node_index(self, call: Call, here: Here) -> Value:
        return 0


FUNCTIONS: Mapping[str, Callable[[Evaluator, Call, Here], Value]] = {
    "get_input": Evaluator.get_input,
    "get_property": Evaluator.get_property,
    "get_attribute": Evaluator.get_attribute,
    "get_operation_output": Evaluator.get_operation_output,
    "get_nodes_of_type": Evaluator.get_nodes_of_type,
    "get_artifact": Evaluator.get_artifact,
    "concat": Evaluator.concat,
    "join": Evaluator.join,
    "token": Evaluator.token,
    "node_index": Evaluator.node_index,
    "relationship_index": Evaluator.node_index,
}
"""Functions that may stay expressions; all others are worked out over plain values or not at all."""


def interface_name(name: str, declared: Mapping[str, InterfaceDef]) -> str:
    """The name under which a type declares an interface that a template names by its type, in full or in short."""
    if name in declared:
        return name
    for known, item in declared.items():
        if item.type is not None and name in (item.type.raw.name, item.type.raw.name.rpartition(".")[2]):
            return known
    return name


def _plain(node: Node, schema: Schema) -> Value:
    base = schema.base
    if base in ("version", "timestamp"):
        return node.text
    if base == "string":
        return _unescape(node.text, schema.scope.major)
    value = scalars.datum(node, schema)
    return value if isinstance(value, (str, int, float, bool)) else node.scalar


def _unescape(text: str, major: str) -> str:
    return text[1:] if major == "2" and text.startswith("$$") else text


def _unescaped(key: str, here: Here) -> str:
    return _unescape(key, here.major)


def _runs(value: Value) -> bool:
    if isinstance(value, EXPRESSIONS):
        return True
    if isinstance(value, tuple):
        return any(_runs(item) for item in value)
    return isinstance(value, Mapping) and any(_runs(item) for item in value.values())


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _step(value: Value, path: Sequence[object]) -> Value:
    """Further into a value: through data now, through an expression when it runs."""
    for step in path:
        if isinstance(value, (Parameter, Attribute)):
            name = value.name if isinstance(value, Parameter) else value.element
            value = type(value)(name, (*value.path, cast("str | int", step)))
        elif isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, tuple) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def frozen(data: object) -> Value:
    if isinstance(data, list):
        return tuple(frozen(item) for item in data)
    if isinstance(data, dict):
        return {str(key): frozen(item) for key, item in data.items()}
    return cast(Value, data)


def _thawed(value: Value) -> object:
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return value
