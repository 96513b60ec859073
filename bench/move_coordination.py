"""The driver's own work in a move: the journal, the inventory and the decisions, at gateways where nothing has to be
done; with few subscribers and with many, and everything that was ever moved still in the journal."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bench.measured import Options, Row, Table, percentile
from meghdwar.compiler import compile_file
from meghdwar.driver import database
from meghdwar.driver.control import Driver, WallClock
from meghdwar.driver.database import Database
from meghdwar.driver.follow import Noted
from meghdwar.driver.handoff import MOVE, NoStack, Scene
from meghdwar.driver.hypervisor import Access, Capabilities, Claim, Copied, Cost, Power, Seen
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.observers import Observer
from meghdwar.driver.operation import COMPLETED, Operation
from meghdwar.driver.plain import to_text
from meghdwar.driver.plan import Wanted
from meghdwar.driver.router import Nowhere
from meghdwar.driver.saga import run as run_saga
from meghdwar.driver.stream import read
from meghdwar.driver.tables import entries, instances, operations
from meghdwar.driver.watch import Watch
from tests import postgresql

GATEWAYS = 20
CAPACITY = 2000  # of each: it is counted at every move
SUBSCRIBERS = (100, 1_000, 10_000)
PROMISED = 100.0  # moves a second on SQLite
BATCH = 100  # moves for one number
WATCHED = 5000  # sightings for one number
STEPS = ("stage", "fence", "pause", "transfer", "attach", "wake", "reroute", "settle", "retire")

DESCRIPTOR = """
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [meghdwar.yaml]
topology_template:
  node_templates:
{gateways}
    arena:
      type: meghdwar.nodes.Cloudlet
      properties: {{image: counter, instances: per_subscriber, ready: {{command: [check]}}}}
      requirements:
        - host: edge_0
        - state: {{node: saves, relationship: {{type: meghdwar.relationships.Keeps, properties: {{location: /data}}}}}}
    saves: {{type: meghdwar.nodes.StatefulVolume, properties: {{size: 1 MiB}}}}
  groups:
    edges: {{type: meghdwar.groups.EdgeCluster, members: [{names}]}}
  policies:
    - follow: {{type: meghdwar.policies.Mobility, targets: [arena], properties: {{strategy: warm, hysteresis: 0 s}}}}
"""


class Nothing:
    """A gateway that does nothing, at once, and says that it is so."""

    capabilities = Capabilities("local", {"warm": Cost(0.0)}, "atomic", "content", True)

    def __init__(self, access: Access) -> None:
        self.gateway = access.gateway

    def look(self, instance: Instance) -> Seen:
        return Seen(instance.name, Power.STOPPED)

    def probe(self, instance: Instance) -> bool:
        return True

    def endpoint(self, instance: Instance) -> str:
        return "127.0.0.1:80"

    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return instance.disks

    def copy_disk(self, instance: Instance, disk: Disk, source: Any, claim: Claim, *, final: bool = False) -> Copied:
        claim.check()
        return Copied(0, "0" * 64)

    def pause(self, instance: Instance, claim: Claim) -> str:
        claim.check()
        return "signals"

    def close(self) -> None:
        return

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._nothing

    def _nothing(self, *given: Any, **named: Any) -> None:
        return


def run(options: Options) -> Iterator[Table]:
    folder = Path(tempfile.mkdtemp(prefix="meghdwar-coordination-", dir=options.folder))
    try:
        rows = list(_on("SQLite", lambda name: f"sqlite:///{folder}/{name}.db", options))
        notes = [*_flat(rows), _disk(folder)]
        taken_in = [_taken_in("SQLite", f"sqlite:///{folder}/watched.db", options)]
        try:
            with postgresql.running() as server:
                rows += _on("PostgreSQL", lambda name: server.database(), options)
                taken_in.append(_taken_in("PostgreSQL", server.database(), options))
        except postgresql.MissingError as missing:
            notes.append(f"PostgreSQL was left out: {missing}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield Table(
        f"Moves a second through {GATEWAYS} gateways that do nothing, in batches of {BATCH}. Every subscriber has an "
        "instance that was moved before, and each of the 12 commits of a move is on the disk before the next step. "
        "`steps`: the claim, the saga with its nine steps, the journal. `mdw move`: all that the command does, with "
        "capacities and strategies looked up. `sighting`: a subscriber is seen in the cell of the next gateway.",
        ("database", "subscribers", "what", "at once"),
        tuple(rows),
        unit="moves/s",
        more_is_better=True,
        notes=tuple(notes),
    )
    yield Table(
        f"Sightings a second that `mdw watch` takes in: {WATCHED} in a file, of subscribers who have an instance "
        "each and are seen where it is. Each is on the disk before anything follows from it.",
        ("database", "subscribers"),
        tuple(taken_in),
        unit="sightings/s",
        more_is_better=True,
    )


def _taken_in(name: str, url: str, options: Options) -> Row:
    number = max(SUBSCRIBERS)
    with _site(url, number) as site:
        site.watch(number)  # nobody is seen for the first time
        return Row((name, f"{number}"), tuple(site.watch(WATCHED) for _ in range(options.runs)))


def _on(name: str, url: Callable[[str], str], options: Options) -> Iterator[Row]:
    """One thread with more and more subscribers, and with the most of them several threads and processes."""
    promised = PROMISED if name == "SQLite" else None
    for number in SUBSCRIBERS:
        where = url(f"of{number}")
        with _site(where, number) as site:
            yield Row((name, f"{number}", "steps", "1"), site.rates(site.saga, options.runs), p50_min=promised)
            yield Row((name, f"{number}", "mdw move", "1"), site.rates(site.move, options.runs))
            yield Row((name, f"{number}", "sighting", "1"), site.rates(site.sight, options.runs))
            if number == max(SUBSCRIBERS):
                yield Row((name, f"{number}", "steps", "4 threads"), site.rates(site.saga, options.runs, threads=4))
                yield Row((name, f"{number}", "steps", "2 processes"), _two_processes(where, number, options.runs))


def _flat(rows: Sequence[Row]) -> Iterator[str]:
    for what in ("steps", "mdw move", "sighting"):
        rates = [percentile(row.values, 50) for row in rows if row.case[2:] == (what, "1")]
        yield (
            f"{what}: with {SUBSCRIBERS[-1]} subscribers {rates[-1] / rates[0]:.2f} of the rate with {SUBSCRIBERS[0]}."
        )


def _disk(folder: Path) -> str:
    """What the disk takes for one commit: what is written there has to be there."""
    taken = []
    with open(folder / "probe", "wb", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 8192)
            begun = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    (folder / "probe").unlink()
    p50, p95 = percentile(taken, 50), percentile(taken, 95)
    return (
        f"fsync of 8 KiB on this disk, right after: p50 {p50:.2f} ms, p95 {p95:.2f} ms; the 12 commits of a move on "
        f"SQLite wait for one each, one after the other: {12 * p50:.1f} ms of its time."
    )


def _two_processes(url: str, subscribers: int, runs: int) -> tuple[float, ...]:
    """Two drivers on one database, each with half of the subscribers; the rates of both together, batch by batch."""
    spawn = get_context("spawn")
    begin, ends = spawn.Barrier(2), [spawn.Pipe(False) for _ in range(2)]
    started = [
        spawn.Process(target=_half, args=(url, subscribers, number * subscribers // 2, runs, begin, sender))
        for number, (_, sender) in enumerate(ends)
    ]
    for process in started:
        process.start()
    rates = [receiver.recv() for receiver, _ in ends]
    for process in started:
        process.join()
    return tuple(sum(both) for both in zip(*rates, strict=True))


def _half(url: str, subscribers: int, first: int, runs: int, begin: Any, sender: Connection) -> None:
    opened = database.open(url)
    site = Site(opened, subscribers, first)
    site.saga()
    begin.wait()
    sender.send(site.rates(site.saga, runs))
    opened.close()


# a site with many subscribers
class Stopwatch(Observer):
    """From when it was made to the last sighting that was taken in."""

    def __init__(self) -> None:
        self.begun = self.last = time.perf_counter()

    def took(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        self.last = time.perf_counter()


class Site:
    """A driver and the instances of so many subscribers, each at one gateway."""

    def __init__(self, opened: Database, subscribers: int, first: int = 0) -> None:
        self.database = opened
        self.driver = Driver(opened, connect=Nothing)  # type: ignore[arg-type]
        (application,) = opened.inventory.applications()
        self.asked = self.driver.wanted(application.name)
        self.subscribers = subscribers
        self._next = count(first)
        self._at = count(int(time.time()), 3600)  # so that no cool-down holds one back

    def rates(self, act: Callable[[], None], runs: int, *, threads: int = 1) -> tuple[float, ...]:
        """Moves a second, once for each batch."""
        act()  # what is done once is done before
        found = []
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(runs):
                begun = time.perf_counter()
                for done in [pool.submit(act) for _ in range(BATCH)]:
                    done.result()
                found.append(BATCH / (time.perf_counter() - begun))
        return tuple(found)

    def move(self) -> None:
        """The next subscriber's instance goes to the next gateway."""
        subscriber = _subscriber(next(self._next) % self.subscribers)
        name = self.asked.instance("arena", subscriber).name
        home = self.database.inventory.instance(name).gateway
        done = self.driver.move(name, _gateway(int(str(home).rpartition("_")[2]) + 1))
        if done.status != COMPLETED:
            raise AssertionError(f"{done.id} is {done.status}: {done.error}")

    def saga(self) -> None:
        """What is left of a move when it is decided already: the claim, the steps, every write of the journal."""
        subscriber = _subscriber(next(self._next) % self.subscribers)
        journal, instance = self.database.journal, self.asked.instance("arena", subscriber)
        home = str(self.database.inventory.instance(instance.name).gateway)
        target = _gateway(int(home.rpartition("_")[2]) + 1)
        asked = Operation("", "move", self.asked.application, instance.name, home, target, "warm", "measured")
        operation, claim = journal.begin(asked, self.driver.owner)
        gateways: Any = [Nothing(Access(name, "local", "")) for name in (home, target)]
        with journal.keep(claim):
            scene = Scene(operation, instance, *gateways, None, Nowhere(), NoStack(), journal, claim, WallClock())
            if run_saga(operation.id, MOVE, scene, journal, claim, lambda act, error, tries: False) != COMPLETED:
                raise AssertionError(f"{operation.id} did not end")

    def watch(self, sightings: int) -> float:
        """Lets a driver that stays take so many in; how many a second it took, from the first to the last."""
        begun = time.time()
        lines = io.BytesIO()
        for number in range(sightings):
            cell = str(self.database.inventory.instance(self._instance(number)).gateway).replace("edge_", "cell-")
            seen = {"subscriber": _subscriber(number % self.subscribers), "cell": cell, "at": begun + number / 1e6}
            lines.write(json.dumps(seen).encode() + b"\n")
        lines.seek(0)
        stopwatch = Stopwatch()
        tally = Watch(self.driver, observer=stopwatch).run(read(lines, "sightings"))
        if tally.taken != sightings or tally.worked:
            raise AssertionError(f"not every sighting was taken in, or something moved: {tally}")
        return sightings / (stopwatch.last - stopwatch.begun)

    def _instance(self, number: int) -> str:
        return self.asked.instance("arena", _subscriber(number % self.subscribers)).name

    def sight(self) -> None:
        number = next(self._next) % self.subscribers
        name = self.asked.instance("arena", _subscriber(number)).name
        home = int(str(self.database.inventory.instance(name).gateway).rpartition("_")[2])
        sighting = Sighting(_subscriber(number), float(next(self._at)), f"cell-{(home + 1) % GATEWAYS}")
        (followed,) = self.driver.sight(sighting)
        if followed.operation is None or followed.operation.status != COMPLETED:
            raise AssertionError(f"the sighting of {_subscriber(number)} moved nothing: {followed}")


def _subscriber(number: int) -> str:
    return f"subscriber-{number:05}"


def _gateway(number: int) -> str:
    return f"edge_{number % GATEWAYS}"


@contextmanager
def _site(url: str, subscribers: int) -> Iterator[Site]:
    opened = database.open(url)
    try:
        for number in range(GATEWAYS):
            access = Access(_gateway(number), "local", f"/srv/{number}")
            opened.inventory.add_gateway(GatewayRecord(access))
        driver = Driver(opened, connect=Nothing)  # type: ignore[arg-type]
        driver.up(_bundle())
        _populate(opened, driver.wanted("coordination"), subscribers)
        yield Site(opened, subscribers)
    finally:
        opened.close()


def _bundle() -> Any:
    lines = [
        f"    {_gateway(number)}: {{type: meghdwar.nodes.EdgeGateway, properties: {{hypervisor: local, "
        f"capacity: {CAPACITY}, serves: [cell-{number}]}}}}"
        for number in range(GATEWAYS)
    ]
    names = ", ".join(_gateway(number) for number in range(GATEWAYS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coordination.yaml"
        path.write_text(DESCRIPTOR.format(gateways="\n".join(lines), names=names))
        bundle = compile_file(str(path)).bundle
    if bundle is None:
        raise AssertionError("the descriptor does not compile")
    return bundle


def _populate(opened: Database, asked: Wanted, subscribers: int) -> None:
    """Each subscriber's instance is at a gateway, and was moved there once, with all that is written of a move."""
    there, moved, written = [], [], []
    detail = to_text({"sent_bytes": 0, "proofs": {"saves": "0" * 64}})
    for number in range(subscribers):
        instance = asked.instance("arena", _subscriber(number))
        home, at = _gateway(number), 1.7e9 + number
        name, move = instance.name, f"m-20231114-{number:06}"
        there.append({"name": name, "application": asked.application, "instance": to_text(instance), "gateway": home})
        source = _gateway(number - 1)
        done = Operation(move, "move", asked.application, name, source, home, "warm", "before", COMPLETED)
        moved.append(
            {each.name: getattr(done, each.name) for each in fields(done)} | {"created_at": at, "ended_at": at}
        )
        for seq, (step, phase) in enumerate((step, phase) for step in STEPS for phase in ("doing", "done")):
            written.append(
                {"operation": move, "seq": seq + 1, "step": step, "phase": phase,
                 "detail": detail, "epoch": 1, "at": at}
            )  # fmt: skip
    with opened.engine.begin() as connection:
        for table, rows in ((instances, there), (operations, moved), (entries, written)):
            for first in range(0, len(rows), 1000):
                connection.execute(insert(table), rows[first : first + 1000])
