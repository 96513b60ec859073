"""Ten gateways in one stack of a real OpenStack: how long it takes to bring them up, to move, and to take them down."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from bench.measured import Options, Row, Table
from bench.move_cloud import cloud, scene_of, timed
from tests.lab.scene import ARENA

MANY = 10


def run(options: Options) -> Iterable[Table]:
    with scene_of(cloud(), options, many()) as scene:
        up_s = timed(scene.up)
        last = f"edge_{MANY}"
        move_s = timed(lambda: scene.move(last))
        if scene.volume_at() != [scene.server(last)]:
            raise AssertionError(f"the volume is not at {last}")
        scene.note()
        down_s = timed(scene.down)
        left = scene.left()
        if left:
            raise AssertionError(f"left behind: {', '.join(left)}")
    rows = tuple(Row((case,), (took,)) for case, took in (("up", up_s), ("move", move_s), ("down", down_s)))
    yield Table(f"{MANY} gateways in one stack, each a server of its own; nothing is left at the end.", ("case",), rows)


def many() -> str:
    """The application with so many gateways, by turns in the zones of the two that it has."""
    document = yaml.safe_load(ARENA)
    nodes = document["topology_template"]["node_templates"]
    ends = [nodes.pop("edge_a"), nodes.pop("edge_b")]
    names = [f"edge_{number}" for number in range(1, MANY + 1)]
    for number, name in enumerate(names):
        end = ends[number % len(ends)]
        nodes[name] = {**end, "properties": {**end["properties"], "serves": [f"cell-{number + 1}"]}}
    nodes["arena"]["requirements"][0] = {"host": names[0]}
    edges = document["topology_template"]["groups"]["edges"]
    edges["members"], edges["properties"]["max_size"] = names, MANY + 2
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text
