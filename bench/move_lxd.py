"""The gap of a move between two real LXDs, as a subscriber sees it who asks every 10 ms across network namespaces."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Thread

from bench.measured import Lacking, Options, Row, Table
from bench.subscriber import counting_on
from meghdwar.driver import database, router
from meghdwar.driver.control import WallClock
from meghdwar.driver.handoff import STEPS, NoStack, Scene
from meghdwar.driver.hypervisor import Claim, Hypervisor, HypervisorError
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import COMPLETED, DOING, DONE, Entry, Operation
from meghdwar.driver.saga import Act
from meghdwar.driver.saga import run as run_steps
from tests.contract.pairs import MissingError, eventually
from tests.hypervisors.lxd_pair import LxdPair, pair

# what was promised: strategy -> p50, p95 of the gap in seconds
PROMISED: Mapping[str, tuple[float, float | None]] = {"warm": (0.25, 0.5), "precopy": (0.7, None)}
RATIO_MIN: Mapping[int, float] = {100 * 2**20: 5, 2**30: 20}  # of warm to the naive way
NAIVE_RUNS_MAX = 5
IN_THE_GAP = ("pause", "transfer", "attach", "wake", "reroute")
MIB = 2**20


class Subscriber:
    """Somebody in the subscriber's namespace who asks all the time."""

    def __init__(self, scene: LxdPair, address: str) -> None:
        script = str(Path(__file__).with_name("subscriber.py"))
        command = scene.lab.inside("subscriber", sys.executable, script, address, "80", "/n")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers: list[tuple[float, int]] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            at, value = line.split()
            self.answers.append((float(at), int(value)))

    def gap(self, since: float, until: float) -> float:
        """The longest time between two answers of which the second came in this time."""
        times = [at for at, _ in self.answers]
        return max(b - a for a, b in pairwise(times) if since <= b <= until)

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)


class Edge:
    """Two gateways, one cloudlet whose state is as large as asked, a subscriber, and a driver with its journal."""

    def __init__(self, scene: LxdPair, folder: Path, size: int) -> None:
        self.scene = scene
        name = f"counter-{size // MIB}"
        disk = Disk(f"{name}-saves", size * 2 + 256 * MIB, "/data")
        self.instance: Instance = scene.instance(name, disks=(disk,))
        self.sides: tuple[Hypervisor, Hypervisor] = (scene.source, scene.target)
        self.database = database.open(str(folder / f"{name}.db"))
        self.database.inventory.add_instance(InstanceRecord(self.instance))
        self.router = router.make(f"iproute:{scene.lab.namespace('core')}")
        self._number = 0
        self.times: dict[str, list[float]] = {}
        self._operate("build", None, self.sides[0], "")
        self._write(f"/fill?{size}", patience_s=120)
        self.subscriber = Subscriber(scene, self.instance.address or "")
        eventually(lambda: len(self.subscriber.answers) > 10, 10)

    def close(self) -> None:
        self.subscriber.close()
        self.database.close()
        self.router.withdraw(self.instance)
        self.scene.clean()

    def move(self, strategy: str) -> float:
        """Moves it to the other gateway while somebody writes, and returns the gap in seconds."""
        source, target = self.sides
        with self._counting_on():
            time.sleep(0.3)
            began = time.monotonic()
            self._operate("move", source, target, strategy)
            gap = self._gap_since(began)
        self.sides = (target, source)
        return gap

    def move_naively(self) -> float:
        """Stop, copy it all, start, route: what everybody would write first."""
        source, target = self.sides
        instance = self.instance
        operation, claim = self._begin("move", source, target, "cold")  # for its epoch: what is done is our own
        target.hold(instance, claim, writer=True)
        target.define(instance, claim)
        began = time.monotonic()
        source.hold(instance, claim)
        source.stop(instance, claim)
        for disk in instance.disks:
            target.copy_disk(instance, disk, source, claim, final=True)
            target.attach(instance, disk, claim)
        target.start(instance, claim)
        eventually(lambda: target.probe(instance), 10)
        self.router.point(instance, target.gateway, self.scene.access(target).address, target.endpoint(instance))
        gap = self._gap_since(began)
        source.remove(instance, claim)
        self.database.journal.place(instance.name, target.gateway, claim)
        self.database.journal.end(operation.id, COMPLETED, [], claim)
        self.sides = (target, source)
        return gap

    def _gap_since(self, began: float) -> float:
        time.sleep(0.3)
        return self.subscriber.gap(began, time.monotonic())

    def _begin(
        self, kind: str, source: Hypervisor | None, target: Hypervisor, strategy: str
    ) -> tuple[Operation, Claim]:
        self._number += 1
        names = (source.gateway if source else None, target.gateway)
        instance = self.instance
        operation = Operation(f"{kind}-{self._number}", kind, instance.application, instance.name, *names, strategy)
        return self.database.journal.begin(operation, "bench")

    def _operate(self, kind: str, source: Hypervisor | None, target: Hypervisor, strategy: str) -> None:
        operation, claim = self._begin(kind, source, target, strategy)
        journal, clock, address = self.database.journal, WallClock(), self.scene.access(target).address
        scene = Scene(operation, self.instance, source, target, address, self.router, NoStack(), journal, claim, clock)
        with journal.keep(claim):
            status = run_steps(operation.id, STEPS[kind], scene, journal, claim, _again, self._clocked(strategy))
        if status != COMPLETED:
            raise RuntimeError(f"cannot measure a move that ended {status}: {journal.operation(operation.id).error}")

    def _clocked(self, strategy: str):  # type: ignore[no-untyped-def]
        begun: dict[str, float] = {}

        def tell(entry: Entry) -> None:
            if entry.phase == DOING:
                begun[entry.step] = time.monotonic()
            elif entry.phase == DONE:
                self.times.setdefault(f"{strategy} {entry.step}", []).append(time.monotonic() - begun[entry.step])

        return tell

    def _write(self, path: str, patience_s: float = 2.0) -> str | None:
        return self.scene.ask(self.sides[0], self.instance, path, timeout_s=patience_s)

    def _counting_on(self) -> AbstractContextManager[None]:
        """At the source, which is all that can be written to before the move is over."""
        return counting_on(lambda: self._write("/next"))

    def shares(self, strategy: str) -> str:
        parts = [f"{step} {median(self.times[f'{strategy} {step}']) * 1000:.0f}" for step in IN_THE_GAP]
        return ", ".join(parts)


def _again(act: Act[Scene], error: HypervisorError, tries: int) -> bool:
    time.sleep(0.05)
    return tries < 3


def run(options: Options) -> Iterable[Table]:
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="move-lxd-") as folder:
        try:
            scene = pair(Path(folder))
        except MissingError as error:
            raise Lacking(str(error)) from None
        with closing(scene):
            yield _table(scene, Path(folder), options)


def _table(scene: LxdPair, folder: Path, options: Options) -> Table:
    rows, notes = [], []
    for size in options.sizes:
        with closing(Edge(scene, folder, size)) as edge:
            naive = tuple(edge.move_naively() for _ in range(min(options.runs, NAIVE_RUNS_MAX)))
            for strategy, (p50, p95) in PROMISED.items():
                gaps = tuple(edge.move(strategy) for _ in range(options.runs))
                ratio = RATIO_MIN.get(size) if strategy == "warm" else None
                rows.append(Row((_mib(size), strategy), gaps, naive, p50, p95, ratio_min=ratio))
                notes.append(f"{_mib(size)}, {strategy}, median of each step in ms: {edge.shares(strategy)}")
    return Table(
        what="The longest time without an answer, for a subscriber who asks every 10 ms across network namespaces, "
        "around a move between two LXD 5.0 with btrfs, all on this machine; the counter goes on writing.",
        cases=("state", "strategy"),
        rows=tuple(rows),
        naive="stop, copy everything, start, route",
        notes=tuple(notes),
    )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
