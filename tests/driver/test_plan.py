"""From a bundle to instances: names, sizes and values that only an input or the stack knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.bundle import Bundle, BundleError, read, write
from meghdwar.compiler import compile_file
from meghdwar.driver.instance import Disk, Files
from meghdwar.driver.plan import edge_name, instance_name, wanted

EXAMPLES = Path(__file__).parents[2] / "tosca" / "examples"
HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [meghdwar.yaml]\ntopology_template:\n"
GATEWAYS = """
    here:
      type: meghdwar.nodes.EdgeGateway
      properties: {hypervisor: lxd, endpoint: "https://here.example:8443", certificate: {get_input: pin}}
    there:
      type: meghdwar.nodes.EdgeGateway
      properties: {hypervisor: lxd, flavor: small, image: edge, networks: [edge]}
"""
SIZED = (
    HEAD
    + """  inputs:
    size: {type: scalar-unit.size, default: 2 GiB}
    pin: {type: string}
    prefix: {type: string, default: "10.50.0"}
  node_templates:"""
    + GATEWAYS
    + """    notes:
      type: meghdwar.nodes.Cloudlet.Container
      properties:
        image: notes
        address: {concat: [{get_input: prefix}, ".7"]}
        environment: {BASE: {get_input: prefix}}
      requirements:
        - host: here
        - state: {node: pages, relationship: {type: meghdwar.relationships.Keeps, properties: {location: /data}}}
    pages: {type: meghdwar.nodes.StatefulVolume, properties: {size: {get_input: size}}}
  groups:
    edges: {type: meghdwar.groups.EdgeCluster, members: [here, there]}
"""
)


def compiled(folder: Path, text: str, name: str = "shop") -> Bundle:
    """The bundle of a descriptor, through its files, as the driver gets it."""
    (folder / f"{name}.tosca.yaml").write_text(text)
    result = compile_file(str(folder / f"{name}.tosca.yaml"))
    assert result.bundle is not None, [str(d) for d in result.diagnostics]
    write(result.bundle, folder)
    return read(folder / result.bundle.plan_file)


def test_the_example_has_one_instance_with_its_volume(tmp_path: Path) -> None:
    asked = wanted(compiled(tmp_path, (EXAMPLES / "arena.tosca.yaml").read_text(), "arena"))
    ((instance, host),) = asked.instances()
    assert (instance.name, host, asked.reach("arena")) == ("arena", "edge_a", ("edge_a", "edge_b"))
    assert instance.disks == (Disk("arena-saves", 100 * 2**20, "/data"),)
    assert asked.mobility["arena"].strategy == "precopy"


def test_an_input_counts_in_gib_where_the_plan_says_so(tmp_path: Path) -> None:
    bundle = compiled(tmp_path, SIZED)
    assert wanted(bundle, {"pin": "ab"}).instance("notes").disks[0].size_bytes == 2 * 2**30
    assert wanted(bundle, {"pin": "ab", "size": 3}).instance("notes").disks[0].size_bytes == 3 * 2**30


def test_texts_are_put_together(tmp_path: Path) -> None:
    instance = wanted(compiled(tmp_path, SIZED), {"pin": "ab", "prefix": "10.9.9"}).instance("notes")
    assert (instance.address, instance.environment) == ("10.9.9.7", {"BASE": "10.9.9"})


def test_what_a_gateway_lacks_is_left_to_its_operator(tmp_path: Path) -> None:
    gateways = wanted(compiled(tmp_path, SIZED)).gateways
    assert gateways["here"].certificate is None
    assert not gateways["there"].stands


def test_a_value_that_a_cloudlet_lacks_is_asked_for(tmp_path: Path) -> None:
    text = SIZED.replace('prefix: {type: string, default: "10.50.0"}', "prefix: {type: string}")
    with pytest.raises(BundleError, match=r"cannot use shop.plan.yaml: .*prefix.* has no value"):
        wanted(compiled(tmp_path, text))


def test_an_unknown_input_gets_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no input 'sise'.*size"):
        wanted(compiled(tmp_path, SIZED), {"sise": 3})


def test_each_subscriber_has_an_instance_with_state_of_its_own(tmp_path: Path) -> None:
    asked = wanted(
        compiled(tmp_path, (EXAMPLES / "arena-standing.tosca.yaml").read_text(), "arena"),
        {"edge_a_fingerprint": "ab" * 32, "edge_b_fingerprint": "cd" * 32},
    )
    assert list(asked.instances()) == []
    anna, bert = asked.instance("arena", "anna"), asked.instance("arena", "bert")
    assert anna.name != bert.name
    assert (anna.subscriber, anna.address) == ("anna", None)
    assert anna.files == (Files("score", ("/data/score", "/data/replay.log"), 4 * 2**20),)


# names
@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4))
def test_a_name_at_the_edge_fits_every_hypervisor(parts: list[str]) -> None:
    name = edge_name(*parts)
    assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", name), name
    assert edge_name(*parts) == name


@given(st.text(min_size=1, max_size=70), st.text(min_size=1, max_size=70))
def test_subscribers_never_share_a_name(one: str, other: str) -> None:
    same = instance_name("shop", "arena", one) == instance_name("shop", "arena", other)
    assert same == (one == other)


def test_names_are_as_short_as_they_can_be() -> None:
    assert instance_name("arena", "arena") == "arena"
    assert instance_name("shop", "edge_cache") == "shop-edge-cache"
    assert instance_name("shop", "arena", "anna").startswith("shop-arena-anna-")
