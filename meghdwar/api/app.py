"""The WSGI application: the areas of the API in one table, and what every request passes before it gets there."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, g

from meghdwar.api import auth, backend, problems, root, v1, vnfpkgm
from meghdwar.api.area import Area
from meghdwar.api.audit import audit
from meghdwar.api.settings import Settings
from meghdwar.driver.control import Driver

AREAS: Sequence[Area] = (root.AREA, v1.AREA, vnfpkgm.AREA)


def application(settings: Settings, driver: Driver, areas: Sequence[Area] = AREAS) -> Flask:
    """Answers requests over this driver. Raises DriverError when the settings cannot be worked with."""
    app = Flask("meghdwar.api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    gatekeeper, note = _gatekeeper(settings, areas), audit(settings.audit_log)
    behind = backend.make(settings, driver)
    backend.install(app, behind)
    problems.install(app)
    app.before_request(behind.measures.begin)
    app.before_request(gatekeeper.admit)
    app.after_request(_named)  # the last is called first
    app.after_request(note)
    app.after_request(behind.measures.end)
    for area in areas:
        app.register_blueprint(area.blueprint)
    if settings.auth == "keystone":
        from meghdwar.api import keystone

        app.wsgi_app = keystone.middleware(settings, app.wsgi_app)  # type: ignore[method-assign]
    return app


def _gatekeeper(settings: Settings, areas: Sequence[Area]) -> auth.Gatekeeper:
    rules = {f"{area.blueprint.name}.{view}": rule for area in areas for view, rule in area.rules.items()}
    defaults = {rule: check for area in areas for rule, check in area.defaults.items()}
    return auth.Gatekeeper(settings, rules, defaults)


def _named(response: Response) -> Response:
    g.pop("challenge", None)
    response.headers[problems.REQUEST_ID] = problems.request_id()
    return response
