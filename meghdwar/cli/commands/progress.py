"""Shows what the driver is doing: a line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from threading import Lock
from typing import Any

from meghdwar.cli.commands.output import fancy, seconds, size
from meghdwar.driver.control import Event
from meghdwar.driver.operation import DOING, DONE, ENDED, FAILED, UNDOING, UNDONE, Operation

# phase -> how it is said
WORDS = {DOING: "...", DONE: "done", FAILED: "failed", UNDOING: "undoing", UNDONE: "undone"}
GAP = frozenset({"fence", "pause", "transfer", "attach", "wake"})  # steps after which another begins in the gap


class Progress:
    """Hears of what happens in operations. `current` are those that are being worked, for whoever interrupts us.

    Between pause and reroute, when every millisecond counts, lines are only noted; they are printed after that.
    """

    def __init__(self, options: Namespace) -> None:
        self.current: dict[str, Operation] = {}
        self._quiet = bool(options.quiet or options.log)  # a log says the same
        self._since: dict[tuple[str, str], float] = {}
        self._lock = Lock()
        self._noted: dict[str, list[tuple[str, bool]]] = {}  # by operation
        self._status: Any = None
        if not self._quiet and fancy(options, sys.stderr):
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False)
            self._status = self._console.status("")

    def __call__(self, event: Event) -> None:
        with self._lock:
            operation = event.operation
            self.current[operation.id] = operation
            if event.entry is None and not event.message:
                self._end(operation)
            elif not self._quiet:
                self._tell(event)

    def note(self, message: str) -> None:
        """Something that belongs to no operation, such as an event of a stack."""
        with self._lock:
            if not self._quiet:
                self._line(message, bad=" failed" in message.lower() or "_FAILED" in message)

    def close(self) -> None:
        for operation in list(self._noted):
            self._print_noted(operation)
        if self._status is not None:
            self._status.stop()

    def _end(self, operation: Operation) -> None:
        self._print_noted(operation.id)
        if operation.status in ENDED:
            self.current.pop(operation.id, None)
        self.close()

    def _tell(self, event: Event) -> None:
        head = f"{event.operation.id} {event.operation.instance}"
        entry = event.entry
        if entry is None:
            self._moving(f"{head}: {event.message}")
            return
        key = (event.operation.id, entry.step)
        if entry.phase in (DOING, UNDOING):
            self._since[key] = time.monotonic()
            self._moving(f"{head}: {entry.step} {WORDS[entry.phase] if entry.phase == UNDOING else ''}".rstrip())
            return
        took = time.monotonic() - self._since.get(key, time.monotonic())
        line = f"{head}: {entry.step} {WORDS.get(entry.phase, entry.phase)}, {seconds(took)}{_said(entry.detail)}"
        self._noted.setdefault(event.operation.id, []).append((line, entry.phase == FAILED))
        if entry.phase != DONE or entry.step not in GAP:
            self._print_noted(event.operation.id)

    def _print_noted(self, operation: str) -> None:
        for line, bad in self._noted.pop(operation, ()):
            self._line(line, bad)

    def _moving(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
            self._status.start()

    def _line(self, text: str, bad: bool) -> None:
        if self._status is not None:
            self._console.print(text, style="red" if bad else None, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


def _said(detail: Any) -> str:
    """What a step found out, as far as it is for people."""
    parts = []
    if detail.get("sent_bytes"):
        parts.append(f"{size(int(detail['sent_bytes']))} sent")
    parts += [f"{key}: {detail[key]}" for key in ("way", "endpoint", "error", "left") if detail.get(key)]
    return "".join(f", {part}" for part in parts)
