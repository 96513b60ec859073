"""A gateway with LXD: a cloudlet is a container, its state custom volumes of a pool that can be trusted.

What moves is the state: what a container writes elsewhere stays behind. Options of its Access: `pool` (of containers
and state, "default"), `parent` (the interface behind which its cloudlets have their addresses; without it they get
none), `project`.

An instance's `command` is run beside the init of its image, once for each start, and not started again when it ends:
what needs a watchman is made a service of the image. Stopping is by force: clean stops take seconds, and the move's
way to let an application finish is `quiesce`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from meghdwar.driver import lxd_doctor, lxd_files, lxd_inside, lxd_record
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
    Unreachable,
    Version,
)
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.lxd_api import Api, Changed, Data, Missing
from meghdwar.driver.lxd_record import KEY, Record
from meghdwar.driver.lxd_volumes import Volumes

CAPABILITIES = Capabilities(
    kind="lxd",
    strategies={
        "cold": Cost(1.1, 3.4),  # as the naive way
        "precopy": Cost(0.4),
        "warm": Cost(0.2),
        "files": Cost(1.0),  # estimated
    },
    fence="checked",
    proof="transport",
    delta=True,
)
AFTERWARDS_S = 1.0  # subscribers have been sent to an instance that serves by then, and nobody waits any more
MADE = f"{KEY}made"  # an instance without it is one that somebody died over


class Lxd:
    """One LXD, by https with a pinned certificate or by its unix socket. Several threads may share it."""

    def __init__(self, access: Access) -> None:
        self._api = Api(access)
        self._volumes = Volumes(self._api, access.options.get("pool", "default"))
        self._parent = access.options.get("parent", "")
        self._waking: dict[str, Future[str | None]] = {}  # what has begun to ask whether an instance serves
        self._kept: set[str] = set()  # instances that do not need the copies that were kept once they serve

    @property
    def gateway(self) -> str:
        return self._api.access.gateway

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def close(self) -> None:
        self._api.close()

    # looking
    def look(self, instance: Instance) -> Seen:
        asked = f"look at {instance.name}"
        record = lxd_record.read(self._api, instance.name, asked)
        there = self._find(instance.name, asked)
        disks = self._volumes.whole_ones(instance, asked)
        return self._seen(instance, record, there, disks, asked)

    def inventory(self) -> tuple[Seen, ...]:
        asked = "list what is there"
        records = {record.name: record for record in lxd_record.every(self._api, asked)}
        disks = self._volumes.every(asked)
        containers = {
            each["name"]: each
            for each in self._api.get("instances", asked, recursion=1)
            if f"{KEY}application" in each["config"]
        }
        return tuple(
            self._seen(
                _known(name, containers.get(name)), records.get(name), containers.get(name), disks.get(name, {}), asked
            )
            for name in sorted({*records, *disks, *containers})
        )

    def _seen(
        self,
        instance: Instance,
        record: Record | None,
        there: Data | None,
        disks: Mapping[str, float | None],
        asked: str,
    ) -> Seen:
        ours = there["config"].get(f"{KEY}application", "") if there else ""
        return Seen(
            name=instance.name,
            power=self._power(instance, record, there, asked),
            epoch=record.epoch if record else 0,
            writer=record.writer if record else False,
            application=ours or (record.application if record else ""),
            disks=tuple(sorted(disks)),
            attached=tuple(sorted(_attached(there))),
            as_of={name: at for name, at in disks.items() if at is not None},
        )

    def _power(self, instance: Instance, record: Record | None, there: Data | None, asked: str) -> Power:
        if there is None:
            return Power.ABSENT
        if there["status"] == "Frozen":
            return Power.PAUSED
        if there["status"] != "Running":
            return Power.STOPPED
        asking = record is not None and record.quiet
        if asking and lxd_inside.is_paused(self._api, instance, asked):
            return Power.PAUSED
        return Power.RUNNING

    def probe(self, instance: Instance) -> bool:
        asked = f"ask whether {instance.name} is ready"
        if instance.ready.http is None:  # who answers over http runs; what is paused still listens
            record = lxd_record.read(self._api, instance.name, asked)
            there = self._find(instance.name, asked)
            if self._power(instance, record, there, asked) is not Power.RUNNING:
                return False
        try:
            serves = self._has_woken(instance, asked) or lxd_inside.serves(self._api, instance, asked)
        except HypervisorError as error:
            if error.retry or self._is_running(instance.name, asked):
                raise
            return False
        if serves and instance.name in self._kept:
            self._kept.discard(instance.name)
            self._api.later(lambda: self._discard_kept(instance, asked), AFTERWARDS_S)
        return serves

    def _discard_kept(self, instance: Instance, asked: str) -> None:
        """Unless it is somewhere else again, and what is kept here is the last copy on the way back."""
        record = lxd_record.read(self._api, instance.name, asked)
        if record is None or not record.writer:
            return
        for disk in instance.disks:
            self._volumes.discard_kept(instance, disk, asked)

    def _has_woken(self, instance: Instance, asked: str) -> bool:
        """Whether it answered who was sent inside to wait for its state, while that was on its way."""
        waking = self._waking.pop(instance.name, None)
        try:
            running = waking.result() if waking else None
            return running is not None and self._api.status_of(running, asked) == 0
        except HypervisorError:
            return False

    def endpoint(self, instance: Instance) -> str:
        host = instance.address or self._leased_address(instance)
        return f"{host}:{instance.ports[0]}" if instance.ports else host

    def _leased_address(self, instance: Instance) -> str:
        asked = f"find the address of {instance.name}"
        network = self._api.get(f"instances/{instance.name}/state", asked).get("network") or {}
        for name, card in network.items():
            for address in card["addresses"]:
                if name != "lo" and (address["family"], address["scope"]) == ("inet", "global"):
                    return str(address["address"])
        why = "it has no address; give the cloudlet one, and the gateway the option parent"
        raise HypervisorError(self.gateway, asked, why)

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        return lxd_doctor.findings(self._api, self._volumes, self._parent, images)

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        asked = f"hold {instance.name}"
        if lxd_record.hold(self._api, instance, claim, writer, asked):
            self._api.settle({instance.name, *(disk.name for disk in instance.disks)}, asked)

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        asked = f"define {instance.name}"
        lxd_record.held(self._api, instance, claim, asked)
        there = self._find(instance.name, asked)
        if there is not None:
            self._refuse_strangers(there, asked)
            if MADE in there["config"]:
                return
            self._delete(there, asked)
        fingerprint = self._image(instance.image, asked)
        claim.check()
        try:
            self._api.change("post", "instances", self._description(instance, fingerprint), asked)
        except Changed:
            why = "somebody else makes it right now"
            raise HypervisorError(self.gateway, asked, why, retry=True) from None
        self._api.change("patch", f"instances/{instance.name}", {"config": {MADE: "true"}}, asked)

    def start(self, instance: Instance, claim: Claim) -> None:
        asked = f"start {instance.name}"
        record, there = self._api.together(
            lambda: lxd_record.held(self._api, instance, claim, asked), lambda: self._must_find(instance, asked)
        )
        self._refuse_readers(record, bool(instance.files or _attached(there)), asked)
        self._run(instance, record, there, asked)

    def stop(self, instance: Instance, claim: Claim) -> None:
        asked = f"stop {instance.name}"
        lxd_record.held(self._api, instance, claim, asked)
        there = self._find(instance.name, asked)
        self._waking.pop(instance.name, None)
        if there is not None and there["status"] != "Stopped":
            self._state(instance.name, "stop", asked)

    def pause(self, instance: Instance, claim: Claim) -> str:
        asked = f"pause {instance.name}"
        record = lxd_record.held(self._api, instance, claim, asked)
        if not record.quiet:
            lxd_record.write(self._api, replace(record, quiet=True), asked)
        self._go_ahead(instance, claim, asked)
        try:  # at once: a look at it before would be time without a writer
            status = lxd_inside.pause(self._api, instance, asked)
        except HypervisorError:
            status = None
        if status == lxd_inside.QUIESCED:
            return "quiesce" if instance.quiesce else "signals"
        there = self._must_find(instance, asked)
        if there["status"] in ("Stopped", "Frozen"):
            return "stop" if there["status"] == "Stopped" else "freeze"
        claim.check()  # it took its time: slower ways, if we still may
        try:
            self._state(instance.name, "freeze", asked)
        except HypervisorError:
            self._state(instance.name, "stop", asked)
            return "stop"
        return "freeze"

    def resume(self, instance: Instance, claim: Claim) -> None:
        asked = f"resume {instance.name}"
        record = lxd_record.held(self._api, instance, claim, asked)
        there = self._must_find(instance, asked)
        self._refuse_readers(record, bool(instance.files or instance.disks), asked)
        for disk in instance.disks:
            if disk.name not in _attached(there):
                self._plug(instance, disk, asked)
        self._run(instance, record, there, asked)

    def remove(self, instance: Instance, claim: Claim) -> None:
        asked = f"remove {instance.name}"
        record = lxd_record.read(self._api, instance.name, asked)
        if record is not None:
            lxd_record.held(self._api, instance, claim, asked)
        claim.check()
        there = self._find(instance.name, asked)
        if there is not None:
            self._refuse_strangers(there, asked)
            self._delete(there, asked)
        self._volumes.remove(instance, asked)
        lxd_record.forget(self._api, instance.name, asked)

    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        why = "containers do not move while they run; use warm, precopy or cold"
        raise Refused(self.gateway, f"migrate {instance.name}", why)

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return instance.disks

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        asked = f"make {disk.name}"
        lxd_record.held(self._api, instance, claim, asked)
        self._volumes.make(instance, disk, asked)

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        """What `final` proves is what the transport proves: btrfs applied streams of checksummed commands, to their
        very end, to the snapshots that they were made from, LXD says so, and the new snapshot is there now. Bytes are
        not read again."""
        asked = f"copy {disk.name}"
        if not isinstance(source, Lxd):
            why = f"{source.gateway} has another hypervisor, and volumes of LXD travel between LXDs"
            raise Refused(self.gateway, asked, why)
        _, there = self._api.together(
            lambda: lxd_record.held(self._api, instance, claim, asked), lambda: self._find(instance.name, asked)
        )
        if there is not None and there["status"] != "Stopped" and disk.name in _attached(there):
            why = f"{disk.name} is attached there to something that runs"
            raise Refused(self.gateway, asked, why)
        if not final:
            source._flush(instance, asked)
        copied = self._volumes.copy(instance, disk, source._volumes, claim, asked, final=final)
        if not final:
            return replace(copied, proof="")
        if there is not None and there["status"] == "Running":  # it takes as long as to attach the disk
            self._waking[instance.name] = self._api.later(lambda: lxd_inside.begin_serves(self._api, instance, asked))
        return copied

    def attach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        asked = f"attach {disk.name}"
        record, whole = self._api.together(
            lambda: lxd_record.held(self._api, instance, claim, asked), lambda: self._volumes.whole(disk, asked)
        )
        self._refuse_readers(record, True, asked)
        if not whole:
            claim.check()
            self._volumes.restore(instance, disk, asked)
        self._plug(instance, disk, asked)
        self._kept.add(instance.name)

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        asked = f"detach {disk.name}"
        lxd_record.held(self._api, instance, claim, asked)
        path = f"instances/{instance.name}"
        found = self._api.tagged(path, asked)
        if found is None or disk.name not in _attached(found[0]):
            return
        there, tag = found
        body = {key: there[key] for key in ("architecture", "config", "description", "ephemeral", "profiles")}
        body["devices"] = {name: device for name, device in there["devices"].items() if name != disk.name}
        self._api.change("put", path, body, asked, tag=tag)

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        record = lxd_record.read(self._api, instance.name, f"find the version of {files.name}")
        return record.versions.get(files.name) if record else None

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        return lxd_files.read(self._api, instance, files, f"read {files.name}")

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        asked = f"put {files.name}"
        record = lxd_record.held(self._api, instance, claim, asked)
        lxd_files.check(self._api, files, contents, asked)
        known = record.versions.get(files.name)
        if known == version:
            return
        if known is not None and (version.parent != known.digest or version.number <= known.number):
            why = f"version {known.number} ({known.digest[:12]}) is there, and this is not the one after it"
            raise Refused(self.gateway, asked, why)
        there = self._must_find(instance, asked)
        claim.check()
        lxd_files.write(self._api, instance, files, contents, asked, running=there["status"] == "Running")
        lxd_record.write(self._api, replace(record, versions={**record.versions, files.name: version}), asked)

    # LXD's words
    def _find(self, name: str, asked: str) -> Data | None:
        found: Data | None = self._api.find(f"instances/{name}", asked)
        return found

    def _must_find(self, instance: Instance, asked: str) -> Data:
        there = self._find(instance.name, asked)
        if there is None:
            raise HypervisorError(self.gateway, asked, f"there is no {instance.name} there")
        self._refuse_strangers(there, asked)
        return there

    def _is_running(self, name: str, asked: str) -> bool:
        there = self._find(name, asked)
        return there is not None and there["status"] == "Running"

    def _refuse_readers(self, record: Record, has_state: bool, asked: str) -> None:
        if has_state and not record.writer:
            raise Refused(self.gateway, asked, "its copy may not write there")

    def _refuse_strangers(self, there: Data, asked: str) -> None:
        if f"{KEY}application" not in there["config"]:
            why = f"there is an instance {there['name']} that is not Meghdwar's; it is left alone"
            raise Refused(self.gateway, asked, why)

    def _state(self, name: str, action: str, asked: str) -> None:
        body = {"action": action, "force": action == "stop", "timeout": int(self._api.access.timeout_s)}
        self._api.change("put", f"instances/{name}/state", body, asked)

    def _run(self, instance: Instance, record: Record, there: Data, asked: str) -> None:
        """It runs, whatever it did before."""
        if there["status"] == "Frozen":
            self._state(instance.name, "unfreeze", asked)
        elif there["status"] != "Running":
            self._waking.pop(instance.name, None)
            self._state(instance.name, "start", asked)
        if record.quiet:
            lxd_inside.resume(self._api, instance, asked)
            lxd_record.write(self._api, replace(record, quiet=False), asked)
        if instance.command:
            lxd_inside.run_command(self._api, instance, asked)

    def _plug(self, instance: Instance, disk: Disk, asked: str) -> None:
        """It has the disk, whether it had it before or not: LXD finds nothing to do about a device that is there."""
        device = {"type": "disk", "pool": self._volumes.pool, "source": disk.name, "path": disk.location}
        try:
            self._api.change("patch", f"instances/{instance.name}", {"devices": {disk.name: device}}, asked)
        except Missing:
            raise HypervisorError(self.gateway, asked, f"there is no {instance.name} there") from None

    def _go_ahead(self, instance: Instance, claim: Claim, asked: str) -> None:
        """While it still writes; what cannot be done now is done by the last copy, which takes longer then."""
        for disk in instance.disks:
            try:
                self._volumes.go_ahead(disk, claim, asked)
            except Unreachable:
                raise
            except HypervisorError:
                continue
        claim.check()

    def _flush(self, instance: Instance, asked: str) -> None:
        """Brings what it has written to the disk, so that what is to be sent can be counted."""
        if self._is_running(instance.name, asked):
            self._api.run(instance.name, ["sync"], asked)

    def _delete(self, there: Data, asked: str) -> None:
        if there["status"] != "Stopped":
            self._state(there["name"], "stop", asked)
        self._api.change("delete", f"instances/{there['name']}", None, asked)

    def _description(self, instance: Instance, fingerprint: str) -> dict[str, Any]:
        config = {
            "boot.autostart": "false",
            "limits.cpu": str(instance.cpus),
            "limits.memory": str(instance.memory_bytes),
            f"{KEY}application": instance.application,
            f"{KEY}cloudlet": instance.cloudlet,
        }
        config |= {f"environment.{key}": value for key, value in instance.environment.items()}
        root = {"type": "disk", "path": "/", "pool": self._volumes.pool}
        if instance.disk_bytes is not None:
            root["size"] = str(instance.disk_bytes)
        devices = {"root": root}
        if self._parent and instance.address:
            key = "ipv6" if ":" in instance.address else "ipv4"
            card = {"type": "nic", "nictype": "routed", "parent": self._parent, "name": "eth0"}
            # the same address is at another gateway until the move is over: nobody asks whether it is free
            devices["eth0"] = card | {f"{key}.address": instance.address, f"{key}.neighbor_probe": "false"}
        source = {"type": "image", "fingerprint": fingerprint}
        return {
            "name": instance.name,
            "type": "container",
            "profiles": [],
            "config": config,
            "devices": devices,
            "source": source,
        }

    def _image(self, name: str, asked: str) -> str:
        """The fingerprint of the image, which is brought from the folder of images when it is missing."""
        alias = self._api.find(f"images/aliases/{name}", asked)
        if alias is not None:
            return str(alias["target"])
        folder = self._api.access.images
        file = None if folder is None else Path(folder) / f"{name}.tar.gz"
        if file is None or not file.exists():
            where = f"nor in {folder}" if folder else "and the driver has no folder of images"
            why = f"there is no image {name} there, {where}"
            raise HypervisorError(self.gateway, asked, why)
        content = file.read_bytes()
        fingerprint = sha256(content).hexdigest()
        if self._api.find(f"images/{fingerprint}", asked) is None:
            self._api.send("images", content, {"X-LXD-filename": file.name}, asked)
        try:
            self._api.change("post", "images/aliases", {"name": name, "target": fingerprint}, asked)
        except Changed:
            return self._image(name, asked)  # somebody else brought it in the meantime
        return fingerprint


def _attached(there: Data | None) -> list[str]:
    """The disks that it can write to, by name."""
    devices = there["devices"] if there else {}
    return [name for name, device in devices.items() if device["type"] == "disk" and device["path"] != "/"]


def _known(name: str, there: Data | None) -> Instance:
    """An instance as far as the gateway knows it."""
    devices = there["devices"] if there else {}
    disks = tuple(Disk(each, 0, devices[each]["path"]) for each in _attached(there))
    application = there["config"].get(f"{KEY}application", "") if there else ""
    return Instance(name, application, "", "container", "", disks=disks)
