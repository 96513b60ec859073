"""A gateway in memory that keeps the three rules of `Hypervisor`; what reaches it, and when, is not its business.

State is a tuple of numbers: what the application has written, in order. A number below zero is damage.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from meghdwar.driver.hypervisor import (
    Capabilities,
    Copied,
    Cost,
    Full,
    HypervisorError,
    Power,
    Refused,
    Seen,
    Stale,
    Unverified,
    Version,
)
from meghdwar.driver.instance import Disk, Files, Instance

State = tuple[int, ...]
DAMAGE = -1
FREE = Cost(0.0)
BIG, SMALL = 8 * 2**20, 2**10  # bytes that a first and a later copy send
KINDS: Mapping[str, Capabilities] = {
    "local": Capabilities(
        "local", dict.fromkeys(("cold", "precopy", "warm", "files"), FREE), "atomic", "content", True
    ),
    "lxd": Capabilities("lxd", dict.fromkeys(("cold", "precopy", "warm", "files"), FREE), "checked", "transport", True),
    "kvm": Capabilities("kvm", dict.fromkeys(("cold", "precopy", "live"), FREE), "checked", "content", False),
}
ROOT = Disk("root", 2**30, "/")  # what a VM keeps besides its state


@dataclass(slots=True)
class Copy:
    """What a gateway has and remembers of one instance. `epoch` is 0 while nobody holds it."""

    epoch: int = 0
    writer: bool = False
    power: Power = Power.ABSENT
    disks: dict[str, State] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # disks whose copying was cut off, or that nobody proved
    kept: dict[str, State] = field(default_factory=dict)  # the last proved copy of those that are copied again
    as_of: dict[str, float] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    keeps_files: bool = False
    files: dict[str, State] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)

    def is_nothing(self) -> bool:
        return self.power is Power.ABSENT and not (self.epoch or self.disks or self.files or self.versions)

    def has_state(self) -> bool:
        """Whether it would write to state if it ran."""
        return bool(self.attached or self.keeps_files)

    def can_write(self) -> bool:
        return self.power is Power.RUNNING and self.has_state()

    def whole(self) -> dict[str, State]:
        """The disks that count, as they would be attached."""
        return self.kept | {name: state for name, state in self.disks.items() if name not in self.broken}


class Gateway:
    """The acts, done at once and whole. `fault` is set by the world for the next act: full, damaged or cut."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.capabilities = KINDS[kind]
        self.atomic = self.capabilities.fence == "atomic"
        self.by_snapshot = self.capabilities.proof == "transport"  # then each copy is of one moment, and proved
        self.now: Callable[[], float] = lambda: 0.0
        self.copies: dict[str, Copy] = {}
        self.dead = False  # nothing runs and nobody is answered
        self.away = 0  # for so many points nobody is answered
        self.deaf_until = -1.0  # what is started is not ready before then
        self.fault = ""
        self.highest: dict[str, int] = {}  # the newest epoch that was ever here, for those who judge

    def copy(self, instance: Instance) -> Copy:
        found = self.copies.get(instance.name)
        return Copy() if found is None else found

    def frozen(self, instance: Instance) -> Gateway:
        """A gateway that has this instance as it is here now, and nothing else."""
        still = Gateway(self.name, self.capabilities.kind)
        copy, at = self.copy(instance), self.now()
        still.copies[instance.name] = replace(copy, disks=dict(copy.disks), broken=set(copy.broken))
        still.now = lambda: at
        return still

    def reboot(self) -> None:
        for copy in self.copies.values():
            if copy.power is not Power.ABSENT:
                copy.power = Power.STOPPED

    # what is refused
    def guard(self, act: str, instance: Instance, epoch: int, writer: bool | None = None) -> None:
        """Whether this epoch may do this now; asked right before the act, or (checked) some time before it."""
        copy = self.copies.get(instance.name)
        known = 0 if copy is None else copy.epoch
        if act == "hold":
            if epoch < known:
                raise Stale(f"{instance.name} at {self.name} is held by epoch {known}, not {epoch}")
            return
        if act == "remove" and (copy is None or copy.is_nothing()):
            return
        if epoch != known or copy is None:
            raise Stale(f"{instance.name} at {self.name} is held by epoch {known}, not {epoch}")
        if act == "remove" and copy.writer:
            raise Refused(self.name, f"remove {instance.name}", "it may write")
        if copy.writer:
            return
        if act in ("attach", "resume") or (act == "start" and (copy.attached or instance.files)):
            raise Refused(self.name, f"{act} {instance.name}", "its copy here may not write")

    # holding
    def hold(self, instance: Instance, epoch: int, writer: bool | None) -> None:
        copy = self.copies.setdefault(instance.name, Copy())
        copy.epoch = epoch
        self.highest[instance.name] = max(epoch, self.highest.get(instance.name, 0))
        if writer is not None:
            copy.writer = writer

    # the instance
    def define(self, instance: Instance, epoch: int) -> None:
        copy = self.copies[instance.name]
        self._room("define", instance)
        if copy.power is Power.ABSENT:
            copy.power, copy.keeps_files = Power.STOPPED, bool(instance.files)

    def start(self, instance: Instance, epoch: int) -> None:
        copy = self._there("start", instance)
        if copy.power is not Power.RUNNING:
            copy.power = Power.RUNNING

    def stop(self, instance: Instance, epoch: int) -> None:
        copy = self.copies.get(instance.name)
        if copy is not None and copy.power is not Power.ABSENT:
            copy.power = Power.STOPPED

    def pause(self, instance: Instance, epoch: int) -> str:
        copy = self._there("pause", instance)
        if copy.power is Power.RUNNING:
            copy.power = Power.STOPPED if self.atomic else Power.PAUSED
        return "stop" if self.atomic else "freeze"

    def resume(self, instance: Instance, epoch: int) -> None:
        copy = self._there("resume", instance)
        for disk in instance.disks:
            self._whole("resume", instance, disk)
            copy.attached.add(disk.name)
        copy.power = Power.RUNNING

    def remove(self, instance: Instance, epoch: int) -> None:
        copy = self.copies.get(instance.name)
        if self.fault == "cut" and copy is not None:
            copy.power = Power.ABSENT
            copy.attached.clear()
            copy.kept.clear()
            copy.broken.update(list(copy.disks)[:1])
            raise HypervisorError(self.name, f"remove {instance.name}", "it was cut off", retry=True)
        self.copies.pop(instance.name, None)

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return (ROOT, *instance.disks) if self.capabilities.kind == "kvm" else instance.disks

    def make_disk(self, instance: Instance, epoch: int, disk: Disk) -> None:
        copy = self.copies[instance.name]
        self._room("make a disk of", instance)
        if disk.name not in copy.disks or disk.name in copy.broken:
            copy.disks[disk.name] = ()
            copy.broken.discard(disk.name)
            copy.kept.pop(disk.name, None)
            copy.as_of.pop(disk.name, None)

    def copy_disk(self, instance: Instance, epoch: int, disk: Disk, source: Gateway, final: bool) -> Copied:
        copy, asked = self.copies[instance.name], f"copy {disk.name}"
        if disk.name in copy.attached and copy.power is Power.RUNNING:
            raise Refused(self.name, asked, "it is attached to something that runs")
        self._room("copy the disk of", instance)
        there = source.copy(instance)
        if disk.name not in there.disks or disk.name in there.broken:
            raise HypervisorError(self.name, asked, f"{source.name} has no whole {disk.name}")
        sent = SMALL if disk.name in copy.disks else BIG
        state = there.disks[disk.name]
        copy.broken.add(disk.name)
        if self.fault == "cut":
            copy.disks[disk.name] = (*copy.disks.get(disk.name, ()), DAMAGE)
            raise HypervisorError(self.name, asked, "it was cut off", retry=True)
        proved = final or self.by_snapshot
        torn = not proved and there.can_write()  # a part is from before a write, another from after it
        copy.disks[disk.name] = (*state, DAMAGE) if self.fault == "damaged" or torn else state
        if not proved:
            return Copied(sent)
        if self.fault == "damaged":
            raise Unverified(self.name, asked, "it is not what the source has")
        copy.broken.discard(disk.name)
        copy.as_of[disk.name] = source.now()
        if not final:
            copy.kept[disk.name] = state
        return Copied(sent, f"sha256:{len(state)}" if final else "")

    def attach(self, instance: Instance, epoch: int, disk: Disk) -> None:
        copy = self._there("attach", instance)
        self._whole("attach", instance, disk)
        copy.attached.add(disk.name)

    def detach(self, instance: Instance, epoch: int, disk: Disk) -> None:
        copy = self.copies.get(instance.name)
        if copy is not None:
            copy.attached.discard(disk.name)

    # state files
    def put_files(
        self, instance: Instance, epoch: int, files: Files, contents: Mapping[str, bytes], version: Version
    ) -> None:
        copy, asked = self._there("put the files of", instance), f"put {files.name}"
        self._room("put the files of", instance)
        known = copy.versions.get(files.name)
        if known == version:
            return
        if known is not None and (version.parent != known.digest or version.number <= known.number):
            raise Refused(self.name, asked, f"version {known.number} is here, which {version.number} is not made from")
        if contents:
            copy.files[files.name] = state_of(contents)
        else:
            copy.files.pop(files.name, None)
        if self.fault == "cut":
            raise HypervisorError(self.name, asked, "it was cut off", retry=True)
        if self.fault == "damaged":
            copy.files[files.name] = (*copy.files.get(files.name, ()), DAMAGE)
        copy.versions[files.name] = version

    # while it runs
    def migrate(self, instance: Instance, epoch: int, target: Gateway) -> None:
        here, there = self.copy(instance), target.copy(instance)
        asked = f"migrate {instance.name}"
        if here.power is Power.ABSENT and there.power is not Power.ABSENT:
            return
        if here.power is not Power.RUNNING:
            if there.power is Power.RUNNING:
                return
            raise HypervisorError(self.name, asked, "it does not run here")
        if not there.epoch or not there.writer:
            raise Refused(target.name, asked, "its copy there may not write")
        target._room("take over", instance)
        if target.fault == "cut" or self.fault == "cut":
            raise HypervisorError(self.name, asked, "it was cut off", retry=True)
        there.disks, there.attached = dict(here.disks), set(here.attached)
        there.broken.clear()
        there.kept.clear()
        there.as_of.clear()
        there.power, here.power = Power.RUNNING, Power.ABSENT
        here.attached.clear()

    # looking
    def look(self, instance: Instance) -> Seen:
        return self._seen(instance.name, self.copy(instance), instance.application)

    def inventory(self) -> tuple[Seen, ...]:
        return tuple(self._seen(name, copy, "") for name, copy in self.copies.items())

    def probe(self, instance: Instance, now: float) -> bool:
        copy = self.copy(instance)
        return (
            copy.power is Power.RUNNING
            and now >= self.deaf_until
            and copy.attached >= {disk.name for disk in instance.disks}
        )

    def read_files(self, instance: Instance, files: Files) -> dict[str, bytes]:
        state = self._there("read the files of", instance).files.get(files.name)
        return {} if state is None else {files.paths[0]: array("i", state).tobytes()}

    def version(self, instance: Instance, files: Files) -> Version | None:
        return self.copy(instance).versions.get(files.name)

    def _seen(self, name: str, copy: Copy, application: str) -> Seen:
        whole = tuple(copy.whole())
        as_of = {disk: at for disk, at in copy.as_of.items() if disk in whole}
        return Seen(name, copy.power, copy.epoch, copy.writer, application, whole, tuple(sorted(copy.attached)), as_of)

    # the application
    def write(self, instance: Instance, number: int) -> None:
        """The application appends a number to all of its state."""
        copy = self.copies[instance.name]
        for name in copy.attached:
            copy.disks[name] = (*copy.disks[name], number)
        for each in instance.files:
            copy.files[each.name] = (*copy.files.get(each.name, ()), number)

    def states(self, instance: Instance) -> list[State]:
        """Everything that it keeps here, one by one."""
        copy = self.copy(instance)
        there = copy.disks | copy.whole()
        kept = [there.get(disk.name, ()) for disk in instance.disks]
        return kept + [copy.files.get(each.name, ()) for each in instance.files]

    def _there(self, act: str, instance: Instance) -> Copy:
        copy = self.copies.get(instance.name)
        if copy is None or copy.power is Power.ABSENT:
            raise HypervisorError(self.name, f"{act} {instance.name}", "it is not there")
        return copy

    def _whole(self, act: str, instance: Instance, disk: Disk) -> None:
        copy = self.copy(instance)
        if disk.name not in copy.whole():
            raise HypervisorError(self.name, f"{act} {disk.name}", "it has no whole disk of this name")
        copy.disks[disk.name] = copy.whole()[disk.name]
        copy.broken.discard(disk.name)
        copy.kept.pop(disk.name, None)

    def _room(self, act: str, instance: Instance) -> None:
        if self.fault == "full":
            raise Full(self.name, f"{act} {instance.name}", "there is no room left")


def state_of(contents: Mapping[str, bytes]) -> State:
    found = array("i")
    for content in contents.values():
        found.frombytes(content)
    return tuple(found)
