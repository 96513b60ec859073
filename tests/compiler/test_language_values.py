"""Values: scalars, units, collections and types with properties; constraints kept and broken; inputs and outputs."""

from __future__ import annotations

import pytest

from meghdwar.model import Parameter, Value
from tests.compiler.language import V1, V2, codes, errors, topology

TYPES = """
data_types:
  Port: {derived_from: integer, constraints: [{in_range: [1, 65535]}]}
  Address: {properties: {host: {type: string}, port: {type: Port, default: 80}, path: {type: string, required: false}}}
node_types:
  Thing:
    derived_from: tosca.nodes.Root
    properties:
      it: %s
topology_template:
  node_templates:
    thing:
      type: Thing
      properties:
        it: %s
"""


def said(schema: str, value: str) -> list[str]:
    return codes(V1 + TYPES % (schema, value))


def made(schema: str, value: str) -> Value:
    return topology(V1 + TYPES % (schema, value)).templates["thing"].properties["it"]


@pytest.mark.parametrize(
    ("schema", "value", "meant"),
    [
        ("{type: string}", "text", "text"),
        ("{type: string}", "'007'", "007"),
        ("{type: string}", '"two\\nlines"', "two\nlines"),
        ("{type: string}", "''", ""),
        ("{type: integer}", "42", 42),
        ("{type: integer}", "-1", -1),
        ("{type: integer}", "0x1F", 31),
        ("{type: integer}", "0o17", 15),
        ("{type: float}", "1.5", 1.5),
        ("{type: float}", "2", 2),
        ("{type: float}", "1e3", 1000.0),
        ("{type: boolean}", "true", True),
        ("{type: boolean}", "False", False),
        ("{type: timestamp}", "2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("{type: version}", "1.2.3.beta-4", "1.2.3.beta-4"),
        ("{type: range}", "[1, 4]", (1, 4)),
        ("{type: range}", "[0, UNBOUNDED]", (0, "UNBOUNDED")),
        ("{type: scalar-unit.size}", "10 GiB", 10 * 2**30),
        ("{type: scalar-unit.size}", "1.5 MB", 1_500_000),
        ("{type: scalar-unit.size}", "512kB", 512_000),
        ("{type: scalar-unit.time}", "90 s", 90),
        ("{type: scalar-unit.time}", "2 h", 7200),
        ("{type: scalar-unit.time}", "250 ms", 0.25),
        ("{type: scalar-unit.frequency}", "2.4 GHz", 2_400_000_000),
        ("{type: scalar-unit.bitrate}", "10 Mbps", 10_000_000),
        ("{type: scalar-unit.bitrate}", "1 KiBps", 8192),
        ("{type: list}", "[1, a, {b: c}]", (1, "a", {"b": "c"})),
        ("{type: list, entry_schema: {type: integer}}", "[1, 2]", (1, 2)),
        ("{type: list, entry_schema: scalar-unit.size}", "[1 kB, 2 kB]", (1000, 2000)),
        ("{type: list, entry_schema: {type: list, entry_schema: integer}}", "[[1], []]", ((1,), ())),
        ("{type: map}", "{a: 1, b: [x]}", {"a": 1, "b": ("x",)}),
        ("{type: map, entry_schema: {type: Port}}", "{a: 1}", {"a": 1}),
        ("{type: map, key_schema: integer, entry_schema: string}", "{1: one}", {"1": "one"}),
        ("{type: Port}", "8080", 8080),
        ("{type: Address}", "{host: a}", {"host": "a", "port": 80}),
        ("{type: Address}", "{host: a, port: 1, path: /}", {"host": "a", "port": 1, "path": "/"}),
        ("{type: list, entry_schema: Address}", "[{host: a}]", ({"host": "a", "port": 80},)),
        ("{type: map, entry_schema: {type: map, entry_schema: Address}}", "{x: {y: {host: a}}}",
         {"x": {"y": {"host": "a", "port": 80}}}),
    ],
)  # fmt: skip
def test_a_value_that_fits(schema: str, value: str, meant: Value) -> None:
    assert said(schema, value) == []
    assert made(schema, value) == meant


@pytest.mark.parametrize(
    ("schema", "value", "code"),
    [
        ("{type: string}", "[a]", "MDW230"),
        ("{type: string}", "{a: b}", "MDW230"),
        ("{type: string}", "7", "MDW231"),
        ("{type: string}", "true", "MDW231"),
        ("{type: integer}", "1.0", "MDW230"),
        ("{type: integer}", "one", "MDW230"),
        ("{type: integer}", "'1'", "MDW231"),
        ("{type: integer}", "true", "MDW230"),
        ("{type: float}", "much", "MDW230"),
        ("{type: boolean}", "1", "MDW230"),
        ("{type: boolean}", "yes", "MDW231"),
        ("{type: boolean}", "maybe", "MDW230"),
        ("{type: timestamp}", "yesterday", "MDW202"),
        ("{type: timestamp}", "2001-02-30", "MDW202"),
        ("{type: version}", "1", "MDW201"),
        ("{type: version}", "v1.0", "MDW201"),
        ("{type: range}", "[4, 1]", "MDW204"),
        ("{type: range}", "7", "MDW204"),
        ("{type: range}", "[UNBOUNDED, 1]", "MDW204"),
        ("{type: scalar-unit.size}", "10 Gib", ""),
        ("{type: scalar-unit.size}", "10 GHz", "MDW200"),
        ("{type: scalar-unit.size}", "10", "MDW200"),
        ("{type: scalar-unit.time}", "1 week", "MDW200"),
        ("{type: scalar-unit.frequency}", "fast", "MDW200"),
        ("{type: scalar-unit.bitrate}", "[1]", "MDW230"),
        ("{type: list}", "a", "MDW230"),
        ("{type: list}", "{a: b}", "MDW230"),
        ("{type: list, entry_schema: integer}", "[1, two]", "MDW230"),
        ("{type: map}", "[a]", "MDW230"),
        ("{type: map, entry_schema: integer}", "{a: two}", "MDW230"),
        ("{type: map, key_schema: integer}", "{a: two}", "MDW230"),
        ("{type: Port}", "0", "MDW207"),
        ("{type: Address}", "{port: 1}", "MDW233"),
        ("{type: Address}", "{host: a, prot: 1}", "MDW232"),
        ("{type: Address}", "a:80", "MDW230"),
        ("{type: list, entry_schema: Address}", "[{host: a, port: 70000}]", "MDW207"),
        ("{type: nothing}", "a", "MDW150"),
    ],
)
def test_a_value_that_does_not_fit(schema: str, value: str, code: str) -> None:
    assert said(schema, value) == ([code] if code else [])


CLAUSES = [  # the type, the clause, what keeps it, what breaks it
    ("integer", "equal: 3", "3", "4"),
    ("string", "equal: a", "a", "b"),
    ("integer", "greater_than: 3", "4", "3"),
    ("integer", "greater_or_equal: 3", "3", "2"),
    ("float", "less_than: 3", "2.9", "3"),
    ("float", "less_or_equal: 3.5", "3.5", "3.6"),
    ("integer", "in_range: [1, 3]", "3", "4"),
    ("integer", "in_range: [1, UNBOUNDED]", "99", "0"),
    ("string", "valid_values: [a, b]", "b", "c"),
    ("integer", "valid_values: [1, 2]", "2", "3"),
    ("string", "length: 3", "abc", "ab"),
    ("string", "min_length: 3", "abc", "ab"),
    ("string", "max_length: 3", "abc", "abcd"),
    ("list", "min_length: 1", "[a]", "[]"),
    ("map", "max_length: 1", "{a: 1}", "{a: 1, b: 2}"),
    ("string", "pattern: '[a-z]+[0-9]'", "ab1", "ab1x"),
    ("scalar-unit.size", "greater_than: 1 GB", "1 GiB", "1000 MB"),
    ("scalar-unit.size", "in_range: [1 MB, 1 GB]", "1 GB", "1 kB"),
    ("scalar-unit.time", "less_or_equal: 1 h", "60 m", "61 m"),
    ("scalar-unit.size", "valid_values: [1 GB, 2 GB]", "2000 MB", "3 GB"),
    ("version", "greater_than: 1.2", "1.10", "1.2"),
    ("timestamp", "less_than: 2020-01-01", "2019-12-31", "2020-01-02"),
]


@pytest.mark.parametrize(("type_", "clause", "good", "bad"), CLAUSES)
@pytest.mark.parametrize("place", ["property", "data type", "entry"])
def test_a_constraint_is_kept_or_broken(type_: str, clause: str, good: str, bad: str, place: str) -> None:
    wrap = "[%s]" if place == "entry" else "%s"
    if place == "property":
        text = V1 + TYPES % (f"{{type: {type_}, constraints: [{{{clause}}}]}}", "%s")
    elif place == "entry":
        schema = f"{{type: list, entry_schema: {{type: {type_}, constraints: [{{{clause}}}]}}}}"
        text = V1 + TYPES % (schema, "%s")
    else:
        limited = f"data_types:\n  Limited: {{derived_from: {type_}, constraints: [{{{clause}}}]}}"
        text = V1 + TYPES.replace("data_types:", limited) % ("{type: Limited}", "%s")
    assert codes(text % (wrap % good)) == []
    assert codes(text % (wrap % bad)) == ["MDW207"]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ("{type: integer, constraints: [{greater: 3}]}", "MDW205"),
        ("{type: integer, constraints: [{in_range: [3]}]}", "MDW205"),
        ("{type: integer, constraints: [{in_range: [3, 1]}]}", "MDW205"),
        ("{type: boolean, constraints: [{greater_than: 1}]}", "MDW205"),
        ("{type: integer, constraints: [{min_length: 1}]}", "MDW205"),
        ("{type: string, constraints: [{pattern: '['}]}", "MDW206"),
        ("{type: string, constraints: {min_length: 1}}", "MDW104"),
        ("{type: string, default: a, constraints: [{min_length: 2}]}", "MDW207"),
        ("{type: scalar-unit.size, constraints: [{greater_than: 3 apples}]}", "MDW205"),
    ],
)
def test_a_constraint_that_is_none(schema: str, code: str) -> None:
    assert code in codes(
        V1 + f"node_types: {{Thing: {{derived_from: tosca.nodes.Root, properties: {{it: {schema}}}}}}}\n"
    )


# 2.0
TYPES_2 = """
data_types:
  Length: {derived_from: scalar, data_type: float, units: {m: 1, km: 1000}, canonical_unit: m}
  Bits: {derived_from: scalar, data_type: integer, units: {B: 1}, prefixes: {'': 1, k: 1000, Ki: 1024}}
  Even: {derived_from: integer, validation: {$equal: [{$remainder: [$value, 2]}, 0]}}
  Span: {properties: {low: {type: integer}, high: {type: integer}},
    validation: {$less_or_equal: [{$value: [low]}, {$value: [high]}]}}
node_types: {Thing: {properties: {it: %s}}}
service_template: {node_templates: {thing: {type: Thing, properties: {it: %s}}}}
"""


@pytest.mark.parametrize(
    ("schema", "good", "bad", "code"),
    [
        ("{type: string}", "'7'", "7", "MDW230"),
        ("{type: string}", "''", "null", "MDW230"),
        ("{type: integer}", "-7", "7.0", "MDW230"),
        ("{type: float}", "7", "'7.0'", "MDW230"),
        ("{type: float}", ".inf", "inf", "MDW230"),
        ("{type: boolean}", "true", "yes", "MDW230"),
        ("{type: boolean}", "false", "'false'", "MDW230"),
        ("{type: boolean}", "true", "True", "MDW230"),
        ("{type: integer}", "9223372036854775807", "9223372036854775808", "MDW230"),
        ("{type: timestamp}", "2001-12-14", "2001-12-14T21:59:43", "MDW202"),
        ("{type: version}", "1.0.0", "1.0", "MDW201"),
        ("{type: boolean}", "false", "0", "MDW230"),
        ("{type: bytes}", "R0lGODlh", "R0lGODl", "MDW203"),
        ("{type: bytes}", "''", "'*'", "MDW203"),
        ("{type: nil}", "null", "0", "MDW230"),
        ("{type: timestamp}", "'2001-12-14T21:59:43Z'", "'2001-12-14 21:59:43Z'", "MDW202"),
        ("{type: version}", "'2.0'", "'2'", "MDW201"),
        ("{type: Length}", "1.5 km", "1.5 miles", "MDW200"),
        ("{type: Length}", "3m", "3", "MDW200"),
        ("{type: Bits}", "2 KiB", "2 MiB", "MDW200"),
        ("{type: Even}", "4", "5", "MDW207"),
        ("{type: Span}", "{low: 1, high: 2}", "{low: 3, high: 2}", "MDW207"),
        ("{type: list, entry_schema: integer}", "[1, 2]", "[1, '2']", "MDW230"),
        ("{type: map, entry_schema: {type: list, entry_schema: string}}", "{a: [b]}", "{a: b}", "MDW230"),
        ("{type: map, key_schema: {type: string, validation: {$matches: [$value, '^a']}}}", "{ab: 1}", "{b: 1}",
         "MDW207"),
        ("{type: list, entry_schema: {type: integer, validation: {$less_than: [$value, 9]}}}", "[8]", "[9]", "MDW207"),
        ("{type: integer, validation: {$valid_values: [$value, [1, 2, 4]]}}", "4", "3", "MDW207"),
        ("{type: string, validation: {$and: [{$has_prefix: [$value, a]}, {$not: [{$has_suffix: [$value, z]}]}]}}",
         "ab", "az", "MDW207"),
        ("{type: list, entry_schema: string, validation: {$has_all_entries: [$value, [a, b]]}}", "[b, a]", "[a]",
         "MDW207"),
        ("{type: map, entry_schema: string, validation: {$has_any_key: [$value, [a, b]]}}", "{b: x}", "{c: x}",
         "MDW207"),
    ],
)  # fmt: skip
def test_values_of_2_0(schema: str, good: str, bad: str, code: str) -> None:
    assert errors(V2 + TYPES_2 % (schema, good)) == []
    assert errors(V2 + TYPES_2 % (schema, bad)) == [code]


# inputs and outputs
INPUTS = """topology_template:
  inputs:
    cpus: {type: integer, default: 2, description: How many., constraints: [{in_range: [1, 8]}]}
    disk: {type: scalar-unit.size, default: 4 GiB}
    secret: {type: string, metadata: {secret: "true"}}
    ports: {type: list, entry_schema: {type: integer}, required: false}
  node_templates: {web: {type: tosca.nodes.Compute}}
  outputs:
    cpus: {description: So many., value: {get_input: cpus}}
    fixed: {value: [1, {a: b}]}
"""


def test_inputs_are_declared() -> None:
    inputs = topology(V1 + INPUTS).inputs
    assert (inputs["cpus"].kind, inputs["cpus"].default, inputs["cpus"].description) == ("integer", 2, "How many.")
    assert [(c.operator, c.operand) for c in inputs["cpus"].constraints] == [("in_range", (1, 8))]
    assert (inputs["disk"].default, inputs["disk"].unit) == (4, "GiB")
    assert (inputs["secret"].secret, inputs["secret"].default, inputs["secret"].required) == (True, None, True)
    assert (inputs["ports"].kind, inputs["ports"].entry, inputs["ports"].required) == ("list", "integer", False)


def test_outputs_have_values() -> None:
    outputs = topology(V1 + INPUTS).outputs
    assert outputs["cpus"].value == Parameter("cpus")
    assert outputs["cpus"].description == "So many."
    assert outputs["fixed"].value == (1, {"a": "b"})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"cpus": 4}, []),
        ({"cpus": "4"}, []),
        ({"cpus": 9}, ["MDW601"]),
        ({"cpus": "many"}, ["MDW601"]),
        ({"disk": "8 GiB"}, []),
        ({"disk": "8 parsecs"}, ["MDW601"]),
        ({"ports": [80, 443]}, []),
        ({"ports": ["http"]}, ["MDW601"]),
        ({"secret": 7}, []),
        ({"cpu": 4}, ["MDW600"]),
    ],
)
def test_inputs_from_outside(given: dict[str, object], found: list[str]) -> None:
    assert errors(V1 + INPUTS, inputs=given) == found


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        ("{a: {type: integer, default: one}}", "{}", ["MDW230"]),
        ("{a: {type: integer, default: 9, constraints: [{less_than: 5}]}}", "{}", ["MDW207"]),
        ("{a: {type: lost}}", "{}", ["MDW150"]),
        ("{a: {typ: string}}", "{}", ["MDW102"]),
        ("[a]", "{}", ["MDW104"]),
        ("{a: {type: string, default: x}}", "{o: {}}", ["MDW103"]),
        ("{a: {type: string, default: x}}", "{o: {valeu: 1}}", ["MDW102", "MDW103"]),
        ("{a: {type: string, default: x}}", "[o]", ["MDW104"]),
        (
            "{a: {type: list, entry_schema: string, default: [x]}}",
            "{o: {type: integer, value: {get_input: a}}}",
            ["MDW247"],
        ),
        ("{a: {type: map, default: {x: 1}}}", "{o: {value: {get_input: [a, x]}}}", []),
    ],
)
def test_inputs_and_outputs_that_are_wrong(inputs: str, outputs: str, found: list[str]) -> None:
    template = "node_templates: {web: {type: tosca.nodes.Compute}}"
    text = f"{V1}topology_template: {{inputs: {inputs}, outputs: {outputs}, {template}}}\n"
    assert sorted(errors(text)) == found
