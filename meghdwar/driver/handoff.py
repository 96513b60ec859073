"""The steps of every operation, each with its way back beside it; a move has most of them.

    stage     the image and a copy of the state are at the target, while the source goes on
    fence     the source's copy may not be started again
    pause     nothing writes to the state any more
    transfer  the last of the state is at the target, and proved to be the same
    attach    the target's copy may write, and sees the state
    wake      the target serves
    reroute   subscribers get to the target; from here there is no way back
    settle    the journal and the stack say where it is now
    retire    nothing is left at the source

One writer: the source loses the right to write before anything else can, and the target gets it only when the state
is there. A gateway that is unreachable is never taken for dead: the operation waits or goes back, unless an operator
said that the source is fenced; then the last copy at the target that was proved has to do. What may not write is only
litter: where its gateway cannot be reached it is left, and fsck removes it when the gateway answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from meghdwar.driver.account import NOT_PAUSED
from meghdwar.driver.hypervisor import Claim, Hypervisor, HypervisorError, Power, Refused, Version
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.operation import DONE, Journal, Operation
from meghdwar.driver.router import Router
from meghdwar.driver.saga import Step

_CLEARED = ""  # no gateway has this name
ROUNDS_MAX = 4
ROUND_SMALL_BYTES = 4 * 2**20  # a round that sent less leaves little for the gap


class Stack(Protocol):
    """The picture that somebody else has of where things are, such as a Heat stack."""

    def place(self, instance: Instance, gateway: str | None) -> float | None:
        """How long the state was nowhere, in seconds, where telling is what moves it and that was seen. Raises
        HypervisorError when it cannot be told now."""
        ...


class NoStack:
    """The application was not built by a stack."""

    def place(self, instance: Instance, gateway: str | None) -> None:
        return


class Clock(Protocol):
    """Seconds that only grow."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class Scene:
    """Everything that a step can reach."""

    operation: Operation
    instance: Instance
    source: Hypervisor | None
    target: Hypervisor | None
    address: str | None  # of the target, for the router
    router: Router
    stack: Stack
    journal: Journal
    claim: Claim
    clock: Clock
    note: Callable[[str], None] = lambda message: None
    _held: set[str] = field(default_factory=set)

    def at_source(self) -> Hypervisor:
        """The source, which from now on listens to our epoch alone."""
        assert self.source is not None  # noqa: S101 - the steps that ask are of operations that have one
        return self._holding(self.source)

    def at_target(self) -> Hypervisor:
        assert self.target is not None  # noqa: S101
        return self._holding(self.target)

    def _holding(self, hypervisor: Hypervisor) -> Hypervisor:
        if hypervisor.gateway not in self._held:
            hypervisor.hold(self.instance, self.claim)
            self._held.add(hypervisor.gateway)
        return hypervisor

    def clear(self) -> None:
        """Removes what an earlier operation left at the target, once in a run; it may not write, so it is of no use."""
        target = self.at_target()
        if _CLEARED not in self._held:
            target.hold(self.instance, self.claim, writer=False)  # an act that came late may have said otherwise
            if not target.capabilities.shared:  # what is shared is nobody's copy
                target.remove(self.instance, self.claim)
                target.hold(self.instance, self.claim, writer=False)
            self._held.add(_CLEARED)

    @property
    def live(self) -> bool:
        return self.operation.kind == "move" and self.operation.strategy == "live"

    @property
    def fenced(self) -> bool:
        """Whether the source is."""
        return self.operation.fenced is not None and not self.target_fenced

    @property
    def target_fenced(self) -> bool:
        fenced = self.operation.fenced
        return fenced is not None and fenced.gateway != "" and fenced.gateway == self.operation.target

    def left(self, gateway: str | None) -> dict[str, Any]:
        """What is written down of a gateway that an operator vouched for."""
        return {"left": f"whatever is at {gateway}: mdw fsck --mend removes it when it answers"}


# stage
def stage(scene: Scene) -> dict[str, Any]:
    target, instance, claim = scene.at_target(), scene.instance, scene.claim
    _refuse_to_overwrite(scene)
    if not scene.fenced:  # then what is there is the last copy
        scene.clear()
    scene.note("image")
    target.define(instance, claim)
    if scene.operation.strategy == "warm" and not instance.files:  # files cannot be put under what runs already
        scene.note("start")
        target.start(instance, claim)  # before the copies: it is up by the time that its state has come
    sent = 0
    if scene.live:
        for disk in target.travelling(instance):
            target.make_disk(instance, disk, claim)
    elif scene.operation.strategy != "cold" and not scene.fenced:
        sent = sum(_rounds(scene, disk) for disk in target.travelling(instance))
    return {"sent_bytes": sent}


def _rounds(scene: Scene, disk: Disk) -> int:
    """Copies a disk while the source runs, again and again until little is left for the gap; the bytes sent."""
    target, sent = scene.at_target(), 0
    for number in range(1, ROUNDS_MAX + 1):
        scene.note(f"{disk.name}, round {number}")
        copied = target.copy_disk(scene.instance, disk, scene.at_source(), scene.claim)
        sent += copied.sent_bytes
        if copied.sent_bytes <= ROUND_SMALL_BYTES or not target.capabilities.delta:
            break
    return sent


def unstage(scene: Scene) -> dict[str, Any] | None:
    """What we made is removed. A copy that may write is not ours: whoever woke it did not stage it."""
    if scene.target_fenced:
        return scene.left(scene.operation.target)
    if scene.source is not None:
        scene.source.look(scene.instance)  # one that does not answer may be lost, and then this is the last copy
    if scene.live:
        _bring_back(scene)  # a migration that nobody heard of any more may have ended since
    if not scene.at_target().look(scene.instance).writer:
        scene.at_target().remove(scene.instance, scene.claim)
    return None


def _refuse_to_overwrite(scene: Scene) -> None:
    target = scene.at_target()
    seen = target.look(scene.instance)
    if seen.writer and (seen.power is not Power.ABSENT or seen.disks):
        why = "there is a copy of it that may write; nothing is overwritten: see what it is with mdw fsck"
        raise Refused(target.gateway, f"stage {scene.instance.name}", why)


# fence
def fence(scene: Scene) -> None:
    scene.at_target().hold(scene.instance, scene.claim, writer=False)
    if not scene.fenced:
        scene.at_source().hold(scene.instance, scene.claim, writer=False)


def unfence(scene: Scene) -> None:
    scene.at_source().hold(scene.instance, scene.claim, writer=True)


# pause
def pause(scene: Scene) -> dict[str, Any]:
    if scene.live:
        return {"way": f"{NOT_PAUSED}: it goes on running"}
    if scene.fenced:
        return {"way": "fenced"}
    return {"way": scene.at_source().pause(scene.instance, scene.claim)}


def unpause(scene: Scene) -> None:
    if scene.live:
        return
    source = scene.at_source()
    source.hold(scene.instance, scene.claim, writer=True)
    source.resume(scene.instance, scene.claim)


# transfer
def transfer(scene: Scene) -> dict[str, Any]:
    target, instance, claim = scene.at_target(), scene.instance, scene.claim
    if scene.fenced:
        return _what_is_there(scene)
    source = scene.at_source()
    if scene.live:
        target.hold(instance, claim, writer=True)
        source.migrate(instance, target, claim)
        return {}
    sent, proofs = 0, {}
    for disk in target.travelling(instance):
        copied = target.copy_disk(instance, disk, source, claim, final=True)
        sent += copied.sent_bytes
        proofs[disk.name] = copied.proof
    for files in instance.files:
        proofs[files.name] = carry_files(scene, files, source, target).digest
    return {"sent_bytes": sent, "proofs": proofs}


def untransfer(scene: Scene) -> None:
    """A target that does not answer keeps nobody from going back: what it has of the state may not write."""
    if scene.live:
        _bring_back(scene)
        if not scene.target_fenced:
            scene.at_target().hold(scene.instance, scene.claim, writer=False)


def _bring_back(scene: Scene) -> None:
    """A live move that was done is done the other way round; that it was done shows at the source, which has nothing
    any more, while the target has something from the beginning."""
    source = scene.at_source()
    if source.look(scene.instance).power is not Power.ABSENT:
        return
    target = scene.at_target()
    source.hold(scene.instance, scene.claim, writer=True)
    target.hold(scene.instance, scene.claim, writer=True)
    target.start(scene.instance, scene.claim)  # the gateway may have been rebooted since
    target.migrate(scene.instance, source, scene.claim)
    target.hold(scene.instance, scene.claim, writer=False)


def _what_is_there(scene: Scene) -> dict[str, Any]:
    """The state that is gone on with without the source, and from when it is: every disk of it was proved."""
    target = scene.at_target()
    seen = target.look(scene.instance)
    if scene.live:
        disks = {disk.name for disk in scene.instance.disks}
        if disks <= set(seen.attached) if disks else seen.power is Power.RUNNING:
            return {"recovered": {}}  # it was done when the source was lost
        why = "a live move has no copy of the state until it is done; the source is needed"
        raise HypervisorError(target.gateway, f"recover {scene.instance.name}", why)
    travelling = [disk.name for disk in target.travelling(scene.instance)]
    proved = {name: seen.as_of[name] for name in travelling if name in seen.disks and name in seen.as_of}
    missing = set(travelling) - proved.keys()
    missing |= {files.name for files in scene.instance.files if not _arrived(scene, files)}
    if missing:
        why = f"no copy of {', '.join(sorted(missing))} that was proved has reached it; the source is needed"
        raise HypervisorError(target.gateway, f"recover {scene.instance.name}", why)
    return {"recovered": {**proved, **dict.fromkeys(files.name for files in scene.instance.files)}}


def _arrived(scene: Scene, files: Files) -> bool:
    """Whether the files reached the target whole; once they did it may have woken, and have written to them since."""
    version = scene.at_target().version(scene.instance, files)
    if version is None:
        return False
    if any((e.step, e.phase) == ("transfer", DONE) for e in scene.journal.entries(scene.operation.id)):
        return True
    return digest_of(scene.at_target().read_files(scene.instance, files)) == version.digest


def carry_files(scene: Scene, files: Files, source: Hypervisor, target: Hypervisor) -> Version:
    """The state files as they are at the source now, put at the target as the version after the source's."""
    contents = source.read_files(scene.instance, files)
    digest = digest_of(contents)
    before = source.version(scene.instance, files) or Version(0, "")
    version = before if before.digest == digest else Version(before.number + 1, digest, before.digest)
    target.put_files(scene.instance, files, contents, version, scene.claim)
    found = digest_of(target.read_files(scene.instance, files))
    if found != digest:
        why = "the files that it has are not those that it was given"
        raise HypervisorError(target.gateway, f"verify {files.name}", why, retry=True)
    return version


def digest_of(contents: Mapping[str, bytes]) -> str:
    """The SHA-256 over the paths and contents, in the order of the paths."""
    whole = sha256()
    for path in sorted(contents):
        whole.update(f"{len(path.encode())} {path} {len(contents[path])}\n".encode())
        whole.update(contents[path])
    return whole.hexdigest()


# attach
def attach(scene: Scene) -> dict[str, Any]:
    target = scene.at_target()
    target.hold(scene.instance, scene.claim, writer=True)
    disks = () if scene.live else scene.instance.disks
    gaps = [target.attach(scene.instance, disk, scene.claim) for disk in disks]
    return {"gap_s": max(gap for gap in gaps if gap is not None)} if any(gap is not None for gap in gaps) else {}


def unattach(scene: Scene) -> None:
    if scene.live or scene.target_fenced:
        return
    target = scene.at_target()
    target.hold(scene.instance, scene.claim, writer=False)  # first, so that no start that comes late finds it may
    if target.look(scene.instance).power is not Power.ABSENT:
        target.stop(scene.instance, scene.claim)
        for disk in scene.instance.disks:
            target.detach(scene.instance, disk, scene.claim)


# wake
def wake(scene: Scene) -> None:
    scene.at_target().start(scene.instance, scene.claim)  # also after a live move: the gateway may have been rebooted
    await_ready(scene, scene.at_target())


def unwake(scene: Scene) -> None:
    if not scene.live and not scene.target_fenced:
        scene.at_target().stop(scene.instance, scene.claim)


def await_ready(scene: Scene, target: Hypervisor) -> None:
    """Waits until it serves there, at most as long as its Ready says."""
    ready = scene.instance.ready
    end, pause_s = scene.clock.now() + ready.within_s, 0.004
    while not target.probe(scene.instance):
        if scene.clock.now() >= end:
            why = f"it was not ready within {ready.within_s:g} s; see why with its own log"
            raise HypervisorError(target.gateway, f"wake {scene.instance.name}", why)
        scene.clock.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.25)


# reroute, settle, retire
def reroute(scene: Scene) -> dict[str, Any]:
    target = scene.at_target()
    endpoint = target.endpoint(scene.instance)
    scene.claim.check()  # a router knows no epochs
    scene.router.point(scene.instance, target.gateway, scene.address, endpoint)
    return {"endpoint": endpoint}


def settle(scene: Scene) -> None:
    """The journal first, which is ours, then the stack, which may have to be waited for."""
    scene.journal.place(scene.instance.name, scene.operation.target, scene.claim)
    scene.claim.check()
    scene.stack.place(scene.instance, scene.operation.target)


def retire(scene: Scene) -> dict[str, Any]:
    if scene.fenced:
        return scene.left(scene.operation.source)
    source = scene.at_source()
    source.hold(scene.instance, scene.claim, writer=False)
    source.remove(scene.instance, scene.claim)
    return {}


# build and terminate
def prepare(scene: Scene) -> None:
    target = scene.at_target()
    _refuse_to_overwrite(scene)
    scene.clear()
    target.define(scene.instance, scene.claim)
    for disk in target.travelling(scene.instance):
        target.make_disk(scene.instance, disk, scene.claim)


def withdraw(scene: Scene) -> None:
    scene.claim.check()
    scene.router.withdraw(scene.instance)


# stop, start and heal, at its home
def halt(scene: Scene) -> None:
    scene.at_source().stop(scene.instance, scene.claim)
    scene.journal.halt(scene.instance.name, True, scene.claim)


def unhalt(scene: Scene) -> None:
    """It may still run, and is to: a stop that was not done was not asked for."""
    revive(scene)


def revive(scene: Scene) -> None:
    home, instance, claim = scene.at_source(), scene.instance, scene.claim
    if home.look(instance).power is Power.PAUSED:
        home.resume(instance, claim)
    for disk in instance.disks:
        home.attach(instance, disk, claim)
    home.start(instance, claim)
    await_ready(scene, home)
    scene.journal.halt(instance.name, False, claim)


def unrevive(scene: Scene) -> None:
    """It did not become ready: it stands still, as it did before."""
    halt(scene)


def renew(scene: Scene) -> None:
    """It may hang, or have died: whatever runs of it is ended first."""
    scene.at_source().stop(scene.instance, scene.claim)
    revive(scene)


def let_be(scene: Scene) -> None:
    """What could not be healed is no worse than it was."""


MOVE: Sequence[Step[Scene]] = (
    Step("stage", stage, unstage, leaves=True),
    Step("fence", fence, unfence),
    Step("pause", pause, unpause),
    Step("transfer", transfer, untransfer),
    Step("attach", attach, unattach),
    Step("wake", wake, unwake),
    Step("reroute", reroute),  # no way back from here: from now on we finish
    Step("settle", settle),
    Step("retire", retire, leaves=True),  # it may not write any more
)
BUILD: Sequence[Step[Scene]] = (
    Step("prepare", prepare, unstage, leaves=True),
    Step("attach", attach, unattach),
    Step("wake", wake, unwake),
    Step("reroute", reroute),
    Step("settle", settle),
)
TERMINATE: Sequence[Step[Scene]] = (
    Step("withdraw", withdraw),
    Step("retire", retire),
    Step("settle", settle),
)
STOP: Sequence[Step[Scene]] = (Step("halt", halt, unhalt, leaves=True),)
START: Sequence[Step[Scene]] = (Step("revive", revive, unrevive, leaves=True),)
HEAL: Sequence[Step[Scene]] = (Step("renew", renew, let_be),)
STEPS: Mapping[str, Sequence[Step[Scene]]] = {
    "build": BUILD,
    "move": MOVE,
    "terminate": TERMINATE,
    "stop": STOP,
    "start": START,
    "heal": HEAL,
}
