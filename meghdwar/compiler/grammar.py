"""What may stand where: the key names of each construct of TOSCA 1.x and 2.0, and whether a file keeps to them.

Source: TOSCA Simple Profile in YAML 1.0 to 1.3, chapter 3 (one table: later versions only add keys), and
TOSCA 2.0, chapters 6 to 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meghdwar.compiler import rules
from meghdwar.compiler.source import Node, empty
from meghdwar.diagnostics import Diagnostic, did_you_mean

# A shape says what a value has to be: one of these words, ("map" | "list" | "named", shape) for collections of
# constructs, or the name of a construct. "named" is a list of maps with one key each (requirements, policies).
TEXT, BOOLEAN, ANY, VALUES, NAMES, COUNTS = "text", "boolean", "any", "values", "names", "counts"
Shape = str | tuple[str, str]
_NUMBERS = ("version", "artifact_version", "checksum")  # text that people write without quotes, as the standard does


@dataclass(frozen=True, slots=True)
class Construct:
    """The keys of one construct; `short` is the shape of its short form; an `open` one takes other keys of that shape."""

    what: str
    keys: Mapping[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    short: Shape | None = None
    open: Shape | None = None
    loose: bool = False  # other keys are only warned of

    def but(
        self, *less: str, required: tuple[str, ...] | None = None, short: Shape | None = None, **more: Shape
    ) -> Construct:
        keys = {key: shape for key, shape in {**self.keys, **more}.items() if key not in less}
        wanted = self.required if required is None else required
        return replace(self, keys=keys, required=wanted, short=short or self.short)


def _map(shape: str) -> Shape:
    return ("map", shape)


def _list(shape: str) -> Shape:
    return ("list", shape)


def _named(shape: str) -> Shape:
    return ("named", shape)


_DOC: dict[str, Shape] = {"description": TEXT, "metadata": VALUES}
_TYPE: dict[str, Shape] = {**_DOC, "derived_from": TEXT, "version": TEXT}
_DATA: dict[str, Shape] = {"properties": _map("property"), "attributes": _map("attribute")}
_SCHEMA: dict[str, Shape] = {"entry_schema": "schema", "key_schema": "schema", "constraints": _list("constraint")}
_ASSIGNED: dict[str, Shape] = {"properties": VALUES, "attributes": VALUES}

Grammar = Mapping[str, Construct]

SIMPLE: Grammar = {
    "file": Construct(
        "a service template",
        {
            **_DOC,
            "tosca_definitions_version": TEXT, "tosca_default_namespace": TEXT, "namespace": TEXT,
            "template_name": TEXT, "template_author": TEXT, "template_version": TEXT,
            "dsl_definitions": ANY, "repositories": _map("repository"), "imports": ANY,
            "artifact_types": _map("artifact type"), "data_types": _map("data type"),
            "capability_types": _map("capability type"), "interface_types": _map("interface type"),
            "relationship_types": _map("relationship type"), "node_types": _map("node type"),
            "group_types": _map("group type"), "policy_types": _map("policy type"),
            "topology_template": "topology",
        },
    ),
    "repository": Construct("a repository", {**_DOC, "url": TEXT, "credential": ANY}, ("url",), short=TEXT),
    "artifact type": Construct("an artifact type", {**_TYPE, "mime_type": TEXT, "file_ext": NAMES, "properties": _map("property")}),
    "data type": Construct("a data type", {**_TYPE, **_SCHEMA, "properties": _map("property")}),
    "capability type": Construct("a capability type", {**_TYPE, **_DATA, "valid_source_types": NAMES}),
    "interface type": Construct(
        "an interface type", {**_TYPE, "inputs": _map("property"), "operations": _map("operation"), "notifications": _map("notification")}, open="operation"
    ),
    "relationship type": Construct(
        "a relationship type", {**_TYPE, **_DATA, "interfaces": _map("interface"), "valid_target_types": NAMES, "valid_source_types": NAMES}
    ),
    "node type": Construct(
        "a node type",
        {
            **_TYPE, **_DATA, "requirements": _named("requirement definition"), "capabilities": _map("capability definition"),
            "interfaces": _map("interface"), "artifacts": _map("artifact"),
        },
    ),
    "group type": Construct(
        "a group type",
        {
            **_TYPE, **_DATA, "members": NAMES, "interfaces": _map("interface"),
            "capabilities": _map("capability definition"), "requirements": _named("requirement definition"),
        },
    ),
    "policy type": Construct("a policy type", {**_TYPE, "properties": _map("property"), "targets": NAMES, "triggers": _map("trigger")}),
    "property": Construct(
        "a property", {**_DOC, **_SCHEMA, "type": TEXT, "required": BOOLEAN, "default": ANY, "status": TEXT, "external-schema": TEXT, "external_schema": TEXT}
    ),
    "attribute": Construct("an attribute", {**_DOC, **_SCHEMA, "type": TEXT, "required": BOOLEAN, "default": ANY, "status": TEXT}),
    "parameter": Construct(
        "a parameter", {**_DOC, **_SCHEMA, "type": TEXT, "required": BOOLEAN, "default": ANY, "status": TEXT, "value": ANY, "mapping": ANY}
    ),
    "schema": Construct("a schema", {**_SCHEMA, "type": TEXT, "description": TEXT, "default": ANY, "required": BOOLEAN, "status": TEXT}, short=TEXT),
    "constraint": Construct("a constraint", open=ANY),
    "requirement definition": Construct(
        "a requirement",
        {**_DOC, "capability": TEXT, "node": TEXT, "relationship": "relationship definition", "occurrences": COUNTS, "node_filter": "node filter"},
        short=TEXT,
    ),
    "relationship definition": Construct("a relationship", {"type": TEXT, "interfaces": _map("interface"), "description": TEXT}, short=TEXT),
    "capability definition": Construct(
        "a capability", {**_DOC, "properties": ANY, "attributes": ANY, "type": TEXT, "valid_source_types": NAMES, "occurrences": COUNTS}, short=TEXT
    ),
    "interface": Construct(
        "an interface",
        {**_DOC, "type": TEXT, "inputs": ANY, "operations": _map("operation"), "notifications": _map("notification")},
        open="operation",
    ),
    "operation": Construct(
        "an operation", {**_DOC, "implementation": "implementation", "inputs": ANY, "outputs": ANY}, short=TEXT
    ),
    "notification": Construct("a notification", {**_DOC, "implementation": "implementation", "inputs": ANY, "outputs": ANY}, short=TEXT),
    "implementation": Construct(
        "an implementation",
        {"primary": "implementation artifact", "dependencies": _list("implementation artifact"), "timeout": ANY, "operation_host": TEXT, "type": TEXT, "file": TEXT, "repository": TEXT},
        short=TEXT,
    ),
    "implementation artifact": Construct(
        "an artifact",
        {**_DOC, "type": TEXT, "file": TEXT, "repository": TEXT, "deploy_path": TEXT, "properties": VALUES, "version": TEXT, "checksum": TEXT, "checksum_algorithm": TEXT},
        ("file",),
        short=TEXT,
    ),
    "artifact": Construct(
        "an artifact",
        {
            **_DOC, "type": TEXT, "file": TEXT, "repository": TEXT, "deploy_path": TEXT, "properties": VALUES, "version": TEXT,
            "artifact_version": TEXT, "checksum": TEXT, "checksum_algorithm": TEXT, "mime_type": TEXT,
        },
        ("file",),
        short=TEXT,
    ),
    "node filter": Construct("a node filter", {"properties": ANY, "capabilities": ANY}),
    "topology": Construct(
        "a topology template",
        {
            **_DOC, "inputs": _map("parameter"), "node_templates": _map("node template"),
            "relationship_templates": _map("relationship template"), "groups": _map("group"), "policies": _named("policy"),
            "outputs": _map("parameter"), "substitution_mappings": "substitution", "workflows": _map("workflow"),
        },
    ),
    "node template": Construct(
        "a node template",
        {
            **_DOC, **_ASSIGNED, "type": TEXT, "directives": NAMES, "requirements": _named("requirement"),
            "capabilities": _map("capability"), "interfaces": _map("interface"), "artifacts": _map("artifact"),
            "node_filter": "node filter", "copy": TEXT,
        },
        ("type",),
    ),
    "relationship template": Construct(
        "a relationship template", {**_DOC, **_ASSIGNED, "type": TEXT, "interfaces": _map("interface"), "copy": TEXT}, ("type",)
    ),
    "requirement": Construct(
        "a requirement",
        {**_DOC, "node": TEXT, "capability": TEXT, "relationship": "relationship", "node_filter": "node filter", "occurrences": COUNTS, "directives": NAMES},
        short=TEXT,
    ),
    "relationship": Construct("a relationship", {**_DOC, **_ASSIGNED, "type": TEXT, "interfaces": _map("interface")}, short=TEXT),
    "capability": Construct("a capability", {**_ASSIGNED, "occurrences": COUNTS, "directives": NAMES, "type": TEXT, "description": TEXT}),
    "group": Construct("a group", {**_DOC, **_ASSIGNED, "type": TEXT, "members": NAMES, "interfaces": _map("interface"), "targets": NAMES}, ("type",)),
    "policy": Construct("a policy", {**_DOC, "type": TEXT, "properties": VALUES, "targets": NAMES, "triggers": _map("trigger")}, ("type",)),
    "trigger": Construct(
        "a trigger",
        {"description": TEXT, "event": ANY, "event_type": ANY, "schedule": ANY, "target_filter": ANY, "condition": ANY, "constraint": ANY, "action": ANY, "method": TEXT, "period": ANY, "evaluations": ANY, "meter_name": TEXT, "metric": TEXT, "metadata": ANY, "input": ANY, "inputs": ANY, "event_filter": ANY},
        loose=True,
    ),
    "substitution": Construct(
        "substitution mappings",
        {**_DOC, "node_type": TEXT, "properties": ANY, "attributes": ANY, "capabilities": ANY, "requirements": ANY, "interfaces": ANY, "substitution_filter": "substitution filter"},
        ("node_type",),
    ),
    "substitution filter": Construct("a substitution filter", {"properties": ANY, "capabilities": ANY, "node_filter": "node filter"}),
    "workflow": Construct(
        "a workflow",
        {**_DOC, "inputs": ANY, "outputs": ANY, "preconditions": _list("precondition"), "steps": _map("step"), "implementation": "implementation"},
    ),
    "precondition": Construct("a precondition", {"target": TEXT, "target_relationship": TEXT, "condition": ANY}, ("target",)),
    "step": Construct(
        "a workflow step",
        {"description": TEXT, "target": TEXT, "target_relationship": TEXT, "operation_host": TEXT, "filter": ANY, "activities": _list("activity"), "on_success": NAMES, "on_failure": NAMES},
        ("target", "activities"),
    ),
    "activity": Construct("an activity", {"delegate": ANY, "set_state": ANY, "call_operation": ANY, "inline": ANY}),
}  # fmt: skip

_SCHEMA_2: dict[str, Shape] = {"entry_schema": "schema", "key_schema": "schema", "validation": ANY}
_OPERATIONS_2: dict[str, Shape] = {
    "inputs": VALUES,
    "operations": _map("operation"),
    "notifications": _map("notification"),
}

TOSCA_2: Grammar = {
    **SIMPLE,
    "file": SIMPLE["file"].but(
        "tosca_default_namespace", "namespace", "template_name", "template_author", "template_version", "topology_template",
        profile=TEXT, functions=_map("function"), service_template="topology",
    ),
    "data type": Construct(
        "a data type",
        {
            **_TYPE, **_SCHEMA_2, "properties": _map("property"),
            "data_type": TEXT, "units": VALUES, "canonical_unit": TEXT, "prefixes": VALUES,
            "data_value_type": TEXT, "unit_symbol_map": VALUES, "unit_suffix": TEXT,  # what drafts call them
        },
    ),
    "capability type": SIMPLE["capability type"].but("valid_source_types", valid_source_node_types=NAMES, valid_relationship_types=NAMES),
    "interface type": replace(
        SIMPLE["interface type"].but(
            inputs=_map("outgoing"), operations=_map("operation definition"), notifications=_map("operation definition")
        ),
        open=None,
    ),
    "operation definition": Construct(
        "an operation", {**_DOC, "implementation": "implementation", "inputs": _map("outgoing"), "outputs": _map("parameter")}, short=TEXT
    ),
    "operation": Construct("an operation", {**_DOC, "implementation": "implementation", "inputs": VALUES, "outputs": VALUES}, short=TEXT),
    "notification": Construct("a notification", {**_DOC, "implementation": "implementation", "inputs": VALUES, "outputs": VALUES}, short=TEXT),
    "relationship type": SIMPLE["relationship type"].but(
        "valid_target_types", "valid_source_types",
        valid_capability_types=NAMES, valid_target_node_types=NAMES, valid_source_node_types=NAMES,
    ),
    "group type": SIMPLE["group type"].but("interfaces", "capabilities", "requirements"),
    "property": Construct("a property", {**_DOC, **_SCHEMA_2, "type": TEXT, "required": BOOLEAN, "default": ANY, "value": ANY, "status": TEXT, "external_schema": TEXT}, short=ANY),
    "attribute": Construct("an attribute", {**_DOC, **_SCHEMA_2, "type": TEXT, "default": ANY, "value": ANY, "status": TEXT, "required": BOOLEAN}),
    "parameter": Construct(
        "a parameter", {**_DOC, **_SCHEMA_2, "type": TEXT, "required": BOOLEAN, "default": ANY, "value": ANY, "status": TEXT, "mapping": ANY}
    ),
    "schema": Construct("a schema", {**_SCHEMA_2, **_DOC, "type": TEXT}, short=TEXT),
    "requirement definition": SIMPLE["requirement definition"].but("occurrences", count_range=COUNTS, required=()),
    "relationship definition": Construct(
        "a relationship", {**_DOC, "type": TEXT, "properties": VALUES, "attributes": VALUES, "interfaces": _map("interface")}, short=TEXT
    ),
    "capability definition": SIMPLE["capability definition"].but(
        "valid_source_types", "occurrences", properties=VALUES, attributes=_map("attribute"), valid_source_node_types=NAMES, valid_relationship_types=NAMES
    ),
    "interface": Construct("an interface", {**_DOC, "type": TEXT, **_OPERATIONS_2}),
    "implementation": Construct(
        "an implementation",
        {"primary": "implementation artifact", "dependencies": _list("implementation artifact"), "timeout": ANY, "invoke": TEXT, "operation_host": TEXT, "working_directory": TEXT},
        short=TEXT,
    ),
    "node filter": Construct("a node filter", open=ANY),
    "artifact": replace(SIMPLE["artifact"], required=("type", "file")),
    "implementation artifact": replace(SIMPLE["implementation artifact"], required=("type", "file")),
    "topology": SIMPLE["topology"].but(functions=_map("function"), outputs=_map("outgoing")),
    "outgoing": Construct(  # a parameter that may be written as its value alone
        "a parameter", {**_DOC, **_SCHEMA_2, "type": TEXT, "required": BOOLEAN, "default": ANY, "value": ANY, "status": TEXT, "mapping": ANY}, short=ANY
    ),
    "node template": SIMPLE["node template"].but(count=ANY),
    "requirement": SIMPLE["requirement"].but(
        "occurrences", node=ANY, count=ANY, directives=NAMES, optional=ANY, allocation=VALUES, short=ANY
    ),
    "capability": Construct("a capability", {**_ASSIGNED, **_DOC, "directives": NAMES, "type": TEXT}),
    "group": SIMPLE["group"].but("interfaces", "targets"),
    "trigger": Construct("a trigger", {**_DOC, "event": TEXT, "condition": ANY, "action": _list("activity")}, ("event", "action")),
    "activity": Construct(
        "an activity", {"delegate": "workflow call", "set_state": TEXT, "call_operation": "operation call", "inline": "workflow call"}
    ),
    "workflow call": Construct("a call of a workflow", {"workflow": TEXT, "inputs": VALUES}, ("workflow",), short=TEXT),
    "operation call": Construct("a call of an operation", {"operation": TEXT, "inputs": VALUES}, ("operation",), short=TEXT),
    "substitution": SIMPLE["substitution"].but(substitution_filter=ANY,
        properties=VALUES, attributes=VALUES, capabilities=VALUES, requirements=_list(ANY), interfaces=VALUES
    ),
    "workflow": SIMPLE["workflow"].but("preconditions", inputs=_map("parameter"), outputs=VALUES, precondition=ANY),
    "function": Construct("a function", {**_DOC, "signatures": _list("signature")}, ("signatures",)),
    "signature": Construct(
        "a signature", {**_DOC, "arguments": _list("schema"), "optional_arguments": _list("schema"), "variadic": BOOLEAN, "result": "schema", "implementation": "implementation"}
    ),
}  # fmt: skip

GRAMMARS: Mapping[str, Grammar] = {"1": SIMPLE, "2": TOSCA_2}


def check(node: Node, shape: Shape, grammar: Grammar) -> list[Diagnostic]:
    """What is wrong with the keys and the kinds of values from `node` down."""
    found: list[Diagnostic] = []
    _check(node, shape, "", grammar, found)
    return found


def _wrong(node: Node, what: str, wanted: str, help_: str = "") -> Diagnostic:
    help_ = help_ or f"write {wanted}"
    what = what or "a value"
    return Diagnostic(
        rules.WRONG_SHAPE, node.span, f"cannot read {what} from {_a(node.kind)}: it has to be {wanted}", help_
    )


def _a(kind: str) -> str:
    return {"integer": "an integer", "null": "nothing"}.get(kind, f"a {kind}")


def _check(node: Node, shape: Shape, what: str, grammar: Grammar, found: list[Diagnostic]) -> None:
    if shape == ANY:
        return
    if node.is_null:
        construct = grammar.get(shape) if isinstance(shape, str) and grammar is not SIMPLE else None
        if construct is not None and construct.required and "type" not in construct.required:
            _construct(empty(node.file).under(node.key_at), construct, what, grammar, found)
        return
    if isinstance(shape, tuple):
        _collection(node, shape[0], shape[1], what, grammar, found)
    elif shape in grammar:
        _construct(node, grammar[shape], what, grammar, found)
    elif shape == TEXT:
        if not node.is_scalar or (grammar is not SIMPLE and what not in _NUMBERS and type(node.scalar) is not str):
            found.append(_wrong(node, what, "text", f'put it in quotes: "{node.text}"' if node.is_scalar else ""))
    elif shape == VALUES:
        if not node.is_map:
            found.append(_wrong(node, what, "a map"))
    elif shape == NAMES:
        if node.is_scalar and grammar is SIMPLE:
            return  # one name instead of a list of one
        if not node.is_list:
            found.append(_wrong(node, what, "a list", "put it in brackets: [...]" if node.is_scalar else ""))
        found.extend(
            _wrong(item, f"an item of {what}", "text") for item in node.list if not item.is_scalar or item.is_null
        )
    elif shape == BOOLEAN:
        if not isinstance(node.scalar, bool) and node.text not in ("yes", "no"):
            found.append(_wrong(node, what, "true or false"))
    elif shape == COUNTS:
        _counts(node, what, found)


def _counts(node: Node, what: str, found: list[Diagnostic]) -> None:
    low, high = [*node.list, node, node][:2]
    good = len(node.list) == 2 and type(low.scalar) is int and (type(high.scalar) is int or high.text == "UNBOUNDED")
    if not good:
        found.append(_wrong(node, what, "a range such as [0, 1] or [1, UNBOUNDED]"))
    elif int(str(low.scalar)) < 0 or (type(high.scalar) is int and high.scalar < int(str(low.scalar))):
        found.append(
            Diagnostic(
                rules.WRONG_SHAPE,
                node.span,
                f"cannot read {what}: the range ends before it starts or is negative",
                "put the lower end first",
            )
        )


def _collection(node: Node, kind: str, item: str, what: str, grammar: Grammar, found: list[Diagnostic]) -> None:
    if kind == "map":
        if not node.is_map:
            found.append(_wrong(node, what, "a map", "leave out the dashes" if node.is_list else ""))
            return
        for name, value in node.map.items():
            if not name.strip():
                found.append(
                    Diagnostic(
                        rules.EMPTY_NAME, value.key_span, f"cannot use an empty name in {what}", "give it a name"
                    )
                )
            _check(value, item, name if item in grammar else what, grammar, found)
        return
    if kind == "named" and node.is_map and item == "policy" and grammar is SIMPLE:
        for value in node.map.values():  # a common slip that loses nothing
            _check(value, item, what, grammar, found)
        return
    if not node.is_list:
        wrong = _wrong(node, what, "a list", "put a dash before each item" if node.is_map else "")
        one = grammar is SIMPLE and node.is_scalar and item == "implementation artifact"  # instead of a list of one
        found.append(wrong.as_warning() if one else wrong)
        return
    for entry in node.list:
        if kind == "list":
            _check(entry, item, what, grammar, found)
        elif grammar is SIMPLE and slipped_name(entry) is not None:
            found.append(
                Diagnostic(
                    rules.SLIPPED,
                    entry.span,
                    f"what belongs to {slipped_name(entry)!r} stands beside it",
                    "indent it further",
                )
            )
        elif len(entry.map) != 1:
            found.append(
                _wrong(
                    entry,
                    f"an item of {what}",
                    "a map with one key, its name",
                    "mind the indentation below the name" if entry.is_map else "",
                )
            )
        else:
            ((name, value),) = entry.map.items()
            _check(value, item, name, grammar, found)


def _construct(node: Node, construct: Construct, what: str, grammar: Grammar, found: list[Diagnostic]) -> None:
    if construct.short == ANY and len(node.map) == 1 and next(iter(node.map)).startswith("$"):
        return  # 2.0: a call
    if construct.short == TEXT and node.is_scalar and grammar is not SIMPLE:
        _check(node, TEXT, what or construct.what, grammar, found)
        return
    if not node.is_map:
        if node.is_list and not node.list and grammar is SIMPLE:
            return  # real files write [] for nothing
        if construct.short is None or (node.is_list and construct.short != ANY):
            found.append(_wrong(node, what or construct.what, f"a map, {construct.what}"))
        return
    keys = construct.keys
    for key, value in node.map.items():
        shape = keys.get(key)
        if shape is None:
            if key[:1] == "_" and grammar is SIMPLE:
                found.append(
                    Diagnostic(
                        rules.EXTENSION_KEY,
                        value.key_span,
                        f"{key!r} is somebody's extension: it is not looked at",
                        "remove it unless another tool needs it",
                    )
                )
                continue
            if construct.open is not None and (construct.open == ANY or not value.is_list or not value.list):
                _check(value, construct.open, key, grammar, found)
                continue
            help_ = did_you_mean(key, keys)
            if construct.loose:
                found.append(
                    Diagnostic(
                        rules.EXTENSION_KEY,
                        value.key_span,
                        f"{construct.what} has no key {key!r}: it is not looked at",
                        help_,
                    )
                )
                continue
            found.append(
                Diagnostic(
                    rules.UNKNOWN_KEY,
                    value.key_span,
                    f"cannot use {key!r} here: {construct.what} has no such key",
                    help_ or "it has " + ", ".join(keys),
                )
            )
            continue
        if shape != ANY:
            _check(value, shape, key, grammar, found)
    for key in construct.required:
        if node.get(key) is None and not (key == "type" and "copy" in node.map):
            of = f"{construct.what} {what!r}" if what else construct.what
            found.append(
                Diagnostic(rules.MISSING_KEY, node.key_span, f"cannot read {of} without its {key!r}", f"add {key!r}")
            )


def slipped_name(item: Node) -> str | None:
    """The name in `- name:` when what belongs below it stands beside it: a slip of the indentation in real files."""
    if len(item.map) > 1:
        name = next(iter(item.map))
        if item.map[name].is_null and set(item.map) - {name} <= {
            "node",
            "capability",
            "relationship",
            "node_filter",
            "occurrences",
        }:
            return name
    return None
