"""/v1/cloudlets: what runs of an application, built, stopped, started, healed and terminated."""

from __future__ import annotations

from flask import Response, jsonify

from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown
from meghdwar.api.v1.asking import ask, reason
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import RUNNING, WAITING, Operation


def list_(asked: Asked) -> Response:
    driver, given = backend().driver, asked.given
    applications = scope.applications(asked)
    wanted = given.get("application")
    found = [
        each
        for each in driver.inventory.instances(application=wanted, gateway=given.get("gateway"))
        if each.instance.application in applications
        and given.get("cloudlet") in (None, each.instance.cloudlet)
        and given.get("subscriber") in (None, each.instance.subscriber)
    ]
    open_ = {
        operation.instance: operation
        for status in (RUNNING, WAITING)
        for operation in driver.journal.operations(application=wanted, status=status)
    }
    return scope.page(
        asked, "cloudlets", found, lambda each: each.name, lambda each: shown.cloudlet(each, open_.get(each.name))
    )


def show(asked: Asked) -> Response:
    record = scope.cloudlet(asked.given["cloudlet"])
    response = jsonify(shown.cloudlet(record, _open(record)))
    response.headers["ETag"] = f'"{record.epoch}"'
    return response


def _open(record: InstanceRecord) -> Operation | None:
    newest = backend().driver.journal.operations(instance=record.name, limit=1)
    return newest[0] if newest and newest[0].ended_at is None else None


def build(asked: Asked) -> Response:
    body = asked.body

    def made() -> Operation:
        driver = backend().driver
        wanted = driver.wanted(scope.application(body["application"]).name)
        if body["cloudlet"] not in wanted.cloudlets:
            raise Problem(
                404, f"cannot find the cloudlet {body['cloudlet']!r}: {body['application']} has none of that name"
            )
        described = wanted.cloudlets[body["cloudlet"]]
        own = described.instances == "per_subscriber"
        if own != ("subscriber" in body):
            whose = "each subscriber has one of her own: say which" if own else "all subscribers share it: name none"
            raise Problem(400, f"cannot build {body['cloudlet']}: {whose}")
        gateway = body.get("gateway") or described.host or next(iter(wanted.reach(described.name)), "")
        instance = wanted.instance(described.name, body.get("subscriber"))
        operation = driver.prepared_build(instance, gateway, reason(body))
        driver.inventory.add_instance(InstanceRecord(instance))
        return operation

    same = {"kind": "build", "application": body["application"]}
    return ask(asked, made, same | ({"target": body["gateway"]} if "gateway" in body else {}))


def act(asked: Asked) -> Response:
    return _at_home(asked, asked.given["act"])


def terminate(asked: Asked) -> Response:
    return _at_home(asked, "terminate")


def _at_home(asked: Asked, kind: str) -> Response:
    name = asked.given["cloudlet"]

    def made() -> Operation:
        return backend().driver.prepared(kind, scope.cloudlet(name).name, reason({}))

    return ask(asked, made, {"kind": kind, "instance": name})
