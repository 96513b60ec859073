"""The whole life of the example on a real cloud, with and without the plug-in: nothing of it is left at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meghdwar.driver import heat, preflight
from meghdwar.driver.cloud_api import CloudError
from tests.lab.scene import Scene

PATHS = [("lab", "zed"), ("lab-plugin", "plugin"), ("lab-27-plugin", "plugin")]


@pytest.mark.parametrize(("cloud", "release"), PATHS)
def test_a_life(scene_on: Callable[[str, str], Scene], cloud: str, release: str) -> None:
    scene = scene_on(cloud, release)
    problems = scene.timed("pre-flight", lambda: preflight.check(scene.cloud, scene.bundle, scene.name))
    assert problems == []

    scene.timed("create", scene.stack_create)
    scene.timed("adopt", lambda: heat.adopt(scene.cloud, scene.bundle, scene.name, print))
    assert sorted(node["name"] for node in scene.nodes()) == ["edge_a", "edge_b"]
    scene.timed("adopt again", lambda: heat.adopt(scene.cloud, scene.bundle, scene.name))
    assert len(scene.nodes()) == 2

    picture, arena = heat.Picture(scene.cloud, scene.bundle, scene.name), scene.instance()
    heat.place_all(picture, scene.bundle, [(arena, "edge_a")])
    assert scene.volume_at() == [scene.server("edge_a")]
    for gateway in ("edge_b", "edge_a"):
        told = picture.updates
        scene.timed(f"move to {gateway}", lambda gateway=gateway: picture.place(arena, gateway))
        assert scene.volume_at() == [scene.server(gateway)]
        assert heat.the(scene.cloud, scene.name, outputs=True).outputs["arena_at"] == gateway
        picture.place(arena, gateway)  # it is so already
        assert picture.updates == told + 1

    assert scene.call("grow_receiver_channel") == 202
    scene.until("grow", lambda: [node["status"] for node in scene.nodes()].count("ACTIVE") == 3)

    lost = scene.server("edge_b")
    scene.lose(lost)
    scene.until("heal", lambda: scene.server("edge_b") not in (lost, "") and _active(scene, "edge_b"), 300)
    # Senlin may heal it once more while Heat works on it
    scene.timed("move to what was healed", lambda: scene.move(picture, "edge_b"))
    scene.until("settle", lambda: _active(scene, "edge_b") and scene.volume_at() == [scene.server("edge_b")])

    assert len(scene.nodes()) == 3
    left = scene.timed("delete", lambda: heat.delete(scene.cloud, scene.bundle, scene.name, print))
    assert left == []
    assert len(scene.seen) >= 4  # two, one that was added, one that was made anew
    assert not scene.seen & scene.servers()
    assert heat.find(scene.cloud, scene.name) is None
    print(scene.times)


def _active(scene: Scene, gateway: str) -> bool:
    found = scene.cloud.ask("compute", "GET", f"/servers/{scene.server(gateway)}", missing=True)
    return bool(found) and found["server"]["status"] == "ACTIVE"


def test_a_heat_that_only_pretends_is_told_before_anything_is_made(scene_on: Callable[[str, str], Scene]) -> None:
    scene = scene_on("lab-27", "2024.1")
    problems = preflight.check(scene.cloud, scene.bundle, scene.name)
    assert len([p for p in problems if "keeps only its name" in p]) == 4
    assert all("plug-in" in problem for problem in problems if "OS::Senlin" in problem)


def test_what_the_cloud_lacks_is_told_all_at_once(scene_on: Callable[[str, str], Scene]) -> None:
    scene = scene_on("lab", "zed")
    template = scene.bundle.files[scene.bundle.template]
    for old, new in ((b"image: lab", b"image: lap"), (b": edge-2", b": edge-9"), (b"m1.tiny", b"m1.huge")):
        assert old in template
        template = template.replace(old, new)
    files = {**scene.bundle.files, scene.bundle.template: template}
    from dataclasses import replace

    problems = "\n".join(preflight.check(scene.cloud, replace(scene.bundle, files=files), scene.name))
    assert "cannot find image 'lap'" in problems
    assert "cannot find zone 'edge-9'" in problems
    assert "cannot find flavor 'm1.huge'" in problems


def test_a_stack_of_another_plan_is_not_adopted(scene_on: Callable[[str, str], Scene]) -> None:
    scene, other = scene_on("lab", "zed"), scene_on("lab", "2024.1")
    template = {"heat_template_version": "2018-08-31", "outputs": {"meghdwar_plan": {"value": "sha256:0"}}}
    body = {"stack_name": scene.name, "template": template, "timeout_mins": 5}
    scene.cloud.ask("orchestration", "POST", "/stacks", body)
    with pytest.raises(CloudError, match="it is of another plan"):
        heat.adopt(scene.cloud, scene.bundle, scene.name)
    with pytest.raises(CloudError, match="cannot find stack"):
        heat.adopt(other.cloud, other.bundle, other.name)
