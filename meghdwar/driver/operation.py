"""What the driver does to an instance, one operation at a time, and what it writes down of it.

An operation is a build, a move, a terminate, or a stop, start or heal at its home: a list of steps that are done in
order, each written to the journal before it is done. The journal is the only state that an operation has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from meghdwar.driver.hypervisor import Claim

# how an operation stands
RUNNING = "running"  # somebody works on it, or died over it: its lease tells
WAITING = "waiting"  # it could not go on; `error` says why; it goes on by `resume`
COMPLETED = "completed"
COMPENSATED = "compensated"  # everything that it did was undone
ENDED = frozenset({COMPLETED, COMPENSATED})

# what is written of a step, always before it is so, but for the outcomes
DOING, DONE, FAILED, UNDOING, UNDONE = "doing", "done", "failed", "undoing", "undone"
FENCED = "fenced"  # not of a step: an operator said that the source is fenced, so that it goes forward again


@dataclass(frozen=True, slots=True)
class Fenced:
    """An operator's word that a gateway can write no more: `by` whom, `at` (seconds since 1970) and `because`.

    `gateway` is which one, "" the source. Without its source a move goes forward, without its target it goes back.
    """

    by: str
    at: float
    because: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """`source` is None for a build, and `target` is there for builds and moves; both are gateways by name.

    Times are seconds since 1970, by the clock of the database.
    """

    id: str
    kind: str  # build, move, terminate, stop, start or heal
    application: str
    instance: str
    source: str | None = None
    target: str | None = None
    strategy: str = ""  # cold, precopy, warm, live or files
    reason: str = ""  # for people
    status: str = RUNNING
    error: str = ""
    fenced: Fenced | None = None
    created_at: float = 0.0
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. `detail` is plain data: what a step found out, for later steps and for people."""

    step: str
    phase: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    at: float = 0.0


class DriverError(Exception):
    """What was asked cannot be done; the message says what to do. Nothing was changed."""


class JournalError(Exception):
    """The journal cannot be read or written; the message says which database and what to do. Nothing was changed."""


class Busy(JournalError):
    """The instance is claimed by somebody else, or has an operation that is not ended; the message says which.

    `free_in_s` is when the claim runs out unless it is renewed, or None when waiting for that does not help.
    """

    def __init__(self, message: str, free_in_s: float | None = None) -> None:
        super().__init__(message)
        self.free_in_s = free_in_s


class Changed(JournalError):
    """The instance is not any more as whoever asks has seen it; the message says how."""


class Journal(Protocol):
    """Where operations are written down; several drivers share one.

    A claim is a lease on one instance with an epoch: getting it raises the instance's epoch by one, compared and set,
    so that whatever an earlier holder still writes, here or at a gateway, is refused. Every call that takes a claim
    raises Stale when the instance's epoch is another or the claim was given back, and then nothing is changed. Each
    call is one transaction, durable when it returns. tests/driver/test_journal.py holds every journal to this.
    """

    def begin(self, operation: Operation, owner: str) -> tuple[Operation, Claim]:
        """Claims its instance and writes the operation down, with an id when it has none. Raises Busy when the
        instance is claimed, has an operation that is not ended, or is not at the source any more."""
        ...

    def resume(self, operation_id: str, owner: str) -> tuple[Operation, Claim]:
        """Claims the instance of an operation that is not ended. Raises Busy when it is claimed by somebody else."""
        ...

    def entries(self, operation_id: str) -> Sequence[Entry]: ...

    def write(self, operation_id: str, entries: Sequence[Entry], claim: Claim) -> None:
        """Appends them, all or none."""
        ...

    def place(self, instance: str, gateway: str | None, claim: Claim) -> None:
        """From now on its home is that gateway (None: it has none), where it is to run."""
        ...

    def halt(self, instance: str, stopped: bool, claim: Claim) -> None:
        """From now on it is to stand still at its home, or to run there again."""
        ...

    def fence(self, operation_id: str, fenced: Fenced, claim: Claim) -> None:
        """Records the operator's word with the operation, and a FENCED entry."""
        ...

    def wait(self, operation_id: str, error: str, claim: Claim) -> None:
        """It cannot go on now: its status is WAITING, the claim is given back."""
        ...

    def end(self, operation_id: str, status: str, entries: Sequence[Entry], claim: Claim) -> None:
        """Appends the last entries, sets the status, and gives the claim back."""
        ...
