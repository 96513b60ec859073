"""One move in whose middle something dies, chosen by a seed, and what an outsider saw of it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.observer import Observer
from tests.lab.scene import Scene, get

VICTIMS = ("driver", "heat-engine", "nova-compute-source")
LATEST_S = 12.0  # after the beginning of a move


@dataclass(frozen=True)
class Outcome:
    victim: str
    after_s: float
    took_s: float
    gap_s: float
    acknowledged: int
    tries: str


def lab(act: str, *services: str) -> None:
    subprocess.run([sys.executable, "-m", "tests.lab", act, *services], check=True, timeout=300)


def move_with_a_fault(
    scene: Scene, plan: Path, at: dict[str, str], source: str, target: str, victim: str | None, seed: int
) -> Outcome:
    """Moves the arena while the victim dies once. Raises AssertionError when a promise is broken."""
    chance = random.Random(f"{seed} {victim}")  # noqa: S311 - to be repeated
    after_s, since = chance.uniform(0, LATEST_S), time.monotonic()
    argv = [sys.executable, "-m", "tests.lab.mover", scene.cloud.name, str(plan), scene.name, target]
    with Observer(list(at.values())) as observer:
        mover = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        if victim is not None:
            with suppress(subprocess.TimeoutExpired):
                mover.wait(after_s)
            mover = _kill(victim, source, mover, argv)
        told, _ = mover.communicate(timeout=900)
        assert mover.returncode == 0, told
        end = time.monotonic() + 60
        while not observer.answers_of(at[target]) > 3:
            assert time.monotonic() < end, f"nobody counts at {target}: {told}"
            time.sleep(0.2)
        took_s = time.monotonic() - since
    numbers = observer.numbers
    assert len(set(numbers)) == len(numbers), "two writers acknowledged the same number"
    assert sorted(numbers) == numbers, "a number came back"
    status, text = get(at[target], "/n")
    assert status == 200
    assert int(text) >= numbers[-1], "what was acknowledged is lost"
    assert scene.volume_at() == [scene.server(target)]
    return Outcome(victim or "nobody", after_s, took_s, observer.gap_s(), len(numbers), told.strip().splitlines()[-1])


def _kill(victim: str, source: str, mover: subprocess.Popen[str], argv: list[str]) -> subprocess.Popen[str]:
    """The mover that is to be waited for."""
    if victim == "driver":
        mover.kill()
        mover.communicate()
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    service = {"nova-compute-source": f"nova-compute-edge-{1 if source == 'edge_a' else 2}"}.get(victim, victim)
    lab("crash", service)
    time.sleep(3)
    lab("restart", service)
    return mover
