"""State files in a container: read and replaced whole through LXD, running, paused or stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meghdwar.driver.hypervisor import HypervisorError, Refused
from meghdwar.driver.instance import Files, Instance
from meghdwar.driver.lxd_api import Api, Missing

NEW = ".meghdwar-new"  # the end of the name that a file has until it is whole
SNAPSHOT = "meghdwar-flush"

# $1 file, made durable and then moved over $2
_REPLACE = 'sync "$1" && mv -f "$1" "$2" && sync "$2"'


def read(api: Api, instance: Instance, files: Files, asked: str) -> dict[str, bytes]:
    """Path -> content of those that are there. Raises Refused for more than size_max_bytes."""
    contents: dict[str, bytes] = {}
    left = files.size_max_bytes
    for path in files.paths:
        try:
            content, kind = api.raw(_files(instance), asked, left, path=path)
        except Missing:
            continue
        if kind not in ("file", ""):
            why = f"{path} is a {kind}, and state files are files"
            raise Refused(api.access.gateway, asked, why)
        if left is not None:
            left -= len(content)
        contents[path] = content
        if left is not None and left < 0:
            raise _too_much(api, files, asked)
    return contents


def check(api: Api, files: Files, contents: Mapping[str, bytes], asked: str) -> None:
    """Raises Refused for what may not be put there."""
    strange = sorted(set(contents) - set(files.paths))
    if strange:
        why = f"{', '.join(strange)} does not belong to {files.name}"
        raise Refused(api.access.gateway, asked, why)
    if files.size_max_bytes is not None and sum(map(len, contents.values())) > files.size_max_bytes:
        raise _too_much(api, files, asked)


def write(
    api: Api, instance: Instance, files: Files, contents: Mapping[str, bytes], asked: str, *, running: bool
) -> None:
    """Each file becomes what `contents` says; those that it does not name go. Durable when this returns."""
    for path in files.paths:
        if path in contents:
            _put(api, instance, path, contents[path], asked, running=running)
        else:
            _remove(api, instance, path, asked)
    if not running:
        _flush(api, instance, asked)


def _put(api: Api, instance: Instance, path: str, content: bytes, asked: str, *, running: bool) -> None:
    """While it runs, a reader sees the old file or the new one; while it is stopped, there is no reader."""
    for folder in _above(path):
        headers = {"X-LXD-type": "directory", "X-LXD-mode": "0755"}
        if api.find(_files(instance), asked, path=folder) is None:
            api.send(_files(instance), b"", headers, asked, path=folder)
    place = path + NEW if running else path
    headers = {"X-LXD-type": "file", "X-LXD-mode": "0644", "Content-Type": "application/octet-stream"}
    api.send(_files(instance), content, headers, asked, path=place)
    if running:
        status = api.run(instance.name, ["/bin/sh", "-c", _REPLACE, "replace", place, path], asked)
        if status:
            why = f"{path} cannot be replaced inside (status {status})"
            raise HypervisorError(api.access.gateway, asked, why)


def _remove(api: Api, instance: Instance, path: str, asked: str) -> None:
    try:
        api.remove(_files(instance), asked, path=path)
    except Missing:
        return


def _flush(api: Api, instance: Instance, asked: str) -> None:
    """What LXD writes into a stopped container gets to the disk some time; making a snapshot waits for it."""
    snapshots = f"instances/{instance.name}/snapshots"
    if api.find(f"{snapshots}/{SNAPSHOT}", asked) is not None:  # of somebody who died here
        api.change("delete", f"{snapshots}/{SNAPSHOT}", None, asked)
    api.change("post", snapshots, {"name": SNAPSHOT, "stateful": False}, asked)
    api.change("delete", f"{snapshots}/{SNAPSHOT}", None, asked)


def _above(path: str) -> Iterable[str]:
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _files(instance: Instance) -> str:
    return f"instances/{instance.name}/files"


def _too_much(api: Api, files: Files, asked: str) -> Refused:
    why = f"{files.name} is more than its size_max_bytes, {files.size_max_bytes}"
    return Refused(api.access.gateway, asked, why)
