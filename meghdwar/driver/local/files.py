"""Files that survive a power cut, written and freed a little at a time.

Whoever syncs something waits for what others have under way on the same disk: a cloudlet that runs beside a copy, or
that has just woken, waits for AT_ONCE bytes of it and not for all.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import get_native_id

AT_ONCE = 16 * 2**20  # bytes that are written, or freed, before the disk has to have done it


def sync_folder(path: Path) -> None:
    """What was made, renamed or taken away in this folder survives a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """The file has this content, or still what it had before: nothing in between, after a power cut too."""
    # a name that no other thread has, of whatever process: drivers work several instances at once
    new = path.with_name(f".{path.name}.new-{os.getpid()}-{get_native_id()}")
    try:
        with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.rename(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    sync_folder(path.parent)


def copy_file(source: Path, target: Path, mode: int) -> None:
    """The content of a file, durable, in a new one."""
    with open(source, "rb") as incoming, open(target, "xb", buffering=0) as outgoing:
        while os.sendfile(outgoing.fileno(), incoming.fileno(), None, AT_ONCE):
            os.fdatasync(outgoing.fileno())
        os.fchmod(outgoing.fileno(), mode)
        os.fsync(outgoing.fileno())


# taking away
def remove_tree(path: Path) -> None:
    """The folder is gone, with folders in it that nobody may write to; one that is not there is gone already."""
    if path.is_symlink() or not path.is_dir():
        with suppress(FileNotFoundError):
            _shrink(path, path.lstat())
        path.unlink(missing_ok=True)
        return
    for each in _files(path):
        with suppress(OSError):  # what cannot be looked at is taken away as it is
            _shrink(Path(each), each.stat(follow_symlinks=False))
    try:
        shutil.rmtree(path)
    except PermissionError:
        path.chmod(0o700)
        for folder, folders, _ in os.walk(path):
            for each_name in folders:
                if not os.path.islink(os.path.join(folder, each_name)):
                    os.chmod(os.path.join(folder, each_name), 0o700)
        shutil.rmtree(path)


def _files(path: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below the folder that is no folder, as far as we may look."""
    folders = [os.fspath(path)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    folders.append(each.path)
                else:
                    yield each


def _shrink(path: Path, status: os.stat_result) -> None:
    """Frees a large file from its end on, AT_ONCE at a time; not one that has another name, under which it stays."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_blocks * 512 <= AT_ONCE:
        return
    with suppress(OSError):  # then it is freed as a whole, when it is taken away
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            for size in range(status.st_size - AT_ONCE, 0, -AT_ONCE):
                os.ftruncate(handle, size)
                os.fsync(handle)
        finally:
            os.close(handle)
