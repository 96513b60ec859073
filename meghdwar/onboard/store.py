"""The bytes of packages: one file for each content, named by its SHA-256, there whole or not at all.

    folder/incoming/ID     what is being taken in for a package; whoever works on that package has the file locked
    folder/content/DIGEST  what was taken in

A lock ends with its process: what is in `incoming` without one was left by a crash.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from meghdwar.driver.database import state_folder
from meghdwar.driver.operation import DriverError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def own_folder() -> Path:
    """That of $MEGHDWAR_PACKAGES, or else of this user."""
    return Path(os.environ.get("MEGHDWAR_PACKAGES") or state_folder() / "packages")


class NoRoom(DriverError):
    """The disk is full; nothing is kept of what was being written."""


class TooLarge(DriverError):
    """More bytes came than a package may have; nothing of it is kept."""


class Work:
    """A package that nobody else works on until this is closed, here or in another process."""

    def __init__(self, store: Store, name: str, number: int) -> None:
        self._store, self._name, self._number = store, name, number

    def take(self, pieces: Iterable[bytes], bytes_max: int) -> tuple[str, int]:
        """Writes the bytes to the disk, and returns their digest and number. Raises NoRoom, TooLarge, and whatever
        `pieces` raises."""
        digest, size = sha256(), 0
        try:
            os.ftruncate(self._number, 0)
            with open(self._number, "wb", closefd=False) as file:
                file.seek(0)
                for piece in pieces:
                    size += len(piece)
                    if size > bytes_max:
                        raise TooLarge(f"cannot take the package in: it is larger than {bytes_max} bytes")
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(self._number)
        except OSError as error:
            raise _refused(error, self._store.folder) from None
        return digest.hexdigest(), size

    def publish(self, digest: str) -> None:
        """Gives what was taken in its name; to be done while `publishing`."""
        os.replace(self._store.incoming / self._name, self._store.path(digest))
        _sync(self._store.content)

    def close(self) -> None:
        """Forgets what was not published, and lets others at the package."""
        path = self._store.incoming / self._name
        with suppress(OSError):
            if os.stat(path).st_ino == os.fstat(self._number).st_ino:
                os.unlink(path)
        os.close(self._number)


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming, self.content = folder / "incoming", folder / "content"
        try:
            for each in (folder, self.incoming, self.content):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(error, folder) from None

    def path(self, digest: str) -> Path:
        return self.content / digest

    def work(self, name: str, patience_s: float = 0.0) -> Work | None:
        """The package for oneself, or None when somebody else still works on it after so long."""
        path, end = self.incoming / name, time.monotonic() + patience_s
        while True:
            try:
                number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise _refused(error, self.folder) from None
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(path).st_ino == os.fstat(number).st_ino:
                    return Work(self, name, number)
            except BlockingIOError:
                os.close(number)
                if time.monotonic() > end:
                    return None
                time.sleep(0.01)
                continue
            except FileNotFoundError:
                pass
            os.close(number)  # whoever had it has just taken it away: once more

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """While this lasts, nobody else adds contents or takes them away: for short work only."""
        with open(self.folder / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        """The packages that something was left for in `incoming`."""
        return sorted(os.listdir(self.incoming))

    def digests(self) -> list[str]:
        return sorted(os.listdir(self.content))

    def remove(self, digest: str) -> None:
        """To be done while `publishing`, for what no package refers to."""
        self.path(digest).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _refused(error: OSError, folder: Path) -> DriverError:
    if error.errno in _NO_ROOM:
        return NoRoom(f"cannot keep the package: there is no room left in {folder}; make room and upload it again")
    return DriverError(f"cannot keep packages in {folder}: {error.strerror}")
