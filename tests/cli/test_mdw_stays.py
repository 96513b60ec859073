"""mdw watch as a process that stays: what it does by itself, without its database, and when it is told to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from meghdwar.driver.operation import COMPLETED
from tests.site import Site

DONE = 0
MDW = [sys.executable, "-m", "meghdwar.cli.mdw"]


def until(true: Callable[[], object], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def lines(*sightings: tuple[float | None, str, str]) -> str:
    found = [{"subscriber": who, "cell": cell, **({} if at is None else {"at": at})} for at, who, cell in sightings]
    return "".join(json.dumps(each) + "\n" for each in found)


class Watching:
    """Starts `mdw watch` as a process of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*MDW, "watch", *words], env=self.site.environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def run(self, *words: str, given: str = "") -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(given, timeout=60)
        assert "Traceback" not in err, err
        return process.returncode, out, err


@pytest.fixture
def watching(site: Site) -> Iterator[Watching]:
    made = Watching(site)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        with process:
            process.wait(10)


def test_a_file_is_replayed_at_once(site: Site, watching: Watching) -> None:
    driver = site.up(hysteresis="30 s")
    file = site.home / "sightings.jsonl"
    file.write_text(lines((0, "anna", "cell-1"), (10, "anna", "cell-3"), (41, "anna", "cell-3")) + "oops\n")
    status, out, err = watching.run(str(file), "--speed", "0", "-q")
    assert status == DONE
    assert out.startswith("arena is at edge_b, gap ")
    assert "because edge_b serves cell-3" not in out  # a crowd's reason: it is shared
    assert "because edge_b is better for 1 of 1 subscribers, for 31 s" in out
    assert f"mdw: cannot take {file}:4 in: it is no JSON: Expecting value (column 1)" in err
    assert "mdw: 3 sightings taken in, 0 dropped, 1 bad lines, 1 operations worked" in err
    assert driver.inventory.instance("arena").gateway == "edge_b"
    status, out, err = watching.run(str(file), "--speed", "0", "-q")  # the same file again changes nothing
    assert (status, out) == (DONE, "")
    assert "0 sightings taken in, 3 dropped" in err


def test_a_pipe_is_followed_as_lines_come_and_ripens_by_itself(site: Site, watching: Watching) -> None:
    driver = site.up(hysteresis="500 ms")
    process = watching.start("-", "-f", "json", "-q", "--metrics", "0")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stderr.readline().rsplit(" ", 1)[1].strip()
    process.stdin.write(lines((None, "anna", "cell-3")))
    process.stdin.flush()
    until(lambda: driver.inventory.instance("arena").gateway == "edge_b")
    said = json.loads(process.stdout.readline())["followed"]
    assert (said["wanted_at"], said["operation"]["status"]) == ("edge_b", COMPLETED)
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - of the loopback
        text = answer.read().decode()
    assert 'meghdwar_operations_total{kind="move",outcome="completed",strategy="warm"} 1.0' in text
    assert 'meghdwar_gateway_reachable{gateway="edge_a"} 1.0' in text
    process.stdin.close()
    assert process.wait(20) == DONE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_while_it_waits(site: Site, watching: Watching, number: signal.Signals) -> None:
    site.up()
    process = watching.start("--log", "text", "--members", f"file://{site.home}/members")
    assert process.stderr is not None
    until(lambda: "watching; SIGTERM or Ctrl-C ends it" in process.stderr.readline())
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (DONE, ""), err
    assert "mdw: 0 sightings taken in" in err


def test_what_a_killed_driver_left_is_finished(site: Site, watching: Watching) -> None:
    driver = site.up(site.driver(lease_s=1.0))
    claim = driver.journal.begin(driver.prepared_move("arena", "edge_b"), "a driver that died")[1]
    assert claim.epoch
    process = watching.start("-q")
    until(lambda: driver.inventory.instance("arena").gateway == "edge_b")
    until(lambda: driver.journal.operations(kind="move")[0].status == COMPLETED)
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert process.returncode == DONE
    assert "arena is at edge_b" in out
    assert "1 operations worked" in err


@pytest.mark.real  # waiting for what is away takes its time
def test_a_database_that_goes_away_for_a_while_is_waited_for(site: Site, watching: Watching) -> None:
    driver = site.up()
    process = watching.start("-q", "-")
    assert process.stdin is not None
    process.stdin.write(lines((None, "anna", "cell-1")))
    process.stdin.flush()
    until(lambda: driver.inventory.subscribers("arena"))
    database, away = site.home / "meghdwar.db", site.home / "away.db"
    database.rename(away)
    process.stdin.write(lines((None, "anna", "cell-3")))
    process.stdin.flush()
    time.sleep(1.0)
    away.rename(database)
    until(lambda: driver.inventory.instance("arena").gateway == "edge_b", 60)
    process.stdin.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(20) == DONE
    assert "cannot take the sighting of anna in: cannot use the database" in err
    assert "Traceback" not in err


def test_the_example_of_the_documentation(site: Site, watching: Watching) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/follow-subscribers.md").read_text()
    given = page.split("```json\n")[1].split("```")[0]
    site.up(hysteresis="30 s")
    status, out, _ = watching.run("-", "--speed", "0", "-q", given=given)
    assert status == DONE
    assert out.count("arena is at") == 1
