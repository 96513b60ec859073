"""What an operation does, as server-sent events: read from the journal, whichever server works it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Any

from flask import Response

from meghdwar.api.problems import Problem
from meghdwar.api.v1 import shown
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import ENDED, WAITING, Operation

STREAMS_MAX = 8  # in one process: each takes a thread of it
STREAM_S = 600.0  # then it ends, and whoever listens comes again with the last id
LOOK_S = 0.2
ALIVE_S = 10.0  # at least so often something is sent
_free = BoundedSemaphore(STREAMS_MAX)


def stream(driver: Driver, operation: Operation, after: int) -> Response:
    """Raises Problem 503 when too many are listening."""
    if not _free.acquire(blocking=False):
        raise Problem(503, "cannot stream: too many are listening here; try again", headers={"Retry-After": "5"})
    response = Response(_events(driver, operation.id, after), mimetype="text/event-stream")
    response.headers.update({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    response.call_on_close(_free.release)
    return response


def _events(driver: Driver, operation_id: str, after: int) -> Iterator[str]:
    sent, told, end = after, "", time.monotonic() + STREAM_S
    alive = time.monotonic() + ALIVE_S
    yield ": the journal of this operation\n\n"
    while time.monotonic() < end:
        operation = driver.journal.operation(operation_id)  # before its entries: when it has ended they are all there
        entries = driver.journal.entries(operation_id)
        for number, entry in enumerate(entries[sent:], sent + 1):
            yield _event("step", shown.entry(entry), number)
        sent = max(sent, len(entries))
        if operation.status in ENDED:
            yield _event("ended", shown.operation(operation, entries, steps=True))
            return
        if operation.status == WAITING and operation.error != told:
            yield _event("waiting", shown.operation(operation, entries))
        told = operation.error if operation.status == WAITING else told
        if time.monotonic() > alive:
            yield ": still at it\n\n"
            alive = time.monotonic() + ALIVE_S
        time.sleep(LOOK_S)


def _event(kind: str, data: dict[str, Any], number: int | None = None) -> str:
    head = f"event: {kind}\n" if number is None else f"id: {number}\nevent: {kind}\n"
    return f"{head}data: {json.dumps(data, default=str)}\n\n"
