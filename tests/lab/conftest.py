"""The lab, up once a session, or a cloud of one's own by OS_CLOUD. Every test in this folder is marked `real`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import STATE, packages, room
from tests.lab.place import CLOUDS, find
from tests.lab.scene import Scene

HERE = Path(__file__).parent
OWN = os.environ.get("OS_CLOUD", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name.startswith("test_cloud"):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """The lab is up with every Heat; what was down before is down afterwards."""
    if OWN and OWN not in {*CLOUDS.values(), "lab-admin"}:
        yield
        return
    pytest.importorskip("openstack", reason="openstacksdk is not installed: pip install 'meghdwar[openstack]'")
    if os.geteuid():
        pytest.skip("the lab takes root; or name a cloud of yours with OS_CLOUD")
    if packages.missing():
        pytest.skip(f"the lab lacks packages: apt-get install {' '.join(packages.missing())}")
    place = find(STATE)
    was_up = place is not None and bool(room.holder(place))
    wanted = [word for heat in CLOUDS for word in ("--heat", heat)]
    done = subprocess.run([sys.executable, "-m", "tests.lab", "up", *wanted], check=False)
    assert done.returncode == 0, "the lab does not come up"
    place = find(STATE)
    assert place is not None
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(place.clouds)
    yield
    if not was_up:
        subprocess.run([sys.executable, "-m", "tests.lab", "down"], check=False)


@pytest.fixture
def scene_on(lab: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Scene]]:
    """Makes the scene of a test on a cloud, and takes everything away that it made."""
    scenes: list[Scene] = []

    def make(cloud: str, release: str) -> Scene:
        if OWN and OWN not in CLOUDS.values() and cloud != "lab":
            pytest.skip(f"OS_CLOUD names {OWN}: which plug-in its Heat has is not known")
        name = f"mdw-test-{os.getpid()}-{len(scenes)}"
        scenes.append(Scene.make(OWN if OWN and cloud == "lab" else cloud, release, name, tmp_path))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.clear()
