"""Versions, imports in all their forms, profiles, repositories, namespaces, anchors and merge keys."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from meghdwar.compiler.documents import VERSIONS
from tests.compiler.language import V1, V2, codes, errors, topology

SERVER = "topology_template: {node_templates: {web: {type: tosca.nodes.Compute}}}\n"


# versions
@pytest.mark.parametrize("header", [v for v in VERSIONS if v != "tosca_2_0"])
def test_each_version_of_1_x_brings_its_types(header: str) -> None:
    assert errors(f"tosca_definitions_version: {header}\n{SERVER}") == []


def test_2_0_brings_no_types() -> None:
    template = "service_template: {node_templates: {web: {type: %s}}}\n"
    assert errors(V2 + template % "tosca.nodes.Compute") == ["MDW150"]
    profile = "imports: [{profile: 'org.oasis-open.simple:2.0'}]\n"
    assert errors(V2 + profile + template % "Compute") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SERVER, "MDW100"),
        ("tosca_definitions_version: tosca_simple_yaml_9\n" + SERVER, "MDW101"),
        ("tosca_definitions_version: [tosca_2_0]\n", "MDW101"),
        ("tosca_definitions_version:\n" + SERVER, "MDW100"),
        ("description: first\ntosca_definitions_version: tosca_2_0\n", "MDW100"),
        (V2 + "topology_template: {}\n", "MDW102"),
        (V1 + "service_template: {}\n", "MDW102"),
    ],
)
def test_a_version_that_cannot_be_read(text: str, code: str) -> None:
    assert code in errors(text)


# imports
TYPES = V1 + "node_types: {my.Host: {derived_from: tosca.nodes.Compute}}\n"
USE = "topology_template: {node_templates: {host: {type: %s}}}\n"


@pytest.mark.parametrize(
    ("imports", "name"),
    [
        ("[types.yaml]", "my.Host"),
        ("[{file: types.yaml}]", "my.Host"),
        ("[{my_types: types.yaml}]", "my.Host"),
        ("[{my_types: {file: types.yaml}}]", "my.Host"),
        ("[{file: types.yaml, namespace_prefix: own}]", "own:my.Host"),
        ("[{file: types.yaml, namespace_prefix: own, namespace_uri: 'http://own.example'}]", "own:my.Host"),
        ("[lib/up.yaml]", "my.Host"),
        ("[{file: types.yaml, repository: here}]", "my.Host"),
        ("[{file: deep.yaml, repository: lib}]", "my.Deep"),
        ("[types.yaml, types.yaml, lib/up.yaml]", "my.Host"),
    ],
)
def test_imports_of_1_x(imports: str, name: str) -> None:
    files = {
        "types.yaml": TYPES,
        "lib/up.yaml": V1 + "imports: [../types.yaml]\n",
        "lib/deep.yaml": V1 + "node_types: {my.Deep: {derived_from: tosca.nodes.Compute}}\n",
    }
    repositories = "repositories: {here: ., lib: {url: lib}}\n"
    assert errors(f"{V1}{repositories}imports: {imports}\n{USE % name}", files) == []


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ("[type.yaml]", ["MDW050"]),
        ("['https://types.example/t.yaml']", ["MDW051"]),
        ("[{file: t.yaml, repository: web}]", ["MDW051"]),
        ("['file:///etc/passwd']", ["MDW051"]),
        ("[/etc/passwd]", ["MDW050"]),
        ("[{file: t.yaml, repository: nobody}]", ["MDW053"]),
        ("[{fiel: t.yaml, repository: web}]", ["MDW102", "MDW103"]),
        ("{a: types.yaml}", ["MDW104"]),
        ("[[types.yaml]]", ["MDW104"]),
        ("[service.yaml]", ["MDW052"]),
        ("[round.yaml]", ["MDW052"]),
        ("[empty.yaml]", ["MDW003"]),
        ("[list.yaml]", ["MDW104"]),
    ],
)
def test_imports_that_fail(imports: str, found: list[str]) -> None:
    """And of a type that is not there nothing more is said than a warning: the import may have brought it."""
    files = {
        "types.yaml": TYPES,
        "round.yaml": V1 + "imports: [service.yaml]\n",
        "empty.yaml": "# nothing\n",
        "list.yaml": "- a\n",
    }
    text = f"{V1}repositories: {{web: 'https://types.example/'}}\nimports: {imports}\n{USE % 'my.Lost'}"
    assert sorted(errors(text, files)) == found
    assert "MDW150" in codes(text, files)


def test_what_a_deeper_import_may_have_brought_is_not_missed() -> None:
    files = {"a.yaml": V1 + "imports: [lost.yaml]\n"}
    assert errors(f"{V1}imports: [a.yaml]\n{USE % 'my.Lost'}", files) == ["MDW050"]
    assert errors(f"{V1}imports: [a.yaml]\n{USE % 'my.Lost'}", {"a.yaml": V1}) == ["MDW150"]


def test_files_that_import_each_other_are_read_once() -> None:
    files = {
        "a.yaml": V1 + "imports: [b.yaml]\nnode_types: {A: {derived_from: tosca.nodes.Root}}\n",
        "b.yaml": V1 + "imports: [a.yaml]\nnode_types: {B: {derived_from: A}}\n",
    }
    assert codes(f"{V1}imports: [a.yaml]\n{USE % 'B'}", files) == ["MDW057"]


def test_an_import_without_a_version_has_that_of_its_importer() -> None:
    files = {"types.yaml": TYPES.removeprefix(V1)}
    assert codes(f"{V1}imports: [types.yaml]\n{USE % 'my.Host'}", files) == ["MDW108"]


PROFILE = V2 + "profile: com.example.hosts:1.0\nnode_types: {Host: {}}\n"
USE_2 = "service_template: {node_templates: {host: {type: '%s'}}}\n"


@pytest.mark.parametrize(
    ("imports", "name"),
    [
        ("[hosts.yaml]", "Host"),
        ("[{url: hosts.yaml, description: d, metadata: {a: b}}]", "Host"),
        ("[/hosts.yaml]", "Host"),
        ("[{url: hosts.yaml, namespace: h}]", "h:Host"),
        ("[{profile: 'com.example.hosts:1.0'}]", "Host"),
        ("[{profile: 'com.example.hosts:1.0', namespace: h}]", "h:Host"),
        ("[{url: lib/more.yaml, namespace: more}]", "more:Bigger"),
        ("[{url: lib/more.yaml, namespace: more}]", "more:h:Host"),
        ("[{url: more.yaml, repository: lib}]", "Bigger"),
        ("[hosts.yaml, {url: lib/same.yaml, namespace: same}]", "same:Host"),
    ],
)
def test_imports_of_2_0(imports: str, name: str) -> None:
    files = {
        "hosts.yaml": PROFILE,
        "lib/more.yaml": f"{V2}imports: [{{url: ../hosts.yaml, namespace: h}}]\n"
        "node_types: {Bigger: {derived_from: 'h:Host'}}\n",
        "lib/same.yaml": V2 + "node_types: {Host: {}}\n",
    }
    assert errors(f"{V2}repositories: {{lib: lib}}\nimports: {imports}\n{USE_2 % name}", files) == []


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ("[{profile: com.example.lost}]", ["MDW054"]),
        ("[{url: lost.yaml}]", ["MDW050"]),
        ("[{url: 'https://types.example/t.yaml'}]", ["MDW051"]),
        ("[{namespace: h}]", ["MDW103"]),
        ("[{url: hosts.yaml, profile: 'com.example.hosts:1.0'}]", ["MDW102"]),
        ("[{url: hosts.yaml, namespace_prefix: h}]", ["MDW102"]),
        ("[hosts.yaml, same.yaml]", ["MDW055"]),
        ("[{url: 7}]", ["MDW050"]),
        ("hosts.yaml", ["MDW104"]),
    ],
)
def test_imports_of_2_0_that_fail(imports: str, found: list[str]) -> None:
    files = {"hosts.yaml": PROFILE, "same.yaml": V2 + "node_types: {Host: {}}\n"}
    assert errors(f"{V2}imports: {imports}\n", files) == found


# anchors
def test_dsl_definitions_are_merged() -> None:
    text = f"""{V1}
dsl_definitions:
  small: &small {{num_cpus: 1, mem_size: 1 GB}}
  big: &big {{<<: *small, num_cpus: 8}}
  system: &system {{type: linux}}
topology_template:
  node_templates:
    one:
      type: tosca.nodes.Compute
      capabilities: {{host: {{properties: *small}}, os: {{properties: {{<<: *system, distribution: debian}}}}}}
    two:
      type: tosca.nodes.Compute
      capabilities: {{host: {{properties: {{<<: [*big, *small], disk_size: 9 GB}}}}}}
"""
    made = topology(text).templates
    one, two = made["one"].capabilities, made["two"].capabilities["host"].properties
    assert one["host"].properties == {"num_cpus": 1, "mem_size": 10**9}
    assert one["os"].properties == {"type": "linux", "distribution": "debian"}
    assert two == {"num_cpus": 8, "mem_size": 10**9, "disk_size": 9 * 10**9}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("dsl_definitions: [a]", "MDW104"),
        ("dsl_definitions: {a: }", "MDW104"),
        ("dsl_definitions: {a: 7}", "MDW104"),
        ("description: *nowhere", "MDW007"),
        ("metadata: {<<: a}", "MDW010"),
    ],
)
def test_anchors_that_are_wrong(lines: str, code: str) -> None:
    assert errors(f"{V2}{lines}\n") == [code]


MISNAMED: Mapping[str, str] = {
    "": "MDW107", " ": "MDW107", "~": "MDW005", "{a: b}": "MDW005", "[]": "MDW005",
}  # fmt: skip


@pytest.mark.parametrize("name", MISNAMED)
def test_a_name_is_text(name: str) -> None:
    key = name if name[:1] in "~{[" and name.strip() else f'"{name}"'
    text = f"{V1}topology_template:\n  node_templates:\n    ? {key}\n    : {{type: tosca.nodes.Compute}}\n"
    assert errors(text) == [MISNAMED[name]]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("other.yaml", []),
        ("types/other.yaml", ["MDW050"]),  # as seen from the descriptor
        ("data/types/other.yaml", ["MDW050"]),  # as seen from above it
        ("data/lost.yaml", ["MDW150", "MDW050"]),
    ],
)
def test_imports_of_1_x_that_begin_at_another_folder(written: str, found: list[str]) -> None:
    text = V1 + "imports: [types/first.yaml]\ntopology_template: {node_templates: {a: {type: Other}}}\n"
    files = {
        "types/first.yaml": V1 + f"imports: [{written}]\n",
        "types/other.yaml": V1 + "node_types: {Other: {derived_from: tosca.nodes.Root}}\n",
    }
    assert codes(text, files) == found
    assert bool(errors(text, files)) is (written == "data/lost.yaml")
