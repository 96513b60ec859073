"""The hypervisor `local`: a gateway is a folder, a cloudlet a process in it, a disk a folder.

Real processes and real files, without any right of root: the main job runs anywhere. What a process finds:

- its working folder and $MEGHDWAR_ROOT are its root; the state with location /data is $MEGHDWAR_ROOT/data while it
  is attached, and nothing is there while it is not;
- $MEGHDWAR_NAME; $MEGHDWAR_ADDRESS, a loopback address of its own; $PORT, the first of its ports; and HOME, its root;
- the environment of its descriptor, and a PATH with its image first.

Memory, processors and the size of disks are not limited. What it hands to services of the machine (cron, systemd,
docker) is not its own any more and is not ended with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from meghdwar.driver.hypervisor import (
    Access,
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
    Unverified,
    Version,
)
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.local import doctor, process, state
from meghdwar.driver.local import image as image_
from meghdwar.driver.local.copying import DifferentError, copy
from meghdwar.driver.local.files import sync_folder
from meghdwar.driver.local.folder import Folder, Place, Record, explained
from meghdwar.driver.local.world import World, free_address, is_free

CAPABILITIES = Capabilities(
    kind="local",
    strategies={
        "cold": Cost(0.1, 1.0),
        "precopy": Cost(0.07),
        "warm": Cost(0.035),
        "files": Cost(0.065),
    },
    fence="atomic",
    proof="content",
    delta=True,
)
QUIESCE_S = 10.0


class Local:
    """One gateway. It keeps nothing open and nothing in memory: any number of drivers may work on one folder."""

    def __init__(self, access: Access) -> None:
        self._access = access
        path = Path(access.endpoint.removeprefix("local:")).expanduser().absolute()
        self._folder = Folder(access.gateway, path, access.timeout_s)

    @property
    def gateway(self) -> str:
        return self._access.gateway

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def close(self) -> None:
        return

    # looking
    def look(self, instance: Instance) -> Seen:
        place, record, asked = self._remembered(instance, "look at")
        return self._seen(place, record, asked)

    def inventory(self) -> tuple[Seen, ...]:
        asked = "list what is there"
        places = [self._folder.place(name) for name in self._folder.names(asked)]
        seen = (self._seen(place, self._folder.read(place, asked), asked) for place in places)
        return tuple(each for each in seen if each != Seen(each.name))

    def probe(self, instance: Instance) -> bool:
        place, record, asked = self._remembered(instance, "see whether there is service of")
        with explained(self.gateway, asked):
            return record is not None and process.lives(place) and self._world(instance, place, record).serves()

    def endpoint(self, instance: Instance) -> str:
        _, record, asked = self._remembered(instance, "say where to reach")
        if record is None or not record.address:
            raise HypervisorError(self.gateway, asked, "it is not defined there")
        return f"{record.address}:{instance.ports[0]}" if instance.ports else record.address

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        return doctor.findings(self._folder, self._access.images, images, self.inventory)

    def _remembered(self, instance: Instance, what: str) -> tuple[Place, Record | None, str]:
        asked = f"{what} {instance.name}"
        place = self._folder.place(instance.name)
        self._folder.check(asked)
        return place, self._folder.read(place, asked), asked

    def _seen(self, place: Place, record: Record | None, asked: str) -> Seen:
        name = place.folder.name
        if record is None:
            return Seen(name)
        with explained(self.gateway, asked):
            return Seen(
                name,
                _power(place, record),
                record.epoch,
                record.writer,
                record.application,
                state.disks(place),
                state.attached(place),
                state.as_of(place),
            )

    def _world(self, instance: Instance, place: Place, record: Record) -> World:
        return World(instance, place, record, self._folder.images)

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        asked = f"hold {instance.name}"
        place = self._folder.place(instance.name)
        self._folder.take(asked)
        with self._folder.locked(place, asked, claim.epoch, make=True), explained(self.gateway, asked):
            self._folder.sweep()
            known = self._folder.read(place, asked)
            record = known or Record()
            if record.epoch > claim.epoch:
                raise Stale(f"cannot {asked} at {self.gateway}: epoch {record.epoch} holds it, not {claim.epoch}")
            claim.check()
            held = replace(
                record,
                application=instance.application,
                cloudlet=instance.cloudlet,
                epoch=claim.epoch,
                writer=record.writer if writer is None else writer,
            )
            if held != record:
                self._folder.write(place, held)
            if known is None:
                sync_folder(place.folder.parent)

    @contextmanager
    def _acting(self, instance: Instance, claim: Claim, what: str) -> Iterator[tuple[Place, Record, int, str]]:
        """Nobody else acts on it meanwhile, and we hold it: its place, what is remembered, its lock, what is asked."""
        asked = f"{what} {instance.name}"
        place = self._folder.place(instance.name)
        with self._folder.acting(place, claim, asked) as (record, lock), self._told(asked):
            yield place, record, lock, asked

    @contextmanager
    def _told(self, asked: str) -> Iterator[None]:
        """What goes wrong inside names the gateway and what was asked."""
        try:
            yield
        except process.StillLivesError as error:
            raise HypervisorError(self.gateway, asked, f"{error}: end them", retry=True) from error
        except (process.CannotStartError, image_.ImageError) as error:
            raise HypervisorError(self.gateway, asked, str(error)) from error
        except DifferentError as error:
            raise Unverified(self.gateway, asked, f"{error}: copy it again") from error
        except state.StateError as error:
            kind = HypervisorError if error.retry else Refused
            raise kind(self.gateway, asked, str(error), retry=error.retry) from error

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "define") as (place, record, _, asked):
            if place.root.is_dir():
                return
            image = image_.bring(instance.image, self._access.images, self._folder.images)
            claim.check()
            address = record.address or self._free_address(instance, place, asked)
            self._folder.write(place, replace(record, image=image, address=address))
            place.root.mkdir()
            sync_folder(place.folder)

    def start(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "start") as (place, record, lock, asked):
            self._start(instance, claim, place, record, lock, asked)

    def resume(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "resume") as (place, record, lock, asked):
            if not record.writer:
                raise Refused(self.gateway, asked, "its copy there may not write")
            missing = {disk.name for disk in instance.disks} - set(state.attached(place))
            if missing:
                why = f"its state {', '.join(sorted(missing))} is not attached: attach it first"
                raise Refused(self.gateway, asked, why)
            self._start(instance, claim, place, record, lock, asked)

    def _start(self, instance: Instance, claim: Claim, place: Place, record: Record, lock: int, asked: str) -> None:
        self._defined(place, asked)
        attached = state.attached(place)
        if not record.writer and (attached or record.versions):
            raise Refused(self.gateway, asked, "it has its state, and its copy there may not write")
        if doubted := sorted(set(attached) - set(state.disks(place))):
            raise Refused(self.gateway, asked, f"its copy of {', '.join(doubted)} was never proved: copy it again")
        if process.lives(place):
            return
        address = record.address
        if not is_free(address, instance.ports):
            address = self._free_address(instance, place, asked)
        running = replace(record, paused=False, address=address)
        if running != record:
            self._folder.write(place, running)
        world = self._world(instance, place, running)
        command, environment = world.command(), world.environment()
        claim.check()
        process.start(place, lock, command, environment)

    def stop(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "stop") as (place, record, _, _asked):
            process.end(place, at_once=False)
            if record.paused:
                self._folder.write(place, replace(record, paused=False))

    def pause(self, instance: Instance, claim: Claim) -> str:
        with self._acting(instance, claim, "pause") as (place, record, _, asked):
            if not process.lives(place):
                return "stop"
            world = self._world(instance, place, record)
            way = "quiesce" if instance.quiesce and world.runs(instance.quiesce, QUIESCE_S) else "stop"
            claim.check()
            if not record.paused:
                self._folder.write(place, replace(record, paused=True))
            process.end(place, at_once=True)
            if process.lives(place):
                raise HypervisorError(self.gateway, asked, "something of it still lives: pause it again", retry=True)
            return way

    def remove(self, instance: Instance, claim: Claim) -> None:
        if self.look(instance) == Seen(instance.name):
            with explained(self.gateway, f"remove {instance.name}"):
                self._folder.sweep()  # a driver may have died over the rest
            return
        with self._acting(instance, claim, "remove") as (place, _, _, _asked):
            process.end(place, at_once=True)
            claim.check()
            self._folder.forget(place)

    def _defined(self, place: Place, asked: str) -> None:
        if not place.root.is_dir():
            raise HypervisorError(self.gateway, asked, "it is not defined there")

    def _free_address(self, instance: Instance, place: Place, asked: str) -> str:
        places = [self._folder.place(name) for name in self._folder.names(asked)]
        records = [self._folder.read(other, asked) for other in places]
        address = free_address(instance, place, {record.address for record in records if record is not None})
        if address is None:
            raise HypervisorError(self.gateway, asked, "its ports are taken at every address that was tried: free some")
        return address

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return instance.disks

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        with self._acting(instance, claim, f"make disk {disk.name} of") as (place, _, _, _asked):
            state.make(place, disk)

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        with self._acting(instance, claim, f"copy disk {disk.name} of") as (place, _, _, asked):
            origin = self._origin(instance, disk, source, final, asked)
            if disk.name in state.attached(place) and process.lives(place):
                raise Refused(self.gateway, asked, "it runs there with this disk attached: pause it first")
            begun_at = time.time()
            claim.check()
            state.doubt(place, disk.name)
            state.make(place, disk)
            done = copy(origin, place.disk(disk.name), place.compared(disk.name), claim.check, final=final)
            if final:
                self._origin(instance, disk, source, final, asked)  # it was not started meanwhile
                claim.check()
                state.prove(place, disk.name, begun_at)
            proof = (
                f"content: {done.files} files, {done.compared_bytes} bytes compared, "
                f"{done.untouched_bytes} untouched since they were"
            )
            return Copied(done.sent_bytes, proof if final else "")

    def _origin(self, instance: Instance, disk: Disk, source: Hypervisor, final: bool, asked: str) -> Path:
        """The folder to copy from; for the last copy nothing may run there that has it."""
        if not isinstance(source, Local):
            why = f"{source.gateway} is no folder: state goes between gateways of one kind"
            raise Refused(self.gateway, asked, why)
        seen = source.look(instance)
        if disk.name not in seen.disks:
            why = f"{source.gateway} has no disk {disk.name} of it"
            raise HypervisorError(self.gateway, asked, why)
        if final and seen.power is Power.RUNNING and disk.name in seen.attached:
            raise Refused(self.gateway, asked, f"it still runs at {source.gateway}: pause it before the last copy")
        return source._folder.place(instance.name).disk(disk.name)

    def attach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        with self._acting(instance, claim, f"attach disk {disk.name} to") as (place, record, _, asked):
            if not record.writer:
                raise Refused(self.gateway, asked, "its copy there may not write")
            if disk.name not in state.disks(place):
                raise HypervisorError(self.gateway, asked, "there is no whole disk of this name: make or copy it first")
            self._defined(place, asked)
            if disk.name not in state.attached(place):
                state.attach(place, disk)

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        with self._acting(instance, claim, f"detach disk {disk.name} from") as (place, _, _, _asked):
            state.detach(place, disk)

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        _, record, _ = self._remembered(instance, f"see the version of {files.name} of")
        return record.versions.get(files.name) if record is not None else None

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        place, _, asked = self._remembered(instance, f"read {files.name} of")
        with explained(self.gateway, asked), self._told(asked):
            return state.read(place, files)

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        with self._acting(instance, claim, f"put {files.name} of") as (place, record, _, asked):
            there = record.versions.get(files.name)
            if there == version:
                return  # what it has written since stays
            state.may_follow(there, version)
            self._defined(place, asked)
            state.put(place, files, contents, claim.check)
            self._folder.write(place, replace(record, versions={**record.versions, files.name: version}))

    # while it runs
    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        asked = f"move {instance.name} while it runs"
        raise Refused(self.gateway, asked, "a process cannot: use warm, precopy, cold or files")


def _power(place: Place, record: Record) -> Power:
    if not place.root.is_dir():
        return Power.ABSENT
    if process.lives(place):
        return Power.RUNNING
    return Power.PAUSED if record.paused else Power.STOPPED
