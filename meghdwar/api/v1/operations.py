"""/v1/moves and /v1/operations: what is done to cloudlets, step by step; moves are asked for, all can be followed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from flask import Response, jsonify

from meghdwar.api.auth import caller
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1 import scope, shown
from meghdwar.api.v1.asking import ask, coming, reason
from meghdwar.api.v1.contract import Asked
from meghdwar.api.v1.events import stream
from meghdwar.driver.operation import ENDED, DriverError, Fenced, Operation


# moves
def move(asked: Asked) -> Response:
    body = asked.body

    def made() -> Operation:
        name = scope.cloudlet(body["cloudlet"]).name
        strategy = body.get("strategy", "")
        return backend().driver.prepared_move(name, body["gateway"], strategy=strategy, reason=reason(body))

    same = {"kind": "move", "instance": body["cloudlet"], "target": body["gateway"]}
    return ask(asked, made, same | ({"strategy": body["strategy"]} if "strategy" in body else {}))


def moves(asked: Asked) -> Response:
    return _list(asked, "moves", "move")


def move_show(asked: Asked) -> Response:
    return _show(scope.operation(asked.given["operation"], "move"))


def move_events(asked: Asked) -> Response:
    return stream(backend().driver, scope.operation(asked.given["operation"], "move"), _last(asked))


# all of them
def operations(asked: Asked) -> Response:
    return _list(asked, "operations", asked.given.get("kind"))


def show(asked: Asked) -> Response:
    return _show(scope.operation(asked.given["operation"]))


def events(asked: Asked) -> Response:
    return stream(backend().driver, scope.operation(asked.given["operation"]), _last(asked))


def turn(asked: Asked) -> Response:
    """Goes on with what waits, or undoes it; the workers do it."""
    driver, body, way = backend().driver, asked.body, asked.given["way"]
    found = scope.operation(asked.given["operation"])
    because = body.get("because", "")
    if found.status in ENDED:
        raise Problem(409, f"cannot {way} {found.id}: it has ended, {found.status}")
    fenced = None
    if body.get("fenced"):
        if not because.strip():
            raise Problem(400, "cannot take the gateway for fenced: say because how it is known")
        fenced = Fenced(caller().user, time.time(), because)
    try:
        if way == "rollback":
            driver.turn(found.id, by=caller().user, because=because, fenced=fenced)
        elif fenced is not None:
            driver.fence(found.id, fenced)
    except DriverError as error:
        raise Problem(409, str(error)) from None
    return coming(driver.journal.operation(found.id))


def _list(asked: Asked, name: str, kind: str | None) -> Response:
    driver, given, most = backend().driver, asked.given, scope.limit(asked)
    marker = None if "marker" not in given else scope.operation(given["marker"])
    found = driver.journal.operations(
        applications=scope.names(asked),
        instance=given.get("cloudlet"),
        status=given.get("status"),
        kind=kind,
        limit=most + 1,
        before=marker,
    )
    here = found[:most]
    return scope.answer(name, _shown(here), here[-1].id if len(found) > most else None)


def _shown(here: Sequence[Operation]) -> list[dict[str, Any]]:
    """What has ended changes no more: how it is shown is kept for the next who asks."""
    ended = backend().ended
    items = {each: item for each in here if (item := ended.get(each)) is not None}
    entries = backend().driver.journal.entries_of([each.id for each in here if each not in items])
    for each in here:
        if each not in items:
            items[each] = shown.operation(each, entries[each.id])
            if each.status in ENDED:
                ended.put(each, items[each])
    return [items[each] for each in here]


def _show(found: Operation) -> Response:
    return jsonify(shown.operation(found, backend().driver.journal.entries(found.id), steps=True))


def _last(asked: Asked) -> int:
    return int(asked.given.get("Last-Event-ID", 0))
