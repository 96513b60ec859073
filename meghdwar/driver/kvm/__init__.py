"""The hypervisor `kvm`: virtual machines by libvirt, wherever the gateway is.

A virtual machine is an image that the gateway has once, and an overlay of its own above it where the image has a disk;
its state is on disks of its own that are plugged in and out. It moves while it runs (`live`), or stopped (`cold`,
`precopy`), or its state goes to one that waits for it (`warm`).

What `fence="checked"` leaves possible: a driver that stands still for longer than its lease, exactly between its look
and its act, acts once with an old epoch when it goes on. What it wakes so it looks at again at once and stops; that it
is killed in that very moment as well is all that is left. A newer epoch ends a migration that an older one has begun.
QEMU locks its disks, so no two guests of one gateway ever have the same one open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

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
    Version,
)
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.kvm import copying, domain, images, migration, reach, trial
from meghdwar.driver.kvm.connection import Connection, Domain, State
from meghdwar.driver.kvm.doctor import look_over, machine_of
from meghdwar.driver.kvm.domain import Boot, Machine
from meghdwar.driver.kvm.pool import Held, Kept, Pool, check_length, sorted_out

OVERLAY = "overlay"
UNPLUG_S = 20.0
POWERS: Mapping[State, Power] = {
    State.ABSENT: Power.ABSENT,
    State.STOPPED: Power.STOPPED,
    State.RUNNING: Power.RUNNING,
    State.PAUSED: Power.PAUSED,
    State.ARRIVING: Power.PAUSED,
    State.LEFT: Power.PAUSED,
}
CAPABILITIES = Capabilities(
    kind="kvm",
    strategies={
        # estimated, but for live
        "cold": Cost(gap_s=4.0, gap_s_per_gb=8.0),
        "precopy": Cost(gap_s=3.5, gap_s_per_gb=5.0),
        "warm": Cost(gap_s=1.0, gap_s_per_gb=5.0),
        # emulated with 128 MiB, which go over while it stands still
        "live": Cost(gap_s=0.2),
    },
    fence="checked",
    proof="content",
    delta=True,
)


class Kvm:
    """One gateway with libvirt. Options: pool, pool_path, bridge or network, proxy, virt (kvm, qemu), machine, cpu,
    migrate_uri, migrate_data, migrate_tls, migration (live, saved), downtime_ms; see docs/how-to/kvm-gateways.md."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.connection = Connection(access)
        self.pool = Pool(self.connection)
        self._machine: Machine | None = None

    @property
    def gateway(self) -> str:
        return self.access.gateway

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def close(self) -> None:
        self.connection.close()

    # looking
    def look(self, instance: Instance) -> Seen:
        return self._seen(instance.name, self.pool.kept(instance.name), self.connection.domain(instance.name))

    def inventory(self) -> tuple[Seen, ...]:
        kept, domains = sorted_out(self.pool.names()), self.connection.domains()
        seen = [self._seen(name, kept.get(name, Kept()), domains.get(name)) for name in sorted(kept.keys() | domains)]
        return tuple(each for each in seen if each != Seen(each.name))

    def _seen(self, name: str, kept: Kept, there: Domain | None) -> Seen:
        state, xml = self._read(there)
        if xml and not domain.is_ours(xml):
            state, xml = State.ABSENT, ""
        application = kept.now.application or (domain.said(xml).get("application", "") if xml else "")
        attached = {self._disk_of(name, disk.path) for disk in domain.plugged(xml)} if xml else set()
        power = POWERS[state]
        if power is Power.STOPPED and kept.saved:
            power = Power.PAUSED
        return Seen(
            name=name,
            power=power,
            epoch=kept.now.epoch,
            writer=kept.now.writer,
            application=application,
            disks=kept.disks,
            attached=tuple(disk for disk in kept.disks if disk in attached and disk != OVERLAY),
            as_of=dict(kept.as_of),
        )

    def _read(self, there: Domain | None) -> tuple[State, str]:
        """How a domain is and its definition; one that went away meanwhile is absent."""
        state = self.connection.state(there)
        if state is State.ABSENT:
            return state, ""
        try:
            return state, self.connection.xml(there, live=state is not State.STOPPED)
        except HypervisorError:
            if self.connection.state(there) is State.ABSENT:
                return State.ABSENT, ""
            raise

    def _disk_of(self, name: str, path: str) -> str:
        return path.rpartition("/")[2].removeprefix(f"{name}.").rpartition(".")[0]

    def probe(self, instance: Instance) -> bool:
        """By its address, through the option `proxy` where the gateway has one. A command cannot be run in it: then,
        as without http and port, its first port is tried, and without ports it is enough that it runs."""
        there = self.connection.domain(instance.name)
        if self.connection.state(there) is not State.RUNNING:
            return False
        port = instance.ready.port or next(iter(instance.ports), 80 if instance.ready.http else None)
        if port is None:
            return True
        host = instance.address or next(iter(self.connection.addresses(there)), None)
        if host is None:
            return False
        return reach.answers(host, port, instance.ready.http, self.access.options.get("proxy"))

    def endpoint(self, instance: Instance) -> str:
        host = instance.address
        if host is None:
            there = self.connection.domain(instance.name)
            found = self.connection.addresses(there) if there is not None else []
            host = next(iter(found), self.access.address)
        if host is None:
            why = "it has no address, and neither a lease nor a guest agent says one; give it one in the descriptor"
            raise HypervisorError(self.gateway, f"say where {instance.name} is", why)
        return f"{host}:{instance.ports[0]}" if instance.ports else host

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        return look_over(self.access, self.connection, self.pool, images)

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        kept = self.pool.kept(instance.name)
        now = kept.now
        if now.epoch > claim.epoch:
            raise Stale(f"{instance.name} is held at {self.gateway} with epoch {now.epoch}, not {claim.epoch}")
        wanted = now.writer if writer is None else writer
        new = Held(claim.epoch, 0 if now.epoch < claim.epoch else now.serial + 1, wanted, instance.application)
        if now.epoch != claim.epoch or now.writer != wanted:
            check_length(self.gateway, new.volume(instance.name))
            claim.check()
            self.pool.make(new.volume(instance.name))
            kept = self.pool.kept(instance.name)
            if kept.now != new:
                raise Stale(f"{instance.name} was taken over at {self.gateway} with epoch {kept.now.epoch}")
        if now.epoch < claim.epoch:
            migration.end(self, instance)
        self.pool.delete(each.volume(instance.name) for each in kept.held[:-1])

    def _checked(self, instance: Instance, claim: Claim) -> Kept:
        """What is kept of it, once it is sure that this claim may change it: called right before each act."""
        kept = self.pool.kept(instance.name)
        if kept.now.epoch != claim.epoch:
            raise Stale(f"{instance.name} is held at {self.gateway} with epoch {kept.now.epoch}, not {claim.epoch}")
        claim.check()
        return kept

    def _found(self, instance: Instance, asked: str) -> tuple[Domain | None, State, str]:
        """Its domain, how it is, and its definition. Somebody else's of the same name is Refused."""
        there = self.connection.domain(instance.name)
        state, xml = self._read(there)
        if xml and not domain.is_ours(xml):
            why = f"there is a domain {instance.name} that is not Meghdwar's; rename it with virsh domrename"
            raise Refused(self.gateway, f"{asked} {instance.name}", why)
        return there, state, xml

    def _there(self, instance: Instance, asked: str) -> tuple[Domain, State, str]:
        there, state, xml = self._found(instance, asked)
        if state is State.ABSENT:
            raise HypervisorError(self.gateway, f"{asked} {instance.name}", "it is not there; define it first")
        return there, state, xml

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        self._checked(instance, claim)
        if self._found(instance, "define")[1] is not State.ABSENT:
            return
        image = images.find(self.gateway, self.access.images, instance.image)
        trial.refuse_indirect(self.connection, self.pool)
        images.bring(self.pool, image)
        self._checked(instance, claim)
        boot = self._boot(instance, image)
        self.connection.define(instance.name, domain.domain_xml(instance, self.machine, boot))

    @property
    def machine(self) -> Machine:
        """How guests are run here: asked once, tried once."""
        if self._machine is None:
            self._machine = machine_of(self.access, self.connection, self.pool)
        return self._machine

    def _boot(self, instance: Instance, image: images.Image) -> Boot:
        """The files that it boots from, with its overlay made."""
        paths = {kind: self.pool.path(volume) for kind, volume in image.volumes.items()}
        overlay = None
        if image.has_disk:
            base = image.volumes["base.qcow2"]
            size = max(instance.disk_bytes or 0, self.pool.capacity(base) or 0)
            volume = f"{instance.name}.{OVERLAY}.qcow2"
            # a relative name: the overlay is copied as it is to gateways that have their pool elsewhere
            self.pool.make(volume, size, kind="qcow2", backing=base)
            overlay = self.pool.path(volume)
        return Boot(image.content, paths.get("vmlinuz"), paths.get("initrd"), image.command_line, overlay)

    def start(self, instance: Instance, claim: Claim) -> None:
        kept = self._checked(instance, claim)
        there, state, xml = self._there(instance, "start")
        if not kept.now.writer and any(disk in self._plugged(instance, xml) for disk in self._state_disks(instance)):
            raise Refused(self.gateway, f"start {instance.name}", "its copy here may not write to the state it has")
        if state is State.RUNNING:
            return
        if doubted := sorted(set(kept.doubted) & self._plugged(instance, xml).keys()):
            why = f"its copy here of {', '.join(doubted)} was never proved; copy it again"
            raise Refused(self.gateway, f"start {instance.name}", why)
        if state in (State.ARRIVING, State.LEFT):
            raise HypervisorError(self.gateway, f"start {instance.name}", "it is in the middle of a move", retry=True)
        if state is State.PAUSED:
            self.connection.resume(there)
        else:
            self.pool.delete([f"{instance.name}.saved"] if kept.saved else [])
            self.connection.start(there)
        self._still_mine(instance, claim, there)

    def _still_mine(self, instance: Instance, claim: Claim, there: Domain) -> None:
        """Nobody took it over while it was woken; else it is put to sleep again at once."""
        now = self.pool.kept(instance.name).now
        if now.epoch > claim.epoch:
            if not now.writer:
                self.connection.destroy(there)
            raise Stale(f"{instance.name} was taken over at {self.gateway} with epoch {now.epoch}")

    def stop(self, instance: Instance, claim: Claim) -> None:
        self._checked(instance, claim)
        there, state, _xml = self._found(instance, "stop")
        if state not in (State.ABSENT, State.STOPPED):
            self.connection.destroy(there)

    def pause(self, instance: Instance, claim: Claim) -> str:
        """A suspended guest writes nothing, and QEMU has written what it had taken from it before `suspend` answers;
        what the guest itself had not written was never promised to anybody. Across a reboot of the gateway it is
        stopped: it is never started by libvirt."""
        self._checked(instance, claim)
        there, state, _xml = self._found(instance, "pause")
        if state is State.RUNNING:
            self.connection.suspend(there)
            if self.connection.state(there) is State.RUNNING:
                raise HypervisorError(self.gateway, f"pause {instance.name}", "it runs all the same", retry=True)
        return "stop" if state in (State.ABSENT, State.STOPPED) else "freeze"

    def resume(self, instance: Instance, claim: Claim) -> None:
        kept = self._checked(instance, claim)
        there, state, xml = self._there(instance, "resume")
        if not kept.now.writer:
            raise Refused(self.gateway, f"resume {instance.name}", "its copy here may not write")
        if state in (State.ARRIVING, State.LEFT):
            raise HypervisorError(self.gateway, f"resume {instance.name}", "it is in the middle of a move", retry=True)
        plugged = self._plugged(instance, xml)
        for disk in instance.disks:
            if disk.name in kept.disks and disk.name not in plugged:
                self.attach(instance, disk, claim)
        if state is State.PAUSED:
            self.connection.resume(there)
            self._still_mine(instance, claim, there)
        elif state is State.STOPPED and not (kept.saved and migration.restored(self, instance)):
            self.start(instance, claim)

    def remove(self, instance: Instance, claim: Claim) -> None:
        there, state, _xml = self._found(instance, "remove")
        if state is State.ABSENT and self.pool.kept(instance.name) == Kept():
            return
        self._checked(instance, claim)
        if state not in (State.ABSENT, State.STOPPED):
            self.connection.destroy(there)
        if self.connection.state(there) is not State.ABSENT:
            self.connection.undefine(there)
        mine = [volume for volume in self.pool.names() if volume.partition(".")[0] == instance.name]
        self._checked(instance, claim)
        # what is remembered goes last: until then an older epoch is refused
        self.pool.delete(sorted(mine, key=lambda volume: ".held." in volume))

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        """Its state, and its overlay where its image has a disk."""
        overlay = self._overlay(instance)
        return (*instance.disks, overlay) if overlay else instance.disks

    def _overlay(self, instance: Instance) -> Disk | None:
        """Told by what is here of it; where nothing is, by its image."""
        kept = self.pool.kept(instance.name)
        there = OVERLAY in kept.disks
        if not there and self.connection.domain(instance.name) is None:
            try:
                there = images.find(self.gateway, self.access.images, instance.image).has_disk
            except HypervisorError:
                there = False
        return Disk(OVERLAY, instance.disk_bytes or 0, "/") if there else None

    def _volume(self, instance: Instance, disk: Disk) -> str:
        return f"{instance.name}.{disk.name}.{'qcow2' if disk.name == OVERLAY and disk.location == '/' else 'raw'}"

    def _state_disks(self, instance: Instance) -> tuple[str, ...]:
        return tuple(disk.name for disk in instance.disks)

    def _plugged(self, instance: Instance, xml: str) -> dict[str, domain.Plugged]:
        return {self._disk_of(instance.name, disk.path): disk for disk in domain.plugged(xml)} if xml else {}

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        self._checked(instance, claim)
        volume = self._volume(instance, disk)
        if volume.endswith(".qcow2"):
            return  # an overlay is made with the instance
        check_length(self.gateway, volume)
        self.pool.make(volume, disk.size_bytes)

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        """Both sides are read, here and there, and what differs is sent through the driver; holes are skipped. With
        `final` the proof is the SHA-256 of the content: what was sent is read back, and all else was compared."""
        asked = f"copy {disk.name} to"
        self._checked(instance, claim)
        if not isinstance(source, Kvm):
            raise Refused(self.gateway, f"{asked} {instance.name}", f"{source.gateway} has another hypervisor")
        volume = self._volume(instance, disk)
        size = source.pool.capacity(volume)
        if size is None:
            why = f"{source.gateway} has no {disk.name} of it; see what is there with mdw fsck"
            raise HypervisorError(self.gateway, f"copy {disk.name}", why)
        _there, state, xml = self._found(instance, asked)
        if state not in (State.ABSENT, State.STOPPED) and disk.name in self._plugged(instance, xml):
            raise Refused(self.gateway, f"{asked} {instance.name}", "it runs here with that disk")
        if final and source.look(instance).power is Power.RUNNING:
            raise Refused(source.gateway, f"{asked} {instance.name} for good", "it still runs; pause it first")
        if disk.name == OVERLAY:
            self._same_base(instance, source)
        elif self.pool.capacity(volume) not in (size, None):
            self.pool.delete([volume])
        begun_at = time.time()
        check_length(self.gateway, _copied(instance, disk, begun_at))
        self._doubt(instance, disk)
        self.pool.make(volume, size)
        done = copying.copy(source.pool, volume, self.pool, volume, lambda: self._hurry(instance, claim), final=final)
        if final:
            self._hurry(instance, claim)
            self._prove(instance, disk, begun_at)
        return done

    def _doubt(self, instance: Instance, disk: Disk) -> None:
        """From now on the disk is no whole one, until it was proved; said before anything is copied."""
        mark = f"{instance.name}.{disk.name}"
        self.pool.make(f"{mark}.copying")
        self.pool.delete(volume for volume in self.pool.names() if volume.startswith(f"{mark}.copied."))

    def _prove(self, instance: Instance, disk: Disk, at: float) -> None:
        self.pool.make(_copied(instance, disk, at))
        self.pool.delete([f"{instance.name}.{disk.name}.copying"])

    def _hurry(self, instance: Instance, claim: Claim) -> None:
        self._checked(instance, claim)

    def _same_base(self, instance: Instance, source: Kvm) -> None:
        """An overlay means nothing above another base."""
        ours, theirs = (side._image_of(instance) for side in (self, source))
        if ours != theirs:
            why = f"the image {instance.image} is not the same as at {source.gateway}; give both the one it was made of"
            raise Refused(self.gateway, f"copy the overlay of {instance.name}", why)

    def _image_of(self, instance: Instance) -> str:
        _there, _state, xml = self._there(instance, "look at")
        return domain.said(xml).get("image", "")

    def attach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        kept = self._checked(instance, claim)
        asked = f"attach {disk.name} to"
        if not kept.now.writer:
            raise Refused(self.gateway, f"{asked} {instance.name}", "its copy here may not write")
        if disk.name not in kept.disks:
            why = "there is no whole disk of this name; make or copy it first"
            raise HypervisorError(self.gateway, f"{asked} {instance.name}", why)
        there, state, now = self._there(instance, asked)
        running = state is not State.STOPPED
        config = self.connection.xml(there, live=False)
        device = domain.free_device(config, disk.device)
        xml = domain.disk_xml(disk, self.pool.path(self._volume(instance, disk)), device)
        live, later = (disk.name not in self._plugged(instance, each) for each in (now, config))
        if later:
            self.connection.plug(there, xml, live=False, config=True)
        if running and live:
            self.connection.plug(there, xml, live=True, config=False)

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        self._checked(instance, claim)
        there, state, now = self._found(instance, f"detach {disk.name} from")
        if state is State.ABSENT:
            return
        config = self._plugged(instance, self.connection.xml(there, live=False)).get(disk.name)
        if config:
            self.connection.unplug(there, config.xml, live=False, config=True)
        live = self._plugged(instance, now).get(disk.name)
        if state is State.STOPPED or live is None:
            return
        if state is not State.RUNNING:
            self.connection.destroy(there)  # a guest that is paused cannot let go of anything
            return
        self.connection.unplug(there, live.xml, live=True, config=False)
        self._until(
            lambda: disk.name not in self._plugged(instance, self._read(there)[1]),
            f"detach {disk.name} from {instance.name}",
            "the guest does not let go of it",
        )

    def _until(self, done: Callable[[], bool], asked: str, why: str) -> None:
        end = time.monotonic() + UNPLUG_S
        while not done():
            if time.monotonic() > end:
                raise HypervisorError(self.gateway, asked, f"{why} within {UNPLUG_S:g} s", retry=True)
            time.sleep(0.01)

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        raise self._no_files(files)

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        raise self._no_files(files)

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        raise self._no_files(files)

    def _no_files(self, files: Files) -> Refused:
        why = "nobody can look into a virtual machine's files from outside; keep its state on a volume"
        return Refused(self.gateway, f"reach the state files {files.name}", why)

    # while it runs
    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        if not isinstance(target, Kvm):
            why = f"{target.gateway} has another hypervisor"
            raise Refused(self.gateway, f"migrate {instance.name}", why)
        migration.migrate(self, target, instance, claim)


def _copied(instance: Instance, disk: Disk, at: float) -> str:
    """The volume that says from when a copy is."""
    return f"{instance.name}.{disk.name}.copied.{int(at * 1000)}"


_: Callable[[Access], Hypervisor] = Kvm
__all__ = ["CAPABILITIES", "Kvm"]
