"""Several who hear of the same: listeners of a driver, and observers of the loop of a driver that stays.

One that raises is told in the log and does not keep the others from hearing, but for what is meant to stop the work.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from meghdwar.driver.control import Event, Listener
from meghdwar.driver.follow import Followed, Noted
from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.operation import Operation
from meghdwar.driver.stream import Bad
from meghdwar.driver.track import Sighting

LOG = logging.getLogger(__name__)


def listeners(watching: Sequence[Listener], stopping: Listener = lambda event: None) -> Listener:
    """One listener made of several; what `stopping`, which is the last one, raises stops the work."""

    def listener(event: Event) -> None:
        for each in watching:
            try:
                each(event)
            except Exception:
                LOG.exception("cannot tell %r what happens in %s", each, event.operation.id)
        stopping(event)

    return listener


class Observer:
    """Hears of what the loop does. Called from several threads; must not raise."""

    def took(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        """A sighting was taken in, or dropped (`noted` says which and why)."""

    def passed_over(self, bad: Bad) -> None:
        """A line was no sighting."""

    def followed(self, followed: Followed) -> None:
        """A wish was worked, or left to whoever is at it."""

    def finished(self, operation: Operation) -> None:
        """What somebody left was worked: to its end, or until it has to wait again."""

    def tended(self, application: str, done: str) -> None:
        """Something was done for the stack of an application."""

    def lost(self, what: str, error: Stale) -> None:
        """Somebody else has taken over what we worked on."""

    def failed(self, what: str, error: Exception) -> None:
        """Something could not be done; it is tried again where that can help."""

    def looked(self, waiting: int, working: int) -> None:
        """So many wishes and operations wait, and are worked."""


class Observers(Observer):
    """One observer made of several."""

    def __init__(self, *each: Observer) -> None:
        self._each = each

    def _tell(self, method: str, *arguments: Any) -> None:
        for observer in self._each:
            try:
                getattr(observer, method)(*arguments)
            except Exception:
                LOG.exception("cannot tell %r (%s)", observer, method)

    def took(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        self._tell("took", sighting, noted)

    def passed_over(self, bad: Bad) -> None:
        self._tell("passed_over", bad)

    def followed(self, followed: Followed) -> None:
        self._tell("followed", followed)

    def finished(self, operation: Operation) -> None:
        self._tell("finished", operation)

    def tended(self, application: str, done: str) -> None:
        self._tell("tended", application, done)

    def lost(self, what: str, error: Stale) -> None:
        self._tell("lost", what, error)

    def failed(self, what: str, error: Exception) -> None:
        self._tell("failed", what, error)

    def looked(self, waiting: int, working: int) -> None:
        self._tell("looked", waiting, working)
