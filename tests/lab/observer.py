"""Somebody outside who counts: asks every place where a cloudlet may be for the next number, and notes each answer."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.lab.scene import get


@dataclass
class Observer:
    """Asks in turn, all the time. `acknowledged` is (when, where, number), in the order of the answers."""

    addresses: Sequence[str]
    acknowledged: list[tuple[float, str, int]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Observer:
        self._threads = [threading.Thread(target=self._ask, args=(address,)) for address in self.addresses]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str) -> None:
        while not self._ended.is_set():
            status, text = get(address, "/next")
            if status == 200:
                self.acknowledged.append((time.monotonic(), address, int(text)))
            self._ended.wait(0.05)

    @property
    def numbers(self) -> list[int]:
        return [number for _, _, number in self.acknowledged]

    def check(self, last: int = 0) -> None:
        """Raises AssertionError unless each number came once, in order, and after `last`, however many answered."""
        said = self.acknowledged
        assert said[0][2] > last, f"what was acknowledged is lost: {last}, and then {said[0]}"
        for sooner, later in itertools.pairwise(said):
            assert later[2] != sooner[2], f"two writers acknowledged the same number: {sooner}, {later}"
            assert later[2] > sooner[2], f"a number came back: {sooner}, {later}"

    def gap_s(self) -> float:
        """The longest time between two answers."""
        times = [when for when, _, _ in self.acknowledged]
        return max((later - sooner for sooner, later in itertools.pairwise(times)), default=0.0)

    def answers_of(self, address: str) -> int:
        return sum(where == address for _, where, _ in self.acknowledged)
