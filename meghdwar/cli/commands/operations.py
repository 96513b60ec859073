"""mdw history, show, resume, rollback and prune: what was done, going on with what was not finished, and forgetting."""

from __future__ import annotations

import getpass
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from meghdwar.cli.commands.names import resolve
from meghdwar.cli.commands.output import dump, moment, seconds, size
from meghdwar.cli.commands.output import show as show_rows
from meghdwar.driver.account import account, left, recovered, why
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import (
    COMPENSATED,
    ENDED,
    RUNNING,
    WAITING,
    Busy,
    DriverError,
    Fenced,
    Operation,
)

DONE, UNDONE, WAITS = 0, 1, 3
COLUMNS = ("operation", "kind", "instance", "from", "to", "strategy", "status", "gap_s", "began", "reason")
RECOVERED = (*COLUMNS, "recovered")  # where there is something to say


def history(options: Namespace, driver: Driver) -> int:
    if options.application is not None:
        driver.inventory.application(options.application)
    instance = options.instance and resolve(options.instance, (r.instance for r in driver.inventory.instances()))
    found = driver.journal.operations(application=options.application, instance=instance, limit=options.limit)
    rows = [row(driver, operation) for operation in found]
    columns = RECOVERED if any(each["recovered"] for each in rows) else COLUMNS
    show_rows(options, rows, columns=columns, nothing="nothing was done yet")
    return DONE


def show(options: Namespace, driver: Driver) -> int:
    operation = driver.journal.operation(options.operation)
    told = row(driver, operation)
    took = account(driver.journal.entries(operation.id))
    steps: list[dict[str, Any]] = [
        {"step": each.step, "outcome": each.phase, "took_s": each.seconds, "tries": each.tries} for each in took.steps
    ]
    if options.format != "table":
        dump(options, told | {"steps": steps})
        return DONE
    for key, value in told.items():
        if value not in (None, ""):
            print(
                f"{key.replace('_', ' ')}: {value:.3f}"
                if isinstance(value, float)
                else f"{key.replace('_', ' ')}: {value}"
            )
    print()
    show_rows(options, steps, nothing="no step was begun")
    return DONE


def row(driver: Driver, operation: Operation) -> dict[str, Any]:
    """An operation as it is printed."""
    entries = driver.journal.entries(operation.id)
    took = account(entries)
    fenced = operation.fenced
    return {
        "operation": operation.id,
        "kind": operation.kind,
        "application": operation.application,
        "instance": operation.instance,
        "from": operation.source,
        "to": operation.target,
        "strategy": operation.strategy,
        "status": operation.status,
        "gap_s": None if took.gap_s is None else round(took.gap_s, 6),
        "sent_bytes": took.sent_bytes,
        "took_s": round(took.seconds, 6),
        "began": moment(operation.created_at),
        "ended": moment(operation.ended_at),
        "reason": operation.reason,
        "error": operation.error or (why(entries) if operation.status == COMPENSATED else ""),
        "left": left(entries),
        "recovered": recovered(operation, entries),
        "fenced": None if fenced is None else f"by {fenced.by} at {moment(fenced.at)}: {fenced.because}",
    }


def told(options: Namespace, driver: Driver, operations: Sequence[Operation], nothing: str) -> int:
    """Prints what became of operations, and returns the exit status for it."""
    rows = [row(driver, operation) for operation in operations]
    if options.format != "table":
        dump(options, rows)
    else:
        for each in rows:
            print(sentence(each))
        if not rows:
            print(nothing)
    return status(operations)


def status(operations: Sequence[Operation]) -> int:
    statuses = {operation.status for operation in operations}
    if WAITING in statuses:
        return WAITS
    return UNDONE if COMPENSATED in statuses else DONE


def sentence(row: dict[str, Any]) -> str:
    """What became of an operation, for people."""
    name, id_ = row["instance"], row["operation"]
    if row["status"] == "waiting":
        return (
            f"{name}: the {row['kind']} cannot go on now: {row['error']}\n"
            f"  go on: mdw resume {id_}     or undo it: mdw rollback {id_}"
        )
    if row["status"] == "compensated":
        where = f"it is at {row['from']} as before" if row["from"] else "nothing is left of it"
        return f"{name}: the {row['kind']} was undone, {where}: {row['error']} ({id_})"
    what = {
        "build": f"is up at {row['to']}",
        "move": f"is at {row['to']}",
        "terminate": "is gone",
        "stop": f"is stopped at {row['from']}",
        "start": f"runs at {row['from']}",
        "heal": f"runs at {row['from']}, begun anew",
    }[row["kind"]]
    parts = [f"{name} {what}"]
    if row["gap_s"] is not None:
        parts.append(f"gap {seconds(row['gap_s'])}")
    elif row["strategy"] == "live":
        parts.append(f"moved in {seconds(row['took_s'])} while it ran")
    if row["sent_bytes"]:
        parts.append(f"{size(row['sent_bytes'])} sent")
    more = f"\n  recovered: {row['recovered']}" if row["recovered"] else ""
    more += f"\n  left behind: {row['left']}" if row["left"] else ""
    return f"{', '.join(parts)} ({id_}){more}"


# going on
def resume(options: Namespace, driver: Driver) -> int:
    fenced = None
    if options.source_is_fenced:
        if options.operation is None or not options.because:
            raise DriverError(
                "cannot take the source for fenced: name the one operation, and say --because how it is known"
            )
        fenced = Fenced(options.by or _login(), time.time(), options.because)
    elif options.by or options.because:
        raise DriverError("cannot go on: --by and --because belong to --source-is-fenced")
    if options.operation is not None:
        return told(options, driver, [_resumed(driver, options.operation, fenced, options.wait)], "")
    done = driver.resume_abandoned()
    others = driver.journal.operations(status=RUNNING)
    if options.wait:
        done += [_resumed(driver, operation.id, None, True) for operation in others]
    elif others:
        say(f"{', '.join(each.id for each in others)}: a driver is at it; if that has died: mdw resume --wait")
    return told(options, driver, done, "nothing was left unfinished" if not others else "nothing was done")


def _resumed(driver: Driver, operation: str, fenced: Fenced | None, wait: bool) -> Operation:
    """Goes on with it; with `wait` as soon as the lease of whoever had it has run out."""
    while True:
        try:
            return driver.resume(operation, fenced=fenced)
        except Busy as error:
            if not wait or error.free_in_s is None:
                raise
            if driver.journal.operation(operation).status in ENDED:
                return driver.journal.operation(operation)
            time.sleep(error.free_in_s + 0.05)


def say(message: str) -> None:
    print(f"mdw: {message}", file=sys.stderr)


def rollback(options: Namespace, driver: Driver) -> int:
    fenced = None
    if options.target_is_fenced:
        if not options.because:
            raise DriverError("cannot take the target for fenced: say --because how it is known")
        fenced = Fenced(options.by or _login(), time.time(), options.because)
    operation = driver.rollback(options.operation, by=options.by or _login(), because=options.because, fenced=fenced)
    told(options, driver, [operation], "")
    return DONE if operation.status == COMPENSATED else status([operation])


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


# forgetting
def prune(options: Namespace, driver: Driver) -> int:
    forgotten = driver.journal.prune(options.before)
    if options.format != "table":
        dump(options, {"before": moment(options.before), "forgotten": forgotten})
    else:
        print(f"{forgotten} operations that ended before {moment(options.before)} are forgotten")
    return DONE
