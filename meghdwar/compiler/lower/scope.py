"""What a lowering needs to know of the rest of the topology, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from meghdwar.compiler.topology import Policy, Requirement, Template, Topology
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Attribute, Element, Input, Join, Parameter, Token, Value

Item: TypeAlias = Element | Diagnostic

SERVERS = ("tosca.nodes.Compute", "tosca.nodes.Abstract.Compute", "tosca.nodes.nfv.VDU", "tosca.nodes.nfv.Vdu.Compute")


@dataclass(slots=True)
class Scope:
    """A topology and who requires whom in it. `values` are the inputs' values as far as they are known."""

    topology: Topology
    values: Mapping[str, Value]
    sources: Mapping[str, list[tuple[Template, Requirement]]]
    _servers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, topology: Topology) -> Scope:
        sources: dict[str, list[tuple[Template, Requirement]]] = {}
        for template in topology.templates.values():
            for requirement in template.requirements:
                if requirement.target is not None:
                    sources.setdefault(requirement.target, []).append((template, requirement))
        return cls(topology, {name: known_input(topology, i) for name, i in topology.inputs.items()}, sources)

    def known(self, value: Value) -> Value:
        """The value with everything in it that is known by now; None when that is not all."""
        return known(value, self.values)

    def template(self, name: str | None) -> Template | None:
        return self.topology.templates.get(name) if name is not None else None

    def servers(self, name: str) -> tuple[str, ...]:
        """The servers that a template ends up on, through all its hosts; a server is its own."""
        found = self._servers.get(name)
        if found is None:
            self._servers[name] = found = tuple(dict.fromkeys(self._find_servers(name)))
        return found

    def _find_servers(self, name: str) -> Iterator[str]:
        seen, stack = set(), [name]
        while stack:
            here = stack.pop()
            template = self.template(here)
            if template is None or here in seen:
                continue
            seen.add(here)
            if is_server(template):
                yield here
            else:
                stack.extend(reversed([r.target for r in hosts(template) if r.target is not None]))

    def members(self, policy: Policy) -> tuple[str, ...]:
        """The node templates that a policy targets, groups taken apart."""
        found: dict[str, None] = {}
        stack, seen = list(reversed(policy.targets)), set()
        while stack:
            name = stack.pop()
            if name in self.topology.templates:
                found[name] = None
            elif name in self.topology.groups and name not in seen:
                seen.add(name)
                stack.extend(reversed(self.topology.groups[name].members))
        return tuple(found)


def is_server(template: Template) -> bool:
    return any(template.type.is_a(name) for name in SERVERS)


def hosts(template: Template) -> Iterator[Requirement]:
    """The requirements that say where a template lives."""
    for requirement in template.requirements:
        relationship = requirement.relationship
        if requirement.name == "host" or (
            relationship is not None and relationship.type.is_a("tosca.relationships.HostedOn")
        ):
            yield requirement


def known_input(topology: Topology, input_: Input) -> Value:
    return topology.given.get(input_.name, input_.default)


def known(value: Value, inputs: Mapping[str, Value]) -> Value:
    """`value` as plain data when the inputs say all that it needs, else None."""
    match value:
        case Parameter(name, path):
            return at(inputs.get(name), path)
        case Join(parts, separator):
            texts = [known(part, inputs) for part in parts]
            return None if None in texts else separator.join(str(text) for text in texts)
        case Token(text, separator, index):
            whole = known(text, inputs)
            pieces = whole.split(separator) if isinstance(whole, str) and separator else []
            return pieces[index] if -len(pieces) <= index < len(pieces) else None
        case Attribute():
            return None
        case Mapping():
            entries = {key: known(entry, inputs) for key, entry in value.items()}
            return None if any(entries[key] is None and value[key] is not None for key in entries) else entries
        case tuple():
            items = tuple(known(item, inputs) for item in value)
            return (
                None if any(new is None and old is not None for new, old in zip(items, value, strict=True)) else items
            )
    return value


def at(value: Value, path: Iterable[str | int]) -> Value:
    """What stands at a path inside a value, or None."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, tuple) and str(step).isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def number(value: Value) -> int | None:
    """A whole number, also when it was written as a float or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(cast("float | str", value))
    except (ValueError, OverflowError):
        return None
