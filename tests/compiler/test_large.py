"""Descriptors that grow fast or far, by mistake or on purpose: each is answered in time, whatever the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meghdwar.compiler.location import Folder
from tests.compiler.checking import Changed, compile_entry
from tests.compiler.test_fuzz import LIMIT_S, limit

N = 1000
HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
THING = f"{HEAD}node_types:\n  T: {{derived_from: tosca.nodes.Root, properties: {{p: {{type: string}}}}}}\n"
TEMPLATES = "topology_template:\n  node_templates:\n"


def lines(count: int, line: Callable[[int], str]) -> str:
    return "".join(f"{line(i)}\n" for i in range(count))


def requirement(name: str, node: str) -> str:
    return f"{{{name}: {node}}}"


CASES = {
    "parents": HEAD + "node_types:\n" + lines(N, lambda i: f"  T{i}: {{derived_from: T{i + 1}}}"),
    "values-in-a-row": THING
    + TEMPLATES
    + lines(N, lambda i: f"    a{i}: {{type: T, properties: {{p: {{get_property: [a{i + 1}, p]}}}}}}")
    + f"    a{N}: {{type: T, properties: {{p: x}}}}\n",
    "values-doubled": THING
    + TEMPLATES
    + lines(
        40,
        lambda i: (
            f"    a{i}: {{type: T, properties: {{p: {{concat: ["
            f"{{get_property: [a{i + 1}, p]}}, {{get_property: [a{i + 1}, p]}}]}}}}}}"
        ),
    )
    + "    a40: {type: T, properties: {p: x}}\n",
    "defaults-doubled": HEAD
    + "data_types:\n"
    + lines(
        40,
        lambda i: (
            f"  D{i}: {{derived_from: tosca.datatypes.Root, properties: "
            f"{{a: {{type: D{i + 1}, default: {{}}}}, b: {{type: D{i + 1}, default: {{}}}}}}}}"
        ),
    )
    + "  D40: {derived_from: tosca.datatypes.Root, properties: {x: {type: string, default: y}}}\n"
    + "node_types:\n  T: {derived_from: tosca.nodes.Root, properties: {p: {type: D0, default: {}}}}\n"
    + f"{TEMPLATES}    a: {{type: T}}\n",
    "a-type-in-itself": HEAD
    + "data_types:\n  D: {derived_from: tosca.datatypes.Root, properties: {a: {type: D, default: {}}}}\n"
    + "node_types:\n  T: {derived_from: tosca.nodes.Root, properties: {p: {type: D, default: {}}}}\n"
    + f"{TEMPLATES}    a: {{type: T}}\n",
    "copies": HEAD + TEMPLATES + lines(N, lambda i: f"    a{i}: {{copy: a{i + 1}}}"),
    "unknown-types": HEAD + TEMPLATES + lines(N, lambda i: f"    a{i}: {{type: tosca.nodes.Compue{i}, foo: bar}}"),
    "unknown-nodes": HEAD
    + TEMPLATES
    + lines(
        N,
        lambda i: (
            f"    aaaaaaaaaaaa{i}: {{type: tosca.nodes.SoftwareComponent, requirements: [{{host: aaaaaaaaaaaax{i}}}]}}"
        ),
    ),
    "all-need-all": HEAD
    + f"{TEMPLATES}    c: {{type: tosca.nodes.Compute}}\n"
    + lines(
        100,
        lambda i: (
            f"    a{i}: {{type: tosca.nodes.SoftwareComponent, interfaces: {{Standard: {{create: x, start: y}}}}, "
            f"requirements: [{', '.join(['{host: c}', *(requirement('dependency', f'a{j}') for j in range(i))])}]}}"
        ),
    ),
    "groups-in-groups": HEAD
    + "topology_template:\n  groups:\n"
    + lines(N, lambda i: f"    g{i}: {{type: tosca.groups.Root, members: [g{i + 1}]}}"),
    "steps": HEAD
    + f"{TEMPLATES}    c: {{type: tosca.nodes.Compute}}\n  workflows:\n    w:\n      steps:\n"
    + lines(N, lambda i: f"        s{i}: {{target: c, activities: [{{set_state: x}}], on_success: [s{i + 1}]}}")
    + f"        s{N}: {{target: c, activities: [{{set_state: x}}]}}\n",
    "a-great-number": HEAD
    + f"{TEMPLATES}    a: {{type: tosca.nodes.Compute}}\n  policies:\n    - s:\n"
    + "        type: tosca.policies.Scaling\n        targets: [a]\n"
    + "        properties: {min_instances: 1, max_instances: 1000000000, default_instances: 500000000, increment: 1}\n",
    "a-great-count": "tosca_definitions_version: tosca_2_0\nnode_types: {T: {}}\n"
    + "service_template:\n  node_templates:\n    a: {type: T, count: 1000000000}\n",
    "a-long-pattern": HEAD
    + "topology_template:\n  inputs:\n    x: {type: string, constraints: [{pattern: '(a+)+(a|a)*b'}], default: "
    + "a" * 5000
    + "}\n",
}


@pytest.mark.parametrize("case", CASES)
def test_it_ends(case: str) -> None:
    with limit(LIMIT_S):
        compile_entry(Changed(Folder(Path(__file__).parent), "large.yaml", CASES[case].encode()), "large.yaml")
