"""What a benchmark measured: series of numbers with the naive way beside them, and the tables made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import table


class Lacking(Exception):
    """The machine has not got what a scenario needs; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a scenario is asked for. `sizes` are bytes of state; `runs` is how often each case is measured, of the
    naive way at least once and at most as often; a scenario without sizes or with a fixed count may overlook them."""

    runs: int = 10
    sizes: tuple[int, ...] = (100 * 2**20,)
    folder: str = "/tmp"  # noqa: S108 - where a scenario may make a folder of its own
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One case: what was measured of it, each value in the unit of its table, and of the naive way in the same run.

    `case` says which it is, one text per column of the table's `cases`: ("100 MiB", "warm"). `p50_max`, `p95_max`,
    `p50_min` and `ratio_min` are what it has to reach, and None where nothing was promised.
    """

    case: tuple[str, ...]
    values: tuple[float, ...]
    naive: tuple[float, ...] = ()
    p50_max: float | None = None
    p95_max: float | None = None
    p50_min: float | None = None
    ratio_min: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind. `what` says in a sentence what was measured and how, `naive` what the naive way is;
    `more_is_better` turns the ratio round (moves a second instead of seconds)."""

    what: str
    cases: tuple[str, ...]  # the heads of the columns that name a case
    rows: tuple[Row, ...]
    unit: str = "s"
    naive: str = ""
    more_is_better: bool = False
    notes: tuple[str, ...] = ()


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent of them do not exceed (nearest rank): always one that was measured."""
    if not values:
        raise ValueError("cannot take a percentile of nothing")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def ratio(row: Row, *, more_is_better: bool = False) -> float | None:
    """How many times better the middle is than the naive way's; None without one."""
    if not row.values or not row.naive:
        return None
    ours, theirs = percentile(row.values, 50), percentile(row.naive, 50)
    above, below = (ours, theirs) if more_is_better else (theirs, ours)
    return above / below if below else math.inf


def missed(found: Table) -> list[str]:
    """What was promised and not reached, one sentence each; a case that measured nothing is among them."""
    return [problem for row in found.rows for problem in _missed(row, found)]


def _missed(row: Row, found: Table) -> list[str]:
    name, unit = ", ".join(row.case), found.unit
    if not row.values:
        return [f"{name}: nothing was measured"]
    p50, p95 = percentile(row.values, 50), percentile(row.values, 95)
    times = ratio(row, more_is_better=found.more_is_better)
    problems = []
    if row.p50_max is not None and p50 > row.p50_max:
        problems.append(f"{name}: p50 is {_number(p50)} {unit}, and at most {row.p50_max:g} was promised")
    if row.p95_max is not None and p95 > row.p95_max:
        problems.append(f"{name}: p95 is {_number(p95)} {unit}, and at most {row.p95_max:g} was promised")
    if row.p50_min is not None and p50 < row.p50_min:
        problems.append(f"{name}: p50 is {_number(p50)} {unit}, and at least {row.p50_min:g} was promised")
    if row.ratio_min is not None and (times is None or times < row.ratio_min):
        got = "not known" if times is None else f"{times:.1f}"
        problems.append(f"{name}: the ratio to the naive way is {got}, and at least {row.ratio_min:g} was promised")
    return problems


def render(found: Table) -> str:
    """The sentence, the table in Markdown, and below it the notes and what was missed. Where more is better p5 stands
    for p95 and the least for the most."""
    naive = any(row.naive for row in found.rows)
    promised = any(_promise(row) for row in found.rows)
    far = "p5" if found.more_is_better else "p95"
    head = [*found.cases, f"p50 ({found.unit})", far, "min" if found.more_is_better else "max", "runs"]
    head += ["naive p50", f"naive {far}", "naive runs", "ratio"] if naive else []
    head += ["promised"] if promised else []
    lines = []
    for row in found.rows:
        cells = [*row.case, *_cells(row.values, found.more_is_better)]
        if naive:
            times = ratio(row, more_is_better=found.more_is_better)
            p50, p95, _, count = _cells(row.naive, found.more_is_better)
            cells += [p50, p95, count, "" if times is None else f"{times:.1f}"]
        lines.append([*cells, _promise(row)] if promised else cells)
    text = [found.what + (f" The naive way beside it: {found.naive}." if found.naive else "")]
    text.append(table(head, lines))
    text += [f"- {note}" for note in found.notes] + [f"- MISSED: {problem}" for problem in missed(found)]
    return "\n\n".join([*text[:2], *(["\n".join(text[2:])] if text[2:] else [])])


def _cells(values: Sequence[float], more_is_better: bool) -> list[str]:
    if not values:
        return ["", "", "", "0"]
    # the worst of many: the highest where little is good, the lowest where much is
    low = percentile(values, 5) if more_is_better else percentile(values, 95)
    worst = min(values) if more_is_better else max(values)
    return [_number(percentile(values, 50)), _number(low), _number(worst), str(len(values))]


def _number(value: float) -> str:
    """Three digits that mean something, and none that do not."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def _promise(row: Row) -> str:
    parts = []
    if row.p50_max is not None:
        parts.append(f"p50 ≤ {row.p50_max:g}")
    if row.p95_max is not None:
        parts.append(f"p95 ≤ {row.p95_max:g}")
    if row.p50_min is not None:
        parts.append(f"p50 ≥ {row.p50_min:g}")
    if row.ratio_min is not None:
        parts.append(f"ratio ≥ {row.ratio_min:g}")
    return ", ".join(parts)
