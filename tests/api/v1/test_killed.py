"""The server is killed in the middle of a move that it was asked for: whoever is there next goes on with it."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.api.v1.conftest import RED, Cloud, events, serving
from tests.contract.pairs import eventually, numbers
from tests.site import Site

pytestmark = pytest.mark.real

KEY = {"Idempotency_Key": "tonight"}
WITHIN_S = 120.0
ANSWER_S = 30.0


def dying(point: str, whom: str, told: Path) -> tuple[str, ...]:
    return "tests.api.dying", point, whom, str(told)


def asked(cloud: Cloud, body: dict[str, Any]) -> str | None:
    """The id of the move; None when the answer was lost."""
    try:
        answer = cloud("POST", "/v1/moves", body, **KEY)
    except (OSError, HTTPException):
        return None
    assert answer.status == 202, answer.body
    return str(answer.data["id"])


def heard(cloud: Cloud, place: str, after: int) -> list[tuple[int, str]]:
    """The number and the kind of each event, as far as the stream goes."""
    found = []
    try:
        for number, kind, _ in events(cloud, place, last=after):
            found.append((int(number or 0), kind))
    except (OSError, HTTPException, ValueError):  # cut off, in the middle of an event perhaps
        pass
    return found


def settled(cloud: Cloud, place: str) -> Any:
    def ended() -> Any:
        try:
            found = cloud("GET", place).data
        except (OSError, HTTPException):  # the worker that died was to answer
            return None
        return found if found["status"] in ("completed", "compensated") else None

    return eventually(ended, WITHIN_S, every_s=0.2)


def begun(cloud: Cloud) -> tuple[str, dict[str, Any]]:
    """A cloudlet that has acknowledged two numbers, and the move of it."""
    cloud.gateways()
    name = cloud.up(name="arena")
    instance = cloud.site.reading().inventory.instance(name).instance
    assert [cloud.site.ask("edge_a", instance, "/next", ANSWER_S) for _ in range(2)] == ["1", "2"]
    return name, {"cloudlet": name, "gateway": "edge_b"}


def check(site: Site, name: str, move: Any) -> None:
    """It runs once, where it says, with everything that it has acknowledged."""
    home, other = ("edge_b", "edge_a") if move["status"] == "completed" else ("edge_a", "edge_b")
    record = site.reading().inventory.instance(name)
    assert record.gateway == home
    assert site.gateways[other].inventory() == ()
    assert eventually(lambda: site.ask(home, record.instance, "/n"), WITHIN_S) == "2"
    assert site.ask(home, record.instance, "/next", ANSWER_S) == "3"
    assert numbers(site.log(home, record.instance)) == [1, 2, 3]


@pytest.mark.parametrize("point", ["stage:doing", "transfer:doing", "reroute:doing", "ended"])
def test_the_server_is_killed(site: Site, tmp_path: Path, point: str) -> None:
    told = tmp_path / "killed"
    with serving(site, program=dying(point, "server", told)) as cloud:
        name, body = begun(cloud)
        first = asked(cloud, body)
        seen = [] if first is None else heard(cloud, f"/v1/moves/{first}", 0)
        eventually(lambda: cloud.served.process.poll() is not None, WITHIN_S)
    assert told.exists()
    assert all(kind != "ended" for _, kind in seen)
    with serving(site, program=dying("never", "server", told)) as cloud:
        again = asked(cloud, body)
        assert first in (None, again), "what was acknowledged is lost"
        place = f"/v1/moves/{again}"
        last = max((number for number, _ in seen), default=0)
        rest = heard(cloud, place, last)
        move = settled(cloud, place)
        assert rest[-1][1] == "ended"
        told_all = [number for number, kind in seen + rest if kind == "step"]
        assert told_all == list(range(1, len(told_all) + 1)), "each step is told once"
        assert len(cloud("GET", f"/v1/moves?cloudlet={name}").data["moves"]) == 1
        assert asked(cloud, body) == again
        check(site, name, move)


def test_one_of_two_workers_is_killed(site: Site, tmp_path: Path) -> None:
    told = tmp_path / "killed"
    with serving(site, "--workers", "2", program=dying("transfer:doing", "worker", told)) as cloud:
        name, body = begun(cloud)
        first = asked(cloud, body)
        eventually(told.exists, WITHIN_S)
        again = eventually(lambda: asked(cloud, body), WITHIN_S)
        assert first in (None, again)
        move = settled(cloud, f"/v1/moves/{again}")
        assert cloud.served.process.poll() is None
        check(site, name, move)
        assert cloud("GET", "/v1/moves", by=RED).status == 200
