"""Many gateways and many servers fit into a Heat with its default settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from meghdwar.compiler import Result, compile_file
from tests.oracle.conftest import heat22 as heat22
from tests.oracle.judge import Heat, Stack

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TEMPLATE_BYTES = 512 * 1024
REQUEST_BYTES = 1024 * 1024
RESOURCES = 1000


def edge(gateways: int, *, keeps: bool = True) -> str:
    """An arena on so many gateways; one that keeps nothing fits into a scaling group."""
    zone = "zone: edge-{n}, " if keeps else ""
    built = "hypervisor: lxd, " + zone + "serves: [cell-{n}], flavor: m1.small, image: edge-lxd, networks: [edge-net]"
    state = "{node: saves, relationship: {type: meghdwar.relationships.Keeps, properties: {location: /data}}}"
    strategy = "precopy" if keeps else "cold"
    lines = [
        "imports: [meghdwar.yaml]",
        "topology_template:",
        "  node_templates:",
        *(
            f"    edge_{n:03}: {{type: meghdwar.nodes.EdgeGateway, properties: {{{built.format(n=n)}}}}}"
            for n in range(gateways)
        ),
        "    arena:",
        "      type: meghdwar.nodes.Cloudlet.Container",
        "      properties: {image: cloudlet, ports: [80]}",
        "      requirements:",
        "        - host: edge_000",
        *([f"        - state: {state}"] if keeps else []),
        *(["    saves: {type: meghdwar.nodes.StatefulVolume, properties: {size: 1 GiB}}"] if keeps else []),
        "  groups:",
        "    edges:",
        "      type: meghdwar.groups.EdgeCluster",
        f"      members: [{', '.join(f'edge_{n:03}' for n in range(gateways))}]",
        "  policies:",
        f"    - follow: {{type: meghdwar.policies.Mobility, targets: [arena], properties: {{strategy: {strategy}}}}}",
        "    - heal: {type: meghdwar.policies.Health, targets: [edges]}",
    ]
    return HEAD + "\n".join(lines) + "\n"


def servers(number: int) -> str:
    host = "{host: {properties: {num_cpus: 1, mem_size: 1 GiB}}}"
    lines = [f"    server_{n}: {{type: tosca.nodes.Compute, capabilities: {host}}}" for n in range(number)]
    return HEAD + "topology_template:\n  node_templates:\n" + "\n".join(lines) + "\n"


def compiled(text: str, folder: Path, target: str, heat: str = "2024.1") -> Result:
    path = folder / "many.yaml"
    path.write_text(text, encoding="utf-8")
    return compile_file(str(path), target=target, heat=heat)


def fits(result: Result) -> int:
    """Fails when a stock Heat would not take it, and gives the number of its resources."""
    assert {item.rule.code for item in result.diagnostics} <= {"MDW522"}  # without Senlin nobody heals
    assert result.bundle is not None
    templates = {name: data for name, data in result.bundle.files.items() if name != result.bundle.environment}
    assert max(map(len, templates.values())) <= TEMPLATE_BYTES
    assert sum(map(len, templates.values())) <= REQUEST_BYTES
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return len(yaml.load(templates[result.bundle.template], loader)["resources"])  # noqa: S506 - a safe one


@pytest.mark.parametrize("number", [2, 10, 100, 300])
@pytest.mark.parametrize(("target", "heat"), [("senlin", "2024.1"), ("senlin", "plugin"), ("static", "2026.2")])
def test_gateways(number: int, target: str, heat: str, tmp_path: Path) -> None:
    found = fits(compiled(edge(number), tmp_path, target, heat))
    assert number < found <= RESOURCES


@pytest.mark.parametrize("number", [2, 10, 100, 300])
def test_gateways_in_a_group(number: int, tmp_path: Path) -> None:
    """However many they are, the stack names them once."""
    result = compiled(edge(number, keeps=False), tmp_path, "asg", "2026.2")
    assert fits(result) == 2


@pytest.mark.parametrize("target", ["senlin", "static", "asg"])
def test_servers(target: str, tmp_path: Path) -> None:
    assert fits(compiled(servers(1000), tmp_path, target)) == RESOURCES


def test_more_than_heat_takes_is_said(tmp_path: Path) -> None:
    result = compiled(servers(1001), tmp_path, "static")
    assert [item.rule.code for item in result.diagnostics] == ["MDW551"]
    assert result.bundle is not None


def stacks(folder: Path) -> Iterable[Stack]:
    for target, heat in (("senlin", "2024.1"), ("senlin", "plugin"), ("static", "2024.1")):
        bundle = compiled(edge(100), folder, target, heat).bundle
        assert bundle is not None
        environment = yaml.safe_load(bundle.files[bundle.environment])
        yield Stack(f"{target} {heat}", bundle.files[bundle.template].decode(), {}, environment)


@pytest.mark.real
def test_heat_takes_a_hundred_gateways(tmp_path: Path, heat22: Heat) -> None:
    for stack in stacks(tmp_path):
        verdict = heat22.judge_one(stack)
        assert verdict.accepted, str(verdict)
        assert verdict.resources > 100
