"""Applications in a stack: up, moved, adopted and down, and what is said when the cloud does not play along."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import adoption, database, mend, picture
from meghdwar.driver.account import account
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.control import Driver
from meghdwar.driver.hypervisor import HypervisorError, Power, Refused, Stale, Unbounded
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import COMPENSATED, COMPLETED, WAITING, DriverError
from meghdwar.driver.stacks import StackName, Stacks
from tests.driver.one_cloud import OneCloud

ARENA = Path(__file__).parents[1] / "lab" / "arena.tosca.yaml"
STACK = StackName("one", "arena")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    assert compile_main(["--heat", "plugin", "-o", str(folder), str(ARENA)]) == 0
    return folder / "arena.plan.yaml"


@pytest.fixture
def bundle(plan: Path) -> Bundle:
    return bundles.read(plan)


@pytest.fixture
def cloud() -> OneCloud:
    return OneCloud()


def driver_of(cloud: OneCloud, where: Path) -> Driver:
    stacks = Stacks(connect=lambda name, project: cast(Cloud, cloud))
    return Driver(database.open(str(where)), stacks=stacks, patience_s=0.0)


@pytest.fixture
def driver(cloud: OneCloud, tmp_path: Path) -> Iterator[Driver]:
    made = driver_of(cloud, tmp_path / "mdw.db")
    yield made
    made.close()
    made.database.close()


def arena(driver: Driver) -> Instance:
    return driver.inventory.instance("arena").instance


def home(driver: Driver) -> str | None:
    return driver.inventory.instance("arena").gateway


def test_a_life(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    assert [each.status for each in driver.up(bundle, stack=STACK)] == [COMPLETED]
    assert driver.up(bundle, stack=STACK) == []
    assert {each.access.hypervisor for each in driver.inventory.gateways()} == {"nova"}
    assert cloud.volume["metadata"] == {"meghdwar_epoch": "1", "meghdwar_writer": "edge_a"}
    cloud.acts.clear()
    assert driver.move("arena", "edge_b").status == COMPLETED
    assert [act for act in cloud.acts if "metadata" not in act] == ["PATCH /stacks/arena/s1"], "one update, no more"
    assert (cloud.at, home(driver)) == ("server-edge_b-1", "edge_b")
    assert cloud.volume["metadata"] == {"meghdwar_epoch": "2", "meghdwar_writer": "edge_b"}
    assert mend.problems(driver) == []
    assert [each.status for each in driver.down("arena")] == [COMPLETED]
    assert cloud.stack is None
    assert driver.inventory.gateways() == []
    assert driver.inventory.applications() == []


def test_the_gap_is_how_long_the_volume_was_nowhere(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.looks = 12
    moved = driver.move("arena", "edge_b")
    assert moved.status == COMPLETED
    assert account(driver.journal.entries(moved.id)).gap_s is not None
    cloud.looks = 0
    moved = driver.move("arena", "edge_a")  # so quickly that nobody has seen it
    assert moved.status == COMPLETED
    assert account(driver.journal.entries(moved.id)).gap_s is None


def test_what_a_gap_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last look that found it elsewhere to the first that finds it there, whatever was in between."""
    looks = {10.0: ("in-use", "a"), 11.0: ("detaching", "a"), 12.0: ("available", ""), 13.5: ("in-use", "b")}
    now = 0.0
    monkeypatch.setattr(picture.time, "monotonic", lambda: now)

    class Cinder:
        def volume(self, volume: str) -> Mapping[str, Any]:
            status, server = looks[now]
            return {"status": status, "attachments": [{"server_id": server}]}

        def look_ahead(self, gateway: str) -> None:
            assert gateway == "edge_b"

    watched = picture._Watched(cast(picture.Picture, Cinder()), "arena", "edge_b", "v", "b")
    for now in looks:  # noqa: B007 - it is the clock
        assert watched.gap_s is None
        watched.look()
    assert watched.gap_s == 3.5


def test_a_stack_that_was_made_anew_is_found_by_its_name(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    assert cloud.stack is not None
    made, cloud.stack["id"] = cloud.stack["id"], "s2"
    application = driver.inventory.application("arena")
    pictured = driver.stacks.picture(application, bundle)
    pictured._path = f"arena/{made}"
    cloud.gone.add(f"/stacks/arena/{made}")
    assert pictured.found().id == "s2"
    assert pictured.look() is not None


def test_a_server_that_was_made_anew_is_looked_up_anew(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    pictured = driver.stacks.picture(driver.inventory.application("arena"), bundle)
    before = pictured.server("edge_b")
    cloud.heal("edge_b")
    after = pictured.server("edge_b")
    assert (before or {})["id"] == "server-edge_b-1"
    assert (after or {})["id"] == "server-edge_b-2"


def test_nothing_is_made_where_something_is_missing(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    cloud.hidden = {"OS::Senlin::Node", "OS::Senlin::Cluster"}
    with pytest.raises(DriverError, match=r"(?s)cannot bring arena up in one; nothing was made:.*Cluster.*Node"):
        driver.up(bundle, stack=STACK)
    assert cloud.acts == ["POST /validate"]
    assert driver.inventory.applications() == []
    assert driver.inventory.gateways() == []


def test_a_move_whose_update_fails_goes_back(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.fails = ["no host"]
    assert driver.move("arena", "edge_b").status == COMPENSATED
    assert (cloud.at, home(driver)) == ("server-edge_a-1", "edge_a")
    assert cloud.volume["metadata"]["meghdwar_writer"] == "edge_a"
    assert cloud.stack is not None
    assert cloud.stack["parameters"]["arena_at"] == "edge_a"
    assert mend.problems(driver) == []


def test_a_move_without_heat_waits_and_goes_on(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.fails = ["no host"] * 4
    waits = driver.move("arena", "edge_b")
    assert waits.status == WAITING
    assert "no host" in waits.error
    cloud.fails = []
    assert driver.resume(waits.id).status == COMPENSATED
    assert (cloud.at, home(driver)) == ("server-edge_a-1", "edge_a")


def test_a_move_to_a_gateway_without_a_server_does_not_begin(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.servers["edge_b"]["status"] = "ERROR"
    operation = driver.move("arena", "edge_b")
    assert operation.status == COMPENSATED
    assert [act for act in cloud.acts if act.startswith("PATCH")] == []


def test_a_stack_that_is_gone_is_named(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.stack = None
    assert "stack-missing" in {problem.code for problem in mend.problems(driver)}
    with pytest.raises(DriverError, match="cannot go on with arena: its stack one/arena is gone"):
        driver.move("arena", "edge_b")
    with pytest.raises(DriverError, match=r"cannot go on with arena: its stack one/arena is gone.*mdw down arena"):
        driver.up(bundle, stack=STACK)
    assert [each.status for each in driver.down("arena")] == [COMPLETED]
    assert [each.status for each in driver.up(bundle, stack=STACK)] == [COMPLETED]


def test_a_move_that_was_cut_off_does_not_keep_a_stack_that_is_gone(
    driver: Driver, cloud: OneCloud, bundle: Bundle
) -> None:
    driver.up(bundle, stack=STACK)
    cloud.fails = ["no host"] * 4
    assert driver.move("arena", "edge_b").status == WAITING
    cloud.stack = None
    driver.down("arena")
    assert driver.inventory.applications() == []


def test_a_silent_cloud_keeps_a_move_from_beginning(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.silent = {"orchestration"}
    with pytest.raises((CloudError, HypervisorError, DriverError), match="no answer from orchestration"):
        driver.move("arena", "edge_b")
    assert {"cloud-silent"} <= {problem.code for problem in mend.problems(driver)}


def test_a_server_that_was_made_anew_gets_its_state_again(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    cloud.heal("edge_a")
    found = mend.problems(driver)
    assert {problem.code for problem in found} == {"stopped", "volume-elsewhere"}
    for problem in found:
        mend.mend(driver, problem)
    assert cloud.at == "server-edge_a-2"
    assert mend.problems(driver) == []


def test_a_stack_that_somebody_created_is_adopted(
    driver: Driver, cloud: OneCloud, bundle: Bundle, plan: Path, tmp_path: Path
) -> None:
    body = {"stack_name": "arena", "template": bundle.files[bundle.template], "parameters": {"arena_at": "edge_b"}}
    cloud.ask("orchestration", "POST", "/stacks", body)
    found = adoption.plan_of(driver, STACK, [plan])
    assert [each.status for each in adoption.adopt(driver, found, STACK)] == [COMPLETED]
    assert (cloud.at, home(driver)) == ("server-edge_b-1", "edge_b")
    assert adoption.adopt(driver, found, STACK) == []

    other = driver_of(cloud, tmp_path / "other.db")  # the first database was lost
    assert adoption.adopt(other, adoption.plan_of(other, STACK, [plan]), STACK) == []
    assert home(other) == "edge_b"
    assert cloud.volume["metadata"] == {"meghdwar_epoch": "2", "meghdwar_writer": "edge_b"}
    assert "newer-epoch" in {problem.code for problem in mend.problems(driver)}
    other.database.close()


def test_a_parameter_that_was_changed_by_hand_is_told_and_set_right(
    driver: Driver, cloud: OneCloud, bundle: Bundle
) -> None:
    driver.up(bundle, stack=STACK)
    cloud.ask("orchestration", "PATCH", "/stacks/arena", {"parameters": {"arena_at": "edge_b"}})
    assert {"stack-disagrees", "volume-elsewhere"} <= {problem.code for problem in mend.problems(driver)}
    adoption.adopt(driver, bundle, STACK)
    assert cloud.at == "server-edge_a-1"
    assert mend.problems(driver) == []


def test_only_the_plan_of_a_stack_goes_with_it(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    cloud.ask(
        "orchestration",
        "POST",
        "/stacks",
        {"stack_name": "arena", "template": bundle.files[bundle.template], "parameters": {}},
    )
    with pytest.raises(DriverError, match="cannot adopt stack one/arena: no plan file was found; give the plan file"):
        adoption.plan_of(driver, STACK, [])
    assert cloud.stack is not None
    cloud.stack["outputs"] = []
    with pytest.raises(CloudError, match="it has no output meghdwar_plan"):
        adoption.plan_of(driver, STACK, [])
    cloud.stack["stack_status"] = "CREATE_FAILED"
    with pytest.raises(CloudError, match="cannot adopt stack one/arena: it is CREATE_FAILED"):
        adoption.plan_of(driver, STACK, [])


def test_gateways_of_two_stacks_have_two_names(driver: Driver, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    driver.inventory.remove_instance("arena")
    driver.inventory.remove_application("arena")
    with pytest.raises(DriverError, match="is known already as a gateway of the stack one/arena"):
        driver.admit(driver.record(bundle, stack=StackName("one", "other")))


def test_of_anothers_stack_no_more_is_said_than_that_there_is_one(driver: Driver, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    other = driver.record(bundles.called(bundle, "other"), project="red", stack=StackName("one", "other"))
    with pytest.raises(DriverError, match="is known already as a gateway of a stack of another project;"):
        driver.admit(other)


def test_a_stack_has_a_name_that_heat_takes() -> None:
    for name in ("", "1st", "a/b", "../x", "a" * 256):
        with pytest.raises(DriverError, match="cannot call a stack"):
            StackName("one", name)
    assert StackName.read("my/cloud/arena") == StackName("my/cloud", "arena")


def test_what_was_given_to_a_stack_is_known_again(bundle: Bundle) -> None:
    told = {"driver_ca": "PEM", "arena_at": "edge_b", "OS::project_id": "p", "other": "1"}
    assert adoption.inputs_of(bundle, told) == {"driver_ca": "PEM"}


# the rules of a hypervisor
def test_an_older_epoch_is_refused(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    server = driver.hypervisor("edge_a")
    server.hold(arena(driver), Unbounded(7))
    for act in (server.hold, server.start, server.stop, server.pause, server.resume, server.remove):
        if act == server.start:
            continue  # it starts nothing: the server runs
        with pytest.raises(Stale):
            act(arena(driver), Unbounded(6))
    assert cloud.at == "server-edge_a-1"


def test_what_may_not_write_gets_no_state(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    driver.up(bundle, stack=STACK)
    instance, other = arena(driver), driver.hypervisor("edge_b")
    with pytest.raises(Refused):
        other.attach(instance, instance.disks[0], Unbounded(1))
    with pytest.raises(Refused):
        other.resume(instance, Unbounded(1))
    with pytest.raises(Refused):
        driver.hypervisor("edge_a").remove(instance, Unbounded(1))
    assert cloud.at == "server-edge_a-1"
    assert other.look(instance).power is Power.ABSENT
    assert [seen.name for seen in driver.hypervisor("edge_a").inventory()] == ["arena"]
    assert other.inventory() == ()
