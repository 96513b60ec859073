"""Interfaces, operations and the artifacts that implement them: what they may name and which files have to be there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from meghdwar.compiler import check_functions, refinements, rules, values
from meghdwar.compiler.documents import Files
from meghdwar.compiler.service import Bound, Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import InterfaceDef, Schema, TypeDef, is_definition, operation_nodes, resolve, unknown
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest

_REMOTE = ("://", "${", "{{")


def of_type(type_: TypeDef, here: Here, files: Files) -> Iterator[Diagnostic]:
    """The interfaces and artifacts that a type defines."""
    above = type_.parent.interfaces if type_.parent is not None else {}
    for name, node in type_.node.section("interfaces").items():
        named = node.get("type")
        if named is not None:
            if here.scope.lookup("interface", named.text) is None:
                yield unknown("interface", named, here.scope)
                continue
        elif name not in above and here.scope.lookup("interface", name) is None and here.major == "2":
            yield Diagnostic(
                rules.MISSING_KEY,
                node.key_span,
                f"cannot read interface {name!r} without its 'type'",
                "add `type: ...`",
            )
            continue
        yield from refinements.of_interface(name, type_, node, here)
        made = type_.interfaces.get(name)
        known = made.type.operations if made is not None and made.type is not None and not made.type.broken else {}
        for key, item in operation_nodes(node).items() if here.major == "2" and known else ():
            if key not in known:
                message, help_ = f"cannot find operation {key!r} in interface {name!r}", nearest(key, known)
                yield Diagnostic(rules.UNKNOWN_OPERATION, item.key_span, message, help_)
        yield from _operations(
            node,
            type_.interfaces[name].operations if name in type_.interfaces else {},
            named is None and name not in above,
            here,
            files,
            type_.artifacts,
        )
    for node in type_.node.section("artifacts").values():
        yield from artifact(node, here, files)


def definitions(node: Node, here: Here, files: Files) -> Iterator[Diagnostic]:
    """The operations of an interface type, which 2.0 lets only node and relationship types implement."""
    for item in operation_nodes(node).values():
        implementation = item if item.is_scalar else item.get("implementation")
        if here.major == "2" and implementation is not None and not implementation.is_null:
            yield Diagnostic(
                rules.UNKNOWN_KEY,
                implementation.key_span,
                "cannot implement an operation in an interface type",
                "move the implementation to the node or relationship types that have the interface",
            )
        yield from operation(item, here, files, {})


def assigned(bound: Bound, here: Here, files: Files) -> Iterator[Diagnostic]:
    """The interfaces of a node or relationship template."""
    type_ = bound.type
    artifacts: dict[str, object] = {**(type_.artifacts if type_ else {}), **bound.assigned("artifacts")}
    for name, node in bound.assigned("interfaces").items():
        known = type_.interfaces if type_ is not None else {}
        item = known.get(name) or next(
            (i for i in known.values() if i.type is not None and i.type.raw.name == name), None
        )
        named = node.get("type") if node.is_map else None
        if item is None and type_ is not None and not type_.broken:
            raw = here.scope.lookup("interface", named.text if named is not None else name)
            if (raw is None and here.major == "2") or (raw is None and known and named is None):
                help_ = did_you_mean(name, known) or (
                    f"it has {', '.join(known)}" if known else "define it in the type"
                )
                wrong = Diagnostic(
                    rules.UNKNOWN_INTERFACE, node.key_span, f"cannot find interface {name!r} in {type_.name}", help_
                )
                yield wrong if known else wrong.as_warning()  # the standard's own examples leave the type bare
                continue
            yield from _operations(
                node, {op: [] for op in resolve(raw).operations} if raw else {}, raw is None, here, files, artifacts
            )
            continue
        yield from _operations(node, item.operations if item is not None else {}, item is None, here, files, artifacts)
        if item is not None and here.major == "2":
            yield from _fitting(node, item, here)


def _fitting(node: Node, item: InterfaceDef, here: Here) -> Iterator[Diagnostic]:
    """2.0: an input that the type defines has a value of that type."""
    for name, value in node.section("inputs").items():
        if name in item.inputs and not is_definition(value):
            yield from _fits(value, item.inputs[name], here)
    for name, operation_node in operation_nodes(node).items():
        for place, scope in item.operations.get(name, ()):
            for key, value in operation_node.section("inputs").items():
                defined = place.section("inputs").get(key)
                if defined is not None and is_definition(defined) and defined is not value:
                    yield from _fits(value, Schema(defined, scope), here)


def _fits(value: Node, schema: Schema, here: Here) -> Iterator[Diagnostic]:
    known = (rules.UNKNOWN_REFERENCE, rules.UNKNOWN_INPUT)  # said of the value as it stands
    yield from (item for item in values.check(value, schema, here) if item.rule not in known)


def _operations(
    node: Node, known: Mapping[str, object], loose: bool, here: Here, files: Files, artifacts: Mapping[str, object]
) -> Iterator[Diagnostic]:
    declared = {
        name
        for name, places in known.items()
        if not (isinstance(places, list) and len(places) == 1 and places[0][0] in operation_nodes(node).values())
    }
    for name, item in operation_nodes(node).items():
        if not loose and declared and name not in declared and here.bound is not None:
            yield Diagnostic(
                rules.UNKNOWN_OPERATION,
                item.key_span,
                f"cannot find operation {name!r} in this interface",
                did_you_mean(name, declared) or f"it has {', '.join(sorted(declared))}",
            )
        yield from operation(item, here, files, artifacts)
    for value in node.section("inputs").values():
        yield from _input(value, here)


def operation(node: Node, here: Here, files: Files, artifacts: Mapping[str, object]) -> Iterator[Diagnostic]:
    implementation = node if node.is_scalar and not node.is_null else node.get("implementation")
    if implementation is not None:
        yield from _implementation(implementation, here, files, artifacts)
    for value in node.section("inputs").values():
        yield from _input(value, here)
    if here.major == "2":
        for value in node.section("outputs").values():
            yield from _output(value, here)


def _output(value: Node, here: Here) -> Iterator[Diagnostic]:
    """2.0: what an operation gives back goes to an attribute; in types it may be only defined."""
    mapping = value.get("mapping") if value.is_map else value
    if value.is_map:
        yield from _input(value, here)
    if mapping is None or mapping.is_null:
        return
    if not mapping.is_list or len(mapping.list) < 2:
        yield Diagnostic(
            rules.WRONG_SHAPE,
            mapping.span,
            "cannot put an output there: it has to be a list that ends in an attribute",
            "write [SELF, ATTRIBUTE]",
        )
    elif here.bound is not None or mapping.list[0].text == "SELF":
        yield from check_functions.reference(True, mapping.list, here)


def _input(value: Node, here: Here) -> Iterator[Diagnostic]:
    """An input of an operation: a definition when it says its type, else a value."""
    if is_definition(value):
        schema = Schema(value, here.scope)
        named = value.map["type"]
        if not schema.base and named.is_scalar and not named.is_null and here.scope.lookup("data", named.text) is None:
            yield unknown("data", named, here.scope)
        for key in ("default", "value"):
            inner = value.get(key)
            if inner is not None:
                yield from values.check(inner, schema, here)
        return
    yield from values.free(value, here)


def _implementation(node: Node, here: Here, files: Files, artifacts: Mapping[str, object]) -> Iterator[Diagnostic]:
    if node.is_scalar:
        yield from _file(node, files, artifacts, here)
        return
    if "file" in node.map:
        yield from artifact(node, here, files)
    primary, dependencies = node.get("primary"), node.get("dependencies")
    several = [] if dependencies is None else dependencies.list if dependencies.is_list else [dependencies]
    for item in [primary, *several]:
        if item is None:
            continue
        if item.is_scalar and here.bound is not None and _names_nothing(item, files, artifacts):
            yield Diagnostic(
                rules.ARTIFACT_NOT_FOUND,
                item.span,
                f"cannot find an artifact or a file {item.text!r}",
                nearest(item.text, artifacts),
            )
        elif item.is_scalar:
            yield from _file(item, files, artifacts, here)
        else:
            yield from artifact(item, here, files)


def _names_nothing(node: Node, files: Files, artifacts: Mapping[str, object]) -> bool:
    """Whether this is one word, as the name of an artifact is, and nobody is called that."""
    return (
        node.text.replace("-", "_").isidentifier() and node.text not in artifacts and not exists(node, node.text, files)
    )


def _file(node: Node, files: Files, artifacts: Mapping[str, object], here: Here) -> Iterator[Diagnostic]:
    if (
        not node.text
        or node.text in artifacts
        or any(mark in node.text for mark in _REMOTE)
        or "." not in node.text.strip(".")
    ):
        return  # nothing, an artifact by name, something remote, or a command and not a file
    if node.text.split()[0] != node.text and not exists(node, node.text, files):
        return  # a command line
    if not exists(node, node.text, files):
        help_ = (
            did_you_mean(node.text, [*artifacts, *files.names()])
            or f"it would have to be at {path_of(node, node.text)!r}"
        )
        yield Diagnostic(rules.ARTIFACT_NOT_FOUND, node.span, f"cannot find the file {node.text!r}", help_)


def artifact(node: Node, here: Here, files: Files) -> Iterator[Diagnostic]:
    """An artifact definition: its type, its file when that has to be beside the descriptor, its properties."""
    named = node.get("type") if node.is_map else None
    type_: TypeDef | None = None
    if named is not None:
        raw = here.scope.lookup("artifact", named.text)
        if raw is None:
            wrong = unknown("artifact", named, here.scope)
            yield wrong if here.major == "2" else wrong.as_warning()  # its file is all that is needed of it
        else:
            type_ = resolve(raw)
    file, repository = (node.get("file") if node.is_map else node), node.get("repository")
    if repository is not None and repository.text not in here.scope.repositories:
        help_ = did_you_mean(repository.text, here.scope.repositories) or "declare it under `repositories`"
        yield Diagnostic(
            rules.UNKNOWN_REPOSITORY, repository.span, f"cannot find repository {repository.text!r}", help_
        )
    elif (
        (
            file is not None
            and file.is_scalar
            and file.text
            and repository is None
            and not any(m in file.text for m in _REMOTE)
        )
        and not exists(file, file.text, files)
        and not (type_ is not None and "Container" in type_.name)
    ):
        yield Diagnostic(
            rules.ARTIFACT_NOT_FOUND,
            file.span,
            f"cannot find the file {file.text!r}",
            f"it would have to be at {path_of(file, file.text)!r}; or name the repository that has it",
        )
    if type_ is not None and node.is_map and not type_.broken:
        given = node.get("properties")
        if given is not None and given.is_map and type_.properties:
            yield from values.members(given, type_.properties, here, f"artifact type {type_.name}", node)


def path_of(node: Node, name: str) -> str:
    """A path as the root of the descriptor's folder or package sees it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(node.file), name))


def exists(node: Node, name: str, files: Files) -> bool:
    return files.exists(path_of(node, name)) or files.exists(posixpath.normpath(name.lstrip("/")))


def located(node: Node, name: str, files: Files) -> str:
    """Where a file is, from the root of the descriptor's folder or package: beside the file that names it, or there."""
    path = path_of(node, name)
    plain = posixpath.normpath(name.lstrip("/")) if name else name
    if "://" in name or files.exists(path) or not files.exists(plain):
        return name if "://" in name else path
    return plain
