"""Compares what the journal and the inventory say with what is at the gateways: pure, a picture in and problems out.

The rule behind the table: a copy is only ever removed on the driver's own account when it may not write, belongs to no
operation, and the copy at the instance's home is there and may write. Everything else is a person's decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meghdwar.driver.hypervisor import Power, Seen
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import COMPENSATED, COMPLETED, ENDED, WAITING, Operation

# how a problem can be mended without asking anybody
START, REMOVE, REROUTE, FOLLOW = "start", "remove", "reroute", "follow"

# code -> what it is about, for the reference
CODES: Mapping[str, str] = {
    "gateway-silent": "a gateway does not answer: what is there is not known",
    "unfinished": "an operation was left in the middle; nobody works on it",
    "nowhere": "an instance has no home: it was not built, or its build was undone",
    "missing": "nothing is at an instance's home",
    "disk-missing": "a disk of the state is not at its home",
    "not-writer": "the copy at an instance's home may not write",
    "stopped": "an instance does not run at its home",
    "running": "an instance runs at its home that somebody stopped",
    "no-state": "an instance runs at its home without its state",
    "second-writer": "a copy somewhere else may write as well",
    "newer-epoch": "a gateway has seen a newer epoch: another database works it, or this one is a backup",
    "fenced-leftover": "what was fenced answers again: its copy may still write",
    "leftover": "a copy that may not write, of use to nobody",
    "unknown": "a copy of which this database knows nothing",
    "misrouted": "subscribers are sent to another gateway than its home",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be. `mend` is what may be done about it without asking (None: a person has
    to decide, and `help` says how)."""

    code: str
    message: str
    help: str
    instance: str = ""
    gateway: str = ""
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What is compared. `seen` is what each gateway said of everything that it has; `silent` says why others did not
    answer. `operations` are newest first; `abandoned` are the ids of those that nobody works on. `routed` is where
    subscribers are sent, by instance, of those instances of which that is known."""

    records: Sequence[InstanceRecord]
    seen: Mapping[str, Sequence[Seen]]
    operations: Sequence[Operation] = ()
    abandoned: frozenset[str] = frozenset()
    silent: Mapping[str, str] = field(default_factory=dict)
    routed: Mapping[str, str] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()  # instances that changed while the picture was taken: not judged
    application: str | None = None  # only this one is judged

    def copies(self, instance: str) -> dict[str, Seen]:
        """What each gateway has of it."""
        return {gateway: each for gateway, found in self.seen.items() for each in found if each.name == instance}


def detect(picture: Picture) -> list[Problem]:
    """Everything that is not as it should be; instances that an operation is working on are left alone."""
    problems = [_silent(gateway, why) for gateway, why in sorted(picture.silent.items())]
    for record in picture.records:
        if record.name in picture.busy:
            continue
        own = [each for each in picture.operations if each.instance == record.name]
        open_ = next((each for each in own if each.status not in ENDED), None)
        if open_ is None:
            problems += _of_instance(record, own, picture)
        elif open_.id in picture.abandoned:
            problems.append(_unfinished(open_))
    return problems + list(_unknown(picture))


def _silent(gateway: str, why: str) -> Problem:
    help_ = f"see what is wrong: mdw gateway doctor {gateway}"
    return Problem("gateway-silent", f"nobody knows what is at {gateway}: {why}", help_, gateway=gateway)


def _unfinished(operation: Operation) -> Problem:
    why = f"it waits: {operation.error}" if operation.status == WAITING else "its driver died"
    message = f"the {operation.kind} {operation.id} of {operation.instance} is not finished; {why}"
    help_ = f"mdw resume {operation.id}, or mdw rollback {operation.id}"
    return Problem("unfinished", message, help_, operation.instance)


# one instance
def _of_instance(record: InstanceRecord, operations: Sequence[Operation], picture: Picture) -> Iterator[Problem]:
    copies = picture.copies(record.name)
    newer = max((seen.epoch for seen in copies.values()), default=0) > record.epoch
    if newer:
        yield _newer_epoch(record, copies)
    if record.gateway is None:
        message = f"{record.name} is nowhere: it was not built, or its build was undone"
        yield Problem("nowhere", message, "build it with the same mdw up, or mdw down forgets it", record.name)
    elif record.gateway in picture.seen:
        yield from _at_home(record, record.gateway, copies, newer)
    for gateway, seen in sorted(copies.items()):
        if gateway != record.gateway:
            yield _elsewhere(record, gateway, seen, _sound(record, copies) and not newer, operations)
    sent_to = picture.routed.get(record.name)
    if sent_to is not None and record.gateway is not None and sent_to != record.gateway:
        message = f"subscribers of {record.name} are sent to {sent_to}, and it is at {record.gateway}"
        help_ = "mdw fsck --mend sends them there"
        yield Problem("misrouted", message, help_, record.name, record.gateway, None if newer else REROUTE)


def _sound(record: InstanceRecord, copies: Mapping[str, Seen]) -> bool:
    """Whether the copy at its home is what it should be, so that others are of no use."""
    home = copies.get(record.gateway or "")
    return home is not None and home.writer and home.power is not Power.ABSENT and not _lost(record, home)


def _lost(record: InstanceRecord, seen: Seen) -> list[str]:
    return sorted({disk.name for disk in record.instance.disks} - set(seen.disks))


def _newer_epoch(record: InstanceRecord, copies: Mapping[str, Seen]) -> Problem:
    gateway, seen = max(copies.items(), key=lambda item: item[1].epoch)
    message = (
        f"{gateway} has seen epoch {seen.epoch} of {record.name}, and this database knows {record.epoch}: another "
        "database works it, or this one was restored from a backup"
    )
    return Problem("newer-epoch", message, _decide(record.name, copies), record.name, gateway)


def _decide(instance: str, copies: Mapping[str, Seen]) -> str:
    """The way out where a person has to say which copy counts."""
    able = [gateway for gateway, seen in sorted(copies.items()) if seen.writer] or sorted(copies)
    named = " or ".join(f"mdw fsck --mend --adopt {instance}@{gateway}" for gateway in able)
    return f"find out which copy has the newest state, and say so: {named}"


def _at_home(record: InstanceRecord, home: str, copies: Mapping[str, Seen], newer: bool) -> Iterator[Problem]:
    name, seen = record.name, copies.get(home)
    others = {gateway: each for gateway, each in copies.items() if gateway != home}
    if seen is None or seen.power is Power.ABSENT:
        there = ", ".join(f"a copy is at {gateway}" for gateway in sorted(others)) or "no gateway has a copy"
        help_ = (
            _decide(name, others) if others else f"mdw down {record.instance.application}, and mdw up builds it anew"
        )
        yield Problem("missing", f"{name} is not at {home}, its home; {there}", help_, name, home)
        return
    lost = _lost(record, seen)
    if lost:
        message = f"{name} at {home} lacks the disk {', '.join(lost)}"
        help_ = _decide(name, others) if others else "bring it back from a backup; nothing was changed"
        yield Problem("disk-missing", message, help_, name, home)
    if not seen.writer:
        message = f"{name} is at {home}, its home, and may not write there"
        yield Problem("not-writer", message, _decide(name, copies), name, home)
    elif not lost:
        mend = None if newer or any(each.writer for each in others.values()) else START
        help_ = "mdw fsck --mend starts it" if mend else "mend the other problems of it first"
        if record.stopped:
            if seen.power is Power.RUNNING:
                message = f"{name} runs at {home}, and somebody stopped it"
                yield Problem(
                    "running", message, f"say how it should be: mdw start {name}, or mdw stop {name}", name, home
                )
        elif seen.power is not Power.RUNNING:
            yield Problem("stopped", f"{name} is {seen.power.value} at {home}, its home", help_, name, home, mend)
        elif set(seen.attached) < {disk.name for disk in record.instance.disks}:
            yield Problem("no-state", f"{name} runs at {home} without its state", help_, name, home, mend)


def _elsewhere(
    record: InstanceRecord, gateway: str, seen: Seen, sound: bool, operations: Sequence[Operation]
) -> Problem:
    """A copy that is not at home. `sound`: the one at home is all right, so that this one is of no use."""
    name = record.name
    if seen.writer:
        if sound and _was_fenced(gateway, operations) and seen.epoch < record.epoch:
            message = f"{gateway} was fenced when {name} was moved away, and answers again with its old copy of it"
            return Problem("fenced-leftover", message, "mdw fsck --mend removes it", name, gateway, REMOVE)
        message = f"a second copy of {name} may write, at {gateway}"
        help_ = f"if it is not the one that counts: mdw fsck --mend --discard {name}@{gateway}"
        return Problem("second-writer", message, help_, name, gateway)
    what = "disks" if seen.power is Power.ABSENT and seen.disks else "a copy"
    if seen.power is Power.ABSENT and not seen.disks:
        what = "the memory"
    message = f"{what} of {name} is left at {gateway}" if what != "disks" else f"disks of {name} are left at {gateway}"
    if sound:
        return Problem("leftover", message, "mdw fsck --mend removes it", name, gateway, REMOVE)
    help_ = f"it may be the last copy of the state; if it is not: mdw fsck --mend --discard {name}@{gateway}"
    return Problem("leftover", message, help_, name, gateway)


def _was_fenced(gateway: str, operations: Sequence[Operation]) -> bool:
    """Whether the last that happened there is that an operator fenced it, and the instance is elsewhere since."""
    newest = next((each for each in operations if gateway in (each.source, each.target)), None)
    if newest is None or newest.kind != "move" or newest.fenced is None:
        return False
    if newest.fenced.gateway == newest.target == gateway:
        return newest.status == COMPENSATED
    return newest.status == COMPLETED and newest.source == gateway


# what nobody knows
def _unknown(picture: Picture) -> Iterator[Problem]:
    known = {record.name for record in picture.records} | picture.busy
    for gateway, found in sorted(picture.seen.items()):
        for seen in found:
            if seen.name in known or picture.application not in (None, seen.application):
                continue
            message = f"{gateway} has {seen.name} of {seen.application or 'nobody'}, which this database does not know"
            help_ = (
                "it may be another database's (mdw --database URL status); if it is nobody's: "
                f"mdw fsck --mend --discard {seen.name}@{gateway}"
            )
            yield Problem("unknown", message, help_, seen.name, gateway)
