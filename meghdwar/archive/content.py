"""The content of an entry, in pieces, checked against what its headers promise."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from meghdwar.archive import rules
from meghdwar.archive.directory import Entry
from meghdwar.archive.fault import Refused
from meghdwar.archive.source import Source

STORED, DEFLATED = 0, 8
_PIECE = 2**18


def pieces(source: Source, entry: Entry, begin: int) -> Iterator[bytes]:
    """The unpacked content, at most 256 KiB at a time; raises Refused, at the latest at the end."""
    shown = ascii(entry.path[:100])
    unpacked = _inflated(source, entry, begin, shown) if entry.method == DEFLATED else _packed(source, entry, begin)
    size = checksum = 0
    for piece in unpacked:
        size += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if size > entry.size:
            raise Refused(rules.WRONG_SIZE, f"cannot unpack {shown}: it is larger than {entry.size} bytes")
        yield piece
    if size != entry.size:
        raise Refused(rules.WRONG_SIZE, f"cannot unpack {shown}: it has {size} bytes, not {entry.size}")
    if checksum != entry.checksum:
        raise Refused(
            rules.WRONG_CHECKSUM, f"cannot unpack {shown}: its checksum is {checksum:08x}, not {entry.checksum:08x}"
        )


def _packed(source: Source, entry: Entry, begin: int) -> Iterator[bytes]:
    for at in range(0, entry.packed_size, _PIECE):
        yield source.at(begin + at, min(_PIECE, entry.packed_size - at))


def _inflated(source: Source, entry: Entry, begin: int, shown: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    taken = 0
    try:
        for packed in _packed(source, entry, begin):
            taken += len(packed)
            yield stream.decompress(packed, _PIECE)
            while stream.unconsumed_tail:
                yield stream.decompress(stream.unconsumed_tail, _PIECE)
            if stream.eof:
                break
        while not stream.eof and (more := stream.decompress(b"", _PIECE)):
            yield more
    except zlib.error as error:
        raise Refused(rules.BAD_STREAM, f"cannot unpack {shown}: {str(error).rpartition(': ')[2]}") from None
    if not stream.eof:
        raise Refused(rules.BAD_STREAM, f"cannot unpack {shown}: its data end too early")
    if taken - len(stream.unused_data) < entry.packed_size:
        raise Refused(rules.HIDDEN_BYTES, f"cannot unpack {shown}: there are bytes after its data")
