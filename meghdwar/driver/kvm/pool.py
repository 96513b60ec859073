"""What a gateway keeps, as volumes of one libvirt storage pool: images, overlays, state, and what it remembers.

Everything goes through libvirt, never by a path of this machine, so that a gateway may be anywhere. Names say it all:

    INSTANCE.DISK.raw                 a disk of its state
    INSTANCE.DISK.qcow2               an overlay
    INSTANCE.DISK.copying             it is being copied here, or its copying was cut off: it is not whole
    INSTANCE.DISK.copied.AT           it was copied here, and is as it was at AT (milliseconds since 1970)
    INSTANCE.saved                    its memory, on the way between gateways
    INSTANCE.held.EPOCH.N.W.APP       who may change it (EPOCH), and whether this copy may write (W: w or r)
    CHECKSUM.KIND                     a file of an image, with CHECKSUM.KIND.whole beside it when it is whole

What is remembered is a name, because making a volume is the one thing that libvirt does whole or not at all, and
refuses when it is there: the highest of the names counts, so nobody can put an older epoch over a newer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from meghdwar.driver.hypervisor import HypervisorError, Refused
from meghdwar.driver.kvm.connection import SPARSE, STOP_AT_HOLE, Connection, existing, found
from meghdwar.driver.kvm.domain import render

T = TypeVar("T")
PIECE = 256 * 1024 - 32  # libvirt sends no more at once
WINDOW = 64 * 2**20
_HELD = re.compile(
    r"(?P<name>[^.]+)\.held\.(?P<epoch>\d{20})\.(?P<serial>\d{6})\.(?P<writer>[wr])\.(?P<application>.*)"
)
_DISK = re.compile(r"(?P<name>[^.]+)\.(?P<disk>[^.]+)\.(?P<format>raw|qcow2)")
_COPY = re.compile(r"(?P<name>[^.]+)\.(?P<disk>[^.]+)\.(?:copying|copied\.(?P<at>\d+))")
_IMAGE = re.compile(r"[0-9a-f]{64}\..*")  # of no instance, though what a VM boots from has the name of a disk


@dataclass(frozen=True, order=True, slots=True)
class Held:
    """What a gateway remembers of an instance; the highest one counts."""

    epoch: int = 0
    serial: int = 0
    writer: bool = False
    application: str = ""

    def volume(self, name: str) -> str:
        application = quote(self.application, safe="")
        return f"{name}.held.{self.epoch:020}.{self.serial:06}.{'w' if self.writer else 'r'}.{application}"


@dataclass(frozen=True, slots=True)
class Kept:
    """The volumes of one instance. `held` are all that are remembered, the one that counts last; `disks` are whole,
    `doubted` are not, and `as_of` says from when those are that were copied here."""

    held: tuple[Held, ...] = ()
    disks: tuple[str, ...] = ()
    saved: bool = False
    doubted: tuple[str, ...] = ()
    as_of: tuple[tuple[str, float], ...] = ()

    @property
    def now(self) -> Held:
        return self.held[-1] if self.held else Held()


@dataclass(slots=True)
class Window:
    """A part of a volume: what is in it, and where it is more than holes. Shorter than asked for at the end."""

    content: bytearray
    extents: list[tuple[int, int]]


class Pool:
    """The pool of one gateway, made when it is first needed."""

    def __init__(self, connection: Connection) -> None:
        options = connection.access.options
        self.connection, self.name = connection, options.get("pool", "meghdwar")
        self._wanted_path = options.get("pool_path", f"/var/lib/libvirt/{self.name}")
        self._path = ""

    # what is there
    def names(self) -> list[str]:
        def work(c: Any) -> list[str]:
            pool = self._active(c)
            return [] if pool is None else list(pool.listVolumes())

        return self.connection.call(f"list the volumes of {self.name}", work)

    def kept(self, name: str) -> Kept:
        return sorted_out(self.names()).get(name, Kept())

    def path(self, volume: str = "") -> str:
        """Where the gateway has a volume, or the pool itself."""
        if not self._path:
            self._path = self.connection.call(f"look at {self.name}", lambda c: _path_of(self._made(c)))
        return f"{self._path}/{volume}" if volume else self._path

    def free_bytes(self) -> int | None:
        def work(c: Any) -> int | None:
            pool = self._active(c)
            return None if pool is None else int(pool.info()[3])

        return self.connection.call(f"look at {self.name}", work)

    def kind(self) -> str:
        """dir, fs, logical ...: what libvirt calls its type."""

        def work(c: Any) -> str:
            return ElementTree.fromstring(self._made(c).XMLDesc(0)).get("type", "")  # noqa: S314 - libvirt's own

        return self.connection.call(f"look at {self.name}", work)

    def capacity(self, volume: str) -> int | None:
        def work(c: Any) -> int | None:
            there = self._volume(c, volume)
            return None if there is None else int(there.info()[1])

        return self.connection.call(f"look at {volume}", work)

    def made_at(self, volume: str) -> float | None:
        """When it was written last, by the gateway's clock, in seconds since 1970."""

        def work(c: Any) -> float | None:
            there = self._volume(c, volume)
            found = (
                None
                if there is None
                else ElementTree.fromstring(there.XMLDesc(0)).findtext(  # noqa: S314
                    "target/timestamps/mtime"
                )
            )
            return None if not found else float(found)

        return self.connection.call(f"look at {volume}", work)

    # making and removing
    def make(self, volume: str, size_bytes: int = 512, *, kind: str = "raw", backing: str | None = None) -> bool:
        """An empty volume; whether it was made now. `backing` is another volume of the pool, by name."""
        xml = render("volume", name=volume, size=size_bytes, format=kind, backing=backing)

        def work(c: Any) -> bool:
            pool = self._made(c)
            if found(lambda: pool.storageVolLookupByName(volume)) is not None:
                return False
            return not existing(lambda: pool.createXML(xml, 0))

        return self._patiently(f"make {volume}", work)

    def delete(self, volumes: Iterable[str]) -> None:
        names = list(volumes)

        def work(c: Any) -> None:
            for name in names:
                there = self._volume(c, name)
                if there is not None:
                    found(partial(there.delete, 0))

        if names:
            self._patiently(f"delete {', '.join(names)}", work)

    def refresh(self) -> None:
        """Sees what came into the pool past libvirt."""
        self._patiently(f"refresh {self.name}", lambda c: self._made(c).refresh(0))

    # content
    def read(self, volume: str, offset: int, length: int, *, progress: list[int] | None = None) -> Window:
        moved = progress if progress is not None else [0]

        def work(c: Any) -> Window:
            there = self._volume(c, volume)
            if there is None:
                raise HypervisorError(self.connection.access.gateway, f"read {volume}", "it is not there")
            stream = c.newStream(0)
            there.download(stream, offset, length, SPARSE)
            window, at = Window(bytearray(length), []), 0
            while True:
                piece = stream.recvFlags(PIECE, STOP_AT_HOLE)
                if isinstance(piece, int):
                    at += stream.recvHole()
                elif piece:
                    window.content[at : at + len(piece)] = piece
                    window.extents.append((at, at + len(piece)))
                    at += len(piece)
                    moved[0] += len(piece)
                else:
                    break
            stream.finish()
            del window.content[at:]
            return window

        return self.connection.call(f"read {volume}", work, progress=lambda: moved[0])

    def write(self, volume: str, offset: int, content: bytes | bytearray | memoryview) -> None:
        moved = [0]

        def work(c: Any) -> None:
            there = self._volume(c, volume)
            if there is None:
                raise HypervisorError(self.connection.access.gateway, f"write {volume}", "it is not there")
            stream = c.newStream(0)
            there.upload(stream, offset, len(content), 0)
            view = memoryview(content)
            while moved[0] < len(content):
                moved[0] += stream.send(bytes(view[moved[0] : moved[0] + PIECE]))
            stream.finish()

        self.connection.call(f"write {volume}", work, progress=lambda: moved[0])

    # inside
    def _patiently(self, asked: str, work: Callable[[Any], T]) -> T:
        """Tries again while libvirt looks through the pool after somebody's upload: a volume is "in use" then."""
        end = time.monotonic() + 5
        while True:
            try:
                return self.connection.call(asked, work)
            except HypervisorError as error:
                busy = "in use" in error.why or "asynchronous jobs" in error.why or "being allocated" in error.why
                if not busy or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _active(self, c: Any) -> Any:
        pool = found(lambda: c.storagePoolLookupByName(self.name))
        if pool is not None and not pool.isActive():
            pool.create(0)
        return pool

    def _made(self, c: Any) -> Any:
        pool = self._active(c)
        if pool is None:
            pool = c.storagePoolDefineXML(render("pool", name=self.name, path=self._wanted_path), 0)
            pool.setAutostart(True)
            pool.build(0)
            pool.create(0)
        return pool

    def _volume(self, c: Any, name: str) -> Any:
        pool = self._active(c)
        return None if pool is None else found(lambda: pool.storageVolLookupByName(name))


def sorted_out(volumes: Iterable[str]) -> dict[str, Kept]:
    """The volumes of a pool by instance."""
    held: dict[str, list[Held]] = {}
    disks: dict[str, set[str]] = {}
    doubted: dict[str, set[str]] = {}
    as_of: dict[str, dict[str, float]] = {}
    saved = set()
    for volume in volumes:
        if _IMAGE.fullmatch(volume):
            continue
        if match := _HELD.fullmatch(volume):
            epoch, serial = int(match["epoch"]), int(match["serial"])
            one = Held(epoch, serial, match["writer"] == "w", unquote(match["application"]))
            held.setdefault(match["name"], []).append(one)
        elif match := _DISK.fullmatch(volume):
            disks.setdefault(match["name"], set()).add(match["disk"])
        elif match := _COPY.fullmatch(volume):
            if match["at"] is None:
                doubted.setdefault(match["name"], set()).add(match["disk"])
            else:
                as_of.setdefault(match["name"], {})[match["disk"]] = int(match["at"]) / 1000
        elif volume.endswith(".saved"):
            saved.add(volume.removesuffix(".saved"))
    found = {}
    for name in held.keys() | disks.keys() | doubted.keys() | as_of.keys() | saved:
        not_whole = doubted.get(name, set())
        whole = disks.get(name, set()) - not_whole
        times = tuple(sorted((disk, at) for disk, at in as_of.get(name, {}).items() if disk in whole))
        count = tuple(sorted(held.get(name, ())))
        found[name] = Kept(count, tuple(sorted(whole)), name in saved, tuple(sorted(not_whole)), times)
    return found


def check_length(gateway: str, volume: str) -> None:
    if len(volume) > 250:
        raise Refused(gateway, f"keep {volume[:40]}...", "the names of application and instance are too long together")


def _path_of(pool: Any) -> str:
    return ElementTree.fromstring(pool.XMLDesc(0)).findtext("target/path") or ""  # noqa: S314 - libvirt's own
