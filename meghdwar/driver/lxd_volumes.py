"""State at an LXD: custom volumes, their snapshots, and copies of them from gateway to gateway.

A refresh sends what lies between two snapshots, and only where their names sort upward: a new snapshot is made before
each copy, with a number of fixed width, and old ones are removed on both sides when there is time. (LXD starts a few
processes for each snapshot that there is.) What a copy that was cut off leaves behind, a volume in LXD's database
that is not on storage, is removed and copied anew.

Pools of folders are refused: there a refresh compares sizes and times, and lost writes of the same size without a
word. btrfs sends a stream whose every command has a checksum, applies it only to the very parent that it was made
from, and the copy counts as received only after its end: that is what the transport proves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from meghdwar.driver.hypervisor import Claim, Copied, HypervisorError, Refused, Unreachable, Unverified
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.lxd_api import STALLED_S, Api, Data, Missing
from meghdwar.driver.lxd_record import KEY

TRUSTED = ("btrfs", "zfs")  # pools whose refresh is a stream of what has changed, with checksums
SNAPSHOT = re.compile(r"mdw-\d{10}-\d{6}")
SLOW_BYTES_PER_S = 1_000_000  # slower than that a copy counts as stalled


class Volumes:
    """The volumes of one gateway, in one pool."""

    def __init__(self, api: Api, pool: str) -> None:
        self.api, self.pool = api, pool
        self._driver = ""

    @property
    def base(self) -> str:
        return f"storage-pools/{self.pool}/volumes/custom"

    def path(self, disk: Disk) -> str:
        return f"{self.base}/{disk.name}"

    # looking
    def driver(self, asked: str) -> str:
        """What the pool is made of: btrfs, zfs, dir ..."""
        if not self._driver:
            try:
                self._driver = str(self.api.get(f"storage-pools/{self.pool}", asked)["driver"])
            except Missing:
                why = f"there is no storage pool {self.pool}; there: lxc storage create {self.pool} btrfs"
                raise HypervisorError(self.api.access.gateway, asked, why) from None
        return self._driver

    def trust(self, asked: str) -> None:
        """Raises Refused where state would not be safe."""
        if self.driver(asked) not in TRUSTED:
            why = (
                f"the storage pool {self.pool} is of the kind {self._driver}, which loses writes when a volume is "
                "refreshed; name one on btrfs or zfs in the gateway's option pool"
            )
            raise Refused(self.api.access.gateway, asked, why)

    def there(self, disk: Disk, asked: str) -> bool:
        """Whether it is there as a whole: what a copy that was cut off has left is not."""
        return self._whole(disk.name, asked)

    def every(self, asked: str) -> dict[str, list[str]]:
        """Instance -> names of its disks that are there."""
        owned: dict[str, list[str]] = {}
        for volume in self._owned(asked):
            if self._whole(volume["name"], asked):
                owned.setdefault(volume["config"][f"{KEY}instance"], []).append(volume["name"])
        return owned

    def _owned(self, asked: str) -> list[Data]:
        """Meghdwar's volumes. LXD lists their snapshots, too, and those have a slash in their names."""
        volumes = self.api.get(self.base, asked, recursion=1)
        return [each for each in volumes if f"{KEY}instance" in each["config"] and "/" not in each["name"]]

    def _whole(self, name: str, asked: str) -> bool:
        try:
            return self.api.find(f"{self.base}/{name}/state", asked) is not None
        except HypervisorError as error:
            if error.retry:
                raise
            return False

    def owner(self, disk: Disk, asked: str) -> str | None:
        """The instance that it belongs to; nothing for somebody else's, None when there is none."""
        volume = self.api.find(self.path(disk), asked)
        return None if volume is None else str(volume["config"].get(f"{KEY}instance", ""))

    # making and removing
    def make(self, instance: Instance, disk: Disk, asked: str) -> None:
        self.trust(asked)
        if self._is_ours(instance, disk, asked):
            if self.there(disk, asked):
                return
            self._drop(disk, asked)
        body = {"name": disk.name, "content_type": "filesystem", "config": _config(instance, disk)}
        self.api.change("post", self.base, body, asked)

    def remove(self, instance: Instance, asked: str) -> None:
        """All of an instance, whole or not, with their snapshots."""
        for volume in self._owned(asked):
            if volume["config"][f"{KEY}instance"] == instance.name:
                self.api.change("delete", f"{self.base}/{volume['name']}", None, asked)

    def _is_ours(self, instance: Instance, disk: Disk, asked: str) -> bool:
        """Whether it is there for this instance. Raises Refused when it is somebody else's."""
        owner = self.owner(disk, asked)
        if owner not in (None, instance.name):
            why = f"there is a volume {disk.name} already, of {owner or 'somebody else'}; nothing is overwritten"
            raise Refused(self.api.access.gateway, asked, why)
        return owner is not None

    def _drop(self, disk: Disk, asked: str) -> None:
        self.api.change("delete", self.path(disk), None, asked)

    # copying
    def copy(self, instance: Instance, disk: Disk, source: Volumes, claim: Claim, asked: str, *, final: bool) -> Copied:
        """The volume becomes what the source's is; an unbroken chain of snapshots makes it short."""
        self.trust(asked)
        source.trust(asked)
        is_ours, ours, theirs, settings, fresh = self.api.together(  # each of them costs, and this may be the gap
            lambda: self._is_ours(instance, disk, asked),
            lambda: self._snapshots(disk, asked),
            lambda: source._snapshots(disk, asked),
            lambda: source.api.find(source.path(disk), asked),
            lambda: source._fresh_bytes(disk, asked),
        )
        if theirs is None or settings is None:
            why = f"there is no volume {disk.name} at {source.api.access.gateway} to copy"
            raise HypervisorError(self.api.access.gateway, asked, why)
        shared = bool(is_ours and ours and ours[-1] in theirs)
        if not shared and theirs:
            for name in theirs:  # of moves that are over: they would be sent, too
                source._forget(disk, name, asked)
            theirs, fresh = [], source._fresh_bytes(disk, asked)
        snapshot = f"mdw-{claim.epoch:010}-{_number(theirs) + 1:06}"
        source.api.change("post", f"{source.path(disk)}/snapshots", {"name": snapshot}, asked)
        claim.check()
        if not shared and is_ours:
            self._drop(disk, asked)
        config = _config(instance, disk) | _shift(settings["config"])
        sending = _Sending(self, source, disk, config, asked)
        try:
            sending.send(refresh=shared)
        except HypervisorError as error:
            if error.retry or not shared:
                raise
            claim.check()  # what there was could not be gone on from
            self._drop(disk, asked)
            sending.send(refresh=False)
            fresh = disk.size_bytes  # at most: nobody counts it
        if snapshot not in (self._snapshots(disk, asked) or ()):
            why = f"it says that the copy is done, and lacks its snapshot {snapshot}"
            raise Unverified(self.api.access.gateway, asked, why)
        if not final:
            self._prune(disk, snapshot, asked)
            source._prune(disk, snapshot, asked)
        return Copied(fresh, f"{self._driver} {snapshot}")

    # snapshots
    def _snapshots(self, disk: Disk, asked: str) -> list[str] | None:
        """The names of ours, oldest first; None when there is no such volume."""
        paths: list[str] | None = self.api.find(f"{self.path(disk)}/snapshots", asked)
        if paths is None:
            return None
        names = (path.rpartition("/")[2] for path in paths)
        return sorted(name for name in names if SNAPSHOT.fullmatch(name))

    def _prune(self, disk: Disk, newest: str, asked: str) -> None:
        for name in self._snapshots(disk, asked) or ():
            if name < newest:
                self._forget(disk, name, asked)

    def _forget(self, disk: Disk, snapshot: str, asked: str) -> None:
        try:
            self.api.change("delete", f"{self.path(disk)}/snapshots/{snapshot}", None, asked)
        except Missing:
            return

    def _fresh_bytes(self, disk: Disk, asked: str) -> int:
        """The bytes that no snapshot has: what the next copy sends."""
        state: dict[str, Any] = self.api.find(f"{self.path(disk)}/state", asked) or {}
        used = (state.get("usage") or {}).get("used", -1)
        return int(used) if used >= 0 else disk.size_bytes


class _Sending:
    """One volume on its way from `source` to `target`."""

    def __init__(self, target: Volumes, source: Volumes, disk: Disk, config: Mapping[str, str], asked: str) -> None:
        self._target, self._source, self._disk, self._config, self._asked = target, source, disk, config, asked
        self._patience_s = max(STALLED_S, disk.size_bytes / SLOW_BYTES_PER_S)

    def send(self, *, refresh: bool) -> None:
        """The target pulls from the source; where it cannot reach it, the source pushes."""
        there, here = self._target.api, self._source.api
        if here.url:
            try:
                return self._pull(refresh)
            except HypervisorError as error:
                if not _no_way(error) or not there.url:
                    raise
        if not there.url:
            why = f"neither {there.access.gateway} nor {here.access.gateway} has an https address for the other"
            raise HypervisorError(there.access.gateway, self._asked, f"{why}; there: lxc config set core.https_address")
        return self._push(refresh)

    def _pull(self, refresh: bool) -> None:
        target, source, disk = self._target, self._source, self._disk
        body = {"name": disk.name, "pool": target.pool, "migration": True}
        offer = source.api.begin(source.path(disk), body, self._asked)
        origin = {
            "type": "migration",
            "mode": "pull",
            "operation": f"{source.api.url}/1.0/operations/{offer['id']}",
            "secrets": dict(offer["metadata"]),
            "certificate": source.api.certificate,
            "refresh": refresh,
        }
        target.api.change("post", target.base, self._volume(origin), self._asked, patience_s=self._patience_s)

    def _push(self, refresh: bool) -> None:
        target, source, disk = self._target, self._source, self._disk
        origin = {"type": "migration", "mode": "push", "refresh": refresh}
        offer = target.api.begin(target.base, self._volume(origin), self._asked)
        destination = {
            "operation": f"{target.api.url}/1.0/operations/{offer['id']}",
            "secrets": dict(offer["metadata"]),
            "certificate": target.api.certificate,
        }
        body = {"name": disk.name, "pool": target.pool, "migration": True, "target": destination}
        source.api.change("post", source.path(disk), body, self._asked, patience_s=self._patience_s)
        with suppress(Unreachable):  # forgotten soon after its end: whether it is there is seen by its snapshot
            target.api.wait(offer["id"], self._asked, self._patience_s)

    def _volume(self, origin: Mapping[str, object]) -> dict[str, object]:
        return {"name": self._disk.name, "config": self._config, "source": origin}


def _config(instance: Instance, disk: Disk) -> dict[str, str]:
    ours = {"instance": instance.name, "application": instance.application}
    return {"size": str(disk.size_bytes)} | {KEY + key: value for key, value in ours.items()}


def _number(snapshots: list[str]) -> int:
    return max((int(name.rpartition("-")[2]) for name in snapshots), default=0)


def _shift(settings: Mapping[str, str]) -> dict[str, str]:
    """How the ids of its files are shifted on storage: they travel as they lie there."""
    return {key: value for key, value in settings.items() if key.startswith("volatile.idmap.")}


def _no_way(error: HypervisorError) -> bool:
    """Whether the target could not get to the source: what Go says when it cannot dial."""
    said = error.why.lower()
    return any(word in said for word in ("connection refused", "no route to host", "i/o timeout", "dial tcp"))
