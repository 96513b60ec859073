"""Gateways that stand, with LXD, and a stack that says where things are: one descriptor, both sides move together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meghdwar.driver import heat
from tests.contract.pairs import MissingError, eventually
from tests.hypervisors import lxd, lxd_pair
from tests.hypervisors.demonstration import arguments, descriptor
from tests.hypervisors.lxd_pair import LxdPair
from tests.lab.scene import MakeScene


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[LxdPair]:
    try:
        pair = lxd_pair.pair(tmp_path / "lxd")
    except MissingError as missing:
        pytest.skip(f"two real LXDs: {missing}")
    yield pair
    pair.clean()
    pair.close()


def test_both_sides_move_together(scene_on: MakeScene, gateways: LxdPair) -> None:
    address = gateways.lab.cloudlet(80)
    scene = scene_on("lab", "zed", descriptor("lxd", gateways.accesses, address, lxd.IMAGE))
    for name, access in zip(("edge_a", "edge_b"), gateways.accesses, strict=True):
        scene.mdw("gateway", "add", *arguments(name, access))
    scene.timed("up", lambda: scene.up("--router", f"iproute:{gateways.lab.namespace('core')}"))
    scene.note()
    subscriber, last = gateways.lab.namespace("subscriber"), 0
    try:
        for gateway in ("edge_b", "edge_a"):
            last = counted(subscriber, address, last)
            scene.timed(f"move to {gateway}", lambda gateway=gateway: scene.move(gateway))  # type: ignore[misc]
            assert scene.mdw.home("arena") == gateway
            assert heat.the(scene.cloud, scene.name, outputs=True).outputs["arena_at"] == gateway
            last = counted(subscriber, address, last)
    finally:
        scene.timed("down", scene.down)
    assert scene.left() == []


def counted(namespace: str, address: str, last: int) -> int:
    """The number after `last`, asked for where the subscriber is until somebody answers."""
    number = int(eventually(lambda: lxd_pair.ask(namespace, address, "/next", 2.0), 60))
    assert number > last, "what was acknowledged is lost"
    return number
