"""The processes of a `local` instance: started once, always found again, and ended with proof."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_native_id

from meghdwar.driver.local import launcher
from meghdwar.driver.local.files import remove_tree
from meghdwar.driver.local.folder import Place, started

GRACE_S = 2.0  # what is asked to end gets this long
HUNT_S = 10.0  # and what has lost its launcher is looked for this long
MARK = "MEGHDWAR_ROOT"  # every process of an instance inherits it, so that it is known by its environment

log = logging.getLogger(__name__)


class CannotStartError(Exception):
    """The command does not run; the message says which and why."""


class StillLivesError(Exception):
    """Something of the instance could not be ended; the message says what."""


def start(place: Place, lock: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Runs the command in the instance's root. The lock of the instance is the launcher's too until all is written
    down: when the driver is killed meanwhile, nobody else comes in before it is known what runs."""
    beside = [sys.executable, "-IS", launcher.__file__, str(place.alive), str(lock), str(GRACE_S), "--"]
    with open(place.output, "ab") as output:
        done = subprocess.run(  # noqa: S603 - what an instance runs is what its descriptor says
            [*beside, *command],
            cwd=place.root,
            env=dict(environment),
            pass_fds=(lock,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            check=False,
        )
    if done.returncode != 0 or done.stdout != b"ok":
        raise CannotStartError(done.stdout.decode(errors="replace") or f"its launcher failed: see {place.output}")


def lives(place: Place) -> bool:
    """Whether anything of it runs."""
    try:
        handle = os.open(place.alive, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return (not _ended(place) or _any_beside(place)) and any(_strays(place))


@contextmanager
def beside(place: Place) -> Iterator[None]:
    """Notes that a command is run beside it, so that it is looked for when the driver dies or the command does not
    end: it is no descendant of the launcher."""
    note = place.beside / f"{os.getpid()}-{get_native_id()}"
    place.beside.mkdir(exist_ok=True)
    note.touch()
    yield
    note.unlink(missing_ok=True)


def end(place: Place, *, at_once: bool) -> None:
    """When this returns nothing of it runs; StillLivesError when that cannot be brought about."""
    if not lives(place):
        return
    pid, start, _ = _written(place)
    with suppress(ProcessLookupError, ValueError):
        process = os.pidfd_open(int(pid))
        try:
            if started(int(pid)) == start:
                signal.pidfd_send_signal(process, signal.SIGUSR1 if at_once else signal.SIGTERM)
                select.select([process], [], [], (0 if at_once else GRACE_S) + GRACE_S)
        finally:
            os.close(process)
    if lives(place):
        _hunt(place)


def writers(folder: Path) -> list[int]:
    """The processes, other than this one, that have something below the folder open for writing, or stand in it."""
    return [pid for pid in _processes() if pid != os.getpid() and _writes(pid, os.fspath(folder.resolve()) + "/")]


def _any_beside(place: Place) -> bool:
    return place.beside.is_dir() and any(place.beside.iterdir())


# what was written down
def _written(place: Place) -> tuple[str, str, str]:
    """Number, start and boot of the launcher; empty when none was there."""
    try:
        words = place.alive.read_text().split()
    except (FileNotFoundError, UnicodeDecodeError):
        return "", "", ""
    return (words[0], words[1], words[2]) if len(words) == 3 else ("", "", "")


def _ended(place: Place) -> bool:
    """Whether it is written down that nothing lives, or was started before this machine was."""
    try:
        words = place.alive.read_text().split()
    except FileNotFoundError:
        return True
    except UnicodeDecodeError:
        return False
    return words == ["ended"] or (len(words) == 3 and words[2] != launcher.boot())


# what has lost its launcher
def _hunt(place: Place) -> None:
    """Ends everything that belongs to the instance, by what it inherited: the launcher was killed or hangs."""
    log.warning("looking for the processes of %s: a driver or its launcher died, or does not answer", place.folder.name)
    end = time.monotonic() + HUNT_S
    found: list[int] = []
    while time.monotonic() < end:
        found = list(_strays(place))
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGSTOP)  # what stands still starts nothing more
        if not found and not lives(place):
            break
        if set(_strays(place)) <= set(found):
            for pid in found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    else:
        raise StillLivesError(f"processes {', '.join(map(str, found)) or '?'} do not end")
    remove_tree(place.beside)
    if others := [pid for disk in _folders(place) for pid in writers(disk)]:
        raise StillLivesError(f"processes {', '.join(map(str, others))} may still write to its state")


def _folders(place: Place) -> list[Path]:
    return list(place.disks.iterdir()) if place.disks.is_dir() else []


def _strays(place: Place) -> Iterator[int]:
    """The processes that inherited the instance's lock or its environment, and their children."""
    mark = f"{MARK}={place.root}".encode()
    alive = os.fspath(place.alive.resolve())
    known = {pid for pid in _processes() if _marked(pid, mark) or _holds(pid, alive)} - {os.getpid()}
    parents = {pid: launcher.parent(pid) for pid in _processes()}
    while more := {pid for pid, parent in parents.items() if parent in known and pid not in known}:
        known |= more
    yield from sorted(pid for pid in known if started(pid))


def _processes() -> list[int]:
    return [int(each) for each in os.listdir("/proc") if each.isdigit()]


def _marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _open_files(pid: int) -> Iterator[tuple[str, str]]:
    """The descriptors of a process and the files behind them, as far as we may see them."""
    with suppress(OSError):
        for each in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield each, os.readlink(f"/proc/{pid}/fd/{each}")


def _holds(pid: int, path: str) -> bool:
    return any(file == path for _, file in _open_files(pid))


def _writes(pid: int, below: str) -> bool:
    with suppress(OSError):
        if f"{os.readlink(f'/proc/{pid}/cwd')}/".startswith(below):
            return True
        for each, file in _open_files(pid):
            if file.startswith(below) and _flags(pid, each) & os.O_ACCMODE != os.O_RDONLY:
                return True
        for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
            words = line.split(maxsplit=5)
            if len(words) == 6 and words[5].startswith(below) and "w" in words[1] and "s" in words[1]:
                return True
    return False


def _flags(pid: int, descriptor: str) -> int:
    for line in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return os.O_RDWR
