"""The lab, up once a session, or a cloud of one's own by OS_CLOUD. Every test in this folder is marked `real`."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meghdwar.driver import preflight
from tests.lab import STATE, packages, room
from tests.lab.place import CLOUDS, find
from tests.lab.scene import ARENA, MakeScene, Scene
from tests.lab.tenants import Tenants

HERE = Path(__file__).parent
OWN = os.environ.get("OS_CLOUD", "")
LABS = {*CLOUDS.values(), "lab-admin"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name.startswith("test_cloud"):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def lab() -> Iterator[Callable[[str], None]]:
    """Has the Heat of a cloud up, and the lab with it; what was down before is down afterwards."""
    if OWN and OWN not in LABS:
        yield lambda cloud: None
        return
    pytest.importorskip("openstack", reason="openstacksdk is not installed: pip install 'meghdwar[openstack]'")
    if os.geteuid():
        pytest.skip("the lab takes root; or name a cloud of yours with OS_CLOUD")
    if packages.missing():
        pytest.skip(f"the lab lacks packages: apt-get install {' '.join(packages.missing())}")
    place = find(STATE)
    was_up = place is not None and bool(room.holder(place))
    yield functools.cache(_up)
    if not was_up:
        subprocess.run([sys.executable, "-m", "tests.lab", "down"], check=False)


def _up(cloud: str) -> None:
    heat = next(heat for heat, name in CLOUDS.items() if name == cloud)
    more = [] if heat == "heat" else ["--heat", heat]
    STATE.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{STATE}.lock", "w") as turn:  # tests that run beside each other may each want another Heat
        fcntl.flock(turn, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-m", "tests.lab", "up", *more], check=False)
    assert done.returncode == 0, "the lab does not come up"
    place = find(STATE)
    assert place is not None
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(place.clouds)


@pytest.fixture
def tenants(lab: Callable[[str], None]) -> Iterator[Tenants]:
    """Makes projects and users, which takes the lab's administrator."""
    if OWN and OWN not in LABS:
        pytest.skip(f"OS_CLOUD names {OWN}: users and projects are made in a lab only")
    lab("lab")
    made = Tenants()
    yield made
    made.close()


@pytest.fixture
def scene_on(lab: Callable[[str], None], tmp_path: Path) -> Iterator[MakeScene]:
    """Makes the scene of a test on a cloud, and takes everything away that it made."""
    scenes: list[Scene] = []

    def make(cloud: str, release: str, descriptor: str = ARENA) -> Scene:
        if OWN and OWN not in LABS and cloud != "lab":
            pytest.skip(f"OS_CLOUD names {OWN}: which plug-in its Heat has is not known")
        lab(cloud)
        name = f"mdw-test-{os.getpid()}-{len(scenes)}"
        scene = Scene.make(OWN if OWN and cloud == "lab" else cloud, release, name, tmp_path, descriptor)
        if scene.cloud.name not in LABS and (lacks := preflight.check(scene.cloud, scene.bundle, name)):
            pytest.skip(f"{scene.cloud.name} has not what tests/lab/README.md says: {'; '.join(lacks)}")
        scenes.append(scene)
        return scene

    yield make
    for scene in scenes:
        scene.clear()
