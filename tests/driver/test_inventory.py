"""The inventory in a database: names, what may be added, replaced and removed, and how full a gateway is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import (
    ApplicationRecord,
    GatewayRecord,
    InstanceRecord,
    SubscriberRecord,
    Taken,
    Task,
    Unknown,
)
from meghdwar.driver.operation import COMPENSATED, COMPLETED, Entry, Operation
from meghdwar.driver.sql_inventory import SqlInventory

EDGE = GatewayRecord(Access("edge_a", "local", "/srv/a", options={"pool": "fast"}), 5.0)
GAME = ApplicationRecord("game", "sha256:1", "sha256:2", "plan", parameters='{"flavor": "small"}')
ARENA = Instance("arena", "game", "arena", "container", "counter")


@pytest.fixture
def opened(url: str) -> Iterator[database.Database]:
    found = database.open(url)
    yield found
    found.close()


@pytest.fixture
def inventory(opened: database.Database) -> SqlInventory:
    return opened.inventory


def test_what_is_added_is_found(inventory: SqlInventory) -> None:
    inventory.add_gateway(EDGE)
    inventory.add_application(GAME)
    inventory.add_instance(InstanceRecord(ARENA, "edge_a"))
    assert inventory.gateway("edge_a") == EDGE
    assert inventory.gateways() == [EDGE]
    assert inventory.application("game") == GAME
    assert inventory.applications() == [GAME]
    assert inventory.instance("arena") == inventory.find_instance("arena") == InstanceRecord(ARENA, "edge_a")
    assert inventory.find_instance("arena-2") is None


def test_lists_are_sorted_and_chosen_from(inventory: SqlInventory) -> None:
    for name, application, gateway in [("b", "game", "edge_a"), ("a", "film", "edge_a"), ("B", "game", "edge_b")]:
        record = InstanceRecord(replace(ARENA, name=name, application=application), gateway)
        inventory.add_instance(record)
    assert [each.name for each in inventory.instances()] == ["B", "a", "b"]
    assert [each.name for each in inventory.instances(application="game")] == ["B", "b"]
    assert [each.name for each in inventory.instances(gateway="edge_a")] == ["a", "b"]
    assert [each.name for each in inventory.instances("game", "edge_a")] == ["b"]
    assert [each.name for each in inventory.instances_of(None)] == ["B", "a", "b"], "in the order of every database"
    assert [each.name for each in inventory.instances_of(["game", "none"])] == ["B", "b"]
    of_game = inventory.instances_of(["game"])
    assert sorted(inventory.homes_of(["game", "none"])) == sorted(("game", i.name, i.gateway) for i in of_game)
    assert inventory.homes_of([]) == []
    assert [each.name for each in inventory.instances_of(["game", "film"], gateway="edge_a", after="a")] == ["b"]
    assert [each.name for each in inventory.instances_of(None, after="B", limit=1)] == ["a"]
    assert inventory.instances_of([]) == []


def test_a_gateway_that_was_made_known_just_now_says_when(inventory: SqlInventory) -> None:
    inventory.add_gateway(replace(EDGE, added_at=0.0))
    assert inventory.gateway("edge_a").added_at > 1.7e9


def test_names_that_nobody_has_get_the_nearest(inventory: SqlInventory) -> None:
    inventory.add_gateway(EDGE)
    inventory.put_subscriber(SubscriberRecord("game", "anna"), expected_seen_at=None)
    with pytest.raises(Unknown, match=r"^cannot find gateway 'edge_b': did you mean 'edge_a'\?$"):
        inventory.gateway("edge_b")
    with pytest.raises(Unknown, match="did you mean 'anna'"):
        inventory.subscriber("game", "ana")
    for ask in (inventory.application, inventory.instance):
        with pytest.raises(Unknown, match="there is none here"):
            ask("game")


def test_adding_the_same_again_changes_nothing_and_another_is_taken(inventory: SqlInventory) -> None:
    inventory.add_gateway(EDGE)
    inventory.add_gateway(replace(EDGE, added_at=9.0))
    assert inventory.gateway("edge_a") == EDGE
    moved = replace(EDGE, access=replace(EDGE.access, endpoint="/srv/b"))
    with pytest.raises(Taken, match="cannot add gateway edge_a: there is another one of that name"):
        inventory.add_gateway(moved)
    inventory.add_gateway(moved, replace=True)
    assert inventory.gateway("edge_a") == moved
    inventory.add_application(GAME)
    with pytest.raises(Taken):
        inventory.add_application(replace(GAME, digest="sha256:3"))
    inventory.add_instance(InstanceRecord(ARENA, "edge_a"))
    inventory.add_instance(InstanceRecord(ARENA))
    assert inventory.instance("arena").gateway == "edge_a"
    with pytest.raises(Taken):
        inventory.add_instance(InstanceRecord(replace(ARENA, cpus=2)))


def test_what_is_in_use_is_not_removed(opened: database.Database) -> None:
    inventory, journal = opened.inventory, opened.journal
    inventory.add_gateway(EDGE)
    inventory.add_application(GAME)
    inventory.add_instance(InstanceRecord(ARENA, "edge_a"))
    inventory.put_subscriber(SubscriberRecord("game", "anna"), expected_seen_at=None)
    operation, claim = journal.begin(Operation("", "terminate", "game", "arena", "edge_a"), "one")
    with pytest.raises(Taken, match="cannot remove gateway edge_a: 1 instances are there"):
        inventory.remove_gateway("edge_a")
    with pytest.raises(Taken, match="cannot remove application game: 1 instances of it are left"):
        inventory.remove_application("game")
    with pytest.raises(Taken, match=f"cannot remove instance arena: {operation.id} is not ended"):
        inventory.remove_instance("arena")
    journal.place("arena", None, claim)
    journal.end(operation.id, COMPLETED, [], claim)
    for _ in range(2):  # what is not there is removed
        inventory.remove_instance("arena")
        inventory.remove_gateway("edge_a")
        inventory.remove_application("game")
    assert inventory.subscribers("game") == []
    assert journal.operation(operation.id).status == COMPLETED, "what was done is still told"


def test_a_gateway_is_as_full_as_what_is_there_and_what_comes(opened: database.Database) -> None:
    inventory, journal = opened.inventory, opened.journal
    for number in range(3):
        inventory.add_instance(InstanceRecord(replace(ARENA, name=f"arena-{number}"), "edge_a"))

    def counts() -> tuple[int, int]:
        together = inventory.counts()
        for gateway in ("edge_a", "edge_b"):
            assert together.get(gateway, 0) == inventory.count_at(gateway)
        return inventory.count_at("edge_a"), inventory.count_at("edge_b")

    assert counts() == (3, 0)
    operation, claim = journal.begin(Operation("", "move", "game", "arena-0", "edge_a", "edge_b"), "one")
    assert counts() == (3, 1), "on its way it needs room at both"
    journal.place("arena-0", "edge_b", claim)
    assert counts() == (2, 1)
    journal.end(operation.id, COMPLETED, [], claim)
    assert counts() == (2, 1)
    operation, claim = journal.begin(Operation("", "move", "game", "arena-1", "edge_a", "edge_b"), "one")
    assert journal.unended(["arena-0", "arena-1", "arena-9"]) == {"arena-1": operation}
    journal.end(operation.id, COMPENSATED, [], claim)
    assert counts() == (2, 1)
    assert journal.unended(["arena-0", "arena-1"]) == journal.unended([]) == {}


def test_what_several_operations_wrote(opened: database.Database) -> None:
    inventory, journal = opened.inventory, opened.journal
    wrote = {}
    for number in range(3):
        inventory.add_instance(InstanceRecord(replace(ARENA, name=f"arena-{number}"), "edge_a"))
        operation, claim = journal.begin(Operation("", "stop", "game", f"arena-{number}", "edge_a"), "one")
        journal.write(operation.id, [Entry(f"step-{n}", "doing", {"n": n} if n else {}) for n in range(number)], claim)
        wrote[operation.id] = journal.entries(operation.id)
    assert journal.entries_of(list(wrote)) == wrote
    assert [len(each) for each in wrote.values()] == [0, 1, 2]
    assert journal.entries_of([]) == {}


def test_a_subscriber_is_put_where_nobody_was_quicker(inventory: SqlInventory) -> None:
    first = SubscriberRecord("game", "anna", 5.5, '{"cell": 1}')
    assert inventory.find_subscriber("game", "anna") is None
    assert inventory.put_subscriber(first, expected_seen_at=0.0)
    assert not inventory.put_subscriber(replace(first, seen_at=6.0), expected_seen_at=None)
    assert not inventory.put_subscriber(replace(first, seen_at=6.0), expected_seen_at=5.0)
    assert inventory.subscriber("game", "anna") == first
    assert inventory.put_subscriber(replace(first, seen_at=6.0), expected_seen_at=5.5)
    assert inventory.subscribers("game") == [replace(first, seen_at=6.0)]


def test_of_many_that_put_a_subscriber_at_once_one_wins_each_time(inventory: SqlInventory) -> None:
    def put(number: int) -> int:
        won = 0
        for at in range(1, 6):
            record = SubscriberRecord("game", "anna", float(at), f'"{number}"')
            won += inventory.put_subscriber(record, expected_seen_at=at - 1.0)
        return won

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(put, range(6))) == 5


# what servers were asked to do
def test_what_was_asked_for_last_counts(inventory: SqlInventory) -> None:
    inventory.put_task(Task("game", "up", asked_at=5.0))
    inventory.fail_task("game", "up", "the gateway is away")
    assert inventory.tasks() == [Task("game", "up", "the gateway is away", 5.0)]
    inventory.put_task(Task("game", "down", asked_at=6.0))
    inventory.fail_task("game", "up", "too late")
    inventory.end_task("game", "up")
    assert inventory.find_task("game") == Task("game", "down", "", 6.0)
    inventory.end_task("game", "down")
    assert inventory.tasks() == []
    inventory.put_task(Task("film", "down"))
    assert inventory.tasks()[0].asked_at > 1e9, "the database's clock"


def test_a_project_has_its_applications_and_a_task_goes_with_one(inventory: SqlInventory) -> None:
    theirs = replace(GAME, project="red", title="shop")
    inventory.add_application(theirs)
    assert inventory.application("game") == theirs
    assert (inventory.applications("red"), inventory.applications("blue")) == ([theirs], [])
    assert (inventory.application_names("red"), inventory.application_names("blue")) == (["game"], [])
    inventory.put_task(Task("game", "down"))
    inventory.remove_application("game")
    assert inventory.find_task("game") is None
