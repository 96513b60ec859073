"""/v1/sightings: where subscribers were seen; their cloudlets follow."""

from __future__ import annotations

import math
import time
from http import HTTPStatus

from flask import Response, jsonify

from meghdwar.api.auth import caller
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown, work
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.mobility import CROWD, Sighting


def create(asked: Asked) -> Response:
    driver, body, now = backend().driver, asked.body, time.time()
    if body["subscriber"] == CROWD:
        raise Problem(400, f"cannot take the sighting in: nobody is called {CROWD}")
    latencies = {name: math.inf if ms is None else float(ms) for name, ms in body.get("latencies_ms", {}).items()}
    sighting = Sighting(body["subscriber"], body.get("at", now), body.get("cell"), latencies)
    if "application" in body:
        names = [scope.application(body["application"]).name]
    else:
        names = [each.name for each in driver.inventory.applications() if each.project == caller().project]
    leaving = {task.application for task in driver.inventory.tasks() if task.act == "down"}
    noted = [
        each
        for name in names
        if name not in leaving
        for each in driver.take_in(sighting, application=name, now=now, together=False)
    ]
    work.works().heed(sighting, noted)
    response = jsonify({"followed": [shown.noted(each) for each in noted]})
    response.status_code = HTTPStatus.ACCEPTED
    return response
