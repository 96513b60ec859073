"""One move in whose middle something dies, chosen by a seed, and what an outsider saw of it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from meghdwar.driver.operation import ENDED
from tests.lab.observer import Observer
from tests.lab.place import CLOUDS
from tests.lab.scene import Scene, get

VICTIMS = ("driver", "heat-engine", "nova-compute-source")
LATEST_S = 10.0  # after a move was begun: about as long as one takes
DEAD_S = 3.0  # for so long a service is gone
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Outcome:
    """`after_s` after it was begun the victim died; `ended` is completed or compensated, `home` is where it was then,
    and `tries` is how many drivers it took."""

    victim: str
    after_s: float
    took_s: float
    gap_s: float
    acknowledged: int
    ended: str
    home: str
    tries: int


def lab(act: str, *services: str) -> None:
    subprocess.run([sys.executable, "-m", "tests.lab", act, *services], check=True, timeout=300)


def move_with_a_fault(scene: Scene, at: dict[str, str], target: str, victim: str | None, seed: int) -> Outcome:
    """Moves the arena while the victim dies once. Raises AssertionError when a promise is broken."""
    chance = random.Random(f"{seed} {victim}")  # noqa: S311 - to be repeated
    source = next(gateway for gateway in at if gateway != target)
    last = int(get(at[source], "/n")[1])
    before = scene.mdw.newest()
    after_s, since = chance.uniform(0, LATEST_S), time.monotonic()
    with Observer(list(at.values())) as observer:
        mover = scene.mdw.start("move", "arena", "--to", target)
        if victim is not None:
            scene.until("it is begun", lambda: scene.mdw.newest().id != before.id)
            with suppress(subprocess.TimeoutExpired):
                mover.wait(after_s)
            _kill(victim, scene.cloud.name, source, mover)
        said, _ = mover.communicate(timeout=PATIENCE_S)
        ended, tries = _ended(scene, said)
        home = target if ended == "completed" else source
        answered, end = observer.answers_of(at[home]), time.monotonic() + 60
        while observer.answers_of(at[home]) < answered + 3:
            assert time.monotonic() < end, f"nobody counts at {home}: {said}"
            time.sleep(0.2)
        took_s = time.monotonic() - since
    observer.check(last)
    status, text = get(at[home], "/n")
    assert status == 200
    assert int(text) >= observer.numbers[-1], "what was acknowledged is lost"
    assert scene.mdw.home("arena") == home
    assert scene.volume_at() == [scene.server(home)]
    return Outcome(victim or "nobody", after_s, took_s, observer.gap_s(), len(observer.numbers), ended, home, tries)


def _kill(victim: str, cloud: str, source: str, mover: subprocess.Popen[str]) -> None:
    if victim == "driver":
        mover.kill()
        return
    engines = {cloud: f"{heat}-engine" for heat, cloud in CLOUDS.items()}
    host = {"edge_a": "edge-1", "edge_b": "edge-2"}[source]
    service = engines[cloud] if victim == "heat-engine" else f"nova-compute-{host}"
    lab("crash", service)
    time.sleep(DEAD_S)
    lab("restart", service)


def _ended(scene: Scene, said: str) -> tuple[str, int]:
    """How the newest operation ended, and how many drivers it took: one that waits, or whose driver died, is
    resumed."""
    end, tries = time.monotonic() + PATIENCE_S, 1
    while (newest := scene.mdw.newest()).status not in ENDED:
        assert time.monotonic() < end, f"{newest} does not end: {said}"
        tries += 1
        scene.mdw.start("resume", newest.id, "--wait").communicate(timeout=PATIENCE_S)
    return newest.status, tries
