"""Images of `local` gateways: a file or a folder, brought into the gateway's folder once, by checksum."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from threading import get_native_id

from meghdwar.driver.local.files import copy_file, remove_tree, replace_file, sync_folder
from meghdwar.driver.local.folder import NAME

START = "start"  # what a folder runs when the descriptor gives no command


class ImageError(Exception):
    """The image cannot be had; the message says why and what to do."""


def check(image: str, images: Path | None, folder: Path) -> str:
    """Where the image is: "brought", or "at hand" when it will be brought; ImageError when it is nowhere."""
    if not NAME.fullmatch(image):
        raise ImageError(f"{image!r} is not the name of a file or folder: use letters, digits and . _ -")
    if images is not None and (images / image).exists():
        return "at hand"
    if (folder / "names" / image).is_file():
        return "brought"
    where = f"is not in {images}" if images is not None else "is not there, and no folder of images was given"
    raise ImageError(f"image {image} {where}: put the file or folder there")


def bring(image: str, images: Path | None, folder: Path) -> str:
    """The image is in the gateway's folder; returns the name of its folder there, which is its checksum.

    An image that has changed at its origin is brought anew; who was made from the old one keeps the old one.
    """
    (folder / "names").mkdir(exist_ok=True)
    if check(image, images, folder) == "brought" or images is None:
        return (folder / "names" / image).read_text()
    origin = images / image
    digest = checksum(origin)
    if not (folder / digest).is_dir():
        new = folder / f".new-{os.getpid()}-{get_native_id()}-{digest}"
        remove_tree(new)
        new.mkdir()
        _copy(origin, new)
        if checksum(new if origin.is_dir() else new / image) != digest:
            remove_tree(new)
            raise ImageError(f"image {image} was changed while it was copied: try again")
        try:
            new.rename(folder / digest)
        except OSError:  # somebody else brought it meanwhile
            if not (folder / digest).is_dir():
                raise
            remove_tree(new)
        sync_folder(folder)
    replace_file(folder / "names" / image, digest.encode())
    return digest


def command(folder: Path, image: str) -> list[str]:
    """What an image runs by itself: the file, or `start` in the folder."""
    for each in (folder / image, folder / START):
        if each.is_file():
            return [os.fspath(each)]
    raise ImageError(f"image {image} has no file {START!r} and the cloudlet no command: give it one of them")


def checksum(path: Path) -> str:
    """SHA-256 over names, kinds and contents; what may be executed counts, times and owners do not."""
    total = sha256()
    for name, each in _walk(path):
        if each.is_symlink():
            what = f"link {os.readlink(each)}"
        elif each.is_dir():
            what = "folder"
        else:
            with open(each, "rb") as file:
                content = file_digest(file, "sha256").hexdigest()
            what = f"file {content} {_runs(each)}"
        total.update(f"{name}\0{what}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _walk(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield path.name, path
        return
    for each in sorted(path.rglob("*")):
        if "__pycache__" not in each.parts:
            yield os.fspath(each.relative_to(path)), each


def _runs(path: Path) -> bool:
    """Whether it is to be executed: it says so, or it is a script, whose mark packaging may have lost."""
    with open(path, "rb") as file:
        return os.access(path, os.X_OK) or file.read(2) == b"#!"


def _copy(origin: Path, new: Path) -> None:
    for name, each in _walk(origin):
        target = new / name
        if each.is_symlink():
            target.symlink_to(os.readlink(each))
        elif each.is_dir():
            target.mkdir()
        else:
            copy_file(each, target, 0o755 if _runs(each) else 0o644)
