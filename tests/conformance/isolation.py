"""Runs one piece of work in a process of its own, so that a crash or a hang of one input is a verdict, not the end."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MEMORY_MAX = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Outcome:
    """`answer` is what the work returned; without one, `trouble` says whether it crashed or took too long."""

    answer: Any = None
    trouble: str = ""
    detail: str = ""


def apart(work: Callable[[], Any], limit_s: float = 10.0) -> Outcome:
    """What `work` returns, as JSON data, from a child that is killed when the time is over."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer)
    os.close(writer)
    data, late = _read(reader, time.monotonic() + limit_s)
    os.close(reader)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if late:
        return Outcome(trouble="timed out", detail=f"no answer after {limit_s:g} s")
    if not data:
        return Outcome(trouble="crashed", detail=f"the process ended with {os.waitstatus_to_exitcode(status)}")
    answer = json.loads(data)
    if "trouble" in answer:
        return Outcome(trouble="crashed", detail=answer["trouble"])
    return Outcome(answer["answer"])


def _work(work: Callable[[], Any], writer: int) -> None:
    """The child's whole life."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        result = {"answer": work()}
    except BaseException as error:  # whatever it is, the parent has to hear of it
        result = {"trouble": "".join(traceback.format_exception(error)[-3:])}
    try:
        with os.fdopen(writer, "w") as out:
            json.dump(result, out)
    finally:
        os._exit(0)


def _read(reader: int, until: float) -> tuple[bytes, bool]:
    parts = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return b"", True
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts), False
        parts.append(part)
