"""/subscriptions: whoever wants to be told of packages says where."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from flask import Response, jsonify, request

from meghdwar.api import filters, notifications, outbound, paging
from meghdwar.api.auth import caller
from meghdwar.api.backend import backend
from meghdwar.api.bodies import document
from meghdwar.api.problems import Problem
from meghdwar.api.vnfpkgm import resources
from meghdwar.api.vnfpkgm.blueprint import blueprint
from meghdwar.onboard.record import Subscription
from meghdwar.onboard.records import AlreadyThere

PATH = "/v1/subscriptions"
ATTRIBUTES = ("id", "filter", "callbackUri", "_links")


def root() -> str:
    return f"{backend().endpoint()}/vnfpkgm{PATH}"


@blueprint.post(PATH)
def subscribe() -> tuple[Any, int, dict[str, str]]:
    body = document(("filter", "callbackUri", "authentication"))
    if not isinstance(body.get("callbackUri"), str):
        raise Problem(400, "cannot subscribe: callbackUri has to be a uri")
    made = Subscription(
        str(uuid4()),
        caller().project,
        body["callbackUri"],
        notifications.checked_filter(body.get("filter") or {}),
        notifications.checked_authentication(body.get("authentication") or {}),
    )
    try:
        status = outbound.send("GET", made.callback, backend().hosts, None, notifications.headers(made))
    except outbound.Refused as error:
        raise Problem(422, f"cannot subscribe: {error}") from None
    if status != 204:
        raise Problem(422, f"cannot subscribe: {made.callback} answers GET with {status}, it has to be 204")
    try:
        shown = resources.subscription(backend().catalogue.records.subscribe(made), root())
    except AlreadyThere as there:
        return "", 303, {"Location": f"{root()}/{there}"}
    return jsonify(shown), 201, {"Location": shown["_links"]["self"]["href"]}


@blueprint.get(PATH)
def subscriptions() -> Response:
    url, project, records = root(), caller().project, backend().catalogue.records
    try:
        wished = filters.parse(request.args["filter"], ATTRIBUTES) if "filter" in request.args else ()
    except ValueError as error:
        raise Problem(400, str(error)) from None
    size = backend().settings.page_size
    found = paging.every(lambda after, limit: records.subscriptions(project, after, limit), _place, size)
    return paging.answer(
        ((each, shown) for each in found if filters.holds(wished, shown := resources.subscription(each, url))),
        lambda item: _place(item[0]),
        lambda item: item[1],
        size,
    )


def _place(found: Subscription) -> paging.Place:
    return found.created_at, found.id


@blueprint.get(f"{PATH}/<uuid:subscription_id>")
def subscription(subscription_id: UUID) -> dict[str, Any]:
    found = backend().catalogue.records.subscription(str(subscription_id), caller().project)
    return resources.subscription(found, root())


@blueprint.delete(f"{PATH}/<uuid:subscription_id>")
def unsubscribe(subscription_id: UUID) -> tuple[str, int]:
    backend().catalogue.records.unsubscribe(str(subscription_id), caller().project)
    return "", 204
