"""Every kind of archive that must be refused, how it is made, and the code that it is refused with."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial

from tests.onboard.zips import DEFLATED, LATER, UTF8, File, archive, deflated, end64, extra

VNFD = b"tosca_definitions_version: tosca_simple_yaml_1_3\ntopology_template: {node_templates: {}}\n"
GOOD = File("vnfd.yaml", VNFD)
MIB = 2**20

Made = Callable[[], bytes]


def among(*files: File, **how: object) -> Made:
    """Files beside one that is right."""
    return partial(archive, [GOOD, *files], **how)  # type: ignore[arg-type]


def named(*names: str | bytes) -> Made:
    return among(*(File(name) for name in names))


def of_kind(mode: int) -> Made:
    return among(File("thing", b"/etc/passwd", mode=mode))


def cut() -> bytes:
    return archive([GOOD, File("image.img", bytes(range(256)) * 40)])[:2000]


def changed(content: bytes, before: bytes, after: bytes) -> bytes:
    assert content.count(before) >= 1
    return content.replace(before, after, 1)


def stored_then_changed() -> bytes:
    return changed(archive([GOOD, File("run.sh", b"#!/bin/sh\necho good\n")]), b"good", b"evil")


def overlapping() -> bytes:
    """Two entries whose headers and contents are the same bytes, one inside of the other."""
    inner = archive([File("inner.txt", b"y" * 50)])[: 30 + len("inner.txt") + 50]
    outer = File("outer.txt", inner)
    start = 30 + len("outer.txt")
    return archive([outer, File("inner.txt", b"y" * 50, data=b"", local={}, central={"offset": start, "packed": 50})])


def overlapping_bomb() -> bytes:
    """Ten thousand names for one content."""
    content = bytes(MIB)
    shared = {"packed": len(deflated(content)), "offset": 0}
    names = [File(f"bomb{i:04}", content, DEFLATED, data=b"", central=shared) for i in range(1, 200)]
    return archive([File("bomb0000", content, DEFLATED), *names])


def overlapping_next() -> bytes:
    long = {"size": 40, "packed": 40}
    return archive([GOOD, File("b", central=long, local=long), File("c", b"c" * 90)])


def zip64_that_lies() -> bytes:
    files = [GOOD, File("b.txt")]
    plain = archive(files)
    offset, size = struct.unpack("<II", plain[-6 - 4 : -2])[::-1]
    where = len(plain) - 22
    return archive(files, end={"count": 2}, records64=end64(1, size, offset, where))


def comment_with_another_end() -> bytes:
    other = archive([File("other.yaml")])
    return archive([GOOD], end={"comment": other})


def two_that_fit() -> bytes:
    """The comment of the first end is an end that fits as well."""
    return archive([GOOD], end={"comment": struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)})


def several_small_bombs() -> bytes:
    content = bytes(MIB)
    return archive([GOOD, *(File(f"small{i:03}", content, DEFLATED) for i in range(60))])


def claims(**sizes: int) -> Made:
    """A deflated entry whose headers give sizes that are not its own."""
    return among(File("image.img", b"\0" * 5000, DEFLATED, central=sizes, local=sizes))


def not_unpackable() -> bytes:
    return archive([GOOD, File("a.yaml", b"x" * 100, DEFLATED, data=b"\xff" * 20)])


def half_unpackable() -> bytes:
    content = bytes(range(256)) * 20
    return archive([GOOD, File("a.yaml", content, DEFLATED, data=deflated(content)[:-9])])


def hiding() -> bytes:
    content = b"x" * 100
    return archive([GOOD, File("a.yaml", content, DEFLATED, data=deflated(content) + b"#!/bin/sh\nevil\n")])


def larger_than_it_says() -> bytes:
    content = bytes(32 * MIB)
    lie = {"size": 100, "crc": zlib.crc32(bytes(100))}
    return archive([GOOD, File("a.yaml", content, DEFLATED, central=lie, local=lie)])


ARCHIVES: dict[str, tuple[str, Made]] = {
    # the archive as a whole
    "nothing": ("MDW700", lambda: b""),
    "text": ("MDW700", lambda: b"this is no archive\n" * 100),
    "tar": ("MDW700", lambda: b"vnfd.yaml".ljust(257, b"\0") + b"ustar\x0000" + bytes(9000)),
    "gzip": ("MDW700", lambda: zlib.compress(b"x" * 1000, wbits=31)),
    "cut": ("MDW701", cut),
    "cut in the end": ("MDW701", lambda: archive([GOOD])[:-3]),
    "content past the directory": ("MDW701", claims(size=9000, packed=9000)),
    "program before it": ("MDW702", among(before=b"#!/bin/sh\nexit\n" * 9)),
    "program before it, offsets unchanged": ("MDW702", lambda: b"MZ" * 100 + archive([GOOD])),
    "bytes after it": ("MDW703", lambda: archive([GOOD]) + b"more"),
    "another archive after it": ("MDW702", lambda: archive([GOOD]) + archive([File("other.yaml", VNFD)])),
    "an end in the comment": ("MDW704", comment_with_another_end),
    "an end as the comment": ("MDW704", two_that_fit),
    "part of several disks": ("MDW705", among(end={"disk": 1, "first_disk": 1})),
    "entry on another disk": ("MDW705", among(File("b", central={"disk": 3}))),
    "fewer entries in the end": ("MDW706", among(File("b"), end={"count": 1, "here": 1})),
    "more entries in the end": ("MDW706", among(end={"count": 7, "here": 7})),
    "directory elsewhere": ("MDW707", among(end={"offset": 999})),
    "directory past the end": ("MDW707", among(end={"offset": 2**31})),
    "zip64 record that lies": ("MDW708", zip64_that_lies),
    "zip64 record that is missing": ("MDW708", among(end={"offset": 0xFFFFFFFF})),
    "zip64 field that is missing": ("MDW708", among(File("b", central={"size": 0xFFFFFFFF}))),
    "bytes between entries": ("MDW709", among(File("b", before=b"hidden program"))),
    "bytes before the directory": ("MDW709", among(gap=b"APK Sig Block 42" * 4)),
    "one entry in another": ("MDW710", overlapping),
    "one content for many names": ("MDW763", overlapping_bomb),
    "an entry over the next": ("MDW710", overlapping_next),
    "directory of other bytes": ("MDW711", lambda: changed(archive([GOOD, File("b")]), b"PK\1\2", b"PK\1\1")),
    "directory with a long name": ("MDW711", lambda: _long_name_length(archive([GOOD]))),
    "entry without header": ("MDW712", lambda: changed(archive([GOOD]), b"PK\3\4", b"PK\3\5")),
    "entry behind the directory": ("MDW712", among(File("b", central={"offset": 2**30}))),
    # what headers say
    "another name before the content": ("MDW720", among(File("good.sh", local={"name": b"evil.sh"}))),
    "a longer name before the content": ("MDW720", among(File("a", local={"name": b"ab"}))),
    "another method before the content": ("MDW721", among(File("b", local={"method": DEFLATED}))),
    "other flags before the content": ("MDW721", among(File("b", local={"flags": 0}))),
    "another size before the content": ("MDW722", among(File("b", local={"size": 1}))),
    "another size after the content": ("MDW722", among(File("b", flags=UTF8 | LATER, after=bytes(16)))),
    "another checksum before the content": ("MDW723", among(File("b", local={"crc": 1}))),
    "extra field cut short": ("MDW724", among(File("b", central={"extra": b"\1\0\x50\0xx"}))),
    "extra field twice": ("MDW724", among(File("b", central={"extra": extra(9, b"a") + extra(9, b"b")}))),
    "extra field cut short before the content": ("MDW724", among(File("b", local={"extra": b"\1\0\x50\0xx"}))),
    "second name": ("MDW725", among(File("b", central={"extra": extra(0x7075, b"\1" + bytes(4) + b"../b")}))),
    "second name before the content": (
        "MDW725",
        among(File("b", local={"extra": extra(0x7075, b"\1" + bytes(4) + b"../b")})),
    ),
    "bzip2": ("MDW726", among(File("b", method=12))),
    "lzma": ("MDW726", among(File("b", method=14))),
    "encrypted": ("MDW727", among(File("b", flags=UTF8 | 1))),
    "strongly encrypted": ("MDW728", among(File("b", flags=UTF8 | 1 | 1 << 6))),
    "masked headers": ("MDW728", among(File("b", flags=UTF8 | 1 << 13))),
    "patched data": ("MDW729", among(File("b", flags=UTF8 | 1 << 5))),
    # names
    "no name": ("MDW730", named("")),
    "absolute name": ("MDW731", named("/etc/passwd")),
    "absolute folder": ("MDW731", named("/")),
    "name that climbs": ("MDW732", named("../evil.sh")),
    "name that climbs later": ("MDW732", named("a/b/../../../evil.sh")),
    "folder that climbs": ("MDW732", named("a/../")),
    "backslash": ("MDW733", named("a\\evil.sh")),
    "network share": ("MDW733", named("\\\\host\\share\\evil.sh")),
    "drive": ("MDW734", named("C:/evil.sh")),
    "drive without folder": ("MDW734", named("C:evil.sh")),
    "NUL": ("MDW735", named("vnfd.yaml\0.sh")),
    "end of line": ("MDW736", named("a\nSource: b")),
    "colour": ("MDW736", named("a\x1b[31m.sh")),
    "order of letters turned round": ("MDW737", named("a\u202elmay.sh")),
    "no width": ("MDW737", named("a\u200b.sh")),
    "long name": ("MDW738", named("a" * 300)),
    "empty part": ("MDW739", named("a//b")),
    "dot part": ("MDW739", named("a/./b")),
    "bytes that are no UTF-8": ("MDW740", named(b"a\xff\xfe")),
    "letters that are not said to be UTF-8": ("MDW740", among(File("\xe9.txt", flags=0))),
    "over-long UTF-8": ("MDW740", named(b"a\xc0\xaf..")),
    "a name twice": ("MDW741", named("vnfd.yaml")),
    "a name twice, once with ./": ("MDW741", named("./vnfd.yaml")),
    "names alike but for case": ("MDW742", named("VNFD.yaml")),
    "names that look alike": ("MDW743", named("caf\xe9", "cafe\u0301")),
    "wide letters": ("MDW743", named("\uff56nfd.yaml")),
    "file and folder": ("MDW744", named("scripts", "scripts/run.sh")),
    "name of a device": ("MDW745", named("files/NUL.txt")),
    "dot at the end": ("MDW746", named("vnfd.yaml.")),
    "space at the end": ("MDW746", named("vnfd.yaml ")),
    "deep folders": ("MDW747", named("a/" * 60 + "b")),
    # kinds
    "symbolic link": ("MDW750", of_kind(0o120777)),
    "block device": ("MDW751", of_kind(0o060666)),
    "character device": ("MDW751", of_kind(0o020666)),
    "pipe": ("MDW752", of_kind(0o010666)),
    "socket": ("MDW752", of_kind(0o140666)),
    "setuid": ("MDW753", of_kind(0o104755)),
    "setgid": ("MDW753", of_kind(0o102755)),
    "setuid of no kind": ("MDW753", of_kind(0o4755)),
    "folder with content": ("MDW754", among(File("folder/", mode=0o040755))),
    "file that says it is a folder": ("MDW755", of_kind(0o040755)),
    "unknown kind": ("MDW755", of_kind(0o150644)),
    # sizes and contents
    "many entries": ("MDW760", lambda: archive([File(f"{i}", b"") for i in range(10_001)])),
    "many entries, by the end alone": ("MDW760", among(end={"count": 65_000, "here": 65_000})),
    "large directory": (
        "MDW761",
        lambda: archive([File(f"{i}", b"", central={"comment": bytes(60_000)}) for i in range(150)]),
    ),
    "bomb": ("MDW762", among(File("bomb.img", bytes(64 * MIB), DEFLATED))),
    "bomb by its headers": ("MDW762", claims(size=2**31)),
    "many small bombs": ("MDW763", several_small_bombs),
    "petabytes": (
        "MDW764",
        among(File("b", central={"size": 0xFFFFFFFF, "extra": extra(1, (2**50).to_bytes(8, "little"))})),
    ),
    "large definitions": ("MDW765", among(*(File(f"{i}.yaml", bytes(range(256)) * 8192) for i in range(9)))),
    "wrong checksum": ("MDW767", stored_then_changed),
    "smaller than it says": ("MDW768", claims(size=6000)),
    "larger than it says": ("MDW768", larger_than_it_says),
    "stored in two sizes": ("MDW768", among(File("b", central={"size": 7}, local={"size": 7}))),
    "not to be unpacked": ("MDW769", not_unpackable),
    "only half to be unpacked": ("MDW769", half_unpackable),
    "bytes after the compressed data": ("MDW770", hiding),
}


def _long_name_length(content: bytes) -> bytes:
    at = content.rindex(b"PK\1\2")
    return content[: at + 28] + b"\xff\xff" + content[at + 30 :]
