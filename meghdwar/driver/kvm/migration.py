"""Moves an instance while it runs, from libvirt to libvirt; where that cannot be, its memory is saved and goes over.

What was begun is found out by looking at both gateways, never remembered: a driver may have died over it, and libvirt
goes on without it. Where it runs is where it is; who has its memory and never ran is sent away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from meghdwar.driver.hypervisor import Claim, HypervisorError, Power, Refused, Stale, Unreachable
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.kvm import copying, domain, images
from meghdwar.driver.kvm.connection import Domain, ImpossibleError, State

if TYPE_CHECKING:
    from meghdwar.driver.kvm import Kvm

# How long it may stand still at the end, as far as QEMU can tell: at first little, and more where that does not end
# because the guest writes faster than its memory goes over. QEMU takes what it is given, so little is what keeps the
# gap short.
DOWNTIME_MS, DOWNTIME_MAX_MS = 30, 300
ITERATIONS = 4  # all of the memory, what was written meanwhile, and so on
LIVELY = frozenset({State.RUNNING, State.PAUSED, State.LEFT, State.ARRIVING})


def migrate(source: Kvm, target: Kvm, instance: Instance, claim: Claim) -> None:
    asked = f"migrate {instance.name} to {target.gateway}"
    source._checked(instance, claim)
    target._checked(instance, claim)
    here, there = _settled(source, target, instance, asked)
    if there is State.RUNNING or (there is State.PAUSED and here not in LIVELY):
        _finish(source, target, instance, claim, there)
        return
    if here not in LIVELY:
        if target.pool.kept(instance.name).saved or source.pool.kept(instance.name).saved:
            _by_saving(source, target, instance, claim)
            return
        raise Refused(source.gateway, asked, "it does not run here, nor there; move it with the strategy cold")
    if here is State.PAUSED:
        raise Refused(source.gateway, asked, "it is paused; resume it first, or move it with the strategy cold")
    if source.access.options.get("migration") == "saved":
        _by_saving(source, target, instance, claim)
        return
    try:
        _live(source, target, instance, claim, asked)
    except ImpossibleError as error:
        here, there = _settled(source, target, instance, asked)
        if source.access.options.get("migration") == "live" or here is not State.RUNNING or there in LIVELY:
            raise HypervisorError(source.gateway, asked, error.why, retry=error.retry) from None
        _by_saving(source, target, instance, claim)


def end(side: Kvm, instance: Instance) -> None:
    """Nothing goes from here to anywhere any more: what an older epoch has begun is stopped, or has ended."""
    one, until = side.connection.domain(instance.name), time.monotonic() + side.access.timeout_s
    while side.connection.job(one).get("out"):
        side.connection.abort(one)
        if time.monotonic() > until:
            raise HypervisorError(side.gateway, f"end the move of {instance.name}", "it does not end", retry=True)
        time.sleep(0.02)


# finding out
def _settled(source: Kvm, target: Kvm, instance: Instance, asked: str) -> tuple[State, State]:
    """How it is at both once nothing is under way between them and nothing is half there.

    What goes from source to target is waited for while it gets on, and what comes from the target is stopped.
    """
    end, last = time.monotonic() + source.access.timeout_s, None
    while True:
        one, two = source.connection.domain(instance.name), target.connection.domain(instance.name)
        out, back = source.connection.job(one), target.connection.job(two)
        here, there = source.connection.state(one), target.connection.state(two)
        if back.get("out"):
            target.connection.abort(two)
        elif not out.get("out") and not _mending(source, target, one, two, here, there, asked):
            return here, there
        now = (out.get("data_remaining"), out.get("disk_remaining"), here, there)
        if now != last:
            end, last = time.monotonic() + source.access.timeout_s, now
        if time.monotonic() > end:
            why = f"an earlier move of it does not end: {here.value} here and {there.value} there"
            raise HypervisorError(source.gateway, asked, why, retry=True)
        time.sleep(0.05)


def _mending(
    source: Kvm, target: Kvm, one: Domain | None, two: Domain | None, here: State, there: State, asked: str
) -> bool:
    """Whether what was there of an earlier move had to be put right; then it is to be looked at again."""
    for side, other, its, mine, theirs in (
        (source, target, one, here, there),
        (target, source, two, there, here),
    ):
        if mine is State.ARRIVING or (mine is State.LEFT and theirs is State.RUNNING):
            side.connection.destroy(its)  # it never ran here, or runs elsewhere by now
            return True
        if mine is State.LEFT and theirs in (State.ABSENT, State.STOPPED):
            side.connection.resume(its)  # nobody has taken it
            return True
        del other
    if here is State.LEFT and there is State.LEFT:
        target.connection.destroy(two)
        return True
    if here is State.RUNNING and there is State.RUNNING:
        why = f"it runs at {source.gateway} and at {target.gateway}; stop the wrong one with virsh destroy"
        raise Refused(source.gateway, asked, why)
    return False


def _finish(source: Kvm, target: Kvm, instance: Instance, claim: Claim, there: State) -> None:
    """It is at the target: here nothing of it is left that could be started."""
    if there is State.PAUSED and target.pool.kept(instance.name).now.writer:
        target.connection.resume(target.connection.domain(instance.name))
    one = source.connection.domain(instance.name)
    if source.connection.state(one) is not State.ABSENT:
        source._checked(instance, claim)
        if source.connection.state(one) in LIVELY:
            source.connection.destroy(one)
        source.connection.undefine(one)
    for side in (source, target):
        side.pool.delete(_of_the_way(instance) if side.pool.kept(instance.name).saved else [])


# live
def _live(source: Kvm, target: Kvm, instance: Instance, claim: Claim, asked: str) -> None:
    before = set(target.pool.names())
    one = source.connection.domain(instance.name)
    disks = _fresh_disks(source, target, instance, claim)
    options = target.access.options
    moved = (source.pool.path(), target.pool.path(), target.machine)
    parameters: dict[str, object] = {
        "destination_xml": domain.moved(source.connection.xml(one, live=True), *moved),
        "persistent_xml": domain.moved(source.connection.xml(one, live=False), *moved),
    } | _ways(options.get("migrate_data", ""), instance)
    if disks:
        parameters["migrate_disks"] = disks

    def tick() -> None:
        """A claim that is lost ends it, while it can still be ended."""
        try:
            claim.check()
        except Stale:
            source.connection.abort(one)
            raise

    watched = _Watched(source, one, int(options.get("downtime_ms", DOWNTIME_MAX_MS)))
    try:
        source.connection.migrate(
            one,
            options.get("migrate_uri", target.access.endpoint),
            parameters,
            runs=not domain.is_emulated(source.connection.xml(one, live=True)),
            disks=bool(disks),
            tls=options.get("migrate_tls") == "yes",
            downtime_ms=watched.downtime_ms,
            asked=asked,
            tick=tick,
            progress=watched.progress,
        )
    except HypervisorError as error:
        _after_failure(source, target, instance, claim, before, asked, error)


class _Watched:
    """How a live move gets on, asked once a second; it is let stand still for longer when it does not end."""

    def __init__(self, source: Kvm, one: Domain, downtime_max_ms: int) -> None:
        self.downtime_ms = min(DOWNTIME_MS, downtime_max_ms)
        self._source, self._one, self._max_ms = source, one, downtime_max_ms
        self._asked_at = time.monotonic()
        self._seen: tuple[object, ...] = ()

    def progress(self) -> object:
        if time.monotonic() - self._asked_at > 1:
            job = self._source.connection.job(self._one)
            self._asked_at = time.monotonic()
            self._seen = tuple(job.get(key) for key in ("data_processed", "disk_processed", "memory_processed"))
            if job.get("memory_iteration", 0) > ITERATIONS and self.downtime_ms < self._max_ms:
                self.downtime_ms = min(2 * self.downtime_ms, self._max_ms)
                self._source.connection.let_stand(self._one, self.downtime_ms)
        return self._seen


def _after_failure(
    source: Kvm, target: Kvm, instance: Instance, claim: Claim, before: set[str], asked: str, error: HypervisorError
) -> None:
    """Nothing is left of it at the target and it runs here, or it is there all the same; else the error is raised."""
    if isinstance(error, Unreachable):
        _abort(source, instance)
    here, there = _settled(source, target, instance, asked)
    if there is State.RUNNING and here not in LIVELY:
        _finish(source, target, instance, claim, there)
        return
    made = set(target.pool.names()) - before
    target.pool.delete(volume for volume in made if volume.partition(".")[0] == instance.name)
    if isinstance(error, Unreachable) and here is State.RUNNING:
        # both answer to us, so it is the one that the other does not get to
        why = f"{error.why}; let {source.gateway} get to {target.gateway}, see its options migrate_uri and migrate_data"
        raise ImpossibleError(source.gateway, asked, why, retry=True) from None
    if isinstance(error, ImpossibleError | Unreachable):
        raise error
    raise HypervisorError(source.gateway, asked, error.why, retry=True) from None


def _abort(source: Kvm, instance: Instance) -> None:
    one = source.connection.domain(instance.name)
    if source.connection.job(one).get("out"):
        source.connection.abort(one)


def _fresh_disks(source: Kvm, target: Kvm, instance: Instance, claim: Claim) -> list[str]:
    """Empty disks at the target for all that it has plugged in here; their names in the guest."""
    _same_image(source, target, instance)
    plugged = source._plugged(instance, source.connection.xml(source.connection.domain(instance.name), live=True))
    kept = {disk.name: disk for disk in source.travelling(instance)}
    for name in plugged:
        disk = kept.get(name)
        if disk is None:
            why = f"it has a disk {name} that is not in its description; detach it first"
            raise Refused(source.gateway, f"migrate {instance.name}", why)
        target._checked(instance, claim)
        _make_again(source, target, instance, disk)
    return [disk.device for disk in plugged.values()]


def _make_again(source: Kvm, target: Kvm, instance: Instance, disk: Disk) -> None:
    """Empty: what an earlier copy left would not be written over where the source has a hole."""
    volume = source._volume(instance, disk)
    size = source.pool.capacity(volume) or disk.size_bytes
    target.pool.delete([volume])
    if volume.endswith(".qcow2"):
        base = next(name for name in _image_of(source, instance).split() if name.endswith(".base.qcow2"))
        target.pool.make(volume, size, kind="qcow2", backing=base)
    else:
        target.pool.make(volume, size)


def _image_of(source: Kvm, instance: Instance) -> str:
    return source._image_of(instance)


def _same_image(source: Kvm, target: Kvm, instance: Instance) -> None:
    """The target has every file that it boots from; where one is missing it is brought."""
    wanted = _image_of(source, instance)
    names = set(target.pool.names())
    if all(f"{volume}.whole" in names for volume in wanted.split()):
        return
    image = images.find(target.gateway, target.access.images, instance.image)
    if image.content != wanted:
        why = f"the image {instance.image} is not the one that it was made of at {source.gateway}"
        raise Refused(target.gateway, f"take {instance.name}", why)
    images.bring(target.pool, image)


def _ways(data: str, instance: Instance) -> dict[str, object]:
    """How memory and disks go: nothing said leaves it to libvirt and the target's host name."""
    if data.startswith("unix://"):
        folder = PurePosixPath(data.removeprefix("unix://"))
        return {
            "migrate_uri": f"unix://{folder / instance.name}.memory",
            "disks_uri": f"unix://{folder / instance.name}.disks",
        }
    return {"migrate_uri": data} if data else {}


# saved
def _by_saving(source: Kvm, target: Kvm, instance: Instance, claim: Claim) -> None:
    """It stands still, its memory and disks are copied and proved, and it goes on at the target.

    The saved memory at the source is deleted once all is at the target: from then on the target's counts. It is used
    once only: `.used` is made before, and where it stands the instance is started from its disks instead.
    """
    saved = f"{instance.name}.saved"
    one = source.connection.domain(instance.name)
    if source.connection.state(one) is State.RUNNING:
        _same_image(source, target, instance)
        source._checked(instance, claim)
        source.pool.delete(_of_the_way(instance))
        target.pool.delete(_of_the_way(instance))
        source.connection.save(one, source.pool.path(saved), tick=lambda: None, progress=_beat())
        source.pool.refresh()
    try:
        if source.pool.kept(instance.name).saved:
            _send_saved(source, target, instance, claim, saved)
        if not restored(target, instance):
            raise HypervisorError(target.gateway, f"restore {instance.name}", "it did not run", retry=True)
    except HypervisorError:
        if source.pool.kept(instance.name).saved and target.look(instance).power is not Power.RUNNING:
            restored(source, instance)
        raise
    _finish(source, target, instance, claim, State.RUNNING)


def _send_saved(source: Kvm, target: Kvm, instance: Instance, claim: Claim, saved: str) -> None:
    def tick() -> None:
        target._checked(instance, claim)

    plugged = source._plugged(instance, source.connection.xml(source.connection.domain(instance.name), live=False))
    moved = (source.pool.path(), target.pool.path(), target.machine)
    if target.connection.domain(instance.name) is not None:
        target.connection.undefine(target.connection.domain(instance.name))
    for disk in source.travelling(instance):
        if disk.name in plugged:
            volume = source._volume(instance, disk)
            if target.pool.capacity(volume) != source.pool.capacity(volume):
                _make_again(source, target, instance, disk)
            copying.copy(source.pool, volume, target.pool, volume, tick, final=True)
    target.pool.delete(_of_the_way(instance))
    target.pool.make(saved, source.pool.capacity(saved) or 0)
    copying.copy(source.pool, saved, target.pool, saved, tick, final=True)
    one = source.connection.domain(instance.name)
    target.connection.define(instance.name, domain.moved(source.connection.xml(one, live=False), *moved))
    source._checked(instance, claim)
    source.pool.delete(_of_the_way(instance))


def restored(side: Kvm, instance: Instance) -> bool:
    """It goes on from its saved memory, once, or from its disks when that may have been used; whether it runs."""
    saved, used = _of_the_way(instance)
    there = side.connection.domain(instance.name)
    if side.connection.state(there) is State.RUNNING:
        return True
    if there is None or not side.pool.kept(instance.name).saved:
        return False
    if used in side.pool.names():
        side.connection.start(there)
    else:
        side.pool.make(used)
        path = side.pool.path(saved)
        xml = side.connection.saved_xml(path)
        elsewhere = _pool_in(xml, instance)
        side.connection.restore(
            path, domain.moved(xml, elsewhere, side.pool.path(), side.machine) if elsewhere else xml, name=instance.name
        )
    side.pool.delete([saved, used])
    return side.connection.state(there) is State.RUNNING


def _pool_in(xml: str, instance: Instance) -> str:
    """The folder in which a definition has its disks."""
    mine = (disk.path for disk in domain.plugged(xml) if f"/{instance.name}." in disk.path)
    return next((path.rpartition("/")[0] for path in mine), "")


def _of_the_way(instance: Instance) -> list[str]:
    return [f"{instance.name}.saved", f"{instance.name}.used"]


def _beat() -> Callable[[], object]:
    """libvirt says nothing of how a save gets on; it is waited for a while longer."""
    began = time.monotonic()
    return lambda: min(int(time.monotonic() - began), 120)
