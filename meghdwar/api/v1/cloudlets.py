"""/v1/cloudlets: what runs of an application, built, stopped, started, healed and terminated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, jsonify

from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown
from meghdwar.api.v1.asking import ask, reason
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import Operation

LOOKED_THROUGH = 500  # at once, for those that are asked for by what the database does not know


def list_(asked: Asked) -> Response:
    given = asked.given
    found = (
        each
        for each in _every(asked)
        if given.get("cloudlet") in (None, each.instance.cloudlet)
        and given.get("subscriber") in (None, each.instance.subscriber)
    )
    return scope.page(asked, "cloudlets", found, lambda each: each.name, _shown)


def _every(asked: Asked) -> Iterator[InstanceRecord]:
    """All from the marker on that the caller may see, asked for as they are needed."""
    names, after = scope.names(asked), asked.given.get("marker", "")
    at_once = scope.limit(asked) + 1
    if "cloudlet" in asked.given or "subscriber" in asked.given:
        at_once = max(at_once, LOOKED_THROUGH)
    while True:
        found = backend().driver.inventory.instances_of(
            names, gateway=asked.given.get("gateway"), after=after, limit=at_once
        )
        yield from found
        if len(found) < at_once:
            return
        after = found[-1].name


def _shown(here: Sequence[InstanceRecord]) -> list[dict[str, Any]]:
    open_ = backend().driver.journal.unended([each.name for each in here])
    return [shown.cloudlet(each, open_.get(each.name)) for each in here]


def show(asked: Asked) -> Response:
    record = scope.cloudlet(asked.given["cloudlet"])
    response = jsonify(shown.cloudlet(record, _open(record)))
    response.headers["ETag"] = f'"{record.epoch}"'
    return response


def _open(record: InstanceRecord) -> Operation | None:
    return backend().driver.journal.unended([record.name]).get(record.name)


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
