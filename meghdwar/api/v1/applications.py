"""/v1/applications: what was brought up from a plan or from a package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import yaml
from flask import Response, jsonify

from meghdwar import bundle as bundles
from meghdwar.api.auth import caller, may
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown, work
from meghdwar.api.v1.contract import Asked
from meghdwar.bundle import Bundle
from meghdwar.compiler import compile_file
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.inventory import ApplicationRecord, Taken, Task, Unknown
from meghdwar.driver.operation import DriverError
from meghdwar.driver.stacks import StackName
from meghdwar.onboard.record import ENABLED, PackageRecord

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
TOLD_MAX = 50  # problems of a descriptor
DEPTH_MAX = 100  # of the YAML of a plan
TEACH = "edge:gateways_create"  # who may do that may also bring gateways in a plan


def list_(asked: Asked) -> Response:
    found = [
        each
        for each in scope.applications(asked).values()
        if asked.given.get("name") in (None, each.title or each.name)
    ]
    return scope.page(asked, "applications", found, lambda each: each.name, _all_shown)


def show(asked: Asked) -> Response:
    return jsonify(_shown(scope.application(asked.given["application"])))


def create(asked: Asked) -> Response:
    driver, settings, body = backend().driver, backend().settings, asked.body
    package = _package(body["package"]) if "package" in body else None
    bundle = _from_plan(body) if package is None else _from_package(package)
    title = body.get("name") or bundle.name
    if not NAME.fullmatch(title):
        raise Problem(400, f"cannot call an application {title[:80]!r}: give a name of letters, digits, - and _")
    id_ = scope.application_id(caller().project, title)
    inputs = body.get("inputs") or {}
    record = driver.record(
        bundles.called(bundle, id_),
        settings.router,
        settings.images,
        inputs,
        project=caller().project,
        title=title,
        stack=_stack(body.get("cloud"), id_),
    )
    task = driver.inventory.find_task(id_)
    if task is not None and task.act == "down":
        raise Problem(409, f"cannot bring {title} up: it is going down; wait until it is gone")
    try:
        if package is not None:
            backend().catalogue.records.use(package, id_)
        if record.stack is not None:
            driver.stack_may_come(record)
        driver.admit(record, teach=may(TEACH))
    except (CloudError, DriverError, Taken) as error:
        if package is not None and not _there(id_):
            backend().catalogue.records.unuse(id_)
        if isinstance(error, CloudError) and error.retry:
            raise
        raise Problem(409, str(error)) from None
    driver.inventory.put_task(Task(id_, "up"))
    work.works().nudge()
    return _coming(record)


def _stack(cloud: str | None, id_: str) -> StackName | None:
    """Called as the application, which no two projects do alike."""
    clouds = backend().settings.clouds
    if cloud is not None and cloud not in clouds:
        there = f"it makes them in {', '.join(clouds)}" if clouds else "it makes none, until its operator sets clouds"
        raise Problem(409, f"cannot have a stack in {cloud!r}: this server has no such cloud; {there}")
    return None if cloud is None else StackName(cloud, id_)


def _from_plan(body: dict[str, Any]) -> Bundle:
    files = {name: text.encode() for name, text in body["files"].items()}
    for name, data in files.items():
        if name.endswith(".yaml"):
            calm(name, data)
    return bundles.from_files(body["plan"], files)


def _package(name: str) -> PackageRecord:
    """One that may be used, of the project."""
    try:
        record = backend().catalogue.records.get(name, caller().project)
    except Unknown:
        raise Problem(404, f"cannot find the package {name!r}: this project has none of that id") from None
    if record.operational_state != ENABLED:
        raise Problem(409, f"cannot make an application of package {name}: it is not enabled; enable it first")
    return record


def _from_package(record: PackageRecord) -> Bundle:
    """What its descriptor compiles to, called as its product."""
    try:
        path = backend().catalogue.onboarded(record)
    except Taken as error:
        raise Problem(409, str(error)) from None
    compiled = compile_file(str(path))
    if compiled.bundle is None:
        wrong = [each for each in compiled.diagnostics if each.is_error]
        said = [f"{each.span.line}:{each.span.column}: {each.rule.code} {each.message}" for each in wrong[:TOLD_MAX]]
        raise Problem(422, f"cannot make an application of package {record.id}: {said[0]}", diagnostics=said)
    product = record.found.product_name if record.found else ""
    return bundles.called(compiled.bundle, re.sub(r"[^A-Za-z0-9_-]", "-", product)[:40] or "application")


def _there(id_: str) -> bool:
    return any(each.name == id_ for each in backend().driver.inventory.applications())


def calm(name: str, data: bytes) -> None:
    """Raises Problem for YAML that would grow when it is read, or is nested too deeply; what we write never is."""
    depth = 0
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                raise Problem(400, f"cannot read {name[:80]}: it has an alias, which no plan has")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH_MAX:
                raise Problem(400, f"cannot read {name[:80]}: it is nested more than {DEPTH_MAX} deep")
    except (yaml.YAMLError, ValueError) as error:
        raise Problem(400, f"cannot read {name[:80]}: {str(error).splitlines()[0]}") from None


def delete(asked: Asked) -> Response:
    record = scope.application(asked.given["application"])
    backend().driver.inventory.put_task(Task(record.name, "down"))
    work.works().nudge()
    return _coming(record)


def _coming(record: ApplicationRecord) -> Response:
    response = jsonify(_shown(record))
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"/v1/applications/{record.name}"
    return response


def _shown(record: ApplicationRecord) -> dict[str, Any]:
    return _all_shown([record])[0]


def _all_shown(records: Sequence[ApplicationRecord]) -> list[dict[str, Any]]:
    driver = backend().driver
    tasks = {each.application: each for each in driver.inventory.tasks()}
    homes: dict[str, dict[str, str | None]] = {
        each.name: dict.fromkeys(driver.wanted_by(each).names()) for each in records
    }
    for application, instance, gateway in driver.inventory.homes_of(homes):
        homes[application][instance] = gateway
    return [shown.application(each, tasks.get(each.name), list(homes[each.name].values())) for each in records]
