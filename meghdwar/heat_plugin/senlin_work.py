"""Work that Heat looks after: a row of calls to Senlin, one at a time, each waited for before the next.

Heat asks every second whether it is done and keeps nothing but this object between two questions.
"""

from __future__ import annotations

import time

from keystoneauth1 import exceptions

from .senlin_rest import Failed

BUSY = (exceptions.Conflict, Failed)  # what passes when others have ended what they do
SILENT = (exceptions.HttpServerError, exceptions.ConnectionError)  # nobody knows whether it was done: look again
PATIENCE_S = 300


class Work:
    """Calls that each give an action, or None when they are done at once.

    A call that is refused, or whose action fails, because the cluster is busy with something else is made again for
    `patience_s`; after that its error stands. While an action is waited for, Senlin may be silent for as long as Heat
    has patience with the stack.
    """

    def __init__(self, senlin, calls, patience_s=0, clock=time.monotonic):
        self._senlin, self._calls, self._patience_s, self._clock = senlin, list(calls), patience_s, clock
        self._action, self._began, self._since = None, False, None

    def is_done(self):
        """Goes on as far as it can without waiting; whether all is done."""
        while self._calls:
            if not self._goes_on():
                return False
            self._calls.pop(0)
            self._began, self._since = False, None
        return True

    def _goes_on(self):
        """Whether the call at hand is done."""
        try:
            if not self._began:
                self._action, self._began = self._calls[0](), True
            try:
                return self._senlin.is_done(self._action)
            except SILENT:
                return False
        except BUSY:
            self._began = False
            if self._since is None:
                self._since = self._clock()
            if self._clock() - self._since >= self._patience_s:
                raise
            return False


class Row:
    """One work after another."""

    def __init__(self, *works):
        self._works = works

    def is_done(self):
        return all(work.is_done() for work in self._works)


class Removal:
    """Asks for something to be deleted until it is gone, also while others hold it for some time."""

    def __init__(self, senlin, kind, identity, patience_s=PATIENCE_S, clock=time.monotonic):
        self._senlin, self._kind, self._identity = senlin, kind, identity
        self._patience_s, self._clock, self._since, self._action, self._asked = patience_s, clock, None, None, False

    def is_done(self):
        try:
            if not self._asked:
                gone, self._action = self._senlin.remove(self._kind, self._identity)
                if gone:
                    return True
                self._asked = True
            if not self._senlin.is_done(self._action):
                return False
            if self._senlin.look(self._kind, self._identity) is None:
                return True
            self._asked = self._action is None  # it said that it was done, and is still there
            return False
        except (*BUSY, *SILENT):
            self._asked = False
            if self._since is None:
                self._since = self._clock()
            if self._clock() - self._since >= self._patience_s:
                raise
            return False
