"""`python -m tests.lab.soak --moves 50 --seed 1`: moves there and back on the lab while things die, counted and timed.

The lab has to be up. It ends with the first promise that is broken, and with Ctrl-C sooner. With --write the table
goes into bench/RESULTS.md, into a section of its own for each set of victims. `--kill driver` leaves the services of
the lab alone, for a lab that others use too.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measured import percentile
from bench.results import machine, table, write_section
from meghdwar.driver.operation import COMPENSATED, COMPLETED
from tests.lab import STATE, faults, room
from tests.lab.place import find
from tests.lab.scene import Scene

QUIET = 0.25  # of the moves nothing dies
RELEASES = {"lab": "zed", "lab-plugin": "plugin", "lab-27-plugin": "plugin"}  # cloud -> what is compiled for it
WORDS = {
    "driver": "the driver",
    "heat-engine": "heat-engine",
    "nova-compute-source": "the nova-compute of the source",
}
HOWS = (COMPLETED, COMPENSATED)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.soak", description=__doc__)
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kill", action="append", choices=faults.VICTIMS, help="what dies, may be given again (each of them)"
    )
    parser.add_argument("--cloud", choices=RELEASES, default="lab", help="which Heat: stock, or with the plug-in")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    victims = tuple(victim for victim in faults.VICTIMS if victim in (options.kill or faults.VICTIMS))
    place = find(STATE)
    if place is None or not room.holder(place):
        print("cannot start: the lab is down; python -m tests.lab up", file=sys.stderr)
        return 1
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(place.clouds)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene.make(options.cloud, RELEASES[options.cloud], f"mdw-soak-{os.getpid()}", Path(folder))
        outcomes: list[faults.Outcome] = []
        try:
            for outcome in moves(scene, options.moves, options.seed, victims):
                outcomes.append(outcome)
            scene.down()
        except KeyboardInterrupt:
            print(f"ended after {len(outcomes)} moves", file=sys.stderr)
        finally:
            scene.clear()
    if not outcomes:
        print("cannot say anything: no move was made", file=sys.stderr)
        return 1
    text = section(outcomes, options.cloud, options.seed, victims)
    print(text)
    if options.write:
        write_section("lab-soak" if victims == faults.VICTIMS else f"lab-soak {' '.join(victims)}", text)
    return 0


def moves(scene: Scene, count: int, seed: int, victims: Sequence[str]) -> Iterator[faults.Outcome]:
    """Moves there and back, of which some lose something."""
    scene.up()
    at, chance, target = scene.counting(), random.Random(seed), "edge_b"  # noqa: S311 - to be repeated
    for number in range(1, count + 1):
        victim = None if chance.random() < QUIET else chance.choice(victims)
        outcome = faults.move_with_a_fault(scene, at, target, victim, seed * 1000 + number)
        print(f"{number:3} {outcome}", flush=True)
        yield outcome
        target = next(gateway for gateway in at if gateway != outcome.home)


def section(outcomes: Sequence[faults.Outcome], cloud: str, seed: int, victims: Sequence[str]) -> str:
    """What goes into bench/RESULTS.md."""
    rows, kills = [], "" if victims == faults.VICTIMS else "".join(f" --kill {victim}" for victim in victims)
    for victim in ("nobody", *victims):
        own = [outcome for outcome in outcomes if outcome.victim == victim]
        if own:
            took, gaps = [o.took_s for o in own], [o.gap_s for o in own]
            seconds = [percentile(took, 50), max(took), percentile(gaps, 50), max(gaps)]
            ended = [sum(o.ended == how for o in own) for how in HOWS]
            rows.append(
                [victim, *map(str, ended), *(f"{s:.1f}" for s in seconds), str(sum(o.acknowledged for o in own))]
            )
    head = ["what died", *HOWS, "s in all, p50", "max", "s without a writer, p50", "max", "numbers"]
    return "\n\n".join(
        [
            f"## A long run on a real OpenStack: {', '.join(victims)} killed",
            f"`python -m tests.lab.soak --cloud {cloud} --moves {len(outcomes)} --seed {seed}{kills} --write` on "
            f"{machine()}, load average {os.getloadavg()[2]:.0f}.",
            f"{len(outcomes)} moves of a counter between two servers of a stack, its state on a Cinder volume, while "
            f"{' or '.join(map(WORDS.__getitem__, victims))} is killed at a random point. Every move "
            "ended, no acknowledged number was lost or came twice: the run ends at the first that does.",
            table(head, rows),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
