"""What every hypervisor keeps to: holding, the life of an instance, looking, and one writer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meghdwar.driver.hypervisor import Access, Hypervisor, HypervisorError, Power, Refused, Seen, Stale, Unbounded
from meghdwar.driver.instance import Instance
from tests.contract.pairs import Pair, eventually
from tests.contract.scenes import Lapsed, count, counted, made, running

FIRST, SECOND, THIRD = Unbounded(1), Unbounded(2), Unbounded(3)

Act = Callable[[Pair, Hypervisor, Instance, Unbounded], object]
ACTS: dict[str, Act] = {
    "hold": lambda pair, at, i, claim: at.hold(i, claim, writer=False),
    "define": lambda pair, at, i, claim: at.define(i, claim),
    "start": lambda pair, at, i, claim: at.start(i, claim),
    "stop": lambda pair, at, i, claim: at.stop(i, claim),
    "pause": lambda pair, at, i, claim: at.pause(i, claim),
    "resume": lambda pair, at, i, claim: at.resume(i, claim),
    "remove": lambda pair, at, i, claim: at.remove(i, claim),
    "make_disk": lambda pair, at, i, claim: at.make_disk(i, i.disks[0], claim),
    "copy_disk": lambda pair, at, i, claim: at.copy_disk(i, i.disks[0], pair.target, claim),
    "attach": lambda pair, at, i, claim: at.attach(i, i.disks[0], claim),
    "detach": lambda pair, at, i, claim: at.detach(i, i.disks[0], claim),
}


def not_refused(
    pair: Pair, at: Hypervisor, instance: Instance, claim: object, acts: dict[str, Act] = ACTS
) -> list[str]:
    """The acts that this claim was allowed."""
    allowed = []
    for name, act in acts.items():
        try:
            act(pair, at, instance, claim)  # type: ignore[arg-type]
        except Stale:
            continue
        except HypervisorError as error:
            allowed.append(f"{name}: {error}")
        else:
            allowed.append(name)
    return allowed


# holding
def test_what_nobody_has_heard_of_is_absent(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    assert pair.source.look(instance) == Seen(name)
    assert name not in [seen.name for seen in pair.source.inventory()]


def test_what_nobody_holds_nobody_changes(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    acts = {each: ACTS[each] for each in ("define", "make_disk", "start", "attach", "resume")}
    assert not_refused(pair, pair.source, instance, FIRST, acts) == []
    assert pair.source.look(instance) == Seen(name)


def test_hold_is_remembered(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    for _ in range(2):
        pair.source.hold(instance, SECOND)
        seen = pair.again(pair.source).look(instance)
        assert (seen.power, seen.epoch, seen.writer) == (Power.ABSENT, 2, False)
    for _ in range(2):
        pair.source.hold(instance, SECOND, writer=True)
        assert pair.again(pair.source).look(instance).writer
    pair.source.hold(instance, THIRD)
    seen = pair.again(pair.source).look(instance)
    assert (seen.epoch, seen.writer) == (3, True), "None leaves the writer as it was"
    pair.source.hold(instance, THIRD, writer=False)
    assert not pair.source.look(instance).writer
    pair.source.remove(instance, THIRD)
    assert pair.source.look(instance) == Seen(name), "remembered until remove"


def test_an_older_epoch_does_not_hold(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    pair.source.hold(instance, SECOND, writer=False)
    with pytest.raises(Stale):
        pair.source.hold(instance, FIRST, writer=True)
    seen = pair.source.look(instance)
    assert (seen.epoch, seen.writer) == (2, False)


def test_another_epoch_changes_nothing(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    made(pair.source, instance, SECOND)
    before = pair.source.look(instance)
    assert not_refused(pair, pair.source, instance, FIRST) == []
    newer = {each: act for each, act in ACTS.items() if each != "hold"}
    assert not_refused(pair, pair.source, instance, THIRD, newer) == []
    assert pair.source.look(instance) == before


def test_a_lapsed_lease_changes_nothing(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    made(pair.source, instance, SECOND)
    before = pair.source.look(instance)
    assert not_refused(pair, pair.source, instance, Lapsed(2)) == []
    assert not_refused(pair, pair.source, instance, Lapsed(3), {"hold": ACTS["hold"]}) == []
    assert pair.source.look(instance) == before


# the life of an instance
def test_a_life_each_call_twice(pair: Pair, name: str) -> None:
    """Each call is made twice, the second time by a driver that has only just been started."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    at = pair.source
    newcomer = pair.again(at)
    at.hold(instance, FIRST, writer=True)
    for each in (at, newcomer):
        each.make_disk(instance, disk, FIRST)
        seen = each.look(instance)
        assert (seen.power, seen.disks, seen.attached) == (Power.ABSENT, (disk.name,), ())
    for each in (at, newcomer):
        each.define(instance, FIRST)
        assert each.look(instance) == Seen(name, Power.STOPPED, 1, True, instance.application, (disk.name,), ())
    for each in (at, newcomer):
        each.attach(instance, disk, FIRST)
        assert each.look(instance).attached == (disk.name,)
    for each in (at, newcomer):
        each.start(instance, FIRST)
        assert each.look(instance).power is Power.RUNNING
    eventually(lambda: pair.ask(at, instance, "/n"), pair.patience_s)
    count(pair, at, instance, 1, 3)
    for each in (newcomer, at):  # nothing of what runs is made again
        each.define(instance, FIRST)
        each.make_disk(instance, disk, FIRST)
        each.start(instance, FIRST)
    count(pair, at, instance, 4, 5)
    for each in (at, newcomer):
        each.stop(instance, FIRST)
        assert each.look(instance).power is Power.STOPPED
        assert pair.ask(at, instance, "/n") is None
    counted(pair, at, instance, 5)
    for each in (at, newcomer):
        each.start(instance, FIRST)
    eventually(lambda: pair.ask(at, instance, "/n"), pair.patience_s)
    count(pair, at, instance, 6, 6)
    at.stop(instance, FIRST)
    for each in (at, newcomer):
        each.detach(instance, disk, FIRST)
        assert each.look(instance).attached == ()
        assert each.look(instance).disks == (disk.name,)
    for each in (at, newcomer):
        each.remove(instance, FIRST)
        assert each.look(instance) == Seen(name)
        assert name not in [seen.name for seen in each.inventory()]


def test_pause_proves_that_nothing_writes(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=3)
    newcomer = pair.again(pair.source)
    for each in (pair.source, newcomer):
        assert each.pause(instance, FIRST) in ("quiesce", "signals", "freeze", "stop")
        assert each.look(instance).power in (Power.PAUSED, Power.STOPPED)
        assert each.look(instance).attached == (instance.disks[0].name,)
        assert pair.ask(pair.source, instance, "/next") is None
    counted(pair, pair.source, instance, 3)
    for each in (pair.source, newcomer):
        each.resume(instance, FIRST)
        assert each.look(instance).power is Power.RUNNING
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)
    count(pair, pair.source, instance, 4, 6)
    counted(pair, pair.source, instance, 6)


def test_pause_while_it_is_asked_to_write(pair: Pair, name: str) -> None:
    """What was acknowledged before the pause is there; nothing comes after it."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=20)
    pair.source.pause(instance, FIRST)
    before = pair.log(pair.source, instance)
    assert pair.ask(pair.source, instance, "/next") is None
    assert pair.log(pair.source, instance) == before
    assert len(before) >= 20


def test_what_is_stopped_is_paused(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    made(pair.source, instance, FIRST)
    pair.source.pause(instance, FIRST)
    assert pair.source.look(instance).power in (Power.PAUSED, Power.STOPPED)
    pair.source.resume(instance, FIRST)
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)


def test_what_is_paused_can_be_stopped_and_started(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=2)
    pair.source.pause(instance, FIRST)
    pair.source.stop(instance, FIRST)
    assert pair.source.look(instance).power is Power.STOPPED
    pair.source.start(instance, FIRST)
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)
    count(pair, pair.source, instance, 3, 3)


@pytest.mark.parametrize("state", ["held", "disk", "defined", "running", "paused"])
def test_remove_leaves_nothing(pair: Pair, name: str, state: str) -> None:
    instance = pair.instance(name)
    if state in ("running", "paused"):
        running(pair, pair.source, instance, FIRST, counted=1)
    elif state == "defined":
        made(pair.source, instance, FIRST)
    pair.source.hold(instance, FIRST, writer=True)
    if state == "disk":
        pair.source.make_disk(instance, instance.disks[0], FIRST)
    if state == "paused":
        pair.source.pause(instance, FIRST)
    mine = [seen for seen in pair.source.inventory() if seen.name == name]
    assert mine == [pair.source.look(instance)], "the inventory says what look says"
    for _ in range(2):
        pair.source.remove(instance, FIRST)
        assert pair.source.look(instance) == Seen(name)
        assert name not in [seen.name for seen in pair.source.inventory()]
    assert pair.ask(pair.source, instance, "/n") is None
    running(pair, pair.source, instance, FIRST, counted=1)  # made anew, from nothing


# one writer
def test_state_only_where_it_may_write(pair: Pair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    at = pair.source
    made(at, instance, FIRST, writer=False)
    with pytest.raises(Refused):
        at.attach(instance, disk, FIRST)
    assert at.look(instance).attached == ()
    at.hold(instance, FIRST, writer=True)
    at.attach(instance, disk, FIRST)
    at.hold(instance, FIRST, writer=False)
    for start in (at.start, at.resume):
        with pytest.raises(Refused):
            start(instance, FIRST)
    assert at.look(instance).power is Power.STOPPED
    assert pair.ask(at, instance, "/n") is None


def test_a_paused_source_that_may_not_write_stays_paused(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=2)
    pair.source.hold(instance, SECOND)
    pair.source.pause(instance, SECOND)
    pair.source.hold(instance, SECOND, writer=False)
    for start in (pair.source.resume, pair.source.start):
        with pytest.raises(Refused):
            start(instance, SECOND)
    assert pair.source.look(instance).power is not Power.RUNNING
    pair.source.hold(instance, SECOND, writer=True)
    pair.source.resume(instance, SECOND)
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)
    count(pair, pair.source, instance, 3, 3)


# serving
def test_probe_and_endpoint(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    made(pair.source, instance, FIRST)
    assert not pair.source.probe(instance)
    pair.source.start(instance, FIRST)
    eventually(lambda: pair.source.probe(instance), pair.patience_s)
    assert str(instance.ports[0]) in pair.source.endpoint(instance)
    pair.source.pause(instance, FIRST)
    assert not pair.source.probe(instance)
    pair.source.resume(instance, FIRST)
    eventually(lambda: pair.source.probe(instance), pair.patience_s)


def test_capabilities_are_said(pair: Pair) -> None:
    can = pair.source.capabilities
    assert can == pair.target.capabilities
    assert can.strategies.keys() <= {"cold", "precopy", "warm", "live", "files"}
    assert "cold" in can.strategies
    assert can.fence in ("atomic", "checked")
    assert can.proof in ("content", "transport")
    assert pair.source.gateway != pair.target.gateway
    assert [access.gateway for access in pair.accesses] == [pair.source.gateway, pair.target.gateway]
    assert all(isinstance(access, Access) and access.hypervisor == can.kind for access in pair.accesses)


def test_doctor(pair: Pair, name: str) -> None:
    image = pair.instance(name).image
    findings = list(pair.source.doctor([image]))
    assert findings
    assert [finding for finding in findings if finding.level == "bad"] == []
    findings = list(pair.source.doctor(["an-image-that-nobody-has"]))
    bad = [finding for finding in findings if finding.level == "bad"]
    assert any("an-image-that-nobody-has" in finding.message for finding in bad)
    assert all(finding.help for finding in findings if finding.level != "good")


def test_nowhere(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    nowhere = pair.nowhere()
    findings = list(nowhere.doctor([instance.image]))
    assert any(finding.level == "bad" for finding in findings)
    for ask in (lambda: nowhere.look(instance), nowhere.inventory, lambda: nowhere.hold(instance, FIRST)):
        with pytest.raises(HypervisorError) as caught:
            ask()
        assert str(caught.value).startswith("cannot ")
        assert caught.value.gateway == "nowhere"
        assert "nowhere" in str(caught.value)
    nowhere.close()


def test_an_image_that_is_not_there(pair: Pair, name: str) -> None:
    instance = pair.instance(name, image="an-image-that-nobody-has")
    pair.source.hold(instance, FIRST)
    with pytest.raises(HypervisorError) as caught:
        pair.source.define(instance, FIRST)
    assert "an-image-that-nobody-has" in str(caught.value)
    assert not caught.value.retry
    assert pair.source.look(instance).power is Power.ABSENT
