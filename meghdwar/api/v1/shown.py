"""How the API shows what the driver knows: one function for each schema of the document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from meghdwar.driver.account import account, left, recovered, why
from meghdwar.driver.follow import Noted
from meghdwar.driver.inventory import ApplicationRecord, GatewayRecord, InstanceRecord, Task
from meghdwar.driver.operation import COMPENSATED, WAITING, Entry, Operation

DOING = {
    "build": "building",
    "move": "moving",
    "terminate": "terminating",
    "stop": "stopping",
    "start": "starting",
    "heal": "healing",
}


def application(record: ApplicationRecord, task: Task | None, homes: Sequence[str | None]) -> dict[str, Any]:
    """`task` is what is still to be done with it; `homes` are where its cloudlets are, those too that it
    should have and that are nowhere."""
    status = "up" if all(home is not None for home in homes) else "degraded"
    if task is not None:
        status = "building" if task.act == "up" else "terminating"
    return {
        "id": record.name,
        "name": record.title or record.name,
        "project": record.project,
        "status": status,
        "error": task.error if task else "",
        "stack": record.stack,
        "digest": record.digest,
        "inputs": _inputs(record.parameters),
        "cloudlets": sum(home is not None for home in homes),
    }


@lru_cache(1024)
def _inputs(parameters: str) -> Any:
    """Read once; nobody changes what is only shown."""
    return json.loads(parameters)


def cloudlet(record: InstanceRecord, operation: Operation | None) -> dict[str, Any]:
    """`operation` is the one of it that is not ended."""
    instance = record.instance
    status = "nowhere" if record.gateway is None else "stopped" if record.stopped else "up"
    if operation is not None:
        status = "waiting" if operation.status == WAITING else DOING[operation.kind]
    return {
        "id": record.name,
        "application": instance.application,
        "cloudlet": instance.cloudlet,
        "subscriber": instance.subscriber,
        "gateway": record.gateway,
        "status": status,
        "operation": None if operation is None else operation.id,
        "kind": instance.kind,
        "image": instance.image,
        "address": instance.address,
        "ports": list(instance.ports),
        "epoch": record.epoch,
    }


def operation(found: Operation, entries: Sequence[Entry], *, steps: bool = False) -> dict[str, Any]:
    took, fenced = account(entries), found.fenced
    shown: dict[str, Any] = {
        "id": found.id,
        "kind": found.kind,
        "application": found.application,
        "cloudlet": found.instance,
        "source": found.source,
        "target": found.target,
        "strategy": found.strategy,
        "reason": found.reason,
        "status": found.status,
        "error": found.error or (why(entries) if found.status == COMPENSATED else ""),
        "left": left(entries),
        "recovered": recovered(found, entries),
        "gap_s": None if took.gap_s is None else round(took.gap_s, 6),
        "sent_bytes": took.sent_bytes,
        "took_s": round(took.seconds, 6),
        "fenced": None if fenced is None else f"by {fenced.by} at {time(fenced.at)}: {fenced.because}",
        "created_at": time(found.created_at),
        "ended_at": None if found.ended_at is None else time(found.ended_at),
    }
    if steps:
        shown["steps"] = [
            {"step": each.step, "outcome": each.phase, "took_s": each.seconds, "tries": each.tries}
            for each in took.steps
        ]
    return shown


def gateway(record: GatewayRecord, cloudlets: int | None = None) -> dict[str, Any]:
    """With the number of its cloudlets, all that is known of it; else what everybody may know."""
    access = record.access
    shown: dict[str, Any] = {"name": access.gateway, "hypervisor": access.hypervisor}
    if cloudlets is not None:
        shown |= {
            "cloudlets": cloudlets,
            "endpoint": access.endpoint,
            "certificate": access.certificate,
            "address": access.address,
            "options": dict(access.options),
            "timeout_s": access.timeout_s,
            "added_at": time(record.added_at),
        }
    return shown


def noted(found: Noted) -> dict[str, Any]:
    wish = found.wished.wish if found.wished else None
    return {
        "application": found.application,
        "cloudlet": found.instance,
        "gateway": found.home,
        "dropped": found.dropped or None,
        "note": found.note or None,
        "wanted": None if wish is None else wish.gateway,
        "reason": None if wish is None else wish.reason,
    }


def entry(found: Entry) -> dict[str, Any]:
    return {"step": found.step, "phase": found.phase, "detail": dict(found.detail), "at": time(found.at)}


def time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
