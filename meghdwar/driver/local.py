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

import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from meghdwar.driver import local_copy, local_image, local_process
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
from meghdwar.driver.local_folder import (
    Folder,
    Place,
    Record,
    explained,
    replace_file,
    sync_folder,
)

CAPABILITIES = Capabilities(
    kind="local",
    strategies={
        "cold": Cost(0.2, 1.0),
        "precopy": Cost(0.2, 0.3),
        "warm": Cost(0.1, 0.3),
        "files": Cost(0.2),
    },
    fence="atomic",
    proof="content",
    delta=True,
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED_ON = ("LANG", "LC_ALL", "TZ", "TMPDIR")  # of the driver's own environment: nothing that could be a secret
PROBE_S = 2.0
QUIESCE_S = 10.0
LITTLE_BYTES = 256 * 2**20


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
        asked = f"look at {instance.name}"
        place = self._folder.place(instance.name)
        self._folder.check(asked)
        return self._look(place, asked)

    def inventory(self) -> tuple[Seen, ...]:
        asked = "list what is there"
        seen = (self._look(self._folder.place(name), asked) for name in self._folder.names(asked))
        return tuple(each for each in seen if each != Seen(each.name))

    def _look(self, place: Place, asked: str) -> Seen:
        name = place.folder.name
        record = self._folder.read(place, asked)
        if record is None:
            return Seen(name)
        with explained(self.gateway, asked):
            disks, attached = _disks(place), _attached(place)
            return Seen(name, _power(place, record), record.epoch, record.writer, record.application, disks, attached)

    def probe(self, instance: Instance) -> bool:
        asked = f"ask {instance.name} whether it serves"
        place = self._folder.place(instance.name)
        self._folder.check(asked)
        record = self._folder.read(place, asked)
        with explained(self.gateway, asked):
            if record is None or not local_process.lives(place):
                return False
            return self._serves(instance, place, record)

    def _serves(self, instance: Instance, place: Place, record: Record) -> bool:
        ready = instance.ready
        port = ready.port or next(iter(instance.ports), None)
        if ready.http is not None and port is not None:
            return _answers(record.address, port, ready.http)
        if ready.port is not None:
            with suppress(OSError), socket.create_connection((record.address, ready.port), PROBE_S):
                return True
            return False
        return not ready.command or self._inside(instance, place, record, ready.command, PROBE_S)

    def endpoint(self, instance: Instance) -> str:
        asked = f"say where {instance.name} is reached"
        place = self._folder.place(instance.name)
        self._folder.check(asked)
        record = self._folder.read(place, asked)
        if record is None or not record.address:
            raise HypervisorError(self.gateway, asked, "it is not defined there")
        return f"{record.address}:{instance.ports[0]}" if instance.ports else record.address

    def doctor(self, images: Sequence[str] = ()) -> Iterator[Finding]:
        try:
            self._folder.check("look at the gateway")
            yield Finding("reachable", "good", f"{self._folder.path} is a folder and Meghdwar's or free")
        except HypervisorError as error:
            yield Finding("reachable", "bad", error.why, "make the folder, empty, or give another endpoint")
            return
        yield from self._doctor_folder()
        for image in images:
            try:
                where = local_image.check(image, self._access.images, self._folder.path / "images")
                yield Finding("image", "good", f"{image} is {where}")
            except (local_image.ImageError, OSError) as error:
                yield Finding("image", "bad", str(error), "put it into the folder of images")

    def _doctor_folder(self) -> Iterator[Finding]:
        path = self._folder.path
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            yield Finding("writable", "bad", f"{path} cannot be written to", "let the driver's user write there")
        try:
            free = shutil.disk_usage(path).free
            level, help_ = (
                ("warning", "make room before anything is moved there") if free < LITTLE_BYTES else ("good", "")
            )
            yield Finding("space", level, f"{free / 10**9:.1f} GB are free", help_)
            self.inventory()
            yield Finding("instances", "good", "what is remembered of them can be read")
        except HypervisorError as error:
            yield Finding("instances", "bad", str(error), "see to the file that it names")
        except OSError as error:
            yield Finding("space", "bad", str(error), "see to the file system that the folder is on")
        if not Path("/proc/self/stat").exists():
            yield Finding("processes", "bad", "/proc is not there", "mount it: processes are found by it")

    # holding
    def hold(self, instance: Instance, claim: Claim, *, writer: bool | None = None) -> None:
        asked = f"hold {instance.name}"
        place = self._folder.place(instance.name)
        self._folder.take(asked)
        with self._folder.locked(place, asked, claim.epoch, make=True), explained(self.gateway, asked):
            self._folder.sweep()
            record = self._folder.read(place, asked)
            if record is not None and record.epoch > claim.epoch:
                raise Stale(f"cannot {asked} at {self.gateway}: epoch {record.epoch} holds it, not {claim.epoch}")
            claim.check()
            held = replace(
                record or Record(),
                application=instance.application,
                cloudlet=instance.cloudlet,
                epoch=claim.epoch,
                writer=record is not None and record.writer if writer is None else writer,
            )
            if held != record:
                self._folder.write(place, held)
                sync_folder(place.folder.parent)

    @contextmanager
    def _acting(self, instance: Instance, claim: Claim, what: str) -> Iterator[tuple[Place, Record, int, str]]:
        asked = f"{what} {instance.name}"
        place = self._folder.place(instance.name)
        with self._folder.acting(place, claim, asked) as (record, lock):
            try:
                yield place, record, lock, asked
            except local_process.StillLivesError as error:
                raise HypervisorError(self.gateway, asked, f"{error}: end them", retry=True) from error

    # the instance
    def define(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "define") as (place, record, _, asked):
            if place.root.is_dir():
                return
            try:
                image = local_image.bring(instance.image, self._access.images, self._folder.path / "images")
            except local_image.ImageError as error:
                raise HypervisorError(self.gateway, asked, str(error)) from error
            claim.check()
            address = record.address or self._free_address(instance, place)
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
            missing = [disk.name for disk in instance.disks if disk.name not in _attached(place)]
            if missing:
                raise Refused(self.gateway, asked, f"its state {', '.join(missing)} is not attached: attach it first")
            self._start(instance, claim, place, record, lock, asked)

    def _start(self, instance: Instance, claim: Claim, place: Place, record: Record, lock: int, asked: str) -> None:
        if not place.root.is_dir():
            raise HypervisorError(self.gateway, asked, "it is not defined there")
        if not record.writer and (_attached(place) or record.versions):
            raise Refused(self.gateway, asked, "it has its state, and its copy there may not write")
        if local_process.lives(place):
            return
        address = record.address if self._is_free(record.address, instance) else self._free_address(instance, place)
        running = replace(record, paused=False, address=address)
        if running != record:
            self._folder.write(place, running)
        claim.check()
        try:
            local_process.start(
                place, lock, self._command(instance, running), self._environment(instance, place, running)
            )
        except (local_process.CannotStartError, local_image.ImageError) as error:
            raise HypervisorError(self.gateway, asked, str(error)) from error

    def stop(self, instance: Instance, claim: Claim) -> None:
        with self._acting(instance, claim, "stop") as (place, record, _, _asked):
            local_process.end(place, at_once=False)
            if record.paused:
                self._folder.write(place, replace(record, paused=False))

    def pause(self, instance: Instance, claim: Claim) -> str:
        with self._acting(instance, claim, "pause") as (place, record, _, asked):
            if not local_process.lives(place):
                return "stop"
            way = "stop"
            if instance.quiesce and self._inside(instance, place, record, instance.quiesce, QUIESCE_S):
                way = "quiesce"
            claim.check()
            if not record.paused:
                self._folder.write(place, replace(record, paused=True))
            local_process.end(place, at_once=True)
            if local_process.lives(place):
                raise HypervisorError(self.gateway, asked, "something of it still lives: pause it again", retry=True)
            return way

    def remove(self, instance: Instance, claim: Claim) -> None:
        if self.look(instance) == Seen(instance.name):
            with explained(self.gateway, f"remove {instance.name}"):
                self._folder.sweep()  # a driver may have died over the rest
            return
        with self._acting(instance, claim, "remove") as (place, _, _, _asked):
            local_process.end(place, at_once=True)
            claim.check()
            self._folder.forget(place)

    # its state
    def travelling(self, instance: Instance) -> tuple[Disk, ...]:
        return instance.disks

    def make_disk(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        with self._acting(instance, claim, f"make disk {disk.name} of") as (place, _, _, _asked):
            _make_disk(place, disk)

    def copy_disk(
        self, instance: Instance, disk: Disk, source: Hypervisor, claim: Claim, *, final: bool = False
    ) -> Copied:
        with self._acting(instance, claim, f"copy disk {disk.name} of") as (place, _, _, asked):
            origin = self._origin(instance, disk, source, final, asked)
            if disk.name in _attached(place) and local_process.lives(place):
                raise Refused(self.gateway, asked, "it runs there with this disk attached: pause it first")
            _make_disk(place, disk)
            memory = place.folder / f"compared-{disk.name}.json"
            try:
                done = local_copy.copy(origin, place.disk(disk.name), memory, claim.check, final=final)
            except local_copy.DifferentError as error:
                raise Unverified(self.gateway, asked, f"{error}: copy it again") from error
            if final:
                self._origin(instance, disk, source, final, asked)
            proof = (
                f"content: {done.files} files, {done.compared_bytes} bytes compared, "
                f"{done.untouched_bytes} untouched since they were"
            )
            return Copied(done.sent_bytes, proof if final else "")

    def _origin(self, instance: Instance, disk: Disk, source: Hypervisor, final: bool, asked: str) -> Path:
        """The folder to copy from; for the last copy nothing may run there that has it."""
        if not isinstance(source, Local):
            raise Refused(
                self.gateway, asked, f"{source.gateway} is no folder: state goes between gateways of one kind"
            )
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
            if disk.name not in _disks(place):
                raise HypervisorError(self.gateway, asked, "there is no such disk: make or copy it first")
            if not place.root.is_dir():
                raise HypervisorError(self.gateway, asked, "it is not defined there")
            if disk.name not in _attached(place):
                self._attach(place, disk, asked)

    def _attach(self, place: Place, disk: Disk, asked: str) -> None:
        """The disk appears at its location in one moment, or not at all."""
        location = self._below(place, disk.location, asked)
        location.parent.mkdir(parents=True, exist_ok=True)
        if location.is_dir() and not location.is_symlink():
            with suppress(OSError):
                location.rmdir()  # made in vain, while it waited
        if os.path.lexists(location) and not location.is_symlink():
            raise Refused(self.gateway, asked, f"something else is at {disk.location}: move {location} away")
        new = place.folder / f".attaching-{disk.name}"
        new.unlink(missing_ok=True)
        new.symlink_to(place.disk(disk.name))
        attached = _links(place)
        if not attached.is_dir():
            attached.mkdir()
        replace_file(attached / disk.name, os.fspath(location).encode())
        new.rename(location)
        sync_folder(location.parent)

    def detach(self, instance: Instance, disk: Disk, claim: Claim) -> None:
        with self._acting(instance, claim, f"detach disk {disk.name} from") as (place, _, _, asked):
            link = _links(place) / disk.name
            if disk.name in _attached(place):
                location = Path(link.read_text())
                location.unlink()
                sync_folder(location.parent)
            if local_process.lives(place) and (users := local_process.writers(place.disk(disk.name))):
                numbers = ", ".join(map(str, users))
                why = f"processes {numbers} have files of it open: pause it, or let them close what they hold"
                raise HypervisorError(self.gateway, asked, why, retry=True)
            link.unlink(missing_ok=True)

    # state files
    def version(self, instance: Instance, files: Files) -> Version | None:
        asked = f"see the version of {files.name} of {instance.name}"
        self._folder.check(asked)
        record = self._folder.read(self._folder.place(instance.name), asked)
        return record.versions.get(files.name) if record is not None else None

    def read_files(self, instance: Instance, files: Files) -> Mapping[str, bytes]:
        asked = f"read {files.name} of {instance.name}"
        place = self._folder.place(instance.name)
        self._folder.check(asked)
        contents: dict[str, bytes] = {}
        room = files.size_max_bytes
        with explained(self.gateway, asked):
            for path in files.paths:
                with suppress(FileNotFoundError), open(self._below(place, path, asked, follow=True), "rb") as file:
                    contents[path] = file.read() if room is None else file.read(room + 1)
                self._fits(files, contents, asked)
        return contents

    def put_files(
        self, instance: Instance, files: Files, contents: Mapping[str, bytes], version: Version, claim: Claim
    ) -> None:
        with self._acting(instance, claim, f"put {files.name} of") as (place, record, _, asked):
            there = record.versions.get(files.name)
            if there == version:
                return
            if there is not None and (version.parent != there.digest or version.number <= there.number):
                why = (
                    f"version {there.number} ({there.digest[:12]}) is there, and version {version.number} was made "
                    f"from {version.parent[:12] or 'nothing'}"
                )
                raise Refused(self.gateway, asked, why)
            if strange := sorted(contents.keys() - set(files.paths)):
                raise Refused(self.gateway, asked, f"{strange[0]} is not one of its paths")
            self._fits(files, contents, asked)
            if not place.root.is_dir():
                raise HypervisorError(self.gateway, asked, "it is not defined there")
            for path in files.paths:
                claim.check()
                self._put(self._below(place, path, asked), contents.get(path))
            self._folder.write(place, replace(record, versions={**record.versions, files.name: version}))

    def _put(self, path: Path, content: bytes | None) -> None:
        if content is None:
            if os.path.lexists(path):
                path.unlink()
                sync_folder(path.parent)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.is_file() else 0o644
        replace_file(path, content, mode)

    def _fits(self, files: Files, contents: Mapping[str, bytes], asked: str) -> None:
        limit = files.size_max_bytes
        if limit is not None and sum(map(len, contents.values())) > limit:
            raise Refused(self.gateway, asked, f"they are more than size_max, {limit} bytes: raise it or shrink them")

    # while it runs
    def migrate(self, instance: Instance, target: Hypervisor, claim: Claim) -> None:
        asked = f"move {instance.name} while it runs"
        raise Refused(self.gateway, asked, "a process cannot: use warm, precopy, cold or files")

    # what it is given
    def _below(self, place: Place, path: str, asked: str, *, follow: bool = False) -> Path:
        """A path of the instance's own world; Refused when it leads out of it. `follow`: where a link at it leads."""
        below = Path(os.path.normpath(f"{place.root}/{path}"))
        found = below.resolve() if follow else below.parent.resolve() / below.name
        worlds = (place.root.resolve(), place.disks.resolve())
        inside = any(found.parent.is_relative_to(world) for world in worlds)
        if not inside or not below.parent.is_relative_to(place.root):
            raise Refused(self.gateway, asked, f"{path} leads out of its root {place.root}")
        return below

    def _command(self, instance: Instance, record: Record) -> list[str]:
        if instance.command:
            found = shutil.which(instance.command[0], path=self._path(record))
            return [found or instance.command[0], *instance.command[1:]]
        return local_image.command(self._image(record), instance.image)

    def _image(self, record: Record) -> Path:
        return self._folder.path / "images" / record.image

    def _path(self, record: Record) -> str:
        image = self._image(record)
        return f"{image}:{image}/bin:{SYSTEM_PATH}:{os.path.dirname(sys.executable)}"

    def _environment(self, instance: Instance, place: Place, record: Record) -> dict[str, str]:
        ours = {
            "HOME": os.fspath(place.root),
            local_process.MARK: os.fspath(place.root),
            "MEGHDWAR_NAME": instance.name,
            "MEGHDWAR_ADDRESS": record.address,
        }
        if instance.ports:
            ours["PORT"] = str(instance.ports[0])
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**passed, "PATH": self._path(record), **instance.environment, **ours}

    def _inside(
        self, instance: Instance, place: Place, record: Record, command: Sequence[str], within_s: float
    ) -> bool:
        """Whether a command beside what runs of it ends well."""
        environment = self._environment(instance, place, record)
        found = shutil.which(command[0], path=environment["PATH"]) or command[0]
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(  # noqa: S603 - as its descriptor says
                [found, *command[1:]],
                cwd=place.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=within_s,
                check=False,
            )
            return done.returncode == 0
        return False

    # addresses
    def _free_address(self, instance: Instance, place: Place) -> str:
        """A loopback address that no instance of this gateway has and at which nobody has its ports now. It follows
        from the folder and the name, so that the gateways of one machine rarely meet; where they do, `start` moves."""
        names = self._folder.names("give out an address")
        records = [self._folder.read(self._folder.place(name), "give out an address") for name in names]
        used = {record.address for record in records if record is not None}
        for attempt in range(1000):
            seed = sha256(f"{place.folder.resolve()} {attempt}".encode()).digest()
            address = f"127.{1 + seed[0] % 254}.{seed[1]}.{1 + seed[2] % 254}"
            if address not in used and self._is_free(address, instance):
                return address
        asked = f"give {instance.name} an address"
        raise HypervisorError(self.gateway, asked, "its ports are taken at every address that was tried: free some")

    def _is_free(self, address: str, instance: Instance) -> bool:
        for port in instance.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except PermissionError:
                    continue  # a port below 1024: whether it is free is seen when it starts
                except OSError:
                    return False
        return True


# what is really there
def _power(place: Place, record: Record) -> Power:
    if not place.root.is_dir():
        return Power.ABSENT
    if local_process.lives(place):
        return Power.RUNNING
    return Power.PAUSED if record.paused else Power.STOPPED


def _disks(place: Place) -> tuple[str, ...]:
    return tuple(sorted(each.name for each in place.disks.iterdir())) if place.disks.is_dir() else ()


def _links(place: Place) -> Path:
    """A folder with a file for each disk that was attached, which says where."""
    return place.folder / "attached"


def _attached(place: Place) -> tuple[str, ...]:
    """The disks that are really seen at their location."""
    found = []
    with suppress(FileNotFoundError):
        for each in sorted(_links(place).iterdir()):
            with suppress(OSError):
                if os.readlink(each.read_text()) == os.fspath(place.disk(each.name)):
                    found.append(each.name)
    return tuple(found)


def _make_disk(place: Place, disk: Disk) -> None:
    if not place.disk(disk.name).is_dir():
        place.disks.mkdir(exist_ok=True)
        place.disk(disk.name).mkdir(mode=0o755)
        sync_folder(place.disks)
        sync_folder(place.folder)


def _answers(address: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
