"""Requests and answers are held to the document: what fits passes quickly, what does not is told in words."""

from __future__ import annotations

import pytest
from flask import Flask, jsonify, request

from meghdwar.api.kept import Kept
from meghdwar.api.problems import Problem
from meghdwar.api.v1.contract import Described, described

GATEWAY = {"name": "edge_a", "hypervisor": "local", "endpoint": "/srv/edge_a"}


def operation(name: str) -> Described:
    return next(each for each in described() if each.name == name)


def read(name: str, body: object) -> object:
    with Flask("tests").test_request_context("/", method="POST", json=body):
        return operation(name).read(request, {}).body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "edge a"}, "body.name: 'edge a' does not match"),
        ({"name": "edge_a\n"}, "body.name: "),
        ({"hypervisor": "xen"}, "body.hypervisor: 'xen' is not one of"),
        ({"timeout_s": 0}, "body.timeout_s: 0 is less than or equal to"),
        ({"timeout_s": 10**40}, f"body.timeout_s: {10**40} is greater than"),
        ({"options": {"a": 1}}, "body.options.a: 1 is not of type 'string'"),
        ({"more": 1}, "body: Additional properties are not allowed"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, object], said: str) -> None:
    with pytest.raises(Problem) as caught:
        read("gateways_create", GATEWAY | changes)
    assert caught.value.status == 400
    assert caught.value.detail.startswith(f"cannot read the request: {said}")


def test_what_fits_is_read() -> None:
    assert read("gateways_create", GATEWAY | {"timeout_s": 1.5}) == GATEWAY | {"timeout_s": 1.5}


@pytest.mark.parametrize(
    "answer", [{"findings": [{"check": "a", "level": "good"}]}, {"findings": "none"}, {"other": []}, []]
)
def test_an_answer_that_does_not_fit_is_a_mistake_of_ours(answer: object) -> None:
    with Flask("tests").app_context(), pytest.raises(ValueError, match="answers what the document does not have"):
        operation("gateways_findings").check(jsonify(answer))


def test_the_newest_is_kept() -> None:
    kept: Kept[str, int] = Kept(2)
    for number, name in enumerate("abc"):
        kept.put(name, number)
    assert [kept.get(name) for name in "abc"] == [None, 1, 2]
