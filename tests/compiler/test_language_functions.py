"""Each function, what it comes to before the stack runs, and how it is called wrongly."""

from __future__ import annotations

import pytest

from meghdwar.model import Attribute, Join, Parameter, Token, Value
from tests.compiler.language import V1, V2, codes, errors, topology

TYPES = """
data_types:
  Address: {properties: {host: {type: string}, ports: {type: list, entry_schema: integer, default: [80, 81]}}}
capability_types:
  Door: {derived_from: tosca.capabilities.Endpoint, properties: {code: {type: integer, default: 7}}}
relationship_types:
  Link: {derived_from: tosca.relationships.ConnectsTo, properties: {speed: {type: integer, default: 3}}}
node_types:
  House:
    derived_from: tosca.nodes.Root
    properties:
      name: {type: string, default: home}
      at: {type: Address, default: {host: here}}
      tags: {type: map, entry_schema: string, default: {a: x}}
    attributes: {warm: {type: boolean}}
    capabilities: {door: {type: Door, properties: {code: {type: integer, default: 9}}}}
    requirements:
      - next: {capability: Door, relationship: Link, occurrences: [0, UNBOUNDED]}
      - host: {capability: tosca.capabilities.Compute, relationship: tosca.relationships.HostedOn, occurrences: [0, 1]}
    interfaces: {Standard: {type: tosca.interfaces.node.lifecycle.Standard, create: run.sh}}
    artifacts: {plan: {type: tosca.artifacts.File, file: plan.txt}}
"""
TEMPLATE = """topology_template:
  inputs:
    name: {type: string, default: it}
    list: {type: list, entry_schema: {type: string}, default: [a, b]}
    address: {type: Address, default: {host: there}}
  node_templates:
    web: {type: tosca.nodes.Compute}
    other: {type: House, properties: {name: villa, tags: {a: y}}}
    house:
      type: House
      properties: {name: {get_property: [other, name]}}
      attributes: {warm: true}
      capabilities: {door: {properties: {code: 4}}}
      requirements:
        - next: {node: other, relationship: {type: Link, properties: {speed: 5}, interfaces: {Configure: {pre_configure_source: {implementation: run.sh, inputs: {value: %s}}}}}}
        - host: web
      interfaces: {Standard: {start: {implementation: run.sh, inputs: {value: %s}}}}
  outputs: {value: {value: %s}}
"""  # noqa: E501
FILES = {"run.sh": "x", "plan.txt": "p"}


def text(output: str = "0", inside: str = "0", between: str = "0") -> str:
    return V1 + TYPES + TEMPLATE % (between, inside, output)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("{get_input: name}", Parameter("name")),
        ("{get_input: [name]}", Parameter("name")),
        ("{get_input: [list, 1]}", Parameter("list", (1,))),
        ("{get_input: [address, ports, 0]}", Parameter("address", ("ports", 0))),
        ("{get_property: [other, name]}", "villa"),
        ("{get_property: [house, name]}", "villa"),
        ("{get_property: [house, at, host]}", "here"),
        ("{get_property: [house, at, ports, 1]}", 81),
        ("{get_property: [other, tags, a]}", "y"),
        ("{get_property: [house, door, code]}", 4),
        ("{get_property: [other, door, code]}", 9),
        ("{get_property: [house, next, name]}", "villa"),
        ("{get_property: [house, next, code]}", 9),
        ("{get_property: [house, next, door, code]}", 9),
        ("{get_attribute: [web, private_address]}", Attribute("web", ("private_address",))),
        ("{get_attribute: [house, host, private_address]}", Attribute("web", ("private_address",))),
        ("{get_attribute: [house, name]}", "villa"),
        ("{get_attribute: [house, door, ip_address]}", Attribute("house", ("door", "ip_address"))),
        ("{get_attribute: [house, tosca_id]}", Attribute("house", ("tosca_id",))),
        ("{get_operation_output: [house, Standard, create, port]}", Attribute("house", ("Standard", "create", "port"))),
        ("{get_nodes_of_type: House}", ("other", "house")),
        ("{get_nodes_of_type: tosca.nodes.Compute}", ("web",)),
        ("{get_nodes_of_type: tosca.nodes.DBMS}", ()),
        ("{get_artifact: [house, plan]}", "plan.txt"),
        ("{concat: [a, 1, {get_property: [other, name]}]}", "a1villa"),
        ("{concat: [a, {get_input: name}]}", Join(("a", Parameter("name")))),
        ("{concat: [a, {concat: [b, {concat: [c]}]}]}", "abc"),
        ("{join: [[a, b, {get_property: [other, name]}], '-']}", "a-b-villa"),
        ("{join: [[a, b]]}", "ab"),
        ("{join: [[{get_input: name}, b], ',']}", Join((Parameter("name"), "b"), ",")),
        ("{token: ['a:b:c', ':', 1]}", "b"),
        ("{token: [{get_attribute: [web, public_address]}, '.', 0]}",
         Token(Attribute("web", ("public_address",)), ".", 0)),
        ("{token: [{join: [[a, {get_property: [other, name]}], ':']}, ':', 1]}", "villa"),
        ("{concat: [{token: [{get_input: name}, '-', 0]}, '.']}", Join((Token(Parameter("name"), "-", 0), "."))),
        ("[{get_input: name}, {k: {get_property: [other, name]}}]", (Parameter("name"), {"k": "villa"})),
        ("{get_inputs: 1, other: 2}", {"get_inputs": 1, "other": 2}),
    ],
)  # fmt: skip
def test_what_a_function_of_1_x_comes_to(call: str, meant: Value) -> None:
    assert errors(text(call), FILES) == []
    assert topology(text(call), FILES).outputs["value"].value == meant


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("{get_property: [SELF, name]}", "villa"),
        ("{get_property: [SELF, next, name]}", "villa"),
        ("{get_property: [SELF, door, code]}", 4),
        ("{get_attribute: [SELF, warm]}", Attribute("house", ("warm",))),
        ("{get_attribute: [HOST, private_address]}", Attribute("web", ("private_address",))),
        ("{get_property: [HOST, host, num_cpus]}", None),
        ("{get_artifact: [SELF, plan]}", "plan.txt"),
        ("{get_operation_output: [SELF, Standard, create, x]}", Attribute("house", ("Standard", "create", "x"))),
    ],
)
def test_what_a_function_comes_to_inside_a_node(call: str, meant: Value) -> None:
    assert errors(text(inside=call), FILES) == []
    made = topology(text(inside=call), FILES).templates["house"].interfaces["Standard"]["start"]
    assert made.inputs.get("value") == meant


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("{get_property: [SELF, speed]}", 5),
        ("{get_property: [SOURCE, name]}", "villa"),
        ("{get_property: [TARGET, at, host]}", "here"),
        ("{get_attribute: [SOURCE, warm]}", Attribute("house", ("warm",))),
        ("{get_attribute: [TARGET, warm]}", Attribute("other", ("warm",))),
        ("{get_property: [TARGET, door, code]}", 9),
        ("{get_operation_output: [TARGET, Standard, create, x]}", Attribute("other", ("Standard", "create", "x"))),
    ],
)
def test_what_a_function_comes_to_inside_a_relationship(call: str, meant: Value) -> None:
    assert errors(text(between=call), FILES) == []
    requirement = next(topology(text(between=call), FILES).templates["house"].targets("next"))
    assert requirement.relationship is not None
    assert requirement.relationship.interfaces["Configure"]["pre_configure_source"].inputs == {"value": meant}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("{get_input: lost}", "MDW243"),
        ("{get_input: [lost, 1]}", "MDW243"),
        ("{get_input: {a: b}}", "MDW242"),
        ("{get_input: []}", "MDW241"),
        ("{get_input: [name, first]}", "MDW245"),
        ("{get_input: [list, first]}", "MDW245"),
        ("{get_input: [address, prot]}", "MDW245"),
        ("{get_property: [lost, name]}", "MDW244"),
        ("{get_property: [house, lost]}", "MDW244"),
        ("{get_property: [house, warm]}", "MDW244"),
        ("{get_property: [house]}", "MDW241"),
        ("{get_property: house}", "MDW241"),
        ("{get_property: [house, at, prot]}", "MDW245"),
        ("{get_property: [house, name, more]}", "MDW245"),
        ("{get_property: [house, door, lost]}", "MDW244"),
        ("{get_property: [house, next, lost]}", "MDW244"),
        ("{get_property: [SELF, name]}", "MDW244"),
        ("{get_attribute: [SOURCE, name]}", "MDW244"),
        ("{get_attribute: [web, private_adress]}", "MDW244"),
        ("{get_operation_output: [house, Standard, create]}", "MDW241"),
        ("{get_operation_output: [lost, Standard, create, x]}", "MDW244"),
        ("{get_operation_output: [house, Standart, create, x]}", "MDW309"),
        ("{get_operation_output: [house, Standard, crate, x]}", "MDW308"),
        ("{get_nodes_of_type: Lost}", "MDW150"),
        ("{get_nodes_of_type: [House, House]}", "MDW241"),
        ("{get_artifact: [house, lost]}", "MDW244"),
        ("{get_artifact: [lost, plan]}", "MDW244"),
        ("{concat: a}", "MDW241"),
        ("{concat: []}", "MDW241"),
        ("{concat: [a, {get_input: lost}]}", "MDW243"),
        ("{join: [a, b]}", "MDW242"),
        ("{join: [[a], b, c]}", "MDW241"),
        ("{token: [a, ':']}", "MDW241"),
        ("{token: [a, '', 0]}", "MDW242"),
        ("{token: [a, ':', first]}", "MDW242"),
        ("{token: [a, ':', -1]}", "MDW242"),
        ("{get_atribute: [web, private_address]}", "MDW240"),
        ("{get_property: [other, tags, a, b]}", "MDW245"),
    ],
)
def test_a_function_of_1_x_called_wrongly(call: str, code: str) -> None:
    assert errors(text(call), FILES) == [code]


@pytest.mark.parametrize(
    ("left", "right", "code"),
    [
        ("{get_property: [right, name]}", "{get_property: [left, name]}", "MDW246"),
        ("{get_property: [SELF, name]}", "x", "MDW246"),
        ("{concat: [a, {get_property: [right, name]}]}", "{get_property: [left, name]}", "MDW246"),
        ("{get_property: [right, name]}", "x", ""),
        ("{get_nodes_of_type: House}", "x", "MDW247"),
        ("{get_input: list}", "x", "MDW247"),
        ("{get_inputs: name}", "x", "MDW240"),
    ],
)
def test_functions_as_properties(left: str, right: str, code: str) -> None:
    nodes = (
        f"left: {{type: House, properties: {{name: {left}}}}}, right: {{type: House, properties: {{name: {right}}}}}"
    )
    inputs = "inputs: {list: {type: list, entry_schema: string, default: [a]}, name: {type: string, default: x}}"
    found = errors(f"{V1}{TYPES}topology_template: {{{inputs}, node_templates: {{{nodes}}}}}\n", FILES)
    assert sorted(set(found)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("default", "found"),
    [
        ("{get_property: [SELF, name]}", []),
        ("{get_property: [SELF, nmae]}", ["MDW244"]),
        ("{get_input: name}", ["MDW248"]),
        ("{get_property: [house, name]}", ["MDW248"]),
        ("{concat: [{get_property: [SELF, name]}, x]}", []),
    ],
)
def test_functions_in_types(default: str, found: list[str]) -> None:
    more = f"  Hut: {{derived_from: House, properties: {{sign: {{type: string, default: {default}}}}}}}\n"
    assert codes(V1 + TYPES + more, FILES) == found


# 2.0
TYPES_2 = """
capability_types:
  Door: {properties: {code: {type: integer, default: 7}}, attributes: {open: {type: boolean}}}
relationship_types:
  Link: {properties: {speed: {type: integer, default: 3}}}
functions: {twice: {signatures: [{arguments: [integer], result: integer}]}}
node_types:
  House:
    properties:
      name: {type: string, default: home}
      size: {type: integer, default: 2}
      tags: {type: list, entry_schema: string, default: [a, b]}
    attributes: {warm: {type: boolean}}
    capabilities: {door: {type: Door}}
    requirements: [{next: {capability: Door, relationship: Link, count_range: [0, 2]}}]
    artifacts: {plan: {type: File, file: plan.txt}}
artifact_types: {File: {}}
service_template:
  inputs: {name: {type: string, default: it}, number: {type: integer, default: 1}}
  node_templates:
    far: {type: House, properties: {name: hut}}
    other: {type: House, properties: {name: villa}, requirements: [{next: far}]}
    house:
      type: House
      properties: {name: %s, size: 5}
      requirements: [{next: {node: other, relationship: {type: Link, properties: {speed: 5}}}}, {next: far}]
  outputs: {value: {value: %s}}
"""


def text_2(output: str, name: str = "own") -> str:
    return V2 + TYPES_2 % (name, output)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("{$get_input: name}", Parameter("name")),
        ("{$get_property: [other, name]}", "villa"),
        ("{$get_property: [house, tags, 1]}", "b"),
        ("{$get_property: [house, 0, name]}", "own"),
        ("{$get_property: [house, CAPABILITY, door, code]}", 7),
        ("{$get_property: [house, RELATIONSHIP, next, speed]}", 5),
        ("{$get_property: [house, RELATIONSHIP, next, 0, speed]}", 5),
        ("{$get_property: [house, RELATIONSHIP, next, 1, speed]}", 3),
        ("{$get_property: [house, RELATIONSHIP, next, 1, TARGET, name]}", "hut"),
        ("{$get_property: [house, RELATIONSHIP, next, TARGET, RELATIONSHIP, next, TARGET, name]}", "hut"),
        ("{$get_property: [house, RELATIONSHIP, next, SOURCE, name]}", "own"),
        ("{$get_property: [house, RELATIONSHIP, next, CAPABILITY, code]}", 7),
        ("{$get_attribute: [house, warm]}", Attribute("house", ("warm",))),
        ("{$get_attribute: [house, CAPABILITY, door, open]}", Attribute("house", ("door", "open"))),
        ("{$get_attribute: [house, RELATIONSHIP, next, TARGET, warm]}", Attribute("other", ("warm",))),
        ("{$get_artifact: [house, plan]}", "plan.txt"),
        ("{$concat: [a, {$get_property: [other, name]}]}", "avilla"),
        ("{$concat: [[a], [b, c]]}", ("a", "b", "c")),
        ("{$join: [[a, b], '-']}", "a-b"),
        ("{$token: ['a:b', ':', 1]}", "b"),
        ("{$length: [{$get_property: [house, tags]}]}", 2),
        ("{$length: abc}", 3),
        ("{$sum: [1, 2, {$get_property: [house, size]}]}", 8),
        ("{$difference: [5, 2]}", 3),
        ("{$product: [2, 3, 4]}", 24),
        ("{$quotient: [7, 2]}", 3.5),
        ("{$remainder: [7, 2]}", 1),
        ("{$round: [3.5]}", 3),
        ("{$floor: 3.9}", 3),
        ("{$ceil: [3.1]}", 4),
        ("{$union: [[1, 2], [2, 3]]}", (1, 2, 3)),
        ("{$intersection: [[1, 2], [2, 3]]}", (2,)),
        ("{$and: [true, {$equal: [1, 1]}]}", True),
        ("{$or: [false, {$not: [true]}]}", False),
        ("{$xor: [true, false]}", True),
        ("{$greater_than: [2, 1]}", True),
        ("{$less_or_equal: [b, a]}", False),
        ("{$valid_values: [1, [1, 2]]}", True),
        ("{$matches: [abc, '^a.c$']}", True),
        ("{$contains: [abcd, bc]}", True),
        ("{$has_prefix: [[1, 2, 3], [1, 2]]}", True),
        ("{$has_suffix: [abc, bc]}", True),
        ("{$has_entry: [{a: 1}, 1]}", True),
        ("{$has_key: [{a: 1}, b]}", False),
        ("{$has_all_keys: [{a: 1, b: 2}, [a, b]]}", True),
        ("{$has_any_entry: [[1, 2], [3, 2]]}", True),
        ("$$plain", "$plain"),
        ("{$$a: $$$b}", {"$a": "$$b"}),
    ],
)
def test_what_a_function_of_2_0_comes_to(call: str, meant: Value) -> None:
    assert errors(text_2(call), {"plan.txt": "p"}) == []
    assert topology(text_2(call), {"plan.txt": "p"}).outputs["value"].value == meant


@pytest.mark.parametrize(
    "call",
    [
        "{$twice: [2]}",
        "{$sum: [{$get_input: number}, 1]}",
        "{$get_attribute: [far, CAPABILITY, door, RELATIONSHIP, speed]}",
    ],
)
def test_what_only_the_deployment_knows_is_right_but_no_stack_can_hold_it(call: str) -> None:
    assert codes(text_2(call), {"plan.txt": "p"}) == ["MDW249"]
    assert errors(text_2(call), {"plan.txt": "p"}) == []


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("{$get_inptu: name}", "MDW240"),
        ("$get_inptu", "MDW240"),
        ("{$in_range: [1, [1, 2]]}", "MDW240"),
        ("$get_input", "MDW241"),
        ("{$twice: [1, 2]}", "MDW241"),
        ("{$twice: []}", "MDW241"),
        ("{$equal: [1]}", "MDW241"),
        ("{$concat: abc}", "MDW241"),
        ("{$sum: [1], $product: [2]}", "MDW242"),
        ("{$get_property: [house, RELATIONSHIP, lost, speed]}", "MDW244"),
        ("{$get_property: [house, CAPABILITY, lost, code]}", "MDW244"),
        ("{$get_property: [house, CAPABILITY, door, lost]}", "MDW244"),
        ("{$get_property: [house, RELATIONSHIP, next, TARGET, lost]}", "MDW244"),
        ("{$get_property: [house, RELATIONSHIP, next, lost]}", "MDW244"),
        ("{$get_property: [SELF, name]}", "MDW244"),
        ("{$get_input: lost}", "MDW243"),
    ],
)
def test_a_function_of_2_0_called_wrongly(call: str, code: str) -> None:
    assert set(errors(text_2(call), {"plan.txt": "p"})) == {code}


def test_an_old_call_is_plain_data_in_2_0_and_a_new_one_in_1_x() -> None:
    assert topology(text_2("{concat: [a, b]}"), {"plan.txt": "p"}).outputs["value"].value == {"concat": ("a", "b")}
    assert topology(text("{$concat: [a, b]}"), FILES).outputs["value"].value == {"$concat": ("a", "b")}


# HOST
HOSTED = """relationship_types: {Inside: {derived_from: tosca.relationships.HostedOn}}
node_types:
  Part:
    derived_from: tosca.nodes.Root
    properties: {it: {type: string, required: false}}
    requirements: [{place: {capability: tosca.capabilities.Node, relationship: Inside, occurrences: [0, 1]}}]
topology_template:
  node_templates:
    server: {type: tosca.nodes.Compute}
    dbms: {type: tosca.nodes.DBMS, properties: {port: 7}, requirements: [{host: server}]}
    data: {type: tosca.nodes.Database, properties: {name: a}, requirements: [{host: dbms}], %s}
    part: {type: Part, properties: {it: %s}, requirements: [%s]}
"""


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("{get_property: [HOST, port]}", []),
        ("{get_attribute: [HOST, private_address]}", []),
        ("{get_property: [HOST, host, num_cpus]}", []),
        ("{get_property: [HOST, prt]}", ["MDW244"]),
        ("{get_attribute: [HOST, lost]}", ["MDW244"]),
    ],
)
def test_host_is_the_nearest_one_that_has_it(call: str, found: list[str]) -> None:
    interface = f"interfaces: {{Standard: {{create: {{implementation: run, inputs: {{it: {call}}}}}}}}}"
    assert errors(V1 + HOSTED % (interface, "x", "")) == found


def test_host_is_what_a_hosting_relationship_leads_to() -> None:
    text = V1 + HOSTED % ("", "{get_attribute: [HOST, private_address]}", "{place: server}")
    assert errors(text) == []
    assert topology(text).templates["part"].properties["it"] == Attribute("server", ("private_address",))


def test_host_of_what_stands_alone() -> None:
    attribute = "attributes: {public_address: {get_attribute: [HOST, private_address]}}"
    text = f"topology_template: {{node_templates: {{server: {{type: tosca.nodes.Compute, {attribute}}}}}}}\n"
    assert errors(V1 + text) == ["MDW244"]
