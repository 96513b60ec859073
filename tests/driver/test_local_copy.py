"""Copies of folders: the same in every respect, whatever changed, however little it shows."""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from meghdwar.driver.hypervisor import Access, Full, Stale, Unbounded
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.local import Local
from meghdwar.driver.local import copying as local_copy
from meghdwar.driver.local.copying import BLOCK, Copying, DifferentError


class Copies:
    """A source and a target, and copies of one to the other."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target, self.memory = folder / "source", folder / "target", folder / "memory"
        self.source.mkdir()
        self.target.mkdir()

    def copy(self, *, final: bool = False, check: Callable[[], None] = lambda: None) -> Copying:
        return local_copy.copy(self.source, self.target, self.memory, check, final=final)

    def same(self) -> None:
        assert described(self.target) == described(self.source)


def described(folder: Path) -> dict[str, object]:
    """Everything that can be told apart: kinds, modes, times of files, contents, attributes, and who shares a file."""
    found: dict[str, object] = {}
    names: dict[int, str] = {}
    for each in sorted([folder, *folder.rglob("*")]):
        status, name = each.lstat(), os.fspath(each.relative_to(folder))
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            continue
        content: object = None
        if kind == stat.S_IFREG:
            content = (each.read_bytes(), status.st_mtime_ns, names.setdefault(status.st_ino, name))
        elif kind == stat.S_IFLNK:
            content = os.readlink(each)
        attributes = {key: os.getxattr(each, key, follow_symlinks=False) for key in attributes_of(each)}
        found[name] = (kind, stat.S_IMODE(status.st_mode), status.st_uid, content, attributes)
    return found


def attributes_of(path: Path) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user.")]


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Copies]:
    yield Copies(tmp_path)
    for folder in tmp_path.rglob("*"):  # so that pytest can take it away
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def furnish(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "closed").mkdir()
    (folder / "closed" / "within").write_text("x")
    (folder / "closed").chmod(0o555)
    (folder / "plain").write_text("plain")
    (folder / "nothing").touch()
    (folder / "run").write_text("#!/bin/sh")
    (folder / "run").chmod(0o4755)
    (folder / "read-only").write_text("r")
    (folder / "read-only").chmod(0o400)
    (folder / "twin").write_text("twins")
    os.link(folder / "twin", folder / "closed-twin")
    (folder / "to-file").symlink_to("plain")
    (folder / "to-nowhere").symlink_to("/nowhere/at all")
    (folder / "to-folder").symlink_to("closed")
    (folder / "na\nme \u00e9").write_text("odd")
    (folder / os.fsdecode(b"not-\xff-utf8")).write_text("odd")
    os.mkfifo(folder / "pipe", 0o620)
    with open(folder / "sparse", "wb") as file:
        file.seek(5 * BLOCK + 17)
        file.write(b"end")
    os.utime(folder / "plain", ns=(1, 1_000_000_007))


def test_everything_is_as_it_is_there(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(copies.source)
    with socket.socket(socket.AF_UNIX) as door:
        monkeypatch.chdir(copies.source)  # the path of a socket is short
        door.bind("socket")
    first = copies.copy()
    copies.same()
    assert not (copies.target / "socket").exists()
    assert (copies.target / "sparse").stat().st_blocks * 512 < BLOCK, "holes are holes"
    assert first.sent_bytes < 2 * BLOCK
    again = copies.copy(final=True)
    copies.same()
    assert again.sent_bytes == 0


def test_attributes(copies: Copies) -> None:
    file = copies.source / "file"
    file.write_text("x")
    try:
        os.setxattr(file, "user.colour", b"red")
    except OSError as error:
        pytest.skip(f"no attributes here: {error}")
    os.setxattr(file, "user.gone", b"soon")
    copies.copy()
    os.setxattr(file, "user.colour", b"blue")
    os.removexattr(file, "user.gone")
    copies.copy()
    copies.same()
    assert os.getxattr(copies.target / "file", "user.colour") == b"blue"


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file gone": lambda at: (at / "plain").unlink(),
    "a folder gone": lambda at: (at / "empty").rmdir(),
    "a file for a folder": lambda at: ((at / "empty").rmdir(), (at / "empty").write_text("now a file")),
    "a folder for a file": lambda at: ((at / "plain").unlink(), (at / "plain").mkdir()),
    "a link for a file": lambda at: ((at / "plain").unlink(), (at / "plain").symlink_to("run")),
    "a file for a link": lambda at: ((at / "to-file").unlink(), (at / "to-file").write_text("own")),
    "a link for a folder": lambda at: ((at / "empty").rmdir(), (at / "empty").symlink_to("closed")),
    "another link": lambda at: ((at / "to-file").unlink(), (at / "to-file").symlink_to("run")),
    "a file for a pipe": lambda at: ((at / "pipe").unlink(), (at / "pipe").write_text("x")),
    "longer": lambda at: (at / "plain").write_text("plain and longer"),
    "shorter": lambda at: (at / "plain").write_text("p"),
    "empty now": lambda at: (at / "plain").write_text(""),
    "not empty any more": lambda at: (at / "nothing").write_text("something"),
    "another mode": lambda at: (at / "plain").chmod(0o751),
    "another time": lambda at: os.utime(at / "plain", ns=(5, 5_000_000_005)),
    "a folder opened": lambda at: (at / "closed").chmod(0o750),
    "written in a closed folder": lambda at: (at / "closed" / "within").write_text("y"),
    "a read-only file": lambda at: ((at / "read-only").chmod(0o600), (at / "read-only").write_text("changed")),
    "a hole filled": lambda at: written(at / "sparse", BLOCK, b"data"),
    "a hole made": lambda at: ((at / "sparse").unlink(), os.truncate(made(at / "sparse"), 6 * BLOCK)),
    "twins parted": lambda at: ((at / "twin").unlink(), (at / "twin").write_text("twins")),
    "one twin gone": lambda at: (at / "twin").unlink(),
    "twins of another": lambda at: (
        (at / "twin").unlink(), (at / "plain").unlink(), (at / "plain").write_text("fresh!"),
        os.link(at / "plain", at / "twin"), os.link(at / "closed-twin", at / "zwilling"),
    ),
    "twins of two others": lambda at: (
        (at / "twin").unlink(), (at / "twin").write_text("other"),
        os.link(at / "twin", at / "zweiter"), os.link(at / "closed-twin", at / "zwilling"),
    ),
    "moved": lambda at: (at / "plain").rename(at / "elsewhere"),
    "replaced": lambda at: ((at / "new").write_text("PLAIN"), (at / "new").rename(at / "plain")),
}  # fmt: skip


def written(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def made(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("final", [False, True])
def test_changes(copies: Copies, change: str, final: bool) -> None:
    furnish(copies.source)
    copies.copy()
    CHANGES[change](copies.source)
    copies.copy(final=final)
    copies.same()


def test_only_the_blocks_that_differ(copies: Copies) -> None:
    (copies.source / "big").write_bytes(os.urandom(8 * BLOCK))
    assert copies.copy().sent_bytes == 8 * BLOCK
    written(copies.source / "big", 3 * BLOCK + 5, b"changed")
    assert copies.copy().sent_bytes == BLOCK
    copies.same()


# what shows and what does not
def sneak(path: Path, text: bytes) -> None:
    """Writes so that neither size nor time of change of the content tells."""
    status = path.stat()
    written(path, 0, text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("rest_s", [0, 0.12])
def test_a_write_that_hides(copies: Copies, side: str, rest_s: float) -> None:
    """Also right after a copy, within one tick of the clock; at either side."""
    file = copies.source / "file"
    file.write_bytes(b"first")
    time.sleep(rest_s)
    for number in range(8):
        copies.copy()
        time.sleep(rest_s / 8)
        sneak(getattr(copies, side) / "file", b"%05d" % number)
    copies.copy(final=True)
    copies.same()


def test_a_write_through_memory(copies: Copies) -> None:
    """A page that was written before the copy is written again after it, without any call."""
    file = copies.source / "file"
    file.write_bytes(b"\0" * 8192)
    with open(file, "r+b") as handle, mmap.mmap(handle.fileno(), 8192) as memory:
        memory[0] = 1
        time.sleep(0.12)
        copies.copy()
        time.sleep(0.12)
        copies.copy()
        memory[1] = 2
        copies.copy(final=True)
        assert (copies.target / "file").read_bytes()[:2] == b"\1\2"


@pytest.mark.parametrize("names", [1, 2])
def test_what_was_compared_is_not_read_again(copies: Copies, names: int) -> None:
    (copies.source / "file").write_bytes(b"x" * 5000)
    if names == 2:
        os.link(copies.source / "file", copies.source / "twin")
    time.sleep(0.12)
    copies.copy()
    time.sleep(0.12)
    second = copies.copy()
    if not second.timed:
        pytest.skip("this file system keeps no times that prove anything")
    last = copies.copy(final=True)
    assert (last.compared_bytes, last.untouched_bytes) == (0, 5000)


@pytest.mark.parametrize("memory", ["", "{", "[]", "null", '{"file": 1}', '{"file": [[1],[2]]}'])
def test_a_memory_that_lies(copies: Copies, memory: str) -> None:
    (copies.source / "file").write_bytes(b"one")
    copies.copy()
    copies.memory.write_text(memory)
    sneak(copies.source / "file", b"two")
    copies.copy(final=True)
    copies.same()


def test_the_memory_of_another_file_system(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where change times prove nothing, nothing is remembered and everything is read."""
    monkeypatch.setattr(local_copy, "TIMED", ())
    (copies.source / "file").write_bytes(b"one")
    time.sleep(0.12)
    copies.copy()
    copies.copy()
    assert json.loads(copies.memory.read_text()) == {}
    assert copies.copy(final=True).compared_bytes == 3


# what goes wrong
def test_a_source_that_is_written_to(copies: Copies) -> None:
    """While it runs that is as it should be; in the last copy it is not."""
    (copies.source / "a").write_bytes(b"x" * 3 * BLOCK)
    size = 3 * BLOCK

    def grows() -> None:
        nonlocal size
        with open(copies.source / "a", "ab") as file:
            file.write(b"more")
        size += 4

    copies.copy(check=grows)
    with pytest.raises(DifferentError, match="a was written to"):
        copies.copy(final=True, check=grows)
    copies.copy(final=True)
    copies.same()


def test_a_file_that_comes_and_goes(copies: Copies) -> None:
    for name in ("a", "b", "c"):
        (copies.source / name).write_bytes(b"x")

    def goes() -> None:
        (copies.source / "b").unlink(missing_ok=True)

    copies.copy(check=goes)
    copies.copy()
    copies.same()


def test_a_lapsed_claim_stops_it(copies: Copies) -> None:
    (copies.source / "big").write_bytes(os.urandom(6 * BLOCK))
    turns = 0

    def lapses() -> None:
        nonlocal turns
        turns += 1
        if turns == 4:
            raise Stale("the lease has run out")

    with pytest.raises(Stale):
        copies.copy(check=lapses)
    assert (copies.target / "big").stat().st_size < 6 * BLOCK
    copies.copy(final=True)
    copies.same()


def test_a_device_cannot_travel(copies: Copies) -> None:
    try:
        os.mknod(copies.source / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(OSError, match="a device"):
        copies.copy()


@pytest.mark.real
def test_no_room(tmp_path: Path) -> None:
    """A gateway that is full says so; with more room the same copy goes through."""
    small = tmp_path / "small"
    small.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small]).returncode:
        pytest.skip("a small file system has to be mounted: run as root")
    try:
        (tmp_path / "large").mkdir()
        source = Local(Access("large", "local", str(tmp_path / "large"), images=tmp_path))
        target = Local(Access("small", "local", str(small), images=tmp_path))
        disk, claim = Disk("data", 2**23, "/data"), Unbounded(1)
        instance = Instance("box", "test", "box", "container", "box", disks=(disk,))
        source.hold(instance, claim)
        source.make_disk(instance, disk, claim)
        (tmp_path / "large" / "instances" / "box" / "disks" / "data" / "file").write_bytes(os.urandom(2**22))
        target.hold(instance, claim)
        with pytest.raises(Full, match="cannot copy disk data of box at small: no space left"):
            target.copy_disk(instance, disk, source, claim)
        assert [finding.level for finding in target.doctor() if finding.check == "space"] == ["warning"]
        subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
        assert target.copy_disk(instance, disk, source, claim, final=True).proof
    finally:
        subprocess.run(["umount", small], check=True)


# anything at all
def change_at_random(folder: Path, chance: random.Random) -> None:
    """One change of the kind that programs make."""
    every = [each for each in folder.rglob("*") if not each.is_symlink()]
    files = [each for each in every if each.is_file()]
    folders = [folder, *(each for each in every if each.is_dir())]
    new = chance.choice(folders) / f"n{chance.randrange(12)}"
    match chance.randrange(9):
        case 0 | 1 if not os.path.lexists(new):
            new.write_bytes(chance.randbytes(chance.choice([0, 1, 100, BLOCK, BLOCK + 1])))
        case 2 if not os.path.lexists(new):
            new.mkdir(chance.choice([0o700, 0o755, 0o711]))
        case 3 if not os.path.lexists(new):
            new.symlink_to(f"n{chance.randrange(12)}")
        case 4 if files and not os.path.lexists(new):
            os.link(chance.choice(files), new)
        case 5 if files:
            file = chance.choice(files)
            written(file, chance.randrange(file.stat().st_size + 1), chance.randbytes(3))
        case 6 if files:
            os.truncate(chance.choice(files), chance.choice([0, 10, 2 * BLOCK]))
        case 7 if files:
            chance.choice(files).unlink()
        case 8 if len(folders) > 1 and chance.random() < 0.3:
            shutil.rmtree(chance.choice(folders[1:]))
        case _ if files:
            chance.choice(files).chmod(chance.choice([0o600, 0o644, 0o400]))


def test_anything_at_all(copies: Copies, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--fuzz-seed")
    chance = random.Random(seed)  # noqa: S311 - to choose, not to hide
    for turn in range(request.config.getoption("--fuzz-rounds") or 60):
        for _ in range(chance.randrange(6)):
            with suppress(PermissionError):  # a file that may only be read; root may write it
                change_at_random(copies.source, chance)
        if chance.random() < 0.3:
            with suppress(PermissionError):
                change_at_random(copies.target, chance)  # somebody meddles
        copies.copy(final=chance.random() < 0.5)
        assert described(copies.target) == described(copies.source), f"seed {seed}, turn {turn}"
