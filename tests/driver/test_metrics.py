"""What a driver does, as Prometheus sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from meghdwar.driver.control import Event
from meghdwar.driver.follow import Followed, Noted
from meghdwar.driver.hypervisor import Stale, Unreachable
from meghdwar.driver.metrics import Metrics
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.observers import Observers, listeners
from meghdwar.driver.operation import COMPLETED, DOING, DONE, Entry, Operation
from meghdwar.driver.stream import Bad
from meghdwar.driver.watch import HandedOver, Observer
from tests.site import Site

MOVE = Operation("m-1", "move", "arena", "arena", "edge_a", "edge_b", "warm")


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"meghdwar_{name}", labels)


def test_a_real_move_is_counted(site: Site, metrics: Metrics) -> None:
    driver = site.up(site.driver(listener=metrics))
    assert driver.move("arena", "edge_b").status == COMPLETED
    warm = {"kind": "move", "strategy": "warm"}
    assert value(metrics, "operations_total", outcome=COMPLETED, **warm) == 1
    assert value(metrics, "operations_total", kind="build", strategy="", outcome=COMPLETED) == 1
    assert value(metrics, "operations_begun_total", **warm) == 1
    assert value(metrics, "step_seconds_count", step="transfer", outcome=DONE, **warm) == 1
    assert value(metrics, "gap_seconds_count", strategy="warm") == 1
    gap, steps = value(metrics, "gap_seconds_sum", strategy="warm"), 0.0
    for step in ("pause", "transfer", "attach", "wake", "reroute"):
        steps += value(metrics, "step_seconds_sum", step=step, outcome=DONE, **warm) or 0.0
    assert gap is not None
    assert 0 < steps <= gap < 5


def test_an_unreachable_gateway_is_counted_as_tries(metrics: Metrics) -> None:
    error = Unreachable("edge_a", "pause arena", "no answer")
    metrics(Event(MOVE, message=f"pause again: {error}", error=error))
    assert value(metrics, "retries_total", kind="move", step="pause", gateway="edge_a") == 1


def test_the_gap_of_a_move_by_a_stack_is_what_was_seen_of_it(metrics: Metrics) -> None:
    metrics(Event(MOVE, message="begins"))
    for entry in (
        Entry("pause", DOING),
        Entry("pause", DONE, {"way": "detach, by the update of the stack"}),
        Entry("attach", DONE, {"gap_s": 3.5}),
        Entry("reroute", DONE),
    ):
        metrics(Event(MOVE, entry))
    assert value(metrics, "gap_seconds_sum", strategy="warm") == 3.5


def test_bytes_are_counted_once(metrics: Metrics) -> None:
    metrics(Event(MOVE, message="begins"))
    metrics(Event(MOVE, Entry("stage", DOING)))
    metrics(Event(MOVE, Entry("stage", DONE, {"sent_bytes": 1000})))
    metrics(Event(MOVE, Entry("transfer", DONE, {"sent_bytes": 24})))
    assert value(metrics, "sent_bytes_total", strategy="warm") == 1024


def test_sightings_by_what_became_of_them(metrics: Metrics) -> None:
    noted = Noted("arena", "arena", "arena", "edge_a")
    metrics.took(Sighting("anna", 100.0, "c"), [noted])
    metrics.took(Sighting("anna", 99.0, "c"), [Noted("arena", "arena", "arena", "edge_a", dropped="late")])
    metrics.passed_over(Bad("x:1", "no JSON"))
    metrics.followed(Followed(noted, busy="claimed"))
    metrics.followed(Followed(noted, MOVE))
    metrics.lost("finish m-1", Stale("taken over"))
    metrics.failed("look", OSError("no"))
    metrics.looked(3, 1)
    assert [value(metrics, "sightings_total", result=result) for result in ("taken", "late", "bad")] == [1, 1, 1]
    assert [value(metrics, "wishes_total", result=result) for result in ("busy", "running")] == [1, 1]
    assert value(metrics, "newest_sighting_seconds") == 100
    assert value(metrics, "leases_lost_total") == 1
    assert value(metrics, "failures_total", error="OSError") == 1
    assert [value(metrics, name) for name in ("operations_waiting", "operations_working")] == [3, 1]


def test_gateways_that_answer(metrics: Metrics) -> None:
    metrics.reached({"edge_a": True, "edge_b": False})
    metrics.reached({"edge_b": False, "edge_c": True})
    assert [value(metrics, "gateway_reachable", gateway=f"edge_{x}") for x in "abc"] == [None, 0, 1]


def test_they_are_served_on_the_loopback_alone(metrics: Metrics) -> None:
    port = metrics.start(0)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert "meghdwar_operations_working 0.0" in answer.read().decode()
    with pytest.raises(OSError, match="in use"):
        Metrics().start(port)
    assert metrics._servers[0].server.server_address[0] == "127.0.0.1"
    metrics.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)


def test_every_metric_is_in_the_documentation(metrics: Metrics) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text()
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"`{name}`" in page, name


def test_one_that_raises_does_not_keep_the_others_from_hearing() -> None:
    heard: list[str] = []

    def breaks(event: Event) -> None:
        raise ZeroDivisionError

    def stops(event: Event) -> None:
        raise HandedOver("stop")

    with pytest.raises(HandedOver):
        listeners([breaks, lambda event: heard.append(event.operation.id)], stops)(Event(MOVE))

    class Breaks(Observer):
        def passed_over(self, bad: Bad) -> None:
            raise ZeroDivisionError

    class Hears(Observer):
        def passed_over(self, bad: Bad) -> None:
            heard.append(bad.place)

    Observers(Breaks(), Hears()).passed_over(Bad("x:1", ""))
    assert heard == ["m-1", "x:1"]


def test_observers_pass_everything_on() -> None:
    own = {name for name in vars(Observer) if not name.startswith("_")}
    assert own <= set(vars(Observers))
