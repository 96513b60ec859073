"""Lists of /v1 as they are read from the database, without any server: whole, in order, and each project's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meghdwar.api.v1 import cloudlets
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import ApplicationRecord, GatewayRecord, InstanceRecord
from meghdwar.driver.operation import COMPLETED, DOING, DONE, Entry, Operation
from tests.api.conftest import Here

ARENA = Instance("", "", "arena", "container", "counter")
SUBSCRIBERS = ("anna", "bert", "cleo", "dora", "emil")


@pytest.fixture
def full(here: Here) -> Here:
    """Two gateways; two applications of here and one of there, with a cloudlet for each of five subscribers."""
    inventory = here.backend.driver.inventory
    for name in ("edge_a", "edge_b"):
        inventory.add_gateway(GatewayRecord(Access(name, "local", f"/srv/{name}")))
    for name, project in (("film", "here"), ("game", "here"), ("shop", "there")):
        inventory.add_application(ApplicationRecord(name, "sha256:1", name, "{}", project=project))
        for subscriber in SUBSCRIBERS:
            instance = replace(ARENA, name=f"{name}-{subscriber}", application=name, subscriber=subscriber)
            inventory.add_instance(InstanceRecord(instance, "edge_a" if subscriber < "c" else "edge_b"))
    return here


def ids(here: Here, place: str, room: str = "cloudlets", by: str = "bob") -> list[str]:
    """All that the pages have, in their order."""
    found = []
    while place:
        answer = here.ask("GET", place, by=by)
        assert answer.status_code == 200, answer.text
        found += [each["id"] for each in answer.json[room]]
        place = answer.headers.get("Link", "").partition(">")[0].removeprefix("<http://localhost")
    return found


def named(*applications: str, of: tuple[str, ...] = SUBSCRIBERS) -> list[str]:
    return [f"{application}-{subscriber}" for application in applications for subscriber in of]


FOUND = {
    "": named("film", "game"),
    "&application=game": named("game"),
    "&application=shop": [],
    "&subscriber=cleo": named("film", "game", of=("cleo",)),
    "&gateway=edge_a": named("film", "game", of=("anna", "bert")),
    "&gateway=edge_b&subscriber=anna": [],
    "&cloudlet=arena&application=film": named("film"),
    "&cloudlet=other": [],
}


def test_cloudlets_come_in_pages(full: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudlets, "LOOKED_THROUGH", 3)
    for limit in (1, 2, 5, 100):
        for query, found in FOUND.items():
            assert ids(full, f"/v1/cloudlets?limit={limit}{query}") == found, (limit, query)


def test_an_admin_sees_those_of_all_projects(full: Here) -> None:
    assert ids(full, "/v1/cloudlets?limit=4", by="eve") == named("shop")
    assert ids(full, "/v1/cloudlets?limit=4&all_projects=true", by="eve") == named("film", "game", "shop")
    assert ids(full, "/v1/cloudlets?application=game&all_projects=true", by="eve") == named("game")
    assert full.ask("GET", "/v1/cloudlets?all_projects=true").status_code == 403


def begun(here: Here, name: str) -> tuple[Operation, Any]:
    journal = here.backend.driver.journal
    move, claim = journal.begin(Operation("", "move", name.partition("-")[0], name, "edge_a", "edge_b"), "one")
    journal.write(move.id, [Entry("stage", DOING), Entry("stage", DONE, {"sent_bytes": 5})], claim)
    return move, claim


def test_a_move_is_shown_as_it_goes_on_and_the_same_when_it_has_ended(full: Here) -> None:
    journal = full.backend.driver.journal
    move, claim = begun(full, "game-anna")
    other, _ = begun(full, "shop-anna")

    def listed(by: str = "bob") -> Any:
        return full.ask("GET", "/v1/moves", by=by).json["moves"]

    def shown() -> Any:
        one = full.ask("GET", f"/v1/moves/{move.id}").json
        assert {name: value for name, value in one.items() if name != "steps"} == listed()[0]
        return one

    assert (shown()["status"], shown()["sent_bytes"]) == ("running", 5)
    assert full.ask("GET", "/v1/cloudlets/game-anna").json["status"] == "moving"
    journal.write(move.id, [Entry("transfer", DOING), Entry("transfer", DONE, {"sent_bytes": 7})], claim)
    assert (shown()["status"], shown()["sent_bytes"]) == ("running", 12)
    journal.end(move.id, COMPLETED, [], claim)
    assert (shown()["status"], shown()["sent_bytes"]) == ("completed", 12)
    assert listed() == listed()
    assert [each["id"] for each in listed("eve")] == [other.id]
    again, _ = begun(full, "game-bert")
    assert [each["id"] for each in listed()] == [again.id, move.id]


def test_admins_see_how_full_gateways_are(full: Here) -> None:
    begun(full, "game-anna")

    def listed(by: str) -> Any:
        return full.ask("GET", "/v1/gateways", by=by).json["gateways"]

    assert [(each["name"], each["cloudlets"]) for each in listed("eve")] == [("edge_a", 6), ("edge_b", 10)]
    assert [each["cloudlets"] for each in listed("eve")] == [
        full.ask("GET", f"/v1/gateways/{name}", by="eve").json["cloudlets"] for name in ("edge_a", "edge_b")
    ]
    assert listed("bob") == [{"name": name, "hypervisor": "local"} for name in ("edge_a", "edge_b")]
