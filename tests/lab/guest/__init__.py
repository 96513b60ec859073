"""The image of the lab's servers: Debian's cloud kernel and an initramfs with busybox and the counter."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.hypervisors import guest as kernels
from tests.hypervisors.processes import run

HERE = Path(__file__).parent
BUSYBOX = Path("/bin/busybox")
SOURCES = ("counter.c", "init", "udhcpc.sh")


def build(folder: Path) -> Path:
    """Makes `vmlinuz` and `initrd` in the folder, unless they are there and made of the same."""
    kernel = kernels.debian_kernel(folder)
    made_of = hashlib.sha256(str(kernel).encode())
    for file in (*(HERE / name for name in SOURCES), Path(__file__), BUSYBOX):
        made_of.update(file.read_bytes())
    stamp = folder / "made-of"
    if not stamp.exists() or stamp.read_text() != made_of.hexdigest():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
        (folder / "initrd").write_bytes(gzip.compress(_initramfs(kernel), compresslevel=1, mtime=0))
        stamp.write_text(made_of.hexdigest())
    return folder


def _initramfs(kernel: Path) -> bytes:
    modules = next((kernel / "lib" / "modules").iterdir()) / "kernel"
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for name in ("bin", "dev", "proc", "sys", "etc", "modules"):
            (root / name).mkdir()
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        there = [modules / f"{module}.ko" for module in kernels.MODULES if (modules / f"{module}.ko").exists()]
        for number, module in enumerate(there):
            shutil.copy(module, root / "modules" / f"{number:02}-{module.name}")
        run(["gcc", "-O1", "-static", "-s", "-o", root / "bin" / "counter", HERE / "counter.c"])
        for name, place in (("init", root / "init"), ("udhcpc.sh", root / "etc" / "udhcpc.sh")):
            shutil.copy(HERE / name, place)
            place.chmod(0o755)
        names = sorted(path.relative_to(root) for path in root.rglob("*"))
        archive = ["cpio", "--quiet", "--reproducible", "-o", "-H", "newc", "-R", "0:0"]
        listed = "\n".join(map(str, names)).encode()
        return subprocess.run(archive, cwd=root, input=listed, capture_output=True, check=True).stdout
