"""Makes one folder what another one is, byte for byte, and sends only what differs.

Neither size nor time says that a file is as it was: files are compared by content, block by block, where they lie. One
that was compared once need not be read again while it is *provably* untouched, on both sides: number, size and times
are the same, its change time (which nobody can set) was in the past for longer than a tick of the clock when it was
read, it had been synced before (so that a write through memory shows as well), and the file system is one that keeps
such times (ext4, xfs or btrfs with times finer than a second).
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from meghdwar.driver.local.files import AT_ONCE, remove_tree, replace_file, sync_folder

BLOCK = 2**20
TICK_NS = 50_000_000  # more than a tick of any kernel's clock, with which files are stamped
TIMED = ("ext4", "xfs", "btrfs")  # file systems whose change times are fine and true


class DifferentError(Exception):
    """After the last copy the two are not the same; the message says where."""


@dataclass(slots=True)
class Copying:
    """One copy under way. `check` is called before every act and may raise; `known` is what was compared before."""

    source: Path
    target: Path
    check: Callable[[], None]
    final: bool
    known: dict[str, list[list[int]]] = field(default_factory=dict)
    seen: dict[str, list[list[int]]] = field(default_factory=dict)
    links: dict[tuple[int, int], str] = field(default_factory=dict)  # files of the source with several names
    taken: set[tuple[int, int]] = field(default_factory=set)  # files of the target that have been seen to
    timed: bool = False
    sent_bytes: int = 0
    synced_bytes: int = 0  # of them, known to be on the disk
    compared_bytes: int = 0
    untouched_bytes: int = 0
    files: int = 0


def copy(source: Path, target: Path, memory: Path, check: Callable[[], None], *, final: bool = False) -> Copying:
    """The folder target becomes what source is. `memory` is a file beside it that keeps what was compared.

    With `final` nothing may write to source meanwhile: if something does, or what was written does not read back,
    DifferentError is raised. Everything is synced when it
    returns, and on the way whenever AT_ONCE bytes were sent.
    """
    copying = Copying(source, target, check, final, known=_remembered(memory), timed=_is_timed(source, target))
    _folder(copying, "")
    if not final:
        if copying.sent_bytes:
            time.sleep(TICK_NS / 10**9)  # whatever writes to the target from now on gives it another change time
        replace_file(memory, json.dumps(copying.seen).encode())
    return copying


# folders
def _folder(copying: Copying, name: str) -> None:
    """One folder and everything in it. Its own mode and times come last: filling it changes them."""
    source, target = copying.source / name, copying.target / name
    try:
        before = source.lstat()
        entries = _listed(source)
    except FileNotFoundError:
        return _vanished(copying, name)
    changed = _make_folder(copying, target)
    there = _listed(target)
    for extra in sorted(there.keys() - entries.keys()):
        copying.check()
        remove_tree(target / extra)
        changed = True
    for each in sorted(entries):
        changed |= _entry(copying, f"{name}/{each}" if name else each, entries[each], there.get(each))
    _dress(source, target, before)
    if changed:
        sync_folder(target)
    return None


def _listed(folder: Path) -> dict[str, os.stat_result]:
    with os.scandir(folder) as entries:
        return {each.name: each.stat(follow_symlinks=False) for each in entries}


def _make_folder(copying: Copying, target: Path) -> bool:
    """Whether it was made; one that is there is opened for us, whatever its mode."""
    if target.is_dir() and not target.is_symlink():
        if not os.access(target, os.R_OK | os.W_OK | os.X_OK):
            target.chmod(0o700)
        return False
    copying.check()
    remove_tree(target)
    target.mkdir(0o700)
    return True


def _entry(copying: Copying, name: str, status: os.stat_result, there: os.stat_result | None) -> bool:
    """Whether something was made or taken away in the folder that it is in. `there` is what the target has."""
    if stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            first = copying.links.setdefault(_inode(status), name)
            if first != name:
                return _link(copying, copying.target / first, copying.target / name)
        return False if _untouched(copying, name, status, there) else _file(copying, name)
    source, target = copying.source / name, copying.target / name
    if stat.S_ISDIR(status.st_mode):
        new = not target.is_dir()
        _folder(copying, name)
        return new
    if stat.S_ISLNK(status.st_mode):
        return _symlink(copying, source, target)
    if stat.S_ISFIFO(status.st_mode):
        if not target.is_fifo():
            copying.check()
            remove_tree(target)
            os.mkfifo(target)
        _dress(source, target, status)
        return True
    if stat.S_ISSOCK(status.st_mode):  # it means nothing without the process that made it
        remove_tree(target)
        return False
    raise OSError(errno.EINVAL, "it is a device, which cannot travel", os.fspath(source))


def _link(copying: Copying, first: Path, target: Path) -> bool:
    with suppress(FileNotFoundError):
        if os.path.samestat(first.lstat(), target.lstat()):
            return False
    copying.check()
    remove_tree(target)
    with suppress(FileNotFoundError):
        os.link(first, target)
    return True


def _symlink(copying: Copying, source: Path, target: Path) -> bool:
    try:
        aim = os.readlink(source)
        if target.is_symlink() and os.readlink(target) == aim:
            return False
    except FileNotFoundError:
        _vanished(copying, os.fspath(source))
        return False
    copying.check()
    remove_tree(target)
    target.symlink_to(aim)
    return True


def _vanished(copying: Copying, name: str) -> None:
    """While the source runs, things come and go; the next round sees to them."""
    if copying.final:
        raise DifferentError(f"{name or '.'} went away while it was copied")


# files
def _file(copying: Copying, name: str) -> bool:
    source, target = copying.source / name, copying.target / name
    copying.check()
    try:
        incoming = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        _vanished(copying, name)
        return False
    try:
        new = _make_way(copying, target)
        outgoing = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            copying.taken.add(_inode(os.fstat(outgoing)))
            _content(copying, name, incoming, outgoing)
        finally:
            os.close(outgoing)
    finally:
        os.close(incoming)
    return new


def _make_way(copying: Copying, target: Path) -> bool:
    """Whether the file has to be made: nothing is there, or another kind, or another name of a file that is done."""
    try:
        there = target.lstat()
    except FileNotFoundError:
        return True
    if stat.S_ISREG(there.st_mode) and _inode(there) not in copying.taken:
        if not os.access(target, os.R_OK | os.W_OK):
            target.chmod(0o600)
        return False
    remove_tree(target)
    return True


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _content(copying: Copying, name: str, incoming: int, outgoing: int) -> None:
    if not copying.final:
        os.fsync(incoming)  # a later write through memory will show in its times
    before, now = os.fstat(incoming), time.time_ns()
    changed = os.fstat(outgoing).st_size != before.st_size
    if os.fstat(outgoing).st_size > before.st_size:
        os.ftruncate(outgoing, before.st_size)
    sent = copying.sent_bytes
    for offset, size in _data(incoming, before.st_size):
        _blocks(copying, name, incoming, outgoing, offset, size)
    for offset, size in _holes(incoming, outgoing, before.st_size):
        _empty(copying, outgoing, offset, size)
    if os.fstat(outgoing).st_size < before.st_size:
        os.ftruncate(outgoing, before.st_size)
    _dress(copying.source / name, copying.target / name, before)
    if changed or copying.sent_bytes != sent:
        os.fsync(outgoing)
        copying.synced_bytes = copying.sent_bytes
    after = os.fstat(incoming)
    if _mark(before) != _mark(after):
        if copying.final:
            raise DifferentError(f"{name} was written to while it was copied")
    elif copying.timed and _is_settled(before, now):
        copying.seen[name] = [_mark(before), _mark(os.fstat(outgoing))]


def _blocks(copying: Copying, name: str, incoming: int, outgoing: int, offset: int, size: int) -> None:
    end = offset + size
    while offset < end:
        block = os.pread(incoming, min(BLOCK, end - offset), offset)
        if not block:
            break  # it became shorter
        if os.pread(outgoing, len(block), offset) != block:
            _send(copying, outgoing, block, offset)
            if copying.final and os.pread(outgoing, len(block), offset) != block:
                raise DifferentError(f"{name} does not read back as it was written, at {offset}")
        copying.compared_bytes += len(block)
        offset += len(block)


def _send(copying: Copying, outgoing: int, block: bytes, offset: int) -> None:
    copying.check()
    view = memoryview(block)
    while view:
        written = os.pwrite(outgoing, view, offset)
        view, offset = view[written:], offset + written
    copying.sent_bytes += len(block)
    if copying.sent_bytes - copying.synced_bytes >= AT_ONCE:
        os.fdatasync(outgoing)
        copying.synced_bytes = copying.sent_bytes


def _empty(copying: Copying, outgoing: int, offset: int, size: int) -> None:
    """Where the source has a hole, the target reads as zeros; what is zeros already stays."""
    end = offset + size
    while offset < end:
        length = min(BLOCK, end - offset)
        there = os.pread(outgoing, length, offset)
        if there.count(0) != len(there):
            _send(copying, outgoing, bytes(len(there)), offset)
        offset += length


def _data(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of what is not a hole."""
    offset = 0
    while offset < size:
        try:
            begin = os.lseek(handle, offset, os.SEEK_DATA)
            end = min(os.lseek(handle, begin, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole to its end
                return
            raise
        if begin >= size:
            return
        yield begin, end - begin
        offset = end


def _holes(incoming: int, outgoing: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of what is a hole in the source and is not in the target."""
    end = 0
    gaps = []
    for offset, length in _data(incoming, size):
        gaps.append((end, offset))
        end = offset + length
    gaps.append((end, size))
    for begin, stop in gaps:
        if begin < stop:
            for offset, length in _data(outgoing, min(stop, os.fstat(outgoing).st_size)):
                if offset + length > begin:
                    low = max(offset, begin)
                    yield low, offset + length - low


# beside content
def _dress(source: Path, target: Path, status: os.stat_result) -> None:
    """Mode, owner, times and attributes as they are at the source; touched only where they differ."""
    try:
        names = set(os.listxattr(source, follow_symlinks=False))
        for name in names | set(os.listxattr(target, follow_symlinks=False)):
            _attribute(source, target, name)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOENT):
            raise
    there = target.lstat()
    if (there.st_uid, there.st_gid) != (status.st_uid, status.st_gid):
        with suppress(PermissionError):  # only root gives files away
            os.chown(target, status.st_uid, status.st_gid)
            there = target.lstat()
    if stat.S_IMODE(there.st_mode) != stat.S_IMODE(status.st_mode):
        target.chmod(stat.S_IMODE(status.st_mode))
    if there.st_mtime_ns != status.st_mtime_ns:
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _attribute(source: Path, target: Path, name: str) -> None:
    if not name.startswith("user."):
        return
    value = _attribute_of(source, name)
    if value == _attribute_of(target, name):
        return
    if value is None:
        os.removexattr(target, name, follow_symlinks=False)
    else:
        os.setxattr(target, name, value, follow_symlinks=False)


def _attribute_of(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


# what need not be read again
def _mark(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns]


def _is_settled(status: os.stat_result, now_ns: int) -> bool:
    """Whether any later write must give it another change time. Whole seconds: a file system that knows no finer."""
    return now_ns - status.st_ctime_ns > TICK_NS and status.st_ctime_ns % 10**9 != 0


def _untouched(copying: Copying, name: str, source: os.stat_result, target: os.stat_result | None) -> bool:
    """Whether both sides are, provably, as they were when they were found to be the same."""
    copying.files += 1
    marks = copying.known.get(name)
    if marks is None or target is None or marks != [_mark(source), _mark(target)] or _inode(target) in copying.taken:
        return False
    copying.check()
    copying.taken.add(_inode(target))
    copying.seen[name] = marks
    copying.untouched_bytes += source.st_size
    return True


def _is_timed(*paths: Path) -> bool:
    """Whether all these lie on file systems whose change times can be relied on."""
    kinds: dict[int, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        with suppress(OSError, IndexError):
            kinds[os.stat(left.split()[4].encode().decode("unicode_escape")).st_dev] = right.split()[0]
    return all(kinds.get(path.stat().st_dev) in TIMED for path in paths)


def _remembered(memory: Path) -> dict[str, list[list[int]]]:
    """What was compared before; nothing when that cannot be read: then everything is compared."""
    try:
        known = json.loads(memory.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
