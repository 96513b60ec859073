"""From a checked service template to its topology: every value worked out as far as it can be before a stack runs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from meghdwar.compiler import functions, inputs, rules, values
from meghdwar.compiler import topology as built
from meghdwar.compiler.functions import Call
from meghdwar.compiler.operations import path_of
from meghdwar.compiler.service import Bound, Fill, Here, Service
from meghdwar.compiler.source import Node
from meghdwar.compiler.topology import Artifact, Operation, Topology
from meghdwar.compiler.types import InterfaceDef, Schema, TypeDef, names, operation_nodes, resolve
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import EXPRESSIONS, Attribute, Join, Output, Parameter, Token, Value

DEPTH_MAX = 60


Place = tuple[str, int, int]


def build(
    service: Service, given: Mapping[str, Node], wrong: frozenset[Place] = frozenset()
) -> tuple[Topology, list[Diagnostic]]:
    """The topology, and what cannot be worked out; `given` are values for inputs that were checked already.

    Values that stand at the places in `wrong` (file, line, column) count as absent.
    """
    return _Builder(service, wrong).topology(given)


class _Builder:
    def __init__(self, service: Service, wrong: frozenset[Place]) -> None:
        self.service = service
        self.wrong = wrong
        self.diagnostics: list[Diagnostic] = []
        self.types: dict[TypeDef, built.Type] = {}
        self.depth = 0

    def topology(self, given: Mapping[str, Node]) -> tuple[Topology, list[Diagnostic]]:
        service = self.service
        node, path = service.node, service.document.path
        description = node.get("description") or service.document.node.get("description")
        substitution = node.section("substitution_mappings").get("node_type")
        here = Here(service, service.scope)
        made = Topology(
            name=posixpath.basename(path).partition(".")[0] or "application",
            origin=node.key_span,
            version=service.document.version,
            description=" ".join(description.text.split()) if description is not None else "",
            inputs={name: inputs.declared(name, schema, self.value) for name, schema in service.inputs.items()},
            given={
                name: inputs.counted(self.value(value, service.inputs[name], here), service.inputs[name])
                for name, value in given.items()
            },
            templates={
                name: self.template(bound) for name, bound in service.templates.items() if bound.type is not None
            },
            groups={name: self.group(bound) for name, bound in service.groups.items() if bound.type is not None},
            policies={name: self.policy(bound) for name, bound in service.policies.items() if bound.type is not None},
            outputs=dict(self.outputs(here)),
            substitutes=substitution.text if substitution is not None else "",
        )
        return made, self.diagnostics

    # parts
    def type(self, type_: TypeDef) -> built.Type:
        found = self.types.get(type_)
        if found is None:
            found = self.types[type_] = built.Type(type_.name, type_.ancestors)
        return found

    def properties(
        self,
        bound: Bound,
        schemas: Mapping[str, Schema],
        given: Mapping[str, Node],
        fixed: Mapping[str, Node] | None = None,
    ) -> dict[str, Value]:
        """The properties with their defaults, in the order of the type."""
        here = Here(self.service, bound.scope, bound)
        found: dict[str, Value] = {}
        for name, schema in schemas.items():
            node = given.get(name) or (fixed or {}).get(name)
            if node is None or node.is_null:
                node = schema.fixed if schema.fixed is not None else schema.default
                if node is None:
                    continue
                if node.is_scalar or not any(functions.call(inner, here) for inner in node.walk()):
                    if "default" not in schema.parsed:
                        schema.parsed["default"] = self.value(node, schema, here)
                    found[name] = schema.parsed["default"]
                    continue
            found[name] = self.value(node, schema, here)
        return found

    def template(self, bound: Bound) -> built.Template:
        type_ = bound.type
        assert type_ is not None  # noqa: S101 - the caller looked
        given = bound.assigned("properties")
        here = Here(self.service, bound.scope, bound)
        directives, count = bound.node.get("directives"), bound.node.get("count")
        number = self.value(count, None, here) if count is not None else 1
        return built.Template(
            name=bound.name,
            type=self.type(type_),
            origin=bound.node.key_span,
            properties=self.properties(bound, type_.properties, given),
            nodes=given,
            metadata=self.metadata(bound.node),
            attributes={
                name: self.value(node, bound.schema(name), here) for name, node in bound.assigned("attributes").items()
            },
            capabilities=self.capabilities(bound, type_),
            requirements=[self.requirement(fill) for fill in bound.fills],
            interfaces=self.interfaces(bound),
            artifacts=self.artifacts(bound),
            directives=names(directives),
            count=number if isinstance(number, int) else 1,
        )

    def metadata(self, node: Node) -> Mapping[str, Value]:
        metadata = node.get("metadata")
        return {key: _frozen(item.data()) for key, item in metadata.map.items()} if metadata is not None else {}

    def capabilities(self, bound: Bound, type_: TypeDef) -> dict[str, built.Capability]:
        assigned = bound.assigned("capabilities")
        found: dict[str, built.Capability] = {}
        for name, definition in type_.capabilities.items():
            node = assigned.get(name)
            given = node.section("properties") if node is not None else {}
            if definition.type is not None:
                origin = node.key_span if node is not None else bound.node.key_span
                made = self.properties(bound, definition.properties, given, definition.assigned)
                found[name] = built.Capability(name, self.type(definition.type), origin, made, given)
        return found

    def requirement(self, fill: Fill) -> built.Requirement:
        relationship = fill.relationship
        made: built.Relationship | None = None
        if relationship is not None and relationship.type is not None:
            given = relationship.assigned("properties")
            made = built.Relationship(
                name=relationship.name,
                type=self.type(relationship.type),
                origin=fill.node.key_span,
                properties=self.properties(relationship, relationship.type.properties, given),
                nodes=given,
                interfaces=self.interfaces(relationship, fill),
            )
        return built.Requirement(
            fill.name, fill.node.key_span, fill.target.name if fill.target else None, fill.capability, made
        )

    def group(self, bound: Bound) -> built.Group:
        assert bound.type is not None  # noqa: S101 - the caller looked
        given = bound.assigned("properties")
        members = names(bound.node.get("members") or bound.node.get("targets"))
        return built.Group(
            bound.name,
            self.type(bound.type),
            bound.node.key_span,
            self.properties(bound, bound.type.properties, given),
            given,
            self.metadata(bound.node),
            members=members,
        )

    def policy(self, bound: Bound) -> built.Policy:
        assert bound.type is not None  # noqa: S101 - the caller looked
        given = bound.assigned("properties")
        made = self.properties(bound, bound.type.properties, given)
        triggers = bound.node.get("triggers")
        return built.Policy(
            bound.name, self.type(bound.type), bound.node.key_span, made, given, self.metadata(bound.node),
            targets=names(bound.node.get("targets")),
            triggers={
                name: self.trigger(name, node, bound)
                for name, node in (triggers.map if triggers is not None else {}).items()
            },
        )  # fmt: skip

    def trigger(self, name: str, node: Node, bound: Bound) -> built.Trigger:
        here = Here(self.service, bound.scope, bound)
        own = {key: self.value(item, None, here) for key, item in node.map.items() if key != "description"}
        event = own.pop("event", None) or own.pop("event_type", None)
        return built.Trigger(
            name, event, node.key_span,
            condition=own.pop("condition", own.pop("constraint", None)), action=own.pop("action", None),
            schedule=own.pop("schedule", None), target_filter=own.pop("target_filter", None), extra=own,
        )  # fmt: skip

    def outputs(self, here: Here) -> Iterator[tuple[str, Output]]:
        for name, node in self.service.node.section("outputs").items():
            value, description = node.get("value"), node.get("description")
            if value is not None:
                words = " ".join(description.text.split()) if description is not None else ""
                yield name, Output(name, self.value(value, Schema(node, here.scope), here), node.key_span, words)

    # operations
    def interfaces(self, bound: Bound, fill: Fill | None = None) -> dict[str, dict[str, Operation]]:
        type_ = bound.type
        assigned = bound.assigned("interfaces")
        inherited = fill.definition.interfaces if fill is not None and fill.definition is not None else None
        found: dict[str, dict[str, Operation]] = {}
        declared = dict(type_.interfaces) if type_ is not None else {}
        own: dict[str, list[Node]] = {}
        for node_map in ((inherited.map if inherited is not None else {}), assigned):
            for name, node in node_map.items():
                own.setdefault(_interface(name, declared), []).append(node)
        for name in [*declared, *(name for name in own if name not in declared)]:
            definition = declared.get(name)
            if name not in own and (definition is None or not _does_something(definition)):
                continue
            operations = self.operations(bound, definition, own.get(name, []))
            if operations:
                found[name] = operations
        return found

    def operations(self, bound: Bound, definition: InterfaceDef | None, assigned: list[Node]) -> dict[str, Operation]:
        layers: dict[str, list[Node]] = {}
        if definition is not None:
            for name, places in definition.operations.items():
                layers.setdefault(name, []).extend(node for node, _ in places)
        shared: dict[str, Node] = {
            name: schema.default
            for name, schema in (definition.inputs.items() if definition else ())
            if schema.default is not None
        }
        for node in assigned:
            for name, operation in operation_nodes(node).items():
                layers.setdefault(name, []).append(operation)
            shared |= node.section("inputs")
        found: dict[str, Operation] = {}
        for name, nodes in layers.items():
            one = self.operation(name, nodes, shared, bound)
            if one is not None:
                found[name] = one
        return found

    def operation(self, name: str, nodes: list[Node], shared: Mapping[str, Node], bound: Bound) -> Operation | None:
        """One operation from its definitions, the nearest last."""
        here = Here(self.service, bound.scope, bound)
        primary: Artifact | None = None
        dependencies: tuple[Artifact, ...] = ()
        given: dict[str, Node] = dict(shared)
        outputs: list[str] = []
        for node in nodes:
            implementation = node if node.is_scalar and not node.is_null else node.get("implementation")
            if implementation is not None:
                primary, dependencies = self.implementation(implementation, bound)
            given |= node.section("inputs")
            outputs += node.section("outputs")
        if primary is None and not given:
            return None
        made = {key: self.input(value, here) for key, value in given.items()}
        return Operation(
            name,
            nodes[-1].key_span,
            primary,
            dependencies,
            {k: v for k, v in made.items() if v is not None},
            tuple(dict.fromkeys(outputs)),
        )

    def input(self, value: Node, here: Here) -> Value:
        """The value of an operation's input; of a definition its default."""
        if (
            value.is_map
            and "type" in value.map
            and set(value.map)
            <= {
                "type",
                "default",
                "required",
                "description",
                "value",
                "entry_schema",
                "constraints",
                "status",
                "key_schema",
                "validation",
                "metadata",
            }
        ):
            inner = value.get("value") or value.get("default")
            return self.value(inner, Schema(value, here.scope), here) if inner is not None else None
        return self.value(value, None, here)

    def implementation(self, node: Node, bound: Bound) -> tuple[Artifact | None, tuple[Artifact, ...]]:
        if node.is_scalar:
            return (self.script(node, bound) if node.text else None), ()
        if "file" in node.map:
            return self.artifact("", node, bound), ()
        primary, dependencies = node.get("primary"), node.get("dependencies")
        items = [self.one(item, bound) for item in (dependencies.list if dependencies is not None else ())]
        return (self.one(primary, bound) if primary is not None else None), tuple(items)

    def one(self, node: Node, bound: Bound) -> Artifact:
        return self.script(node, bound) if node.is_scalar else self.artifact("", node, bound)

    def script(self, node: Node, bound: Bound) -> Artifact:
        """A script by its path, or an artifact of the template by its name."""
        own = bound.assigned("artifacts").get(node.text)
        inherited = bound.type.artifacts.get(node.text) if bound.type is not None else None
        if own is not None or inherited is not None:
            return self.artifact(node.text, own if own is not None else inherited[0], bound)  # type: ignore[index]
        return Artifact("", None, node.text, self.path(node, node.text), node.span)

    def artifacts(self, bound: Bound) -> dict[str, Artifact]:
        inherited = bound.type.artifacts if bound.type is not None else {}
        own = bound.assigned("artifacts")
        if not inherited and not own:
            return {}
        nodes = {**{name: node for name, (node, _) in inherited.items()}, **own}
        return {name: self.artifact(name, node, bound) for name, node in nodes.items()}

    def artifact(self, name: str, node: Node, bound: Bound) -> Artifact:
        named, file, repository = node.get("type"), (node.get("file") if node.is_map else node), node.get("repository")
        raw = bound.scope.lookup("artifact", named.text) if named is not None else None
        given = node.get("properties")
        here = Here(self.service, bound.scope, bound)
        text = file.text if file is not None else ""
        return Artifact(
            name, self.type(resolve(raw)) if raw is not None else None, text, self.path(node, text), node.key_span,
            repository=repository.text if repository is not None else "",
            properties={
                key: self.value(item, None, here) for key, item in (given.map if given is not None else {}).items()
            },
        )  # fmt: skip

    def path(self, node: Node, name: str) -> str:
        """The path from the root of the descriptor's folder or package."""
        if "://" in name:
            return name
        path = path_of(node, name)
        if not self.service.files.exists(path):
            plain = posixpath.normpath(name.lstrip("/")) if name else name
            if self.service.files.exists(plain):
                return plain
        return path

    # values
    def value(self, node: Node, schema: Schema | None, here: Here) -> Value:
        """A value as data and expressions; `schema` says what scalars mean."""
        if self.wrong and (node.file, node.span.line, node.span.column) in self.wrong:
            return None
        if self.depth > DEPTH_MAX:
            self.refuse(node.span, "cannot work out this value: it is too deep", "nest it less")
            return None
        self.depth += 1
        try:
            call = functions.call(node, here)
            if call is not None:
                return self.called(call, schema, here)
            if node.is_scalar:
                if node.is_null:
                    return None
                if schema is None or not schema.base:
                    return node.scalar
                return _plain(node, schema)
            if node.is_list:
                entry = schema.entry if schema is not None else None
                return tuple(self.value(item, entry, here) for item in node.list)
            if schema is not None and schema.base == "complex" and schema.data is not None:
                return self.complex(node, schema.data, here)
            entry = schema.entry if schema is not None and schema.base == "map" else None
            return {_unescaped(key, here): self.value(item, entry, here) for key, item in node.map.items()}
        finally:
            self.depth -= 1

    def complex(self, node: Node, type_: TypeDef, here: Here) -> Value:
        found: dict[str, Value] = {}
        for name, schema in type_.properties.items():
            inner = node.get(name) or schema.default
            if inner is not None:
                found[name] = self.value(inner, schema, here)
        return found

    def refuse(self, span: Span, message: str, help_: str) -> None:
        self.diagnostics.append(Diagnostic(rules.NOT_COMPUTABLE, span, message, help_))

    def called(self, call: Call, schema: Schema | None, here: Here) -> Value:
        signature = call.signature
        if signature is not None and not signature.low <= len(call.arguments) <= signature.high:
            message = f"cannot call {call.name} with {len(call.arguments)} arguments"
            self.refuse(call.node.span, message, f"it takes at least {signature.low}")
            return None
        handler = getattr(self, "_" + call.name, None) if signature is not None else None
        if handler is not None:
            return cast(Value, handler(call, schema, here))
        return self.computed(call, here)

    def computed(self, call: Call, here: Here) -> Value:
        """A function of 2.0 over plain values: it is worked out now or not at all."""
        from meghdwar.compiler import validation

        arguments = [self.value(item, None, here) for item in call.arguments]
        if not any(isinstance(item, EXPRESSIONS) for item in arguments):
            result = validation.call(call.name, [_thawed(item) for item in arguments])
            if not isinstance(result, validation.Unknown):
                return _frozen(result)
        what = "it is defined in the file" if call.custom is not None else "it needs what is known only later"
        self.refuse(
            call.node.span, f"cannot work out ${call.name} before the stack runs: {what}", "give the value itself"
        )
        return None

    def _get_input(self, call: Call, schema: Schema | None, here: Here) -> Value:
        name, *path = [item.scalar if index else item.text for index, item in enumerate(call.arguments)]
        declared = self.service.inputs.get(str(name))
        if declared is not None and declared.fixed is not None:
            return _step(self.value(declared.fixed, declared, Here(self.service, here.scope)), path)
        return Parameter(str(name), tuple(step for step in path if isinstance(step, (str, int))))

    def _get_property(self, call: Call, schema: Schema | None, here: Here) -> Value:
        entity, *path = call.arguments
        bound = self.service.entity(entity.text, here)
        steps = [item.scalar if isinstance(item.scalar, int) else item.text for item in path]
        if bound is None or bound.type is None:
            return None
        return self.member(bound, steps, call, attribute=False)

    def _get_attribute(self, call: Call, schema: Schema | None, here: Here) -> Value:
        entity, *path = call.arguments
        bound = self.service.entity(entity.text, here)
        if bound is None and entity.text == "HOST" and here.bound is not None:
            bound = here.bound
        steps = [item.scalar if isinstance(item.scalar, int) else item.text for item in path]
        if bound is None:
            self.refuse(entity.span, f"cannot tell which node {entity.text} is here", "name the node template")
            return None
        return self.member(bound, steps, call, attribute=True)

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

    def _get_operation_output(self, call: Call, schema: Schema | None, here: Here) -> Value:
        entity, interface, operation, *rest = call.arguments
        bound = self.service.entity(entity.text, here)
        if bound is None:
            self.refuse(entity.span, f"cannot tell which node {entity.text} is here", "name the node template")
            return None
        name = _interface(interface.text, bound.type.interfaces if bound.type is not None else {})
        return Attribute(bound.name, (name, operation.text, *(item.text for item in rest)))

    def _get_nodes_of_type(self, call: Call, schema: Schema | None, here: Here) -> Value:
        raw = here.scope.lookup("node", call.arguments[0].text)
        wanted = resolve(raw) if raw is not None else None
        return tuple(
            name
            for name, bound in self.service.templates.items()
            if wanted is not None and bound.type is not None and bound.type.derives(wanted)
        )

    def _get_artifact(self, call: Call, schema: Schema | None, here: Here) -> Value:
        bound = self.service.entity(call.arguments[0].text, here)
        found = self.artifacts(bound).get(call.arguments[1].text) if bound is not None else None
        return (found.file if found.repository else found.path) if found is not None else None

    def _concat(self, call: Call, schema: Schema | None, here: Here) -> Value:
        return self.joined([self.value(item, None, here) for item in call.arguments], "", here)

    def _join(self, call: Call, schema: Schema | None, here: Here) -> Value:
        parts = self.value(call.arguments[0], None, here)
        separator = call.arguments[1].text if len(call.arguments) > 1 else ""
        return self.joined(list(parts) if isinstance(parts, tuple) else [parts], separator, here)

    def joined(self, parts: list[Value], separator: str, here: Here) -> Value:
        if here.major == "2" and parts and all(isinstance(part, tuple) for part in parts):
            return tuple(item for part in parts for item in cast("tuple[Value, ...]", part))
        if any(_runs(part) for part in parts):
            return Join(tuple(parts), separator)
        return separator.join(_text(part) for part in parts)

    def _token(self, call: Call, schema: Schema | None, here: Here) -> Value:
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

    def _node_index(self, call: Call, schema: Schema | None, here: Here) -> Value:
        return 0

    _relationship_index = _node_index


def _interface(name: str, declared: Mapping[str, InterfaceDef]) -> str:
    """The name under which a type declares an interface that a template names by its type, in full or in short."""
    if name in declared:
        return name
    for known, item in declared.items():
        if item.type is not None and name in (item.type.raw.name, item.type.raw.name.rpartition(".")[2]):
            return known
    return name


def _does_something(definition: InterfaceDef) -> bool:
    """Whether an interface has an operation with anything in it."""
    return bool(definition.inputs) or any(
        node.get("implementation") is not None or node.section("inputs") or (node.is_scalar and not node.is_null)
        for places in definition.operations.values()
        for node, _ in places
    )


def _plain(node: Node, schema: Schema) -> Value:
    base = schema.base
    if base in ("version", "timestamp"):
        return node.text
    if base == "string":
        return _unescape(node.text, schema.scope.major)
    value = values.datum(node, schema)
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


def _frozen(data: object) -> Value:
    if isinstance(data, list):
        return tuple(_frozen(item) for item in data)
    if isinstance(data, dict):
        return {str(key): _frozen(item) for key, item in data.items()}
    return cast(Value, data)


def _thawed(value: Value) -> object:
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return value
