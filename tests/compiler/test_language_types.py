"""Types of 1.x: what they inherit, what they may refine, and what is said when they do not hold together."""

from __future__ import annotations

import pytest
import yaml

from meghdwar.compiler.topology import Template
from tests.compiler.language import V1, codes, errors, topology

FAMILY = """
data_types:
  Port: {derived_from: integer, constraints: [{in_range: [1, 65535]}]}
  HighPort: {derived_from: Port, constraints: [{greater_or_equal: 1024}]}
  Address: {properties: {host: {type: string}, port: {type: Port, default: 80}}}
  NamedAddress: {derived_from: Address, properties: {name: {type: string, default: it}}}
capability_types:
  Door: {derived_from: tosca.capabilities.Root, properties: {port: {type: Port, default: 1}}}
  WideDoor: {derived_from: Door, properties: {width: {type: integer, default: 2}}}
interface_types:
  Care:
    derived_from: tosca.interfaces.Root
    inputs: {mode: {type: string, default: gentle}}
    operations: {wash: {}, dry: {inputs: {heat: {type: integer, default: 30}}}}
relationship_types:
  Near: {derived_from: tosca.relationships.Root, properties: {distance: {type: integer, default: 5}}}
  Beside: {derived_from: Near, properties: {distance: {type: integer, default: 1}}}
artifact_types:
  Leaflet: {derived_from: tosca.artifacts.File, mime_type: text/plain, file_ext: [txt]}
node_types:
  House:
    derived_from: tosca.nodes.Root
    properties: {at: {type: Address, default: {host: here}}, rooms: {type: integer, default: 3}}
    attributes: {warm: {type: boolean}}
    capabilities: {door: {type: Door, properties: {port: {type: Port, default: 7}}}}
    requirements:
      - next: {capability: Door, relationship: Near, occurrences: [0, UNBOUNDED]}
    interfaces: {Care: {type: Care, wash: wash.sh}}
    artifacts: {plan: {type: Leaflet, file: plan.txt}}
  Villa:
    derived_from: House
    properties: {rooms: {type: integer, default: 9, constraints: [{greater_than: 4}]}, pool: {type: boolean}}
    capabilities: {door: {type: WideDoor}}
    requirements:
      - next: {relationship: Beside}
    interfaces: {Care: {inputs: {mode: rough}, operations: {dry: dry.sh}}}
group_types: {Street: {derived_from: tosca.groups.Root, members: [House], properties: {name: {type: string}}}}
policy_types: {Quiet: {derived_from: tosca.policies.Root, targets: [House], properties: {from: {type: integer}}}}
"""
FILES = {"wash.sh": "w", "dry.sh": "d", "plan.txt": "p"}


def made(lines: str = "", properties: str = "pool: true") -> Template:
    text = f"""topology_template:
  node_templates:
    villa: {{type: Villa, properties: {{{properties}}}, requirements: [{{next: other}}]{lines}}}
    other: {{type: House}}
"""
    return topology(V1 + FAMILY + text, FILES).templates["villa"]


def test_a_type_inherits_all_that_its_parents_have() -> None:
    villa = made()
    assert villa.type.ancestors == ("Villa", "House", "tosca.nodes.Root")
    assert villa.properties == {"at": {"host": "here", "port": 80}, "rooms": 9, "pool": True}
    assert villa.capabilities["door"].type.ancestors[:2] == ("WideDoor", "Door")
    assert villa.capabilities["door"].properties == {"port": 1, "width": 2}
    assert villa.artifacts["plan"].path == "plan.txt"
    assert villa.artifacts["plan"].type is not None
    assert villa.artifacts["plan"].type.ancestors[:2] == ("Leaflet", "tosca.artifacts.File")


def test_a_requirement_inherits_its_capability_and_refines_its_relationship() -> None:
    (requirement,) = made().targets("next")
    assert requirement.capability == "door"
    assert requirement.relationship is not None
    assert requirement.relationship.type.ancestors[:2] == ("Beside", "Near")
    assert requirement.relationship.properties == {"distance": 1}


def test_operations_come_from_all_levels() -> None:
    care = made().interfaces["Care"]
    assert {name: operation.primary and operation.primary.path for name, operation in care.items()} == {
        "wash": "wash.sh",
        "dry": "dry.sh",
    }
    assert care["dry"].inputs == {"mode": "rough", "heat": 30}
    own = made(", interfaces: {Care: {operations: {wash: {implementation: dry.sh, inputs: {soap: 1}}}}}").interfaces
    assert own["Care"]["wash"].inputs == {"mode": "rough", "soap": 1}
    assert own["Care"]["wash"].primary is not None
    assert own["Care"]["wash"].primary.path == "dry.sh"


@pytest.mark.parametrize(
    ("types", "found"),
    [
        ("node_types: {A: {derived_from: Lost}}", ["MDW150"]),
        ("node_types: {A: {derived_from: A}}", ["MDW151"]),
        ("node_types: {A: {derived_from: B}, B: {derived_from: A}, C: {derived_from: A}}", ["MDW151", "MDW151"]),
        ("node_types: {A: {derived_from: tosca.capabilities.Root}}", ["MDW155"]),
        ("data_types: {A: {derived_from: B}, B: {derived_from: A}}", ["MDW151", "MDW151"]),
        ("data_types: {A: {properties: {b: {type: B}}}}", ["MDW150"]),
        ("data_types: {A: {derived_from: string, properties: {a: {type: string}}}}", ["MDW152"]),
        ("data_types: {A: {derived_from: string, constraints: [{min_lenght: 1}]}}", ["MDW205"]),
        ("data_types: {A: {derived_from: list, entry_schema: {type: B}}}", ["MDW150"]),
        ("data_types: {A: {derived_from: integer, entry_schema: {type: string}}}", ["MDW152"]),
        ("capability_types: {A: {properties: {a: {type: integer, default: one}}}}", ["MDW230"]),
        ("capability_types: {A: {properties: {a: {}}}}", ["MDW103"]),
        ("capability_types: {A: {valid_source_types: [Lost]}}", ["MDW150"]),
        ("node_types: {A: {capabilities: {a: Lost}}}", ["MDW150"]),
        ("node_types: {A: {capabilities: {a: {}}}}", ["MDW103"]),
        ("node_types: {A: {requirements: [{a: {capability: Lost}}]}}", ["MDW150"]),
        ("node_types: {A: {requirements: [{a: {capability: Door, node: Lost}}]}}", ["MDW150"]),
        ("node_types: {A: {requirements: [{a: {capability: Door, relationship: Lost}}]}}", ["MDW150"]),
        ("node_types: {A: {requirements: [{a: {capability: Door, occurrences: [2, 1]}}]}}", ["MDW104"]),
        ("node_types: {A: {requirements: {a: tosca.capabilities.Node}}}", ["MDW104"]),
        ("node_types: {A: {requirements: [{a: tosca.capabilities.Node}, {a: tosca.capabilities.Node}]}}", ["MDW154"]),
        ("node_types: {A: {interfaces: {I: {type: Lost}}}}", ["MDW150"]),
        ("node_types: {A: {artifacts: {a: {type: Lost, file: wash.sh}}}}", ["MDW150"]),
        ("node_types: {A: {artifacts: {a: {type: tosca.artifacts.File}}}}", ["MDW103"]),
        ("node_types: {A: {properties: {a: {type: list, entry_schema: {type: Lost}}}}}", ["MDW150"]),
        ("node_types: {A: {properties: {a: {type: map, entry_schema: Lost}}}}", ["MDW150"]),
        ("node_types: {A: {properties: {a: {type: string, entry_schema: string}}}}", ["MDW152"]),
        ("group_types: {A: {members: [Lost]}}", ["MDW150"]),
        ("policy_types: {A: {targets: [Lost]}}", ["MDW150"]),
        ("relationship_types: {A: {valid_target_types: [Lost]}}", ["MDW150"]),
        ("interface_types: {A: {inputs: {i: {type: Lost}}}}", ["MDW150"]),
        ("artifact_types: {A: {derived_from: Lost}}", ["MDW150"]),
        ("node_types: {A: {derived_from: House, properties: {rooms: {type: string}}}}", ["MDW152"]),
        ("node_types: {A: {derived_from: House, properties: {at: {type: NamedAddress}}}}", []),
        ("node_types: {A: {derived_from: House, properties: {at: {type: Port}}}}", ["MDW152"]),
        ("node_types: {A: {derived_from: House, attributes: {warm: {type: integer}}}}", ["MDW152"]),
        ("node_types: {A: {derived_from: House, capabilities: {door: tosca.capabilities.Node}}}", ["MDW152"]),
        ("node_types: {A: {derived_from: House, capabilities: {door: {type: Door, properties: {port: 8}}}}}", []),
        ("node_types: {A: {derived_from: House, capabilities: {door: {properties: {prot: 8}}}}}", ["MDW232"]),
        ("node_types: {A: {derived_from: House, requirements: [{next: {relationship: ConnectsTo}}]}}", ["MDW152"]),
        ("relationship_types: {A: {derived_from: Near, properties: {distance: {type: float}}}}", ["MDW152"]),
    ],
)  # fmt: skip
def test_types_that_do_not_hold_together(types: str, found: list[str]) -> None:
    data = yaml.safe_load(FAMILY)
    for section, more in yaml.safe_load(types).items():
        data.setdefault(section, {}).update(more)
    assert codes(V1 + yaml.safe_dump(data, sort_keys=False), FILES) == found


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{type: Villa, properties: {pool: true, rooms: 4}}", ["MDW207"]),
        ("{type: Villa}", ["MDW233"]),
        ("{type: Villa, properties: {pool: maybe}}", ["MDW230"]),
        ("{type: House, properties: {pool: true}}", ["MDW232"]),
        ("{type: House, properties: {at: {port: 5}}}", ["MDW233"]),
        ("{type: House, properties: {at: {host: a, port: 0}}}", ["MDW207"]),
        ("{type: House, properties: {at: there}}", ["MDW230"]),
        ("{type: House, attributes: {warm: true}}", []),
        ("{type: House, attributes: {wram: true}}", ["MDW232"]),
        ("{type: House, capabilities: {door: {properties: {width: 3}}}}", ["MDW232"]),
        ("{type: House, capabilities: {dor: {properties: {port: 3}}}}", ["MDW302"]),
        ("{type: House, interfaces: {Care: {wash: dry.sh}}}", []),
        ("{type: House, interfaces: {Care: {operations: {wahs: dry.sh}}}}", ["MDW308"]),
        ("{type: House, interfaces: {Crae: {wash: dry.sh}}}", ["MDW309"]),
        ("{type: House, artifacts: {a: {type: Leaflet, file: plan.txt}}}", []),
        ("{type: House, artifacts: {a: {type: Leaflet, file: lost.txt}}}", ["MDW310"]),
        ("{type: House, artifacts: {a: plan.txt}}", []),
    ],
)  # fmt: skip
def test_templates_of_them(template: str, found: list[str]) -> None:
    text = f"{V1}{FAMILY}topology_template: {{node_templates: {{it: {template}}}}}\n"
    assert codes(text, FILES) == found


def test_a_type_may_refine_the_normative_one_of_its_name() -> None:
    own = "{derived_from: tosca.nodes.Compute, properties: {rack: {type: string, default: a}}}"
    template = "topology_template: {node_templates: {web: {type: tosca.nodes.Compute, properties: {rack: b}}}}\n"
    assert errors(f"{V1}node_types: {{tosca.nodes.Compute: {own}}}\n{template}") == []


def test_what_is_wrong_with_a_type_is_said_once_and_not_at_each_use() -> None:
    uses = "".join(f"    n{number}: {{type: Broken, properties: {{any: 1}}}}\n" for number in range(5))
    text = f"{V1}node_types: {{Broken: {{derived_from: Lost}}}}\ntopology_template:\n  node_templates:\n{uses}"
    assert errors(text) == ["MDW150"]
