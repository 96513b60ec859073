"""The API under load, on the loopback of one machine: reads a second, twenty uploads at once, memory, and a server that
is killed while it takes uploads in.

    python bench/api.py                    about a minute; exit status 1 when something was promised and not reached
    python bench/api.py --seconds 5        reads for so long
    python bench/api.py --write            the tables go into bench/RESULTS.md

The clients are threads of this process, so that server and clients share the cores of the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.measured import Row, Table, missed, render  # noqa: E402
from bench.results import machine, write_section  # noqa: E402
from meghdwar.bundle import Bundle  # noqa: E402
from meghdwar.compiler import compile_file  # noqa: E402
from meghdwar.driver import database  # noqa: E402
from meghdwar.driver.control import Driver  # noqa: E402
from meghdwar.driver.handoff import STEPS  # noqa: E402
from meghdwar.driver.hypervisor import Access  # noqa: E402
from meghdwar.driver.inventory import GatewayRecord, InstanceRecord  # noqa: E402
from meghdwar.driver.operation import COMPLETED, DOING, DONE, Entry, Operation  # noqa: E402
from tests.api.csar import csar  # noqa: E402
from tests.api.served import Served, served  # noqa: E402

PACKAGES = "/vnfpkgm/v1/vnf_packages"
ZIP = {"Content-Type": "application/zip"}
READERS, UPLOADS, SIZE = 8, 20, 1_000_000
LISTED = 20  # applications, cloudlets, moves and gateways
READS_MIN = 500.0  # a second
GROWTH_MAX = 8.0  # MiB while it is read


class Client:
    """One connection that asks the same again and again; as little work as can be, for it is measured too."""

    def __init__(self, server: Served, path: str) -> None:
        where = urlsplit(server.url)
        self._socket = socket.create_connection((where.hostname, where.port))
        self._file = self._socket.makefile("rb")
        self._asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {server.token}\r\n\r\n".encode()

    def ask(self) -> bool:
        self._socket.sendall(self._asked)
        good, length = b" 200 " in self._file.readline(), 0
        while (line := self._file.readline()) not in (b"\r\n", b""):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return good and len(self._file.read(length)) == length

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def read(server: Served, path: str, seconds: float) -> tuple[list[float], int]:
    """How many answers came in each second, and how many were wrong."""
    begin, end = time.monotonic(), time.monotonic() + seconds
    counts, wrong = [0] * (int(seconds) + 1), 0

    def ask(_: int) -> tuple[list[float], int]:
        client, at, bad = Client(server, path), [], 0
        while time.monotonic() < end:
            bad += not client.ask()
            at.append(time.monotonic() - begin)
        client.close()
        return at, bad

    with ThreadPoolExecutor(READERS) as pool:
        for at, bad in pool.map(ask, range(READERS)):
            wrong += bad
            for moment in at:
                counts[min(int(moment), len(counts) - 1)] += 1
    return [float(count) for count in counts[: int(seconds)]], wrong


def memory_mib(server: Served) -> float:
    """What the server and its workers hold, as the kernel counts it."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [server.process.pid, *children]]
    return sum(pages) * 4096 / 2**20


def create(server: Served) -> str:
    return str(server.ask("POST", PACKAGES, {}).data["id"])


def put(server: Served, name: str, content: bytes) -> tuple[float, int]:
    """Seconds until it was acknowledged, and the status; 0 when the connection broke."""
    begin = time.monotonic()
    try:
        status = server.ask("PUT", f"{PACKAGES}/{name}/package_content", content, headers=ZIP).status
    except OSError:
        status = 0
    return time.monotonic() - begin, status


def settled(server: Served, names: Sequence[str], seconds: float = 180) -> dict[str, str]:
    end = time.monotonic() + seconds
    while True:
        states = {name: server.ask("GET", f"{PACKAGES}/{name}").data["onboardingState"] for name in names}
        if not {"UPLOADING", "PROCESSING"} & set(states.values()) or time.monotonic() > end:
            return states
        time.sleep(0.1)


def contents(count: int, prefix: str) -> list[bytes]:
    return [csar(f"{prefix}-{i}", size=SIZE) for i in range(count)]


def compiled() -> Bundle:
    found = compile_file(str(ROOT / "tosca/examples/arena-local.tosca.yaml")).bundle
    assert found is not None  # noqa: S101 - the example compiles
    return found


def populate(home: Path, bundle: Bundle) -> None:
    """So many gateways, and applications whose cloudlet has moved once: as the driver writes them down."""
    opened = database.open(str(home / "state" / "meghdwar" / "meghdwar.db"))
    driver = Driver(opened)
    for name in ("edge_a", "edge_b", *(f"edge_{number}" for number in range(LISTED - 2))):
        driver.inventory.add_gateway(GatewayRecord(Access(name, "local", str(home / name))))
    for number in range(LISTED):
        name = f"game-{number}"
        driver.admit(driver.record(replace(bundle, name=name, plan=replace(bundle.plan, application=name))))
        for instance, gateway in driver.wanted(name).instances():
            driver.inventory.add_instance(InstanceRecord(instance, gateway))
            move = Operation("", "move", name, instance.name, gateway, "edge_b", "warm")
            move, claim = driver.journal.begin(move, "bench")
            written = [Entry(step.name, phase) for step in STEPS["move"] for phase in (DOING, DONE)]
            driver.journal.write(move.id, written, claim)
            driver.journal.place(instance.name, "edge_b", claim)
            driver.journal.end(move.id, COMPLETED, [], claim)
    driver.close()
    opened.close()


def readings(server: Served) -> list[tuple[str, str]]:
    """What is read, and where: one of each kind, and a list."""
    name = server.ask("GET", PACKAGES).data[0]["id"]
    found = [("one package", f"{PACKAGES}/{name}"), (f"{UPLOADS} packages", PACKAGES)]
    for room in ("applications", "cloudlets", "moves", "gateways"):
        every = server.ask("GET", f"/v1/{room}").data[room]
        one = every[0]["name" if room == "gateways" else "id"]
        found += [(f"one of /v1/{room}", f"/v1/{room}/{one}"), (f"{len(every)} of /v1/{room}", f"/v1/{room}")]
    return found


def reads(server: Served, seconds: float) -> Table:
    rows, notes = [], []
    asked = readings(server)
    for _, path in asked:
        read(server, path, 1)  # what is made at the first request is there
    before = memory_mib(server)
    for what, path in asked:
        values, wrong = read(server, path, seconds)
        rows.append(Row((what,), () if wrong else tuple(values), p50_min=READS_MIN))
        notes.append(f"{what}: {wrong} wrong answers")
    growth = memory_mib(server) - before
    notes.append(f"memory: {before:.0f} MiB before, {growth:+.1f} MiB after all of these reads")
    if growth > GROWTH_MAX:
        notes.append(f"MISSED: the memory has grown by {growth:.1f} MiB, and at most {GROWTH_MAX:g} was promised")
    said = f"Reads by {READERS} clients at once, in each of {seconds:g} seconds; clients and server on one machine."
    return Table(said, ("what",), tuple(rows), unit="reads/s", more_is_better=True, notes=tuple(notes))


def uploads(server: Served) -> Table:
    names, packages = [create(server) for _ in range(UPLOADS)], contents(UPLOADS, "load")
    begin = time.monotonic()
    with ThreadPoolExecutor(UPLOADS) as pool:
        done = list(pool.map(lambda pair: put(server, *pair), zip(names, packages, strict=True)))
    states = settled(server, names)
    all_s = time.monotonic() - begin
    bad = [status for _, status in done if status != 202] + [each for each in states.values() if each != "ONBOARDED"]
    rows = (
        Row(("acknowledged",), () if bad else tuple(seconds for seconds, _ in done)),
        Row(("all onboarded",), () if bad else (all_s,)),
    )
    notes = (f"{len(bad)} of {UPLOADS} went wrong", "acknowledged: on the disk, and read even if the server dies")
    return Table(f"{UPLOADS} uploads of 1 MB at once.", ("until",), rows, notes=notes)


def killed(home: Path, seed: int) -> Table:
    """The server is killed in the middle of uploads, and started again: what was acknowledged is there."""
    chance, packages = random.Random(seed), contents(UPLOADS, "kill")  # noqa: S311 - not a secret
    with served(home) as server:
        names = [create(server) for _ in range(UPLOADS)]
        with ThreadPoolExecutor(4) as pool:
            going = [pool.submit(put, server, *pair) for pair in zip(names, packages, strict=True)]
            done_first = chance.randrange(4, UPLOADS - 6)
            while sum(each.done() for each in going) < done_first:
                time.sleep(0.001)
            server.kill()
            statuses = [each.result()[1] for each in going]
    acknowledged = {name for name, status in zip(names, statuses, strict=True) if status == 202}
    begin = time.monotonic()
    with served(home) as server:
        states = settled(server, names)
        seconds = time.monotonic() - begin
        back = {
            name: server.ask("GET", f"{PACKAGES}/{name}/package_content").body == content
            for name, content in zip(names, packages, strict=True) if name in acknowledged
        }  # fmt: skip
    lost = [name for name in acknowledged if states[name] != "ONBOARDED" or not back[name]]
    half = [name for name in names if states[name] not in ("ONBOARDED", "CREATED")]
    what = f"{len(acknowledged)} of {UPLOADS} were acknowledged when the server was killed (SIGKILL)"
    notes = (what, f"{len(lost)} of them lost, {len(half)} half onboarded")
    rows = (Row(("after the start",), () if lost or half else (seconds,)),)
    return Table("Killed while uploading: until everything is onboarded or as before.", ("until",), rows, notes=notes)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long each kind of read goes on (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="when the server is killed (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write the tables into bench/RESULTS.md")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mdw-bench-") as folder:
        with served(Path(folder) / "load") as server:
            tables = [uploads(server)]
            populate(server.home, compiled())
            tables.insert(0, reads(server, options.seconds))
        tables.append(killed(Path(folder) / "killed", options.seed))
    text = "\n\n".join(["## The API", f"`python bench/api.py --write`, {machine()}.", *map(render, tables)])
    print(text)
    if options.write:
        write_section("api", text)
    problems = [problem for table in tables for problem in missed(table)]
    problems += [note for table in tables for note in table.notes if note.startswith("MISSED")]
    print(json.dumps({"missed": problems}), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
