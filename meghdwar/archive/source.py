"""The bytes of an archive: a file, a part of one, or memory. Reading at a place moves nothing, so threads may share."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Source(Protocol):
    @property
    def size(self) -> int: ...
    def at(self, offset: int, length: int) -> bytes:
        """So many bytes, or fewer where the end is near."""


@dataclass(frozen=True, slots=True)
class Memory:
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    def at(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


class File:
    """A file that stays open as long as somebody reads it: what was checked is what is read."""

    def __init__(self, path: Path | int) -> None:
        self._fd = path if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self.close = weakref.finalize(self, os.close, self._fd)

    def at(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)


@dataclass(frozen=True, slots=True)
class Part:
    """What lies in another source as it is, such as a stored entry."""

    whole: Source
    offset: int
    size: int

    def at(self, offset: int, length: int) -> bytes:
        return self.whole.at(self.offset + offset, max(0, min(length, self.size - offset)))
