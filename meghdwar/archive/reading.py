"""An archive that passed: its files by path, each checked again while it is read."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from meghdwar.archive import content, directory, headers, kinds, names
from meghdwar.archive.directory import Entry
from meghdwar.archive.fault import Refused
from meghdwar.archive.limits import LIMITS, Limits
from meghdwar.archive.source import File, Memory, Part, Source
from meghdwar.diagnostics import Diagnostic


class Archive:
    """Paths are relative, with forward slashes. Several threads may read at once."""

    def __init__(self, source: Source, root: str, entries: Mapping[str, Entry], begins: Mapping[str, int]) -> None:
        self.root = root
        self.entries = entries  # files only
        self._source = source
        self._begins = begins

    def read(self, path: str) -> bytes | None:
        """A whole file that may be read into memory; None when there is none or it is damaged."""
        entry = self.entries.get(path)
        if entry is None or entry.size > LIMITS.definition_bytes:
            return None
        try:
            return b"".join(self.pieces(path))
        except Refused:
            return None

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file of any size in pieces of at most 256 KiB; raises Refused, at the latest at the end, and KeyError."""
        return content.pieces(self._source, self.entries[path], self._begins[path])

    def open(self, path: str) -> io.BufferedReader:
        """A file of any size, to be read from its beginning; raises KeyError, and later OSError when it is damaged."""
        return io.BufferedReader(_Stream(self.pieces(path)))

    def part(self, path: str) -> Source | None:
        """A file that is stored as it is, to be read at any place; None when it is compressed."""
        entry = self.entries[path]
        return Part(self._source, self._begins[path], entry.size) if entry.method == content.STORED else None

    def exists(self, path: str) -> bool:
        folder = path.rstrip("/") + "/"
        return path in self.entries or any(name.startswith(folder) for name in self.entries)

    def names(self) -> list[str]:
        return list(self.entries)

    def shown(self, path: str) -> str:
        return posixpath.join(self.root, path)


class _Stream(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            while not self._rest:
                self._rest = next(self._pieces)
        except StopIteration:
            return 0
        except Refused as refused:
            raise OSError(str(refused)) from None
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def open_archive(source: Path | bytes | Source, root: str, limits: Limits = LIMITS) -> Archive | list[Diagnostic]:
    """The files of an archive; or all that is wrong with it. Raises OSError when the file cannot be opened.

    Definitions are unpacked once, to see that they are what the archive says; other files only when they are read.
    """
    opened = _source(source)
    try:
        found = directory.read(opened, limits)
        wrong = [*names.faults(found.entries, limits), *kinds.faults(found.entries, opened.size, limits)]
        if wrong:
            return [fault.at(root) for fault in wrong]
        begins = headers.check(opened, found)
    except Refused as refused:
        return [refused.fault.at(root)]
    archive = Archive(opened, root, {entry.path: entry for entry in found.entries if not entry.is_folder}, begins)
    return list(_damaged(archive)) or archive


def _source(source: Path | bytes | Source) -> Source:
    if isinstance(source, bytes):
        return Memory(source)
    return File(source) if isinstance(source, Path) else source


def _damaged(archive: Archive) -> Iterator[Diagnostic]:
    """Definitions whose bytes are not what the archive says they are."""
    for path in filter(kinds.is_definition, archive.entries):
        try:
            for _ in archive.pieces(path):
                pass
        except Refused as refused:
            yield refused.fault.at(archive.root)
