"""The urls of /vnfpkgm, and which versions of the interface are spoken there."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from meghdwar.api.problems import Problem

VERSION = "1.3.0"
PACKAGES = "/v1/vnf_packages"
PACKAGE = f"{PACKAGES}/<uuid:package_id>"

blueprint = Blueprint("vnfpkgm", __name__, url_prefix="/vnfpkgm")


@blueprint.before_request
def check_version() -> None:
    """Clients may ask for a version (SOL013); one that does not say gets ours."""
    wished = request.headers.get("Version")
    if wished is not None and wished.strip().split(".")[0] != VERSION.split(".")[0]:
        raise Problem(406, f"cannot speak version {wished!r}: there is {VERSION}")


@blueprint.after_request
def say_version(response: Response) -> Response:
    response.headers["Version"] = VERSION
    return response


@blueprint.get("/api_versions")
@blueprint.get("/v1/api_versions")
def versions() -> dict[str, Any]:
    return {"uriPrefix": "/vnfpkgm", "apiVersions": [{"version": VERSION, "isDeprecated": False}]}
