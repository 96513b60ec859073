"""What an operation took, from its entries; what a move would cost, from what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meghdwar.driver.account import Account, Took, account, recovered
from meghdwar.driver.handoff import MOVE
from meghdwar.driver.hypervisor import Capabilities, Cost
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.operation import DOING, DONE, FAILED, UNDOING, UNDONE, Entry, Fenced, Operation
from meghdwar.driver.preview import LIVE, WORDS, Preview, preview

GB = 10**9
WHOLE = [
    Entry("stage", DOING, at=10.0),
    Entry("stage", DONE, {"sent_bytes": 500}, at=12.0),
    Entry("pause", DOING, at=12.0),
    Entry("pause", DONE, {"way": "signals"}, at=12.1),
    Entry("transfer", DOING, at=12.1),
    Entry("transfer", DONE, {"sent_bytes": 20}, at=12.2),
    Entry("reroute", DOING, at=12.2),
    Entry("reroute", DONE, at=12.25),
    Entry("retire", DOING, at=12.25),
    Entry("retire", DONE, at=13.0),
]


def test_a_whole_move() -> None:
    found = account(WHOLE)
    assert found.gap_s == pytest.approx(0.25)
    assert (found.sent_bytes, found.seconds, found.way) == (520, 3.0, "signals")
    assert found.steps[0] == Took("stage", DONE, 2.0)


def test_one_that_was_not_rerouted_has_no_gap() -> None:
    assert account(WHOLE[:6]).gap_s is None
    assert account([]) == Account((), None, 0, 0.0)


def test_one_that_went_on_running_has_no_gap_either() -> None:
    live = [replace(e, detail={"way": "none: it goes on running"}) if e.detail.get("way") else e for e in WHOLE]
    assert account(live).gap_s is None


def test_where_attaching_elsewhere_is_the_pause_the_gap_is_what_was_seen_of_it() -> None:
    way = {"way": "detach, by the update of the stack"}
    moved = [replace(e, detail=way) if e.detail.get("way") else e for e in WHOLE]
    assert account(moved).gap_s is None, "nobody saw it"
    attached = Entry("attach", DONE, {"gap_s": 0.125}, at=12.2)
    assert account([*moved[:-3], attached, *moved[-3:]]).gap_s == 0.125


def test_tries_and_ways_back() -> None:
    entries = [
        Entry("stage", DOING, at=1.0),
        Entry("stage", DOING, at=2.0),
        Entry("stage", FAILED, {"error": "full"}, at=4.0),
        Entry("stage", UNDOING, at=4.0),
    ]
    assert account(entries).steps == (Took("stage", FAILED, 3.0, 2), Took("stage", UNDOING, None))
    done = account([*entries, Entry("stage", UNDONE, at=5.0)])
    assert done.steps[1] == Took("stage", UNDONE, 1.0)


# previews
ARENA = Instance("arena", "arena", "arena", "container", "c", disks=(Disk("arena-saves", GB, "/data"),))
OPERATION = Operation("", "move", "arena", "arena", "edge_a", "edge_b", "warm")
ABLE = Capabilities(
    "local", {"cold": Cost(0.2, 1.0), "warm": Cost(0.1, 0.3), "live": Cost(0.4)}, "atomic", "content", True
)
SLOW = replace(ABLE, strategies={"cold": Cost(0.5, 2.0), "warm": Cost(0.1)})


def made(operation: Operation = OPERATION, instance: Instance = ARENA, **changes: object) -> Preview:
    given: dict[str, object] = {
        "steps": [step.name for step in MOVE],
        "max_downtime_s": 0.5,
        "used": 1,
        "capacity": 4,
        "routed": "a route",
    }
    able, past = changes.pop("able", (ABLE, ABLE)), changes.pop("past", {})
    return preview(operation, instance, able, past, **given | changes)  # type: ignore[arg-type]


def test_every_step_of_a_move_has_words_and_the_same_ways_back() -> None:
    for words in (WORDS, LIVE):
        assert list(words) == [step.name for step in MOVE]
        assert [back is None for _, back in words.values()] == [step.undo is None for step in MOVE]


def test_without_moves_the_slower_of_both_hypervisors_counts() -> None:
    told = {choice.strategy: choice for choice in made(able=(ABLE, SLOW)).choices}
    assert {name: choice.gap_s for name, choice in told.items()} == {"cold": 2.5, "warm": 0.4}
    assert (told["warm"].fits, told["cold"].fits, told["warm"].chosen) == (True, False, True)


def test_moves_that_were_made_count_more() -> None:
    past = {"warm": [Account((), gap, sent, 1.0) for gap, sent in ((0.2, 10), (0.9, 30), (0.7, 20), (None, 40))]}
    told = made(past=past).chosen
    assert (told.gap_s, told.moves, told.sent_bytes, told.fits) == (0.7, 3, 25, False)


def test_a_gap_that_is_too_long_is_warned_of_with_a_way_out() -> None:
    assert made().warnings == ()
    told = made(replace(OPERATION, strategy="cold")).warnings
    assert told == ("the gap of cold is about 1.2 s, and max_downtime is 0.5 s; warm takes about 0.4 s",)
    assert made(replace(OPERATION, strategy="cold"), max_downtime_s=None).warnings == ()


def test_words_follow_the_strategy_and_the_state() -> None:
    def does(strategy: str, step: str, instance: Instance = ARENA) -> str:
        lines = made(replace(OPERATION, strategy=strategy), instance).lines
        return next(line.does for line in lines if line.step == step)

    assert "waiting for its state" in does("warm", "stage")
    assert "state" not in does("cold", "stage")
    assert "while it runs" in does("live", "transfer")
    files = replace(ARENA, files=(Files("scores", ("/scores",), 1000),))
    assert "by version" in does("cold", "transfer", files)
    assert made(instance=files).size_bytes == GB + 1000


# what was recovered
def test_what_a_move_without_its_source_went_on_with_is_said() -> None:
    fenced = replace(OPERATION, fenced=Fenced("kim", 1.0))
    stage = Entry("stage", DONE)

    def said(known: object, operation: Operation = fenced) -> str:
        return recovered(operation, [stage, Entry("transfer", DONE, {} if known is None else {"recovered": known})])

    assert said({"maps": 1.5, "saves": 2.25}) == (
        "maps as it was at 1970-01-01T00:00:01.500Z, saves as it was at 1970-01-01T00:00:02.250Z; whatever edge_a "
        "wrote after that is lost"
    )
    assert said(None) == said({}) == "all that edge_a had written: nothing is lost"
    paused = "progress as it was when edge_a was paused; whatever edge_a wrote after that is lost"
    assert said({"progress": None}) == paused
    assert said({"saves": 2.25}, OPERATION) == ""
    assert said({"saves": 2.25}, replace(fenced, fenced=Fenced("kim", 1.0, gateway="edge_b"))) == ""
    assert recovered(fenced, [stage]) == ""
