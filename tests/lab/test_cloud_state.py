"""The counter on its Cinder volume: it goes on where it is moved to, and nothing that it acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meghdwar.driver import heat
from tests.lab.observer import Observer
from tests.lab.scene import Scene, get


@pytest.mark.parametrize(("cloud", "release"), [("lab", "zed"), ("lab-27-plugin", "plugin")])
def test_the_counter_goes_on(scene_on: Callable[[str, str], Scene], cloud: str, release: str) -> None:
    scene = scene_on(cloud, release)
    heat.create(scene.cloud, scene.bundle, scene.name, tell=print)
    picture, arena = heat.Picture(scene.cloud, scene.bundle, scene.name), scene.instance()
    at = {gateway: scene.floating(scene.server(gateway)) for gateway in ("edge_a", "edge_b")}
    for gateway in at:
        scene.until(f"{gateway} answers", lambda gateway=gateway: get(at[gateway], "/n")[0] in (200, 503))
    heat.place_all(picture, scene.bundle, [(arena, "edge_a")])
    scene.until("the counter counts", lambda: get(at["edge_a"], "/next")[0] == 200)

    last = 0
    for gateway in ("edge_b", "edge_a", "edge_b"):
        with Observer(list(at.values())) as observer:
            scene.timed(f"move to {gateway}", lambda gateway=gateway: picture.place(arena, gateway))
            scene.until("it counts there", lambda gateway=gateway: observer.answers_of(at[gateway]) > 5)
        print(f"without a writer for {observer.gap_s():.1f} s; {len(observer.numbers)} acknowledged")
        assert len(set(observer.numbers)) == len(observer.numbers), "two writers acknowledged the same number"
        assert sorted(observer.numbers) == observer.numbers
        assert observer.numbers[0] > last
        status, text = get(at[gateway], "/n")
        assert status == 200
        last = int(text)
        assert last >= observer.numbers[-1], "what was acknowledged is lost"
        others = [address for where, address in at.items() if where != gateway]
        assert {get(address, "/n")[0] for address in others} == {503}
    print(scene.times)
