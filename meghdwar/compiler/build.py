"""From a checked service template to its topology: every value worked out as far as it can be before a stack runs."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping

from meghdwar.compiler import functions, inputs
from meghdwar.compiler import topology as built
from meghdwar.compiler.evaluate import Evaluator, Place, frozen, interface_name
from meghdwar.compiler.operations import located
from meghdwar.compiler.service import Bound, Fill, Here, Service
from meghdwar.compiler.source import Node
from meghdwar.compiler.topology import Artifact, Operation, Topology
from meghdwar.compiler.types import InterfaceDef, Schema, TypeDef, is_definition, names, operation_nodes, resolve
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Output, Value


def build(
    service: Service, given: Mapping[str, Node], wrong: frozenset[Place] = frozenset()
) -> tuple[Topology, list[Diagnostic]]:
    """The topology, and what cannot be worked out; `given` are values for inputs that were checked already.

    Values that stand at the places in `wrong` (file, line, column) count as absent.
    """
    evaluator = Evaluator(service, wrong)
    return _Builder(service, evaluator.value).topology(given), evaluator.diagnostics


class _Builder:
    def __init__(self, service: Service, value: Callable[[Node, Schema | None, Here], Value]) -> None:
        self.service = service
        self.value = value
        self.types: dict[TypeDef, built.Type] = {}

    def topology(self, given: Mapping[str, Node]) -> Topology:
        service = self.service
        node, path = service.node, service.document.path
        description = node.get("description") or service.document.node.get("description")
        substitution = node.section("substitution_mappings").get("node_type")
        here = Here(service, service.scope)
        return Topology(
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
        return {key: frozen(item.data()) for key, item in metadata.map.items()} if metadata is not None else {}

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
            value, description = functions.value_of(node, here), node.get("description")
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
                own.setdefault(interface_name(name, declared), []).append(node)
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
        if is_definition(value):
            inner = value.get("value") or value.get("default")
            return self.value(inner, Schema(value, here.scope), here) if inner is not None else None
        return self.value(value, None, here)

    def implementation(self, node: Node, bound: Bound) -> tuple[Artifact | None, tuple[Artifact, ...]]:
        if node.is_scalar:
            return (self.script(node, bound) if node.text else None), ()
        if "file" in node.map:
            return self.artifact("", node, bound), ()
        primary, dependencies = node.get("primary"), node.get("dependencies")
        several = [] if dependencies is None else dependencies.list if dependencies.is_list else [dependencies]
        items = [self.one(item, bound) for item in several if not item.is_null]
        return (self.one(primary, bound) if primary is not None else None), tuple(items)

    def one(self, node: Node, bound: Bound) -> Artifact:
        return self.script(node, bound) if node.is_scalar else self.artifact("", node, bound)

    def script(self, node: Node, bound: Bound) -> Artifact:
        """A script by its path, or an artifact of the template by its name."""
        own = bound.assigned("artifacts").get(node.text)
        inherited = bound.type.artifacts.get(node.text) if bound.type is not None else None
        if own is not None or inherited is not None:
            return self.artifact(node.text, own if own is not None else inherited[0], bound)  # type: ignore[index]
        return Artifact("", None, node.text, located(node, node.text, self.service.files), node.span)

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
            name, self.type(resolve(raw)) if raw is not None else None, text,
            located(node, text, self.service.files), node.key_span,
            repository=repository.text if repository is not None else "",
            properties={
                key: self.value(item, None, here) for key, item in (given.map if given is not None else {}).items()
            },
        )  # fmt: skip


def _does_something(definition: InterfaceDef) -> bool:
    """Whether an interface has an operation with anything in it."""
    return bool(definition.inputs) or any(
        node.get("implementation") is not None or node.section("inputs") or (node.is_scalar and not node.is_null)
        for places in definition.operations.values()
        for node, _ in places
    )
