"""Everything that TOSCA 2.0 has stands in everything-2.0.yaml, which is right; one change makes each of these wrong."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compiler.language import V2, codes, errors

TEXT = Path(__file__).with_name("everything-2.0.yaml").read_text(encoding="utf-8")
SCRIPT = {"run.sh": "#!/bin/sh\n"}


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


@cache
def everything() -> Any:
    return yaml.safe_load(TEXT)


def changed(path: str, value: object) -> str:
    """The text with another value at a path; a path that ends in + adds a key to a map."""
    data = copy.deepcopy(everything())
    here = data
    *steps, last = path.removesuffix("+").strip("/").split("/")
    if path.endswith("+"):
        steps, last = [*steps, last], "nonsense"
    for step in filter(None, steps):
        here = here[int(step) if isinstance(here, list) else step]
    here[int(last) if isinstance(here, list) else last] = value
    return yaml.dump(data, Dumper=_Plain, sort_keys=False)


def test_everything_is_right() -> None:
    assert errors(TEXT, SCRIPT) == []
    assert [code for code in codes(TEXT, SCRIPT) if code != "MDW249"] == []


SECTIONS = (
    "repositories", "artifact_types", "data_types", "capability_types", "interface_types", "relationship_types",
    "node_types", "group_types", "policy_types", "functions", "dsl_definitions", "service_template",
)  # fmt: skip
PARTS = (
    "inputs", "node_templates", "relationship_templates", "groups", "workflows", "outputs", "substitution_mappings",
)  # fmt: skip


@pytest.mark.parametrize("section", [*SECTIONS, *(f"service_template/{part}" for part in PARTS)])
@pytest.mark.parametrize("value", [[1], 7, "nonsense", True], ids=repr)
def test_a_section_is_a_map(section: str, value: object) -> None:
    assert errors(changed(section, value), SCRIPT) != []


@pytest.mark.parametrize(
    "section", [*SECTIONS, *(f"service_template/{part}" for part in (*PARTS, "policies")), "imports", "profile"]
)
def test_a_section_is_not_nothing(section: str) -> None:
    assert errors(changed(section, None), SCRIPT) != []


@pytest.mark.parametrize("section", [s for s in SECTIONS if s.endswith("_types") or s == "functions"])
def test_a_section_of_types_is_not_empty(section: str) -> None:
    assert errors(changed(section, {}), SCRIPT) != []


MAPS = """
metadata data_types/Phone data_types/Phone/properties data_types/Phone/properties/code data_types/Size/units
data_types/Length/prefixes capability_types/Endpoint capability_types/Endpoint/properties
capability_types/Endpoint/attributes interface_types/Standard/inputs interface_types/Standard/operations
interface_types/Standard/notifications interface_types/Standard/operations/create/inputs
interface_types/Standard/operations/create/outputs relationship_types/Connects/interfaces node_types/Server/properties
node_types/Server/attributes node_types/Server/capabilities node_types/Server/capabilities/endpoint/properties
node_types/Server/interfaces node_types/Server/interfaces/Standard node_types/Server/interfaces/Standard/inputs
node_types/Server/interfaces/Standard/operations node_types/Server/artifacts
node_types/Server/artifacts/install/properties node_types/Client/requirements/0/server/relationship/properties
group_types/Tier/properties policy_types/Scale/properties policy_types/Scale/triggers policy_types/Scale/triggers/hot
functions/double service_template/inputs/size service_template/node_templates/server
service_template/node_templates/server/properties service_template/node_templates/server/attributes
service_template/node_templates/server/capabilities
service_template/node_templates/server/capabilities/endpoint/properties
service_template/node_templates/server/interfaces service_template/node_templates/server/interfaces/Standard/inputs
service_template/node_templates/server/interfaces/Standard/operations/create/outputs
service_template/node_templates/server/artifacts
service_template/node_templates/client/requirements/0/server/allocation
service_template/relationship_templates/link/properties service_template/groups/tier
service_template/groups/tier/properties service_template/policies/0/scale/properties
service_template/policies/0/scale/triggers service_template/workflows/grow service_template/workflows/grow/inputs
service_template/workflows/grow/steps service_template/workflows/grow/steps/one
service_template/workflows/grow/outputs service_template/substitution_mappings/properties
service_template/substitution_mappings/capabilities service_template/substitution_mappings/interfaces
"""


@pytest.mark.parametrize("path", MAPS.split())
@pytest.mark.parametrize("value", [[1], 7], ids=repr)
def test_a_map_is_neither_a_list_nor_a_number(path: str, value: object) -> None:
    assert errors(changed(path, value), SCRIPT) != []


LISTS = """
artifact_types/Script/file_ext capability_types/Endpoint/valid_source_node_types
capability_types/Endpoint/valid_relationship_types relationship_types/Connects/valid_capability_types
relationship_types/Connects/valid_target_node_types relationship_types/Connects/valid_source_node_types
node_types/Server/interfaces/Standard/operations/create/implementation/dependencies node_types/Client/requirements
node_types/Client/requirements/0/server/count_range group_types/Tier/members policy_types/Scale/targets
policy_types/Scale/triggers/hot/action functions/double/signatures functions/double/signatures/0/arguments
functions/double/signatures/0/optional_arguments service_template/node_templates/server/directives
service_template/node_templates/client/requirements
service_template/node_templates/client/requirements/0/server/directives service_template/groups/tier/members
service_template/policies service_template/policies/0/scale/targets
service_template/policies/0/scale/triggers/cold/action service_template/workflows/grow/steps/one/activities
service_template/workflows/grow/steps/one/on_success service_template/substitution_mappings/capabilities/endpoint
"""


@pytest.mark.parametrize("path", LISTS.split())
@pytest.mark.parametrize("value", [{"a": {"b": 1}}, 7, "nonsense"], ids=repr)
def test_a_list_is_nothing_else(path: str, value: object) -> None:
    assert errors(changed(path, value), SCRIPT) != []


TEXTS = """
description repositories/code/url artifact_types/Script/mime_type data_types/Phone/properties/code/type
data_types/LongPhone/derived_from capability_types/Endpoint/properties/protocol/type
node_types/Server/capabilities/admin node_types/Server/artifacts/install/file node_types/Server/artifacts/install/type
node_types/Client/requirements/0/server/node node_types/Client/requirements/0/server/capability
node_types/Client/requirements/0/server/relationship/type policy_types/Scale/triggers/hot/event
service_template/description service_template/inputs/size/type service_template/node_templates/server/type
service_template/node_templates/copied/copy service_template/relationship_templates/link/type
service_template/groups/tier/type service_template/policies/0/scale/type
service_template/workflows/grow/steps/one/target service_template/substitution_mappings/node_type
service_template/policies/0/scale/triggers/cold/action/1/set_state
service_template/policies/0/scale/triggers/cold/action/0/call_operation/operation
"""


@pytest.mark.parametrize("path", TEXTS.split())
@pytest.mark.parametrize("value", [7, True, ["a"], {"a": 1}], ids=repr)
def test_a_text_is_no_number_and_no_collection(path: str, value: object) -> None:
    assert errors(changed(path, value), SCRIPT) != []


CLOSED = """
/ repositories/code artifact_types/Script data_types/Phone data_types/Phone/properties/code capability_types/Endpoint
capability_types/Endpoint/attributes/ip interface_types/Standard interface_types/Standard/operations/create
interface_types/Standard/notifications/changed relationship_types/Connects node_types/Server
node_types/Server/capabilities/endpoint node_types/Server/interfaces/Standard node_types/Server/artifacts/install
node_types/Client/requirements/0/server node_types/Client/requirements/0/server/relationship group_types/Tier
policy_types/Scale policy_types/Scale/triggers/hot functions/double functions/double/signatures/0 service_template
service_template/inputs/size service_template/node_templates/server service_template/node_templates/server/properties
service_template/node_templates/server/capabilities service_template/node_templates/server/capabilities/endpoint
service_template/node_templates/server/interfaces service_template/node_templates/server/interfaces/Standard
service_template/node_templates/server/interfaces/Standard/operations
service_template/node_templates/client/requirements/0/server service_template/relationship_templates/link
service_template/groups/tier service_template/groups/tier/properties service_template/policies/0/scale
service_template/policies/0/scale/triggers/cold service_template/policies/0/scale/triggers/cold/action/0
service_template/policies/0/scale/triggers/cold/action/0/call_operation service_template/workflows/grow
service_template/workflows/grow/steps/one service_template/outputs/address service_template/substitution_mappings
service_template/substitution_mappings/properties service_template/substitution_mappings/capabilities
"""


@pytest.mark.parametrize("path", CLOSED.split())
def test_a_key_that_the_language_does_not_have_is_refused(path: str) -> None:
    assert errors(changed(f"{path}/+", {"a": 1}), SCRIPT) != []


NAMES = """
data_types/LongPhone/derived_from data_types/Phone/properties/code/type data_types/Names/entry_schema
capability_types/Endpoint.Admin/derived_from capability_types/Endpoint/valid_source_node_types/0
capability_types/Endpoint/valid_relationship_types/0 interface_types/Standard/inputs/mode/type
interface_types/Standard/operations/create/inputs/x/type interface_types/Standard/operations/create/outputs/ip/type
relationship_types/Connects/interfaces/Configure/type relationship_types/Connects/valid_capability_types/0
node_types/Server/properties/port/type node_types/Server/capabilities/admin node_types/Server/interfaces/Standard/type
node_types/Server/artifacts/install/type node_types/Client/requirements/0/server/node
node_types/Client/requirements/0/server/capability node_types/Client/requirements/0/server/relationship/type
group_types/Tier/members/0 policy_types/Scale/targets/0 functions/double/signatures/0/arguments/0
functions/double/signatures/0/result service_template/inputs/size/type service_template/node_templates/server/type
service_template/node_templates/copied/copy service_template/node_templates/client/requirements/2/peer/node
service_template/node_templates/client/requirements/2/peer/relationship
service_template/node_templates/client/requirements/0/server/capability
service_template/node_templates/server/artifacts/data/type service_template/relationship_templates/link/type
service_template/relationship_templates/link2/copy service_template/groups/tier/type
service_template/groups/tier/members/0 service_template/policies/0/scale/type
service_template/policies/0/scale/targets/0 service_template/policies/0/scale/triggers/cold/action/3/inline/workflow
service_template/workflows/grow/inputs/n/type service_template/workflows/grow/steps/one/target
service_template/workflows/grow/steps/one/target_relationship service_template/workflows/grow/steps/one/on_success/0
service_template/workflows/external/implementation/primary/type service_template/outputs/typed/type
service_template/outputs/address/value/$get_attribute/0 service_template/outputs/short/$get_attribute/1
service_template/outputs/through/value/$get_property/2 service_template/outputs/through/value/$get_property/5
service_template/outputs/cap/value/$get_property/4 service_template/substitution_mappings/node_type
service_template/substitution_mappings/properties/size service_template/substitution_mappings/attributes/address
service_template/substitution_mappings/capabilities/endpoint/0
service_template/substitution_mappings/capabilities/endpoint/1
service_template/substitution_mappings/interfaces/Standard/create
service_template/node_templates/server/interfaces/Standard/operations/create/outputs/ip/1
"""


@pytest.mark.parametrize("path", NAMES.split())
def test_a_name_of_nothing_is_refused(path: str) -> None:
    assert errors(changed(path, "Nonsense"), SCRIPT) != []


MISSING = """
service_template/node_templates node_types/Server/artifacts/install/type
node_types/Client/requirements/2/peer/relationship repositories/code/url node_types/Server/artifacts/install/file
service_template/node_templates/server/type service_template/relationship_templates/link/type
service_template/groups/tier/type service_template/policies/0/scale/type
service_template/policies/0/scale/triggers/cold/event service_template/policies/0/scale/triggers/cold/action
service_template/workflows/grow/steps/one/target service_template/workflows/grow/steps/one/activities
service_template/substitution_mappings/node_type functions/double/signatures service_template/inputs/size/type
node_types/Server/properties/port/type node_types/Server/attributes/address/type
node_types/Server/capabilities/endpoint/type node_types/Client/requirements/0/server/capability
data_types/Phone/properties/code/type service_template/outputs/address/value
service_template/node_templates/client/properties/nothing
"""


@pytest.mark.parametrize("path", MISSING.split())
def test_what_has_to_be_there_is_there(path: str) -> None:
    data = copy.deepcopy(everything())
    here = data
    *steps, last = path.split("/")
    for step in steps:
        here = here[int(step) if isinstance(here, list) else step]
    del here[last]
    assert errors(yaml.dump(data, Dumper=_Plain, sort_keys=False), SCRIPT) != []


LOST = {"$and": [True, {"$lost": [1]}]}
VALUES = [
    ("data_types/Port/validation", {"$length": ["$value"]}, "MDW208"),
    ("data_types/Port/validation", 7, "MDW208"),
    ("data_types/Size/units/B", "one", "MDW104"),
    ("data_types/Size/canonical_unit", "X", "MDW200"),
    ("data_types/Size/data_type", "string", "MDW152"),
    ("data_types/Table/key_schema/type", "integer", "MDW152"),
    ("data_types/Phone", None, "MDW103"),
    ("data_types/Phone", {"description": "nothing in it"}, "MDW103"),
    ("data_types/Port/properties", {"a": {"type": "string"}}, "MDW152"),
    ("data_types/Phone/entry_schema", "string", "MDW152"),
    ("node_types/Server/version", "new-ish", "MDW201"),
    ("node_types/Server/properties/port/default", 0, "MDW207"),
    ("node_types/Server/properties/port/default", "80", "MDW230"),
    ("node_types/Client/requirements/0/server/count_range", [2, 1], "MDW104"),
    ("node_types/Client/requirements/0/server/count_range", [1.5, 2], "MDW104"),
    ("node_types/Client/requirements/0/server/count_range", [0, 2], "MDW305"),
    ("interface_types/Standard/operations/start", "run.sh", "MDW102"),
    ("capability_types/Endpoint.Admin/properties/secure", "yes", "MDW230"),
    ("service_template/node_templates/server/properties/port", 70000, "MDW207"),
    ("service_template/node_templates/server/properties/port", True, "MDW230"),
    ("service_template/node_templates/server/properties/size", "2 parsecs", "MDW200"),
    ("service_template/node_templates/server/attributes/address", 7, "MDW230"),
    ("service_template/node_templates/server/count", -1, "MDW230"),
    ("service_template/node_templates/client/properties/nothing", 0, "MDW230"),
    ("service_template/node_templates/client/properties/tables", {"ab": "x"}, "MDW230"),
    ("service_template/node_templates/client/properties/tables", {"b": 1}, "MDW207"),
    ("service_template/node_templates/client/properties/tables", [1], "MDW230"),
    ("service_template/node_templates/client/properties/names", ["a", 1], "MDW230"),
    ("service_template/node_templates/client/properties/phone", {"code": 1, "number": 2}, "MDW233"),
    ("service_template/node_templates/client/requirements/0/server/node", ["server"], "MDW104"),
    ("service_template/node_templates/client/requirements/0/server/count", "two", "MDW104"),
    ("service_template/node_templates/client/requirements/0/server/optional", "maybe", "MDW104"),
    ("service_template/inputs/size/default", "8 GB", "MDW207"),
    ("service_template/inputs/ports/default", [0], "MDW207"),
    ("service_template/outputs/typed/value", "text", "MDW230"),
    ("service_template/outputs/escaped/value", {"$a": 1, "b": 2}, "MDW242"),
    ("service_template/outputs/escaped/value", "$nobody", "MDW240"),
    ("service_template/outputs/own/value", {"$double": [1, "x", 3]}, "MDW241"),
    ("service_template/node_templates/server/interfaces/Standard/inputs/mode", [1], "MDW230"),
    ("service_template/node_templates/server/interfaces/Standard/operations/create/inputs/x", "text", "MDW230"),
    ("service_template/relationship_templates/link/interfaces/Configure/operations/stat", "run.sh", "MDW308"),
    ("service_template/node_templates/abstract/node_filter", LOST, "MDW240"),
    ("service_template/node_templates/client/requirements/0/server/node_filter", LOST, "MDW240"),
    ("node_types/Client/requirements/0/server/node_filter", LOST, "MDW240"),
    ("service_template/policies/0/scale/triggers/cold/condition", LOST, "MDW240"),
    ("service_template/workflows/grow/precondition", LOST, "MDW240"),
    ("service_template/workflows/grow/steps/one/filter", [LOST], "MDW240"),
    ("service_template/substitution_mappings/substitution_filter", {"$equal": [1]}, "MDW241"),
]


@pytest.mark.parametrize(("path", "value", "code"), VALUES, ids=[f"{p}={v}" for p, v, _ in VALUES])
def test_a_value_has_to_fit(path: str, value: object, code: str) -> None:
    assert code in errors(changed(path, value), SCRIPT)


RIGHT = [
    ("node_types/Server/properties/port/default", 0x50),
    ("service_template/node_templates/server/attributes/address", "$$HOME"),
    ("service_template/node_templates/server/count", {"$get_input": "many"}),
    ("service_template/node_templates/server/interfaces/Standard/inputs/extra", [1, {"a": "b"}]),
    ("service_template/relationship_templates/link/attributes/rate", 2),
    ("service_template/node_templates/client/requirements/3/peer", {"node": "Server", "count": 0}),
    ("service_template/outputs/plain", 7),
    ("service_template/outputs/plain", ["a", "b"]),
    ("service_template/workflows/grow/precondition", {"$not": [{"$equal": [1, 2]}]}),
    ("service_template/functions", {"half": {"signatures": [{"result": "float"}]}}),
    (
        "data_types/Length",
        {"derived_from": "scalar-unit", "unit_symbol_map": {"k": 1000, "c": 0.01}, "unit_suffix": "m"},
    ),
]


@pytest.mark.parametrize(("path", "value"), RIGHT, ids=[f"{p}={v}" for p, v in RIGHT])
def test_other_forms_are_right_too(path: str, value: object) -> None:
    assert errors(changed(path, value), SCRIPT) == []


REFINED = """
capability_types: {Base: {}, Narrow: {derived_from: Base}, Other: {}}
relationship_types:
  Link: {properties: {speed: {type: integer}}}
  FastLink: {derived_from: Link}
  Wire: {}
interface_types: {Control: {operations: {go: {}}}, MoreControl: {derived_from: Control}, Alien: {}}
node_types:
  Target: {capabilities: {base: Base}}
  Nearer: {derived_from: Target}
  Stranger: {capabilities: {base: Base}}
  Source:
    properties: {name: {type: string}, maybe: {type: string, required: false}, fixed: {type: string, value: a}}
    capabilities: {own: {type: Base}}
    requirements: [{peer: {capability: Base, node: Target, relationship: Link, count_range: [1, 3]}}]
    interfaces: {control: {type: Control}}
  Derived:
    derived_from: Source
"""


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (
            "requirements: [{peer: {capability: Narrow, node: Nearer, relationship: FastLink, count_range: [1, 1]}}]",
            "",
        ),
        ("requirements: [{peer: {capability: Other}}]", "MDW152"),
        ("requirements: [{peer: {node: Stranger}}]", "MDW152"),
        ("requirements: [{peer: {relationship: Wire}}]", "MDW152"),
        ("requirements: [{peer: {relationship: {type: Link, properties: {speed: {default: 3}}}}}]", ""),
        ("requirements: [{peer: {relationship: {type: Link, properties: {spede: {default: 3}}}}}]", "MDW232"),
        ("requirements: [{peer: {count_range: [0, 3]}}]", "MDW152"),
        ("requirements: [{peer: {count_range: [1, UNBOUNDED]}}]", "MDW152"),
        ("requirements: [{more: Base}, {more: Base}]", "MDW154"),
        ("capabilities: {own: {type: Narrow}}", ""),
        ("capabilities: {own: {type: Other}}", "MDW152"),
        ("interfaces: {control: {type: MoreControl}}", ""),
        ("interfaces: {control: {type: Alien}}", "MDW152"),
        ("properties: {name: {default: x, validation: {$less_than: [{$length: [$value]}, 9]}}}", ""),
        ("properties: {name: always}", ""),
        ("properties: {name: {type: integer}}", "MDW152"),
        ("properties: {name: {required: false}}", "MDW152"),
        ("properties: {maybe: {required: true}}", ""),
        ("properties: {fixed: {value: b}}", "MDW234"),
        ("interfaces: {control: {operations: {go: }}}", ""),
        ("interfaces: {control: {operations: {stay: }}}", "MDW308"),
        ("interfaces: {control: {notifications: {stay: }}}", "MDW308"),
        ("properties: {fresh: {type: scalar}}", "MDW152"),
        ("properties: {fresh: {type: null}}", "MDW103"),
        ("properties: {fresh: {type: json}}", "MDW150"),
        ("properties: {fresh: 7}", "MDW150"),
        ("properties: {fresh: [7]}", "MDW103"),
        ("properties: {fresh: }", "MDW103"),
    ],
)
def test_a_derived_type_narrows(lines: str, code: str) -> None:
    assert errors(f"{V2}{REFINED}    {lines}\n") == ([code] if code else [])


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ("group_types: {A: {members: [Left]}, B: {derived_from: A, members: [LeftLeft]}}", ""),
        ("group_types: {A: {members: [Left]}, B: {derived_from: A, members: [Right]}}", "MDW152"),
        ("policy_types: {A: {targets: [Left]}, B: {derived_from: A, targets: [Left, Right]}}", "MDW152"),
        (
            "capability_types: {A: {valid_source_node_types: [Left]},"
            " B: {derived_from: A, valid_source_node_types: [Right]}}",
            "MDW152",
        ),
        ("relationship_types: {A: {}, B: {derived_from: A, valid_target_node_types: [Right]}}", ""),
    ],
)  # fmt: skip
def test_a_list_of_types_narrows(types: str, code: str) -> None:
    nodes = "node_types: {Left: {}, LeftLeft: {derived_from: Left}, Right: {}}\n"
    assert errors(f"{V2}{nodes}{types}\n") == ([code] if code else [])


@pytest.mark.parametrize(
    ("count_range", "requirements", "code"),
    [
        ("[1, 2]", "[{peer: a}, {peer: b}]", ""),
        ("[1, 2]", "[{peer: {node: a, count: 3}}]", "MDW305"),
        ("[1, 2]", "[{peer: a}, {peer: {node: b, count: 2}}]", "MDW305"),
        ("[0, UNBOUNDED]", "[{peer: {node: a, count: 9}}]", ""),
        ("[1, 2]", "[{peer: [a, 0]}, {peer: {optional: true}}]", ""),
        ("[1, 2]", "[{peer: {node: [a, -1]}}]", "MDW104"),
    ],
)
def test_requirements_are_counted(count_range: str, requirements: str, code: str) -> None:
    text = f"""
capability_types: {{Base: {{}}}}
relationship_types: {{Link: {{}}}}
node_types:
  Target: {{capabilities: {{base: Base}}}}
  Source: {{requirements: [{{peer: {{capability: Base, relationship: Link, count_range: {count_range}}}}}]}}
service_template:
  node_templates:
    a: {{type: Target}}
    b: {{type: Target}}
    source: {{type: Source, requirements: {requirements}}}
"""
    assert errors(V2 + text) == ([code] if code else [])


# scalars
SCALAR = """data_types:
  Whole: {derived_from: integer, validation: {$greater_or_equal: [$value, 1]}}
  Rate: {derived_from: scalar, %s}
  Fine: {derived_from: Rate%s}
node_types: {Thing: {properties: {it: {type: Fine}}}}
service_template: {node_templates: {thing: {type: Thing, properties: {it: %s}}}}
"""


@pytest.mark.parametrize(
    ("first", "derived", "value", "found"),
    [
        ("data_type: Whole, units: {b: 1, kb: 1000}", "", "3 kb", []),
        ("data_type: Whole, units: {b: 1, kb: 1000}", "", "-3 kb", ["MDW207"]),
        ("data_type: integer, units: {b: 1, kb: 1000}", "", "1.5 kb", ["MDW230"]),
        ("units: {b: 1, kb: 1000}", "", "1.5e3 kb", []),
        ("units: {b: 1}, prefixes: {'': 1, k: 1000}", "", "1.5kb", []),
        ("units: {b: 1}, prefixes: {'': 1, k: 1000}", ", prefixes: {M: 1000000}", "2 kb", []),
        ("units: {b: 1}, prefixes: {'': 1, k: 1000}", ", prefixes: {M: 1000000}", "2 Mb", []),
        ("units: {b: 1}, prefixes: {'': 1, k: 1000}", ", validation: {$less_than: [$value, 1 kb]}", "2 kb", ["MDW207"]),
        ("units: {b: 1}, prefixes: {k: 1000}", "", "2 kb", ["MDW200"]),
        ("units: {b: 1, B: 8}, prefixes: {'': 1, k: 1000}", "", "2 kb", ["MDW152"]),
        ("units: {b: 2}", "", "2 b", ["MDW200"]),
        ("units: {b: 1, bit: 1}", "", "2 b", ["MDW103"]),
        ("units: {b: 1, bit: 1}, canonical_unit: bit", "", "2 b", []),
        ("units: {b: 1, B: 8}, canonical_unit: B", "", "2 b", ["MDW200"]),
        ("units: {b: 1}, prefixes: {'': 1, k: 1000}, canonical_unit: kb", "", "2 b", ["MDW200"]),
        ("data_type: Whole, units: {b: 1}, prefixes: {'': 1, k: -1000}", "", "2 b", ["MDW207"]),
        ("data_type: integer, units: {b: 1, B: 8.5}", "", "2 b", ["MDW230"]),
        ("data_type: float, units: {b: 1}", ", data_type: Whole", "2 b", ["MDW152"]),
        ("data_type: Whole", "", "2 b", ["MDW103", "MDW103"]),
        ("unit_symbol_map: {k: 1000, c: 0.01}, unit_suffix: m", "", "0.1 m", []),
    ],
)
def test_scalar_types(first: str, derived: str, value: str, found: list[str]) -> None:
    assert errors(V2 + SCALAR % (first, derived, value)) == found


@pytest.mark.parametrize("schema", ["{type: scalar}", "{type: list, entry_schema: scalar}"])
def test_scalar_itself_is_abstract(schema: str) -> None:
    assert errors(V2 + f"node_types: {{Thing: {{properties: {{it: {schema}}}}}}}\n") == ["MDW152"]


def test_only_scalars_have_units() -> None:
    assert errors(V2 + "data_types: {Rate: {derived_from: string, units: {b: 1}, canonical_unit: b}}\n") == [
        "MDW152",
        "MDW152",
    ]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ("{template_name: a, template_version: 1.0, other: {a: [1]}}", []),
        ("{template_name: 7}", ["MDW104"]),
        ("{template_name: {a: b}}", ["MDW104"]),
        ("{template_author: }", ["MDW104"]),
        ("{template_version: [1]}", ["MDW104"]),
    ],
)
def test_metadata_that_the_standard_knows(metadata: str, found: list[str]) -> None:
    assert errors(V2 + f"metadata: {metadata}\n") == found


def test_a_type_is_not_derived_from_nothing() -> None:
    assert errors(V2 + "artifact_types: {Script: {derived_from: , description: a script}}\n") == ["MDW104"]


# workflows
CALL = """interface_types: {Save: {operations: {save: {}}}}
node_types:
  Store:
    interfaces:
      save:
        type: Save
        inputs: {place: {type: string}}
        operations: {save: {inputs: {name: {type: string}, depth: {type: integer, default: 1}}}}
service_template:
  node_templates: {store: {type: Store}}
  workflows:
    save:
      inputs: {where: {type: string}, name: {type: string, required: false}, size: {type: integer}}
      steps: {one: {target: store, activities: [{call_operation: {operation: save.save, inputs: %s}}]}}
"""


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ("{place: {$get_input: where}, name: x}", []),
        ("{place: {$get_input: where}, name: {$concat: [a, {$get_input: where}]}, depth: {$get_input: size}}", []),
        ("{place: {$get_input: lost}, name: x}", ["MDW243"]),
        ("{place: {$get_input: where}}", ["MDW312"]),
        ("{name: x}", ["MDW312"]),
        ("{place: {$get_input: where}, name: x, nme: x}", ["MDW312"]),
        ("{place: {$get_input: where}, name: {$get_input: name}}", ["MDW312"]),
        ("{place: {$get_input: where}, name: {$get_input: size}}", ["MDW247"]),
        ("{place: {$get_input: where}, name: [x]}", ["MDW230"]),
    ],
)
def test_inputs_of_an_operation_that_a_workflow_calls(inputs: str, found: list[str]) -> None:
    assert errors(V2 + CALL % inputs) == found


def test_inputs_of_a_workflow_are_its_own() -> None:
    two = "    other: {steps: {one: {target: store, activities: [{call_operation: {operation: save.save, inputs: {place: {$get_input: where}, name: x}}}]}}}\n"  # noqa: E501
    assert errors(V2 + CALL % "{place: a, name: x}" + two) == ["MDW243"]


def test_a_service_template_without_node_templates_is_warned_of() -> None:
    text = V2 + "service_template: {inputs: {size: {type: integer}}}\n"
    assert errors(text) == []
    assert codes(text) == ["MDW103"]


KEYS = """node_types: {Thing: {properties: {it: {type: map, entry_schema: string,
  key_schema: {type: string, validation: {$matches: [$value, '^[a-z]*$']}}}}}}
service_template: {node_templates: {thing: {type: Thing, properties: {it: %s}}}}
"""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{a: b, {$concat: [c, d]}: e}", []),
        ("{{$concat: [a, b]}: c, {$concat$1: [a, b]}: d}", []),
        ("{{$concat: [a, b]}: c, {$concat: [a, b]}: d}", ["MDW002"]),
        ("{{$concat: [a, b]}: [c]}", ["MDW230"]),
        ("{{concat: [a, b]}: c}", ["MDW005"]),
        ("{{$concat: [a], $join: [b]}: c}", ["MDW005"]),
        ("{{}: c}", ["MDW005"]),
    ],
)
def test_keys_that_are_calls(value: str, found: list[str]) -> None:
    assert errors(V2 + KEYS % value) == found


@pytest.mark.parametrize(("value", "found"), [("tcp", []), ("udp", ["MDW234"]), ("{$concat: [tcp]}", ["MDW234"])])
def test_a_fixed_value_may_be_said_again(value: str, found: list[str]) -> None:
    text = f"""capability_types:
  Door: {{properties: {{protocol: {{type: string, value: tcp}}}}}}
  Gate: {{derived_from: Door, properties: {{protocol: {{value: {value}}}}}}}
"""
    assert errors(V2 + text) == found


@pytest.mark.parametrize(("name", "found"), [("Link", []), ("1.0", ["MDW104"]), ("7", ["MDW104"]), ("v1.0", [])])
def test_names_of_types_are_text(name: str, found: list[str]) -> None:
    assert errors(V2 + f"relationship_types: {{{name}: {{description: a link}}}}\n") == found


def test_interfaces_of_a_type_that_has_none_are_warned_of() -> None:
    text = """relationship_types: {Link: {description: a link}}
service_template:
  node_templates: {}
  relationship_templates: {link: {type: Link, interfaces: {configure: {inputs: {speed: 1}}}}}
"""
    assert errors(V2 + text) == []
    assert codes(V2 + text) == ["MDW309"]
