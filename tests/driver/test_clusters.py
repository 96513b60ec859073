"""A cluster that changes by itself is followed: who joins, who leaves, whose server was made anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import adoption, mend
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import COMPLETED, DriverError
from meghdwar.driver.tending import Tending
from tests.driver.one_cloud import OneCloud
from tests.driver.test_stacks import ARENA, STACK, driver_of

NODE = "node-AbCdEfGh"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture(scope="module", params=["zed", "plugin"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bundle(release: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("plan")
    assert compile_main(["--heat", release, "-o", str(folder), str(ARENA)]) == 0
    return bundles.read(folder / "arena.plan.yaml")


@pytest.fixture
def cloud() -> OneCloud:
    return OneCloud()


@pytest.fixture
def driver(cloud: OneCloud, bundle: Bundle, tmp_path: Path) -> Iterator[Driver]:
    made = driver_of(cloud, tmp_path / "mdw.db")
    assert [each.status for each in made.up(bundle, stack=STACK)] == [COMPLETED]
    yield made
    made.close()
    made.database.close()


def gateways(driver: Driver) -> list[str]:
    return [each.name for each in driver.inventory.gateways()]


def tend(driver: Driver) -> list[str]:
    return list(Tending(driver).tend("arena"))


def resumed(driver: Driver) -> list[str]:
    return [driver.resume(each.id).status for each in driver.abandoned()]


def test_nothing_is_done_where_nothing_has_changed(driver: Driver) -> None:
    assert Tending(driver).stacks() == ["arena"]
    assert tend(driver) == []
    assert mend.problems(driver) == []


def test_who_joins_becomes_a_gateway_that_cloudlets_move_to(driver: Driver, cloud: OneCloud, release: str) -> None:
    cloud.join(NODE)
    [problem] = mend.problems(driver)
    assert (problem.code, problem.gateway) == ("gateway-joined", NODE)
    assert tend(driver) == [f"{NODE} is a gateway of edges now"]
    assert gateways(driver) == ["edge_a", "edge_b", NODE]
    assert (tend(driver), mend.problems(driver)) == ([], [])
    if release == "plugin":
        assert "volumes only to gateways of its plan" in problem.message
        with pytest.raises(DriverError, match=f"cannot move arena to {NODE}: its cluster has edge_a, edge_b"):
            driver.move("arena", NODE)
        return
    assert driver.move("arena", NODE).status == COMPLETED
    assert cloud.stack is not None
    assert cloud.at == cloud.servers[NODE]["id"] == cloud.stack["parameters"]["arena_server"]
    assert mend.problems(driver) == []
    assert driver.move("arena", "edge_b").status == COMPLETED
    assert [each.status for each in driver.down("arena")] == [COMPLETED]
    assert gateways(driver) == []


def test_who_leaves_takes_nothing_any_more_and_is_forgotten_when_it_is_empty(
    driver: Driver, cloud: OneCloud, release: str
) -> None:
    cloud.join(NODE)
    tend(driver)
    home = NODE if release == "zed" else "edge_b"
    driver.move("arena", home)
    cloud.leave(home)
    [word] = tend(driver)
    assert word == (
        f"nothing is placed at {home} any more: {home} has left edges, and arena had its home there: its state is "
        "whole, on the volume"
    )
    assert tend(driver) == []
    assert "gateway-left" in {problem.code for problem in mend.problems(driver)}
    assert driver.move("arena", "edge_a").status == COMPLETED
    with pytest.raises(DriverError, match=f"cannot move arena to {home}: "):
        driver.move("arena", home)
    if release == "zed":
        assert tend(driver) == [f"{NODE} has left edges and is forgotten"]
        assert (gateways(driver), mend.problems(driver)) == (["edge_a", "edge_b"], [])
    assert tend(driver) == []


def test_a_gateway_of_the_plan_that_left_may_come_back(driver: Driver, cloud: OneCloud, bundle: Bundle) -> None:
    server = cloud.servers["edge_b"]
    cloud.leave("edge_b")
    codes = {problem.code: problem for problem in mend.problems(driver)}
    assert set(codes) == {"gateway-left", "node-missing"}
    assert mend.mend(driver, codes["gateway-left"]).done == (
        "nothing is placed at edge_b any more: edge_b has left edges"
    )
    with pytest.raises(DriverError, match="cannot move arena to edge_b: it has left edges; mdw adopt makes anew"):
        driver.move("arena", "edge_b")
    assert driver.wanted("arena").gateways["edge_b"].capacity == 0, "no subscriber draws anything there"
    assert {problem.code for problem in mend.problems(driver)} == {"node-missing"}
    cloud.servers["edge_b"] = server
    adoption.adopt(driver, bundle, STACK)
    assert mend.problems(driver) == []
    assert driver.move("arena", "edge_b").status == COMPLETED


def test_a_name_that_something_else_has_is_told(driver: Driver, cloud: OneCloud) -> None:
    other = driver.inventory.gateway("edge_a")
    driver.inventory.add_gateway(type(other)(type(other.access)(NODE, "local", "/tmp/x")))  # noqa: S108
    cloud.join(NODE)
    [problem] = [each for each in mend.problems(driver, "arena") if each.code == "gateway-joined"]
    assert f"cannot add gateway {NODE}: there is another one of that name" in mend.mend(driver, problem).error


def test_nobody_has_left_while_somebody_works_on_the_stack(driver: Driver, cloud: OneCloud) -> None:
    assert cloud.stack is not None
    cloud.leave("edge_b")
    cloud.stack["stack_status"] = "UPDATE_IN_PROGRESS"
    assert tend(driver) == []


def test_a_server_that_was_made_anew_gets_its_state_by_itself(driver: Driver, cloud: OneCloud) -> None:
    cloud.heal("edge_a")
    [word] = tend(driver)
    assert word.startswith("arena gets its state again at edge_a, whose server was made anew (h-")
    assert tend(driver) == [], "it is written down once"
    assert resumed(driver) == [COMPLETED]
    assert cloud.at == "server-edge_a-2"
    assert (tend(driver), mend.problems(driver)) == ([], [])


def test_what_is_not_known_to_be_free_is_left_alone(driver: Driver, cloud: OneCloud) -> None:
    cloud.servers["edge_a"] = {**cloud.servers["edge_a"], "id": "another"}  # and the volume is where it was
    assert tend(driver) == []
    cloud.heal("edge_a")
    cloud.attach("")
    cloud.servers["edge_a"]["status"] = "BUILD"
    assert tend(driver) == []


def test_what_somebody_stopped_stays_so(driver: Driver, cloud: OneCloud) -> None:
    driver.power("stop", "arena")
    assert cloud.at == ""
    assert tend(driver) == []


# what a stack leaves behind
def test_what_a_stack_left_is_deleted_when_it_is_gone_already(driver: Driver, cloud: OneCloud, release: str) -> None:
    cloud.policies.append("somebody else's")
    cloud.stack = None  # by hand, or by a mdw down that died after it
    assert [each.status for each in driver.down("arena")] == [COMPLETED]
    assert cloud.policies == (["somebody else's"] if release == "zed" else ["grow", "heal", "somebody else's"])
    assert driver.inventory.leavings("arena") == []


def test_a_down_that_died_is_gone_on_with(
    driver: Driver, cloud: OneCloud, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("meghdwar.driver.senlin.Senlin.remove", die)
        if release == "zed":
            with pytest.raises(KeyboardInterrupt):
                driver.down("arena")
            assert (cloud.stack, cloud.policies) == (None, ["grow", "heal"])
    driver.down("arena")
    assert release == "plugin" or cloud.policies == []
    assert driver.inventory.applications() == []
