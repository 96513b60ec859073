"""The image of the counter for virtual machines: Debian's cloud kernel, and an initramfs with busybox and the counter.

An image is a folder with `vmlinuz` and `initrd.gz`; nothing in it is made twice while what it is made of stays.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.hypervisors.processes import run

HERE = Path(__file__).parent
BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "mount", "insmod", "ip", "sed", "cat", "echo", "poweroff", "[", "sleep", "ls", "dmesg")
# those that the kernel has built in are not there, and not needed
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)


def build(folder: Path, cache: Path) -> Path:
    """Makes the image in `folder`, with the kernel's package kept in `cache`. Raises RuntimeError when it cannot."""
    kernel = debian_kernel(cache)
    stamp = hashlib.sha256(str(kernel).encode())
    for file in (HERE / "counter.c", HERE / "init", Path(__file__), BUSYBOX):
        stamp.update(file.read_bytes())
    if not (folder / "made-of").exists() or (folder / "made-of").read_text() != stamp.hexdigest():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
        (folder / "initrd.gz").write_bytes(gzip.compress(_initramfs(kernel), compresslevel=1, mtime=0))
        (folder / "made-of").write_text(stamp.hexdigest())
    return folder


def debian_kernel(cache: Path) -> Path:
    """The unpacked package of the kernel that linux-image-cloud-amd64 stands for."""
    unpacked = cache / "kernel"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not any((unpacked / "boot").glob("vmlinuz-*")):
            _download_kernel(unpacked)
    return unpacked


def _download_kernel(unpacked: Path) -> None:
    depends = run(["apt-cache", "depends", "linux-image-cloud-amd64"])
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    if not package:
        raise RuntimeError("cannot find a kernel for the guest: apt-get update, then try again")
    with tempfile.TemporaryDirectory() as made:
        got = subprocess.run(["apt-get", "download", "-q", package[1]], cwd=made, capture_output=True, text=True)
        if got.returncode:
            raise RuntimeError(f"cannot download {package[1]}: {got.stderr.strip()}")
        run(["dpkg-deb", "-x", next(Path(made).glob("*.deb")), Path(made) / "unpacked"])
        shutil.rmtree(unpacked, ignore_errors=True)
        shutil.move(Path(made) / "unpacked", unpacked)


def _initramfs(kernel: Path) -> bytes:
    modules = next((kernel / "lib" / "modules").iterdir()) / "kernel"
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for name in ("bin", "sbin", "dev", "proc", "sys", "modules"):
            (root / name).mkdir()
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        there = [modules / f"{module}.ko" for module in MODULES if (modules / f"{module}.ko").exists()]
        for number, module in enumerate(there):
            shutil.copy(module, root / "modules" / f"{number:02}-{module.name}")
        run(["gcc", "-O1", "-static", "-s", "-o", root / "sbin" / "counter", HERE / "counter.c"])
        for program in ("/sbin/mke2fs",):
            for file in (Path(program), *_libraries(program)):
                (root / file.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.resolve(), root / file.relative_to("/"))
        shutil.copy(HERE / "init", root / "init")
        (root / "init").chmod(0o755)
        names = sorted(path.relative_to(root) for path in root.rglob("*"))
        archive = ["cpio", "--quiet", "--reproducible", "-o", "-H", "newc", "-R", "0:0"]
        listed = "\n".join(map(str, names)).encode()
        return subprocess.run(archive, cwd=root, input=listed, capture_output=True, check=True).stdout


def _libraries(program: str) -> Iterator[Path]:
    for line in run(["ldd", program]).splitlines():
        found = re.search(r"(/\S+) \(0x", line)
        if found:
            yield Path(found[1])
