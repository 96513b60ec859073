"""A move goes through whatever dies in its middle: the driver, Heat's engine, the compute service of the source."""

from __future__ import annotations

import os

import pytest

from tests.lab import faults
from tests.lab.place import CLOUDS
from tests.lab.scene import MakeScene

SEED = int(os.environ.get("MEGHDWAR_SEED", "1"))


def test_every_move_ends(scene_on: MakeScene) -> None:
    scene = scene_on("lab", "zed")
    if scene.cloud.name not in CLOUDS.values():
        pytest.skip(f"nobody kills the services of {scene.cloud.name}; it takes the lab")
    scene.up()
    at, target = scene.counting(), "edge_b"
    for victim in faults.VICTIMS:
        outcome = faults.move_with_a_fault(scene, at, target, victim, SEED)
        print(outcome, flush=True)
        target = next(gateway for gateway in at if gateway != outcome.home)
    scene.note()
    scene.down()
    assert scene.left() == []
