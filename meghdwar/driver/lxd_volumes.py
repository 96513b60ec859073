"""State at an LXD: custom volumes, their snapshots, and copies of them from gateway to gateway.

A refresh sends what lies between two snapshots and then what was written after the second, and only where their names
sort upward: a new snapshot is made before each copy, with a number of fixed width, and old ones are removed on both
sides when there is time. (LXD starts a few processes for each snapshot that there is.) Before the last copy it is made
ahead, while the source still writes. What a copy that was cut off leaves behind, a volume in LXD's database
that is not on storage, is removed and copied anew.

Pools of folders are refused: there a refresh compares sizes and times, and lost writes of the same size without a
word. btrfs sends a stream whose every command has a checksum, applies it only to the very parent that it was made
from, and the copy counts as received only after its end: that is what the transport proves.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from meghdwar.driver.hypervisor import Claim, Copied, HypervisorError, Refused, Unreachable, Unverified
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.lxd_api import STALLED_S, Api, Data, Missing
from meghdwar.driver.lxd_record import KEY, held

TRUSTED = ("btrfs", "zfs")  # pools whose refresh is a stream of what has changed, with checksums
SNAPSHOT = re.compile(r"mdw-\d{10}-\d{6}")
WHOLE = f"{KEY}whole"  # "true", or somebody died while it was made or copied
AS_OF = f"{KEY}as-of"  # from when a copy is, in seconds since 1970
SLOW_BYTES_PER_S = 1_000_000  # slower than that a copy counts as stalled


@dataclass(frozen=True, slots=True)
class Known:
    """A volume as it was left by this driver in this epoch: the last copy has no time to look again, and what is not
    so any more is noticed after it. `fresh` are the bytes that the next copy sends."""

    epoch: int
    config: Mapping[str, str]
    snapshots: Sequence[str]
    fresh: int = 0


class Volumes:
    """The volumes of one gateway, in one pool."""

    def __init__(self, api: Api, pool: str) -> None:
        self.api, self.pool = api, pool
        self._driver = ""
        self._known: dict[str, Known] = {}

    @property
    def base(self) -> str:
        return f"storage-pools/{self.pool}/volumes/custom"

    def path(self, disk: Disk) -> str:
        return f"{self.base}/{disk.name}"

    # looking
    def answers(self, asked: str) -> None:
        """Raises Unreachable when it does not."""
        self.api.get(f"storage-pools/{self.pool}", asked)

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

    def whole_ones(self, instance: Instance, asked: str) -> dict[str, float | None]:
        """The instance's disks that are there as a whole, or were kept when a copy was cut off, and from when those
        are that were copied here."""
        configs = {disk.name: (self._config(disk, asked), self._config(_kept(disk), asked)) for disk in instance.disks}
        whole = {
            name: next((each for each in both if each and _is_whole(each) and _owner(each) == instance.name), None)
            for name, both in configs.items()
        }
        return {name: _as_of(config) for name, config in whole.items() if config is not None}

    def whole(self, disk: Disk, asked: str) -> bool:
        """Whether nobody died over making or copying the volume itself."""
        return _is_whole(self._config(disk, asked) or {})

    def every(self, asked: str) -> dict[str, dict[str, float | None]]:
        """Instance -> its disks, as `whole_ones` says of each."""
        owned: dict[str, dict[str, float | None]] = {}
        # what is kept counts only where there is nothing better
        for volume in sorted(self._owned(asked), key=lambda each: f"{KEY}keeps" not in each["config"]):
            config = volume["config"]
            if _is_whole(config):
                owned.setdefault(_owner(config), {})[config.get(f"{KEY}keeps", volume["name"])] = _as_of(config)
        return owned

    def _owned(self, asked: str) -> list[Data]:
        """Meghdwar's volumes. LXD lists their snapshots, too, and those have a slash in their names."""
        volumes = self.api.get(self.base, asked, recursion=1)
        return [each for each in volumes if f"{KEY}instance" in each["config"] and "/" not in each["name"]]

    def _config(self, disk: Disk, asked: str) -> dict[str, str] | None:
        volume = self.api.find(self.path(disk), asked)
        return None if volume is None else dict(volume["config"])

    # making and removing
    def make(self, instance: Instance, disk: Disk, asked: str) -> None:
        self.trust(asked)
        config = self._config(disk, asked)
        if self._is_ours(instance, disk, config, asked):
            if _is_whole(config or {}):
                return
            self._drop(disk, asked)
        body = {"name": disk.name, "content_type": "filesystem", "config": _config(instance, disk)}
        self.api.change("post", self.base, body, asked)
        self._mark(disk, asked, whole=True)

    def remove(self, instance: Instance, asked: str) -> None:
        """All of an instance, whole or not, with their snapshots."""
        for volume in self._owned(asked):
            if volume["config"][f"{KEY}instance"] == instance.name:
                self._known.pop(volume["name"], None)
                self.api.change("delete", f"{self.base}/{volume['name']}", None, asked)

    def _is_ours(self, instance: Instance, disk: Disk, config: Mapping[str, str] | None, asked: str) -> bool:
        """Whether it is there for this instance. Raises Refused when it is somebody else's."""
        if config is not None and config.get(f"{KEY}instance") != instance.name:
            owner = config.get(f"{KEY}instance") or "somebody else"
            why = f"there is a volume {disk.name} already, of {owner}; nothing is overwritten"
            raise Refused(self.api.access.gateway, asked, why)
        return config is not None

    def _mark(self, disk: Disk, asked: str, *, whole: bool, more: Mapping[str, str] | None = None) -> None:
        config = {WHOLE: str(whole).lower(), **(more or {})}
        self.api.change("patch", self.path(disk), {"config": config}, asked)

    def _drop(self, disk: Disk, asked: str) -> None:
        self._known.pop(disk.name, None)
        self.api.change("delete", self.path(disk), None, asked)

    # copying
    def copy(self, instance: Instance, disk: Disk, source: Volumes, claim: Claim, asked: str, *, final: bool) -> Copied:
        """The volume becomes what the source's is; an unbroken chain of snapshots makes it short."""
        self.trust(asked)
        source.trust(asked)
        begun = {AS_OF: f"{time.time():.3f}"}
        ours, theirs = self._left(disk, claim), source._left(disk, claim)
        if not (final and ours and theirs):
            ours, theirs = self._look(disk, source, claim, asked)
        there = self._is_ours(instance, disk, ours.config if ours else None, asked)
        if theirs is None or not _is_whole(theirs.config):
            why = f"there is no volume {disk.name} at {source.api.access.gateway} to copy"
            raise HypervisorError(self.api.access.gateway, asked, why)
        shared = ours is not None and bool(ours.snapshots) and ours.snapshots[-1] in theirs.snapshots
        newer = [name for name in theirs.snapshots if ours is None or not shared or name > ours.snapshots[-1]]
        sent = theirs.fresh
        if final and shared and newer:
            snapshot = newer[-1]  # made ahead
        else:  # of moves that are over, or of copies that were cut off: they would be sent, too
            for name in newer:
                source._forget(disk, name, asked)
            if newer:  # what they had is counted as the volume's again only some time after they are gone
                sent = source._content_bytes(instance, disk, asked)
            snapshot = source._take_snapshot(disk, theirs.snapshots, claim, asked)
        claim.check()
        if there and not shared:
            self._drop(disk, asked)
        sending = _Sending(self, source, disk, _config(instance, disk) | _shift(theirs.config), asked)
        try:
            if ours is not None and shared and _is_whole(ours.config):
                self._mark(disk, asked, whole=False)  # LXD deletes the old volume before the new one has its name
            sending.send(refresh=shared)
        except HypervisorError as error:
            if error.retry or not shared:
                raise
            source.answers(asked)  # who has just died is no reason to give up what we have
            claim.check()  # what there was could not be gone on from
            self._drop(disk, asked)
            sending.send(refresh=False)
        if snapshot not in (self._snapshots(disk, asked) or ()):
            why = f"it says that the copy is done, and lacks its snapshot {snapshot}"
            raise Unverified(self.api.access.gateway, asked, why)
        self._mark(disk, asked, whole=True, more=begun)  # not before it is proved
        if not final:
            held(self.api, instance, claim, asked)  # what follows is done here, and the copy may have taken long
            self._prune(disk, snapshot, asked)
            source._prune(disk, snapshot, asked)
            self._keep(instance, disk, theirs.config, begun, asked)
            self._mark(disk, asked, whole=False)  # the next copy has no time for it, and what is kept is whole
            self._known[disk.name] = Known(claim.epoch, _config(instance, disk), (snapshot,))
        return Copied(sent, f"{self._driver} {snapshot}")

    def _left(self, disk: Disk, claim: Claim) -> Known | None:
        """What is known of it without looking; that is good for one time."""
        known = self._known.pop(disk.name, None)
        return known if known and known.epoch == claim.epoch else None

    def _look(self, disk: Disk, source: Volumes, claim: Claim, asked: str) -> tuple[Known | None, Known | None]:
        """The volume here and at the source; None where there is none."""
        config, ours, settings, theirs, fresh = self.api.together(
            lambda: self._config(disk, asked),
            lambda: self._snapshots(disk, asked),
            lambda: source._config(disk, asked),
            lambda: source._snapshots(disk, asked),
            lambda: source._fresh_bytes(disk, asked),
        )
        return (
            None if config is None else Known(claim.epoch, config, ours or ()),
            None if settings is None else Known(claim.epoch, settings, theirs or (), fresh),
        )

    def go_ahead(self, disk: Disk, claim: Claim, asked: str) -> None:
        """Makes a snapshot that the last copy need not make, when time is short: what is written from now on goes
        after it. A volume that was never copied has nothing that it could follow."""
        config, names, fresh = self.api.together(
            lambda: self._config(disk, asked),
            lambda: self._snapshots(disk, asked),
            lambda: self._fresh_bytes(disk, asked),
        )
        if config and names:
            claim.check()
            snapshot = self._take_snapshot(disk, names, claim, asked)
            self._known[disk.name] = Known(claim.epoch, config, (*names, snapshot), fresh)

    # the last copy, kept: LXD removes the volume that it refreshes when the source dies meanwhile
    def _keep(
        self, instance: Instance, disk: Disk, settings: Mapping[str, str], begun: dict[str, str], asked: str
    ) -> None:
        kept = _kept(disk)
        self.discard_kept(instance, disk, asked)
        config = _config(instance, disk) | _shift(settings) | begun | {f"{KEY}keeps": disk.name}
        origin = {"type": "copy", "pool": self.pool, "name": disk.name, "volume_only": True}
        self.api.change("post", self.base, {"name": kept.name, "config": config, "source": origin}, asked)
        self._mark(kept, asked, whole=True)

    def discard_kept(self, instance: Instance, disk: Disk, asked: str) -> None:
        config = self._config(_kept(disk), asked)
        if self._is_ours(instance, _kept(disk), config, asked):
            self._drop(_kept(disk), asked)

    def restore(self, instance: Instance, disk: Disk, asked: str) -> None:
        """What is no whole volume becomes what was kept of it. Raises Refused when nothing was."""
        kept = self._config(_kept(disk), asked)
        if kept is None or not _is_whole(kept) or not self._is_ours(instance, _kept(disk), kept, asked):
            why = f"there is no whole copy of {disk.name} there"
            raise Refused(self.api.access.gateway, asked, why)
        if self._is_ours(instance, disk, self._config(disk, asked), asked):
            self._drop(disk, asked)
        self.api.change("post", self.path(_kept(disk)), {"name": disk.name, "pool": self.pool}, asked)

    # snapshots
    def _snapshots(self, disk: Disk, asked: str) -> list[str] | None:
        """The names of ours, oldest first; None when there is no such volume."""
        paths: list[str] | None = self.api.find(f"{self.path(disk)}/snapshots", asked)
        if paths is None:
            return None
        names = (path.rpartition("/")[2] for path in paths)
        return sorted(name for name in names if SNAPSHOT.fullmatch(name))

    def _take_snapshot(self, disk: Disk, before: Sequence[str], claim: Claim, asked: str) -> str:
        """Makes one whose name comes after those."""
        snapshot = _name_after(before, claim.epoch)
        claim.check()
        self.api.change("post", f"{self.path(disk)}/snapshots", {"name": snapshot}, asked)
        return snapshot

    def _prune(self, disk: Disk, newest: str, asked: str) -> None:
        for name in self._snapshots(disk, asked) or ():
            if name < newest:
                self._forget(disk, name, asked)

    def _forget(self, disk: Disk, snapshot: str, asked: str) -> None:
        try:
            self.api.change("delete", f"{self.path(disk)}/snapshots/{snapshot}", None, asked)
        except Missing:
            return

    def _content_bytes(self, instance: Instance, disk: Disk, asked: str) -> int:
        """The bytes that its files take; of one that cannot be asked, as much as may be in it."""
        try:
            said = self.api.read(instance.name, ["du", "-sk", disk.location], asked)
            return int(said.split()[0]) * 1024
        except (HypervisorError, ValueError, IndexError):
            return disk.size_bytes

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


def _name_after(snapshots: Sequence[str], epoch: int) -> str:
    """A name that is sorted after all of these, which are sorted, whichever epochs made them."""
    numbers = [[int(number) for number in name.split("-")[1:]] for name in snapshots]
    epochs, counts = [each[0] for each in numbers], [each[1] for each in numbers]
    return f"mdw-{max([epoch, *epochs]):010}-{max([0, *counts]) + 1:06}"


def _is_whole(config: Mapping[str, str]) -> bool:
    return config.get(WHOLE) == "true"


def _owner(config: Mapping[str, str]) -> str:
    return config.get(f"{KEY}instance", "")


def _as_of(config: Mapping[str, str]) -> float | None:
    return float(config[AS_OF]) if AS_OF in config else None


def _kept(disk: Disk) -> Disk:
    return replace(disk, name=f"{disk.name}-kept")


def _shift(settings: Mapping[str, str]) -> dict[str, str]:
    """How the ids of its files are shifted on storage: they travel as they lie there."""
    return {key: value for key, value in settings.items() if key.startswith("volatile.idmap.")}


def _no_way(error: HypervisorError) -> bool:
    """Whether the target could not get to the source: what Go says when it cannot dial."""
    said = error.why.lower()
    return any(word in said for word in ("connection refused", "no route to host", "i/o timeout", "dial tcp"))
