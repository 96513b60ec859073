"""/vnf_packages: they are made, listed, shown, changed and deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request

from meghdwar.api import filters, paging
from meghdwar.api.auth import caller
from meghdwar.api.backend import backend
from meghdwar.api.bodies import JSON, MERGE_PATCH, document, merged
from meghdwar.api.problems import Problem
from meghdwar.api.vnfpkgm import resources
from meghdwar.api.vnfpkgm.blueprint import PACKAGE, PACKAGES, blueprint
from meghdwar.onboard.record import DISABLED, ENABLED, PackageRecord


def root() -> str:
    return f"{backend().endpoint()}/vnfpkgm{PACKAGES}"


def known(package_id: UUID) -> PackageRecord:
    """A package of the caller's project; raises Unknown."""
    return backend().catalogue.records.get(str(package_id), caller().project)


@blueprint.post(PACKAGES)
def create() -> tuple[Response, int, dict[str, str]]:
    data = _user_data(document(("userDefinedData",)))
    record = backend().catalogue.records.add(caller().project, data or {})
    shown = resources.package(record, root())
    return jsonify(shown), 201, {"Location": shown["_links"]["self"]["href"]}


@blueprint.get(PACKAGES)
def list_() -> Response:
    url, project, records = root(), caller().project, backend().catalogue.records
    try:
        select = filters.selector(request.args, resources.ATTRIBUTES)
        wished = filters.parse(request.args["filter"], resources.ATTRIBUTES) if "filter" in request.args else ()
    except ValueError as error:
        raise Problem(400, str(error)) from None
    size, whole = backend().settings.page_size, bool(wished) or not select.is_default
    found = paging.every(lambda after, limit: records.page(project, after, limit), _place, size)
    return paging.answer(
        (
            (record, shown)
            for record in found
            if filters.holds(wished, shown := resources.package(record, url, whole=whole))
        ),
        lambda item: _place(item[0]),
        lambda item: select.show(item[1], resources.COMPLEX, resources.ALWAYS),
        size,
    )


def _place(record: PackageRecord) -> paging.Place:
    return record.created_at, record.id


@blueprint.get(PACKAGE)
def show(package_id: UUID) -> dict[str, Any]:
    return resources.package(known(package_id), root())


@blueprint.patch(PACKAGE)
def modify(package_id: UUID) -> dict[str, Any]:
    """Answers with what was changed."""
    body = document(("operationalState", "userDefinedData"), (MERGE_PATCH, JSON))
    if not body:
        raise Problem(400, "cannot change nothing: send operationalState or userDefinedData")
    record, catalogue = known(package_id), backend().catalogue
    patch = _user_data(body)
    data = None if patch is None else merged(record.user_data, patch)
    if "operationalState" in body:
        state = body["operationalState"]
        if state not in (ENABLED, DISABLED):
            raise Problem(400, f"cannot change operationalState to that: it has to be {ENABLED} or {DISABLED}")
        catalogue.switch(record, state, data)
    elif data is not None:
        catalogue.describe(record, data)
    return body


@blueprint.delete(PACKAGE)
def delete(package_id: UUID) -> tuple[str, int]:
    backend().catalogue.delete(known(package_id))
    return "", 204


def _user_data(body: dict[str, Any]) -> dict[str, Any] | None:
    found = body.get("userDefinedData")
    if found is not None and not isinstance(found, dict):
        raise Problem(400, "cannot read userDefinedData: it has to be an object")
    return found
