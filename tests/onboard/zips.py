"""Zip archives byte by byte, so that every field can say what it should not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

STORED, DEFLATED = 0, 8
UTF8, LATER = 1 << 11, 1 << 3


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


@dataclass(frozen=True)
class File:
    """An entry. `central` and `local` override fields of one header: name, flags, method, crc, packed, size, extra,
    offset, mode, disk, comment. `data` is what stands for the packed content, `before` and `after` lie round it."""

    name: str | bytes
    content: bytes = b"x\n"
    method: int = STORED
    mode: int = 0o100644
    flags: int = UTF8
    data: bytes | None = None
    before: bytes = b""
    after: bytes = b""
    central: Mapping[str, int | bytes] = field(default_factory=dict)
    local: Mapping[str, int | bytes] = field(default_factory=dict)


def archive(
    files: Sequence[File],
    *,
    before: bytes = b"",
    gap: bytes = b"",
    end: Mapping[str, int | bytes] | None = None,
    records64: bytes = b"",
) -> bytes:
    """`end` overrides disk, first_disk, here, count, size, offset and comment; `records64` stand before it."""
    body, directory = bytearray(before), bytearray()
    for file in files:
        body += file.before
        local, central = _fields(file, len(body)), _fields(file, len(body))
        local.update(file.local)
        central.update(file.central)
        body += _local(local) + _data(file) + file.after
        directory += _central(central)
    body += gap
    said: dict[str, int | bytes] = {
        "disk": 0, "first_disk": 0, "here": len(files), "count": len(files), "size": len(directory),
        "offset": len(body), "comment": b"",
    }  # fmt: skip
    said.update(end or {})
    numbers = [said[key] for key in ("disk", "first_disk", "here", "count", "size", "offset")]
    comment = said["comment"]
    assert isinstance(comment, bytes)
    last = struct.pack("<4s4H2IH", b"PK\5\6", *numbers, len(comment)) + comment
    return bytes(body + directory + records64 + last)


def _data(file: File) -> bytes:
    if file.data is not None:
        return file.data
    return deflated(file.content) if file.method == DEFLATED else file.content


def _fields(file: File, offset: int) -> dict[str, int | bytes]:
    return {
        "name": file.name.encode() if isinstance(file.name, str) else file.name,
        "flags": file.flags, "method": file.method, "crc": zlib.crc32(file.content), "packed": len(_data(file)),
        "size": len(file.content), "extra": b"", "comment": b"", "offset": offset, "mode": file.mode, "disk": 0,
    }  # fmt: skip


def _local(said: Mapping[str, int | bytes]) -> bytes:
    name, extra = said["name"], said["extra"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    numbers = [said[key] for key in ("crc", "packed", "size")]
    head = struct.pack("<4s5H", b"PK\3\4", 20, said["flags"], said["method"], 0, 33)
    return head + struct.pack("<3I2H", *numbers, len(name), len(extra)) + name + extra


def _central(said: Mapping[str, int | bytes]) -> bytes:
    name, extra, comment, mode = said["name"], said["extra"], said["comment"], said["mode"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    assert isinstance(comment, bytes)
    assert isinstance(mode, int)
    head = struct.pack("<4s6H", b"PK\1\2", 3 << 8 | 20, 20, said["flags"], said["method"], 0, 33)
    numbers = [said[key] for key in ("crc", "packed", "size")]
    lengths = (len(name), len(extra), len(comment))
    rest = struct.pack("<5H2I", *lengths, said["disk"], 0, mode << 16, said["offset"])
    return head + struct.pack("<3I", *numbers) + rest + name + extra + comment


def extra(tag: int, content: bytes) -> bytes:
    return struct.pack("<2H", tag, len(content)) + content


def end64(count: int, size: int, offset: int, where: int) -> bytes:
    """The two records of zip64 that stand before the end; `where` is the offset of the first."""
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, where, 1)
