"""What comes by and by is taken as it comes, in its order, and nothing is lost or held back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from meghdwar.driver.at_hand import AtHand


def test_everything_comes_in_its_order() -> None:
    taken = list(AtHand(iter(range(1000)), 7))
    assert [each for some in taken for each in some] == list(range(1000))
    assert all(1 <= len(some) <= 7 for some in taken)
    assert list(AtHand(iter(()), 7)) == []


def test_what_came_meanwhile_is_taken_as_one() -> None:
    given = threading.Event()

    def stream() -> Iterator[int]:
        yield 0
        yield from range(1, 4)
        given.set()

    taken = iter(AtHand(stream(), 10))
    first = next(taken)
    assert given.wait(10)
    assert first + next(taken, []) == [0, 1, 2, 3]


def test_one_that_comes_late_keeps_nobody_waiting() -> None:
    asked = threading.Event()

    def stream() -> Iterator[int]:
        yield 1
        assert asked.wait(10)  # only when the first was taken
        yield 2

    taken = iter(AtHand(stream(), 10))
    assert next(taken) == [1]
    asked.set()
    assert list(taken) == [[2]]


def test_no_more_than_so_much_is_read_ahead() -> None:
    read: list[int] = []

    def stream() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    taken = AtHand(stream(), 5)
    deadline = time.monotonic() + 10
    while len(read) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 6, "five at hand, and one that waits for room"
    assert [each for some in taken for each in some] == list(range(100))


def test_what_the_stream_raises_comes_last() -> None:
    def stream() -> Iterator[int]:
        yield 1
        raise OSError("Input/output error")

    taken = iter(AtHand(stream(), 5))
    assert next(taken) == [1]
    with pytest.raises(OSError, match="Input/output error"):
        next(taken)


def test_the_reader_ends_when_nobody_takes_any_more() -> None:
    ended = threading.Event()

    def stream() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    for _ in AtHand(stream(), 5):
        break
    assert ended.wait(10)
