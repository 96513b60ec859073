"""Texts that look like numbers and are none, or none that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from meghdwar.compiler import compile_file

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  Thing:
    derived_from: tosca.nodes.Root
    properties:
      n: {{type: integer, required: false, constraints: [{{less_than: 10}}]}}
      f: {{type: float, required: false, constraints: [{{less_than: 10.0}}]}}
topology_template:
  node_templates:
    thing: {{type: Thing, properties: {{{given}}}}}
"""


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ('n: "3"', ["MDW231"]),
        ('n: " 3 "', ["MDW231"]),
        ('n: "--5"', ["MDW230"]),
        ('n: "+"', ["MDW230"]),
        ('n: "٣"', ["MDW230"]),
        (f'n: "{"9" * 5000}"', ["MDW230"]),
        (f"n: {'9' * 5000}", ["MDW230"]),
        (f"n: {'9' * 3000}", ["MDW207"]),
        ('f: "1e999999"', ["MDW231", "MDW207"]),
        ('f: "--1"', ["MDW230"]),
        (f"f: {'9' * 5000}", ["MDW207"]),
    ],
    ids=range(11),
)
def test_numbers(given: str, codes: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TEMPLATE.format(given=given), encoding="utf-8")
    found = compile_file(str(path), target="static", skip_unmapped=True).diagnostics
    assert sorted(d.rule.code for d in found if d.rule.code < "MDW300") == sorted(codes)
