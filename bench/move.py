"""What a move costs, measured: the gap that a subscriber sees on each hypervisor, and the driver's own work.

    python bench/move.py local                    processes, unprivileged
    python bench/move.py lxd --size 100M --size 1G --runs 20
    python bench/move.py coordination --write     the tables go into bench/RESULTS.md
    python bench/move.py simulator                the same as python -m tests.simulator --seconds 60

Each scenario is a module beside this one with `run(options) -> tables`. It measures the naive way in the same run.
Exit status: 0 it measured what was promised, 1 something promised was missed, 3 the machine lacks what it needs.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.measured import Lacking, Options, Table, missed, render  # noqa: E402
from bench.results import machine, write_section  # noqa: E402

MET, MISSED, LACKING = 0, 1, 3

# scenario -> (its module, the title of its section)
SCENARIOS: Mapping[str, tuple[str, str]] = {
    "local": ("bench.move_local", "Moving: processes"),
    "lxd": ("bench.move_lxd", "Moving: LXD"),
    "kvm": ("bench.move_kvm", "Moving: KVM"),
    "cloud": ("bench.move_cloud", "Moving: stacks of a real OpenStack"),
    "many": ("bench.many_gateways", "Ten gateways in one stack of a real OpenStack"),
    "coordination": ("bench.move_coordination", "Moving: the driver's own work"),
}
# what has a command of its own, which writes its own section
ELSEWHERE: Mapping[str, tuple[str, ...]] = {"simulator": ("-m", "tests.simulator", "--seconds", "60")}
Run = Callable[[Options], Iterable[Table]]
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def size(text: str) -> int:
    """100M -> 104857600. Raises ValueError for what is no size."""
    found = re.fullmatch(r"([0-9]{1,9})([KMG]?)", text)
    if found is None or not int(found[1]):
        raise ValueError(f"cannot read {text!r} as a size: it has to be like 100M or 1G")
    return int(found[1]) * UNITS[found[2]]


def many(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"cannot run {text!r} times: it has to be a number from 1 on")
    return int(text)


def scenario(name: str) -> Run:
    return cast(Run, importlib.import_module(SCENARIOS[name][0]).run)


def section(name: str, tables: Iterable[Table], command: str) -> str:
    head = f"## {SCENARIOS[name][1]}\n\n`{command}` on {machine()}.\n\n"
    return head + "\n\n".join(render(found) for found in tables)


def call(command: list[str]) -> int:
    return subprocess.call(command, cwd=ROOT)


def main(
    arguments: list[str] | None = None,
    *,
    find: Callable[[str], Run] = scenario,
    call: Callable[[list[str]], int] = call,
) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    add = parser.add_argument
    add("scenario", choices=[*SCENARIOS, *ELSEWHERE], help="what to measure")
    add("--runs", type=many, default=10, help="how often each case is measured (%(default)s)")
    add("--size", action="append", metavar="SIZE", help="of the state, such as 100M; may be given again")
    add("--folder", default=Options().folder, help="where it may make a folder of its own (%(default)s)")
    add("--seed", type=int, default=1, help="of what is random in it (%(default)s)")
    add("--write", action="store_true", help="put the tables into bench/RESULTS.md")
    options = parser.parse_args(arguments)
    if options.scenario in ELSEWHERE:
        own = [*ELSEWHERE[options.scenario], "--seed", str(options.seed), *(["--write"] if options.write else [])]
        return call([sys.executable, *own])
    try:
        sizes = tuple(size(text) for text in options.size or ()) or Options().sizes
    except ValueError as error:
        parser.error(str(error))
    asked = Options(runs=options.runs, sizes=sizes, folder=options.folder, seed=options.seed)
    try:
        tables = list(find(options.scenario)(asked))
    except Lacking as lacking:
        print(f"cannot measure {options.scenario}: {lacking}", file=sys.stderr)
        return LACKING
    given = [f"--runs {options.runs}", *(f"--size {each}" for each in options.size or ())]
    text = section(options.scenario, tables, " ".join(["python bench/move.py", options.scenario, *given, "--write"]))
    print(text)
    if options.write:
        write_section(f"move {options.scenario}", text)
    return MISSED if any(missed(found) for found in tables) else MET


if __name__ == "__main__":
    sys.exit(main())
