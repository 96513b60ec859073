"""What is said of a descriptor as a whole: of imports that differ, of imported types that nobody uses, of the edge
although the language has errors too, and of secrets that are given."""

from __future__ import annotations

from pathlib import Path

from meghdwar.compiler import compile_file

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPE = HEAD + "node_types:\n  Thing:\n    derived_from: tosca.nodes.Root\n    properties: {{it: {{type: {it}}}}}\n"
TEMPLATE = HEAD + "imports: [{imports}]\ntopology_template:\n  node_templates:\n    thing: {{type: {type}}}\n"


def said(folder: Path, **files: str) -> list[tuple[str, str, str, int]]:
    """(code, severity, file, line) of all that is said of main.yaml, with the files beside it."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    found = compile_file(str(folder / "main.yaml"), target="static", skip_unmapped=True).diagnostics
    return [(d.rule.code, str(d.rule.severity), Path(d.span.file).name, d.span.line) for d in found]


def test_a_type_that_differs_between_two_imports_is_warned_of_where_the_second_one_is(tmp_path: Path) -> None:
    main = TEMPLATE.format(imports="one.yaml, two.yaml", type="tosca.nodes.Compute")
    one = TYPE.format(it="string")
    assert ("MDW055", "warning", "main.yaml", 2) in said(tmp_path, main=main, one=one, two=TYPE.format(it="integer"))
    assert "MDW055" not in {code for code, *_ in said(tmp_path, main=main, one=one, two=one)}


def test_a_mistake_in_an_imported_type_stands_in_the_way_only_where_the_type_is_used(tmp_path: Path) -> None:
    broken = TYPE.format(it="strnig")
    used = said(tmp_path, main=TEMPLATE.format(imports="one.yaml", type="Thing"), one=broken)
    unused = said(tmp_path, main=TEMPLATE.format(imports="one.yaml", type="tosca.nodes.Compute"), one=broken)
    assert ("MDW150", "error", "one.yaml", 5) in used
    assert ("MDW150", "warning", "one.yaml", 5) in unused


EDGE = """\
imports: [meghdwar.yaml]
topology_template:
  node_templates:
    north: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, zone: z, flavor: f}}
    south: {type: meghdwar.nodes.EdgeGateway, properties: {hypervisor: lxd, capacity: many, endpoint: "https://s:8443"}}
"""


def test_the_rules_of_the_edge_are_told_beside_errors_of_the_language(tmp_path: Path) -> None:
    found = said(tmp_path, main=HEAD + EDGE)
    assert ("MDW230", "error", "main.yaml", 6) in found  # a capacity that is no number
    assert ("MDW408", "error", "main.yaml", 5) in found  # a gateway without an image


def test_a_secret_that_is_given_stands_in_the_environment_alone(tmp_path: Path) -> None:
    path = tmp_path / "main.yaml"
    path.write_text(
        HEAD + "topology_template:\n  inputs: {db_password: {type: string}}\n  node_templates:\n"
        "    web: {type: tosca.nodes.Compute, metadata: {}}\n"
    )
    bundle = compile_file(str(path), target="static", inputs={"db_password": "hunter2"}).bundle
    assert bundle is not None
    assert [name for name, data in bundle.files.items() if b"hunter2" in data] == [bundle.environment]


def test_nothing_in_a_stack_follows_from_a_secret_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "main.yaml"
    path.write_text(
        HEAD + "topology_template:\n  inputs: {secret_number: {type: integer, default: 1}}\n  node_templates:\n"
        "    web:\n      type: tosca.nodes.Compute\n"
        "      capabilities: {host: {properties: {num_cpus: {get_input: secret_number}, mem_size: 1 GB}}}\n"
    )
    stacks = set()
    for number in (2, 7):
        bundle = compile_file(str(path), target="static", inputs={"secret_number": number}).bundle
        assert bundle is not None
        stacks.add(bundle.files[bundle.template])
    assert len(stacks) == 1
