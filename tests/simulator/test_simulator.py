"""The simulator itself: its histories replay, keep every promise, and do not when a bug is planted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulator import planted
from tests.simulator.__main__ import batch
from tests.simulator.faults import FAULTS
from tests.simulator.history import play, script
from tests.simulator.planted import PLANTED, Planted, caught, copied, plant
from tests.simulator.shrink import shrink, told

FEW = ("the source is not paused", "every driver begins from the beginning", "late sightings count")
DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "moves.md"


def test_every_promise_is_kept() -> None:
    whole = batch(0, 600)
    assert whole.broken == []
    assert set(whole.fired) >= set(FAULTS), "a fault that never happens tests nothing"
    assert whole.ends["move completed"] > 600
    assert whole.ends["move compensated"] > 50
    assert len(whole.shapes) > 100


def test_a_seed_replays_exactly() -> None:
    for seed in (3, 1448):
        one, other = play(script(seed), tracing=True), play(script(seed), tracing=True)
        assert one.trace == other.trace
        assert (one.shapes, one.fired, one.calls) == (other.shapes, other.fired, other.calls)
        assert one.calls > 50


def test_a_seed_is_the_same_in_another_process() -> None:
    command = [sys.executable, "-m", "tests.simulator", "--replay", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=DOCS.parents[2])
    assert done.stdout.strip() == told(script(3))


def test_what_is_broken_is_made_small_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.simulator.gateway import Gateway

    monkeypatch.setattr(Gateway, "pause", lambda self, instance, epoch: "not at all")
    seed = next(seed for seed in range(100) if play(script(seed)).broken)
    small = shrink(script(seed))
    assert small.faults == ()
    assert len(small.turns) <= len(script(seed).turns)
    assert play(small).broken
    text = told(small)
    assert f"seed {seed}: " in text
    assert "transfer doing" in text
    assert play(small).broken in text.splitlines()[-1]


def test_without_faults_everything_is_completed() -> None:
    for seed in range(100):
        turns = tuple(replace(turn, rollback=-1) for turn in script(seed).turns)
        result = play(replace(script(seed), faults=(), turns=turns))
        assert not result.broken
        assert not [end for end in result.ends if end.endswith("compensated")]


# the planted bugs
def test_every_bug_has_its_place_in_the_code(tmp_path: Path) -> None:
    with copied(None) as folder:
        texts = {bug.file: (folder / bug.file).read_text(encoding="utf-8") for bug in PLANTED}
        for bug in PLANTED:
            plant(bug, folder)
            (folder / bug.file).write_text(texts[bug.file], encoding="utf-8")
    assert len({bug.name for bug in PLANTED}) == len(PLANTED) >= 25
    assert all(bug.suffers for bug in PLANTED)


def test_a_bug_that_does_not_fit_the_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot plant 'nowhere'"):
        caught(Planted("nowhere", planted.SAGA, "no such line", "", "nothing"), 1)


@pytest.mark.parametrize("bug", [bug for bug in PLANTED if bug.name in FEW], ids=lambda bug: bug.name)
def test_a_few_of_them_are_caught(bug: Planted) -> None:
    """All of them: python -m tests.simulator.planted."""
    assert caught(bug, 200).startswith("seed ")


def test_nothing_is_caught_where_nothing_is_planted() -> None:
    assert caught(None, 100) == ""


def test_the_list_is_in_the_documentation() -> None:
    assert planted.table() in DOCS.read_text(encoding="utf-8"), "put it there: python -m tests.simulator.planted --list"
