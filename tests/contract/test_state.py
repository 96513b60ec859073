"""What every hypervisor keeps to: disks and their copies, attached and not, and a cloudlet that goes on elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from meghdwar.driver.hypervisor import Hypervisor, HypervisorError, Power, Refused, Stale, Unbounded, Unverified
from meghdwar.driver.instance import Instance
from tests.contract.pairs import Pair, eventually
from tests.contract.scenes import Lapsing, count, counted, made, running

FIRST, SECOND = Unbounded(1), Unbounded(2)
TICK_S = 0.01  # gateways keep moments to the millisecond


def copied(pair: Pair, instance: Instance, claim: Unbounded) -> None:
    """Everything that travels was copied from the paused source, proved and attached at the target."""
    for disk in pair.target.travelling(instance):
        assert pair.target.copy_disk(instance, disk, pair.source, claim, final=True).proof
    for disk in instance.disks:
        pair.target.attach(instance, disk, claim)


def test_state_travels(pair: Pair, name: str) -> None:
    names = [disk.name for disk in pair.source.travelling(pair.instance(name))]
    assert set(names) >= {disk.name for disk in pair.instance(name).disks}
    assert len(set(names)) == len(names)


def test_cold(pair: Pair, name: str) -> None:
    """Stopped here, copied, started there: it goes on where it was."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=10)
    pair.target.hold(instance, SECOND, writer=False)
    pair.target.define(instance, SECOND)
    pair.source.hold(instance, SECOND)
    pair.source.pause(instance, SECOND)
    pair.source.hold(instance, SECOND, writer=False)
    pair.target.hold(instance, SECOND, writer=True)
    copied(pair, instance, SECOND)
    pair.target.start(instance, SECOND)
    eventually(lambda: pair.ask(pair.target, instance, "/n"), pair.patience_s)
    count(pair, pair.target, instance, 11, 12)
    pair.source.remove(instance, SECOND)
    counted(pair, pair.target, instance, 12)


def test_copies_while_it_runs_and_a_last_one(pair: Pair, name: str) -> None:
    """Rounds while the source writes; each of them may be made again; the last one is proved."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=3)
    made(pair.target, instance, SECOND, writer=False)
    value = 3
    for copier in (pair.target, pair.target, pair.again(pair.target), pair.target):
        copier.copy_disk(instance, disk, pair.source, SECOND)
        count(pair, pair.source, instance, value + 1, value + 2)
        value += 2
    pair.source.pause(instance, FIRST)
    first = pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
    again = pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
    assert first.proof
    assert again.proof
    counted(pair, pair.target, instance, value)
    counted(pair, pair.source, instance, value)
    if pair.target.capabilities.delta:
        assert again.sent_bytes <= first.sent_bytes


def test_only_what_changed_is_sent(pair: Pair, name: str) -> None:
    if not pair.target.capabilities.delta:
        pytest.skip("it copies everything each time, and says so")
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=1)
    pair.ask(
        pair.source, instance, "/fill?1000000", timeout_s=pair.patience_s
    )  # bytes that stay as they are, beside the log
    made(pair.target, instance, SECOND, writer=False)
    whole = pair.target.copy_disk(instance, disk, pair.source, SECOND)
    count(pair, pair.source, instance, 2, 2)
    delta = pair.target.copy_disk(instance, disk, pair.source, SECOND)
    assert whole.sent_bytes >= 1_000_000
    assert delta.sent_bytes < whole.sent_bytes / 2


def test_the_same_size_in_the_same_moment(pair: Pair, name: str) -> None:
    """A write that leaves the size as it was, right after a copy, is not lost by the next copy."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=1)
    made(pair.target, instance, SECOND, writer=False)
    for turn in range(10):
        pair.ask(pair.source, instance, f"/mark?{turn}", timeout_s=pair.patience_s)
        pair.target.copy_disk(instance, disk, pair.source, SECOND)
    pair.ask(pair.source, instance, "/mark?X", timeout_s=pair.patience_s)
    pair.source.pause(instance, FIRST)
    pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
    pair.source.hold(instance, SECOND, writer=False)
    pair.target.hold(instance, SECOND, writer=True)
    pair.target.attach(instance, disk, SECOND)
    pair.target.start(instance, SECOND)
    eventually(lambda: pair.ask(pair.target, instance, "/n"), pair.patience_s)
    assert pair.ask(pair.target, instance, "/mark", timeout_s=pair.patience_s) == "X"


def test_a_damaged_copy_is_mended_or_refused(pair: Pair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=5)
    made(pair.target, instance, SECOND, writer=False)
    pair.source.pause(instance, FIRST)
    pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
    pair.damage(pair.target, instance)
    assert pair.log(pair.target, instance) != pair.log(pair.source, instance)
    for _ in range(3):
        with suppress(Unverified):  # copying again can help
            pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
            break
    counted(pair, pair.target, instance, 5)


def test_a_copy_is_whole_once_it_was_proved(pair: Pair, name: str) -> None:
    """What was copied while the source ran is so only where it is of one moment; the gateway says of which."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=3)
    pair.target.hold(instance, SECOND, writer=True)
    pair.target.define(instance, SECOND)
    begun = time.time()
    pair.target.copy_disk(instance, disk, pair.source, SECOND)
    seen = pair.target.look(instance)
    if pair.target.capabilities.proof == "transport":
        assert disk.name in seen.disks
        assert begun - TICK_S < seen.as_of[disk.name] <= time.time()
    else:
        assert disk.name not in {*seen.disks, *seen.as_of}
        with pytest.raises(HypervisorError):
            pair.target.attach(instance, disk, SECOND)
    count(pair, pair.source, instance, 4, 5)
    pair.source.pause(instance, FIRST)
    paused = time.time()
    pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True)
    for seen in (pair.target.look(instance), *pair.again(pair.target).inventory()):
        assert disk.name in seen.disks
        assert paused - TICK_S < seen.as_of[disk.name] <= time.time()
    pair.target.attach(instance, disk, SECOND)
    counted(pair, pair.target, instance, 5)


def test_a_copy_that_was_cut_off_is_not_whole(pair: Pair, name: str) -> None:
    """Its driver loses its claim in the middle: at whichever point that is, nobody wakes what is there."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=3)
    pair.target.hold(instance, SECOND, writer=True)
    pair.target.define(instance, SECOND)
    pair.source.pause(instance, FIRST)
    for checks in range(1, 100):
        with suppress(Stale):
            pair.target.copy_disk(instance, disk, pair.source, Lapsing(2, checks), final=True)
            break
        seen = pair.target.look(instance)
        assert disk.name not in {*seen.disks, *seen.as_of}
        with pytest.raises(HypervisorError):
            pair.target.attach(instance, disk, SECOND)
    assert checks > 2
    pair.target.attach(instance, disk, SECOND)
    counted(pair, pair.target, instance, 3)


def test_no_copy_under_a_running_instance(pair: Pair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=2)
    running(pair, pair.target, instance, SECOND, counted=4)
    with pytest.raises(Refused):
        pair.target.copy_disk(instance, disk, pair.source, SECOND)
    counted(pair, pair.target, instance, 4)


def test_no_copy_of_what_is_not_there(pair: Pair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    made(pair.target, instance, SECOND, writer=False)
    with pytest.raises(HypervisorError) as caught:
        pair.target.copy_disk(instance, disk, pair.source, SECOND)
    assert disk.name in str(caught.value)
    assert pair.target.look(instance).disks == (disk.name,)


def test_warm(pair: Pair, name: str) -> None:
    """The target runs already and waits; it gets its state and goes on."""
    if "warm" not in pair.target.capabilities.strategies:
        pytest.skip("it cannot wait for its state")
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=4)
    made(pair.target, instance, SECOND, writer=False)
    pair.target.start(instance, SECOND)  # without state it may, wherever it is
    pair.target.copy_disk(instance, disk, pair.source, SECOND)
    assert pair.target.look(instance).power is Power.RUNNING
    assert pair.ask(pair.target, instance, "/n") is None
    assert not pair.target.probe(instance)
    count(pair, pair.source, instance, 5, 6)
    pair.source.hold(instance, SECOND)
    pair.source.pause(instance, SECOND)
    pair.source.hold(instance, SECOND, writer=False)
    assert pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True).proof
    with pytest.raises(Refused):
        pair.target.attach(instance, disk, SECOND)
    pair.target.hold(instance, SECOND, writer=True)
    for each in (pair.target, pair.again(pair.target)):
        each.attach(instance, disk, SECOND)
        assert each.look(instance).attached == (disk.name,)
    assert eventually(lambda: pair.ask(pair.target, instance, "/n"), pair.patience_s) == "6"
    eventually(lambda: pair.target.probe(instance), pair.patience_s)
    count(pair, pair.target, instance, 7, 9)
    assert pair.ask(pair.source, instance, "/n") is None
    counted(pair, pair.target, instance, 9)


def test_detached_while_it_runs(pair: Pair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=2)
    for each in (pair.source, pair.again(pair.source)):
        each.detach(instance, disk, FIRST)
        assert each.look(instance).attached == ()
    eventually(lambda: pair.ask(pair.source, instance, "/next") is None, pair.patience_s)
    before = pair.log(pair.source, instance)
    assert pair.ask(pair.source, instance, "/next") is None
    assert pair.log(pair.source, instance) == before
    pair.source.attach(instance, disk, FIRST)
    last = int(eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s))
    count(pair, pair.source, instance, last + 1, last + 1)


def test_stopped_it_keeps_its_state(pair: Pair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=7)
    pair.source.stop(instance, FIRST)
    counted(pair, pair.source, instance, 7)
    pair.source.make_disk(instance, instance.disks[0], FIRST)
    counted(pair, pair.source, instance, 7)


def test_live(pair: Pair, name: str) -> None:
    """It goes on running at the target, with its memory and its disks."""
    if "live" not in pair.source.capabilities.strategies:
        pytest.skip("it cannot move while it runs, and says so")
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=5)
    pair.source.hold(instance, SECOND)
    pair.target.hold(instance, SECOND, writer=True)
    for each in (pair.source, pair.again(pair.source)):
        each.migrate(instance, pair.target, SECOND)
        assert each.look(instance).power is Power.ABSENT
        assert pair.target.look(instance).power is Power.RUNNING
    assert eventually(lambda: pair.ask(pair.target, instance, "/n"), pair.patience_s) == "5"
    count(pair, pair.target, instance, 6, 8)
    seen = pair.target.look(instance)
    assert seen.attached == tuple(disk.name for disk in instance.disks)
    assert (seen.epoch, seen.writer) == (2, True)
    pair.source.remove(instance, SECOND)
    counted(pair, pair.target, instance, 8)


def test_who_cannot_migrate_says_so(pair: Pair, name: str) -> None:
    if "live" in pair.source.capabilities.strategies:
        pytest.skip("it moves while it runs: this is about one that does not")
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=1)
    pair.target.hold(instance, FIRST)
    with pytest.raises(Refused) as caught:
        pair.source.migrate(instance, pair.target, FIRST)
    assert not caught.value.retry
    count(pair, pair.source, instance, 2, 2)


def test_both_ways(pair: Pair, name: str) -> None:
    """There and back again, with no trace left behind either time."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=3)
    sides: tuple[Hypervisor, Hypervisor] = (pair.source, pair.target)
    value = 3
    for epoch in (2, 3):
        source, target = sides
        claim = Unbounded(epoch)
        source.hold(instance, claim)
        target.hold(instance, claim)
        target.define(instance, claim)
        source.pause(instance, claim)
        source.hold(instance, claim, writer=False)
        target.hold(instance, claim, writer=True)
        for disk in target.travelling(instance):
            target.copy_disk(instance, disk, source, claim, final=True)
        for disk in instance.disks:
            target.attach(instance, disk, claim)
        source.remove(instance, claim)
        assert instance.name not in [seen.name for seen in source.inventory()]
        target.start(instance, claim)
        eventually(lambda at=target: pair.ask(at, instance, "/n"), pair.patience_s)
        count(pair, target, instance, value + 1, value + 1)
        value += 1
        sides = (target, source)
    counted(pair, pair.source, instance, value)
