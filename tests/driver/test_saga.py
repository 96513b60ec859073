"""What comes next in an operation: by examples, and by laws that hold for every journal that a driver can leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.driver.handoff import STEPS
from meghdwar.driver.hypervisor import HypervisorError, Stale, Unreachable
from meghdwar.driver.operation import (
    COMPENSATED,
    COMPLETED,
    DOING,
    DONE,
    FAILED,
    FENCED,
    UNDOING,
    UNDONE,
    WAITING,
    Entry,
    Operation,
)
from meghdwar.driver.saga import Act, End, Step, can_turn, next_act, run, turned
from tests.simulator.journal import Lease, MemoryJournal

World = list[str]


def steps_of(shape: str) -> list[Step[World]]:
    """One step for each letter: u can be undone, n cannot, l is undone and leaves."""

    def step(number: int, letter: str) -> Step[World]:
        name = f"{letter}{number}"

        def do(world: World) -> None:
            world.append(f"do {name}")

        def undo(world: World) -> None:
            world.append(f"undo {name}")

        return Step(name, do, None if letter == "n" else undo, leaves=letter == "l")

    return [step(number, letter) for number, letter in enumerate(shape)]


SHAPES = st.text("ul", max_size=4).flatmap(lambda head: st.text("nul", max_size=3).map(lambda tail: head + tail))


@st.composite
def journals(draw: st.DrawFn) -> tuple[list[Step[World]], list[Entry]]:
    """The steps of some operation, and its journal wherever its drivers were cut off."""
    steps = steps_of(draw(SHAPES))
    entries: list[Entry] = []
    for _ in range(draw(st.integers(0, 25))):
        act = next_act(steps, entries)
        if isinstance(act, End):
            break
        entries.append(Entry(act.step.name, act.phase))
        lot = draw(st.integers(0, 9))
        if lot == 0:
            entries.append(Entry("", FENCED))
        elif lot == 1:
            continue  # cut off
        elif act.phase == UNDOING:
            entries.append(Entry(act.step.name, UNDONE))
        elif lot < 4:
            entries.append(Entry(act.step.name, FAILED))
        else:
            entries.append(Entry(act.step.name, DONE))
    return steps, entries


# deciding
def test_forward_one_after_the_other() -> None:
    steps = steps_of("uun")
    assert next_act(steps, []) == Act(steps[0], DOING)
    assert next_act(steps, [Entry("u0", DOING)]) == Act(steps[0], DOING)
    assert next_act(steps, [Entry("u0", DOING), Entry("u0", DONE)]) == Act(steps[1], DOING)
    assert next_act(steps, [Entry(step.name, DONE) for step in steps]) == End(COMPLETED)


def test_back_from_where_it_failed() -> None:
    steps = steps_of("uuu")
    entries = [Entry("u0", DONE), Entry("u1", DOING), Entry("u1", FAILED)]
    assert next_act(steps, entries) == Act(steps[1], UNDOING)
    assert next_act(steps, [*entries, Entry("u1", UNDOING)]) == Act(steps[1], UNDOING)
    assert next_act(steps, [*entries, Entry("u1", UNDONE)]) == Act(steps[0], UNDOING)
    assert next_act(steps, [*entries, Entry("u1", UNDONE), Entry("u0", UNDONE)]) == End(COMPENSATED)


def test_past_the_point_of_no_return_it_is_tried_again() -> None:
    steps = steps_of("unu")
    entries = [Entry("u0", DONE), Entry("n1", DOING), Entry("n1", FAILED)]
    assert next_act(steps, entries) == Act(steps[1], DOING)
    later = [Entry("u0", DONE), Entry("n1", DONE), Entry("u2", FAILED)]
    assert next_act(steps, later) == Act(steps[2], DOING)


def test_an_operators_word_turns_it_forward_again() -> None:
    steps = steps_of("uuu")
    entries = [Entry("u0", DONE), Entry("u1", FAILED), Entry("u1", UNDONE), Entry("u0", UNDOING), Entry("", FENCED)]
    assert next_act(steps, entries) == Act(steps[0], DOING)
    assert next_act(steps, [*entries, Entry("u0", FAILED)]) == Act(steps[0], UNDOING)


@given(journals())
def test_the_decision_is_a_function_of_the_journal(found: tuple[list[Step[World]], list[Entry]]) -> None:
    steps, entries = found
    assert next_act(steps, entries) == next_act(steps, list(entries))


@given(journals())
def test_nothing_is_done_before_what_comes_before_it(found: tuple[list[Step[World]], list[Entry]]) -> None:
    steps, entries = found
    act = next_act(steps, entries)
    last = {entry.step: entry.phase for entry in entries}
    if isinstance(act, End):
        expected = DONE if act.status == COMPLETED else UNDONE
        assert all(last.get(step.name, UNDONE) == expected for step in steps)
    elif act.phase == DOING:
        assert all(last.get(step.name) == DONE for step in steps[: steps.index(act.step)])
    else:
        assert all(last.get(step.name, UNDONE) == UNDONE for step in steps[steps.index(act.step) + 1 :])
        assert act.step.undo is not None


@given(journals())
def test_what_has_no_way_back_is_never_turned(found: tuple[list[Step[World]], list[Entry]]) -> None:
    steps, entries = found
    begun = {entry.step for entry in entries}
    if any(step.undo is None and step.name in begun for step in steps):
        act = next_act(steps, entries)
        assert not can_turn(steps, entries)
        assert act == End(COMPLETED) or (isinstance(act, Act) and act.phase == DOING)


@given(journals())
def test_from_everywhere_it_ends(found: tuple[list[Step[World]], list[Entry]]) -> None:
    """When nothing fails any more, each step is done or undone at most once more."""
    steps, entries = found
    back = turned(entries) and can_turn(steps, entries)
    for _ in range(len(steps) + 1):
        act = next_act(steps, entries)
        if isinstance(act, End):
            assert act.status == (COMPENSATED if back else COMPLETED)
            return
        entries.append(Entry(act.step.name, UNDONE if act.phase == UNDOING else DONE))
    pytest.fail("it does not end")


@pytest.mark.parametrize("kind", STEPS)
def test_the_ways_back_stand_before_the_ways_forward_only(kind: str) -> None:
    ways = [step.undo is not None for step in STEPS[kind]]
    assert ways == sorted(ways, reverse=True), "after a point of no return there is no way back"
    assert len({step.name for step in STEPS[kind]}) == len(ways)


# doing
class Operations:
    """One operation whose drivers come one after the other; a call of the journal or a step may end one."""

    def __init__(self, steps: Sequence[Step[World]]) -> None:
        self.now = 0.0
        self.steps = steps
        self.world: World = []
        self.journal = MemoryJournal(lambda: self.now)
        self.operation, self.lease = self.journal.begin(Operation("m-1", "move", "arena", "arena"), "one")

    def run(self, again: bool = False) -> str:
        return run("m-1", self.steps, self.world, self.journal, self.lease, lambda act, error, tries: again)  # type: ignore[arg-type]

    def take_over(self) -> Lease:
        self.now += 60
        _, self.lease = self.journal.resume("m-1", "another")
        return self.lease

    @property
    def lines(self) -> list[str]:
        return [f"{entry.step} {entry.phase}" for entry in self.journal.lines["m-1"]]


def test_each_step_is_written_down_before_it_is_done() -> None:
    seen: list[tuple[str, list[str]]] = []

    def do(name: str) -> Step[World]:
        return Step(name, lambda world: seen.append((name, made.lines)), lambda world: None)

    made = Operations([do("a"), do("b")])
    assert made.run() == COMPLETED
    assert seen == [("a", ["a doing"]), ("b", ["a doing", "a done", "b doing"])]
    assert made.lines == ["a doing", "a done", "b doing", "b done"]


def failing(error: Exception, undo_error: Exception | None = None, *, leaves: bool = False) -> Step[World]:
    def do(world: World) -> None:
        raise error

    def undo(world: World) -> None:
        if undo_error is not None:
            raise undo_error
        world.append("undo it")

    return Step("it", do, undo, leaves)


def test_what_fails_is_undone() -> None:
    made = Operations([*steps_of("uu"), failing(HypervisorError("edge", "start it", "no"))])
    assert made.run() == COMPENSATED
    assert made.world == ["do u0", "do u1", "undo it", "undo u1", "undo u0"]
    assert made.lines[4:7] == ["it doing", "it failed", "it undoing"]


def test_an_undo_that_fails_waits() -> None:
    error = HypervisorError("edge", "stop it", "no")
    made = Operations([*steps_of("u"), failing(error, error)])
    assert made.run() == WAITING
    assert made.journal.operations["m-1"].error == "cannot stop it at edge: no"
    made.take_over()
    made.steps = [*steps_of("u"), failing(error)]
    assert made.run() == COMPENSATED
    assert made.world == ["do u0", "undo it", "undo u0"]


@pytest.mark.parametrize(
    ("error", "leaves", "status"),
    [
        (Unreachable("edge", "remove it", "no answer"), True, COMPENSATED),
        (Unreachable("edge", "remove it", "no answer"), False, WAITING),
        (HypervisorError("edge", "remove it", "no"), True, WAITING),
    ],
)
def test_only_what_cannot_be_reached_is_left_and_only_where_that_is_harmless(
    error: HypervisorError, leaves: bool, status: str
) -> None:
    made = Operations([failing(error, error, leaves=leaves)])
    assert made.run() == status
    left = [entry.detail.get("left") for entry in made.journal.lines["m-1"] if entry.phase == UNDONE]
    assert left == (["cannot remove it at edge: no answer"] if status == COMPENSATED else [])


def test_a_step_that_leaves_does_not_leave_its_doing() -> None:
    error = Unreachable("edge", "stage it", "no answer")
    made = Operations([failing(error, leaves=True)])
    assert made.run() == COMPENSATED
    assert "it failed" in made.lines


def test_what_asking_again_may_cure_is_asked_again() -> None:
    tries = iter([HypervisorError("edge", "do it", "busy", retry=True), HypervisorError("edge", "do it", "no")])
    asked: list[int] = []

    def do(world: World) -> None:
        raise next(tries)

    made = Operations([Step("it", do, lambda world: None)])

    def again(act: Act[World], error: HypervisorError, count: int) -> bool:
        asked.append(count)
        return True

    assert run("m-1", made.steps, made.world, made.journal, made.lease, again) == COMPENSATED  # type: ignore[arg-type]
    assert asked == [1], "the second cannot be cured, and nobody is asked"


def test_who_was_taken_over_stops() -> None:
    made = Operations(steps_of("uu"))
    old = made.lease
    made.take_over()
    with pytest.raises(Stale):
        run("m-1", made.steps, made.world, made.journal, old, lambda act, error, tries: True)  # type: ignore[arg-type]
    assert made.world == []
    assert made.lines == []


class Gone(Exception):
    """The driver's process ended here."""


@given(st.sampled_from(["uuu", "uun", "unn", "n", "uuuu"]), st.lists(st.integers(0, 12), max_size=4))
def test_wherever_drivers_die_each_step_is_done_and_in_order(shape: str, deaths: list[int]) -> None:
    """A driver dies at its call number so and so, before it or after it; the next one goes on."""
    made = Operations(steps_of(shape))
    for death in deaths:
        if made.journal.operations["m-1"].status == COMPLETED:
            break
        calls = iter(range(100))
        journal = _mortal(made.journal, calls, death)
        try:
            run("m-1", made.steps, made.world, journal, made.lease, lambda act, error, tries: False)  # type: ignore[arg-type]
        except Gone:
            made.take_over()
    if made.journal.operations["m-1"].status != COMPLETED:
        assert made.run() == COMPLETED
    once = [act for number, act in enumerate(made.world) if act not in made.world[:number]]
    assert once == [f"do {step.name}" for step in made.steps]
    order = [once.index(act) for act in made.world]
    assert order == sorted(order), "a step is done again only before the next one"
    assert [line for line in made.lines if line.endswith(" done")] == [f"{step.name} done" for step in made.steps]


def _mortal(journal: MemoryJournal, calls: Iterator[int], death: int) -> MemoryJournal:
    class Mortal(MemoryJournal):
        def write(self, operation_id: str, entries: Sequence[Entry], claim: Lease) -> None:
            number = next(calls)
            if number * 2 == death:
                raise Gone
            super().write(operation_id, entries, claim)
            if number * 2 + 1 == death:
                raise Gone

    return Mortal(journal.now, journal.lease_s, journal.rows, journal.operations, journal.lines)
