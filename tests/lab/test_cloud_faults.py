"""A move goes through whatever dies in its middle: the driver, Heat's engine, the compute service of the source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from meghdwar.driver import heat
from tests.lab import faults
from tests.lab.scene import Scene, get

SEED = int(os.environ.get("MEGHDWAR_SEED", "1"))


def counting(scene: Scene) -> dict[str, str]:
    """The application is up at edge_a and counts; the addresses of both gateways."""
    heat.create(scene.cloud, scene.bundle, scene.name, tell=print)
    at = {gateway: scene.floating(scene.server(gateway)) for gateway in ("edge_a", "edge_b")}
    picture = heat.Picture(scene.cloud, scene.bundle, scene.name)
    heat.place_all(picture, scene.bundle, [(scene.instance(), "edge_a")])
    scene.until("the counter counts", lambda: get(at["edge_a"], "/next")[0] == 200)
    scene.until("the other waits", lambda: get(at["edge_b"], "/next")[0] == 503)
    return at


def test_every_move_ends(scene_on: Callable[[str, str], Scene], tmp_path: Path) -> None:
    scene = scene_on("lab", "zed")
    at, plan = counting(scene), tmp_path / "arena.plan.yaml"
    source, target = "edge_a", "edge_b"
    for victim in faults.VICTIMS:
        print(faults.move_with_a_fault(scene, plan, at, source, target, victim, SEED), flush=True)
        source, target = target, source
