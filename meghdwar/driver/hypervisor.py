"""What the driver asks of a gateway: one small protocol, the same for processes, LXD and KVM.

Three rules hold for every hypervisor, and the contract suite (tests/contract) tests them on each:

- Asking again for what is already so changes nothing. Every call looks first and then acts, so that a call whose
  answer was lost, or whose caller died, is simply made again.
- A claim is shown with every call that changes something. A gateway remembers for each instance the newest epoch it
  has seen (`hold`); a call with another epoch is refused with Stale, and so is one whose lease has run out.
- One writer. A gateway remembers whether its copy of an instance may write (`hold(writer=...)`); state is attached,
  and what has state is started, only where it may. Nothing is ever started by the gateway itself, after a reboot too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from meghdwar.driver.instance import Disk, Files, Instance


# what goes wrong
class HypervisorError(Exception):
    """A gateway did not do what was asked. `retry` says whether asking again, unchanged, can help."""

    def __init__(self, gateway: str, asked: str, why: str, *, retry: bool = False) -> None:
        self.gateway, self.asked, self.why, self.retry = gateway, asked, why, retry
        super().__init__(f"cannot {asked} at {gateway}: {why}")


class Unreachable(HypervisorError):
    """There was no answer: nobody knows whether it was done. Asking again can help."""

    def __init__(self, gateway: str, asked: str, why: str) -> None:
        super().__init__(gateway, asked, why, retry=True)


class Full(HypervisorError):
    """The gateway has no room for it."""


class Unverified(HypervisorError):
    """The copy is not what the source has. Copying again can help."""

    def __init__(self, gateway: str, asked: str, why: str) -> None:
        super().__init__(gateway, asked, why, retry=True)


class Refused(HypervisorError):
    """The gateway holds that its copy may not write, or that somebody else's state is in the way."""


class Stale(Exception):
    """Somebody newer has taken over: whoever sees this stops, changes nothing more, and leaves it to them."""


# values
@dataclass(frozen=True, slots=True)
class Cost:
    """What moving with a strategy costs: `gap_s` without a writer, and `gap_s_per_gb` more for each 10**9 bytes."""

    gap_s: float
    gap_s_per_gb: float = 0.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a hypervisor can do.

    `strategies` are those that it can move with and about what each costs: as bench/RESULTS.md has it, or estimated
    where a comment says so. `fence` is "atomic" when an older epoch is refused in the act itself and "checked" when
    just before it; `proof` says how a copy is verified: "content" or "transport".
    """

    kind: str  # local, lxd, kvm or nova
    strategies: Mapping[str, Cost]
    fence: str
    proof: str
    delta: bool  # a second copy sends only what has changed
    shared: bool = False  # nothing is copied: the same volume is attached there instead of here


class Power(Enum):
    """How an instance is: PAUSED is there, holds its state and provably writes nothing."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there of an instance at a gateway. `disks` are whole: one whose copying was cut off, or whose copy was
    not proved, is not among them until one was. `attached` are those that it can write to. `as_of` says of those that
    were copied here from when they are, in seconds since 1970: all that was written at the source until then is there.

    With Power.ABSENT there may still be disks, and an epoch while the gateway remembers one.
    """

    name: str
    power: Power = Power.ABSENT
    epoch: int = 0
    writer: bool = False
    application: str = ""
    disks: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    as_of: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copied:
    """One copy of a disk: how many bytes went over, and the proof that both sides are the same (empty without one)."""

    sent_bytes: int
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of state files. `digest` is the SHA-256 over their names and contents; `parent` is the digest of the
    version that it was made from ("" for the first); `number` counts them: an older one is told from a newer."""

    number: int
    digest: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a doctor looked at: reachable, certificate, pool, snapshots, space, clock, image ...

    `level` is good, warning or bad; `help` says what to do about it.
    """

    check: str
    level: str
    message: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """How a gateway is reached. `endpoint` is https://host:8443, a path of a unix socket, a libvirt URI or a folder;
    `certificate` is the SHA-256 fingerprint that it has to show; `client_certificate` and `client_key` are files."""

    gateway: str
    hypervisor: str
    endpoint: str
    certificate: str | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    address: str | None = None  # where the traffic of its cloudlets is sent: the next hop, or the local gateway's own
    images: Path | None = None  # the folder whose images it is given when it lacks them
    options: Mapping[str, str] = field(default_factory=dict)  # pool, network, machine ...: each hypervisor's own
    timeout_s: float = 30.0  # for one answer; long work is waited for as long as it makes progress


class Claim(Protocol):
    """The right to change one instance, for a while. `epoch` only ever grows."""

    @property
    def epoch(self) -> int: ...

    def check(self) -> None:
        """Raises Stale when the lease has run out; called right before each act."""
        ...


@dataclass(frozen=True, slots=True)
class Unbounded:
    """A claim without a lease, for tools and tests that are alone."""

    epoch: int = 1

    def check(self) -> None:
        return


# the protocol
class Hypervisor(Protocol):
    """One gateway. Every call may raise HypervisorError; those that take a claim may raise Stale."""

    @property
    def gateway(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    # looking
    def look(self, instance: Instance) -> Seen:
        """What is there of it. An instance that nobody has heard of is ABSENT, not an error."""
        ...

    def inventory(self) -> tuple[Seen, ...]:
        """Everything of Meghdwar's that is there, whichever application it belongs to."""
        ...

    def probe(self, instance: Instance) -> bool:
        """Whether it serves, by its Ready, asked inside or beside it and never by a route that a move changes."""
        ...

    def endpoint(self, instance: Instance) -> str:
        """Where a subscriber of this gateway reaches it: host:port, or the host alone when it has no ports."""
        ...

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        """Looks at everything that a move will need and changes nothing; it never raises."""
        ...

    def close(self) -> None: ...

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        """From now on only this epoch acts on it here, and its copy here may write or not (None: as it was; a gateway
        that has never heard of it: not). Raises Stale when a newer epoch was here. Remembered until `remove`.

        When this returns, nothing that was asked here earlier for it is still under way, whoever asked and whether or
        not they heard the answer: it is done, it has failed, or it will be refused."""
        ...

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        """Makes it from its image, which is brought when missing; stopped, with no state attached."""
        ...

    def start(self, instance: Instance, claim: Claim) -> None:
        """Runs it. Without its state attached, it waits for it (the strategy `warm`)."""
        ...

    def stop(self, instance: Instance, claim: Claim) -> None:
        """When this returns nothing of it runs."""
        ...

    def pause(self, instance: Instance, claim: Claim) -> str:
        """The quickest way after which nothing can write to its state here, whatever it does and across a reboot;
        returns the way it took: quiesce, signals, freeze or stop. Stopping is always one. An instance that is
        stopped already is paused."""
        ...

    def resume(self, instance: Instance, claim: Claim) -> None:
        """The way back from `pause`: it runs, with its state attached. Refused where it may not write."""
        ...

    def remove(self, instance: Instance, claim: Claim) -> None:
        """Nothing of it is left: it is stopped, and instance, disks, snapshots and what was remembered of it are gone,
        that last. Refused where it may write."""
        ...

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        """The disks that go with it when it moves: those of its state, and what else this hypervisor keeps of it."""
        ...

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        """An empty disk, as large as asked; one that is there stays as it is."""
        ...

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        """This gateway's disk becomes what the source's is. May be called while the source runs, and again: only what
        has changed is sent, where `delta`. With `final` nothing writes at the source any more, and the copy is proved
        to be the same or Unverified is raised. Without, the copy is whole only where it is proved to be what the source
        had in one moment, by a snapshot; elsewhere it only makes the last one shorter. A disk that is attached here to
        something that runs is Refused."""
        ...

    def attach(self, instance: Instance, disk: Disk, claim: Claim) -> float | None:
        """It sees the disk at its location, whether it runs or not. Refused where it may not write.

        Where `shared`, and this took the disk from the source: how long, in seconds, it was at neither of them as far
        as that was seen. None elsewhere, and when nobody knows."""
        ...

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None: ...

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        """The version that was put here last (None: none was), whatever the instance has written since."""
        ...

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        """Path -> content, of those that are there; running, paused or stopped. More than size_max_bytes is Refused."""
        ...

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        """Compare and set: each file is replaced whole, those not in `contents` go, and `version` is remembered, if
        what is remembered here is the same already, is its parent, or is nothing. Otherwise, and for an older number,
        Refused. A crash in the middle is mended by asking again: the version is remembered last."""
        ...

    # while it runs
    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        """It goes on running at the target, disks and memory, and is no longer here. Where it is there already,
        nothing is done. When it fails it runs here as before, and the target is as it was."""
        ...
