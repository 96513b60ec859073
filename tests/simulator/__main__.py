"""Plays many histories, a seed each, and says what went wrong in them and that no promise was broken.

python -m tests.simulator --seconds 60
python -m tests.simulator --histories 100000 --seed 7
python -m tests.simulator --replay 4711        one history, told call by call
python -m tests.simulator --seconds 600 --write   the table goes into bench/RESULTS.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from bench.results import machine, table, write_section
from tests.simulator.faults import FAULTS
from tests.simulator.history import play, script
from tests.simulator.shrink import shrink, told

BATCH = 500
SHOWN_MAX = 5


@dataclass(slots=True)
class Sum:
    """What came of many histories. `broken` is seed and promise."""

    histories: int = 0
    moves: int = 0
    calls: int = 0
    cpu_s: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    shapes: set[int] = field(default_factory=set)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Sum) -> None:
        self.histories += other.histories
        self.moves += other.moves
        self.calls += other.calls
        self.cpu_s += other.cpu_s
        self.fired += other.fired
        self.ends += other.ends
        self.shapes |= other.shapes
        self.broken += other.broken


def batch(first: int, count: int) -> Sum:
    whole, begun = Sum(histories=count), time.process_time()
    for seed in range(first, first + count):
        result = play(script(seed))
        whole.moves += result.moves
        whole.calls += result.calls
        whole.fired += result.fired
        whole.ends += result.ends
        whole.shapes |= result.shapes
        if result.broken:
            whole.broken.append((seed, result.broken))
    whole.cpu_s = time.process_time() - begun
    return whole


def many(first: int, histories: int | None, seconds: float | None, processes: int) -> Sum:
    """Stops after so many histories, or so many seconds, or when enough was broken."""
    whole, end = Sum(), time.monotonic() + (seconds if seconds is not None else float("inf"))
    batches = _batches(first, histories)
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(batch, *each) for _, each in zip(range(processes * 2), batches, strict=False)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                whole.add(each.result())
                if time.monotonic() < end and len(whole.broken) < SHOWN_MAX:
                    running |= {pool.submit(batch, *following) for following in [next(batches, None)] if following}
    return whole


def _batches(first: int, histories: int | None) -> Iterator[tuple[int, int]]:
    seed = first
    while histories is None or seed < first + histories:
        count = BATCH if histories is None else min(BATCH, first + histories - seed)
        yield seed, count
        seed += count


def report(whole: Sum, wall_s: float, processes: int) -> str:
    hour = whole.histories / wall_s * 3600
    rows = [
        ["histories", f"{whole.histories:,}"],
        [f"histories an hour, {processes} processes, this time", f"{hour:,.0f}"],
        ["cores that they were given", f"{whole.cpu_s / wall_s:.2f}"],
        ["histories an hour of CPU, of one core", f"{whole.histories / whole.cpu_s * 3600:,.0f}"],
        ["moves that ended", f"{whole.moves:,}"],
        ["calls of drivers", f"{whole.calls:,}"],
        ["faults", f"{whole.fired.total():,}"],
        ["different journals", f"{len(whole.shapes):,}"],
        ["promises broken", f"{len(whole.broken):,}"],
    ]
    faults = [[kind, f"{whole.fired[kind]:,}"] for kind in (*FAULTS, "late sighting", "duplicate sighting")]
    ends = [[end, f"{count:,}"] for end, count in sorted(whole.ends.items())]
    parts = (table(["what", "number"], rows), table(["fault", "times"], faults), table(["end", "times"], ends))
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, help="play for so long")
    parser.add_argument("--histories", type=int, help="play so many (10000 when neither is said)")
    parser.add_argument("--seed", type=int, default=0, help="of the first history (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="at once (%(default)s)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one, and tell it call by call")
    parser.add_argument("--whole", action="store_true", help="with --replay: as it is, not made smaller")
    parser.add_argument("--write", action="store_true", help="put the tables into bench/RESULTS.md")
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay, whole=options.whole)
    histories = options.histories or (None if options.seconds else 10_000)
    begun = time.monotonic()
    found = many(options.seed, histories, options.seconds, options.processes)
    text = report(found, time.monotonic() - begun, options.processes)
    print(text)
    for seed, broken in sorted(found.broken)[:SHOWN_MAX]:
        print(f"BROKEN by seed {seed}: {broken}\n  python -m tests.simulator --replay {seed}", file=sys.stderr)
    if options.write:
        command = f"`python -m tests.simulator --seconds {options.seconds:g} --write`" if options.seconds else "by hand"
        head = f"## Simulated moves\n\n{command} on {machine()}.\n\n"
        what = (
            "Whole lives of instances through the real steps and the real saga; docs/explanation/moves.md says what is "
        )
        write_section("simulator", f"{head}{what}judged.\n\n{text}")
    return 1 if found.broken else 0


def replay(seed: int, *, whole: bool) -> int:
    played = script(seed)
    broken = bool(play(played).broken)
    print(told(shrink(played) if broken and not whole else played))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
