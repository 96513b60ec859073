"""The header before the content of each entry: it says what the directory says, and entries fill the archive."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from meghdwar.archive import rules
from meghdwar.archive.directory import LOCAL, Directory, Entry, extra_fields, second_name
from meghdwar.archive.fault import Refused
from meghdwar.archive.source import Source

_LOCAL = struct.Struct("<4s5H3I2H")
_DESCRIPTOR = b"PK\7\x08"
_LATER = 1 << 3  # sizes and checksum come after the content
_FULL32, _ZIP64 = 0xFFFFFFFF, 0x0001


def check(source: Source, directory: Directory) -> dict[str, int]:
    """Where the content of each entry begins, by path; raises Refused."""
    begins: dict[str, int] = {}
    expected = 0
    in_order = sorted(directory.entries, key=lambda entry: entry.header_offset)
    ends = [entry.header_offset for entry in in_order[1:]] + [directory.offset]
    for entry, next_offset in zip(in_order, ends, strict=False):
        shown = _shown(entry)
        if entry.header_offset >= directory.offset:
            raise Refused(rules.NO_HEADER, f"cannot find the header of {shown}: it would stand behind the directory")
        if entry.header_offset > expected:
            raise _apart(entry.header_offset - expected, f"before {shown}" if expected else "")
        begin = _header(source, entry)
        end = begin + entry.packed_size
        if end > directory.offset:
            raise Refused(
                rules.CUT_SHORT, f"cannot read {shown}: it does not end before the directory", "copy it again"
            )
        if end > next_offset:
            raise Refused(rules.OVERLAP, f"cannot accept {shown}: it shares bytes with another entry")
        expected = end + _descriptor(source, entry, end, next_offset - end)
        begins[entry.path] = begin
    if expected != directory.offset:
        raise _apart(directory.offset - expected, "before the directory")
    return begins


def _apart(count: int, where: str) -> Refused:
    if where:
        return Refused(rules.BYTES_BETWEEN, f"cannot accept {count} bytes {where} that belong to no entry")
    help_ = "give the archive alone, not a program that unpacks itself"
    return Refused(rules.BYTES_BEFORE, f"cannot accept {count} bytes before the archive", help_)


def _header(source: Source, entry: Entry) -> int:
    """Where the content begins, once the header was found to say what the directory says."""
    data = source.at(entry.header_offset, _LOCAL.size + len(entry.raw_name))
    shown = _shown(entry)
    if len(data) < _LOCAL.size or data[:4] != LOCAL:
        raise Refused(rules.NO_HEADER, f"cannot find the header of {shown}")
    said: tuple[int, ...] = _LOCAL.unpack_from(data)[2:]
    flags, method, _, _, checksum, packed, size, name_length, extra_length = said
    if data[_LOCAL.size :] != entry.raw_name or name_length != len(entry.raw_name):
        other = data[_LOCAL.size : _LOCAL.size + name_length].decode("utf-8", "replace")[:100]
        raise Refused(rules.OTHER_NAME, f"cannot accept {shown}: the header before its content says {other!a}")
    if flags != entry.flags or method != entry.method:
        raise Refused(rules.OTHER_METHOD, f"cannot accept {shown}: its two headers tell how it is packed differently")
    begin = entry.header_offset + _LOCAL.size + name_length
    fields = extra_fields(source.at(begin, extra_length), shown)
    second_name(fields, entry.raw_name, shown)
    large = fields.get(_ZIP64, b"")
    if _FULL32 in (size, packed) and len(large) >= 16:
        size, packed = int.from_bytes(large[:8], "little"), int.from_bytes(large[8:16], "little")
    later = bool(flags & _LATER)
    if not _same((size, packed), (entry.size, entry.packed_size), later):
        raise Refused(rules.OTHER_SIZE, f"cannot accept {shown}: its two headers give different sizes")
    if not _same((checksum,), (entry.checksum,), later):
        raise Refused(rules.OTHER_CHECKSUM, f"cannot accept {shown}: its two headers give different checksums")
    return begin + extra_length


def _same(said: Iterable[int], known: Iterable[int], later: bool) -> bool:
    return all(a == b or (later and a == 0) for a, b in zip(said, known, strict=True))


def _descriptor(source: Source, entry: Entry, at: int, room: int) -> int:
    """The length of the record after the content that repeats checksum and sizes; 0 when there is none."""
    if not entry.flags & _LATER:
        return 0
    found = source.at(at, min(room, 24))
    known = [
        signature + entry.checksum.to_bytes(4, "little") + b"".join(size.to_bytes(width, "little") for size in sizes)
        for sizes in [(entry.packed_size, entry.size)]
        for width in (4, 8)
        for signature in (_DESCRIPTOR, b"")
        if max(sizes) < 1 << 8 * width
    ]
    fitting = [len(record) for record in known if found.startswith(record)]
    if not fitting:
        raise Refused(rules.OTHER_SIZE, f"cannot accept {_shown(entry)}: what stands after it says another size")
    return room if room in fitting else min(fitting)


def _shown(entry: Entry) -> str:
    return ascii(entry.path[:100])
