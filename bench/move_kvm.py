"""The gap of a live move between two real KVM gateways, as the application's callers see it who ask every 10 ms."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Thread

from bench.measured import Lacking, Options, Row, Table
from bench.subscriber import counting_on
from meghdwar.driver import database, router
from meghdwar.driver.control import WallClock
from meghdwar.driver.handoff import STEPS, NoStack, Scene
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Disk
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.kvm import Kvm
from meghdwar.driver.operation import COMPLETED, FAILED, Operation
from meghdwar.driver.saga import Act
from meghdwar.driver.saga import run as run_steps
from tests.contract.pairs import MissingError, eventually
from tests.hypervisors import libvirtd, network, processes
from tests.hypervisors.kvm import KvmPair, pair

GAP_P50_MAX = 0.4
RATIO_MIN = 5
NAIVE_RUNS_MAX = 5
MIB = 2**20
SPARE_BYTES = 64 * MIB  # for what a file system needs itself


class Caller:
    """Somebody beside the instance, at one gateway, who asks all the time; where it is not, nobody answers."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers: list[float] = []
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.answers.append(float(line.split()[0]))

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)


class Edge:
    """Two gateways, one virtual machine with a disk as full as asked, a caller at each, and a driver."""

    def __init__(self, scene: KvmPair, folder: Path, size: int) -> None:
        self.scene = scene
        name = f"bench-{size // MIB}"
        disk = Disk(f"{name}-data", size + size // 8 + SPARE_BYTES, "/data")
        self.instance = scene.instance(name, disks=(disk,))
        self.sides = (scene.source, scene.target)
        self.database = database.open(str(folder / f"{name}.db"))
        self.database.inventory.add_instance(InstanceRecord(self.instance))
        self.router = router.Table(str(folder / "routes"))
        self._number = 0
        self.totals: dict[str, list[float]] = {"live": [], "saved": []}
        self._operate("build", None, self.sides[0])
        self._fill(folder, size)
        lab = network.find(scene.state)
        assert lab is not None  # noqa: S101 - the pair has brought it up
        script = str(Path(__file__).with_name("subscriber.py"))
        asking = [sys.executable, script, self.instance.address or "", "80", "/n"]
        self.callers = [Caller(lab.inside(gateway, *asking)) for gateway in libvirtd.GATEWAYS]
        eventually(lambda: len(self.callers[0].answers) > 10, scene.patience_s)

    def close(self) -> None:
        for caller in self.callers:
            caller.close()
        self.database.close()
        self.scene.clean()

    def _fill(self, folder: Path, size: int) -> None:
        """Its disk gets a file system with that many random bytes, made here: the guest would take minutes."""
        with tempfile.TemporaryDirectory(dir=folder) as made:
            content, image = Path(made) / "content", Path(made) / "image"
            content.mkdir()
            with open(content / "fill", "wb") as file:
                for _ in range(size // MIB):
                    file.write(os.urandom(MIB))
            image.touch()
            os.truncate(image, self.instance.disks[0].size_bytes)
            processes.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", content, image], timeout_s=300)
            gateway = self.sides[0].gateway
            libvirtd.virsh(self.scene.state, gateway, "destroy", self.instance.name)
            volume = (
                libvirtd.pool(self.scene.state, gateway) / f"{self.instance.name}.{self.instance.disks[0].name}.raw"
            )
            processes.run(["cp", "--sparse=always", image, volume], timeout_s=300)
            libvirtd.virsh(self.scene.state, gateway, "start", self.instance.name)
            eventually(lambda: self.sides[0].probe(self.instance), self.scene.patience_s)

    def move(self, way: str) -> float:
        """Moves it to the other gateway, `live` or `saved`, while somebody writes; the gap in seconds."""
        source, target = self.sides
        acting = Kvm(replace(source.access, options={**source.access.options, "migration": way}))
        with closing(acting), self._counting_on():
            time.sleep(0.5)
            began = time.monotonic()
            self._operate("move", acting, target)
            self.totals[way].append(time.monotonic() - began)
            time.sleep(0.5)
            ended = time.monotonic()
        self.sides = (target, source)
        times = sorted(at for caller in self.callers for at in list(caller.answers))
        return max(b - a for a, b in pairwise(times) if began <= b <= ended)

    def _operate(self, kind: str, source: Kvm | None, target: Kvm) -> None:
        self._number += 1
        names = (source.gateway if source else None, target.gateway)
        instance, journal = self.instance, self.database.journal
        wanted = Operation(f"{kind}-{self._number}", kind, instance.application, instance.name, *names, "live")
        operation, claim = journal.begin(wanted, "bench")
        address, clock = target.access.address, WallClock()
        scene = Scene(operation, instance, source, target, address, self.router, NoStack(), journal, claim, clock)
        with journal.keep(claim):
            status = run_steps(operation.id, STEPS[kind], scene, journal, claim, _again)
        if status != COMPLETED:
            why = [entry.detail for entry in journal.entries(operation.id) if entry.phase == FAILED]
            raise RuntimeError(f"cannot measure a move that ended {status}: {why}")

    def _counting_on(self) -> AbstractContextManager[None]:
        """Wherever the counter is."""
        sides = list(self.sides)

        def ask_next() -> None:
            if self.scene.ask(sides[0], self.instance, "/next") is None:
                sides.reverse()

        return counting_on(ask_next)


def _again(act: Act[Scene], error: HypervisorError, tries: int) -> bool:
    return False  # a move that needs a second try is not what is measured


def run(options: Options) -> Iterable[Table]:
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="move-kvm-") as folder:
        try:
            scene = pair(Path(folder))
        except MissingError as error:
            raise Lacking(str(error)) from None
        with closing(scene):
            yield _table(scene, Path(folder), options)


def _table(scene: KvmPair, folder: Path, options: Options) -> Table:
    rows, notes = [], []
    for size in options.sizes:
        with closing(Edge(scene, folder, size)) as edge:
            live = tuple(edge.move("live") for _ in range(options.runs))
            naive = tuple(edge.move("saved") for _ in range(min(options.runs, NAIVE_RUNS_MAX)))
            rows.append(Row((f"{size // MIB} MiB", "live"), live, naive, GAP_P50_MAX, ratio_min=RATIO_MIN))
            live_s, saved_s = (median(edge.totals[way]) for way in ("live", "saved"))
            notes.append(f"{size // MIB} MiB: a whole move takes {live_s:.1f} s live and {saved_s:.1f} s the naive way")
    virt = scene.source.machine.virt
    return Table(
        what="The longest time without an answer of the application, asked every 10 ms beside it at both gateways, "
        f"around a move between two libvirt 9.0 with type={virt}, all on this machine; the counter goes on writing.",
        cases=("data disk", "strategy"),
        rows=tuple(rows),
        naive="save the memory, copy it and the disk, resume",
        notes=tuple(notes),
    )
