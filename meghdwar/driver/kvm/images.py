"""Brings an image to a gateway once, by its checksum: a disk (IMAGE.qcow2), or a folder with a kernel.

A folder holds `vmlinuz`, and if need be `initrd` or `initrd.gz`, `cmdline` and `root.qcow2`. A disk is only read there:
each instance writes to an overlay of its own above it, and that is all of it that travels.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meghdwar.driver.hypervisor import HypervisorError, Unverified
from meghdwar.driver.kvm.pool import WINDOW, Pool

FILES: Mapping[str, tuple[str, ...]] = {
    "vmlinuz": ("vmlinuz", "kernel", "bzImage"),
    "initrd": ("initrd.gz", "initrd.img", "initrd"),
    "base.qcow2": ("root.qcow2", "disk.qcow2"),
}
QCOW2 = b"QFI\xfb"
_digests: dict[tuple[str, int, int, int], str] = {}
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is on this machine. `files` are by kind, with their checksums."""

    name: str
    files: Mapping[str, tuple[Path, str]]
    command_line: str = ""

    @property
    def content(self) -> str:
        """The names of its volumes, in one line: the same image at every gateway says the same."""
        return " ".join(self.volumes.values())

    @property
    def volumes(self) -> dict[str, str]:
        return {kind: f"{digest}.{kind}" for kind, (_path, digest) in self.files.items()}

    @property
    def has_disk(self) -> bool:
        return "base.qcow2" in self.files


def find(gateway: str, folder: Path | None, name: str) -> Image:
    """The image of this name. Raises HypervisorError when it is not there or is none."""
    asked = f"use the image {name}"
    if folder is None:
        raise HypervisorError(gateway, asked, "no folder of images was given; say where they are")
    if "/" in name or name in ("", ".", ".."):
        raise HypervisorError(gateway, asked, "that is no name of an image")
    disk, parts = folder / f"{name}.qcow2", folder / name
    try:
        if disk.is_file():
            return Image(name, {"base.qcow2": (disk, _checked(gateway, asked, disk))})
        if not parts.is_dir():
            raise HypervisorError(gateway, asked, f"there is neither {disk} nor the folder {parts}; put it there")
        files = {}
        for kind, names in FILES.items():
            there = next((parts / each for each in names if (parts / each).is_file()), None)
            if there:
                files[kind] = (there, _checked(gateway, asked, there))
        if "vmlinuz" not in files:
            raise HypervisorError(gateway, asked, f"there is no vmlinuz in {parts}; put the kernel there")
        extra = parts / "cmdline"
        return Image(name, files, extra.read_text().strip() if extra.is_file() else "console=ttyS0 quiet panic=1")
    except OSError as error:
        raise HypervisorError(gateway, asked, f"{error.filename}: {error.strerror}") from None


def bring(pool: Pool, image: Image) -> None:
    """Every file of it is in the pool, whole. One that was cut off on its way is sent again."""
    names = set(pool.names())
    for kind, volume in image.volumes.items():
        if volume in names and f"{volume}.whole" in names:
            continue
        with _one_at_a_time:
            path, digest = image.files[kind]
            pool.delete([volume])
            pool.make(volume, path.stat().st_size)
            _send(pool, volume, path)
            _verify(pool, volume, digest)
            if kind == "base.qcow2":
                pool.refresh()  # libvirt took it for raw as long as it was empty
            pool.make(f"{volume}.whole")


def _send(pool: Pool, volume: str, path: Path) -> None:
    offset = 0
    with open(path, "rb") as file:
        while content := file.read(WINDOW):
            pool.write(volume, offset, content)
            offset += len(content)


def _verify(pool: Pool, volume: str, digest: str) -> None:
    whole, offset = hashlib.sha256(), 0
    while content := pool.read(volume, offset, WINDOW).content:
        whole.update(content)
        offset += len(content)
        if len(content) < WINDOW:
            break
    if whole.hexdigest() != digest:
        why = "what arrived is not what was sent"
        raise Unverified(pool.connection.access.gateway, f"bring {volume}", why)


def _checked(gateway: str, asked: str, path: Path) -> str:
    """The checksum of a file, which is read once for as long as neither its size nor its times change."""
    there = path.stat()
    key = (str(path), there.st_size, there.st_mtime_ns, there.st_ctime_ns)
    if key not in _digests:
        with open(path, "rb") as file:
            if path.suffix == ".qcow2" and file.read(4) != QCOW2:
                raise HypervisorError(gateway, asked, f"{path} is no qcow2; qemu-img convert -O qcow2 makes it one")
            file.seek(0)
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]
