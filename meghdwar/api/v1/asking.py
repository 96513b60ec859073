"""An operation that is asked for is written down and left to the workers; asked for again, it is the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify

from meghdwar.api.auth import caller
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import shown, work
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.driver.operation import Busy, Changed, DriverError, JournalError, Operation


def ask(asked: Asked, made: Callable[[], Operation], same: Mapping[str, object]) -> Response:
    """Leaves the operation that `made` prepares to the workers. With an Idempotency-Key the operation has the id that
    follows from it, so that one that is there already is the answer, if it is the `same`."""
    id_ = _id(asked.given.get("Idempotency-Key"))
    there = _found(id_)
    if there is None:
        try:
            there = _leave(replace(made(), id=id_), asked.given.get("If-Match"))
        except (DriverError, Taken) as error:  # what the state of things does not allow now
            raise Problem(409, str(error)) from None
        except (Busy, JournalError):
            there = _found(id_)  # the very same request may have come twice in a moment
            if there is None:
                raise
    for name, value in same.items():
        if getattr(there, name) != value:
            raise Problem(422, "cannot do it: another request came with this Idempotency-Key; use another one")
    return coming(there)


def reason(body: Mapping[str, Any]) -> str:
    return str(body.get("reason") or f"asked for by {caller().user}")


def coming(operation: Operation) -> Response:
    """The answer for what is going to be done."""
    work.works().nudge()
    response = jsonify(shown.operation(operation, backend().driver.journal.entries(operation.id)))
    response.status_code = HTTPStatus.ACCEPTED
    room = "moves" if operation.kind == "move" else "operations"
    response.headers["Location"] = f"/v1/{room}/{operation.id}"
    return response


def _leave(operation: Operation, if_match: str | None) -> Operation:
    expected = None if if_match in (None, "*") else int(str(if_match).strip('"'))
    try:
        return backend().driver.leave(operation, expected=expected)
    except Changed as error:
        raise Problem(412, str(error)) from None


def _id(key: str | None) -> str:
    """The same for the same key of one project; "" without one."""
    if key is None:
        return ""
    digest = sha256("\0".join((caller().project, key)).encode()).hexdigest()
    return f"k-{digest[:24]}"


def _found(id_: str) -> Operation | None:
    if not id_:
        return None
    try:
        return backend().driver.journal.operation(id_)
    except Unknown:
        return None
