"""/v1, the life cycle of applications and their cloudlets. The document says which urls there are, this table who
answers them, and who may ask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flask import Blueprint, Response, jsonify, request

from meghdwar.api.area import Area
from meghdwar.api.problems import Problem, request_id
from meghdwar.api.v1 import applications, cloudlets, gateways, operations, scope, sightings
from meghdwar.api.v1.contract import Asked, Described, described, document

LOG = logging.getLogger(__name__)
View = Callable[[Asked], Response]

# operation of the document -> who answers, and the role that may ask, unless a policy file says otherwise
VIEWS: Mapping[str, tuple[View, str]] = {
    "document": (lambda asked: jsonify(document()), "anybody"),
    "applications_list": (applications.list_, "reader"),
    "applications_create": (applications.create, "operator"),
    "applications_show": (applications.show, "reader"),
    "applications_delete": (applications.delete, "operator"),
    "cloudlets_list": (cloudlets.list_, "reader"),
    "cloudlets_build": (cloudlets.build, "operator"),
    "cloudlets_show": (cloudlets.show, "reader"),
    "cloudlets_terminate": (cloudlets.terminate, "operator"),
    "cloudlets_act": (cloudlets.act, "operator"),
    "moves_list": (operations.moves, "reader"),
    "moves_create": (operations.move, "operator"),
    "moves_show": (operations.move_show, "reader"),
    "moves_events": (operations.move_events, "reader"),
    "operations_list": (operations.operations, "reader"),
    "operations_show": (operations.show, "reader"),
    "operations_events": (operations.events, "reader"),
    "operations_turn": (operations.turn, "operator"),
    "gateways_list": (gateways.list_, "reader"),
    "gateways_create": (gateways.create, "admin"),
    "gateways_show": (gateways.show, "reader"),
    "gateways_delete": (gateways.delete, "admin"),
    "gateways_findings": (gateways.findings, "admin"),
    "sightings_create": (sightings.create, "operator"),
}
FURTHER = {scope.ALL_PROJECTS: "rule:admin", scope.GATEWAY_DETAILS: "rule:admin"}  # rules that no url has of its own


def area() -> Area:
    """A new one for each application: Flask wants that."""
    blueprint = Blueprint("v1", __name__)
    for each in described():
        blueprint.add_url_rule(each.path, each.name, _held(each, VIEWS[each.name][0]), methods=[each.method])
    return Area(
        blueprint,
        {name: f"edge:{name}" for name in VIEWS},
        {**FURTHER, **{f"edge:{name}": f"rule:{role}" for name, (_, role) in VIEWS.items()}},
    )


def _held(each: Described, view: View) -> Callable[..., Response]:
    """The view, held to the document on both sides."""

    def answer(**path: str) -> Response:
        response = view(each.read(request, path))
        try:
            each.check(response)
        except ValueError as error:
            LOG.error("a mistake of ours while answering %s: %s", request_id(), error)
            raise Problem(500, "cannot go on: a mistake of ours; the log says more") from None
        return response

    return answer


AREA = area()
