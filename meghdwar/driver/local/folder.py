"""The folder that a `local` gateway is: what it remembers of each instance, and a lock for each, safe to be killed in.

    GATEWAY/meghdwar-gateway             says that the folder is ours
    GATEWAY/images/...                   images by checksum (image.py)
    GATEWAY/instances/NAME/lock          held while something is changed
    GATEWAY/instances/NAME/record.json   the epoch, whether it may write, its image, its address, its versions
    GATEWAY/instances/NAME/alive         locked by what runs of it (launcher.py)
    GATEWAY/instances/NAME/root          where it runs; there once it is defined
    GATEWAY/instances/NAME/disks/DISK    its state

Every file is replaced whole and synced before anybody is told that it is there.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from meghdwar.driver.hypervisor import Claim, Full, HypervisorError, Stale, Unreachable, Version
from meghdwar.driver.local.files import remove_tree, replace_file, sync_folder

MARKER = "meghdwar-gateway"
NOTHING = (f".{MARKER}.new-", "lost+found")  # what does not make a folder somebody's
FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
STANDING_S = 1.0  # how long a driver that was stopped in the middle of an act is waited for by its successor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """What a gateway remembers of one instance, whatever is there of it."""

    application: str = ""
    cloudlet: str = ""
    epoch: int = 0
    writer: bool = False
    paused: bool = False
    image: str = ""  # its folder among the gateway's images
    address: str = ""
    versions: Mapping[str, Version] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is kept."""

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def alive(self) -> Path:
        return self.folder / "alive"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def disks(self) -> Path:
        return self.folder / "disks"

    @property
    def beside(self) -> Path:
        """A folder with a file for each command that a driver runs beside it, until the command has ended well."""
        return self.folder / "beside"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def locations(self) -> Path:
        """A folder with a file for each disk, which says where it is seen while it is attached."""
        return self.folder / "locations"

    def disk(self, name: str) -> Path:
        return self.disks / name

    def copied(self, name: str) -> Path:
        """Says of a disk that was copied here from when it is, or that it is not whole (state.py)."""
        return self.folder / f"copied-{name}"

    def compared(self, name: str) -> Path:
        """What copying.py remembers of the last copy of a disk."""
        return self.folder / f"compared-{name}.json"


# errors
@contextmanager
def explained(gateway: str, asked: str) -> Iterator[None]:
    """What the operating system refuses becomes an error that names the gateway and says what to do."""
    try:
        yield
    except OSError as error:
        raise _error(gateway, asked, error) from error


def _error(gateway: str, asked: str, error: OSError) -> HypervisorError:
    where = f" ({error.filename})" if error.filename else ""
    why = f"{(error.strerror or str(error)).lower()}{where}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Full(gateway, asked, f"{why}: make room there, then resume")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return HypervisorError(gateway, asked, f"{why}: let the driver's user write there")
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR | errno.ENOTEMPTY | errno.ELOOP:
            return HypervisorError(gateway, asked, f"{why}: something else is in the way, move it aside")
        case errno.ESTALE | errno.ETIMEDOUT | errno.EHOSTDOWN | errno.EIO:
            return Unreachable(gateway, asked, why)
    return HypervisorError(gateway, asked, f"{why}: see whether the folder is what it should be")


class Folder:
    """The folder of one gateway. `close` frees nothing: it holds nothing open."""

    def __init__(self, gateway: str, path: Path, timeout_s: float) -> None:
        self.gateway, self.path, self.timeout_s = gateway, path, timeout_s

    @property
    def images(self) -> Path:
        return self.path / "images"

    # whose it is
    def check(self, asked: str) -> bool:
        """Whether anything of ours is here; False for an empty folder, which is ours to take."""
        with explained(self.gateway, asked):
            if not self.path.exists():
                why = f"there is no folder {self.path}: make it (mkdir -p {self.path})"
                raise HypervisorError(self.gateway, asked, why)
            if not self.path.is_dir():
                raise HypervisorError(self.gateway, asked, f"{self.path} is not a folder: give it another endpoint")
            if (self.path / MARKER).is_file():
                return True
            others = any(each for each in os.listdir(self.path) if not each.startswith(NOTHING))
            if (self.path / MARKER).is_file():
                return True  # another driver has just taken it for us all
            if others:
                why = f"{self.path} holds something that is not Meghdwar's: give it an empty folder"
                raise HypervisorError(self.gateway, asked, why)
            return False

    def take(self, asked: str) -> None:
        """The folder is ours from now on."""
        if not self.check(asked):
            with explained(self.gateway, asked):
                replace_file(self.path / MARKER, json.dumps({"format": FORMAT}).encode())
        with explained(self.gateway, asked):
            (self.path / "instances").mkdir(exist_ok=True)
            self.images.mkdir(exist_ok=True)

    # instances
    def place(self, name: str) -> Place:
        if not NAME.fullmatch(name):
            raise HypervisorError(self.gateway, f"name an instance {name!r}", "letters, digits and hyphens only")
        return Place(self.path / "instances" / name)

    def names(self, asked: str) -> list[str]:
        """The instances that anything is known of, in order."""
        if not self.check(asked):
            return []
        with explained(self.gateway, asked), suppress(FileNotFoundError):
            return sorted(each.name for each in (self.path / "instances").iterdir() if NAME.fullmatch(each.name))
        return []

    def read(self, place: Place, asked: str) -> Record | None:
        """What is remembered of it; None when nobody has heard of it."""
        with explained(self.gateway, asked):
            try:
                text = place.record.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return _record(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            why = (
                f"{place.record} is damaged ({error}): see what is in {place.folder}, "
                f"restore the file or move the folder away"
            )
            raise HypervisorError(self.gateway, asked, why) from error

    def write(self, place: Place, record: Record) -> None:
        replace_file(place.record, json.dumps({"format": FORMAT, **asdict(record)}, indent=1).encode())

    # acting
    @contextmanager
    def locked(self, place: Place, asked: str, epoch: int, *, make: bool = False) -> Iterator[int | None]:
        """Nobody else changes this instance meanwhile; gives the lock's descriptor, for a child that goes on with it.

        None when there is no such instance (and it is not to be made).
        """
        with explained(self.gateway, asked):
            handle = self._lock(place, asked, epoch, make)
        try:
            yield handle
        finally:
            if handle is not None:
                os.close(handle)

    def _lock(self, place: Place, asked: str, epoch: int, make: bool) -> int | None:
        began = time.monotonic()
        while True:
            if make:
                place.folder.mkdir(exist_ok=True)
            try:
                handle = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if make:
                    continue  # removed in this moment
                return None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(handle, place.lock):
                    os.pwrite(handle, _line(epoch), 0)
                    return handle
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > STANDING_S:
                    _end_standing(handle, epoch, place)
                if waited > self.timeout_s:
                    holder = os.pread(handle, 64, 0).decode(errors="replace").split()[:1]
                    os.close(handle)
                    why = f"process {' '.join(holder) or '?'} is at work on it: wait for it or end it"
                    raise HypervisorError(self.gateway, asked, why, retry=True) from None
                time.sleep(0.001 if waited < 0.1 else 0.02)
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    @contextmanager
    def acting(self, place: Place, claim: Claim, asked: str) -> Iterator[tuple[Record, int]]:
        """As `locked`, for whoever holds the instance: gives its record and the lock. Stale for everybody else."""
        if not self.check(asked):
            raise Stale(f"cannot {asked} at {self.gateway}: nobody holds it there")
        with self.locked(place, asked, claim.epoch) as lock:
            record = self.read(place, asked)
            if record is None or lock is None:
                raise Stale(f"cannot {asked} at {self.gateway}: nobody holds it there")
            if record.epoch != claim.epoch:
                raise Stale(f"cannot {asked} at {self.gateway}: epoch {record.epoch} holds it, not {claim.epoch}")
            claim.check()
            with explained(self.gateway, asked):
                yield record, lock

    def forget(self, place: Place) -> None:
        """Takes the instance's folder away, whole or not at all; only for whoever has it locked."""
        gone = place.folder.with_name(f".gone-{os.getpid()}-{time.monotonic_ns()}")
        place.folder.rename(gone)
        sync_folder(gone.parent)
        self.sweep()

    def sweep(self) -> None:
        """What a driver that died had renamed and not taken away yet."""
        for each in (self.path / "instances").glob(".gone-*"):
            with suppress(FileNotFoundError):
                remove_tree(each)


def _record(data: Mapping[str, Any]) -> Record:
    fields = dict(data)
    if fields.pop("format") != FORMAT:
        raise ValueError(f"its format is {data['format']}, not {FORMAT}")
    fields["versions"] = {name: Version(**version) for name, version in fields["versions"].items()}
    record = Record(**fields)
    if type(record.epoch) is not int or type(record.writer) is not bool or type(record.paused) is not bool:
        raise ValueError("epoch, writer or paused is not what it should be")
    return record


def _same(handle: int, path: Path) -> bool:
    """Whether the open file is still the one that has this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


# who has a lock
def started(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when it is no more. With the number it is unique."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else rest[18]


def _line(epoch: int) -> bytes:
    return f"{os.getpid()} {started(os.getpid())} {epoch}\n".ljust(63).encode() + b"\n"


def _end_standing(handle: int, epoch: int, place: Place) -> None:
    """Ends the driver that has this lock, if somebody stopped it (SIGSTOP) and its claim is older than ours.

    It may be killed at any point, and then its successor goes on; stopped, it would keep everybody out for ever.
    """
    try:
        pid, start, held = os.pread(handle, 64, 0).split()
        process = os.pidfd_open(int(pid))
    except (ValueError, ProcessLookupError):
        return
    try:
        state = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0]
        if int(held) < epoch and started(int(pid)) == start.decode() and state in "Tt" and int(pid) != os.getpid():
            log.warning("ended driver process %d: it was stopped while it changed %s", int(pid), place.folder.name)
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return
    finally:
        os.close(process)
