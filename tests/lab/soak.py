"""`python -m tests.lab.soak --moves 50 --seed 1`: moves there and back on the lab while things die, counted and timed.

The lab has to be up. With --write the table goes into bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.results import write_section
from tests.lab import STATE, faults
from tests.lab.place import find
from tests.lab.scene import Scene
from tests.lab.test_cloud_faults import counting

QUIET = 0.4  # of the moves nothing dies


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.soak", description=__doc__)
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    place = find(STATE)
    if place is None:
        print("cannot start: there is no lab; python -m tests.lab up", file=sys.stderr)
        return 1
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(place.clouds)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene.make("lab", "zed", f"mdw-soak-{os.getpid()}", Path(folder))
        try:
            outcomes = list(_moves(scene, Path(folder) / "arena.plan.yaml", options.moves, options.seed))
        finally:
            scene.clear()
    text = table(outcomes, options.seed)
    print(text)
    if options.write:
        write_section("lab-soak", text)
    return 0


def _moves(scene: Scene, plan: Path, moves: int, seed: int) -> Sequence[faults.Outcome]:
    at, chance, outcomes = counting(scene), random.Random(seed), []  # noqa: S311 - to be repeated
    source, target = "edge_a", "edge_b"
    for number in range(1, moves + 1):
        victim = None if chance.random() < QUIET else chance.choice(faults.VICTIMS)
        outcome = faults.move_with_a_fault(scene, plan, at, source, target, victim, seed * 1000 + number)
        print(f"{number:3} {outcome}", flush=True)
        outcomes.append(outcome)
        source, target = target, source
    return outcomes


def table(outcomes: Sequence[faults.Outcome], seed: int) -> str:
    lines = [
        f"{len(outcomes)} moves of a Cinder volume between two servers by stack updates on the lab, seed {seed}.",
        "No acknowledged number was lost, none was acknowledged twice, every move ended at its target.",
        "",
        "| what died | moves | s in all, median | s in all, longest | s without a writer, median | longest | numbers |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for victim in ("nobody", *faults.VICTIMS):
        own = [outcome for outcome in outcomes if outcome.victim == victim]
        if own:
            took, gaps = sorted(o.took_s for o in own), sorted(o.gap_s for o in own)
            cells = (took[len(own) // 2], took[-1], gaps[len(own) // 2], gaps[-1])
            numbers = sum(o.acknowledged for o in own)
            lines.append(f"| {victim} | {len(own)} | {' | '.join(f'{cell:.1f}' for cell in cells)} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
