"""Moves between two `local` gateways: the gap that a subscriber sees who asks every 10 ms, by strategy and size."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from bench.measured import Lacking, Options, Row, Table
from meghdwar.compiler import compile_file
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.hypervisor import Access, Unbounded
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.operation import COMPLETED
from meghdwar.driver.router import Table as Routes

EXAMPLES = Path(__file__).parents[1] / "tosca" / "examples"
GATEWAYS = ("edge_a", "edge_b")
STRATEGIES = ("warm", "precopy", "cold")
PROMISED_S = 0.1  # the gap of a move on processes, p50
SETTLE_S = 0.3  # the subscriber is watched for this long before and after
# the example with its state in a file instead of on a volume
BY_FILES = {
    "        image: counter # a folder beside this file: images/counter\n": (
        "        image: counter\n        environment: {COUNTER_STATE: data, COUNTER_MAKES_STATE: 'yes'}\n"
    ),
    "      type: meghdwar.nodes.StatefulVolume\n": "      type: meghdwar.nodes.StateFiles\n",
    "        size: 16 MiB\n": "        paths: [/data/log]\n",
    "strategy: warm": "strategy: files",
}


def run(options: Options) -> Iterator[Table]:
    if not Path("/proc/self/stat").exists():
        raise Lacking("local gateways find their processes in /proc, which is not there")
    rows = [row for size in options.sizes for row in _by_volume(size, options)]
    rows.append(_by_files(options))
    yield Table(
        "Longest time between two answers round a move, for a subscriber who asks for the next number every 10 ms and "
        "follows the router's table; the whole driver with its journal in SQLite, two gateways on one disk.",
        ("state", "strategy"),
        tuple(rows),
        naive="stop, copy everything, start, by the same hypervisor without a journal",
    )


def _by_volume(size: int, options: Options) -> Iterator[Row]:
    with _edge(options, {}) as edge:
        edge.fill(size)
        naive = [edge.naive_gap() for _ in range(options.runs)]
        gaps: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
        for _ in range(options.runs):
            for strategy in STRATEGIES:
                gaps[strategy].append(edge.gap(strategy))
        for strategy in STRATEGIES:
            promised = PROMISED_S if strategy == "warm" else None
            yield Row((_words(size), strategy), tuple(gaps[strategy]), tuple(naive), p50_max=promised)


def _by_files(options: Options) -> Row:
    with _edge(options, BY_FILES) as edge:
        return Row(("its log", "files"), tuple(edge.gap("files") for _ in range(options.runs)))


def _words(size: int) -> str:
    return f"{size / 2**30:g} GiB" if size >= 2**30 else f"{size / 2**20:g} MiB"


class Edge:
    """Two gateways, a driver, the counter and a subscriber of it."""

    def __init__(self, folder: Path, driver: Driver, instance: Instance) -> None:
        self.folder, self.driver, self.instance = folder, driver, instance
        self._notes = folder / "notes"
        self._route = folder / "routes" / f"{instance.name}.json"

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """The longest gap that a subscriber saw meanwhile, put into the list."""
        self._notes.unlink(missing_ok=True)
        poll = [sys.executable, str(EXAMPLES / "subscriber.py"), "poll", "--table", str(self._route), str(self._notes)]
        found: list[float] = []
        with subprocess.Popen(poll) as subscriber:
            try:
                while not self._told():
                    time.sleep(0.02)
                time.sleep(SETTLE_S)
                yield found
                time.sleep(SETTLE_S)
            finally:
                subscriber.terminate()
        told = self._told()
        found.append(max(b["answered"] - a["answered"] for a, b in itertools.pairwise(told)))
        numbers = [each["number"] for each in told]
        if any(b <= a for a, b in itertools.pairwise(numbers)):
            raise AssertionError(f"a number came twice or went back, near {numbers[-1]}")

    def _told(self) -> list[dict[str, float]]:
        if not self._notes.exists():
            return []
        lines = [json.loads(line) for line in self._notes.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["number"] is not None]

    def ask(self, path: str) -> None:
        endpoint = json.loads(self._route.read_text())["endpoint"]
        with urlopen(f"http://{endpoint}{path}", timeout=120):
            pass

    def fill(self, size: int) -> None:
        """State beside the log: so many random bytes."""
        self.ask(f"/fill?{size}")

    def gap(self, strategy: str) -> float:
        home = self.driver.inventory.instance(self.instance.name).gateway
        with self.watched() as found:
            done = self.driver.move(self.instance.name, GATEWAYS[home == GATEWAYS[0]], strategy=strategy)
        if done.status != COMPLETED:
            raise AssertionError(f"{done.id} is {done.status}: {done.error}")
        return found[0]

    def naive_gap(self) -> float:
        """Stop, copy, start and point, with what no driver would leave out left out; then back again, unmeasured."""
        home = self.driver.inventory.instance(self.instance.name).gateway
        names = [str(home), *(name for name in GATEWAYS if name != home)]
        source, target = (self.driver.hypervisor(name, self.driver.inventory.applications()[0]) for name in names)
        claim = Unbounded(source.look(self.instance).epoch)
        target.hold(self.instance, claim, writer=True)
        target.define(self.instance, claim)
        router = Routes(str(self.folder / "routes"))
        with self.watched() as found:
            source.stop(self.instance, claim)
            for disk in self.instance.disks:
                target.copy_disk(self.instance, disk, source, claim, final=True)
                target.attach(self.instance, disk, claim)
            target.start(self.instance, claim)
            while not target.probe(self.instance):
                time.sleep(0.004)
            router.point(self.instance, target.gateway, None, target.endpoint(self.instance))
        target.stop(self.instance, claim)
        for disk in self.instance.disks:
            source.copy_disk(self.instance, disk, target, claim, final=True)
        target.remove(self.instance, claim)
        source.start(self.instance, claim)
        router.point(self.instance, source.gateway, None, source.endpoint(self.instance))
        while not source.probe(self.instance):
            time.sleep(0.004)
        return found[0]


@contextmanager
def _edge(options: Options, changes: Mapping[str, str]) -> Iterator[Edge]:
    folder = Path(tempfile.mkdtemp(prefix="meghdwar-move-", dir=options.folder))
    try:
        descriptor = (EXAMPLES / "arena-local.tosca.yaml").read_text()
        for old, new in changes.items():
            if old not in descriptor:
                raise AssertionError(f"the example has no {old!r} any more")
            descriptor = descriptor.replace(old, new)
        (folder / "arena-local.tosca.yaml").write_text(descriptor)
        bundle = compile_file(str(folder / "arena-local.tosca.yaml")).bundle
        if bundle is None:
            raise AssertionError("the example does not compile")
        opened = database.open(str(folder / "meghdwar.db"))
        driver = Driver(opened)
        for name in GATEWAYS:
            (folder / name).mkdir()
            opened.inventory.add_gateway(GatewayRecord(Access(name, "local", str(folder / name))))
        try:
            driver.up(bundle, router=f"table:{folder / 'routes'}", images=EXAMPLES / "images")
            yield Edge(folder, driver, opened.inventory.instances()[0].instance)
        finally:
            driver.down(bundle.name)
            driver.close()
            opened.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
