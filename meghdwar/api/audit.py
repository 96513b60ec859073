"""Who did what: a line of JSON for each request that changes something, or that was refused, as it is answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

from flask import Response, g, request

from meghdwar.api.auth import Caller
from meghdwar.api.problems import request_id
from meghdwar.driver.operation import DriverError

HARMLESS = ("GET", "HEAD", "OPTIONS")
REFUSED = (401, 403)
PATH_MAX = 500


def audit(path: Path | None) -> Callable[[Response], Response]:
    """What notes each answer, in the file (append only, read by nobody else) or else in the log."""
    log = logging.getLogger("meghdwar.audit")
    log.setLevel(logging.INFO)
    if path is not None:
        _write_to(log, path)

    def note(response: Response) -> Response:
        if request.method not in HARMLESS or response.status_code in REFUSED:
            log.info("%s", json.dumps(_line(response)))
        return response

    return note


def _line(response: Response) -> dict[str, object]:
    caller: Caller | None = g.get("caller")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "user": caller.user if caller else None,
        "project": caller.project if caller else None,
        "from": request.remote_addr,
        "method": request.method,
        "path": request.path[:PATH_MAX],
        "status": response.status_code,
        "request_id": request_id(),
    }


def _write_to(log: logging.Logger, path: Path) -> None:
    """A file that is rotated by others is opened again."""
    for old in [each for each in log.handlers if isinstance(each, WatchedFileHandler)]:
        log.removeHandler(old)
        old.close()
    try:
        path.touch(mode=0o600)
        handler = WatchedFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise DriverError(f"cannot write the audit log {path}: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False
