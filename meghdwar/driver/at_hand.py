"""Reads ahead: what has come by now is taken as one, however slowly or quickly it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class AtHand(Generic[T]):
    """What a stream has given and nobody has taken, at most `most` of it. One thread reads, which is a daemon: a line
    that never comes must not keep the process; whoever takes does so from one other thread."""

    def __init__(self, stream: Iterable[T], most: int) -> None:
        self._changed = Condition()
        self._waiting: deque[T] = deque()
        self._most = most
        self._over = self._given_up = False
        self._error: BaseException | None = None
        Thread(target=self._read, args=(stream,), name="reader", daemon=True).start()

    def __iter__(self) -> Iterator[list[T]]:
        """Whatever is there, in its order, as soon as it is anything; what the stream raises comes after that."""
        try:
            while taken := self._take():
                yield taken
        finally:
            with self._changed:
                self._given_up = True
                self._changed.notify_all()
        if self._error is not None:
            raise self._error

    def _take(self) -> list[T]:
        """Empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            taken = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return taken

    def _read(self, stream: Iterable[T]) -> None:
        try:
            for item in stream:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._waiting) < self._most or self._given_up)
                    if self._given_up:
                        return
                    self._waiting.append(item)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
