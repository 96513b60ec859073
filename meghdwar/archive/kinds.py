"""What an entry must not be besides its name: a link, a device, a secret, a bomb, another archive."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence

from meghdwar.archive import rules
from meghdwar.archive.content import DEFLATED, STORED
from meghdwar.archive.directory import Entry
from meghdwar.archive.fault import Fault
from meghdwar.archive.limits import GIB, MIB, Limits

DEFINITIONS = (".yaml", ".yml", ".meta", ".mf")
ARCHIVES = (".zip", ".csar")

_ENCRYPTED, _PATCH, _STRONG, _MASKED = 1 << 0, 1 << 5, 1 << 6, 1 << 13


def is_definition(path: str) -> bool:
    return path.lower().endswith(DEFINITIONS)


def faults(entries: Sequence[Entry], archive_size: int, limits: Limits) -> Iterator[Fault]:
    for entry in entries:
        shown = ascii(entry.path[:100])
        for fault in (*_packing(entry), *_kind(entry)):
            yield fault._replace(message=f"cannot accept the entry {shown}: {fault.message}")
        if entry.size > limits.small_bytes and entry.size > limits.ratio * max(entry.packed_size, 1):
            message = f"cannot accept the entry {shown}: it unpacks to more than {limits.ratio} times its size"
            yield Fault(rules.RATIO, message, "pack the file as it is")
    yield from _together(entries, archive_size, limits)


def _packing(entry: Entry) -> Iterator[Fault]:
    if entry.flags & (_STRONG | _MASKED):
        yield Fault(rules.ENCRYPTED_DIRECTORY, "its headers are encrypted", "pack it without a password")
    elif entry.flags & _ENCRYPTED:
        yield Fault(rules.ENCRYPTED, "it is encrypted", "pack it without a password")
    if entry.flags & _PATCH:
        yield Fault(rules.PATCH, "it is a patch for another file", "pack the file itself")
    if entry.method not in (STORED, DEFLATED):
        yield Fault(
            rules.UNKNOWN_METHOD, f"it is packed by method {entry.method}", "pack it with deflate, or only store it"
        )
    elif entry.method == STORED and entry.size != entry.packed_size and not entry.flags & _ENCRYPTED:
        yield Fault(rules.WRONG_SIZE, "it is stored, but its two sizes differ", "pack it again")


def _kind(entry: Entry) -> Iterator[Fault]:
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        yield Fault(rules.LINK, "it is a symbolic link", "pack the file itself")
    elif kind in (stat.S_IFBLK, stat.S_IFCHR):
        yield Fault(rules.DEVICE, "it is a device", "leave it out")
    elif kind in (stat.S_IFIFO, stat.S_IFSOCK):
        yield Fault(rules.PIPE, "it is a pipe or a socket", "leave it out")
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind and (kind == stat.S_IFDIR) != entry.is_folder):
        yield Fault(
            rules.UNKNOWN_KIND, "it is no file and no folder, or not the one that its name says", "pack it again"
        )
    if entry.mode & (stat.S_ISUID | stat.S_ISGID) and kind != stat.S_IFDIR:
        yield Fault(rules.SET_ID, "it would run with the rights of another", "chmod ug-s before packing")
    if entry.is_folder and entry.size:
        yield Fault(rules.FOLDER_WITH_CONTENT, "it is a folder and has content", "pack it again")


def _together(entries: Sequence[Entry], archive_size: int, limits: Limits) -> Iterator[Fault]:
    total = sum(entry.size for entry in entries)
    definitions = sum(entry.size for entry in entries if is_definition(entry.path))
    if total > limits.total_bytes:
        message = f"cannot read more than {limits.total_bytes // GIB} GiB of unpacked files"
        yield Fault(rules.TOO_LARGE, message, "keep images outside and name them by URL")
    elif total > limits.definition_bytes and total > limits.ratio * archive_size:
        yield Fault(
            rules.TOTAL_RATIO, f"cannot accept what unpacks to more than {limits.ratio} times its size", "put less in"
        )
    if definitions > limits.definition_bytes:
        message = f"cannot read more than {limits.definition_bytes // MIB} MiB of definitions"
        yield Fault(rules.DEFINITIONS_TOO_LARGE, message, "put less into the package")
