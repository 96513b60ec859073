"""Decides what comes next in an operation, purely, and does it: starting and resuming are the same code.

The decision is a function of the steps and the journal's entries alone, so that a simulator can try every history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from meghdwar.driver.hypervisor import Claim, HypervisorError, Unreachable
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
    Journal,
)

S = TypeVar("S")
Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """`do` and `undo` may each run twice, and after a run that was cut off anywhere. A step without `undo` is a point
    of no return: once it is begun, the operation is only finished. What `do` returns is written down as its detail.

    `leaves`: the step only tidies up (its undo, or `do` when it has none). When the gateway cannot be reached in the
    end it is left as it is, which is written down, so that a gateway that never comes back holds nobody up.
    """

    name: str
    do: Callable[[S], Detail | None]
    undo: Callable[[S], Detail | None] | None = None
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Act(Generic[S]):
    """What comes next: `phase` is DOING or UNDOING."""

    step: Step[S]
    phase: str


@dataclass(frozen=True, slots=True)
class End:
    """Nothing comes next: `status` is COMPLETED or COMPENSATED."""

    status: str


def next_act(steps: Sequence[Step[S]], entries: Sequence[Entry]) -> Act[S] | End:
    """What comes next after these entries.

    Forward through the steps in order, until one fails; then back through those that were begun, last first. Past a
    point of no return a failure is only tried again.
    """
    last = {entry.step: entry.phase for entry in entries}
    if turned(entries) and can_turn(steps, entries):
        for step in reversed(steps):
            if last.get(step.name, UNDONE) != UNDONE:
                return Act(step, UNDOING)
        return End(COMPENSATED)
    for step in steps:
        if last.get(step.name) != DONE:
            return Act(step, DOING)
    return End(COMPLETED)


def turned(entries: Sequence[Entry]) -> bool:
    """Whether something failed, so that the operation goes back if it can; what an operator's word that the source is
    fenced came after does not count."""
    for entry in reversed(entries):
        if entry.phase == FENCED:
            return False
        if entry.phase in (FAILED, UNDOING, UNDONE):
            return True
    return False


def can_turn(steps: Sequence[Step[S]], entries: Sequence[Entry]) -> bool:
    """Whether every step that was begun can be undone."""
    begun = {entry.step for entry in entries}
    return all(step.undo is not None for step in steps if step.name in begun)


def run(
    operation_id: str,
    steps: Sequence[Step[S]],
    scene: S,
    journal: Journal,
    claim: Claim,
    again: Callable[[Act[S], HypervisorError, int], bool],
    tell: Callable[[Entry], None] = lambda entry: None,
) -> str:
    """Works an operation until it is ended or cannot go on, and returns COMPLETED, COMPENSATED or WAITING.

    `again(act, error, tries)` says whether to try once more after an error that asking again may cure, and takes the
    time that it needs to wait; `tell` hears of each entry as it comes to be. Raises Stale when somebody else has taken
    over, and JournalError; whatever it raises, `run` with the same operation goes on from there.
    """
    entries = list(journal.entries(operation_id))
    unwritten: list[Entry] = []
    while True:
        act = next_act(steps, entries)
        if isinstance(act, End):
            journal.end(operation_id, act.status, unwritten, claim)
            return act.status
        begun = Entry(act.step.name, act.phase, epoch=claim.epoch)
        if not _stands(entries, begun):
            journal.write(operation_id, [*unwritten, begun], claim)
            entries.append(begun)
            unwritten = []
        tell(begun)
        outcome = _perform(act, scene, claim, again)
        if isinstance(outcome, Unreachable) and _may_leave(act):
            outcome = Entry(act.step.name, _ENDS[act.phase], {"left": str(outcome)}, claim.epoch)
        if isinstance(outcome, HypervisorError):
            if act.phase == UNDOING or not can_turn(steps, entries):
                journal.wait(operation_id, str(outcome), claim)
                return WAITING
            outcome = Entry(act.step.name, FAILED, {"error": str(outcome)}, claim.epoch)
        tell(outcome)
        entries.append(outcome)
        unwritten.append(outcome)


def _stands(entries: Sequence[Entry], begun: Entry) -> bool:
    """Whether this very beginning is the last line, so that it need not be written again."""
    return bool(entries) and (entries[-1].step, entries[-1].phase) == (begun.step, begun.phase)


_ENDS = {DOING: DONE, UNDOING: UNDONE}


def _may_leave(act: Act[S]) -> bool:
    return act.step.leaves and (act.phase == UNDOING or act.step.undo is None)


def _perform(
    act: Act[S], scene: S, claim: Claim, again: Callable[[Act[S], HypervisorError, int], bool]
) -> Entry | HypervisorError:
    work = act.step.do if act.phase == DOING else act.step.undo
    assert work is not None  # noqa: S101 - next_act turns only where every step has its undo
    tries = 0
    while True:
        try:
            detail = work(scene) or {}
        except HypervisorError as error:
            tries += 1
            if not error.retry or not again(act, error, tries):
                return error
        else:
            return Entry(act.step.name, _ENDS[act.phase], detail, claim.epoch)
