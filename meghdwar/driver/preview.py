"""What a move would do and cost, said before anything moves. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from meghdwar.driver.account import Account
from meghdwar.driver.hypervisor import Capabilities
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import Operation

GB = 10**9

# step -> what it does, what its way back does (None: there is none; from here a move is only finished)
WORDS: Mapping[str, tuple[str, str | None]] = {
    "stage": ("bring the image and a copy of the state to {target}; {source} goes on", "remove them from {target}"),
    "fence": ("forbid the copy at {source} to write once it is stopped", "allow it again"),
    "pause": ("stop all writing at {source}; the gap begins", "let {source} go on"),
    "transfer": ("send the last of the state to {target}, and prove it to be the same", "nothing: it is only a copy"),
    "attach": ("give {target} the state, and the right to write", "take both away from {target}"),
    "wake": ("start at {target}, and wait until it serves", "stop it at {target}"),
    "reroute": ("send subscribers to {target}; the gap ends", None),
    "settle": ("write down that it is at {target}", None),
    "retire": ("remove what is left at {source}", None),
}
LIVE: Mapping[str, tuple[str, str | None]] = {
    **WORDS,
    "stage": ("bring the image to {target} and make empty disks there", "remove them from {target}"),
    "pause": ("nothing: it goes on running", "nothing"),
    "transfer": ("migrate it to {target} while it runs; the gap is in here", "migrate it back to {source}"),
    "attach": ("nothing: it came with its state", "nothing"),
    "wake": ("wait until it serves at {target}", "nothing"),
}
SHARED: Mapping[str, tuple[str, str | None]] = {
    **WORDS,
    "stage": ("see that the server of {target} is there; {source} goes on", "nothing"),
    "fence": ("write on the volume that {source} may not write any more", "allow it again"),
    "pause": ("nothing: the update of the stack detaches the volume first", "nothing"),
    "transfer": ("nothing: the volume goes there itself", "nothing"),
    "attach": ("update the stack: the volume is detached from {source} and attached to {target}", "update it back"),
    "wake": ("wait until it serves at {target}", "detach the volume from {target}"),
    "settle": ("write down that it is at {target}; the stack says so already", None),
    "retire": ("nothing: the volume is not at {source} any more", None),
}
FILES_MORE = "; its state files are brought by version"


@dataclass(frozen=True, slots=True)
class Line:
    """A step: what it does, and its way back (None: there is none)."""

    step: str
    does: str
    back: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What moving with a strategy costs. `moves` counts the moves that `gap_s` was measured in; with none of them it
    is what the hypervisor is known for. `fits` says whether it is within the policy's max_downtime (None: no limit)."""

    strategy: str
    gap_s: float
    moves: int
    sent_bytes: int | None
    fits: bool | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything that is known of a move before it is made. `size_bytes` is what the state may be at most."""

    operation: Operation
    lines: tuple[Line, ...]
    choices: tuple[Choice, ...]
    size_bytes: int
    max_downtime_s: float | None
    used: int
    capacity: int | None
    routed: str
    warnings: tuple[str, ...]
    stack: tuple[str, ...] | None = None  # what Heat says that its update would change (None: there is no stack)

    @property
    def chosen(self) -> Choice:
        return next(choice for choice in self.choices if choice.chosen)


def preview(
    operation: Operation,
    instance: Instance,
    able: tuple[Capabilities, Capabilities],
    past: Mapping[str, Sequence[Account]],
    *,
    steps: Sequence[str],
    max_downtime_s: float | None,
    used: int,
    capacity: int | None,
    routed: str,
    stack: Sequence[str] | None = None,
) -> Preview:
    """The preview of a move. `able` is of source and target, `past` are earlier moves of the same cloudlet between
    such gateways, by strategy; `steps` are the names of the steps of a move, in order; `stack` is Heat's own."""
    size = sum(disk.size_bytes for disk in instance.disks) + sum(f.size_max_bytes or 0 for f in instance.files)
    both = [strategy for strategy in able[0].strategies if strategy in able[1].strategies]
    choices = tuple(
        _choice(strategy, able, size, past.get(strategy, ()), max_downtime_s, strategy == operation.strategy)
        for strategy in both
    )
    made = Preview(
        operation=operation,
        lines=tuple(_line(step, operation, instance, shared=able[1].shared) for step in steps),
        choices=choices,
        size_bytes=size,
        max_downtime_s=max_downtime_s,
        used=used,
        capacity=capacity,
        routed=routed,
        warnings=(),
        stack=None if stack is None else tuple(stack),
    )
    return made if made.chosen.fits is not False else _too_slow(made)


def _line(step: str, operation: Operation, instance: Instance, *, shared: bool) -> Line:
    does, back = (SHARED if shared else LIVE if operation.strategy == "live" else WORDS)[step]
    if step == "stage" and operation.strategy == "cold" and not shared:
        does, back = "bring the image to {target}; {source} goes on", "remove it from {target}"
    if step == "stage" and operation.strategy == "warm" and not shared:
        does += ", and {target} starts, waiting for its state"
    if step == "transfer" and instance.files:
        does += FILES_MORE
    names = {"source": operation.source, "target": operation.target}
    return Line(step, does.format(**names), None if back is None else back.format(**names))


def _choice(
    strategy: str,
    able: tuple[Capabilities, Capabilities],
    size_bytes: int,
    past: Sequence[Account],
    max_downtime_s: float | None,
    chosen: bool,
) -> Choice:
    gaps = [each.gap_s for each in past if each.gap_s is not None]
    costs = [each.strategies[strategy] for each in able]
    known = max(cost.gap_s + cost.gap_s_per_gb * size_bytes / GB for cost in costs)
    gap = median(gaps) if gaps else known
    return Choice(
        strategy=strategy,
        gap_s=gap,
        moves=len(gaps),
        sent_bytes=int(median(each.sent_bytes for each in past)) if past else None,
        fits=None if max_downtime_s is None else gap <= max_downtime_s,
        chosen=chosen,
    )


def _too_slow(made: Preview) -> Preview:
    chosen, limit = made.chosen, made.max_downtime_s
    better = min((choice for choice in made.choices if choice.fits), key=lambda choice: choice.gap_s, default=None)
    way_out = f"; {better.strategy} takes about {better.gap_s:.2g} s" if better else ""
    warning = f"the gap of {chosen.strategy} is about {chosen.gap_s:.2g} s, and max_downtime is {limit:g} s{way_out}"
    return replace(made, warnings=(*made.warnings, warning))
