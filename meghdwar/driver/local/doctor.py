"""Looks at a `local` gateway for whatever a move will need: the folder, what is remembered in it, room, images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from meghdwar.driver.hypervisor import Finding, HypervisorError
from meghdwar.driver.local import image
from meghdwar.driver.local.folder import Folder

LITTLE_BYTES = 256 * 2**20


def findings(
    folder: Folder, images: Path | None, wanted: Sequence[str], inventory: Callable[[], object]
) -> Iterator[Finding]:
    """Changes nothing and never raises."""
    try:
        folder.check("look at the gateway")
        yield Finding("reachable", "good", f"{folder.path} is a folder, and Meghdwar's or free")
    except HypervisorError as error:
        yield Finding("reachable", "bad", error.why, "make the folder, empty, or give another endpoint")
        return
    if not os.access(folder.path, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("writable", "bad", f"{folder.path} cannot be written to", "let the driver's user write there")
    yield _space(folder.path)
    yield _remembered(inventory)
    if not Path("/proc/self/stat").exists():
        yield Finding("processes", "bad", "/proc is not there", "mount it: processes are found by it")
    for name in wanted:
        try:
            where = image.check(name, images, folder.path / "images")
            yield Finding("image", "good", f"{name} is {where}")
        except (image.ImageError, OSError) as error:
            yield Finding("image", "bad", str(error), "put it into the folder of images")


def _space(path: Path) -> Finding:
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Finding("space", "bad", str(error), "see to the file system that the folder is on")
    if free < LITTLE_BYTES:
        return Finding("space", "warning", f"only {free / 10**9:.1f} GB are free", "make room before moving anything")
    return Finding("space", "good", f"{free / 10**9:.1f} GB are free")


def _remembered(inventory: Callable[[], object]) -> Finding:
    try:
        inventory()
    except HypervisorError as error:
        return Finding("instances", "bad", str(error), "see to the file that it names")
    return Finding("instances", "good", "what is remembered of them can be read")
