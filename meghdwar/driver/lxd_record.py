"""What a gateway remembers of an instance: a profile of its own that nothing uses, changed by compare-and-set.

It is there before the instance is made, and it is cheap to read and write: the instance itself need not be touched
to raise the epoch. LXD compares the tag just before it writes, so an older epoch is refused before an act, not in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meghdwar.driver.hypervisor import Claim, Stale, Version
from meghdwar.driver.instance import Instance
from meghdwar.driver.lxd_api import Api, Changed

PREFIX = "meghdwar-"
KEY = "user.meghdwar."
SAYS = "What Meghdwar remembers of an instance: not to be used by any"


@dataclass(frozen=True, slots=True)
class Record:
    """`quiet` says that its processes may be stopped and its state read-only: then they have to be looked at."""

    name: str
    application: str
    epoch: int
    writer: bool = False
    quiet: bool = False
    versions: Mapping[str, Version] = field(default_factory=dict)
    tag: str = ""


def read(api: Api, name: str, asked: str) -> Record | None:
    found = api.tagged(f"profiles/{PREFIX}{name}", asked)
    return None if found is None else _record(name, found[0]["config"], found[1])


def every(api: Api, asked: str) -> list[Record]:
    """All that is remembered there, by name."""
    profiles = api.get("profiles", asked, recursion=1)
    ours = (profile for profile in profiles if f"{KEY}epoch" in profile["config"])
    return [_record(profile["name"].removeprefix(PREFIX), profile["config"], "") for profile in ours]


def hold(api: Api, instance: Instance, claim: Claim, writer: bool | None, asked: str) -> bool:
    """From now on only this epoch, and whether it is new here. Raises Stale when a newer one was here."""
    while True:
        old = read(api, instance.name, asked)
        if old is not None and old.epoch > claim.epoch:
            raise Stale(f"epoch {old.epoch} holds {instance.name} at {api.access.gateway}, and this is {claim.epoch}")
        claim.check()
        may_write = (old.writer if old else False) if writer is None else writer
        # who loses the right to write is about to be paused: saying so now saves a change when time is short
        quiet = old is not None and (old.quiet or (old.writer and not may_write))
        try:
            if old is None:
                new = Record(instance.name, instance.application, claim.epoch, may_write)
                body = {"name": PREFIX + instance.name, "description": SAYS, "config": _config(new), "devices": {}}
                api.change("post", "profiles", body, asked)
            elif (old.epoch, old.writer, old.quiet) != (claim.epoch, may_write, quiet):
                write(api, replace(old, epoch=claim.epoch, writer=may_write, quiet=quiet), asked)
        except Changed:
            continue  # somebody else has just written: look again at what
        return old is None or old.epoch < claim.epoch


def held(api: Api, instance: Instance, claim: Claim, asked: str) -> Record:
    """What is remembered, for whoever holds it. Raises Stale for another epoch, and when the lease has run out."""
    record = read(api, instance.name, asked)
    if record is None or record.epoch != claim.epoch:
        holder = "nobody holds" if record is None else f"epoch {record.epoch} holds"
        raise Stale(f"{holder} {instance.name} at {api.access.gateway}, and this is epoch {claim.epoch}")
    claim.check()
    return record


def write(api: Api, record: Record, asked: str) -> None:
    """Replaces what is remembered, if it is still what `record` was read from; raises Changed otherwise."""
    body = {"description": SAYS, "config": _config(record), "devices": {}}
    api.change("put", f"profiles/{PREFIX}{record.name}", body, asked, tag=record.tag)


def forget(api: Api, name: str, asked: str) -> None:
    if api.find(f"profiles/{PREFIX}{name}", asked) is not None:
        api.change("delete", f"profiles/{PREFIX}{name}", None, asked)


def _config(record: Record) -> dict[str, str]:
    config = {
        "application": record.application,
        "epoch": str(record.epoch),
        "writer": str(record.writer).lower(),
        "quiet": str(record.quiet).lower(),
    }
    config |= {
        f"files.{name}": json.dumps([version.number, version.digest, version.parent])
        for name, version in record.versions.items()
    }
    return {KEY + key: value for key, value in config.items()}


def _record(name: str, config: Mapping[str, str], tag: str) -> Record:
    ours = {key.removeprefix(KEY): value for key, value in config.items() if key.startswith(KEY)}
    return Record(
        name=name,
        application=ours.get("application", ""),
        epoch=int(ours.get("epoch", "0")),
        writer=ours.get("writer") == "true",
        quiet=ours.get("quiet") == "true",
        versions={
            key.removeprefix("files."): Version(*json.loads(value))
            for key, value in ours.items()
            if key.startswith("files.")
        },
        tag=tag,
    )
