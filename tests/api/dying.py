"""`mdw serve` that is killed, as by SIGKILL, at a chosen write to the journal: once, and then never again.

    python -m tests.api.dying POINT WHOM FILE serve ...

POINT is STEP:PHASE, before that is written, or ended, before the end is. WHOM is server (with all of its workers) or
worker. FILE is made when it happens. Leases are short, so that whoever comes next need not wait for long.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from meghdwar.cli import mdw
from meghdwar.driver import database
from meghdwar.driver.journal import SqlJournal

LEASE_S = 4.0


def die_at(point: str, whom: str, told: Path) -> None:
    """Arms this process and those that it forks."""
    write, end = SqlJournal.write, SqlJournal.end

    def die() -> None:
        try:
            told.touch(exist_ok=False)
        except FileExistsError:
            return
        if whom == "server":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def writes(self: SqlJournal, operation_id: str, entries: Any, claim: Any) -> None:
        if point in [f"{entry.step}:{entry.phase}" for entry in entries] and _is_move(self, operation_id):
            die()
        write(self, operation_id, entries, claim)

    def ends(self: SqlJournal, operation_id: str, status: str, entries: Any, claim: Any) -> None:
        if point == "ended" and _is_move(self, operation_id):
            die()
        end(self, operation_id, status, entries, claim)

    SqlJournal.write, SqlJournal.end = writes, ends  # type: ignore[method-assign]


def _is_move(journal: SqlJournal, operation_id: str) -> bool:
    return journal.operation(operation_id).kind == "move"


def with_short_leases() -> None:
    usual = database.open

    def opened(*given: Any, **named: Any) -> database.Database:
        return usual(*given, **{"lease_s": LEASE_S} | named)

    database.open = opened  # type: ignore[assignment]


if __name__ == "__main__":
    point, whom, told, *words = sys.argv[1:]
    with_short_leases()
    die_at(point, whom, Path(told))
    sys.exit(mdw.main(words))
