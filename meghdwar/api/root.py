"""What is at the root: which versions there are, for everybody, and the metrics."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from meghdwar.api.area import Area

blueprint = Blueprint("root", __name__)
AREA = Area(blueprint, {"versions": "anybody"})


@blueprint.get("/")
def versions() -> dict[str, Any]:
    """As other services of OpenStack say it, so that clients find what they can speak."""
    root = request.host_url.rstrip("/")
    links = [{"rel": "self", "href": f"{root}/v1"}]
    return {"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]}
