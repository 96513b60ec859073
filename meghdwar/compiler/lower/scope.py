"""What a lowering needs to know of the rest of the topology, worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from meghdwar.compiler.known import at, known
from meghdwar.compiler.topology import Operation, Policy, Requirement, Template, Topology
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Attribute, Element, Join, Token, Value, expressions

Item: TypeAlias = Element | Diagnostic

SERVERS = ("tosca.nodes.Compute", "tosca.nodes.Abstract.Compute", "tosca.nodes.nfv.VDU", "tosca.nodes.nfv.Vdu.Compute")


STORAGE = ("tosca.nodes.BlockStorage", "tosca.nodes.Storage.BlockStorage", "tosca.nodes.nfv.Vdu.VirtualBlockStorage")
MOVABLE = ("tosca.nodes.nfv.Vdu.Compute", "tosca.nodes.nfv.Vdu.OsContainerDeployableUnit")
SCALINGS = ("tosca.policies.Scaling", "tosca.policies.nfv.VduScalingAspectDeltas", "tosca.policies.nfv.VduInitialDelta")


@dataclass(slots=True)
class Scope:
    """A topology and who requires whom in it. `values` are the inputs' values as far as they are known."""

    topology: Topology
    values: Mapping[str, Value]
    sources: Mapping[str, list[tuple[Template, Requirement]]]
    scaled: frozenset[str]  # the templates that a policy makes grow and shrink
    wanted: Mapping[str, tuple[tuple[str | int, ...], ...]]  # what others ask of a template's operations
    cuts: frozenset[tuple[str, str]]  # requirements (source, target) that close a circle: they order nothing
    moving: frozenset[str] = frozenset()  # the VDUs that follow a subscriber: cloudlets, and no servers of the stack
    chains: dict[str, list[tuple[str, Operation]]] = field(default_factory=dict)
    _servers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, topology: Topology) -> Scope:
        sources: dict[str, list[tuple[Template, Requirement]]] = {}
        for template in topology.templates.values():
            for requirement in template.requirements:
                if requirement.target is not None:
                    sources.setdefault(requirement.target, []).append((template, requirement))
        values = {name: topology.given.get(name, i.default) for name, i in topology.inputs.items()}
        self = cls(topology, values, sources, frozenset(), _wanted(topology), _cuts(topology))
        policies = (p for p in topology.policies.values() if any(p.type.is_a(name) for name in SCALINGS))
        self.scaled = frozenset(name for policy in policies for name in self.members(policy))
        mobilities = self.policies("meghdwar.policies.Mobility")
        targets = {name: topology.templates[name] for policy in mobilities for name in self.members(policy)}
        self.moving = frozenset(n for n, t in targets.items() if any(t.type.is_a(vdu) for vdu in MOVABLE))
        return self

    def known(self, value: Value) -> Value:
        """The value with everything in it that is known by now; None when that is not all."""
        return known(value, self.values)

    def template(self, name: str | None) -> Template | None:
        return self.topology.templates.get(name) if name is not None else None

    def servers(self, name: str) -> tuple[str, ...]:
        """The servers that a template ends up on, through all its hosts; a server is its own, a cloudlet is none."""
        known, stack, begun = self._servers, [name], set()
        while stack:  # hosts before what stands on them, each once; a circle ends where it began
            here = stack[-1]
            template = self.template(here)
            if here in known or template is None or is_server(template):
                known.setdefault(here, () if template is None or here in self.moving else (here,))
                stack.pop()
                continue
            below = [r.target for r in hosts(template) if r.target is not None]
            waiting = [host for host in below if host not in known and host not in begun]
            begun.add(here)
            if waiting:
                stack.extend(reversed(waiting))
                continue
            known[here] = tuple(dict.fromkeys(server for host in below for server in known.get(host, ())))
            stack.pop()
        return known[name]

    def members(self, policy: Policy) -> tuple[str, ...]:
        """The node templates that a policy targets, groups taken apart. Some types have `targets` as a property."""
        found: dict[str, None] = {}
        named = policy.properties.get("targets")
        listed = policy.targets or (named if isinstance(named, tuple) else ())
        stack, seen = list(reversed([str(name) for name in listed])), set()
        while stack:
            name = stack.pop()
            if name in self.topology.templates:
                found[name] = None
            elif name in self.topology.groups and name not in seen:
                seen.add(name)
                stack.extend(reversed(self.topology.groups[name].members))
        return tuple(found)

    def serves_moving(self, name: str) -> bool:
        """Whether a template is there for VDUs that move, and for nothing else."""
        users = [source.name for source, _ in self.sources.get(name, ())]
        return bool(users) and self.moving.issuperset(users)

    def unused(self, name: str) -> str:
        """A name for an element that is no node template: one that no node template has."""
        while name in self.topology.templates:
            name += "_"
        return name

    def step(self, template: str, operation: str, server: str) -> str:
        """The name of a script's run: with its server in it when there are several."""
        several = len(self.servers(template)) > 1
        return self.unused("_".join((template, operation, *((server,) if several else ()))))

    def attachment(self, template: Template, requirement: Requirement) -> str:
        """The name of a volume at a server; with a number when it is attached there again."""
        earlier = template.requirements[: template.requirements.index(requirement)]
        again = sum(r.target == requirement.target for r in earlier)
        return self.unused(f"{requirement.target}_at_{template.name}" + (f"_{again + 1}" if again else ""))

    def policies(self, type_: str) -> Iterator[Policy]:
        return (policy for policy in self.topology.policies.values() if policy.type.is_a(type_))

    def value(self, value: Value) -> Value:
        """A value with the attributes in it said in the model's words."""
        if value is None or isinstance(value, str | int | float):
            return value
        match value:
            case Attribute():
                return self._attribute(value)
            case Join(parts, separator):
                return Join(tuple(self.value(part) for part in parts), separator)
            case Token(text, separator, index):
                return Token(self.value(text), separator, index)
            case Mapping():
                return {key: self.value(entry) for key, entry in value.items()}
            case tuple():
                return tuple(self.value(item) for item in value)
        return value

    def _attribute(self, attribute: Attribute) -> Value:
        """An output of an operation, an attribute or property that the template itself sets, or what runs will know."""
        template = self.template(attribute.element)
        if template is None:
            return attribute
        if len(attribute.path) >= 3 and attribute.path[0] in template.interfaces:
            servers = self.servers(template.name)
            if not servers:
                return attribute
            return Attribute(self.step(template.name, str(attribute.path[1]), servers[0]), attribute.path[2:])
        if attribute.path == ("tosca_name",):
            return template.name
        for entries in (template.attributes, template.properties):
            found = at(entries, attribute.path)
            if found is not None and found != attribute:
                return self.value(found)
        if not is_server(template) and self.servers(template.name) and attribute.path[0] in ADDRESSES:
            return Attribute(self.servers(template.name)[0], attribute.path)
        return attribute


ADDRESSES = ("private_address", "public_address", "networks")


def _wanted(topology: Topology) -> Mapping[str, tuple[tuple[str | int, ...], ...]]:
    """What get_operation_output and its like ask for: (interface, operation, output) by template."""
    result: dict[str, dict[tuple[str | int, ...], None]] = {}
    for value in _running(topology):
        for expression in expressions(value):
            if isinstance(expression, Attribute) and len(expression.path) >= 3:
                result.setdefault(expression.element, {})[expression.path[:3]] = None
    return {name: tuple(paths) for name, paths in result.items()}


def _running(topology: Topology) -> Iterator[Value]:
    """The values that may wait for a script to have run."""
    for output in topology.outputs.values():
        yield output.value
    for template in topology.templates.values():
        places = [template.interfaces, *(r.relationship.interfaces for r in template.requirements if r.relationship)]
        for interfaces in places:
            for operations in interfaces.values():
                for operation in operations.values():
                    yield operation.inputs


def _cuts(topology: Topology) -> frozenset[tuple[str, str]]:
    """The requirements on which a walk along all requirements comes back to where it has been."""
    cuts: set[tuple[str, str]] = set()
    done: set[str] = set()
    for start in topology.templates:
        if start in done or not topology.templates[start].requirements:
            continue
        path: dict[str, Iterator[Requirement]] = {start: iter(topology.templates[start].requirements)}
        while path:
            here = next(reversed(path))
            requirement = next(path[here], None)
            if requirement is None:
                path.popitem()
                done.add(here)
                continue
            target = requirement.target or ""
            if target in path:
                cuts.add((here, target))
            elif target not in done and target in topology.templates:
                path[target] = iter(topology.templates[target].requirements)
    return frozenset(cuts)


def is_server(template: Template) -> bool:
    return any(template.type.is_a(name) for name in SERVERS)


def is_storage(template: Template | None) -> bool:
    return template is not None and any(template.type.is_a(name) for name in STORAGE)


def hosts(template: Template) -> Iterator[Requirement]:
    """The requirements that say where a template lives."""
    for requirement in template.requirements:
        relationship = requirement.relationship
        if requirement.name == "host" or (
            relationship is not None and relationship.type.is_a("tosca.relationships.HostedOn")
        ):
            yield requirement
