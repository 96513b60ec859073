"""What a move by a stack update costs on a real OpenStack: above Heat's own update, without a writer, and beforehand.

The application is that of tests/lab: a counter in a server, which counts on its Cinder volume.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.measured import Lacking, Options, Row, Table
from meghdwar.driver import heat, preflight
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.control import Driver
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import COMPLETED
from meghdwar.driver.picture import Picture
from meghdwar.driver.plan import instance_name
from tests.lab import STATE, room
from tests.lab.observer import Observer
from tests.lab.place import CLOUDS, find
from tests.lab.scene import ARENA, Scene

ABOVE_MAX = 1.1  # a move, as a part of Heat's own update
GAP_MAX_S = 5.0
PREFLIGHT_MAX_S = 3.0
LOOK_S = 0.1  # how often Heat is asked whether its own update is done
ROUND = ("edge_b", "edge_a")  # there and back
RUNS_ALREADY = "by a driver that runs, as mdw watch and mdw serve do"
COMMAND = "by mdw move, which has to start and to log in"
NAIVE: Mapping[str, str] = {  # the same update, and nothing else
    RUNS_ALREADY: "the same update by plain requests, after which Heat is asked ten times a second whether it is done",
    COMMAND: "the same update by openstack stack update --existing --wait, which looks every five seconds",
}


def run(options: Options) -> Iterable[Table]:
    name = cloud()
    beforehand = Row(("two gateways",), tuple(_preflights(name, options)), p95_max=PREFLIGHT_MAX_S)
    with scene_of(name, options, ARENA) as scene:
        scene.up()
        at = scene.counting()
        updates: dict[str, list[float]] = {way: [] for way in NAIVE}
        took: dict[str, list[tuple[float, float]]] = {way: [] for way in NAIVE}
        with _driver(scene) as driver:
            moves = {RUNS_ALREADY: lambda target: _by(driver, target), COMMAND: scene.move}
            bare = {RUNS_ALREADY: lambda target: _update(scene, target), COMMAND: lambda target: _type(scene, target)}
            for _ in range(options.runs):
                for way in NAIVE:
                    updates[way] += [timed(partial(bare[way], target)) for target in ROUND]
                    took[way] += [_move(scene, at, target, moves[way]) for target in ROUND]
        scene.down()
    for way, naive in NAIVE.items():
        row = Row((way,), tuple(s for s, _ in took[way]), tuple(updates[way]), ratio_min=1 / ABOVE_MAX)
        yield Table("A move from its beginning to its end.", ("case",), (row,), naive=naive)
    gaps = tuple(gap for way in took.values() for _, gap in way)
    gap = Row(("a move",), gaps, p95_max=GAP_MAX_S)
    yield Table(
        "How long nobody writes in a move, as somebody outside sees it who asks all the time.", ("case",), (gap,)
    )
    yield Table("The pre-flight, with logging in.", ("case",), (beforehand,))


def cloud() -> str:
    """The cloud to measure on: that of OS_CLOUD, or the lab. Raises Lacking."""
    named = os.environ.get("OS_CLOUD")
    place = find(STATE)
    if place is not None and room.holder(place) and (not named or named in CLOUDS.values()):
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(place.clouds)
        return named or "lab"
    if not named:
        raise Lacking("no cloud: name one with OS_CLOUD, or bring the lab up: python -m tests.lab up")
    return named


@contextmanager
def scene_of(name: str, options: Options, descriptor: str) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        try:
            scene = Scene.make(name, "zed", f"mdw-bench-{os.getpid()}", Path(folder), descriptor)
        except CloudError as error:
            raise Lacking(str(error)) from None
        try:
            yield scene
        finally:
            scene.clear()


def timed(work: Callable[[], object]) -> float:
    since = time.monotonic()
    work()
    return time.monotonic() - since


def _preflights(name: str, options: Options) -> Iterator[float]:
    with scene_of(name, options, ARENA) as scene:
        for _ in range(options.runs):

            def look() -> None:
                problems = preflight.check(Cloud.connect(name), scene.bundle, scene.name)
                if problems:
                    raise Lacking("; ".join(problems))

            yield timed(look)


def _parameters(scene: Scene, gateway: str, stack: heat.Found) -> Mapping[str, Any]:
    arena = Instance(instance_name("arena", "arena"), "arena", "arena", "vm", "counter")
    return Picture(scene.cloud, scene.bundle, scene.name)._parameters([(arena, gateway)], stack)


def _type(scene: Scene, gateway: str) -> None:
    """What Heat does in a move, by the client that people use."""
    values = _parameters(scene, gateway, heat.the(scene.cloud, scene.name))
    words = [word for name, value in values.items() for word in ("--parameter", f"{name}={value}")]
    scene.openstack("stack", "update", "--existing", "--wait", *words, scene.name)


def _update(scene: Scene, gateway: str) -> None:
    """What Heat does in a move, and nothing else."""
    stack = heat.the(scene.cloud, scene.name)
    body = {"existing": True, "parameters": dict(_parameters(scene, gateway, stack))}
    scene.cloud.ask("orchestration", "PATCH", f"/stacks/{stack.path}", body)
    while (found := heat.the(scene.cloud, stack.path)).busy or found.state != "UPDATE_COMPLETE":
        if found.failed:
            raise AssertionError(found.reason)
        time.sleep(LOOK_S)


@contextmanager
def _driver(scene: Scene) -> Iterator[Driver]:
    """A driver that is logged in, with the memory of the scene's commands."""
    opened = scene.mdw.opened()
    driver = Driver(opened)
    driver.stacks.cloud(scene.cloud.name)
    try:
        yield driver
    finally:
        driver.close()
        opened.close()


def _by(driver: Driver, target: str) -> None:
    moved = driver.move("arena", target)
    if moved.status != COMPLETED:
        raise AssertionError(moved.error)


def _move(scene: Scene, at: dict[str, str], target: str, move: Callable[[str], object]) -> tuple[float, float]:
    """How long it took, and how long nobody wrote."""
    with Observer(list(at.values())) as observer:
        took_s = timed(lambda: move(target))
        scene.until("it counts there", lambda: observer.answers_of(at[target]) > 3)
    observer.check()
    return took_s, observer.gap_s()
