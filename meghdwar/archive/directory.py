"""The central directory of a zip archive, read so that there is only one way to understand it.

Other readers look for the end from behind, believe one of two headers, or skip what they do not know; an archive that
they could read otherwise than we do is refused. Source: APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from meghdwar.archive import rules
from meghdwar.archive.fault import Refused
from meghdwar.archive.limits import Limits
from meghdwar.archive.source import Source

END, END64, LOCATOR64, CENTRAL, LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_COMMENT_MAX, _FULL16, _FULL32 = 0xFFFF, 0xFFFF, 0xFFFFFFFF
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_UTF8 = 1 << 11


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as the directory describes it. `path` is its name without the ./ that some tools write."""

    path: str
    raw_name: bytes
    flags: int
    method: int
    checksum: int
    packed_size: int
    size: int
    mode: int  # st_mode, 0 when the archive was made where there is none
    header_offset: int

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Directory:
    offset: int
    entries: tuple[Entry, ...]


def read(source: Source, limits: Limits) -> Directory:
    """All entries, in the order of the directory; raises Refused."""
    position, count, size, offset = _end(source)
    if count > limits.entries:
        raise Refused(rules.TOO_MANY, f"cannot read more than {limits.entries} entries", "put less into the package")
    if size > limits.directory_bytes:
        message = f"cannot read a directory of more than {limits.directory_bytes // 2**20} MiB"
        raise Refused(rules.DIRECTORY_TOO_LARGE, message, "put less into the package")
    if offset + size != position:
        if source.at(position - size, 4) == CENTRAL and offset + size < position:
            message = f"cannot accept {position - size - offset} bytes before the archive"
            raise Refused(rules.BYTES_BEFORE, message, "give the archive alone, not a program that unpacks itself")
        message = "cannot find the directory where the archive says that it is"
        raise Refused(rules.DIRECTORY_ELSEWHERE, message)
    entries = tuple(_entries(source.at(offset, size)))
    if len(entries) != count:
        raise Refused(
            rules.WRONG_COUNT, f"cannot find the {count} entries that it should have: there are {len(entries)}"
        )
    return Directory(offset, entries)


# the end
def _end(source: Source) -> tuple[int, int, int, int]:
    """Where the directory ends; its number of entries, its size and its offset."""
    tail_offset = max(0, source.size - _END.size - _COMMENT_MAX)
    tail = source.at(tail_offset, source.size - tail_offset)
    places = _places(tail, END)
    fitting = [p for p in places if len(tail) - p >= _END.size and p + _END.size + _comment(tail, p) == len(tail)]
    if not fitting:
        raise _without_end(source, tail, places)
    if places[-1] != fitting[0]:
        raise Refused(rules.TWO_ENDS, "cannot tell which of two ends of the archive counts", "leave out its comment")
    at = fitting[0]
    _, disk, first_disk, here, count, size, offset, _ = _END.unpack_from(tail, at)
    position = tail_offset + at
    if _FULL16 in (here, count) or _FULL32 in (size, offset) or tail[max(0, at - 20) : at][:4] == LOCATOR64:
        return _end64(source, position, count, size, offset)
    if disk or first_disk or here != count:
        raise Refused(rules.SEVERAL_DISKS, "cannot read one part of an archive on several disks", "pack it in one file")
    return position, count, size, offset


def _without_end(source: Source, tail: bytes, places: list[int]) -> Refused:
    whole = [place for place in places if len(tail) - place >= _END.size]
    if whole and whole[-1] + _END.size + _comment(tail, whole[-1]) < len(tail):
        return Refused(rules.BYTES_AFTER, "cannot accept bytes after the end of the archive", "give the archive alone")
    if places or source.at(0, 4) == LOCAL:
        return Refused(rules.CUT_SHORT, "cannot find the end of the archive: it is cut short", "copy it again")
    return Refused(rules.NOT_AN_ARCHIVE, "cannot read this as a zip archive", "give a CSAR or a zip")


def _end64(source: Source, position: int, count: int, size: int, offset: int) -> tuple[int, int, int, int]:
    """As `_end`, from the records of large archives. They stand directly before the end and contradict nothing."""
    lie = Refused(rules.BAD_ZIP64, "cannot read its zip64 records: they do not fit together")
    locator, record = position - _LOCATOR64.size, position - _LOCATOR64.size - _END64.size
    if record < 0:
        raise lie
    signature, disk, where, disks = _LOCATOR64.unpack(source.at(locator, _LOCATOR64.size))
    if signature != LOCATOR64 or disk or disks > 1 or where != record:
        raise lie
    found = _END64.unpack(source.at(record, _END64.size))
    signature, length, _, _, disk, first_disk, here, count64, size64, offset64 = found
    if signature != END64 or length != _END64.size - 12 or disk or first_disk or here != count64:
        raise lie
    said = ((count, count64, _FULL16), (size, size64, _FULL32), (offset, offset64, _FULL32))
    if any(small not in (full, large) for small, large, full in said):
        raise lie
    return record, count64, size64, offset64


def _places(tail: bytes, signature: bytes) -> list[int]:
    found, at = [], tail.find(signature)
    while at >= 0:
        found.append(at)
        at = tail.find(signature, at + 1)
    return found


def _comment(tail: bytes, at: int) -> int:
    return int.from_bytes(tail[at + 20 : at + 22], "little")


# the entries
def _entries(data: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(data):
        if len(data) - at < _CENTRAL.size or data[at : at + 4] != CENTRAL:
            raise Refused(rules.BAD_DIRECTORY, f"cannot read the directory of the archive at its byte {at}")
        found = _CENTRAL.unpack_from(data, at)
        _, _, _, flags, method, _, _, checksum, packed, size = found[:10]
        name_length, extra_length, comment_length, disk, _, attributes, offset = found[10:]
        begin = at + _CENTRAL.size
        at = begin + name_length + extra_length + comment_length
        if at > len(data):
            raise Refused(rules.BAD_DIRECTORY, f"cannot read the directory of the archive at its byte {begin}")
        name, extra = data[begin : begin + name_length], data[begin + name_length : at - comment_length]
        shown = ascii(name.decode("utf-8", "replace")[:100])
        if disk and disk != _FULL16:
            raise Refused(rules.SEVERAL_DISKS, f"cannot read {shown} from another disk", "pack it in one file")
        fields = extra_fields(extra, shown)
        second_name(fields, name, shown)
        size, packed, offset = _large(fields.get(_ZIP64, b""), (size, packed, offset), shown)
        yield Entry(_path(name, flags, shown), name, flags, method, checksum, packed, size, attributes >> 16, offset)


def extra_fields(extra: bytes, shown: str) -> dict[int, bytes]:
    """The extra fields of a header; raises Refused where they are not whole or there is one twice."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        tag, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if at + 4 + length > len(extra) or tag in fields:
            raise Refused(rules.BAD_EXTRA, f"cannot read the extra fields of {shown}")
        fields[tag] = extra[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def second_name(fields: dict[int, bytes], name: bytes, shown: str) -> None:
    """Info-ZIP's second name of an entry, which some readers prefer; raises Refused when it is another one."""
    field = fields.get(_UNICODE_NAME)
    if field is not None and field[5:] != name:
        message = f"cannot accept {shown}: it has a second name, {field[5:105].decode('utf-8', 'replace')!a}"
        raise Refused(rules.UNICODE_NAME, message, "pack it with names in UTF-8")


def _large(field: bytes, values: tuple[int, int, int], shown: str) -> tuple[int, int, int]:
    """Size, packed size and offset, each from the zip64 field where the header has no room for it."""
    wanted = [i for i, value in enumerate(values) if value == _FULL32]
    if len(field) not in ({8 * len(wanted)} if wanted else {0, 8, 16, 24, 28}):
        raise Refused(rules.BAD_ZIP64, f"cannot read the sizes of {shown}")
    found = list(values)
    for number, i in enumerate(wanted):
        found[i] = int.from_bytes(field[8 * number : 8 * number + 8], "little")
    return found[0], found[1], found[2]


def _path(name: bytes, flags: int, shown: str) -> str:
    """The name as text: ASCII, or UTF-8 where the entry says so."""
    try:
        text = name.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise Refused(rules.NOT_UTF8, f"cannot read the entry name {shown}", "pack it with names in UTF-8") from None
    return text.removeprefix("./") or text
