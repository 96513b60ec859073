"""The state of a `local` instance where it lies: disks that appear at their location and go, and files below its root.

What does not fit is a StateError; the caller says at which gateway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from meghdwar.driver.hypervisor import Version
from meghdwar.driver.instance import Disk, Files
from meghdwar.driver.local import process
from meghdwar.driver.local.files import replace_file, sync_folder
from meghdwar.driver.local.folder import Place

DOUBTED = "doubted"  # what is said of a disk that is not whole


class StateError(Exception):
    """It cannot be so; the message says why and what to do. `retry`: asking again, unchanged, can help."""

    def __init__(self, why: str, *, retry: bool = False) -> None:
        self.retry = retry
        super().__init__(why)


# disks
def disks(place: Place) -> tuple[str, ...]:
    """Those that are whole."""
    there = sorted(each.name for each in place.disks.iterdir()) if place.disks.is_dir() else ()
    return tuple(name for name in there if _copied(place, name) != DOUBTED)


def as_of(place: Place) -> dict[str, float]:
    """From when those are that were copied here, and proved."""
    told = {name: _copied(place, name) for name in disks(place)}
    return {name: float(at) for name, at in told.items() if at}


def doubt(place: Place, name: str) -> None:
    """From now on the disk is no whole one, until it was proved; said before anything is copied."""
    if _copied(place, name) != DOUBTED:
        replace_file(place.copied(name), DOUBTED.encode())


def prove(place: Place, name: str, at: float) -> None:
    replace_file(place.copied(name), f"{at:.3f}".encode())


def _copied(place: Place, name: str) -> str:
    """When what is here was so at the source, DOUBTED, or "" for a disk that was made here."""
    try:
        return place.copied(name).read_text()
    except FileNotFoundError:
        return ""


def make(place: Place, disk: Disk) -> None:
    _note_location(place, disk)
    if not place.disk(disk.name).is_dir():
        place.disks.mkdir(exist_ok=True)
        place.disk(disk.name).mkdir(mode=0o755)
        sync_folder(place.disks)
        sync_folder(place.folder)


def _note_location(place: Place, disk: Disk) -> None:
    """Where the disk is to be seen, so that whether it is can be told without its descriptor. Written when the disk is
    made and not when it is attached: then a subscriber waits."""
    where, location = place.locations / disk.name, os.fspath(below(place, disk.location)).encode()
    if not where.exists() or where.read_bytes() != location:
        place.locations.mkdir(exist_ok=True)
        replace_file(where, location)


def attached(place: Place) -> tuple[str, ...]:
    """The disks that are really seen at their location."""
    found = []
    with suppress(FileNotFoundError):
        for each in sorted(place.locations.iterdir()):
            with suppress(OSError):
                if os.readlink(each.read_text()) == os.fspath(place.disk(each.name)):
                    found.append(each.name)
    return tuple(found)


def attach(place: Place, disk: Disk) -> None:
    """The disk appears at its location in one moment, or not at all."""
    location = below(place, disk.location)
    location.parent.mkdir(parents=True, exist_ok=True)
    if location.is_dir() and not location.is_symlink():
        with suppress(OSError):
            location.rmdir()  # made in vain, while it waited
    if os.path.lexists(location) and not location.is_symlink():
        raise StateError(f"something else is at {disk.location}: move {location} away")
    new = place.folder / f".attaching-{disk.name}"
    new.unlink(missing_ok=True)
    new.symlink_to(place.disk(disk.name))
    _note_location(place, disk)
    new.rename(location)
    sync_folder(location.parent)


def detach(place: Place, disk: Disk) -> None:
    """It is seen no more, and nobody who runs has anything of it open."""
    if disk.name in attached(place):
        location = Path((place.locations / disk.name).read_text())
        location.unlink()
        sync_folder(location.parent)
    if process.lives(place) and (users := process.writers(place.disk(disk.name))):
        numbers = ", ".join(map(str, users))
        raise StateError(
            f"processes {numbers} have files of it open: pause it, or let them close what they hold", retry=True
        )


# files
def read(place: Place, files: Files) -> dict[str, bytes]:
    """Path -> content, of those that are there."""
    contents: dict[str, bytes] = {}
    for path in files.paths:
        with suppress(FileNotFoundError), open(below(place, path, follow=True), "rb") as file:
            contents[path] = file.read() if files.size_max_bytes is None else file.read(files.size_max_bytes + 1)
        fits(files, contents)
    return contents


def may_follow(there: Version | None, version: Version) -> None:
    """Compare and set: only what was made from what is there, and is newer."""
    if there is not None and (version.parent != there.digest or version.number <= there.number):
        raise StateError(
            f"version {there.number} ({there.digest[:12]}) is there, and version {version.number} was made from "
            f"{version.parent[:12] or 'nothing'}"
        )


def put(place: Place, files: Files, contents: Mapping[str, bytes], check: Callable[[], None]) -> None:
    """Each file is replaced whole, and goes when it has no content; `check` is called before each."""
    if strange := sorted(contents.keys() - set(files.paths)):
        raise StateError(f"{strange[0]} is not one of its paths")
    fits(files, contents)
    for path in files.paths:
        check()
        _put(below(place, path), contents.get(path))


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        if os.path.lexists(path):
            path.unlink()
            sync_folder(path.parent)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, path.stat().st_mode & 0o777 if path.is_file() else 0o644)


def fits(files: Files, contents: Mapping[str, bytes]) -> None:
    limit = files.size_max_bytes
    if limit is not None and sum(map(len, contents.values())) > limit:
        raise StateError(f"they are more than size_max, {limit} bytes: raise it or shrink them")


def below(place: Place, path: str, *, follow: bool = False) -> Path:
    """A path of the instance's own world; StateError when it leads out of it. `follow`: where a link at it leads."""
    found = Path(os.path.normpath(f"{place.root}/{path}"))
    leads = found.resolve() if follow else found.parent.resolve() / found.name
    inside = any(leads.parent.is_relative_to(world.resolve()) for world in (place.root, place.disks))
    if not inside or not found.parent.is_relative_to(place.root):
        raise StateError(f"{path} leads out of its root {place.root}")
    return found
