"""The life cycle of software: which script runs on which server, and after what.

A component is created, configured and started once its host runs and once everything that it requires does;
the scripts of a relationship run on either side of the configuration of the component whose side they are on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.lower.scope import Item, Scope, hosts, is_server, is_storage
from meghdwar.compiler.topology import Artifact, Operation, Requirement, Template
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Software

LIFECYCLE = ("create", "configure", "start")
LEAVING = ("delete", "stop")  # run when the stack goes, the last one first

# Scripts of the relationship, where it leaves the component (source) and where it arrives (target).
AROUND: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "create": ((), ()),
    "configure": (("pre_configure_source", "pre_configure_target"), ("post_configure_source", "post_configure_target")),
    "start": ((), ()),
}

_GROUPS = {"yaml": "ansible", "yml": "ansible", "pp": "puppet", "sls": "salt"}
_TYPES = (
    ("ansible", "ansible"),
    ("puppet", "puppet"),
    ("salt", "salt"),
    ("docker", "docker-compose"),
    ("chef", "chef"),
)


def steps(template: Template, scope: Scope) -> Iterator[Item]:
    """The scripts of a component on each of its servers, each after the one before."""
    chain = list(_chain(template, scope))
    joined = list(_joined(template, scope))
    leaving = list(_operations(template.interfaces, LEAVING))
    if not (chain or joined or leaving):
        return
    servers = scope.servers(template.name)
    if not servers:
        operation = (chain or joined or leaving)[0][1]
        yield Diagnostic(
            rules.NO_SERVER,
            operation.origin,
            f"cannot run {operation.name!r} of {template.name!r}: it has no server",
            "host it on a tosca.nodes.Compute, or on something that is hosted on one",
        )
        return
    for server in servers:
        before = needs(template, server, scope)
        for name, operation in chain:
            step = scope.step(template.name, name, server)
            yield from _software(step, template, server, operation, name, before, scope)
            before = (step,)
        for name, operation in joined:
            other = _joined_with(operation, template, scope)
            step = scope.step(template.name, name, server)
            yield from _software(step, template, server, operation, name, (*before, *other), scope)
            before = (step,)
        before = ()
        for name, operation in leaving:
            step = scope.step(template.name, name, server)
            yield from _software(step, template, server, operation, name, before, scope)
            before = (step,)


def needs(template: Template, server: str, scope: Scope) -> tuple[str, ...]:
    """The elements that have to run before the first script of a component on a server."""
    found: dict[str, None] = {}
    for requirement in template.requirements if not is_server(template) else ():
        target = scope.template(requirement.target)
        if target is None or (template.name, target.name) in scope.cuts:
            continue
        if target.name == server or not (is_server(target) and target.name in scope.servers(template.name)):
            found.update(dict.fromkeys(ends(target, scope)))
    if is_server(template) or server in found:  # the server itself goes without saying, what is attached to it does not
        found.pop(server, None)
        machine = scope.topology.templates[server]
        storage = (r for r in machine.requirements if is_storage(scope.template(r.target)))
        found.update(dict.fromkeys(scope.attachment(machine, requirement) for requirement in storage))
    return tuple(found)


def ends(template: Template, scope: Scope) -> tuple[str, ...]:
    """The elements after which a template runs: its last scripts, else what its hosts end with, else itself (which may
    be nothing in the end)."""
    found: dict[str, None] = {}
    stack, seen = [template], set()
    while stack:
        here = stack.pop()
        if here.name in seen:
            continue
        seen.add(here.name)
        chain = list(_chain(here, scope))
        servers = scope.servers(here.name)
        below = [t for r in hosts(here) if (t := scope.template(r.target)) is not None]
        if chain and servers:
            found.update((scope.step(here.name, chain[-1][0], server), None) for server in servers)
        elif is_server(here) or not below:
            found[here.name] = None
        else:
            stack.extend(reversed(below))
    return tuple(found)


def _chain(template: Template, scope: Scope) -> list[tuple[str, Operation]]:
    """The scripts of a component in their order, those of its relationships among them."""
    cached = scope.chains.get(template.name)
    if cached is not None:
        return cached
    result: list[tuple[str, Operation]] = []
    own = dict(_operations(template.interfaces, LIFECYCLE))
    for name in LIFECYCLE:
        before, after = AROUND[name]
        result.extend(_around(template, before, scope))
        if name in own:
            result.append((name, own[name]))
        result.extend(_around(template, after, scope))
    scope.chains[template.name] = result = _numbered(result)
    return result


def _numbered(chain: list[tuple[str, Operation]]) -> list[tuple[str, Operation]]:
    """The same with a number behind a name that comes again."""
    seen: dict[str, int] = {}
    result = []
    for name, operation in chain:
        seen[name] = seen.get(name, 0) + 1
        result.append((name if seen[name] == 1 else f"{name}_{seen[name]}", operation))
    return result


def _around(template: Template, names: tuple[str, ...], scope: Scope) -> Iterator[tuple[str, Operation]]:
    if not names:
        return
    at_source, at_target = names
    for requirement in template.requirements:
        if requirement.relationship is not None:
            for name, operation in _operations(requirement.relationship.interfaces, (at_source,)):
                yield f"{name}_{requirement.target}", operation
    for source, requirement in scope.sources.get(template.name, ()):
        if requirement.relationship is not None:
            for name, operation in _operations(requirement.relationship.interfaces, (at_target,)):
                yield f"{name}_{source.name}", operation


def _joined(template: Template, scope: Scope) -> Iterator[tuple[str, Operation]]:
    yield from _around(template, ("add_target", "add_source"), scope)


def _joined_with(operation: Operation, template: Template, scope: Scope) -> tuple[str, ...]:
    """The other side of the relationship that an add_source belongs to: it has to run by then."""
    for source, requirement in scope.sources.get(template.name, ()):
        if _has(requirement, operation) and (source.name, template.name) not in scope.cuts:
            return ends(source, scope)
    return ()


def _has(requirement: Requirement, operation: Operation) -> bool:
    interfaces = requirement.relationship.interfaces if requirement.relationship is not None else {}
    return any(operation is o for operations in interfaces.values() for o in operations.values())


def _operations(
    interfaces: Mapping[str, Mapping[str, Operation]], names: tuple[str, ...]
) -> Iterator[tuple[str, Operation]]:
    """The operations of these names that have something to run, in the order of the names."""
    for name in names:
        for operations in interfaces.values():
            operation = operations.get(name)
            if operation is not None and operation.primary is not None:
                yield name, operation
                break


def _software(
    step: str,
    template: Template,
    server: str,
    operation: Operation,
    action: str,
    after: tuple[str, ...],
    scope: Scope,
) -> Iterator[Item]:
    assert operation.primary is not None  # noqa: S101 - for the type checker: _operations sees to it
    yield Software(
        name=step,
        server=server,
        component=template.name,
        action=action,
        script=operation.primary.path,
        origin=operation.origin,
        inputs={name: scope.value(value) for name, value in operation.inputs.items()},
        outputs=_outputs(template, operation, scope),
        after=tuple(dict.fromkeys(after)),
        group=_group(operation.primary),
    )


def _group(artifact: Artifact) -> str:
    """The tool that runs a script, by the artifact's type or else by the file's ending."""
    if artifact.type is not None:
        words = artifact.type.name.lower()
        for word, group in _TYPES:
            if word in words:
                return group
    return _GROUPS.get(artifact.path.rpartition(".")[2].lower(), "script")


def _outputs(template: Template, operation: Operation, scope: Scope) -> tuple[str, ...]:
    """What a script gives: what it says it does, and what others ask of it."""
    asked = (str(path[2]) for path in scope.wanted.get(template.name, ()) if path[1] == operation.name)
    return tuple(dict.fromkeys((*operation.outputs, *asked)))
