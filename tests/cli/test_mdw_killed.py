"""Commands of mdw killed at any moment: typed again, they finish, and nothing is lost or left; and a full disk."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meghdwar.cli import mdw
from meghdwar.driver.hypervisor import Unbounded
from tests.cli.test_mdw import DONE, PROBLEMS, Typed, mdw_process, release
from tests.cli.test_mdw import typed as typed
from tests.contract.pairs import eventually
from tests.hypervisors.local import IMAGES
from tests.site import Site

KILLS = 8


def killed(site: Site, *line: str, after_s: float) -> None:
    """Types a command and kills it after that time, unless it is done."""
    process = mdw_process(site, *line)
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    release(site)


@pytest.mark.real
def test_killed_at_any_moment_each_command_is_typed_again_and_finishes(typed: Typed) -> None:
    """Round after round: up, count, move, stop and fsck --mend, sight, down; each is killed at a moment by chance."""
    chance = random.Random(7)  # noqa: S311 - not a secret
    site = typed.site
    typed.gateways()
    up = ["up", str(site.plan()), "--images", str(IMAGES), "--router", f"table:{site.home}/routes"]
    for _ in range(KILLS):
        moment = chance.uniform(0.3, 0.9)
        killed(site, *up, after_s=moment)
        assert typed(*up) == DONE, (moment, typed.err)
        arena = site.driver().inventory.instance("arena").instance
        assert site.ask("edge_a", arena, "/next") == "1"
        killed(site, "move", "arena", "--to", "edge_b", after_s=chance.uniform(0.3, 0.9))
        assert typed("resume") == DONE, typed.err
        [row] = typed.data("status")
        assert site.ask(row["gateway"], arena, "/next") == "2"
        site.gateways[row["gateway"]].stop(arena, Unbounded(row["epoch"]))
        killed(site, "fsck", "--mend", after_s=chance.uniform(0.3, 0.7))
        assert typed("fsck", "--mend") == DONE, typed.out
        assert site.ask(row["gateway"], arena, "/next") == "3"
        cell = "cell-1" if row["gateway"] == "edge_b" else "cell-3"
        killed(site, "sight", "anna", "--cell", cell, after_s=chance.uniform(0.3, 0.9))
        assert typed("resume") == DONE, typed.err
        [row] = typed.data("status")
        assert site.ask(row["gateway"], arena, "/next") == "4"
        assert typed("fsck") == DONE, typed.out
        killed(site, "down", "arena", after_s=chance.uniform(0.3, 0.7))
        typed("down", "arena")
        assert typed.data("status") == []
        assert [gateway.inventory() for gateway in site.gateways.values()] == [(), ()]


@pytest.fixture
def small(site: Site) -> Iterator[Path]:
    """The folder of edge_b has little room."""
    if os.geteuid():
        pytest.skip("a disk that is full takes root: a file system is mounted")
    folder = site.home / "edge_b"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    for gateway in site.gateways.values():
        for seen in gateway.inventory():
            record = site.driver().inventory.instance(seen.name)
            gateway.hold(record.instance, Unbounded(seen.epoch), writer=False)
            gateway.remove(record.instance, Unbounded(seen.epoch))
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.real
@pytest.mark.parametrize("strategy", ["cold", "precopy", "warm"])
def test_a_full_disk_at_the_target_undoes_the_move(typed: Typed, small: Path, strategy: str) -> None:
    typed.up()
    arena = typed.site.driver().inventory.instance("arena").instance
    assert typed.site.ask("edge_a", arena, "/next") == "1"
    assert typed.site.ask("edge_a", arena, f"/fill?{8 * 2**20}") is not None
    assert mdw.main(["move", "arena", "--to", "edge_b", "--strategy", strategy]) == PROBLEMS
    assert eventually(lambda: typed.site.ask("edge_a", arena, "/next"), 5.0) == "2"  # it has only just started again
    assert typed("fsck") == DONE, typed.out
    assert typed.site.gateways["edge_b"].inventory() == ()
