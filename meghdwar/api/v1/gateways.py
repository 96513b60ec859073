"""/v1/gateways: the hosts at the edge. Their names are everybody's; how they are reached is for admins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from flask import Response, jsonify

from meghdwar.api.auth import may
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.certificate import normal
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.inventory import GatewayRecord

_FILES = ("client_certificate", "client_key", "images")


def list_(asked: Asked) -> Response:
    inventory, known = backend().driver.inventory, may(scope.GATEWAY_DETAILS)

    def shown_(here: Sequence[GatewayRecord]) -> list[dict[str, object]]:
        counts = inventory.counts() if known else {}
        return [shown.gateway(each, counts.get(each.name, 0) if known else None) for each in here]

    return scope.page(asked, "gateways", scope.gateways(), lambda each: each.name, shown_)


def show(asked: Asked) -> Response:
    return jsonify(_shown(scope.gateway(asked.given["gateway"])))


def create(asked: Asked) -> Response:
    inventory = backend().driver.inventory
    access = _access(asked.body)
    inventory.add_gateway(GatewayRecord(access))
    response = jsonify(_shown(inventory.gateway(access.gateway)))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = f"/v1/gateways/{access.gateway}"
    return response


def _access(body: dict[str, object]) -> Access:
    given = {key: value for key, value in body.items() if key not in ("name", *_FILES)}
    paths = {key: Path(str(body[key])) for key in _FILES if key in body}
    for key, path in paths.items():
        if not os.path.exists(path):  # of a name that is too long as well
            raise Problem(400, f"cannot add {body['name']}: {key}: the server has no {path}")
    if "certificate" in given:
        given["certificate"] = _certificate(str(body["name"]), str(given["certificate"]))
    if body["hypervisor"] == "local":
        endpoint = Path(str(body["endpoint"]).removeprefix("local:"))
        if not endpoint.is_absolute():
            raise Problem(
                400, f"cannot add {body['name']}: endpoint: it has to be a folder of the server, from its root"
            )
    if str(body["endpoint"]).startswith("https:") and "certificate" not in given:
        raise Problem(
            400, f"cannot add {body['name']}: say the certificate that it has to show; mdw gateway add shows it"
        )
    return Access(gateway=str(body["name"]), **given, **paths)  # type: ignore[arg-type]


def _certificate(name: str, text: str) -> str:
    try:
        return normal(text)
    except ValueError as error:
        raise Problem(400, f"cannot add {name}: certificate: {error}") from None


def delete(asked: Asked) -> Response:
    inventory = backend().driver.inventory
    name = inventory.gateway(asked.given["gateway"]).name
    inventory.remove_gateway(name)
    return Response(status=HTTPStatus.NO_CONTENT)


def findings(asked: Asked) -> Response:
    driver = backend().driver
    name = driver.inventory.gateway(asked.given["gateway"]).name
    images = sorted({record.instance.image for record in driver.inventory.instances(gateway=name)})
    found = driver.hypervisor(name).doctor(images)
    return jsonify(
        {
            "findings": [
                {"check": each.check, "level": each.level, "message": each.message, "help": each.help} for each in found
            ]
        }
    )


def _shown(record: GatewayRecord) -> dict[str, object]:
    cloudlets = backend().driver.inventory.count_at(record.name) if may(scope.GATEWAY_DETAILS) else None
    return shown.gateway(record, cloudlets)
