"""Whether functions are called as they have to be: with enough arguments, and about things that are there."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import paths, rules
from meghdwar.compiler.functions import FUNCTIONS_2, MANY, REFERENCES, Call, call, is_through
from meghdwar.compiler.service import ENTITIES, Bound, Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import CapabilityDef, Schema, TypeDef
from meghdwar.diagnostics import Diagnostic, did_you_mean, nearest


def check(found: Call, here: Here) -> Iterator[Diagnostic]:
    """What is wrong with a call: its name, how many arguments, and what they refer to."""
    wrong = list(_shape(found, here))
    yield from wrong
    signature, arguments = found.signature, found.arguments
    if wrong or signature is None or (found.argument is not None and not found.argument.is_list and not signature.bare):
        return
    spelled = found.name if here.major == "1" else f"${found.name}"
    if found.name == "get_input":
        yield from _get_input(arguments, here)
    elif found.name in REFERENCES:
        yield from reference(found.name == "get_attribute", arguments, here)
    elif found.name == "get_operation_output":
        yield from _operation_output(arguments, here)
    elif found.name == "get_artifact":
        yield from _get_artifact(arguments, here)
    elif found.name == "get_nodes_of_type" and here.scope.lookup("node", arguments[0].text) is None:
        help_ = did_you_mean(arguments[0].text, here.scope.known("node"))
        yield Diagnostic(rules.UNKNOWN_TYPE, arguments[0].span, f"cannot find node type {arguments[0].text!r}", help_)
    elif found.name == "token":
        yield from _token(arguments)
    elif found.name == "join" and not arguments[0].is_list and call(arguments[0], here) is None:
        yield Diagnostic(
            rules.BAD_ARGUMENT,
            arguments[0].span,
            f"cannot join a {arguments[0].kind}: the first argument of {spelled} is a list",
            f"write {spelled}: [[first, second], separator]",
        )


def names(node: Node, here: Here) -> Iterator[Diagnostic]:
    """What is wrong with the names of the functions in a condition, and with how many arguments they have."""
    for item in node.walk():
        found = call(item, here)
        if found is not None:
            yield from _shape(found, here)


def _shape(found: Call, here: Here) -> Iterator[Diagnostic]:
    """The name of a function and the number of its arguments."""
    if found.signature is None:
        if found.custom is not None:
            yield from _custom(found, here)
            return
        names = [f"${name}" for name in (*FUNCTIONS_2, *here.scope.functions)]
        help_ = did_you_mean(f"${found.name}", names) or "a value that begins with '$' is written with '$$'"
        key = next(iter(found.node.map.values()), found.node)
        yield Diagnostic(rules.UNKNOWN_FUNCTION, key.key_span, f"cannot find a function ${found.name}", help_)
        return
    arguments, signature = found.arguments, found.signature
    spelled = found.name if here.major == "1" else f"${found.name}"
    argument = found.argument
    if argument is not None and not argument.is_list and not signature.bare and not argument.is_null:
        if here.major == "1" or found.name not in ("value", "node_index", "relationship_index"):
            yield Diagnostic(
                rules.BAD_ARITY,
                argument.span,
                f"cannot call {spelled} without a list of arguments",
                f"write {spelled}: [...]",
            )
        return
    if not signature.low <= len(arguments) <= signature.high:
        wanted = (
            f"{signature.low}"
            if signature.low == signature.high
            else f"{signature.low} to {signature.high}"
            if signature.high < MANY
            else f"at least {signature.low}"
        )
        yield Diagnostic(
            rules.BAD_ARITY,
            (argument or found.node).span,
            f"cannot call {spelled} with {len(arguments)} argument{'s' * (len(arguments) != 1)}: it takes {wanted}",
            "see the functions in the reference of its TOSCA version",
        )


def malformed(node: Node, here: Here) -> Iterator[Diagnostic]:
    """2.0: a call is a map with nothing beside it."""
    if here.major == "2" and len(node.map) > 1:
        for key, value in node.map.items():
            if key[:1] == "$" and key[:2] != "$$":
                yield Diagnostic(
                    rules.BAD_ARGUMENT,
                    value.key_span,
                    f"cannot call {key!r} beside other keys",
                    "a call is a map with one key; a key that only begins with '$' is written with '$$'",
                )


def _custom(found: Call, here: Here) -> Iterator[Diagnostic]:
    """A function of the file's own: one of its signatures has to take that many arguments."""
    signatures = found.custom.get("signatures") if found.custom is not None else None
    count = len(found.arguments)
    for item in signatures.list if signatures is not None else ():
        fixed = len((item.get("arguments") or item).list)
        optional = len((item.get("optional_arguments") or item).list)
        variadic = (item.get("variadic") or item).text == "true"
        if fixed <= count <= (MANY if variadic else fixed + optional) or (fixed == 0 and item.get("arguments") is None):
            return
    if signatures is not None and signatures.list:
        yield Diagnostic(
            rules.BAD_ARITY,
            (found.argument or found.node).span,
            f"cannot call ${found.name} with {count} argument{'s' * (count != 1)}: no signature takes that many",
            "look at its signatures under `functions`",
        )


def _get_input(arguments: list[Node], here: Here) -> Iterator[Diagnostic]:
    name = arguments[0]
    if not name.is_scalar:
        yield Diagnostic(
            rules.BAD_ARGUMENT, name.span, f"cannot name an input by a {name.kind}", "write the name of an input"
        )
        return
    if here.service is None:
        yield Diagnostic(
            rules.FUNCTION_PLACE,
            name.span,
            f"cannot use the input {name.text!r} in a type: types know no inputs",
            "make it a property of the type",
        )
    elif name.text not in here.service.inputs:
        help_ = did_you_mean(name.text, here.service.inputs) or "declare it under `inputs`"
        yield Diagnostic(rules.UNKNOWN_INPUT, name.span, f"cannot find input {name.text!r}", help_)
    else:
        yield from _walk(here.service.inputs[name.text], arguments[1:], f"input {name.text!r}")


def _walk(schema: Schema | None, path: list[Node], what: str) -> Iterator[Diagnostic]:
    """Whether a path leads through maps, lists and types with properties; unknown ground is let pass."""
    for step in path:
        if schema is None or not schema.base:
            return
        if not step.is_scalar:
            if not step.is_map:
                yield Diagnostic(
                    rules.BAD_ARGUMENT,
                    step.span,
                    f"cannot use a {step.kind} as a step into {what}",
                    "write the name of a property or the number of an item",
                )
            return
        if schema.base == "complex" and schema.data is not None:
            inner = schema.data.properties.get(step.text)
            if inner is None:
                help_ = did_you_mean(step.text, schema.data.properties) or "it has " + ", ".join(schema.data.properties)
                yield Diagnostic(rules.UNKNOWN_PART, step.span, f"cannot find {step.text!r} in {what}", help_)
                return
            schema = inner
        elif schema.base == "list":
            if not isinstance(step.scalar, int):
                yield Diagnostic(
                    rules.UNKNOWN_PART,
                    step.span,
                    f"cannot find {step.text!r} in {what}: it is a list",
                    "give the number of the item, from 0",
                )
                return
            schema = schema.entry
        elif schema.base == "map":
            schema = schema.entry
        else:
            yield Diagnostic(
                rules.UNKNOWN_PART,
                step.span,
                f"cannot find {step.text!r} in {what}: it is a {schema.base}, which has no parts",
                "leave out what follows it",
            )
            return


def reference(attribute: bool, arguments: list[Node], here: Here) -> Iterator[Diagnostic]:
    """What get_property and get_attribute ask for: the entity, then a requirement or capability or none, then the
    property. Where an output of an operation goes is said in the same way."""
    entity = arguments[0]
    if not entity.is_scalar:
        if not entity.is_map and not entity.is_list:
            yield Diagnostic(
                rules.BAD_ARGUMENT,
                entity.span,
                f"cannot name a node by a {entity.kind}",
                "write the name of a node template",
            )
        return
    bound, type_ = None, None
    if entity.text in ENTITIES:
        bound = here.entity(entity.text, arguments[1].text)
        type_ = bound.type if bound is not None else (here.self_type if entity.text == "SELF" else None)
        if bound is None and here.bound is None and here.type is None:
            yield Diagnostic(
                rules.UNKNOWN_REFERENCE,
                entity.span,
                f"cannot use {entity.text} here: it means something only inside a node, relationship, group or policy",
                "name the node template",
            )
            return
        if entity.text == "HOST" and _stands_alone(here):
            yield Diagnostic(
                rules.UNKNOWN_REFERENCE,
                entity.span,
                "cannot use HOST here: this node stands on no other",
                "say SELF, or name a node template",
            )
            return
    elif here.service is None:
        yield Diagnostic(
            rules.FUNCTION_PLACE,
            entity.span,
            f"cannot use the node {entity.text!r} in a type: types know no templates",
            "say SELF, or use a requirement",
        )
        return
    else:
        bound = here.service.entity(entity.text, here)
        if bound is None:
            help_ = did_you_mean(entity.text, [*here.service.templates, *here.service.relationships, *ENTITIES])
            yield Diagnostic(
                rules.UNKNOWN_REFERENCE,
                entity.span,
                f"cannot find node {entity.text!r}",
                help_ or "name a node template, or SELF, SOURCE, TARGET or HOST",
            )
            return
        type_ = bound.type
    path = arguments[1:]
    if here.major == "2" and bound is not None and paths.is_path(path):
        yield from _at(paths.follow(bound, path), attribute, here)
    elif type_ is not None and not type_.broken:
        yield from _member(attribute, type_, bound, path, here)


def _stands_alone(here: Here) -> bool:
    """Whether a node of this kind can have no host: its type knows no such requirement, nor does the template."""
    bound = here.bound
    if bound is None or bound.kind != "node" or bound.type is None or bound.type.broken:
        return False
    return "host" not in bound.type.requirements and not any(bound.hosts) and not bound.fills


def _at(spot: paths.Spot, attribute: bool, here: Here) -> Iterator[Diagnostic]:
    """What a path of 2.0 leads to has to be there."""
    bound, step = spot.bound, spot.missing
    type_ = bound.type if bound is not None else None
    if type_ is None or type_.broken:
        return
    if step is not None:
        known = [*type_.capabilities, *type_.requirements]
        help_ = did_you_mean(step.text, known) or (f"it has {', '.join(known)}" if known else "")
        yield Diagnostic(rules.UNKNOWN_REFERENCE, step.span, f"cannot find {step.text!r} in {type_.name}", help_)
    elif spot.capability is not None and spot.rest:
        yield from _in_capability(attribute, type_.capabilities[spot.capability], list(spot.rest))
    elif spot.rest:
        yield from _member(attribute, type_, bound, list(spot.rest), here)


def _member(attribute: bool, type_: TypeDef, bound: Bound | None, path: list[Node], here: Here) -> Iterator[Diagnostic]:
    first = path[0]
    if not first.is_scalar:
        return
    name = first.text
    rest = path[1:]
    if here.major == "2" and name in ("CAPABILITY", "RELATIONSHIP", "TARGET", "SOURCE", "ALL"):
        if name == "CAPABILITY" and len(path) > 1 and path[1].is_scalar and type_.kind == "node":
            name, first, rest = path[1].text, path[1], path[2:]
            if name not in type_.capabilities and not any(c.type_name == name for c in type_.capabilities.values()):
                yield Diagnostic(
                    rules.UNKNOWN_CAPABILITY,
                    first.span,
                    f"cannot find capability {name!r} in {type_.name}",
                    nearest(name, type_.capabilities),
                )
            elif rest and name in type_.capabilities:
                yield from _in_capability(attribute, type_.capabilities[name], rest)
        return
    schemas = (type_.properties, type_.attributes)
    schema = next((found[name] for found in (schemas[::-1] if attribute else schemas) if name in found), None)
    if schema is not None and not (rest and rest[0].is_scalar and is_through(type_, name)):
        if not attribute and name not in type_.properties:
            yield Diagnostic(
                rules.UNKNOWN_REFERENCE,
                first.span,
                f"cannot get property {name!r} of {type_.name}: it is an attribute",
                "use get_attribute",
            )
            return
        yield from _walk(schema, rest, f"{name!r}")
        return
    if name in type_.capabilities and rest:
        yield from _in_capability(attribute, type_.capabilities[name], rest)
        return
    if name in type_.requirements and rest:
        yield from _through(attribute, type_, bound, name, rest, here)
        return
    if bound is not None and (name in bound.assigned("properties") or name in bound.assigned("attributes")):
        return  # said to be unknown where it is assigned
    known = [*type_.properties, *type_.attributes, *type_.capabilities, *type_.requirements]
    if attribute and name in ("tosca_id", "tosca_name", "state"):
        return
    word = "attribute" if attribute else "property"
    help_ = did_you_mean(name, known) or (f"it has {', '.join(known)}" if known else "")
    yield Diagnostic(rules.UNKNOWN_REFERENCE, first.span, f"cannot find {word} {name!r} in {type_.name}", help_)


def _in_capability(attribute: bool, capability: CapabilityDef, rest: list[Node]) -> Iterator[Diagnostic]:
    first = rest[0]
    if capability.type is None or capability.type.broken or not first.is_scalar:
        return
    schema = capability.properties.get(first.text) or (capability.attributes.get(first.text))
    if schema is None:
        known = [*capability.properties, *capability.attributes]
        help_ = did_you_mean(first.text, known) or (f"it has {', '.join(known)}" if known else "")
        yield Diagnostic(
            rules.UNKNOWN_REFERENCE, first.span, f"cannot find {first.text!r} in capability {capability.name!r}", help_
        )
    else:
        yield from _walk(schema, rest[1:], f"{first.text!r}")


def _through(
    attribute: bool, type_: TypeDef, bound: Bound | None, name: str, rest: list[Node], here: Here
) -> Iterator[Diagnostic]:
    """Through a requirement to the node that fills it."""
    fill = (
        next((fill for fill in bound.fills if fill.name == name and fill.target is not None), None) if bound else None
    )
    if fill is None or fill.target is None or fill.target.type is None or fill.target.type.broken:
        return
    target = fill.target.type
    step = rest[0].text
    if fill.capability is not None:
        capability = target.capabilities.get(fill.capability)
        if capability is not None and (step in capability.properties or step in capability.attributes):
            yield from _in_capability(attribute, capability, rest)
            return
    if fill.relationship is not None and fill.relationship.schema(step) is not None:
        return
    if step in target.requirements and len(rest) > 1 and target is type_:
        return
    yield from _member(attribute, target, fill.target, rest, here)


def _operation_output(arguments: list[Node], here: Here) -> Iterator[Diagnostic]:
    entity = arguments[0]
    if here.service is None or not entity.is_scalar:
        return
    bound = here.service.entity(entity.text, here)
    if bound is None:
        if entity.text not in ENTITIES:
            yield Diagnostic(
                rules.UNKNOWN_REFERENCE,
                entity.span,
                f"cannot find node {entity.text!r}",
                nearest(entity.text, here.service.templates),
            )
        return
    if bound.type is None or bound.type.broken:
        return
    interface = arguments[1]
    found = bound.type.interfaces.get(interface.text)
    if found is None:
        if interface.text not in bound.assigned("interfaces"):
            yield Diagnostic(
                rules.UNKNOWN_INTERFACE,
                interface.span,
                f"cannot find interface {interface.text!r} in {bound.type.name}",
                nearest(interface.text, bound.type.interfaces),
            )
    elif (
        arguments[2].text not in found.operations
        and arguments[2].text not in bound.assigned("interfaces").get(interface.text, interface).map
    ):
        yield Diagnostic(
            rules.UNKNOWN_OPERATION,
            arguments[2].span,
            f"cannot find operation {arguments[2].text!r} in interface {interface.text!r}",
            nearest(arguments[2].text, found.operations),
        )


def _get_artifact(arguments: list[Node], here: Here) -> Iterator[Diagnostic]:
    entity, name = arguments[:2]
    bound = here.service.entity(entity.text, here) if here.service is not None else None
    type_ = bound.type if bound is not None else (here.type if entity.text == "SELF" else None)
    if bound is None and here.service is not None and entity.text not in ENTITIES:
        yield Diagnostic(
            rules.UNKNOWN_REFERENCE,
            entity.span,
            f"cannot find node {entity.text!r}",
            nearest(entity.text, here.service.templates),
        )
        return
    if type_ is None or type_.broken:
        return
    known = [*type_.artifacts, *(bound.assigned("artifacts") if bound else ())]
    if name.text not in known and name.is_scalar:
        yield Diagnostic(
            rules.UNKNOWN_REFERENCE,
            name.span,
            f"cannot find artifact {name.text!r} in {bound.name if bound else type_.name!r}",
            nearest(name.text, known),
        )


def _token(arguments: list[Node]) -> Iterator[Diagnostic]:
    separator, index = arguments[1:]
    if separator.is_scalar and not separator.text:
        yield Diagnostic(
            rules.BAD_ARGUMENT,
            separator.span,
            "cannot cut a text at nothing: the second argument of token is a separator",
            "write one, such as ','",
        )
    if index.is_scalar and (not isinstance(index.scalar, int) or index.scalar < 0) and not index.text.startswith("$"):
        yield Diagnostic(
            rules.BAD_ARGUMENT,
            index.span,
            f"cannot take part {index.text!r}: the third argument of token is a number from 0",
            "0 is the first part",
        )
