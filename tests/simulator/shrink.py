"""Makes a history that broke a promise as small as it can be made by leaving things out, and tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.simulator.history import Result, Script, play


def shrink(script: Script) -> Script:
    """The same promise is still broken, whatever its numbers are, with no fault and no last turn that is not needed."""
    broken = _kind(play(script))
    assert broken, "only a history that broke a promise can be made smaller"
    smaller = True
    while smaller:
        smaller = False
        for shorter in _shorter(script):
            if _kind(play(shorter)) == broken:
                script, smaller = shorter, True
                break
    return script


def _kind(result: Result) -> str:
    return "".join(letter for letter in result.broken.split(":")[0] if not letter.isdigit())


def _shorter(script: Script) -> Iterator[Script]:
    for number in range(1, len(script.turns)):
        yield replace(script, turns=script.turns[:-number])
    for number in range(len(script.faults)):
        yield replace(script, faults=script.faults[:number] + script.faults[number + 1 :])
    for number, turn in enumerate(script.turns):
        if turn.rollback >= 0:
            turns = (*script.turns[:number], replace(turn, rollback=-1), *script.turns[number + 1 :])
            yield replace(script, turns=turns)


def told(script: Script) -> str:
    """The history as text: what was wanted, what went wrong, every call, and the promise that was broken."""
    result = play(script, tracing=True)
    kept = ", ".join(
        f"{each.name} ({', '.join(state.name for state in (*each.disks, *each.files)) or 'no state'})"
        for each in script.instances
    )
    turns = "; ".join(f"{turn.kind} by {turn.strategy}" for turn in script.turns)
    faults = "; ".join(str(fault) for fault in script.faults) or "none"
    head = f"seed {script.seed}: {script.gateways} gateways of kind {script.kind}, {kept}"
    lines = [head, f"wanted: {turns}", f"faults: {faults}"]
    return "\n".join([*lines, *result.trace, f"seed {script.seed}: {result.broken or 'every promise was kept'}"])
