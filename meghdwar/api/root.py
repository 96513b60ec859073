"""What is at the root: which versions there are, for everybody, and the metrics."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from meghdwar.api.area import Area
from meghdwar.api.backend import backend

blueprint = Blueprint("root", __name__)
METRICS = "metrics:read"
AREA = Area(blueprint, {"versions": "anybody", "metrics": METRICS}, {METRICS: "rule:reader"})


@blueprint.get("/")
def versions() -> dict[str, Any]:
    """As other services of OpenStack say it, so that clients find what they can speak."""
    links = [{"rel": "self", "href": f"{backend().endpoint()}/v1"}]
    return {"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]}


@blueprint.get("/metrics")
def metrics() -> Response:
    return Response(backend().measures.text(), content_type=CONTENT_TYPE_LATEST)
