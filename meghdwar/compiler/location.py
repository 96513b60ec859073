"""Where a descriptor and its files come from: a folder, or a package (CSAR, zip) that is never unpacked to disk.

A package is checked before anything in it is parsed, and nothing outside it can be named from inside.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from meghdwar.compiler import meta, rules
from meghdwar.diagnostics import Diagnostic, Rule, Span, did_you_mean

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

FILE_BYTES_MAX = 64 * 2**20  # of a file that we read; images in a package may be larger, for we do not read them
ENTRIES_MAX = 10_000
PACKAGE_BYTES_MAX = 64 * 2**30  # of all entries, unpacked
RATIO_MAX = 200  # of an entry larger than RATIO_BYTES; text reaches 20, a bomb 1000
RATIO_BYTES = 2**20
NAMES_MAX = 2000
_YAML = (".yaml", ".yml")

Gate: TypeAlias = Callable[[Path], list[Diagnostic]]


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


class Package:
    """The files of a zip archive that has passed `faults`."""

    def __init__(self, archive: ZipFile, root: str) -> None:
        self.root = root
        self._archive = archive
        self._entries = {_plain(info.filename): info for info in archive.infolist() if not info.is_dir()}

    def read(self, path: str) -> bytes | None:
        info = self._entries.get(path)
        if info is None or info.file_size > FILE_BYTES_MAX:
            return None
        try:
            with self._archive.open(info) as file:
                return file.read(FILE_BYTES_MAX)
        except Exception:  # zipfile raises many kinds on hostile bytes, and each means the same
            return None

    def exists(self, path: str) -> bool:
        folder = path.rstrip("/") + "/"
        return path in self._entries or any(name.startswith(folder) for name in self._entries)

    def names(self) -> list[str]:
        return list(self._entries)

    def shown(self, path: str) -> str:
        return posixpath.join(self.root, path)


# opening
def open_location(path: str | Path, gate: Gate | None = None) -> tuple[Location, str] | list[Diagnostic]:
    """The location of a descriptor, a package or an unpacked package, and the entry file in it; or what is wrong.

    A `gate` sees a package before anything of it is read and says why it must not be; [] lets it pass.
    """
    path = Path(path)
    name = str(path)
    try:
        if path.is_dir():
            return _entry(Folder(path), name)
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
        problems = gate(path) if gate is not None else []
        return problems or open_package(path, name)
    return Folder(path.parent), path.name


def open_package(source: Path | bytes, root: str) -> tuple[Location, str] | list[Diagnostic]:
    """The files of an archive and the entry among them; or all that is wrong with it."""
    from zipfile import ZipFile

    try:
        archive = ZipFile(BytesIO(source) if isinstance(source, bytes) else source)
    except Exception as error:  # as above
        return [_fault(rules.BAD_ARCHIVE, root, f"cannot read this as a zip archive: {_words(error)}", "pack it again")]
    return faults(archive, root) or _entry(Package(archive, root), root)


def _entry(location: Location, root: str) -> tuple[Location, str] | list[Diagnostic]:
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


# what an archive must not be
def faults(archive: ZipFile, root: str) -> list[Diagnostic]:
    """Why nothing in an archive may be read. Entries that are data for others, such as images, are not unpacked."""
    infos = archive.infolist()
    if len(infos) > ENTRIES_MAX:
        message = f"cannot read more than {ENTRIES_MAX} entries"
        return [_fault(rules.ARCHIVE_TOO_LARGE, root, message, "put less into the package")]
    seen: set[str] = set()
    found = [fault for info in infos for fault in _entry_faults(info, root, seen)]
    found += _size_faults(infos, root)
    return found or list(_unreadable(archive, root))


def _size_faults(infos: list[ZipInfo], root: str) -> Iterator[Diagnostic]:
    if sum(info.file_size for info in infos) > PACKAGE_BYTES_MAX:
        message = f"cannot read more than {PACKAGE_BYTES_MAX // 2**30} GiB of unpacked files"
        yield _fault(rules.ARCHIVE_TOO_LARGE, root, message, "keep images outside and name them by URL")
    if sum(info.file_size for info in infos if _is_definition(info.filename)) > FILE_BYTES_MAX:
        message = f"cannot read more than {FILE_BYTES_MAX // 2**20} MiB of definitions"
        yield _fault(rules.ARCHIVE_TOO_LARGE, root, message, "put less into the package")


def _unreadable(archive: ZipFile, root: str) -> Iterator[Diagnostic]:
    """Definitions whose bytes are not what the archive says they are."""
    for info in archive.infolist():
        if _is_definition(info.filename):
            try:
                archive.read(info)
            except Exception as error:  # zipfile raises many kinds on hostile bytes, and each means the same
                message = f"cannot unpack {info.filename!a}: {_words(error)}"
                yield _fault(rules.BAD_ARCHIVE, root, message, "pack it again")


def _is_definition(name: str) -> bool:
    return name.lower().endswith((*_YAML, ".meta"))


def _entry_faults(info: ZipInfo, root: str, seen: set[str]) -> Iterator[Diagnostic]:
    name = _plain(info.orig_filename)
    shown = ascii(name[:100])
    if _escapes(name):
        yield _fault(
            rules.UNSAFE_NAME, root, f"cannot accept the entry name {shown}", "use relative names with / inside"
        )
    if name in seen:
        yield _fault(rules.DUPLICATE_ENTRY, root, f"cannot have the entry {shown} twice", "pack it again")
    seen.add(name)
    if info.flag_bits & 0x1:
        yield _fault(
            rules.ENCRYPTED_ENTRY, root, f"cannot read the encrypted entry {shown}", "pack it without a password"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield _fault(
            rules.SPECIAL_ENTRY,
            root,
            f"cannot accept the entry {shown}: it is a link or a device",
            "pack the file itself",
        )
    if info.file_size > RATIO_BYTES and info.file_size > RATIO_MAX * max(info.compress_size, 1):
        message = f"cannot accept the entry {shown}: it unpacks to more than {RATIO_MAX} times its size"
        yield _fault(rules.ARCHIVE_TOO_LARGE, root, message, "pack the file as it is")


def _plain(name: str) -> str:
    """A name without the ./ that some tools put before it."""
    return name.removeprefix("./") or name


def _escapes(name: str) -> bool:
    parts = name.removesuffix("/").split("/")
    return (
        not name
        or len(name) > 255
        or any(part in ("", ".", "..") for part in parts)
        or any(character in name for character in "\\\0")
        or (len(parts[0]) > 1 and parts[0][1] == ":")
        or not name.isprintable()
    )


def _fault(rule: Rule, root: str, message: str, help_: str) -> Diagnostic:
    return Diagnostic(rule, Span(root), message, help_)


def _words(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
