"""What an operation took, read from its journal: each step's time, the gap that subscribers saw, the bytes sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from meghdwar.driver.operation import DOING, DONE, FAILED, UNDOING, UNDONE, Entry, Operation

NOT_PAUSED = "none"  # how the way of a pause begins that is none
BY_ATTACH = "detach"  # and of one that attaching elsewhere does


@dataclass(frozen=True, slots=True)
class Took:
    """One step, done or undone: `phase` is how it ended (done, failed or undone), or doing or undoing when it has
    not; `tries` counts how often it was begun, after crashes too."""

    step: str
    phase: str
    seconds: float | None
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Account:
    """`gap_s` is from the beginning of `pause` to the end of `reroute`: None when it was not paused and rerouted, or
    went on running (`live`: what a subscriber misses then is nowhere in the journal). Where attaching the state at the
    target is what takes it from the source, it is how long the state was at neither, and None when nobody saw that.
    `way` is how it was paused."""

    steps: tuple[Took, ...]
    gap_s: float | None
    sent_bytes: int
    seconds: float
    way: str = ""


def account(entries: Sequence[Entry]) -> Account:
    """What these entries of one operation say. Their times are as exact as the journal's: a step's end is written
    with the next step's beginning."""
    paused = next((entry.at for entry in entries if (entry.step, entry.phase) == ("pause", DOING)), None)
    routed = next((entry.at for entry in entries if (entry.step, entry.phase) == ("reroute", DONE)), None)
    way = next((str(entry.detail["way"]) for entry in entries if "way" in entry.detail), "")
    gap_s = None if paused is None or routed is None or way.startswith(NOT_PAUSED) else routed - paused
    if way.startswith(BY_ATTACH) and gap_s is not None:
        gap_s = next((float(entry.detail["gap_s"]) for entry in entries if "gap_s" in entry.detail), None)
    return Account(
        steps=tuple(_steps(entries)),
        gap_s=gap_s,
        sent_bytes=sum(int(entry.detail.get("sent_bytes", 0)) for entry in entries if entry.phase == DONE),
        seconds=entries[-1].at - entries[0].at if entries else 0.0,
        way=way,
    )


def why(entries: Sequence[Entry]) -> str:
    """What failed first, so that it was undone."""
    return next((str(entry.detail.get("error", "")) for entry in entries if entry.phase == FAILED), "")


def left(entries: Sequence[Entry]) -> str:
    """What could not be tidied up, because its gateway did not answer."""
    return "; ".join(str(entry.detail["left"]) for entry in entries if entry.detail.get("left"))


def recovered(operation: Operation, entries: Sequence[Entry]) -> str:
    """What a move went on with whose source was fenced: from when its state is, and what is lost; "" for any other."""
    transferred = [entry for entry in entries if (entry.step, entry.phase) == ("transfer", DONE)]
    if operation.kind != "move" or operation.fenced is None or operation.fenced.gateway or not transferred:
        return ""
    known = transferred[-1].detail.get("recovered", {})
    if not known:
        return f"all that {operation.source} had written: nothing is lost"
    parts = [f"{name} as it was {_then(at, operation.source)}" for name, at in sorted(known.items())]
    return f"{', '.join(parts)}; whatever {operation.source} wrote after that is lost"


def _then(at: float | None, source: str | None) -> str:
    if at is None:
        return f"when {source} was paused"
    return f"at {datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"


def _steps(entries: Sequence[Entry]) -> list[Took]:
    """One for each time that a step was done or undone, in the order in which they began."""
    took: dict[tuple[str, str], Took] = {}
    since: dict[tuple[str, str], float] = {}
    for entry in entries:
        direction = {DOING: DOING, DONE: DOING, FAILED: DOING, UNDOING: UNDOING, UNDONE: UNDOING}.get(entry.phase)
        if direction is None:
            continue
        key = (entry.step, direction)
        before = took.get(key)
        if entry.phase == direction:
            since.setdefault(key, entry.at)
            took[key] = Took(entry.step, entry.phase, None, 1 if before is None else before.tries + 1)
        else:
            tries = 1 if before is None else before.tries
            took[key] = Took(entry.step, entry.phase, entry.at - since.get(key, entry.at), tries)
    return list(took.values())
