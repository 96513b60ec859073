"""What goes wrong is told as application/problem+json (RFC 9457), with the id of the request that is in the log too."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from secrets import token_hex

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from meghdwar.bundle import BundleError
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.hypervisor import HypervisorError, Stale
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.driver.operation import Busy, DriverError, JournalError
from meghdwar.onboard.store import NoRoom, TooLarge

LOG = logging.getLogger(__name__)
TYPE = "application/problem+json"
REQUEST_ID = "X-Openstack-Request-Id"

# what the rooms below raise -> the status; the first that fits
STATUSES: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (Unknown, HTTPStatus.NOT_FOUND),
    (NoRoom, HTTPStatus.INSUFFICIENT_STORAGE),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Taken, HTTPStatus.CONFLICT),
    (Busy, HTTPStatus.CONFLICT),
    (Stale, HTTPStatus.CONFLICT),
    (JournalError, HTTPStatus.SERVICE_UNAVAILABLE),
    (HypervisorError, HTTPStatus.BAD_GATEWAY),
    (CloudError, HTTPStatus.BAD_GATEWAY),
    (BundleError, HTTPStatus.BAD_REQUEST),
    (DriverError, HTTPStatus.BAD_REQUEST),
)


class Problem(Exception):
    """A request that is refused: the status, and in one sentence what cannot be done and what to do about it."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def request_id() -> str:
    """The id of the request that is being answered."""
    if "request_id" not in g:
        g.request_id = f"req-{token_hex(16)}"
    return str(g.request_id)


def answer(problem: Problem) -> Response:
    body = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        **problem.members,
        "request_id": request_id(),
    }
    return Response(json.dumps(body), problem.status.value, problem.headers, content_type=TYPE)


def install(app: Flask) -> None:
    """Whatever is raised while a request is answered comes out as a problem."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _of_http)
    for kind, status in STATUSES:
        app.register_error_handler(kind, _of_a_room(status))
    app.register_error_handler(Exception, _ours)


def _of_http(error: HTTPException) -> Response:
    problem = Problem(error.code or 500, error.description or "")
    kept = error.get_response().headers
    problem.headers = {name: kept[name] for name in ("Allow", "Location", "Content-Range") if name in kept}
    return answer(problem)


def _of_a_room(status: HTTPStatus) -> Callable[[Exception], Response]:
    def told(error: Exception) -> Response:
        headers = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        return answer(Problem(status, str(error), headers=headers))

    return told


def _ours(error: Exception) -> Response:
    LOG.exception("a mistake of ours while answering %s", request_id(), exc_info=error)
    return answer(Problem(500, f"cannot go on: a mistake of ours; the log says more of {request_id()}"))
