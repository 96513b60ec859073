"""What a checked service template says, with every name resolved: the step between the text and the model.

Values are `model.Value`: plain data and expressions. Scalars with units are numbers already: sizes in bytes,
times in seconds, frequencies in hertz, bit rates in bit/s. A reference to an input stays a `Parameter`, also
when the input has a value; `Topology.known` puts the values in where a target cannot wait for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meghdwar.compiler.source import Node
from meghdwar.diagnostics import Span
from meghdwar.model import Input, Output, Value


@dataclass(frozen=True, slots=True)
class Type:
    """A resolved type. `ancestors` starts with its own name; normative names are always the full 1.x ones
    (tosca.nodes.Compute), also when the descriptor used a short name or a 2.0 profile."""

    name: str
    ancestors: tuple[str, ...]

    def is_a(self, name: str) -> bool:
        return name in self.ancestors


@dataclass(slots=True)
class Artifact:
    name: str
    type: Type | None
    file: str  # the path as written, relative to the file that names it
    path: str  # the path relative to the descriptor's folder or package
    origin: Span
    repository: str = ""
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Operation:
    """An operation of an interface, with the implementation that counts (the template's, else the type's)."""

    name: str
    origin: Span
    primary: Artifact | None = None
    dependencies: tuple[Artifact, ...] = ()
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(slots=True)
class Placed:
    """Anything with properties: `place` says where a property, or a part of one, was written."""

    name: str
    type: Type
    origin: Span
    properties: Mapping[str, Value] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)  # the properties as written; defaults are not among them
    metadata: Mapping[str, Value] = field(default_factory=dict)

    def place(self, *path: str | int) -> Span:
        """Where properties[path] was written, or the nearest place round it."""
        node: Node | None = None
        here = self.nodes.get(str(path[0])) if path else None
        for step in (*path[1:], None):
            if here is None:
                break
            node = here
            if isinstance(step, int):
                here = node.list[step] if step < len(node.list) else None
            else:
                here = node.map.get(step) if step is not None else None
        return node.span if node is not None else self.origin


@dataclass(slots=True)
class Capability(Placed):
    pass


@dataclass(slots=True)
class Relationship(Placed):
    interfaces: Mapping[str, Mapping[str, Operation]] = field(default_factory=dict)


@dataclass(slots=True)
class Requirement:
    """A requirement and what fills it; `target` is None when nothing in the template does."""

    name: str
    origin: Span
    target: str | None
    capability: str | None = None  # the name of the target's capability
    relationship: Relationship | None = None


@dataclass(slots=True)
class Template(Placed):
    """A node template. `capabilities` and `interfaces` hold all that its type declares; interface names are
    as declared (Standard, ...) and operations only those with an implementation or inputs."""

    attributes: Mapping[str, Value] = field(default_factory=dict)
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    interfaces: Mapping[str, Mapping[str, Operation]] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    directives: tuple[str, ...] = ()
    count: int = 1

    def targets(self, requirement: str) -> Iterator[Requirement]:
        """Its requirements of one name that something fills."""
        return (r for r in self.requirements if r.name == requirement and r.target is not None)


@dataclass(slots=True)
class Group(Placed):
    members: tuple[str, ...] = ()


@dataclass(slots=True)
class Trigger:
    name: str
    event: Value
    origin: Span
    condition: Value = None
    action: Value = None
    schedule: Value = None
    target_filter: Value = None
    extra: Mapping[str, Value] = field(
        default_factory=dict
    )  # metric, meter_name and the like, as real files write them


@dataclass(slots=True)
class Policy(Placed):
    targets: tuple[str, ...] = ()
    triggers: Mapping[str, Trigger] = field(default_factory=dict)


@dataclass(slots=True)
class Topology:
    """One service template. Mappings keep the order of the file."""

    name: str
    origin: Span
    version: str = ""
    description: str = ""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    given: Mapping[str, Value] = field(default_factory=dict)  # values from --input; they win over defaults
    templates: Mapping[str, Template] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    substitutes: str = ""  # the node type that this template stands for
