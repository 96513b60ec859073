"""CPU time and peak memory of compiling, ours beside tosca-parser and heat-translator, in one run.

    python bench/compile.py                       all sizes, with the peers
    python bench/compile.py --sizes hello,1000 --no-peers --runs 9
    python bench/compile.py --write               the table goes into bench/RESULTS.md

The peers live in an environment of their own under .cache, made at the first run. tosca-parser only reads and
checks; heat-translator and mdw-compile write a stack (mdw-compile its plan as well).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.results import machine, table, write_section  # noqa: E402

CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}  # byte code is kept, as everywhere
SIZES = ("hello", "10", "100", "1000", "5000", "20000")
HEAD = "tosca_definitions_version: tosca_simple_yaml_1_0\n\ntopology_template:\n  node_templates:\n"
COMPUTE = """    server_{n}:
      type: tosca.nodes.Compute
      capabilities:
        host:
          properties:
            num_cpus: {cpus}
            mem_size: {memory} MB
            disk_size: 10 GB
        os:
          properties:
            type: linux
            architecture: x86_64
            distribution: debian
            version: 12.0
"""
ATTACHED = """      requirements:
        - local_storage:
            node: storage_{n}
            relationship:
              type: tosca.relationships.AttachesTo
              properties:
                location: /srv/data
"""
STORAGE = """    storage_{n}:
      type: tosca.nodes.BlockStorage
      properties:
        size: {size} GB
"""


def descriptor(size: str) -> str:
    """The same text for the same size: servers, and from 10 on every second node a volume attached to one."""
    if size == "hello":
        return HEAD + COMPUTE.format(n=1, cpus=1, memory=512)
    parts = [HEAD]
    for n in range(int(size) // 2):
        parts.append(COMPUTE.format(n=n, cpus=1 + n % 4, memory=512 * (1 + n % 3)))
        parts.append(ATTACHED.format(n=n))
        parts.append(STORAGE.format(n=n, size=1 + n % 9))
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Run:
    cpu_s: float
    peak_mb: float


# A process starts its life with the memory peak of the one that made it, so a small one has to be in between.
LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as out:
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file=out)
"""


def measure(command: list[str], folder: str) -> Run:
    """User and system time of one process, and the most memory that it held."""
    log, usage = Path(folder) / "log", Path(folder) / "usage"
    launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, str(usage)]
    with log.open("wb") as out:
        done = [*launcher, *command]
        subprocess.run(done, cwd=folder, env=CLEAN, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True)
    status, cpu_s, peak_mb = usage.read_text().split()
    if status != "0":
        raise SystemExit(f"cannot measure: {' '.join(command)} ended with {status}:\n{log.read_text()[-2000:]}")
    return Run(float(cpu_s), float(peak_mb))


def ours(template: str, folder: str) -> list[str]:
    return [str(Path(sys.executable).parent / "mdw-compile"), "--target", "static", "-o", f"{folder}/out", template]


def peers() -> Mapping[str, Callable[[str, str], list[str]]]:
    from tests.oracle import venvs

    bin_ = venvs.python_of("peers").parent

    def parser(template: str, folder: str) -> list[str]:
        return [str(bin_ / "tosca-parser"), f"--template-file={template}"]

    def translator(template: str, folder: str) -> list[str]:
        write = f"--output-file={folder}/out.yaml"
        return [str(bin_ / "heat-translator"), f"--template-file={template}", "--template-type=tosca", write]

    return {"tosca-parser": parser, "heat-translator": translator}


def results(
    sizes: list[str], runs: int, tools: Mapping[str, Callable[[str, str], list[str]]]
) -> Iterator[tuple[str, str, Run]]:
    for size in sizes:
        for name, command in tools.items():
            with tempfile.TemporaryDirectory() as folder:
                template = f"{folder}/bench.tosca.yaml"
                Path(template).write_text(descriptor(size), encoding="utf-8")
                times = runs if name == "mdw-compile" else runs_of_peer(size, runs)
                if size == sizes[0]:
                    measure(command(template, folder), folder)  # so that byte code is there, as after an installation
                measured = [measure(command(template, folder), folder) for _ in range(times)]
            middle = Run(statistics.median(r.cpu_s for r in measured), statistics.median(r.peak_mb for r in measured))
            print(
                f"{size:>6} {name:<16} {middle.cpu_s:8.3f} s {middle.peak_mb:7.0f} MB ({times} runs)",
                file=sys.stderr,
                flush=True,
            )
            yield size, name, middle


def runs_of_peer(size: str, runs: int) -> int:
    """They take minutes at the top."""
    count = 1 if size == "hello" else int(size)
    return 1 if count > 5000 else min(runs, 2) if count > 1000 else min(runs, 3) if count > 100 else runs


def report(found: Mapping[tuple[str, str], Run], sizes: list[str], tools: list[str]) -> str:
    """Seconds of CPU / MB of memory, then how far we are ahead of each peer."""
    others = [name for name in tools if name != "mdw-compile"]
    head = ["nodes", "KB", *tools, *(f"x {name}" for name in others)]
    rows = []
    for size in sizes:
        mine = found[size, "mdw-compile"]
        cells = [f"{found[size, name].cpu_s:.2f} s / {found[size, name].peak_mb:.0f} MB" for name in tools]
        ratios = [f"{found[size, name].cpu_s / mine.cpu_s:.1f}" for name in others]
        rows.append([size, f"{len(descriptor(size)) / 1000:.0f}", *cells, *ratios])
    return table(head, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--sizes", default=",".join(SIZES), help="hello or numbers of nodes, with commas (%(default)s)")
    parser.add_argument(
        "--runs", type=int, default=5, help="how often each is measured; the median counts (%(default)s)"
    )
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure the peers too")
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    options = parser.parse_args()
    sizes = options.sizes.split(",")
    tools: dict[str, Callable[[str, str], list[str]]] = {"mdw-compile": ours}
    if options.peers:
        tools |= peers()
    found = {(size, name): run for size, name, run in results(sizes, options.runs, tools)}
    text = report(found, sizes, list(tools))
    print(text)
    if options.write:
        head = f"## Compiling\n\n`python bench/compile.py --write` on {machine()}.\n\n"
        what = f"CPU seconds (user and system) / peak memory, median of {options.runs} runs"
        write_section("compile", f"{head}{what} (fewer for the peers from 1000 nodes on).\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
