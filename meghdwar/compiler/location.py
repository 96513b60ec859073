"""Where a descriptor and its files come from: a folder, or a package (CSAR, zip) that is never unpacked to disk.

A package has passed `meghdwar.archive` before anything in it is parsed. Nothing outside it can be named from inside.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import Protocol

from meghdwar.compiler import meta, rules
from meghdwar.diagnostics import Diagnostic, Rule, Span, did_you_mean

FILE_BYTES_MAX = 64 * 2**20  # of a file that we read
NAMES_MAX = 2000
_YAML = (".yaml", ".yml")


class Location(Protocol):
    """Files by path, relative to a root, with forward slashes. The same path gives the same bytes or None."""

    @property
    def root(self) -> str:
        """What people call it: the folder or the package."""

    def read(self, path: str) -> bytes | None: ...
    def exists(self, path: str) -> bool: ...
    def names(self) -> list[str]:
        """Files that are there, in order; of a large folder not all."""

    def shown(self, path: str) -> str:
        """A path as people find it from where they are."""


class Folder:
    """Real files. They may import from beside the folder (../), as real descriptors do, but not by absolute paths."""

    def __init__(self, path: str | Path) -> None:
        self.root = str(path)
        self._names: list[str] | None = None

    def read(self, path: str) -> bytes | None:
        try:
            with open(self._real(path), "rb", opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                return file.read() if stat.S_ISREG(found.st_mode) and found.st_size <= FILE_BYTES_MAX else None
        except (OSError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        try:
            return os.path.exists(self._real(path))
        except ValueError:
            return False

    def names(self) -> list[str]:
        if self._names is None:
            self._names = self._found()
        return self._names

    def _found(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inner = os.path.relpath(folder, self.root).replace(os.sep, "/")
            found += sorted(posixpath.normpath(posixpath.join(inner, name)) for name in files)
            if len(found) > NAMES_MAX:
                break
        return found[:NAMES_MAX]

    def shown(self, path: str) -> str:
        return path if self.root in ("", ".") else os.path.normpath(os.path.join(self.root, path))

    def _real(self, path: str) -> str:
        if path.startswith("/"):
            raise ValueError("an absolute path")
        return os.path.join(self.root, path)


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe must not make us wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# opening
def open_location(path: str | Path) -> tuple[Location, str] | list[Diagnostic]:
    """The location of a descriptor, a package or an unpacked package, and the entry file in it; or what is wrong."""
    path = Path(path)
    name = str(path)
    try:
        if path.is_dir():
            return entry(Folder(path), name)
        with open(path, "rb", opener=_without_waiting) as file:
            head = file.read(4) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not a path"
        return [
            Diagnostic(rules.CANNOT_READ, Span(name), f"cannot read {name}: {reason}", "give the path of a template")
        ]
    if head is None:
        return [Diagnostic(rules.CANNOT_READ, Span(name), f"cannot read {name}: not a file", "give a regular file")]
    if head in (b"PK\3\4", b"PK\5\6") or path.suffix.lower() in (".zip", ".csar"):
        return open_package(path, name)
    return Folder(path.parent), path.name


def open_package(source: Path | bytes, root: str) -> tuple[Location, str] | list[Diagnostic]:
    """The files of an archive and the entry among them; or all that is wrong with it."""
    from meghdwar.archive import open_archive

    opened = open_archive(source, root)
    return opened if isinstance(opened, list) else entry(opened, root)


def entry(location: Location, root: str) -> tuple[Location, str] | list[Diagnostic]:
    """The entry that TOSCA.meta names, else the only YAML file at the root."""
    for path in meta.PATHS:
        content = location.read(path)
        if content is not None:
            found, problems = meta.parse(content, location.shown(path))
            missing = [other for other in found.definitions if location.read(other.file) is None]
            for other in missing:
                help_ = (
                    did_you_mean(other.file, location.names()) or "put the file into the package or correct the path"
                )
                message = f"cannot find {other.file!r}, which {other.key} names"
                problems.append(Diagnostic(rules.NO_ENTRY, other.span, message, help_))
            return problems or (location, found.definitions[0].file)
    top = [name for name in location.names() if "/" not in name and name.endswith(_YAML)]
    if len(top) == 1:
        return location, top[0]
    help_ = "add TOSCA-Metadata/TOSCA.meta with Entry-Definitions"
    if top:
        message = f"cannot tell which of {', '.join(top[:5])} is the service template"
        return [_fault(rules.AMBIGUOUS_ENTRY, root, message, help_)]
    message = "cannot find a service template: no TOSCA.meta and no YAML file at the root"
    return [_fault(rules.NO_ENTRY, root, message, help_ + ", or put the template at the root")]


def _fault(rule: Rule, root: str, message: str, help_: str) -> Diagnostic:
    return Diagnostic(rule, Span(root), message, help_)
