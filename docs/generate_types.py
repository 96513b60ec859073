"""Writes docs/reference/meghdwar-types.md and normative-types.md from the files in tosca/, so that they never lie.

Run it from anywhere: `python docs/generate_types.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TOSCA = ROOT / "tosca"
REFERENCE = ROOT / "docs" / "reference"

SECTIONS = {
    "node_types": "Node types",
    "group_types": "Group types",
    "policy_types": "Policy types",
    "data_types": "Data types",
    "relationship_types": "Relationship types",
    "capability_types": "Capability types",
    "interface_types": "Interface types",
    "artifact_types": "Artifact types",
}
VERSIONS = ("1_0", "1_1", "1_2", "1_3")
LIMITS = {
    "greater_or_equal": "at least {}",
    "greater_than": "more than {}",
    "less_or_equal": "at most {}",
    "less_than": "less than {}",
    "equal": "exactly {}",
    "pattern": "matches {}",
    "min_length": "{} or more long",
    "max_length": "{} or fewer long",
    "length": "{} long",
}

MEGHDWAR = """\
# The types of Meghdwar

Import them with `imports: [meghdwar.yaml]`; the file comes with the package. TOSCA 1.x and 2.0 know them by the same
names. This page is written by `docs/generate_types.py` from `tosca/meghdwar.yaml`."""
STANDARD = """\
# The types of the standard

Which types a template may use, by its `tosca_definitions_version`. In 1.x the `tosca.nodes.` in front may be left out
(`Compute`, `tosca:Compute`). TOSCA 2.0 has no types of its own: import the profile `org.oasis-open.simple:2.0`, and
they have the names of the last column.

Real files mix versions. So both spellings of block and object storage are known everywhere and are the same type, and
so are `tosca.capabilities.Container` and `tosca.capabilities.Compute`. Not of the standard, but known:
`tosca.nodes.network.FloatingIP`, `tosca.artifacts.Implementation.Ansible`, `tosca.artifacts.AnsibleGalaxy.role`,
`tosca.policies.Monitoring`, `tosca.policies.Reservation`, and the properties of `tosca.policies.Scaling`. The `size`
of block storage, the `name` of a database and the fields of NetworkInfo and PortInfo may be left out.

This page is written by `docs/generate_types.py` from the files in `tosca/`."""


@cache
def load(file: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((TOSCA / file).read_text(encoding="utf-8"))
    return data


# meghdwar.yaml
def meghdwar_types() -> str:
    """The page about every type in tosca/meghdwar.yaml."""
    library = load("meghdwar.yaml")
    known = {name for section in SECTIONS for name in library.get(section) or {}}
    lines = [MEGHDWAR]
    for section, title in SECTIONS.items():
        types = library.get(section)
        if types:
            lines += ["", f"## {title}"]
            for name, type_ in types.items():
                lines += ["", *about(name, type_, known)]
    return "\n".join(lines) + "\n"


def about(name: str, type_: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield type_["description"].strip()
    parent = type_.get("derived_from", "")
    if parent and not parent.endswith(".Root"):
        has = f" It has everything that {link(parent, known)} has." if parent in known else ""
        yield f"Derived from {link(parent, known)}.{has}"
    for key, words in (
        ("members", "Its members are"),
        ("targets", "It applies to"),
        ("valid_target_types", "It leads to"),
    ):
        if key in type_:
            yield f"{words} {', '.join(link(other, known) for other in type_[key])}."
    if type_.get("properties"):
        yield from table("Property", type_["properties"], known)
    if type_.get("attributes"):
        yield from ("", "| Attribute | Type | Meaning |", "|---|---|---|")
        for key, schema in type_["attributes"].items():
            yield f"| `{key}` | {kind(schema, known)} | {meaning(schema)} |"
    if type_.get("capabilities"):
        yield from ("", "| Capability | Type | Uses |", "|---|---|---|")
        for key, capability in type_["capabilities"].items():
            yield f"| `{key}` | {link(capability['type'], known)} | {count(capability)} |"
    if type_.get("requirements"):
        yield from ("", "| Requirement | Leads to | Relationship | How many |", "|---|---|---|---|")
        for item in type_["requirements"]:
            ((key, requirement),) = item.items()
            target = link(requirement.get("node", requirement["capability"]), known)
            relationship = link(requirement["relationship"], known)
            yield f"| `{key}` | {target} | {relationship} | {count(requirement)} |"


def table(title: str, properties: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    yield from ("", f"| {title} | Type | Default | Limits | Meaning |", "|---|---|---|---|---|")
    for key, schema in properties.items():
        yield f"| `{key}` | {kind(schema, known)} | {default(schema)} | {limits(schema)} | {meaning(schema)} |"


def kind(schema: Mapping[str, Any], known: set[str]) -> str:
    own = link(schema["type"], known)
    return f"{own} of {kind(schema['entry_schema'], known)}" if "entry_schema" in schema else own


def default(schema: Mapping[str, Any]) -> str:
    if "default" in schema:
        return f"`{plain(schema['default'])}`"
    return "" if schema.get("required") is False else "**required**"


def limits(schema: Mapping[str, Any]) -> str:
    own = [limit(operator, operand) for clause in schema.get("constraints", []) for operator, operand in clause.items()]
    each = limits(schema["entry_schema"]) if "entry_schema" in schema else ""
    return ", ".join([*own, *([f"each {each}"] if each else [])])


def limit(operator: str, operand: Any) -> str:
    if operator == "in_range":
        return f"{operand[0]} to {operand[1]}"
    if operator == "valid_values":
        return " ".join(f"`{value}`" for value in operand)
    if operator == "pattern":
        return LIMITS[operator].format(f"`{operand}`").replace("|", "\\|")
    return LIMITS[operator].format(operand)


def meaning(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).replace("|", "\\|")


def count(definition: Mapping[str, Any]) -> str:
    low, high = definition.get("occurrences", [1, 1])
    if high == "UNBOUNDED":
        return "any number" if low == 0 else f"{low} or more"
    return f"{low}" if low == high else f"{low} to {high}"


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {plain(item)}" for key, item in value.items()) + "}"
    return str(value)


def link(name: str, known: set[str]) -> str:
    if name not in known:
        return f"`{name}`" if "." in name else name
    anchor = name.lower().replace(".", "")
    return f"[{name.removeprefix('meghdwar.')}](#{anchor})"


# the standard
def normative_types() -> str:
    """The page about which type of the standard is known in which version."""
    since: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for version in VERSIONS:
        library = load(f"tosca_simple_yaml_{version}.yaml")
        for section in SECTIONS:
            for name in library.get(section) or {}:
                since[section].setdefault(name, version)
    simple = load("simple_profile_2_0.yaml")
    in_2_0: dict[str, list[str]] = {}
    for section in SECTIONS:
        for name, type_ in (simple.get(section) or {}).items():
            in_2_0.setdefault(type_["metadata"]["canonical"], []).append(name)
    lines = [STANDARD]
    for section, title in SECTIONS.items():
        lines += ["", f"## {title}", "", "| Type | 1.0 | 1.1 | 1.2 | 1.3 | 2.0 profile |", "|---|---|---|---|---|---|"]
        for name in sorted(since[section]):
            marks = ["x" if version >= since[section][name] else "" for version in VERSIONS]
            new = in_2_0.get(canonical(name, section), [])
            lines.append(f"| `{name}` | {' | '.join(marks)} | {', '.join(f'`{n}`' for n in new)} |")
        scalars = [
            (old, names) for old, names in in_2_0.items() if section == "data_types" and old.startswith("scalar-unit.")
        ]
        lines += [
            f"| `{old}` (built in) | x | x | x | x | {', '.join(f'`{n}`' for n in names)} |" for old, names in scalars
        ]
    for title, files in (
        (
            "NFV and MEC profiles",
            ("tosca_simple_profile_for_nfv_1_0_0.yaml", "tosca_simple_profile_for_mec_1_0_0.yaml"),
        ),
        (
            "ETSI NFV-SOL 001",
            (
                "etsi_nfv_sol001_common_types.yaml",
                "etsi_nfv_sol001_vnfd_types.yaml",
                "etsi_nfv_sol001_vnfd_types_2_7.yaml",
            ),
        ),
        ("ETSI MEC 037", ("MecAppDTypes.yaml",)),
    ):
        lines += ["", f"## {title}"]
        for file in files:
            lines += ["", f"`{file}`:", ""]
            for section, kind_ in SECTIONS.items():
                found = load(file).get(section)
                if found:
                    lines.append(f"- {kind_}: " + ", ".join(f"`{name}`" for name in sorted(found)))
    lines += [
        "",
        "## Names for imports",
        "",
        "These are found without a file beside the template.",
        "",
        "| Name | File |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | `{file}` |" for name, file in load("profiles.yaml").items()]
    return "\n".join(lines) + "\n"


def canonical(name: str, section: str) -> str:
    """The name under which the 2.0 profile knows a type of 1.x."""
    for version in reversed(VERSIONS):
        type_ = (load(f"tosca_simple_yaml_{version}.yaml").get(section) or {}).get(name)
        if type_ is not None:
            return str(type_.get("metadata", {}).get("canonical", name))
    return name


PAGES = {"meghdwar-types.md": meghdwar_types, "normative-types.md": normative_types}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (REFERENCE / page).write_text(write(), encoding="utf-8")
