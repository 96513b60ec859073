"""Gateways that are servers of the application's stack: a cloudlet is there when its volume is attached to the server.

Nothing is copied here. A move is one update of the stack, which detaches the volume from one server and attaches it to
the other, and the cloud sees to it that it is never attached to both. Which epoch may act, and at which gateway the
state may be written to, stands in the metadata of the volume itself: it goes where the state goes, and it outlives a
server that is made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from meghdwar.driver.account import BY_ATTACH
from meghdwar.driver.cloud_api import CloudError, Silent
from meghdwar.driver.hypervisor import (
    Capabilities,
    Claim,
    Copied,
    Cost,
    Finding,
    Hypervisor,
    HypervisorError,
    Power,
    Refused,
    Seen,
    Stale,
    Unreachable,
    Version,
)
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.picture import Picture

EPOCH, WRITER = "meghdwar_epoch", "meghdwar_writer"  # in the metadata of a volume
NOBODY = "-"  # is no gateway's name
PROBE_S = 2.0
# every strategy comes to the same where nothing is copied; as bench/RESULTS.md has it
REATTACH = Cost(5.0)
ABLE = Capabilities(
    kind="nova",
    strategies={"cold": REATTACH, "precopy": REATTACH, "warm": REATTACH},
    fence="checked",
    proof="transport",
    delta=False,
    shared=True,
)


@dataclass(frozen=True, slots=True)
class _State:
    """A volume: where it is attached, and what is written on it."""

    volume: str
    status: str
    servers: tuple[str, ...]
    epoch: int
    writer: str

    @classmethod
    def of(cls, volume: str, found: Mapping[str, Any]) -> _State:
        written = found.get("metadata") or {}
        servers = tuple(entry["server_id"] for entry in found["attachments"])
        epoch = str(written.get(EPOCH, "0"))
        number = int(epoch) if epoch.isdecimal() else 0
        return cls(volume, found["status"], servers, number, written.get(WRITER, NOBODY))


class Nova:
    """One gateway. `instances` are those that may be here."""

    def __init__(self, gateway: str, picture: Picture, instances: Sequence[Instance] = ()) -> None:
        self._gateway, self._picture, self._instances = gateway, picture, instances
        self._latest: Mapping[str, Any] | None = None  # the server as it was looked at last

    @property
    def gateway(self) -> str:
        return self._gateway

    @property
    def capabilities(self) -> Capabilities:
        return ABLE

    @contextmanager
    def _asking(self, asked: str) -> Iterator[None]:
        try:
            yield
        except Silent as error:
            raise Unreachable(self._gateway, asked, str(error)) from None
        except CloudError as error:
            raise HypervisorError(self._gateway, asked, str(error), retry=error.retry) from None

    def _refused(self, asked: str, why: str) -> Refused:
        return Refused(self._gateway, asked, why)

    # looking
    def look(self, instance: Instance) -> Seen:
        with self._asking(f"look at {instance.name}"):
            if not instance.disks:
                return self._look_at_parameter(instance)
            states = self._states(instance)
            writer = any(state.writer == self._gateway for state in states.values())
            epoch = max((state.epoch for state in states.values()), default=0)
            if not writer and not any(state.servers for state in states.values()):
                return Seen(instance.name, epoch=epoch)
            own = self._picture.server_of(self._gateway)
            attached = tuple(name for name, state in states.items() if own in state.servers)
            if not writer and not attached:
                return Seen(instance.name, epoch=epoch)
            there = tuple(states) if writer else attached  # the cloud gives a volume to whoever may write
            runs = set(attached) == set(states) and _active(self._server())
            power = Power.RUNNING if runs else Power.STOPPED
            return Seen(instance.name, power, epoch, writer, instance.application, there, attached)

    def _look_at_parameter(self, instance: Instance) -> Seen:
        """What has no state is where the stack says that it is."""
        if self._picture.at(instance) != self._gateway:
            return Seen(instance.name)
        power = Power.RUNNING if _active(self._server()) else Power.STOPPED
        return Seen(instance.name, power, 0, True, instance.application)

    def _states(self, instance: Instance) -> dict[str, _State]:
        """By disk, without those whose volume is gone."""
        volumes = self._picture.volumes(instance)
        found = {name: (volume, self._picture.volume(volume)) for name, volume in volumes.items()}
        return {name: _State.of(volume, each) for name, (volume, each) in found.items() if each is not None}

    def _server(self) -> Mapping[str, Any] | None:
        """The server as Nova has it, None when there is none now."""
        self._latest = self._picture.server(self._gateway)
        return self._latest

    def inventory(self) -> tuple[Seen, ...]:
        found = (self.look(instance) for instance in self._instances)
        return tuple(seen for seen in found if seen.power is not Power.ABSENT)

    def probe(self, instance: Instance) -> bool:
        """A server is asked at its floating address; one that has none is believed when Nova and Cinder say that it
        is there with its state."""
        with self._asking(f"ask {instance.name}"):
            url = self._url(instance)
            if url is None:
                return self.look(instance).power is Power.RUNNING
            own, states = self._picture.server_of(self._gateway), self._states(instance)
            if any(own not in state.servers for state in states.values()):
                return False
        if _serves(url):
            return True
        self._latest = None  # it may be another server by now
        return False

    def _url(self, instance: Instance) -> str | None:
        """Where it says whether it is ready, None where it cannot be asked from here."""
        if instance.ready.http is None:
            return None
        if self._latest is None:
            self._server()
        address = _floating(self._latest or {}) if _active(self._latest) else None
        port = instance.ports[0] if instance.ports else 80
        return None if address is None else f"http://{address}:{port}{instance.ready.http}"

    def endpoint(self, instance: Instance) -> str:
        with self._asking(f"find the address of {instance.name}"):
            server = self._latest or self._server() or {}
        addresses = _addresses(server)
        if not addresses:
            raise HypervisorError(self._gateway, f"find the address of {instance.name}", "its server has none")
        address = _floating(server) or addresses[0][0]
        return f"{address}:{instance.ports[0]}" if instance.ports else address

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        try:
            stack = self._picture.found()
            server = self._server()
        except CloudError as error:
            yield Finding("reachable", "bad", str(error))
            return
        yield Finding("reachable", "good", f"stack {stack.name} is {stack.state}")
        if stack.failed:
            yield Finding("stack", "bad", stack.reason, f"see openstack stack failures list {stack.name}")
        if _active(server):
            yield Finding("server", "good", f"{(server or {})['id']} is ACTIVE")
        else:
            status = server["status"] if server else "gone"
            yield Finding("server", "bad", f"its server is {status}", "a health policy makes it anew")
        if server and _floating(server) is None:
            advice = "give it a floating address, and a move waits until the cloudlet answers"
            yield Finding("address", "warning", "it has no floating address to be asked at", advice)

    def close(self) -> None:
        return

    def bereft(self, instance: Instance) -> bool:
        """Whether its server runs and its state, which is this gateway's, is attached to nothing: the server was made
        anew, and the one before it writes no more."""
        with self._asking(f"look at the state of {instance.name}"):
            states = self._states(instance).values()
            free = all((state.writer, state.status) == (self._gateway, "available") for state in states)
            return bool(states) and free and _active(self._server())

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        with self._asking(f"hold {instance.name}"):
            states = self._states(instance).values()
            newest = max((state.epoch for state in states), default=0)
            self._refuse_newer(instance, newest, claim)
            if states and newest < claim.epoch:
                self._picture.look_ahead(self._gateway)  # whoever begins to act will ask for it
                self._picture.settle()  # an update that somebody asked for earlier
            for state in states:
                who = state.writer
                if writer is not None:
                    who = self._gateway if writer else NOBODY if who == self._gateway else who
                if (state.epoch, state.writer) != (claim.epoch, who):
                    claim.check()
                    self._picture.write(state.volume, {EPOCH: str(claim.epoch), WRITER: who})

    def _refuse_newer(self, instance: Instance, epoch: int, claim: Claim) -> None:
        claim.check()
        if epoch > claim.epoch:
            raise Stale(f"cannot go on with {instance.name}: {self._gateway} has seen epoch {epoch}, we {claim.epoch}")

    def _for(self, instance: Instance, claim: Claim, asked: str, *, writer: bool) -> None:
        """Looks right before an act that it is still ours to do."""
        with self._asking(f"{asked} {instance.name}"):
            for state in self._states(instance).values():
                self._refuse_newer(instance, state.epoch, claim)
                if writer and state.writer != self._gateway:
                    raise self._refused(f"{asked} {instance.name}", "its copy here may not write")
        claim.check()

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        """The stack has made it; here it is only looked at, before anything stands still for it."""
        asked = f"define {instance.name}"
        if instance.files:
            raise self._refused(asked, "state files cannot be reached in a server that a stack builds; use a volume")
        with self._asking(asked):
            server = self._server()
        if not _active(server):
            what = f"its server is {server['status']}" if server else "it has no server now"
            why = f"{what}; a health policy makes it anew, mdw adopt what is missing"
            raise HypervisorError(self._gateway, asked, why, retry=True)

    def start(self, instance: Instance, claim: Claim) -> None:
        self.define(instance, claim)

    def stop(self, instance: Instance, claim: Claim) -> None:
        """It is nothing without its state."""
        self._free(instance, claim, "stop")

    def pause(self, instance: Instance, claim: Claim) -> str:
        """The update that attaches the state elsewhere detaches it here first: until then it goes on, and what it
        writes is not left behind, because nothing is copied."""
        self._for(instance, claim, "pause", writer=False)
        return f"{BY_ATTACH}, by the update of the stack"

    def resume(self, instance: Instance, claim: Claim) -> None:
        self._place(instance, claim, "resume")

    def remove(self, instance: Instance, claim: Claim) -> None:
        """The volume is the stack's and stays; here it is nothing that may write."""
        with self._asking(f"remove {instance.name}"):
            states = self._states(instance).values()
        for state in states:
            self._refuse_newer(instance, state.epoch, claim)
            if state.writer == self._gateway:
                raise self._refused(f"remove {instance.name}", "its copy here may write")

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return ()

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        return  # the stack has made it

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        why = f"it is a volume of the stack, and {source.gateway} is no server of it"
        raise self._refused(f"copy {disk.name}", why)

    def attach(self, instance: Instance, disk: Disk, claim: Claim) -> float | None:
        return self._place(instance, claim, "attach")

    def _place(self, instance: Instance, claim: Claim, asked: str) -> float | None:
        self._for(instance, claim, asked, writer=True)
        with self._asking(f"{asked} {instance.name}"):
            return self._picture.place(instance, self._gateway)

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        self._free(instance, claim, "detach")

    def _free(self, instance: Instance, claim: Claim, asked: str) -> None:
        self._for(instance, claim, asked, writer=False)
        with self._asking(f"{asked} {instance.name}"):
            server = self._server()
            for state in self._states(instance).values():
                if server and server["id"] in state.servers:
                    self._picture.free(state.volume)

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        return None

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        raise self._refused(f"read {files.name}", "state files cannot be reached in a server that a stack builds")

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        raise self._refused(f"put {files.name}", "state files cannot be reached in a server that a stack builds")

    # while it runs
    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        raise self._refused(f"migrate {instance.name}", "a server stays where the stack has built it")


def _serves(url: str) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310 - it begins with http
            return int(answer.status) < 400
    except (OSError, ValueError):
        return False


def _active(server: Mapping[str, Any] | None) -> bool:
    return server is not None and server["status"] == "ACTIVE"


def _addresses(server: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each address of a server, and whether it is fixed or floating."""
    networks: Mapping[str, Any] = server.get("addresses") or {}
    return [(each["addr"], each.get("OS-EXT-IPS:type", "fixed")) for found in networks.values() for each in found]


def _floating(server: Mapping[str, Any]) -> str | None:
    return next((address for address, kind in _addresses(server) if kind == "floating"), None)
