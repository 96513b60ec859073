"""The types that come with the package: every name in them leads somewhere, and none of the standard's is missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from meghdwar.compiler import grammar
from meghdwar.compiler.documents import library
from meghdwar.compiler.lower.scope import MOVABLE
from meghdwar.compiler.source import read
from meghdwar.compiler.types import resolve

TOSCA = Path(__file__).parents[2] / "tosca"
PROFILES: dict[str, str] = yaml.safe_load((TOSCA / "profiles.yaml").read_text())
FILES = sorted(path.name for path in TOSCA.glob("*.yaml") if path.name != "profiles.yaml")
SECTIONS = (
    "data_types", "artifact_types", "capability_types", "interface_types",
    "relationship_types", "node_types", "group_types", "policy_types",
)  # fmt: skip
PRIMITIVES = {
    "string", "integer", "float", "boolean", "timestamp", "version", "range", "list", "map", "scalar",
    "scalar-unit.size", "scalar-unit.time", "scalar-unit.frequency", "scalar-unit.bitrate",
}  # fmt: skip

# Every type of TOSCA Simple Profile in YAML 1.3, chapter 5, as it is spelt there.
NORMATIVE_1_3 = {
    "data_types": """
        tosca.datatypes.Root tosca.datatypes.json tosca.datatypes.xml tosca.datatypes.Credential
        tosca.datatypes.TimeInterval tosca.datatypes.network.NetworkInfo tosca.datatypes.network.PortInfo
        tosca.datatypes.network.PortDef tosca.datatypes.network.PortSpec""",
    "artifact_types": """
        tosca.artifacts.Root tosca.artifacts.File tosca.artifacts.Deployment tosca.artifacts.Deployment.Image
        tosca.artifacts.Deployment.Image.VM tosca.artifacts.Implementation tosca.artifacts.Implementation.Bash
        tosca.artifacts.Implementation.Python tosca.artifacts.template""",
    "capability_types": """
        tosca.capabilities.Root tosca.capabilities.Node tosca.capabilities.Compute tosca.capabilities.Network
        tosca.capabilities.Storage tosca.capabilities.Container tosca.capabilities.Endpoint
        tosca.capabilities.Endpoint.Public tosca.capabilities.Endpoint.Admin tosca.capabilities.Endpoint.Database
        tosca.capabilities.Attachment tosca.capabilities.OperatingSystem tosca.capabilities.Scalable
        tosca.capabilities.network.Bindable tosca.capabilities.network.Linkable""",
    "interface_types": """
        tosca.interfaces.Root tosca.interfaces.node.lifecycle.Standard tosca.interfaces.relationship.Configure""",
    "relationship_types": """
        tosca.relationships.Root tosca.relationships.DependsOn tosca.relationships.HostedOn
        tosca.relationships.ConnectsTo tosca.relationships.AttachesTo tosca.relationships.RoutesTo
        tosca.relationships.network.LinksTo tosca.relationships.network.BindsTo""",
    "node_types": """
        tosca.nodes.Root tosca.nodes.Abstract.Compute tosca.nodes.Compute tosca.nodes.SoftwareComponent
        tosca.nodes.WebServer tosca.nodes.WebApplication tosca.nodes.DBMS tosca.nodes.Database
        tosca.nodes.Abstract.Storage tosca.nodes.Storage.ObjectStorage tosca.nodes.Storage.BlockStorage
        tosca.nodes.Container.Runtime tosca.nodes.Container.Application tosca.nodes.LoadBalancer
        tosca.nodes.network.Network tosca.nodes.network.Port""",
    "group_types": "tosca.groups.Root",
    "policy_types": """
        tosca.policies.Root tosca.policies.Placement tosca.policies.Scaling tosca.policies.Update
        tosca.policies.Performance""",
}  # fmt: skip

# What a version has that the one before it has not.
NEW = {
    "1_1": {"tosca.datatypes.TimeInterval"},
    "1_2": {"tosca.datatypes.json", "tosca.datatypes.xml"},
    "1_3": {"tosca.artifacts.template"},
}
# Beside chapter 5: the spellings of 1.0 to 1.2, what real files use without a norm, and what has no type there.
BESIDE = {
    "tosca.nodes.BlockStorage",
    "tosca.nodes.ObjectStorage",
    "tosca.nodes.Container.Application.Docker",
    "tosca.nodes.network.FloatingIP",
    "tosca.capabilities.Container.Docker",
    "tosca.artifacts.Deployment.Image.Container.Docker",
    "tosca.artifacts.Deployment.Image.VM.ISO",
    "tosca.artifacts.Deployment.Image.VM.QCOW2",
    "tosca.artifacts.AnsibleGalaxy.role",
    "tosca.artifacts.Implementation.Ansible",
    "tosca.policies.Monitoring",
    "tosca.policies.Reservation",
}


@cache
def plain(file: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((TOSCA / file).read_text())
    return data


@cache
def names(file: str) -> dict[str, dict[str, Any]]:
    """Every type that a file may speak of, by section: its own, imported ones, and those of its version."""
    own = plain(file)
    above = [PROFILES.get(name, name) for name in own.get("imports", [])]
    library = PROFILES.get(own["tosca_definitions_version"])
    if library is not None and library != file and not file.startswith("tosca_simple"):
        above.append(library)
    found: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for other in above:
        for section, types in names(other).items():
            found[section].update(types)
    for section in SECTIONS:
        found[section].update(own.get(section) or {})
    return found


def all_names(file: str) -> set[str]:
    return {name for types in names(file).values() for name in types}


def references(file: str) -> Iterator[tuple[str, str, str]]:
    """(where, section, name) of every type that a file names."""
    for section in SECTIONS:
        for name, type_ in (plain(file).get(section) or {}).items():
            yield from type_references(f"{file} {name}", section, type_)


def type_references(where: str, section: str, type_: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "derived_from" in type_:
        yield f"{where} derived_from", section, type_["derived_from"]
    for part in ("properties", "attributes"):
        for name, schema in type_.get(part, {}).items():
            yield from schema_references(f"{where} {name}", schema)
    for name, capability in type_.get("capabilities", {}).items():
        yield f"{where} {name}", "capability_types", capability["type"]
        for source in capability.get("valid_source_types", capability.get("valid_source_node_types", [])):
            yield f"{where} {name}", "node_types", source
    for item in type_.get("requirements", []):
        ((name, requirement),) = item.items()
        for key, kind in (
            ("capability", "capability_types"),
            ("node", "node_types"),
            ("relationship", "relationship_types"),
        ):
            if key in requirement:
                yield f"{where} {name}", kind, requirement[key]
    for name, interface in type_.get("interfaces", {}).items():
        yield f"{where} {name}", "interface_types", interface["type"]
    for key, kind in (
        ("valid_target_types", "capability_types"),
        ("valid_capability_types", "capability_types"),
        ("valid_source_types", "node_types"),
        ("members", "node_types"),
    ):
        for name in type_.get(key, []):
            yield f"{where} {key}", kind, name
    for name in type_.get("targets", []):
        yield f"{where} targets", "group_types" if ".groups." in name else "node_types", name


def schema_references(where: str, schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield where, "data_types", schema["type"]
    if "entry_schema" in schema:
        yield from schema_references(where + " entry", schema["entry_schema"])


@pytest.mark.parametrize("file", FILES)
def test_keeps_to_the_grammar_of_its_version(file: str) -> None:
    node, diagnostics = read((TOSCA / file).read_bytes(), file)
    assert diagnostics == []
    assert node is not None
    major = "2" if node.map["tosca_definitions_version"].text == "tosca_2_0" else "1"
    assert [f"{d.span}: {d.message}" for d in grammar.check(node, "file", grammar.GRAMMARS[major])] == []


MEGHDWAR = "meghdwar.yaml"  # VDUs can move, and the files of NFV come only with those who have them


@pytest.mark.parametrize("file", FILES)
def test_every_name_leads_to_a_type(file: str) -> None:
    known = names(file)
    lost = [
        (where, name)
        for where, section, name in references(file)
        if name not in known[section] and not (section == "data_types" and name in PRIMITIVES)
    ]
    assert lost == [("meghdwar.yaml meghdwar.policies.Mobility targets", vdu) for vdu in MOVABLE if file == MEGHDWAR]


@pytest.mark.parametrize("file", FILES)
def test_the_compiler_resolves_every_type(file: str) -> None:
    types = [resolve(raw) for kind in library(file).scope.names.values() for raw in kind.values()]
    assert types
    for type_ in types:
        assert not type_.broken, type_.name
        schemas = [*type_.properties.items(), *type_.attributes.items()]
        assert [f"{type_.name} {name}" for name, schema in schemas if not schema.base] == []
        assert [f"{type_.name} {c.name}" for c in type_.capabilities.values() if c.type is None] == []
        assert [f"{type_.name} {i.name}" for i in type_.interfaces.values() if i.type is None] == []


@pytest.mark.parametrize("file", FILES)
def test_only_the_root_of_a_kind_has_no_parent(file: str) -> None:
    orphans = [
        name
        for section in SECTIONS
        for name, type_ in (plain(file).get(section) or {}).items()
        if "derived_from" not in type_ and name.rpartition(".")[2] != "Root"
    ]
    if file == "simple_profile_2_0.yaml":  # data types of 2.0 have no common root
        orphans = [name for name in orphans if name not in plain(file)["data_types"]]
    assert orphans == []


@pytest.mark.parametrize("file", FILES)
def test_a_type_is_not_its_own_ancestor(file: str) -> None:
    for types in names(file).values():
        for name in types:
            seen, here = {name}, types[name].get("derived_from")
            while here in types:
                assert here not in seen, f"{name} comes from itself"
                seen.add(here)
                here = types[here].get("derived_from")


@pytest.mark.parametrize("section", SECTIONS)
def test_1_3_is_complete(section: str) -> None:
    assert set(NORMATIVE_1_3[section].split()) - set(names("tosca_simple_yaml_1_3.yaml")[section]) == set()


def test_1_3_has_nothing_that_we_do_not_know_of() -> None:
    wanted = {name for text in NORMATIVE_1_3.values() for name in text.split()}
    assert all_names("tosca_simple_yaml_1_3.yaml") - wanted == BESIDE


@pytest.mark.parametrize(("version", "before"), [("1_1", "1_0"), ("1_2", "1_1"), ("1_3", "1_2")])
def test_each_version_has_its_own(version: str, before: str) -> None:
    now, then = all_names(f"tosca_simple_yaml_{version}.yaml"), all_names(f"tosca_simple_yaml_{before}.yaml")
    assert now - then == NEW[version]
    assert then <= now


# One type by two names: the compiler knows it by the second.
OTHER_NAMES = {
    "tosca.nodes.Storage.BlockStorage": "tosca.nodes.BlockStorage",
    "tosca.nodes.Storage.ObjectStorage": "tosca.nodes.ObjectStorage",
    "tosca.capabilities.Container": "tosca.capabilities.Compute",
}


@pytest.mark.parametrize("version", ["1_0", "1_1", "1_2", "1_3"])
def test_both_spellings_are_one_type(version: str) -> None:
    scope = library(f"tosca_simple_yaml_{version}.yaml").scope
    found = {}
    for kind in scope.names.values():
        found.update({name: resolve(raw) for name, raw in kind.items() if "canonical" in raw.node.section("metadata")})
    assert {name: type_.name for name, type_ in found.items()} == OTHER_NAMES
    for name, type_ in found.items():
        other = resolve(next(kind[OTHER_NAMES[name]] for kind in scope.names.values() if OTHER_NAMES[name] in kind))
        assert type_.derives(other)
        assert other.derives(type_)
        assert set(type_.properties) == set(other.properties)


def test_a_short_name_means_the_type_and_not_one_that_ends_alike() -> None:
    """`Compute` is looked up by the last word too, and the first type that has it counts."""
    nodes = list(names("tosca_simple_yaml_1_3.yaml")["node_types"])
    assert nodes.index("tosca.nodes.Compute") < nodes.index("tosca.nodes.Abstract.Compute")


def test_every_import_name_has_a_file() -> None:
    assert sorted({file for file in PROFILES.values() if not (TOSCA / file).is_file()}) == []
    assert set(FILES) == set(PROFILES.values())


def inherited(types: dict[str, Any], name: str, part: str) -> set[str]:
    """The names of the properties, capabilities ... of a type and its ancestors."""
    found: set[str] = set()
    here: str | None = name
    while here in types:
        own = types[here].get(part) or {}
        found |= set(own) if isinstance(own, dict) else {key for item in own for key in item}
        here = types[here].get("derived_from")
    return found


def canonical_pairs() -> Iterator[tuple[str, str, str]]:
    for section in SECTIONS:
        for name, type_ in plain("simple_profile_2_0.yaml")[section].items():
            yield section, name, type_["metadata"]["canonical"]


@pytest.mark.parametrize(("section", "name", "canonical"), list(canonical_pairs()))
def test_simple_profile_of_2_0_equals_1_3(section: str, name: str, canonical: str) -> None:
    new, old = plain("simple_profile_2_0.yaml")[section], names("tosca_simple_yaml_1_3.yaml")[section]
    if canonical in PRIMITIVES:
        assert new[name]["derived_from"] == "scalar"
        return
    not_in_2_0 = {"tosca_id", "tosca_name"} | ({"Standard"} if section == "group_types" else set())
    for part in ("properties", "attributes", "capabilities", "requirements", "interfaces"):
        assert inherited(new, name, part) - not_in_2_0 == inherited(old, canonical, part) - not_in_2_0, part


def test_simple_profile_of_2_0_is_complete() -> None:
    here = {canonical for _, _, canonical in canonical_pairs()}
    missing = all_names("tosca_simple_yaml_1_3.yaml") - here - BESIDE - set(OTHER_NAMES)
    assert missing == {"tosca.datatypes.Root"}


def test_scalar_units_count_the_canonical_unit() -> None:
    for name, type_ in plain("simple_profile_2_0.yaml")["data_types"].items():
        if type_.get("derived_from") == "scalar":
            assert type_["units"][type_["canonical_unit"]] == 1, name


def test_the_nfv_and_mec_profiles_have_the_same_shape() -> None:
    nfv, mec = (plain(f"tosca_simple_profile_for_{p}_1_0_0.yaml") for p in ("nfv", "mec"))
    for section in ("relationship_types", "node_types"):
        there = {name.replace(".mec.", ".nfv.").replace(".MEA", ".VNF") for name in mec[section]}
        assert there == set(nfv[section])


SOL001_NODES = """
    Cp VNF VnfExtCp Vdu.Compute Vdu.VirtualBlockStorage Vdu.VirtualObjectStorage Vdu.VirtualFileStorage VduCp
    VnfVirtualLink VipCp"""
SOL001_POLICIES = """
    InstantiationLevels VduInstantiationLevels VirtualLinkInstantiationLevels ScalingAspects VduScalingAspectDeltas
    VirtualLinkBitrateScalingAspectDeltas VduInitialDelta VirtualLinkBitrateInitialDelta AffinityRule AntiAffinityRule
    SecurityGroupRule SupportedVnfInterface"""


def test_sol001_is_complete() -> None:
    known = all_names("etsi_nfv_sol001_vnfd_types.yaml")
    wanted = {f"tosca.nodes.nfv.{name}" for name in SOL001_NODES.split()}
    wanted |= {f"tosca.policies.nfv.{name}" for name in SOL001_POLICIES.split()}
    assert wanted - known == set()


def test_sol001_from_2_7_on_and_mec_are_complete() -> None:
    known = all_names("MecAppDTypes.yaml")
    later = "Vdu.OsContainer Vdu.OsContainerDeployableUnit Mciop Vdu.Compute VduCp VNF"
    assert {f"tosca.nodes.nfv.{name}" for name in later.split()} <= known
    assert "tosca.nodes.mec.MecApp" in known
    assert len([name for name in known if name.startswith("tosca.datatypes.mec.")]) == 17
