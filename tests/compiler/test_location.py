"""Folders and packages: what is found in them, and why some packages are not read at all."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from meghdwar.archive import Archive
from meghdwar.compiler.location import Folder, Location, open_location, open_package
from meghdwar.diagnostics import Diagnostic

META = b"TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nCreated-by: us\nEntry-Definitions: Definitions/top.yaml\n"
PACKAGE = {"TOSCA-Metadata/TOSCA.meta": META, "Definitions/top.yaml": b"a: 1\n", "scripts/run.sh": b"#!/bin/sh\n"}


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def good(opened: tuple[Location, str] | list[Diagnostic]) -> tuple[Location, str]:
    assert isinstance(opened, tuple), opened
    return opened


def bad(opened: tuple[Location, str] | list[Diagnostic]) -> list[str]:
    assert isinstance(opened, list)
    assert all(problem.help for problem in opened)
    return [f"{p.span} {p.rule.code} {p.message}" for p in opened]


# folders
def test_a_file_is_read_with_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "app" / "scripts").mkdir(parents=True)
    (tmp_path / "app" / "top.yaml").write_bytes(b"a: 1\n")
    (tmp_path / "app" / "scripts" / "run.sh").write_bytes(b"x")
    (tmp_path / "common.yaml").write_bytes(b"b: 1\n")
    folder, entry = good(open_location(tmp_path / "app" / "top.yaml"))
    assert entry == "top.yaml"
    assert folder.read("top.yaml") == b"a: 1\n"
    assert folder.read("../common.yaml") == b"b: 1\n"
    assert folder.names() == ["top.yaml", "scripts/run.sh"]
    assert folder.exists("scripts")
    assert folder.exists("scripts/run.sh")
    assert not folder.exists("scripts/walk.sh")
    assert folder.shown("../common.yaml") == str(tmp_path / "common.yaml")


def test_a_folder_gives_no_absolute_path_no_pipe_and_no_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(tmp_path)
    assert folder.read(str(tmp_path / "x")) is folder.read("pipe") is folder.read("nul\0") is None
    assert folder.read("../" * 30 + "dev/zero") is folder.read("") is None
    assert not folder.exists("/etc")
    assert not folder.exists("nul\0")


def test_an_unpacked_package_is_a_location(tmp_path: Path) -> None:
    for name, content in PACKAGE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    folder, entry = good(open_location(tmp_path))
    assert folder.read(entry) == b"a: 1\n"


@pytest.mark.parametrize("name", ["nothing.yaml", "x\0y"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (problem,) = bad(open_location(tmp_path / name))
    assert "MDW011 cannot read" in problem


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a file" in bad(open_location(tmp_path / "pipe.yaml"))[0]


# packages
def test_a_package_is_read_without_unpacking(tmp_path: Path) -> None:
    (tmp_path / "x.csar").write_bytes(zipped(PACKAGE))
    package, entry = good(open_location(tmp_path / "x.csar"))
    assert isinstance(package, Archive)
    assert entry == "Definitions/top.yaml"
    assert package.read(entry) == b"a: 1\n"
    assert package.read("scripts/run.sh") == b"#!/bin/sh\n"
    assert package.names() == list(PACKAGE)
    assert package.exists("scripts")
    assert package.exists("scripts/run.sh")
    assert not package.exists("script")
    assert package.read("../x.csar") is package.read("/etc/hostname") is package.read("scripts") is None
    assert package.shown(entry) == str(tmp_path / "x.csar" / "Definitions" / "top.yaml")
    assert os.listdir(tmp_path) == ["x.csar"]


def test_a_package_may_do_without_tosca_meta() -> None:
    assert good(open_package(zipped({"top.yml": b"a: 1", "types/x.yaml": b""}), "p"))[1] == "top.yml"


def test_names_may_begin_with_a_dot_and_a_slash() -> None:
    package, entry = good(open_package(zipped({f"./{name}": content for name, content in PACKAGE.items()}), "p"))
    assert package.read(entry) == b"a: 1\n"


def test_other_definitions_are_known_by_name() -> None:
    extra = META + b'Other-Definitions: "Definitions/a b.yaml" Definitions/c.yaml\n\nName: x\nignored\n'
    files = {**PACKAGE, "TOSCA-Metadata/TOSCA.meta": extra, "Definitions/a b.yaml": b"", "Definitions/c.yaml": b""}
    good(open_package(zipped(files), "p"))
    files.pop("Definitions/c.yaml")
    assert bad(open_package(zipped(files), "p")) == [
        "p/TOSCA-Metadata/TOSCA.meta:5:43 MDW019 cannot find 'Definitions/c.yaml', which Other-Definitions names"
    ]


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        (b"CSAR-Version: 1.1\n", "1:1 MDW018 cannot find Entry-Definitions in TOSCA.meta"),
        (b"Entry-Definition: x.yaml\n", "1:1 MDW018 cannot find Entry-Definitions in TOSCA.meta"),
        (b"what\nEntry-Definitions: Definitions/top.yaml\n", "1:1 MDW018 cannot read this line of TOSCA.meta"),
        (META + META, "5:1 MDW018 cannot have TOSCA-Meta-File-Version twice in TOSCA.meta"),
        (
            META.replace(b"CSAR-Version: 1.1", b"CSAR-Version: new"),
            "2:1 MDW018 cannot read a package of CSAR version 'new'",
        ),
        (META.replace(b"top", b"tip"), "4:20 MDW019 cannot find 'Definitions/tip.yaml', which Entry-Definitions names"),
        (META.replace(b"Definitions/", b"../"), "4:20 MDW019 cannot find '../top.yaml', which Entry-Definitions names"),
        (b"\xff\xfe\0", "1:1 MDW018 cannot read this line of TOSCA.meta"),
    ],
)
def test_a_bad_tosca_meta_is_said_with_its_place(meta: bytes, problem: str) -> None:
    files = {**PACKAGE, "TOSCA-Metadata/TOSCA.meta": meta}
    assert f"p/TOSCA-Metadata/TOSCA.meta:{problem}" in bad(open_package(zipped(files), "p"))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "MDW019 cannot find a service template"),
        ({"x.txt": b""}, "MDW019 cannot find a service template"),
        ({"a.yaml": b"", "b.yaml": b""}, "MDW020 cannot tell which of a.yaml, b.yaml is the service template"),
        ({"../a.yaml": b""}, "MDW732 cannot accept the entry name '../a.yaml'"),
        ({"a.yaml": b"\0" * 2**21}, "MDW762 cannot accept the entry 'a.yaml': it unpacks to more than 200 times"),
    ],
)
def test_a_package_that_must_not_be_read(files: dict[str, bytes], problem: str) -> None:
    (found,) = bad(open_package(zipped(files), "p"))
    assert found.startswith(f"p:1:1 {problem}")


def test_bytes_that_are_not_what_the_archive_says_are_refused() -> None:
    data = zipped({"a.yaml": b"abcdef"}, zipfile.ZIP_STORED).replace(b"abcdef", b"abcdeX")
    assert bad(open_package(data, "p"))[0].startswith("p:1:1 MDW767 cannot unpack 'a.yaml': its checksum is")


def test_any_cut_of_an_archive_ends_in_words() -> None:
    data = zipped(PACKAGE)
    for length in range(len(data)):
        assert bad(open_package(data[:length], "p"))


def test_any_changed_byte_of_an_archive_is_no_crash() -> None:
    data = zipped(PACKAGE)
    for position in range(len(data)):
        for change in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= change
            opened = open_package(bytes(changed), "p")
            if isinstance(opened, tuple):
                for name in opened[0].names():
                    opened[0].read(name)
