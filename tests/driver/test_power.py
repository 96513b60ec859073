"""Stop, start and heal at home, and operations that are written down for others to work: on real processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from meghdwar.driver import mend
from meghdwar.driver.hypervisor import Power
from meghdwar.driver.operation import COMPENSATED, COMPLETED, RUNNING, Busy, Changed, DriverError
from tests.contract.pairs import eventually
from tests.site import Site


def launcher(gateway: Path) -> int:
    return int((gateway / "instances" / "arena" / "alive").read_text().split()[0])


def test_it_is_stopped_and_starts_again_with_its_state(site: Site) -> None:
    driver = site.up()
    arena = driver.inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    assert driver.power("stop", "arena").status == COMPLETED
    assert site.gateways["edge_a"].look(arena).power is Power.STOPPED
    assert driver.inventory.instance("arena").stopped
    assert mend.problems(driver) == [], "a stopped instance is as it should be"
    with pytest.raises(DriverError, match="it is stopped; start it first"):
        driver.move("arena", "edge_b")
    assert driver.power("stop", "arena").status == COMPLETED
    assert driver.power("start", "arena").status == COMPLETED
    assert not driver.inventory.instance("arena").stopped
    assert site.ask("edge_a", arena, "/next") == "2"
    with pytest.raises(DriverError, match="nobody stopped it"):
        driver.power("start", "arena")


def test_what_was_killed_is_healed_and_what_was_healed_serves(site: Site) -> None:
    driver = site.up()
    arena = driver.inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    os.kill(launcher(site.home / "edge_a"), signal.SIGUSR1)
    assert eventually(lambda: site.gateways["edge_a"].look(arena).power is not Power.RUNNING, 10)
    assert driver.power("heal", "arena").status == COMPLETED
    assert site.ask("edge_a", arena, "/next") == "2"


def test_what_cannot_be_started_again_stays_stopped(site: Site) -> None:
    driver = site.up(within="1 s")
    driver.power("stop", "arena")
    for program in (site.home / "edge_a" / "images").glob("*/start"):
        program.parent.chmod(0o700)
        program.unlink()
    started = driver.power("start", "arena")
    assert started.status == COMPENSATED
    assert driver.inventory.instance("arena").stopped


def test_an_operation_is_left_to_whoever_is_free(site: Site) -> None:
    driver = site.up()
    record = driver.inventory.instance("arena")
    asked = driver.prepared_move("arena", "edge_b")
    with pytest.raises(Changed, match="look at it again"):
        driver.leave(asked, expected=record.epoch + 1)
    left = driver.leave(asked, expected=record.epoch)
    assert left.status == RUNNING
    assert driver.abandoned() == [left]
    with pytest.raises(Busy, match="not ended"):
        driver.leave(asked)
    [done] = site.driver().resume_abandoned()
    assert (done.id, done.status, driver.inventory.instance("arena").gateway) == (left.id, COMPLETED, "edge_b")


def test_what_was_terminated_is_forgotten_and_may_be_built_again(site: Site) -> None:
    driver = site.up()
    instance = driver.inventory.instance("arena").instance
    driver.leave(driver.prepared("terminate", "arena", "no more"))
    driver.resume_abandoned()
    assert driver.inventory.instances() == []
    built = driver.build(instance, "edge_b", "again")
    assert built is not None
    assert built.status == COMPLETED
    assert driver.inventory.instance("arena").gateway == "edge_b"


@pytest.mark.parametrize("moment", ["seen", "taken up"])
def test_what_another_driver_has_just_ended_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Between the look at what is open and going on with it; and between that look and the claim."""
    first, second = site.up(), site.driver()
    application = first.inventory.applications()[0].name
    left = first.leave(first.prepared("terminate", "arena", "no more"))
    ask = (second, "_unended") if moment == "seen" else (second.journal, "operation")
    look = getattr(*ask)

    def look_and_be_late(name: str) -> object:
        found = look(name)
        if first.journal.operation(left.id).status == RUNNING:
            first.resume(left.id)
        return found

    monkeypatch.setattr(*ask, look_and_be_late)
    [done] = second.down(application)
    assert (done.id, done.status) == (left.id, COMPLETED)
