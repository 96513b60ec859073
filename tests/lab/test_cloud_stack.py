"""The whole life of the example on a real cloud, by the commands that a user types, with and without the plug-in.

The counter runs in a server and counts on its Cinder volume. Somebody outside counts all the time while it moves.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from meghdwar.driver import heat, preflight
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.operation import ENDED
from meghdwar.driver.senlin import Senlin
from tests.lab.observer import Observer
from tests.lab.scene import MakeScene, Scene, get

PATHS = [("lab", "zed"), ("lab-plugin", "plugin"), ("lab-27-plugin", "plugin")]


@pytest.mark.parametrize(("cloud", "release"), PATHS)
def test_a_life(scene_on: MakeScene, cloud: str, release: str) -> None:
    scene = scene_on(cloud, release)
    if cloud == "lab-plugin":
        scene.timed("up", scene.up)
    else:  # as somebody does who knows nothing of plans
        scene.timed("create", scene.stack_create)
        scene.timed("adopt", scene.adopt)
    assert sorted(node["name"] for node in scene.nodes()) == ["edge_a", "edge_b"]
    scene.note()
    at = scene.counting()
    for gateway in ("edge_b", "edge_a"):
        counted_move(scene, at, gateway)
    counted = int(get(at["edge_a"], "/n")[1])

    with scene.mdw.watching():
        assert scene.call("grow_receiver_channel") == 202
        scene.until("grow", lambda: [node["status"] for node in scene.nodes()].count("ACTIVE") == 3)
        joined = next(node["name"] for node in scene.nodes() if node["name"] not in at)
        scene.until("what joined is known", lambda: joined in scene.mdw.gateways())
        dies = "edge_b" if release == "plugin" else "edge_a"  # the gateway of nothing, and that of the arena
        lost = scene.server(dies)
        scene.lose(lost)
        scene.until("heal", lambda: healed(scene, dies, lost), 300)
        if release == "plugin":
            scene.timed("move to what was healed", lambda: scene.move(dies))
        at[dies] = scene.floating(scene.server(dies))
        scene.until("it counts there", lambda: get(at[dies], "/n") == (200, str(counted)), 300)
        scene.until("all is done", lambda: scene.mdw.newest().status in ENDED)
        scene.note()
        if release != "plugin":
            loses_its_gateway(scene, joined)

    scene.timed("down", scene.down)
    assert scene.left() == []
    assert len(scene.seen) >= 4  # two, one that was added, one that was made anew
    print(scene.times)


def counted_move(scene: Scene, at: dict[str, str], target: str) -> None:
    """Moves the arena; it goes on where it was, nothing acknowledged is lost, and nobody else writes."""
    last = max(int(text or 0) for status, text in (get(address, "/n") for address in at.values()))
    with Observer(list(at.values())) as observer:
        scene.timed(f"move to {target}", lambda: scene.move(target))
        scene.until("it counts there", lambda: observer.answers_of(at[target]) > 5)
    print(f"without a writer for {observer.gap_s():.1f} s; {len(observer.numbers)} acknowledged", flush=True)
    observer.check(last)
    status, text = get(at[target], "/n")
    assert status == 200
    assert int(text) >= observer.numbers[-1], "what was acknowledged is lost"
    assert {get(address, "/n")[0] for gateway, address in at.items() if gateway != target} == {503}
    assert scene.volume_at() == [scene.server(target)]
    assert scene.mdw.home("arena") == target
    assert heat.the(scene.cloud, scene.name, outputs=True).outputs["arena_at"] == target


def loses_its_gateway(scene: Scene, joined: str) -> None:
    """The arena goes to a gateway that joined, and somebody takes that away."""
    scene.timed("move to what joined", lambda: scene.move(joined))
    assert scene.volume_at() == [scene.server(joined)]
    node = Senlin(scene.cloud).node_of(scene.cluster(), joined)
    assert node is not None
    scene.cloud.ask("clustering", "DELETE", f"/nodes/{node['id']}")
    scene.until("what left is marked", lambda: "left" in scene.mdw.gateways()[joined])
    assert f"{joined} has left edges, and arena had its home there" in scene.mdw("fsck", status=1)


def healed(scene: Scene, gateway: str, lost: str) -> bool:
    """Whether the gateway has another server, and it runs."""
    server = scene.server(gateway)
    if server in (lost, ""):
        return False
    found = scene.cloud.ask("compute", "GET", f"/servers/{server}", missing=True)
    return bool(found) and found["server"]["status"] == "ACTIVE"


def test_a_heat_that_only_pretends_is_told_before_anything_is_made(scene_on: MakeScene) -> None:
    scene = scene_on("lab-27", "2024.1")
    problems = preflight.check(scene.cloud, scene.bundle, scene.name)
    assert len([p for p in problems if "keeps only its name" in p]) == 4
    assert all("plug-in" in problem for problem in problems if "OS::Senlin" in problem)


def test_what_the_cloud_lacks_is_told_all_at_once(scene_on: MakeScene) -> None:
    scene = scene_on("lab", "zed")
    template = scene.bundle.files[scene.bundle.template]
    for old, new in ((b"image: lab", b"image: lap"), (b": edge-2", b": edge-9"), (b"m1.tiny", b"m1.huge")):
        assert old in template
        template = template.replace(old, new)
    files = {**scene.bundle.files, scene.bundle.template: template}
    problems = "\n".join(preflight.check(scene.cloud, replace(scene.bundle, files=files), scene.name))
    assert "cannot find image 'lap'" in problems
    assert "cannot find zone 'edge-9'" in problems
    assert "cannot find flavor 'm1.huge'" in problems


def test_a_stack_of_another_plan_is_not_adopted(scene_on: MakeScene) -> None:
    scene, other = scene_on("lab", "zed"), scene_on("lab", "2024.1")
    template = {"heat_template_version": "2018-08-31", "outputs": {"meghdwar_plan": {"value": "sha256:0"}}}
    body = {"stack_name": scene.name, "template": template, "timeout_mins": 5}
    scene.cloud.ask("orchestration", "POST", "/stacks", body)
    with pytest.raises(CloudError, match="it is of another plan"):
        heat.adopt(scene.cloud, scene.bundle, scene.name)
    with pytest.raises(CloudError, match="cannot find stack"):
        heat.adopt(other.cloud, other.bundle, other.name)
